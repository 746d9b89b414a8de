--- Files of named tensors of any kind behind one interface: safetensors and PyTorch's checkpoints, distinguished by
-- their content. Tensors are read one by one, straight from the file.
-- @module secateur.formats.weights
local errors = require "secateur.util.errors"
local core = require "secateur.core"
local files = require "secateur.util.files"
local options = require "secateur.util.options"
local safetensors = require "secateur.formats.safetensors"
local state_dict = require "secateur.formats.state_dict"
local torch = require "secateur.formats.torch"
local element_bytes = require("secateur.util.tensors").element_bytes

local weights = {}

local MAX_DIMS = 5
local LONGEST_MESSAGE = 600
local SLACK = 16 << 20 -- bytes that tensors may take beside twice their file

-- Calls f; its errors get the path in front, where they do not begin with it (as those of the core do). They quote what
-- the file says, which may be anything: no more of it than can be read, and nothing that a terminal would obey.
local function with_path(path, f, ...)
  local ok, result = errors.try(f, ...)
  if ok then return result end
  local message = files.without_path(result, path)
  if #message > LONGEST_MESSAGE then message = message:sub(1, LONGEST_MESSAGE) .. "..." end
  errors.raise("'%s': %s", path, message)
end

--- An open file of named tensors.
-- @type Weights
-- @field kind "safetensors" or "pytorch"
-- @field metadata text → text, what a safetensors file says besides; empty for others
-- @field notes list of sentences on what was left in the file, as an average of the weights
local Weights = {}
Weights.__index = Weights
Weights.__name = "Weights"

local function tensor_of(self, name)
  return self.tensors[name] or errors.raise("'%s': no tensor %s in it", self.path, options.describe(name))
end

--- The names of all tensors, sorted.
-- @treturn {string,...}
function Weights:names()
  return options.sorted_keys(self.tensors)
end

--- What is known of a tensor before it is read.
-- @string name
-- @treturn table `shape`; `dtype`, the type of the Tensor that `read` gives; `stored`, in the words of safetensors,
-- e.g. "BF16"; or, for what cannot be read, `shape` and `unsupported`, what it is
function Weights:info(name)
  local tensor = tensor_of(self, name)
  return { shape = table.move(tensor.shape, 1, #tensor.shape, 1, {}), unsupported = tensor.unsupported,
    dtype = tensor.element and safetensors.held_as(tensor.element), stored = tensor.element }
end

-- Whether the view is its whole storage in order.
local function is_whole(tensor, place)
  local expected = 1
  for d = #tensor.shape, 1, -1 do
    if tensor.shape[d] ~= 1 and tensor.strides[d] ~= expected then return false end
    expected = expected * tensor.shape[d]
  end
  return tensor.offset == 0 and expected * tensor.size == place.length
end

-- Bytes that the elements would take, `size` each, as a float, which no shape overflows.
local function extent(tensor, size)
  local total = size + 0.0
  for _, count in ipairs(tensor.shape) do total = total * count end
  return total
end

-- Where the tensor's storage lies: first byte and length, and the place of the whole one.
local function locate(self, tensor)
  local storage = tensor.storage
  local place, size = self.place_of(storage), storage.type.size
  -- divided, because a product of what the file says might overflow
  if place.length // size ~= storage.count or place.length % size ~= 0 then
    errors.raise("expected a storage of %d elements of %d bytes, got %d bytes", storage.count, size, place.length)
  end
  if not storage.shift then return place.first, place.length, place end
  return place.first + storage.shift * size, storage.viewed * size, place
end

local function read(self, tensor)
  if tensor.unsupported then errors.raise("expected an ordinary tensor, got %s", tensor.unsupported) end
  local first, length, place = locate(self, tensor)
  if extent(tensor, tensor.size) == 0 then first, length, place = 0, 0, {} end
  local crc = place.crc
  if crc and not (length == place.length and is_whole(tensor, place)) then
    torch.check(self.file, place, "its storage")
    crc = nil
  end
  local made = self.file:tensor(tensor.element, tensor.shape, tensor.strides, tensor.offset, first, length,
    self.big_endian, crc)
  if crc then place.crc = nil end -- checked
  return made
end

-- Tensors that are the same view of the same storage have the same key.
local function view_key(tensor)
  return ("%s\0%s\0%d\0%d\0%s\0%s"):format(tensor.storage.key, tensor.element, tensor.storage.shift or 0, tensor.offset,
    table.concat(tensor.shape, ","), table.concat(tensor.strides, ","))
end

--- Reads a tensor: U8 as uint8, other integers and booleans as int64, floats of all widths as float32. Tensors that are
-- the same view of the same numbers are one Tensor, as long as that is in use.
-- @string name
-- @treturn Tensor
function Weights:read(name)
  local tensor = tensor_of(self, name)
  local key = not tensor.unsupported and view_key(tensor)
  local made = key and self.made[key]
  if made and pcall(made.numel, made) then return made end -- and was not closed
  made = with_path(self.path, function()
    local ok, result = errors.try(read, self, tensor)
    if ok then return result end
    errors.raise("tensor '%s': %s", name, files.without_path(result, self.path))
  end)
  if key then self.made[key] = made end
  return made
end

--- Closes the file; tensors that were read stay.
function Weights:close()
  self.file:close()
end

Weights.__close = Weights.close

-- Refuses what many views could blow up: more numbers than twice the file's bytes could be.
local function check_extents(tensors, size)
  local total, seen = 0, {}
  for _, name in ipairs(options.sorted_keys(tensors)) do
    local tensor = tensors[name]
    if not tensor.unsupported then
      if #tensor.shape > MAX_DIMS then
        tensor.unsupported = ("one of %d dimensions, more than %d"):format(#tensor.shape, MAX_DIMS)
      else
        local key = view_key(tensor)
        total = total + (seen[key] and 0 or extent(tensor, tensor.size))
        seen[key] = true
        if extent(tensor, element_bytes[safetensors.held_as(tensor.element)]) > 2 * size + SLACK
          or total > 2 * size + SLACK then
          errors.raise("tensor '%s': [%s] would take more than twice the file's size", name,
            table.concat(tensor.shape, " x "))
        end
      end
    end
  end
end

local function open_torch(self, zip, key)
  local checkpoint = torch.open(self.file, zip)
  self.tensors, self.notes = state_dict.find(checkpoint.root, key)
  self.place_of, self.big_endian = checkpoint.place_of, checkpoint.big_endian
  check_extents(self.tensors, self.file:size())
  return self
end

-- "safetensors", "zip" or "pickle"; raises for others.
local function detect_format(file)
  local start = file:bytes(0, math.min(file:size(), 300))
  local header = #start >= 9 and string.unpack("<I8", start) or -1
  if header >= 0 and header <= file:size() - 8 and start:sub(9, 9) == "{" then return "safetensors" end
  if start:sub(1, 4) == "PK\3\4" then return "zip" end
  if start:sub(1, 1) == "\x80" or start:find "^L%d+L\n" then return "pickle" end -- protocols from 2 on, or before
  if start:find("^version https://git%-lfs") then
    errors.raise("a pointer of Git LFS, which stands for a file that was not fetched")
  elseif start:sub(258, 262) == "ustar" then
    errors.raise("a checkpoint of PyTorch before version 0.1.10, in tar's format; save it again with a newer one")
  end
  if start == "" then errors.raise("an empty file") end
  if start:sub(1, 2) == "\31\139" then errors.raise("compressed with gzip; unpack it first") end
  if start:find('^%s*{%s*"') then
    errors.raise("text in JSON, no weights: where these are in several files, join what load_weights gives")
  end
  errors.raise("expected a safetensors file or a checkpoint of PyTorch, got something else")
end

local function open(file, path, key)
  local found = detect_format(file)
  if found == "safetensors" then
    if key then errors.raise("key: a safetensors file holds no dictionaries to choose from") end
    file:close()
    return safetensors.open(path)
  end
  local self = setmetatable({ kind = "pytorch", metadata = {}, path = path, file = file,
    made = setmetatable({}, { __mode = "v" }) }, Weights)
  return open_torch(self, found == "zip", key)
end

--- Opens a file of weights. In a checkpoint of PyTorch, dictionaries around the weights (`state_dict`, `model`, …) are
-- taken off; an average of the weights (EMA) beside them is only taken by `key`, and stands in `notes`.
-- Messages begin with `'path': `.
-- @string path
-- @tparam[opt] table opts `key`: the dictionary to take, e.g. "model_ema"; dots lead into dictionaries in one another
-- @treturn Weights
function weights.open(path, opts)
  local file = core.file_open(path)
  return with_path(path, function()
    local ok, result = errors.catch(open, file, path, opts and opts.key)
    if ok then return result end
    file:close()
    errors.rethrow(result)
  end)
end

--- Reads all tensors of a file of any kind: safetensors, or a checkpoint of PyTorch (`torch.save`) with dictionaries
-- around the weights taken off. Nothing in a checkpoint is executed. Tensors that are the same view of the same numbers
-- are one Tensor. What no Tensor can hold (eight-bit floats, complex or quantised numbers) is left out, and that is
-- said on stderr, as is a second dictionary of weights that was left.
-- @string path
-- @tparam[opt] table opts `key`: which dictionary of a checkpoint to take, e.g. "model_ema"
-- @treturn {[string]=Tensor} name → tensor
-- @raise when the file is damaged, of another kind, or names something to be run
function weights.load(path, opts)
  options.value("load_weights", "path", path, { type = "string", required = true })
  opts = options.check("load_weights", opts, { key = { type = "string" } })
  return errors.within("load_weights", function()
    local file <close> = weights.open(path, opts)
    local tensors, left_out = safetensors.read_all(file)
    for _, list in ipairs { file.notes or {}, left_out } do
      for _, note in ipairs(list) do errors.warn("load_weights: '%s': %s", path, note) end
    end
    return tensors
  end)
end

return weights
