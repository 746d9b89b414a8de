--- Archives of NumPy arrays: `sc.npz` and `sc.save_npz`, for arrays from and to Python.
-- @module secateur.formats.npz
local core = require "secateur.core"
local errors = require "secateur.util.errors"
local file_kind = require "secateur.util.file_kind"
local files = require "secateur.util.files"
local options = require "secateur.util.options"
local tensors = require "secateur.util.tensors"

local npz = {}

local path_rule = { type = "string", required = true, check = function(path) return path ~= "", "a path" end }

local load_rules = { max_bytes = { type = "integer", min = 1 } }

local function read(path, names, opts)
  local arrays = core.npz_load(path, names, opts.max_bytes)
  if not next(arrays) then errors.raise("'%s': no array in it (a zip archive without any .npy entry)", path) end
  return arrays
end

--- Reads the arrays of an `.npz` file, as `numpy.savez` and `savez_compressed` write it: int64, other whole numbers and
-- booleans become int64, uint8 stays uint8, floats become float32, whatever their order of bytes and dimensions.
-- @string path
-- @tparam[opt] {string,...} names which arrays to read; by default all
-- @tparam[opt] table opts `max_bytes`: what the arrays may take in memory together (256 MiB, and 100 for each byte that
-- the file stores of those that are read): a small file can unpack to more than there is
-- @treturn {[string]=Tensor} name -> Tensor
-- @raise where it is no such file, a name is not in it, an array holds something else than numbers, or they are larger
-- than `max_bytes`
-- @usage
-- local arrays = sc.npz "features.npz"
-- print(arrays.x)
function npz.load(path, names, opts)
  options.value("npz", "path", path, path_rule)
  options.value("npz", "names", names, { type = "list", least = 1 })
  opts = options.check("npz", opts, load_rules)
  local result = errors.within("npz", read, path, names, opts)
  return result
end

local function check_name(name)
  if type(name) ~= "string" or name == "" or name:find("\0", 1, true) or not utf8.len(name) then
    errors.refuse("save_npz", "tensors: expected names as keys (UTF-8, not empty), got %s", options.describe(name))
  end
end

--- Writes tensors as an `.npz` file, uncompressed, which `numpy.load` reads: float32, int64 or uint8 arrays. What is
-- there is replaced when all is written. Equal tensors give equal files.
-- @string path
-- @tparam {[string]=Tensor} arrays name -> Tensor
-- @raise where a value is no Tensor, or the file cannot be written
-- @usage
-- sc.save_npz("relevance.npz", { relevance = result.input, image = x })
function npz.save(path, arrays)
  options.value("save_npz", "path", path, path_rule)
  file_kind.check("save_npz", path, "NumPy")
  if files.extension(path) == "npy" then
    errors.refuse("save_npz", "path: expected a name for an archive of arrays (.npz), got '%s'", path)
  end
  options.value("save_npz", "tensors", arrays, { type = "table", required = true })
  local list = {}
  for name, tensor in pairs(arrays) do
    check_name(name)
    if not tensors.is(tensor) then
      errors.refuse("save_npz", "tensors: %s: expected a Tensor, got %s", name, options.describe(tensor))
    end
  end
  local names = options.sorted_keys(arrays)
  if #names == 0 then errors.refuse("save_npz", "tensors: expected at least one, got none") end
  for i, name in ipairs(names) do list[i] = arrays[name] end
  errors.within("save_npz", core.npz_write, path, names, list)
end

return npz
