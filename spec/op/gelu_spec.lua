local core = require "secateur.core_double"
local gradcheck = require "support.gradcheck"
local reference = require "support.reference"
local single = require "support.single"

-- The normal distribution function, by the series of erf (Abramowitz and Stegun 7.1.6).
local function phi(x)
  local term, sum = x, x
  for k = 1, 200 do
    term = term * x * x / (2 * k + 1)
    sum = sum + term
  end
  return 0.5 + sum * math.exp(-x * x / 2) / math.sqrt(2 * math.pi)
end

local function formula(x) return x * phi(x) end

describe("gelu", function()
  it("agrees with PyTorch", function() assert.is_true(reference.check "gelu") end)

  it("has the gradient of its values", function()
    gradcheck.check { op = "gelu", inputs = { { 7 } } }
    gradcheck.check { op = "gelu", inputs = { { 3, 5, 7 } } }
  end)

  it("follows its formula", function()
    local x, y = single.run(core, { op = "gelu", inputs = { { 5, 7 } } }, 3)
    for i, value in ipairs(x) do x[i] = formula(value) end
    assert.is_true(single.compare("gelu", y, x, 1e-14))
  end)

  it("stays finite, and keeps what is not a number", function()
    local float = require "secateur.core"
    for _, build in ipairs { core, float } do
      local graph = single.graph(build, { op = "gelu", inputs = { { 5 } } })
      local y = build.plan(graph, {}):forward(build.tensor { { -1e30, 1e30, 0 / 0, -100, 0 } }):totable()[1]
      local found = { y[1], y[2] / (y[2] > 1 and 1e30 or 1), y[3] ~= y[3], y[4], y[5] }
      for i, expected in ipairs { 0, 1, true, 0, 0 } do
        if type(expected) == "boolean" then
          assert.equal(expected, found[i])
        else
          assert.is_true(math.abs(found[i] - expected) < 1e-6)
        end
      end
    end
  end)

  it("is approximated by tanh on demand", function()
    local case = { op = "gelu", inputs = { { 5, 7 } }, attrs = { approximation = "tanh" } }
    gradcheck.check(case)
    local x, y = single.run(core, case, 3)
    for i, value in ipairs(x) do
      local e = math.exp(2 * math.sqrt(2 / math.pi) * (value + 0.044715 * value ^ 3))
      x[i] = 0.5 * value * (1 + (e - 1) / (e + 1))
    end
    assert.is_true(single.compare("gelu", y, x, 1e-14))
  end)

  it("is good to 1e-6 of its value in float", function()
    local float = require "secateur.core"
    local x = {}
    for i = 1, 900 do x[i] = -3 + i / 100 end
    local graph = single.graph(float, { op = "gelu", inputs = { { #x } } })
    local input = float.tensor { x }
    local y = float.plan(graph, {}):forward(input):totable()[1]
    for i, value in ipairs(input:totable()[1]) do
      assert.is_true(math.abs(y[i] - formula(value)) <= 1e-6 * math.abs(formula(value)))
    end
  end)

  it("refuses other approximations", function()
    assert.equal("gelu 'n': approximation: expected one of none, tanh, got 'fast'",
      single.refusal(core, { op = "gelu", inputs = { { 3 } }, attrs = { approximation = "fast" } }))
  end)
end)
