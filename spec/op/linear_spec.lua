local core = require "secateur.core_double"
local gradcheck = require "support.gradcheck"
local reference = require "support.reference"
local single = require "support.single"

local function replica(x, graph, features, out, bias)
  local w = single.flat(graph:parameter "n.weight")
  local b, y = bias and graph:parameter "n.bias", {}
  for row = 0, #x // features - 1 do
    for o = 0, out - 1 do
      local sum = b and b[o + 1] or 0
      for i = 1, features do sum = sum + x[row * features + i] * w[o * features + i] end
      y[#y + 1] = sum
    end
  end
  return y
end

describe("linear", function()
  it("agrees with PyTorch", function() assert.is_true(reference.check "linear") end)

  it("has the gradient of its values", function()
    gradcheck.check { op = "linear", inputs = { { 7 } }, attrs = { out = 5 } }
    gradcheck.check { op = "linear", inputs = { { 5, 7 } }, attrs = { out = 3 } }
    gradcheck.check { op = "linear", inputs = { { 7 } }, attrs = { out = 1, bias = false } }
  end)

  it("maps the last dimension of vectors and tokens", function()
    for _, shape in ipairs { { 7 }, { 5, 7 } } do
      for _, bias in ipairs { true, false } do
        local case = { op = "linear", inputs = { shape }, attrs = { out = 11, bias = bias } }
        local x, y, graph = single.run(core, case, 3)
        assert.is_true(single.compare("y", y, replica(x, graph, 7, 11, bias), 1e-14))
      end
    end
  end)

  it("counts its multiply-adds", function()
    assert.equal(5 * 7 * 3, single.graph(core, { op = "linear", inputs = { { 5, 7 } }, attrs = { out = 3 } }):nodes()[2]
      .macs)
  end)

  it("refuses maps, and a missing size", function()
    assert.equal("linear 'n': input: expected [features] or [tokens x features], got [3x5x7]",
      single.refusal(core, { op = "linear", inputs = { { 3, 5, 7 } }, attrs = { out = 3 } }))
    assert.equal("linear 'n': out: missing", single.refusal(core, { op = "linear", inputs = { { 7 } } }))
  end)
end)
