--- Temporary folders for specs.
local files = require "secateur.util.files"

local temporary = {}

--- Makes an empty folder under a fresh name; remove it with `files.remove`.
function temporary.folder()
  local name = os.tmpname()
  os.remove(name)
  assert(files.mkdir_p(name))
  return name
end

--- Writes a file and the folders above it, and gives its path.
function temporary.write(root, path, content)
  local whole = files.join(root, path)
  assert(files.mkdir_p(files.directory(whole)))
  assert(files.write_all(whole, content))
  return whole
end

return temporary
