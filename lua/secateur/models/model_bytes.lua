--- Models as bytes, for other processes: the file that `model:save` writes, which for a moment lies among the system's
-- temporary files.
-- @module secateur.models.model_bytes
local errors = require "secateur.util.errors"
local files = require "secateur.util.files"
local load = require "secateur.models.load"
local model_file = require "secateur.models.model_file"

local model_bytes = {}

-- Calls a function with the path of a temporary file, which goes whatever comes of it.
local function with_file(f, ...)
  local path <const> = os.tmpname()
  local _ <close> = setmetatable({}, { __close = function() os.remove(path) end })
  local result = f(path, ...)
  return result
end

--- The bytes of a model.
-- @tparam Model model
-- @treturn string
function model_bytes.write(model)
  return with_file(function(path)
    model_file.write(model, path)
    return errors.check(files.read_all(path))
  end)
end

--- The model of `write`.
-- @string bytes
-- @treturn Model
function model_bytes.read(bytes)
  return with_file(function(path)
    errors.check(files.write_all(path, bytes))
    return load(path)
  end)
end

return model_bytes
