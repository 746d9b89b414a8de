-- Relevance in float, where wide convolutions go through Winograd's transform, against relevance in double. Images are
-- black but for a patch, so that many sums are zero beside sums that are not.
local cores = { float = require "secateur.core", double = require "secateur.core_double" }
local composites = require "secateur.attribution.composites"

local BATCH, SIZE, CHANNELS = 3, 32, 32

-- A stem, two residual pairs of convolutions, a head: no pools, whose ties would fall differently in float and double.
local function build(core)
  local graph = core.graph()
  local function conv(name, from, options)
    options.kernel, options.padding, options.bias = 3, 1, false
    graph:add("conv2d", name, { from }, options)
    return name
  end
  local function relu(name, from)
    graph:add("relu", name, { from })
    return name
  end
  graph:add("input", "x", {}, { shape = { 3, SIZE, SIZE } })
  local last = relu("stem.relu", conv("stem", "x", { out = CHANNELS }))
  for i = 1, 2 do
    local block = "block" .. i
    local inner = relu(block .. ".relu1", conv(block .. ".conv1", last, { out = CHANNELS }))
    graph:add("add", block .. ".add", { conv(block .. ".conv2", inner, { out = CHANNELS }), last })
    last = relu(block .. ".relu2", block .. ".add")
  end
  graph:add("adaptive_avg_pool2d", "pool", { last }, { output = 1 })
  graph:add("flatten", "flat", { "pool" })
  graph:add("linear", "head", { "flat" }, { out = 4, bias = false })
  for i, p in ipairs(graph:parameters()) do
    local count = 1
    for _, size in ipairs(p.shape) do count = count * size end
    local numbers = (cores.float.randn(count, { seed = 10 + i }) * 0.1):totable()
    graph:set_parameter(p.name, core.tensor(numbers):reshape(table.unpack(p.shape)))
  end
  return graph
end

local function image()
  local x = cores.float.zeros(BATCH, 3, SIZE, SIZE)
  local noise = cores.float.rand(BATCH, 3, 9, 9, { seed = 1 })
  for n = 1, BATCH do
    for c = 1, 3 do
      for i = 1, 9 do
        for j = 1, 9 do x:set(noise:get(n, c, i, j), n, c, 10 + i, 6 + j) end
      end
    end
  end
  return x:totable()
end

local function relevance(core, composite, exact)
  local graph = build(core)
  local nodes, names = graph:nodes(), {}
  for i, node in ipairs(nodes) do names[i] = node.name end
  local rules = composites.resolve("spec", composites.get("spec", composite), nodes)
  local walker = core.relevance(graph, { batch = BATCH, rules = rules, keep = names, exact = exact })
  walker:forward(core.tensor(image()))
  local start = core.zeros(BATCH, 4)
  for n = 1, BATCH do start:set(1, n, n) end
  walker:backward(start)
  local out = {}
  for _, name in ipairs(names) do out[name] = walker:relevance(name) end
  return out
end

describe("relevance in float", function()
  for composite, tolerance in pairs {
    epsilon_plus = 1e-4, epsilon_plus_flat = 1e-4, epsilon_alpha2_beta1 = 1e-4, epsilon_gamma_box = 1e-4, dlb = 1e-5,
  } do
    it("is that in double: " .. composite, function()
      local float, double = relevance(cores.float, composite), relevance(cores.double, composite)
      for name, expected in pairs(double) do
        local got = cores.double.tensor(float[name]:totable())
        local worst = (got - expected):abs():max() / expected:abs():max()
        assert.is_true(worst < tolerance, ("%s: %.2g of the largest value"):format(name, worst))
      end
    end)
  end

  it("may be had without the transform at all", function()
    local fast, exact = relevance(cores.float, "epsilon_plus"), relevance(cores.float, "epsilon_plus", true)
    local difference = (fast.x - exact.x):abs():max() / exact.x:abs():max()
    assert.is_true(difference > 0 and difference < 1e-4, difference)
    local double = relevance(cores.double, "epsilon_plus", true)
    for name, expected in pairs(double) do
      local got = cores.double.tensor(exact[name]:totable())
      local worst = (got - expected):abs():max() / expected:abs():max()
      assert.is_true(worst < 5e-5, name .. ": " .. worst)
    end
  end)
end)
