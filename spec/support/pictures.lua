--- Small image files for specs.
local core = require "secateur.core"
local files = require "secateur.util.files"
local fingerprint = require "secateur.util.fingerprint"
local temporary = require "support.temporary"

local pictures = {}

--- Writes a PNG of one grey value (0..1), 12 x 10 pixels, with the folders above it; gives its path. Some pixels in a
-- corner follow from the path, so that no two pictures are equal.
function pictures.save(root, path, grey)
  local whole = files.join(root, path)
  assert(files.mkdir_p(files.directory(whole)))
  local image, mark = core.tensor({ 1, 10, 12, fill = grey or 0.5 }), fingerprint.text(path)
  for i = 1, 8 do image:set(tonumber(mark:sub(2 * i - 1, 2 * i), 16) / 255, 1, 1, i) end
  core.image_save(whole, image)
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
