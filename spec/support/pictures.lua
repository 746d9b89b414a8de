--- Small image files for specs.
local core = require "secateur.core"
local files = require "secateur.util.files"
local temporary = require "support.temporary"

local pictures = {}

--- Writes a PNG of one grey value (0..1), 12 x 10 pixels, with the folders above it; gives its path.
function pictures.save(root, path, grey)
  local whole = files.join(root, path)
  assert(files.mkdir_p(files.directory(whole)))
  core.image_save(whole, core.tensor({ 1, 10, 12, fill = grey or 0.5 }))
  return whole
end

--- Writes many: `names` is a list of paths.
function pictures.save_all(root, names)
  for i, name in ipairs(names) do pictures.save(root, name, i / (#names + 1)) end
end

--- Writes a PNG whose header is sound and whose pixels end too early.
function pictures.truncated(root, path)
  local content = assert(files.read_all(pictures.save(root, path, 0.3)))
  return temporary.write(root, path, content:sub(1, #content - 20))
end

return pictures
