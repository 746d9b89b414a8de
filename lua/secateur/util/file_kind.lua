--- Endings of file names that promise a format: who reads a file goes by its name, and a safetensors file under `.pth`
-- is one that torch.load cannot read.
-- @module secateur.util.file_kind
local errors = require "secateur.util.errors"
local files = require "secateur.util.files"

local file_kind = {}

local formats = {
  safetensors = "safetensors", onnx = "ONNX", pth = "PyTorch", pt = "PyTorch", ckpt = "PyTorch", bin = "PyTorch",
  pkl = "Python", npz = "NumPy", npy = "NumPy", h5 = "HDF5", hdf5 = "HDF5", keras = "Keras", tflite = "TensorFlow",
  pb = "TensorFlow", json = "JSON", csv = "CSV", png = "PNG", jpg = "JPEG", jpeg = "JPEG", zip = "zip",
}

--- What is wrong with a name for a file of a format, or nil. Endings that promise nothing are fine.
-- @string path
-- @string format "safetensors", "ONNX", ...
-- @treturn ?string
function file_kind.problem(path, format)
  local extension = files.extension(path)
  local promised = formats[extension]
  if not promised or promised == format then return nil end
  return ("expected a name for a %s file, which this is, got '%s': '.%s' is %s's ending"):format(format, path,
    extension, promised)
end

--- Raises unless a name is one for a file of a format.
-- @string name the public function
-- @string path
-- @string format
function file_kind.check(name, path, format)
  local problem = file_kind.problem(path, format)
  if problem then errors.refuse(name, "path: %s", problem) end
end

--- The same as the `check` of a rule of secateur.util.options.
-- @string format
-- @treturn function
function file_kind.rule(format)
  return function(path) return not file_kind.problem(path, format), ("a name for a %s file"):format(format) end
end

return file_kind
