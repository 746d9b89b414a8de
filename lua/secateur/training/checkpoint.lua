--- The state of a training in one safetensors file: weights, moments of the optimiser, best weights so far, what its
-- images are, and as JSON in the metadata the rows of the history and what the training was made of. Written whole or
-- not at all.
-- @module secateur.training.checkpoint
local checkpoint_check = require "secateur.training.checkpoint_check"
local differences = require "secateur.util.differences"
local errors = require "secateur.util.errors"
local fingerprint = require "secateur.util.fingerprint"
local json = require "secateur.util.json"
local options = require "secateur.util.options"
local safetensors = require "secateur.formats.safetensors"

local checkpoint = {}

local FORMAT, VERSION = "secateur checkpoint", "2"
local LONGEST = 160 -- bytes of a value that a message shows
local parts = { "model", "optimiser", "average", "best", "images" } -- prefixes of tensor names
local is_part = {}
for _, part in ipairs(parts) do is_part[part] = true end

local function describe_model(model)
  local nodes, numbers = {}, 0
  for i, node in ipairs(model.graph:nodes()) do
    nodes[i] = { name = node.name, op = node.op, attrs = node.attrs, inputs = node.inputs, shape = node.shape }
  end
  for _, parameter in ipairs(model.graph:parameters()) do
    local size = 1
    for _, extent in ipairs(parameter.shape) do size = size * extent end
    numbers = numbers + size
  end
  return { parameters = numbers, graph = fingerprint.text(json.encode(nodes)) }
end

local function describe_split(split)
  return { count = split:count(), size = split.size, channels = split.channels,
    classes = split.classes and #split.classes, labels = split.labels and fingerprint.text(json.encode(split.labels)),
    names = split.names and fingerprint.text(table.concat(split.names, "\n")) }
end

--- What a training is made of, as plain data: two that are described alike go the same way.
-- @tparam Model model
-- @tab data with `train`, and `val` if it is used
-- @tab settings those options that the numbers depend on, plain data
-- @treturn table
function checkpoint.describe(model, data, settings)
  return { model = describe_model(model), train = describe_split(data.train),
    val = data.val and describe_split(data.val) or { count = 0 }, options = settings }
end

-- Calls a function of safetensors; its message gets the checkpoint's path in front.
local function attempt(path, ...)
  local ok, first, second = errors.try(...)
  if ok then return first, second end
  errors.raise("checkpoint '%s': %s", path, first)
end

--- Writes a checkpoint.
-- @string path
-- @tab state `model`, `optimiser`, `average`, `best` (name -> Tensor; no `average` where none is kept, no `best` where
-- it is what the epoch gave), `images` (split -> Tensor [images x 3], see secateur.data.image_files), `record` (plain
-- data)
-- @tab description see `checkpoint.describe`
function checkpoint.save(path, state, description)
  local tensors = {}
  for _, part in ipairs(parts) do
    for name, tensor in pairs(state[part] or {}) do tensors[part .. "/" .. name] = tensor end
  end
  attempt(path, safetensors.save, path, tensors, { format = FORMAT, version = VERSION,
    record = json.encode(state.record), description = json.encode(description) })
end

-- An object of JSON; what is none, or no JSON, is a damaged file.
local function decode(path, field, text)
  local ok, value = errors.try(json.decode, text or "", { unique = true })
  if not ok then errors.raise("checkpoint '%s': is damaged: %s: %s", path, field, value) end
  if type(value) ~= "table" or next(value) ~= nil and type(next(value)) ~= "string" then
    errors.raise("checkpoint '%s': is damaged: %s: expected an object", path, field)
  end
  return value
end

local function check_description(path, old, new)
  local text = differences.text(old, new, LONGEST, "%s: %s there, %s now")
  if text then errors.raise("checkpoint '%s': is of another training: %s", path, text) end
end

--- Reads a checkpoint of a training that is described like this; any other is refused, and one that does not hold its
-- whole state.
-- @string path
-- @tab description see `checkpoint.describe`
-- @tab training what the state is held against, see secateur.training.checkpoint_check
-- @treturn table state, as `save` takes
function checkpoint.load(path, description, training)
  local tensors, meta = attempt(path, safetensors.load, path)
  if meta.format ~= FORMAT then
    errors.raise("checkpoint '%s': expected a file written by train, got another safetensors file", path)
  elseif meta.version ~= VERSION then
    errors.raise("checkpoint '%s': expected version %s, got %s", path, VERSION, options.describe(meta.version))
  end
  check_description(path, decode(path, "description", meta.description), description)
  local state = { record = decode(path, "record", meta.record) }
  for name, tensor in pairs(tensors) do
    local part, rest = name:match("^(%l+)/(.+)$")
    if not is_part[part] then
      errors.raise("checkpoint '%s': is damaged: tensor %s: unexpected", path, options.describe(name))
    end
    state[part] = state[part] or {}
    state[part][rest] = tensor
  end
  local ok, problem = errors.try(checkpoint_check.state, state, training)
  if not ok then errors.raise("checkpoint '%s': is damaged: %s", path, problem) end
  return state
end

return checkpoint
