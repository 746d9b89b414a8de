--- A model for other classes, channels or image sizes than its weights were made for.
-- @module secateur.pretrained.adapt
local bindings = require "secateur.models.parameter_slots"
local core = require "secateur.core"
local errors = require "secateur.util.errors"
local families = require "secateur.models.families"
local init_weights = require "secateur.models.initial_weights"
local model = require "secateur.models.model"
local plans = require "secateur.models.pruning_plan"
local position = require "secateur.pretrained.position_embedding"

local adapt = {}

local POSITION = "encoder.pos_embedding"

-- How to draw a head of no family that we know: as torch does.
local default_initial = { { "weight$", "torch_default" }, { "bias$", "torch_default_bias" } }

local function find(nodes, name)
  for _, node in ipairs(nodes) do
    if node.name == name then return node end
  end
  return nil
end

--- Draws the parameters of a last layer, as its architecture does.
-- @tparam Graph graph
-- @string head node
-- @tparam string|nil architecture
-- @int seed
function adapt.draw(graph, head, architecture, seed)
  local wanted, family = {}, architecture and families.of(architecture)
  for _, param in pairs(find(graph:nodes(), head).params) do wanted[param.name] = true end
  init_weights(graph, family and family.initial or default_initial, seed, wanted)
end

-- Whether no other node uses a node's parameters.
local function owns_parameters(plan, node)
  local own = {}
  for _, param in pairs(node.params) do own[param.name] = not param.total end
  for _, other in ipairs(plan.nodes) do
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

local function change_classes(plan, classes)
  local head = find(plan.nodes, plan.graph:output())
  if head.op ~= "linear" or not owns_parameters(plan, head) then
    errors.raise("classes: expected a model that ends with a linear layer of its own, got %s '%s'", head.op, head.name)
  end
  if head.attrs.out == classes then return end
  plan:note("replaced the head '%s' of %d classes by a new one of %d", head.name, head.attrs.out, classes)
  plan.attrs[head.name], plan.drawn = { out = classes }, head.name
  for _, param in pairs(head.params) do plan.values[param.name] = false end
  plan.info.classes = nil -- the names of the old ones
end

local function change_channels(plan, channels)
  local image = plan.input.attrs.shape
  if image[1] == channels then return end
  if channels ~= 1 then
    errors.raise("channels: expected 1 or the %d that the weights are for, got %d", image[1], channels)
  end
  for _, node in ipairs(plan.nodes) do
    if reads(node, plan.input.name) then
      if node.op ~= "conv2d" or node.attrs.groups ~= 1 or not owns_parameters(plan, node) then
        errors.raise("channels: expected images to enter through plain convolutions, got %s '%s'", node.op, node.name)
      end
      local name = node.params[1].name
      local weight = plan.graph:parameter(name)
      local shape = weight:shape()
      plan.values[name] = weight:sum(2):reshape(shape[1], 1, shape[3], shape[4])
      plan:note("summed the weights of '%s' over its %d input channels", node.name, image[1])
    end
  end
  plan.input.attrs.shape = { channels, image[2], image[3] }
  plan.info.normalisation = nil -- that of colours
end

local function change_size(plan, size)
  local image = plan.input.attrs.shape
  if image[2] == size and image[3] == size then return end
  local embedding, patches = find(plan.nodes, POSITION), find(plan.nodes, "conv_proj")
  if embedding and patches then
    local patch = patches.attrs.stride[1]
    if size % patch ~= 0 then errors.raise("size: expected a multiple of the patch %d, got %d", patch, size) end
    local old, new = image[2] // patch, size // patch
    local name = embedding.params[1].name
    plan.attrs[POSITION] = { shape = { 1 + new * new, embedding.attrs.shape[2] } }
    plan.values[name] = position.resize(plan.graph:parameter(name), old, new)
    plan:note("interpolated the position embedding from %d x %d to %d x %d patches", old, old, new, new)
  end
  plan.input.attrs.shape = { image[1], size, size }
end

local function rebuild(plan)
  local graph = core.graph()
  for _, node in ipairs(plan.nodes) do
    for key, value in pairs(plan.attrs[node.name] or {}) do node.attrs[key] = value end
    graph:add(node.op, node.name, node.inputs, node.attrs, bindings(node))
  end
  graph:output(plan.graph:output())
  for _, parameter in ipairs(plan.graph:parameters()) do
    local value = plan.values[parameter.name]
    if value == nil then value = plan.graph:parameter(parameter.name) end
    if value then graph:set_parameter(parameter.name, value) end
  end
  return graph
end

-- The channels were judged; what still can fail depends on the image, or on the memory that a head takes.
local function rebuild_for(wanted, plan)
  local ok, graph = errors.try(rebuild, plan)
  if ok then return graph end
  local message = graph
  if plan.drawn and message:find(("linear '%s': "):format(plan.drawn), 1, true) then
    errors.raise("classes: expected a head that fits into memory, got %d: %s", wanted.classes, message)
  end
  errors.raise("size: expected one that the model's layers fit, got %s: %s", wanted.size, message)
end

local Plan = {}
Plan.__index = Plan

-- A sentence on what changes.
function Plan:note(format, ...) self.notes[#self.notes + 1] = format:format(...) end

--- Changes what is asked for and differs. All other parameters are shared with the model given. Raises without a
-- @tparam Model given
-- @tab wanted any of `classes`, `channels` (1: the first convolution summed over its input channels), `size`
-- @int seed for the new head
-- @tparam {string,...} notes gets a sentence for each change to weights
-- @treturn Model the same one when nothing differs
function adapt.model(given, wanted, seed, notes)
  local graph, info = given.graph, {}
  for key, value in pairs(given.info) do info[key] = value end
  local plan = setmetatable({ graph = graph, nodes = graph:nodes(), attrs = {}, values = {}, info = info,
    notes = notes }, Plan)
  for _, node in ipairs(plan.nodes) do
    if node.op == "input" then plan.input = node end
  end
  local before = table.concat(plan.input.attrs.shape, "x")
  if wanted.classes then change_classes(plan, wanted.classes) end
  if wanted.channels then change_channels(plan, wanted.channels) end
  if wanted.size then change_size(plan, wanted.size) end
  if not plan.drawn and table.concat(plan.input.attrs.shape, "x") == before then return given end
  local changed = model.new(rebuild_for(wanted, plan), info)
  changed.plan = given.plan and plans.copy(given.plan)
  if plan.drawn then adapt.draw(changed.graph, plan.drawn, given.info.architecture, seed) end
  return changed
end

return adapt
