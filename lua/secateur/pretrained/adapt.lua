--- A model for other classes, channels or image sizes than its weights were made for.
-- @module secateur.pretrained.adapt
local parameter_slots = require "secateur.models.parameter_slots"
local core = require "secateur.core"
local errors = require "secateur.util.errors"
local families = require "secateur.models.families"
local initial_weights = require "secateur.models.initial_weights"
local model = require "secateur.models.model"
local pruning_plan = require "secateur.models.pruning_plan"
local position_embedding = require "secateur.pretrained.position_embedding"

local adapt = {}

local POSITION = "encoder.pos_embedding"

-- How to draw a head of no family that we know: as torch does.
local default_initial = { { "weight$", "torch_default" }, { "bias$", "torch_default_bias" } }

--- Draws the parameters of a last layer, as its architecture does.
-- @tparam Graph graph
-- @string head node
-- @tparam string|nil architecture
-- @int seed
function adapt.draw(graph, head, architecture, seed)
  local wanted, family = {}, architecture and families.of(architecture)
  for _, param in pairs(graph:node(head).params) do wanted[param.name] = true end
  initial_weights(graph, family and family.initial or default_initial, seed, wanted)
end

-- Whether no other node uses a node's parameters.
local function owns_parameters(adaptation, node)
  local own = {}
  for _, param in pairs(node.params) do own[param.name] = not param.total end
  for _, other in ipairs(adaptation.nodes) do
    for _, param in pairs(other.params) do
      if own[param.name] ~= nil and other.name ~= node.name then own[param.name] = false end
    end
  end
  for _, alone in pairs(own) do
    if not alone then return false end
  end
  return true
end

local function reads(node, name)
  for _, input in ipairs(node.inputs) do
    if input == name then return true end
  end
  return false
end

-- Each of these notes in `plan` which attributes change and which parameters get other values.

local function change_classes(adaptation, classes)
  local head = adaptation.graph:node(adaptation.graph:output())
  if head.op ~= "linear" or not owns_parameters(adaptation, head) then
    errors.raise("classes: expected a model that ends with a linear layer of its own, got %s '%s'", head.op, head.name)
  end
  if head.attrs.out == classes then return end
  adaptation:note("replaced the head '%s' of %d classes by a new one of %d", head.name, head.attrs.out, classes)
  adaptation.attrs[head.name], adaptation.drawn = { out = classes }, head.name
  for _, param in pairs(head.params) do adaptation.values[param.name] = false end
  adaptation.info.classes = nil -- the names of the old ones
end

local function change_channels(adaptation, channels)
  local image = adaptation.input.attrs.shape
  if image[1] == channels then return end
  if channels ~= 1 then
    errors.raise("channels: expected 1 or the %d that the weights are for, got %d", image[1], channels)
  end
  for _, node in ipairs(adaptation.nodes) do
    if reads(node, adaptation.input.name) then
      if node.op ~= "conv2d" or node.attrs.groups ~= 1 or not owns_parameters(adaptation, node) then
        errors.raise("channels: expected images to enter through plain convolutions, got %s '%s'", node.op, node.name)
      end
      local name = node.params[1].name
      local weight = adaptation.graph:parameter(name)
      local shape = weight:shape()
      adaptation.values[name] = weight:sum(2):reshape(shape[1], 1, shape[3], shape[4])
      adaptation:note("summed the weights of '%s' over its %d input channels", node.name, image[1])
    end
  end
  adaptation.input.attrs.shape = { channels, image[2], image[3] }
  adaptation.info.normalisation, adaptation.info.preparation = nil, nil -- those of colours
end

local function change_size(adaptation, size)
  local image = adaptation.input.attrs.shape
  if image[2] == size and image[3] == size then return end
  local embedding, patches = adaptation.graph:node(POSITION), adaptation.graph:node "conv_proj"
  if embedding and patches then
    local patch = patches.attrs.stride[1]
    if size % patch ~= 0 then errors.raise("size: expected a multiple of the patch %d, got %d", patch, size) end
    local old, new = image[2] // patch, size // patch
    local name = embedding.params[1].name
    adaptation.attrs[POSITION] = { shape = { 1 + new * new, embedding.attrs.shape[2] } }
    adaptation.values[name] = position_embedding.resize(adaptation.graph:parameter(name), old, new)
    adaptation:note("interpolated the position embedding from %d x %d to %d x %d patches", old, old, new, new)
  end
  adaptation.input.attrs.shape = { image[1], size, size }
end

-- A pool over a whole map stays one where maps have another size.
local function keep_global(adaptation, graph, node)
  local before = node.op == "max_pool2d" and adaptation.graph:node(node.inputs[1]).shape
  local kernel = node.attrs.kernel
  if before and kernel[1] == before[2] and kernel[2] == before[3] and node.attrs.padding[1] == 0 then
    local now = graph:node(node.inputs[1]).shape
    node.attrs.kernel, node.attrs.stride = { now[2], now[3] }, { now[2], now[3] }
  end
end

local function rebuild(adaptation)
  local graph = core.graph()
  for _, node in ipairs(adaptation.nodes) do
    for key, value in pairs(adaptation.attrs[node.name] or {}) do node.attrs[key] = value end
    keep_global(adaptation, graph, node)
    graph:add(node.op, node.name, node.inputs, node.attrs, parameter_slots(node))
  end
  graph:output(adaptation.graph:output())
  for _, parameter in ipairs(adaptation.graph:parameters()) do
    local value = adaptation.values[parameter.name]
    if value == nil then value = adaptation.graph:parameter(parameter.name) end
    if value then graph:set_parameter(parameter.name, value) end
  end
  return graph
end

-- The channels were judged; what still can fail depends on the image, or on the memory that a head takes.
local function rebuild_for(wanted, adaptation)
  local ok, graph = errors.catch(rebuild, adaptation)
  if ok then return graph end
  if not errors.is_fault(graph) then errors.rethrow(graph) end
  local message = graph.message
  if adaptation.drawn and message:find(("linear '%s': "):format(adaptation.drawn), 1, true) then
    errors.raise("classes: expected a head that fits into memory, got %d: %s", wanted.classes, message)
  end
  if graph.exhausted then errors.rethrow(graph) end
  errors.raise("size: expected one that the model's layers fit, got %s: %s", wanted.size, message)
end

local Adaptation = {}
Adaptation.__index = Adaptation

-- A sentence on what changes.
function Adaptation:note(format, ...) self.notes[#self.notes + 1] = format:format(...) end

--- Changes what is asked for and differs. All other parameters are shared with the model given. Raises without a
-- @tparam Model given
-- @tab wanted any of `classes`, `channels` (1: the first convolution summed over its input channels), `size`
-- @int seed for the new head
-- @tparam {string,...} notes gets a sentence for each change to weights
-- @treturn Model the same one when nothing differs
function adapt.model(given, wanted, seed, notes)
  local graph, info = given.graph, {}
  for key, value in pairs(given.info) do info[key] = value end
  local adaptation = setmetatable({ graph = graph, nodes = graph:nodes(), attrs = {}, values = {}, info = info,
    notes = notes }, Adaptation)
  for _, node in ipairs(adaptation.nodes) do
    if node.op == "input" then adaptation.input = node end
  end
  local before = table.concat(adaptation.input.attrs.shape, "x")
  if wanted.classes then change_classes(adaptation, wanted.classes) end
  if wanted.channels then change_channels(adaptation, wanted.channels) end
  if wanted.size then change_size(adaptation, wanted.size) end
  if not adaptation.drawn and table.concat(adaptation.input.attrs.shape, "x") == before then return given end
  local changed = model.new(rebuild_for(wanted, adaptation), info)
  changed.pruning_plan = given.pruning_plan and pruning_plan.copy(given.pruning_plan)
  if adaptation.drawn then adapt.draw(changed.graph, adaptation.drawn, given.info.architecture, seed) end
  return changed
end

return adapt
