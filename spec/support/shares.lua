--- What a rule keeps: for each output of a linear operation without biases, the sum of what its inputs receive per unit
-- of its relevance, from the rule's definition and plain runs of the operation. 1 where relevance is conserved.
local double = require "secateur.core_double"
local single = require "support.single"

local shares = {}

local EPSILON = 1e-6

-- The operation's values for other inputs and other weights.
local function run(node, x, weight)
  if node.op == "add" then return x[1] + x[2] end
  local graph, shape = double.graph(), x[1]:shape()
  table.remove(shape, 1)
  graph:add("input", "x", {}, { shape = shape })
  graph:add(node.op, "n", { "x" }, node.attrs)
  if weight then graph:set_parameter("n.weight", weight) end
  return double.plan(graph, { batch = x[1]:size(1) }):forward(x[1])
end

local function change(tensor, f)
  local list = single.flat(tensor)
  for i, v in ipairs(list) do list[i] = f(v) end
  return single.tensor(double, list, tensor:shape())
end

local function plus(v) return math.max(v, 0) end
local function minus(v) return math.min(v, 0) end
local function one() return 1 end

local function ratio(z, epsilon)
  local d = z >= 0 and z + epsilon or z - epsilon
  return d ~= 0 and z / d or 0
end

-- The positive and the negative parts of the sums, as flat lists.
local function parts(node, x, weight)
  local xp, xn, wp, wn = change(x[1], plus), change(x[1], minus), change(weight, plus), change(weight, minus)
  local positive = run(node, { xp }, wp) + run(node, { xn }, wn)
  local negative = run(node, { xp }, wn) + run(node, { xn }, wp)
  return single.flat(positive), single.flat(negative)
end

local function each(list, f, other)
  local found = {}
  for i, v in ipairs(list) do found[i] = f(v, other and other[i]) end
  return found
end

local definitions = {}

function definitions.epsilon(node, x, weight, rule)
  local epsilon = rule.groups[1].epsilon
  return each(single.flat(run(node, x, weight)), function(z) return ratio(z, epsilon) end)
end

function definitions.zplus(node, x, weight)
  return each(parts(node, x, weight), function(p) return ratio(p, EPSILON) end)
end

function definitions.alphabeta(node, x, weight, rule)
  local p, n = parts(node, x, weight)
  local alpha, beta = rule.groups[1].coefficient, -rule.groups[2].coefficient
  return each(p, function(a, b) return alpha * ratio(a, EPSILON) - beta * ratio(b, EPSILON) end, n)
end

function definitions.gamma(node, x, weight)
  local p, n = parts(node, x, weight)
  return each(p, function(a, b)
    local z = a + b
    return z > 0 and ratio(z + 0.25 * a, EPSILON) or z < 0 and ratio(z + 0.25 * b, EPSILON) or 0
  end, n)
end

function definitions.flat(node, x, weight)
  local ones = {}
  for i, value in ipairs(x) do ones[i] = change(value, one) end
  local counts = run(node, ones, weight and change(weight, one))
  return each(single.flat(counts), function(z) return ratio(z, EPSILON) end)
end

function definitions.wsquare(node, x, weight)
  return each(single.flat(run(node, { change(x[1], one) }, weight * weight)), function(z) return ratio(z, EPSILON) end)
end

function definitions.zbox(node, x, weight)
  local low, high = change(x[1], function() return -3 end), change(x[1], function() return 3 end)
  local z = run(node, x, weight) - run(node, { low }, change(weight, plus)) - run(node, { high }, change(weight, minus))
  return each(single.flat(z), function(v) return ratio(v, EPSILON) end)
end

function definitions.dlb(node, x, weight)
  return each(single.flat(run(node, { x[1]:abs() }, weight:abs())), function(z) return z > 0 and 1 or 0 end)
end

function definitions.magnitudes(node, x)
  local magnitudes = {}
  for i, value in ipairs(x) do magnitudes[i] = value:abs() end
  return each(single.flat(run(node, magnitudes)), function(z) return z > 0 and 1 or 0 end)
end

--- The share that each output hands on.
-- @tparam table node of graph:nodes()
-- @tparam {Tensor,...} x its inputs' values
-- @tparam Tensor|nil weight
-- @tparam table rule with a name
-- @treturn {number,...}|nil flat, like the output; nil where the rule hands on everything whatever the values
function shares.of(node, x, weight, rule)
  local define = definitions[rule.name]
  return define and define(node, x, weight, rule)
end

return shares
