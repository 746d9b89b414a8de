--- Builds graphs: one method per operation, and the composite blocks that architectures share.
--
-- Every method takes the new node's name, the name of its input (or a list of names), the operation's attributes and,
-- rarely, where its parameters come from; it returns the node's name, so that calls chain:
--
--     x = net:conv2d("stem.conv", x, { out = 16, kernel = 3, padding = 1 })
--     x = net:relu("stem.relu", x)
--
-- `core.operations()` lists the operations; shapes are judged as nodes are added.
-- @module secateur.models.builder
local core = require "secateur.core"
local errors = require "secateur.util.errors"
local methods = require "secateur.util.methods"

--- A network under construction.
-- @type Builder
local Builder = {}
Builder.__index = Builder
Builder.__name = "Builder"

for _, operation in ipairs(core.operations()) do
  local op = operation.name
  Builder[op] = function(self, name, inputs, attributes, parameters)
    if type(inputs) == "string" then inputs = { inputs } end
    self.graph:add(op, name, inputs, attributes, parameters)
    return name
  end
end

--- Multi-head self-attention as PyTorch has it: `<name>.q`, `.k`, `.v`, `.scores`, `.probabilities`, `.context`, and
-- `<name>` itself, the output projection. Parameters are `in_proj_weight`, `in_proj_bias`, `out_proj.weight` and
-- `out_proj.bias`.
-- @string name
-- @string input a node of shape [T x D]
-- @tparam table opts `heads`, a divisor of D
-- @treturn string name
function Builder:self_attention(name, input, opts)
  local dim = self:shape(input)[2]
  local parts = {}
  for i, part in ipairs { "q", "k", "v" } do
    parts[part] = self:linear(name .. "." .. part, input, { out = dim }, {
      weight = { name = name .. ".in_proj_weight", first = (i - 1) * dim + 1, total = 3 * dim },
      bias = { name = name .. ".in_proj_bias", first = (i - 1) * dim + 1, total = 3 * dim },
    })
  end
  local scores = self:attention_scores(name .. ".scores", { parts.q, parts.k }, { heads = opts.heads })
  local weights = self:softmax(name .. ".probabilities", scores)
  local context = self:attention_context(name .. ".context", { weights, parts.v })
  return self:linear(name, context, { out = dim },
    { weight = { name = name .. ".out_proj.weight" }, bias = { name = name .. ".out_proj.bias" } })
end

--- The shape of one sample at a node.
-- @string name
-- @treturn {int,...}
function Builder:shape(name)
  local node = self.graph:node(name)
  if not node then errors.raise("shape: node: expected one of the graph, got '%s'", name) end
  return node.shape
end

local builder = {}

--- A new network with an input.
-- @tparam {int,...} shape of one sample, e.g. {3, 224, 224}
-- @int[opt] room bytes that all parameters together may take: for sizes that come from a file
-- @treturn Builder
-- @treturn string the input's name, "input"
function builder.new(shape, room)
  local self = setmetatable({ graph = core.graph(room) }, Builder)
  return self, self:input("input", {}, { shape = shape })
end

methods.guard(Builder, nil, "net")

return builder
