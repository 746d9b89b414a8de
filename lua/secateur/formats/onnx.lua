--- Models as ONNX files: the walk over the graph. What each operation becomes is in secateur.formats.onnx_operations,
-- how it is encoded in csrc/io/onnx.c.
-- @module secateur.formats.onnx
local core = require "secateur.core"
local decimal = require "secateur.util.decimal"
local errors = require "secateur.util.errors"
local json = require "secateur.util.json"
local onnx_operations = require "secateur.formats.onnx_operations"

local onnx = {}

local IR_VERSION, OPSET = 8, 17 -- of ONNX 1.12 (2022), the first with LayerNormalization

--- An export under way. Values are names; `batched` tells those with the run's batch from those with a batch of one.
-- @type Net
local Net = {}
Net.__index = Net

local function new_net(graph)
  local self = setmetatable({ graph = graph, nodes = {}, initializers = {}, values = {}, names = {}, shared = {},
    batched = {}, shapes = {} }, Net)
  for _, node in ipairs(graph:nodes()) do self.shapes[node.name], self.names[node.name] = node.shape, true end
  return self
end

-- The name, or the first of name_1, name_2, ... that is not taken; it is afterwards.
local function fresh(taken, name)
  local free, count = name, 0
  while taken[free] do
    count = count + 1
    free = name .. "_" .. count
  end
  taken[free] = true
  return free
end

-- A node; its value is called like it, as far as the name is free.
function Net:add(name, op, inputs, attributes)
  local value = fresh(self.values, name)
  self.nodes[#self.nodes + 1] = { op = op, name = name, inputs = inputs, outputs = { value }, attributes = attributes }
  for _, input in ipairs(inputs) do self.batched[value] = self.batched[value] or self.batched[input] end
  return value
end

-- A node on the way to another's value.
function Net:step(node, op, inputs, attributes)
  return self:add(fresh(self.names, node.name .. "/" .. op), op, inputs, attributes)
end

-- The node that computes another's value, and is called like it.
function Net:last(node, op, inputs, attributes)
  return self:add(node.name, op, inputs, attributes)
end

-- A constant of that name, if no other value has it; what it holds is shared, not copied.
function Net:constant(name, tensor)
  local value = fresh(self.values, name)
  self.initializers[#self.initializers + 1] = { name = value, tensor = tensor }
  return value
end

-- make()'s result; the same again for the same key.
function Net:once(key, make)
  if not self.shared[key] then self.shared[key] = make() end
  return self.shared[key]
end

-- A list of whole numbers, or a single one.
function Net:integers(list)
  local single = type(list) ~= "table"
  local text = single and tostring(list) or table.concat(list, "x")
  return self:once((single and "integer." or "integers.") .. text, function()
    local tensor = core.tensor(single and { list } or list, "int64")
    return self:constant((single and "integer." or "integers.") .. text, single and tensor:reshape() or tensor)
  end)
end

-- A number by itself.
function Net:number(number)
  local name = "number." .. decimal("%.9g", number)
  return self:once(name, function() return self:constant(name, core.tensor({ number }):reshape()) end)
end

-- The parameter in a slot of a node: under its own name where the node uses all of it, else named after the node.
function Net:parameter(node, slot)
  local use = node.params[slot]
  local key = ("%s\0%d\0%s"):format(use.name, use.first, table.concat(use.shape, "x"))
  return self:once(key, function()
    local tensor = self.graph:parameter(use.name)
    if not use.total then return self:constant(use.name, tensor) end
    local part = tensor:view(use.first, use.first + use.shape[1] - 1)
    return self:constant(("%s.%s"):format(node.name, #use.shape > 1 and "weight" or "bias"), part)
  end)
end

-- A matrix, transposed; runtimes compute that once, when they load the model.
function Net:transposed(node, value)
  return self:once("transposed\0" .. value, function()
    return self:step(node, "Transpose", { value }, { { "perm", { 1, 0 } } })
  end)
end

-- A value with a batch of one, repeated for the run's batch; others stay as they are.
function Net:expanded(node, value, shape)
  if self.batched[value] then return value end
  local batch = self:once("batch", function()
    return self:step({ name = "batch" }, "Shape", { self.input }, { { "end", 1 }, { "start", 0 } })
  end)
  local whole = self:step(node, "Concat", { batch, self:integers(shape) }, { { "axis", 0 } })
  local result = self:step(node, "Expand", { value, whole })
  self.batched[result] = true
  return result
end

-- ---- the graph ----

-- Nodes that the output is made from, in order.
local function needed(graph)
  local nodes, wanted = graph:nodes(), { [graph:output()] = true }
  local list = {}
  for i = #nodes, 1, -1 do
    if wanted[nodes[i].name] then
      table.insert(list, 1, nodes[i])
      for _, name in ipairs(nodes[i].inputs) do wanted[name] = true end
    end
  end
  return list
end

-- Images in [0, 1] to what the network was trained on: (x - mean) / std per channel.
local function normalised(net, given)
  local channels = #given.mean
  local place = { name = "normalise" }
  local mean = net:constant("normalise.mean", core.tensor(given.mean):reshape(1, channels, 1, 1))
  local std = net:constant("normalise.std", core.tensor(given.std):reshape(1, channels, 1, 1))
  return net:step(place, "Div", { net:step(place, "Sub", { net.input, mean }), std })
end

-- The value under the name wanted for the output: what computes it is told so.
local function rename(net, value, name)
  for _, node in ipairs(net.nodes) do
    if node.outputs[1] == value then node.outputs[1] = name end
    for i, input in ipairs(node.inputs) do
      if input == value then node.inputs[i] = name end
    end
  end
end

local function is_computed(net, value)
  for _, node in ipairs(net.nodes) do
    if node.outputs[1] == value then return true end
  end
  return false
end

local function finish(net, value, shape, opts)
  local place = { name = opts.output_name }
  value = net:expanded(place, value, shape)
  if opts.activation then
    value = net:step(place, opts.activation, { value }, opts.activation == "Softmax" and { { "axis", -1 } } or nil)
  end
  if not is_computed(net, value) then value = net:step(place, "Identity", { value }) end
  rename(net, value, opts.output_name)
end

--- The nodes and constants of a graph.
-- @tparam Graph graph
-- @tab opts see `write`
-- @treturn Net with `nodes` and `initializers`
function onnx.convert(graph, opts)
  local net = new_net(graph)
  net.values[opts.input_name], net.values[opts.output_name] = true, true
  net.input = opts.input_name
  net.batched[net.input] = true
  net.images = opts.normalisation and normalised(net, opts.normalisation) or net.input
  local values = {}
  for _, node in ipairs(needed(graph)) do
    local inputs = {}
    for i, name in ipairs(node.inputs) do inputs[i] = values[name] end
    values[node.name] = onnx_operations[node.op](net, node, inputs)
  end
  finish(net, values[graph:output()], net.shapes[graph:output()], opts)
  return net
end

-- ---- the file ----

local function check_text(what, text)
  if not utf8.len(text) then errors.raise("%s: expected UTF-8, got other bytes", what) end
  return text
end

local function fill(file, net, opts, shapes)
  for _, pair in ipairs(opts.metadata) do
    file:metadata(check_text("metadata", pair[1]), check_text(pair[1], pair[2]))
  end
  file:input(opts.input_name, { "batch", table.unpack(shapes.input) })
  file:output(opts.output_name, { "batch", table.unpack(shapes.output) })
  for _, each in ipairs(net.initializers) do
    file:initializer(check_text("parameter", each.name), each.tensor)
  end
  for _, node in ipairs(net.nodes) do
    check_text("node", node.name)
    file:node(node)
  end
end

--- Writes a graph as an ONNX model.
-- @tparam Graph graph
-- @tab opts `name` of the graph, `input_name`, `output_name`, `fold` (batch norms into the layers before them),
--   `activation` ("Softmax" or "Sigmoid": probabilities instead of logits, or nil), `normalisation` ({ mean, std } to
--   apply to images, or nil), `metadata` (list of { key, value })
-- @tparam table shapes `input` and `output`, of one sample
-- @string path
function onnx.write(graph, opts, shapes, path)
  local net = onnx.convert(opts.fold and core.fold_batch_norm(graph) or graph, opts)
  local file <close> = core.onnx { ir_version = IR_VERSION, opset = OPSET, producer = "secateur", version = "scm",
    name = opts.name }
  fill(file, net, opts, shapes)
  file:write(path)
end

--- The text of a value in a model's metadata.
-- @param value as for JSON
-- @treturn string
function onnx.text(value)
  return type(value) == "string" and value or json.encode(value)
end

return onnx
