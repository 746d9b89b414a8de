--- Files that a table names and that lie outside of the data set's folder: a table may be somebody else's, and name any
-- file of the machine, or a link to one.
-- @module secateur.data.outside
local files = require "secateur.util.files"

local outside = {}

--- The rule of the option that takes such files.
outside.rule = { type = "boolean", default = false }

--- A test of paths for links that lead out of a folder.
-- @string root
-- @treturn function of a path below the root by its text: where it really leads, if that is outside; else nil
function outside.links(root)
  local base, folders = files.real(root), {}
  local function real_folder(path)
    if folders[path] == nil then folders[path] = files.real(path) or false end
    return folders[path]
  end
  return function(path)
    local folder = real_folder(files.directory(path))
    local real = files.is_link(path) and files.real(path) or folder and files.join(folder, files.base(path))
    if not base or not real or base == "/" or real:sub(1, #base + 1) == base .. "/" then return nil end
    return real
  end
end

return outside
