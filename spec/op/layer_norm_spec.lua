local core = require "secateur.core_double"
local gradcheck = require "support.gradcheck"
local reference = require "support.reference"
local single = require "support.single"

local function replica(x, graph, d, eps)
  local weight, bias, y = graph:parameter("n.weight"), graph:parameter("n.bias"), {}
  for first = 1, #x, d do
    local mean, var = 0, 0
    for i = first, first + d - 1 do mean = mean + x[i] / d end
    for i = first, first + d - 1 do var = var + (x[i] - mean) ^ 2 / d end
    for i = first, first + d - 1 do
      y[i] = (x[i] - mean) / math.sqrt(var + eps) * weight[i - first + 1] + bias[i - first + 1]
    end
  end
  return y
end

describe("layer_norm", function()
  it("agrees with PyTorch", function() assert.is_true(reference.check "layer_norm") end)

  it("has the gradient of its values", function()
    gradcheck.check { op = "layer_norm", inputs = { { 7 } } }
    gradcheck.check { op = "layer_norm", inputs = { { 5, 11 } } }
    gradcheck.check { op = "layer_norm", inputs = { { 2, 37 } }, attrs = { eps = 0.1 } }
  end)

  it("normalises the last dimension", function()
    for _, shape in ipairs { { 9 }, { 5, 7 }, { 3, 67 } } do
      local x, y, graph = single.run(core, { op = "layer_norm", inputs = { shape } }, 3)
      assert.is_true(single.compare("y", y, replica(x, graph, shape[#shape], 1e-6), 1e-12))
    end
  end)

  it("shares its work without changing a bit of it", function()
    local case = { op = "layer_norm", inputs = { { 70, 193 } } }
    local x, y, graph = single.run(core, case, 3)
    assert.is_true(single.compare("y", y, replica(x, graph, 193, 1e-6), 1e-12))
    local _, again = single.run(core, case, 3)
    assert.same(y, again)
  end)

  it("gives the shift where nothing varies", function()
    local graph = single.graph(core, { op = "layer_norm", inputs = { { 4 } } })
    local y = core.plan(graph, {}):forward(core.tensor { { 3, 3, 3, 3 } })
    assert.same(single.flat(graph:parameter("n.bias")), single.flat(y))
  end)

  it("refuses attributes out of range", function()
    assert.equal("layer_norm 'n': eps: expected a number in [0.0, 1.0], got 3.0",
      single.refusal(core, { op = "layer_norm", inputs = { { 4 } }, attrs = { eps = 3 } }))
  end)
end)
