--- Random graphs of all operations, as a file could hold them: any inputs, attributes and sharing of parameters that
-- the core accepts, sensible or not.
local draws = require "support.draws"

local random_graph = {}

local function pick(draw, list) return list[draw(1, #list)] end

local function shape(draw)
  local sizes = {}
  for d = 1, pick(draw, { 1, 2, 2, 3, 3, 3 }) do sizes[d] = draw(1, 6) end
  return sizes
end

-- An attribute's value, mostly within what its operation takes.
local values = {
  shape = shape,
  size = function(draw) return pick(draw, { 1, 1, 2, 2, 3, 4, 6 }) end,
  pair = function(draw, attr)
    local low = math.tointeger(attr.min or 0) or 0
    return draw(1, 3) == 1 and { draw(low, 3), draw(low, 3) } or draw(low, 3)
  end,
  real = function(draw) return pick(draw, { 0, 1e-6, 0.1, 0.5, 1 }) end,
  flag = function(draw) return draw(0, 1) == 1 end,
  enum = function(draw, attr) return pick(draw, attr.choices) end,
  list = function(draw) local a = draw(1, 3) return { a, draw(1, 4 - a) } end,
}

local function attributes(draw, op)
  local list = {}
  for _, attr in ipairs(op.attributes) do
    if attr.required or draw(1, 3) == 1 then list[attr.name] = values[attr.kind](draw, attr) end
  end
  return list
end

-- Where parameters come from: mostly a node's own, else another's or rows of one.
local function bindings(draw, names)
  if draw(1, 4) > 1 then return nil end
  local slots = {}
  for _, slot in ipairs { "weight", "bias", "value", "index" } do
    if draw(1, 2) == 1 then
      local rows = draw(1, 2) == 1
      slots[slot] = { name = pick(draw, names), first = rows and draw(1, 3) or nil, total = rows and draw(1, 8) or nil }
    end
  end
  return slots
end

-- How often an operation is tried, so that those that refuse most inputs are there as well.
local often = { conv2d = 5, linear = 4, max_pool2d = 3, avg_pool2d = 2, attention_scores = 4, attention_context = 4 }

local function weighted(operations)
  local list = {}
  for _, op in ipairs(operations) do
    for _ = 1, op.name == "input" and 0 or often[op.name] or 1 do list[#list + 1] = op end
  end
  return list
end

-- Names of earlier nodes, rather recent ones; of several inputs the others often have the first one's shape.
local function inputs(draw, op, names, shapes)
  local list = {}
  for k = 1, draw(op.min_inputs, math.min(op.max_inputs, op.min_inputs + 2)) do
    local same = {}
    for _, name in ipairs(k > 1 and draw(1, 4) > 1 and names or {}) do
      if shapes[name] == shapes[list[1]] then same[#same + 1] = name end
    end
    list[k] = #same > 0 and pick(draw, same) or names[math.max(1, #names + 1 - draw(1, draw(1, 2) == 1 and 2 or 8))]
  end
  return list
end

local function numbers(core, p, seed)
  local sizes = { table.unpack(p.shape) }
  if p.dtype == "int64" then
    local draw, list = draws(seed), {}
    for i = 1, sizes[1] or 1 do list[i] = draw(1, 8) > 1 and draw(1, 4) or draw(-2, 9) end
    return sizes[1] and core.tensor(list, "int64") or nil
  end
  sizes[#sizes + 1] = { seed = seed, std = 0.7 }
  local value = core.randn(table.unpack(sizes))
  return p.name:find "running_var" and value:abs() + 0.1 or value
end

--- Makes a graph, with parameters of random numbers.
-- @int seed
-- @param core the native module, of either build
-- @tparam[opt] table opts `classes` (false: the output is whatever came last; true: it is [classes])
-- @treturn Graph
-- @treturn {string,...} names of its nodes
function random_graph.make(seed, core, opts)
  local draw, graph, operations = draws(seed), core.graph(), weighted(core.operations())
  local names, shapes, stored = { "input" }, {}, { "weight", "shared" }
  local function add(op, name, ...)
    if not pcall(graph.add, graph, op, name, ...) then return false end
    if name ~= "input" then names[#names + 1] = name end
    local node = graph:node(name)
    shapes[name] = table.concat(node.shape, "x")
    for _, param in pairs(node.params) do stored[#stored + 1] = param.name end
    return true
  end
  add("input", "input", {}, { shape = shape(draw) })
  local wanted = draw(3, 12)
  local attempt = 0
  while #names <= wanted and attempt < 200 do
    attempt = attempt + 1
    local op = pick(draw, operations)
    add(op.name, "n" .. attempt, inputs(draw, op, names, shapes), attributes(draw, op), bindings(draw, stored))
  end
  if opts and opts.classes then
    add("flatten", "flat", { names[#names] })
    add("linear", "head", { names[#names] }, { out = 3 })
  end
  graph:output(names[#names])
  for i, p in ipairs(graph:parameters()) do
    local value = numbers(core, p, 1000 * seed + i)
    if value then graph:set_parameter(p.name, value) end
  end
  return graph, names
end

return random_graph
