local core = require "secateur.core_double"
local gradcheck = require "support.gradcheck"
local reference = require "support.reference"
local single = require "support.single"

local shape = { 3, 5, 7 }

-- Mean and biased variance of channel c of x [batch x 3 x 35].
local function statistics(x, batch, c)
  local sum, squares, count = 0, 0, batch * 35
  local function each(visit)
    for b = 0, batch - 1 do
      for p = 1, 35 do visit(x[(b * 3 + c - 1) * 35 + p]) end
    end
  end
  each(function(value) sum = sum + value end)
  each(function(value) squares = squares + (value - sum / count) ^ 2 end)
  return sum / count, squares / count, count
end

-- statistic(c) gives mean and variance.
local function replica(x, graph, eps, statistic)
  local weight, bias = graph:parameter("n.weight"), graph:parameter("n.bias")
  local y = {}
  for i, value in ipairs(x) do
    local c = (i - 1) // 35 % 3 + 1
    local mean, var = statistic(c)
    y[i] = (value - mean) / math.sqrt(var + eps) * weight[c] + bias[c]
  end
  return y
end

describe("batch_norm2d", function()
  it("agrees with PyTorch", function() assert.is_true(reference.check "batch_norm2d") end)

  it("has the gradient of its values, in training through the statistics", function()
    for _, training in ipairs { false, true } do
      gradcheck.check { op = "batch_norm2d", inputs = { shape }, training = training }
      gradcheck.check { op = "batch_norm2d", inputs = { { 5, 3, 1 } }, attrs = { eps = 0.1 }, training = training }
      gradcheck.check { op = "batch_norm2d", inputs = { { 5 } }, training = training } -- BatchNorm1d
    end
  end)

  it("uses its running statistics in inference", function()
    local x, y, graph = single.run(core, { op = "batch_norm2d", inputs = { shape } }, 3)
    local mean, var = graph:parameter("n.running_mean"), graph:parameter("n.running_var")
    local expected = replica(x, graph, 1e-5, function(c) return mean[c], var[c] end)
    assert.is_true(single.compare("y", y, expected, 1e-13))
    assert.equal(0, graph:parameter("n.num_batches_tracked"):get())
  end)

  it("uses the statistics of the batch in training", function()
    for _, batch in ipairs { 1, 3 } do
      local case = { op = "batch_norm2d", inputs = { shape }, attrs = { eps = 1e-3 }, training = true }
      local x, y, graph = single.run(core, case, batch)
      local expected = replica(x, graph, 1e-3, function(c) return statistics(x, batch, c) end)
      assert.is_true(single.compare("y", y, expected, 1e-12))
    end
  end)

  it("averages running statistics, with the unbiased variance, and counts batches", function()
    local case = { op = "batch_norm2d", inputs = { shape }, attrs = { momentum = 0.3 }, training = true }
    local before = single.graph(core, case)
    local x, _, graph = single.run(core, case, 3)
    for c = 1, 3 do
      local mean, var, count = statistics(x, 3, c)
      local old_mean, old_var = before:parameter("n.running_mean")[c], before:parameter("n.running_var")[c]
      assert.near(0.7 * old_mean + 0.3 * mean, graph:parameter("n.running_mean")[c], 1e-14)
      assert.near(0.7 * old_var + 0.3 * var * count / (count - 1), graph:parameter("n.running_var")[c], 1e-14)
    end
    assert.equal(1, graph:parameter("n.num_batches_tracked"):get())
  end)

  it("survives a single number per channel and a channel that does not vary", function()
    local _, y = single.run(core, { op = "batch_norm2d", inputs = { { 3, 1, 1 } }, training = true }, 1)
    local graph = single.graph(core, { op = "batch_norm2d", inputs = { { 3, 1, 1 } } })
    assert.same(single.flat(graph:parameter("n.bias")), y)
  end)

  it("keeps its precision where the mean is large, in float", function()
    local float = require "secateur.core"
    local graph = float.graph()
    graph:add("input", "x", {}, { shape = { 1, 31, 33 } })
    graph:add("batch_norm2d", "n", { "x" })
    local list = single.numbers(31 * 33)
    for i, value in ipairs(list) do list[i] = value + 4096 end
    local y = single.flat(float.plan(graph, { training = true }):forward(single.tensor(float, list, { 1, 1, 31, 33 })))
    local mean, var = 0, 0
    for _, value in ipairs(y) do mean = mean + value / #y end
    for _, value in ipairs(y) do var = var + (value - mean) ^ 2 / #y end
    assert.near(0, mean, 1e-3)
    assert.near(1, var, 1e-3)
  end)

  it("starts as the identity of normalised maps", function()
    local graph = core.graph()
    graph:add("input", "x", {}, { shape = shape })
    graph:add("batch_norm2d", "n", { "x" })
    local found = {}
    for _, p in ipairs(graph:parameters()) do
      found[p.name] = { trainable = p.trainable, dtype = p.dtype, first = p.dtype ~= "int64" and
        graph:parameter(p.name)[1] or graph:parameter(p.name):get() }
    end
    assert.same({
      ["n.weight"] = { trainable = true, dtype = "float64", first = 1 },
      ["n.bias"] = { trainable = true, dtype = "float64", first = 0 },
      ["n.running_mean"] = { trainable = false, dtype = "float64", first = 0 },
      ["n.running_var"] = { trainable = false, dtype = "float64", first = 1 },
      ["n.num_batches_tracked"] = { trainable = false, dtype = "int64", first = 0 },
    }, found)
  end)

  it("refuses what is not a map, and attributes out of range", function()
    local function refusal(inputs, attrs)
      return single.refusal(core, { op = "batch_norm2d", inputs = { inputs }, attrs = attrs })
    end
    assert.equal("batch_norm2d 'n': input: expected a feature map [C x H x W], got [2x5]", refusal { 2, 5 })
    assert.equal("batch_norm2d 'n': input: expected at most 2147483647 positions in a feature map, got [1x65536x65536]",
      refusal { 1, 65536, 65536 })
    assert.equal("batch_norm2d 'n': eps: expected a number in [0.0, 1.0], got -1.0", refusal(shape, { eps = -1 }))
    assert.equal("batch_norm2d 'n': momentum: expected a number in [0.0, 1.0], got 2.0",
      refusal(shape, { momentum = 2 }))
  end)
end)
