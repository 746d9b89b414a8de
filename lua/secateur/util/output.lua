--- Places for what a program writes after long work: checked, and their folders made, before the work begins.
-- @module secateur.util.output
local core = require "secateur.core"
local errors = require "secateur.util.errors"
local files = require "secateur.util.files"
local lfs = require "lfs"
local options = require "secateur.util.options"

local output = {}

-- What a place is called that no file can be written over.
local function kind_of(path)
  local mode = lfs.attributes(path, "mode")
  if not mode or mode == "file" then return nil end
  return mode == "directory" and "a folder" or "a pipe or device"
end

-- Whether a file can be written: it is begun, and given up. Rights are not looked up, for a read-only file system has
-- them and a full quota too.
local function try_file(path)
  local good, message = errors.try(core.file_try, path)
  if good then return true end
  return nil, ("%s: %s"):format(path, files.without_path(message, path))
end

--- Sees to it that a file can be written: its folder is made where it is missing, and the place is tried. What is there
-- already stays as it is, and nothing is left behind but the folder.
-- @string path of the file
-- @treturn[1] boolean true
-- @return[2] nil
-- @treturn[2] string what is in the way, naming the path
function output.prepare_file(path)
  if path:sub(-1) == "/" then return nil, ("'%s': expected a file's name, got a folder's"):format(path) end
  local kind = kind_of(path)
  if kind then return nil, ("'%s': expected a file to write, got %s"):format(path, kind) end
  local made, message = files.mkdir_p(files.directory(path))
  if not made then return nil, message end
  return try_file(path)
end

--- Sees to it that files can be written into a folder, which is made where it is missing.
-- @string path of the folder
-- @treturn[1] boolean true
-- @return[2] nil
-- @treturn[2] string what is in the way, naming the path
function output.prepare_folder(path)
  local made, message = files.mkdir_p(path)
  if not made then return nil, message end
  local name, number = "secateur", 0
  while files.is_dir(files.join(path, name)) do name, number = ("secateur-%d"):format(number + 1), number + 1 end
  return try_file(files.join(path, name))
end

local function is_path(path) return path ~= "" and not path:find("\0", 1, true), "a path" end

local path_rule = { type = "string", required = true, check = is_path }
local file_rules = { extension = { type = "string" } }

--- Checks, before the work whose result goes there, that a file can be written: makes its folder where it is missing,
-- and refuses a folder's name, a place without the right to write, and another extension than the one wanted. A file
-- that is there already stays as it is. (All of Secateur's files are written whole or not at all, beside their place,
-- and then put there: a link of that name is replaced, and the file that it leads to stays as it is.)
-- @string path
-- @tab[opt] opts `extension` (such as "safetensors"; any if not given), without its dot
-- @treturn string the path
-- @raise where no file can be written there
-- @usage
-- local path = sc.output_file("models/first.safetensors", { extension = "safetensors" })
-- sc.train(model, data)
-- model:save(path)
function output.file(path, opts)
  options.value("output_file", "path", path, path_rule)
  local wanted = options.check("output_file", opts, file_rules).extension
  if wanted and files.extension(path) ~= wanted:lower() then
    errors.refuse("output_file", "path: expected a name that ends in .%s, got '%s'", wanted, path)
  end
  local good, message = output.prepare_file(path)
  if not good then errors.refuse("output_file", message) end
  return path
end

--- Checks, before the work whose results go there, that files can be written into a folder: makes it where it is
-- missing.
-- @string path
-- @treturn string the path
-- @raise where no folder can be made, or no file in it
-- @usage local dir = sc.output_folder("report")
function output.folder(path)
  options.value("output_folder", "path", path, path_rule)
  local good, message = output.prepare_folder(path)
  if not good then errors.refuse("output_folder", message) end
  return path
end

return output
