--- Random architectures: convolutions of all kinds, pools, residual sums and branches under a linear head, or a small
-- transformer. Every node but the input of a fork feeds exactly one other (forks go through dropouts, which are
-- inert), so that nearly every place in the order of nodes is a cut.
local custom = require "secateur.models.custom"
local double = require "secateur.core_double"
local draws = require "support.draws"

local random_net = {}

local CLASSES = 4

local function shape_of(self) return self.shapes[self.last] end

-- Adds a node behind the last one (or behind inputs); false where its shape is impossible.
local function add(self, op, attrs, inputs)
  local name = "n" .. #self.nodes + 1
  inputs = inputs or { self.last }
  if not pcall(self.graph.add, self.graph, op, name, inputs, attrs) then return false end
  self.nodes[#self.nodes + 1] = { op, name, inputs, attrs or {} }
  local nodes = self.graph:nodes()
  self.shapes[name], self.last = nodes[#nodes].shape, name
  return name
end

local function activation(self)
  local list = self.activations
  add(self, list[self.draw(1, #list)])
end

local function same(self, out)
  add(self, "conv2d", { out = out, kernel = { 3, 3 }, padding = 1, bias = self.bias })
end

local function fork(self)
  local start = self.last
  local left = add(self, "dropout", { p = 0.5 }, { start })
  return left, add(self, "dropout", { p = 0.5 }, { start })
end

local stages = {
  function(self) -- any kernel, stride and padding
    local draw = self.draw
    if add(self, "conv2d", { out = draw(2, 5), kernel = { draw(1, 3), draw(2, 4) }, stride = { draw(1, 2), draw(1, 3) },
      padding = { 0, draw(0, 1) }, bias = self.bias }) then activation(self) end
  end,
  function(self)
    if add(self, "conv2d", { out = self.draw(2, 4), kernel = 2, dilation = { 2, 1 }, padding = { 1, 0 },
      bias = self.bias }) then activation(self) end
  end,
  function(self) -- depthwise
    local width = shape_of(self)[1]
    add(self, "conv2d", { out = width, kernel = 3, padding = 1, groups = width, bias = self.bias })
    activation(self)
  end,
  function(self) add(self, "max_pool2d", { kernel = 3, stride = 2, padding = 1 }) end,
  function(self) add(self, "max_pool2d", { kernel = { 2, 3 }, stride = 1 }) end,
  function(self) add(self, "avg_pool2d", { kernel = { 2, 1 }, stride = { 1, 2 } }) end,
  function(self) -- residual sum
    local left, right = fork(self)
    self.last = right
    same(self, self.draw(2, 4))
    activation(self)
    same(self, self.shapes[left][1])
    add(self, "add", nil, { left, self.last })
    activation(self)
  end,
  function(self) -- branches side by side
    local left, right = fork(self)
    self.last = right
    same(self, self.draw(1, 3))
    activation(self)
    add(self, "concat", nil, { left, self.last })
  end,
}

local max_pools = { [4] = true, [5] = true } -- places in stages

local function convolutional(self)
  for _ = 1, self.draw(3, 5) do
    local stage = self.draw(1, #stages)
    if not (self.smooth and max_pools[stage]) then stages[stage](self) end
  end
  if self.draw(0, 1) == 1 then add(self, "adaptive_avg_pool2d", { output = { 1, self.draw(1, 3) } }) end
  add(self, "flatten")
  if self.draw(0, 1) == 1 then
    add(self, "linear", { out = self.draw(4, 8), bias = self.bias })
    activation(self)
  end
end

local function parameter(self, shape) return add(self, "parameter", { shape = shape }, {}) end

local function attention(self, dim)
  local start = self.last
  local parts = {}
  for i = 1, 3 do parts[i] = add(self, "linear", { out = dim, bias = self.bias }, { start }) end
  local scores = add(self, "attention_scores", { heads = 2 }, { parts[1], parts[2] })
  local weights = add(self, "softmax", nil, { scores })
  add(self, "attention_context", nil, { weights, parts[3] })
  add(self, "linear", { out = dim, bias = self.bias })
end

local function transformer(self)
  local dim = 2 * self.draw(2, 4)
  local patch = { self.draw(2, 4), self.draw(2, 4) }
  add(self, "conv2d", { out = dim, kernel = patch, stride = patch, bias = self.bias })
  local tokens = add(self, "tokens")
  local token = parameter(self, { 1, dim })
  local sequence = add(self, "concat", nil, { token, tokens })
  add(self, "add", nil, { sequence, parameter(self, self.shapes[sequence]) })
  for _ = 1, self.draw(1, 2) do
    local start = self.last
    add(self, "layer_norm", { eps = 1e-6 })
    attention(self, dim)
    local middle = add(self, "add", nil, { self.last, start })
    add(self, "layer_norm", { eps = 1e-6 })
    add(self, "linear", { out = dim + 3, bias = self.bias })
    add(self, "gelu")
    add(self, "linear", { out = dim, bias = self.bias })
    add(self, "add", nil, { middle, self.last })
  end
  add(self, "layer_norm", { eps = 1e-6 })
  add(self, "select", { index = 1 })
end

--- A random network.
-- @int seed
-- @tparam[opt] table opts `bias` (false), `activations` ({"relu"}), `smooth` (false: without max pools), `transformer`
--   (false)
-- @treturn table `input` (shape of a sample), `nodes` ({operation, name, inputs, attributes} each), `seed`
function random_net.make(seed, opts)
  opts = opts or {}
  local draw = draws(seed)
  local input = { draw(1, 3), draw(7, 11), draw(7, 12) }
  local self = { draw = draw, graph = double.graph(), nodes = {}, shapes = { input = input }, last = "input",
    bias = opts.bias or false, smooth = opts.smooth, activations = opts.activations or { "relu" } }
  self.graph:add("input", "input", {}, { shape = input })
  if opts.transformer then transformer(self) else convolutional(self) end
  add(self, "linear", { out = CLASSES, bias = self.bias })
  return { input = input, nodes = self.nodes, seed = seed, bias = self.bias }
end

-- Numbers for the parameters: weights that keep the scale of what they read, gains around one, shifts of 0 if unbiased.
local function fill(net, core, graph)
  for i, p in ipairs(graph:parameters()) do
    local sizes, fan = { table.unpack(p.shape) }, 1
    for d = 2, #sizes do fan = fan * sizes[d] end
    sizes[#sizes + 1] = { seed = 1000 * net.seed + i, std = p.name:find "value$" and 0.5 or math.sqrt(2 / fan) }
    local value = core.randn(table.unpack(sizes))
    if #p.shape == 1 then -- a bias, or a layer norm's gain or shift
      value = value * 0.2
      if p.name:find "weight$" then value = value + 1 elseif not net.bias then value = value * 0 end
    end
    graph:set_parameter(p.name, value)
  end
end

--- Its graph, with random parameters.
-- @tparam table net
-- @param core the native module, of either build
-- @treturn Graph
function random_net.graph(net, core)
  local graph = core.graph()
  graph:add("input", "input", {}, { shape = net.input })
  for _, node in ipairs(net.nodes) do graph:add(node[1], node[2], node[3], node[4]) end
  fill(net, core, graph)
  return graph
end

--- The same as a model, in float.
-- @tparam table net
-- @treturn Model
function random_net.model(net)
  local model = custom { input = net.input, name = "random", build = function(builder)
    for _, node in ipairs(net.nodes) do builder[node[1]](builder, node[2], node[3], node[4]) end
  end }
  fill(net, require "secateur.core", model.graph)
  return model
end

--- The cuts of a network: for each place in the order of nodes that is one, the names of the nodes that everything
-- behind it reads, sources among them.
-- @tparam {table,...} nodes from graph:nodes()
-- @treturn {{string,...},...}
function random_net.cuts(nodes)
  local readers, cuts = {}, {}
  for i, node in ipairs(nodes) do
    readers[node.name] = {}
    for _, input in ipairs(node.inputs) do table.insert(readers[input], i) end
  end
  for k = 1, #nodes - 1 do
    local front, whole = {}, true
    for i, node in ipairs(nodes) do
      local before, behind = 0, 0
      for _, reader in ipairs(readers[node.name]) do
        if reader > k then behind = behind + 1 else before = before + 1 end
      end
      local source = #node.inputs == 0
      if behind > 0 and (i <= k or source) then
        front[#front + 1] = node.name
        whole = whole and before == 0
      end
    end
    if whole then cuts[#cuts + 1] = { at = k, table.unpack(front) } end
  end
  return cuts
end

return random_net
