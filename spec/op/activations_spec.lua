-- The elementwise activations: each row of the table names its operation, and is checked in the same four ways.
local core = require "secateur.core_double"
local float = require "secateur.core"
local gradcheck = require "support.gradcheck"
local reference = require "support.reference"
local single = require "support.single"

-- The normal distribution function, by the series of erf (Abramowitz and Stegun 7.1.6).
local function normal_cdf(x)
  local term, sum = x, x
  for k = 1, 200 do
    term = term * x * x / (2 * k + 1)
    sum = sum + term
  end
  return 0.5 + sum * math.exp(-x * x / 2) / math.sqrt(2 * math.pi)
end

local function tanh(x)
  local e = math.exp(2 * x)
  return (e - 1) / (e + 1)
end

local function gelu(x) return x * normal_cdf(x) end

-- op; formula; extremes: the values at -1e30, 1e30 (divided by it where it passes through), -100 and 0.
local activations = {
  { op = "relu", formula = function(x) return math.max(x, 0) end, extremes = { 0, 1, 0, 0 } },
  { op = "sigmoid", formula = function(x) return 1 / (1 + math.exp(-x)) end, extremes = { 0, 1, 0, 0.5 } },
  { op = "silu", formula = function(x) return x / (1 + math.exp(-x)) end, extremes = { 0, 1, 0, 0 } },
  { op = "tanh", formula = tanh, extremes = { -1, 1, -1, 0 } },
  { op = "gelu", formula = gelu, extremes = { 0, 1, 0, 0 } },
}

-- Values of the float build at the numbers of the list, and the numbers as that build holds them.
local function float_values(op, list)
  local graph = single.graph(float, { op = op, inputs = { { #list } } })
  local input = float.tensor { list }
  return float.plan(graph, {}):forward(input):totable()[1], input:totable()[1]
end

for _, activation in ipairs(activations) do
  local op = activation.op

  describe(op, function()
    it("agrees with PyTorch", function() assert.is_true(reference.check(op)) end)

    it("has the gradient of its values", function()
      gradcheck.check { op = op, inputs = { { 7 } } }
      gradcheck.check { op = op, inputs = { { 3, 5, 7 } } }
    end)

    it("follows its formula", function()
      local x, y = single.run(core, { op = op, inputs = { { 5, 7 } } }, 3)
      for i, value in ipairs(x) do x[i] = activation.formula(value) end
      assert.is_true(single.compare(op, y, x, 1e-14))
    end)

    it("stays finite, and keeps what is not a number", function()
      for _, build in ipairs { core, float } do
        local graph = single.graph(build, { op = op, inputs = { { 5 } } })
        local y = build.plan(graph, {}):forward(build.tensor { { -1e30, 1e30, 0 / 0, -100, 0 } }):totable()[1]
        local nan = table.remove(y, 3)
        y[2] = y[2] / (y[2] > 1 and 1e30 or 1)
        for i, expected in ipairs(activation.extremes) do assert.is_true(math.abs(y[i] - expected) < 1e-6) end
        assert.is_true(nan ~= nan)
      end
    end)
  end)
end

describe("tanh", function()
  it("loses nothing near zero and where its two branches meet, in float", function()
    local list = {}
    for i = 1, 400 do list[i] = i <= 200 and 2.0 ^ -(i / 10) or 0.6 + (i - 200) * 0.00025 end
    local y, x = float_values("tanh", list)
    for i, value in ipairs(x) do assert.is_true(math.abs(y[i] / tanh(value) - 1) < 2e-7) end
  end)
end)

describe("gelu", function()
  it("is approximated by tanh on demand", function()
    local case = { op = "gelu", inputs = { { 5, 7 } }, attrs = { approximation = "tanh" } }
    gradcheck.check(case)
    local x, y = single.run(core, case, 3)
    for i, value in ipairs(x) do
      x[i] = 0.5 * value * (1 + tanh(math.sqrt(2 / math.pi) * (value + 0.044715 * value ^ 3)))
    end
    assert.is_true(single.compare("gelu", y, x, 1e-14))
  end)

  it("is good to 1e-6 of its value in float", function()
    local list = {}
    for i = 1, 900 do list[i] = -3 + i / 100 end
    local y, x = float_values("gelu", list)
    for i, value in ipairs(x) do
      assert.is_true(math.abs(y[i] - gelu(value)) <= 1e-6 * math.abs(gelu(value)))
    end
  end)

  it("refuses other approximations", function()
    assert.equal("gelu 'n': approximation: expected one of none, tanh, got 'fast'",
      single.refusal(core, { op = "gelu", inputs = { { 3 } }, attrs = { approximation = "fast" } }))
  end)
end)
