local core = require "secateur.core_double"
local single = require "support.single"
local needs = require "support.needs"

local WIDTH = 6

-- Whole numbers in 1..n, the same for the same seed.
local function dice(seed)
  local state = seed * 7919 + 17
  return function(n)
    state = state * 6364136223846793005 + 1442695040888963407
    return (state >> 33) % n + 1
  end
end

local unary = { "relu", "gelu", "tanh", "sigmoid", "silu", "layer_norm", "softmax", "linear", "linear" }

-- A graph whose nodes read whatever came before, so that lives overlap in all manner of ways.
local function random_graph(seed, count)
  local graph, names, roll = core.graph(), { "x" }, dice(seed)
  graph:add("input", "x", {}, { shape = { 3, WIDTH } })
  for i = 1, count do
    local name, kind = "n" .. i, roll(12)
    local function earlier() return names[math.max(1, #names + 1 - roll(i < 4 and 3 or 8))] end
    if kind <= #unary then
      graph:add(unary[kind], name, { earlier() }, unary[kind] == "linear" and { out = WIDTH } or nil)
    else
      local inputs = {}
      for k = 1, kind - #unary + 1 do inputs[k] = earlier() end
      graph:add("add", name, inputs)
    end
    names[#names + 1] = name
  end
  for i, p in ipairs(graph:parameters()) do
    local n = 1
    for _, size in ipairs(p.shape) do n = n * size end
    graph:set_parameter(p.name, single.tensor(core, single.numbers(n, seed + i), p.shape) * 0.5)
  end
  graph:output(names[#names - roll(3) + 1])
  return graph, names
end

local function run(graph, request, x, dy)
  request.backward, request.params, request.batch = true, true, x:size(1)
  local plan = core.plan(graph, request)
  local found = { y = plan:forward(x):totable() }
  plan:backward(dy)
  for _, p in ipairs(graph:parameters()) do found[p.name] = plan:param_grad(p.name):totable() end
  return found, plan
end

describe("the places of buffers", function()
  -- Were two live buffers to overlap, one would spoil the other's numbers.
  it("do not overlap while they live, in graphs of any form", function()
    local saved = 0
    for seed = 1, needs.some(120) do
      local graph, names = random_graph(seed, 8 + seed % 25)
      local x = single.tensor(core, single.numbers(2 * 3 * WIDTH, seed), { 2, 3, WIDTH })
      local dy = single.tensor(core, single.numbers(2 * 3 * WIDTH, seed + 500), { 2, 3, WIDTH })
      local expected, roomy = run(graph, { keep = names, keep_grads = names }, x, dy)
      local found, thrifty = run(graph, {}, x, dy)
      assert.same(expected, found)
      assert.same(expected.y, core.plan(graph, { batch = 2 }):forward(x):totable())
      local some = { names[1 + seed % #names], names[1 + seed * 3 % #names] }
      local kept, plan = run(graph, { keep = some, keep_grads = some }, x, dy)
      assert.same(expected, kept)
      for _, name in ipairs(some) do
        assert.same(roomy:grad(name):totable(), plan:grad(name):totable())
      end
      saved = saved + roomy:memory() - thrifty:memory()
    end
    assert.is_true(saved > 0)
  end)
end)
