local core = require "secateur.core_double"
local gradcheck = require "support.gradcheck"
local reference = require "support.reference"
local single = require "support.single"

local function formula(x)
  local e = math.exp(2 * x)
  return (e - 1) / (e + 1)
end

describe("tanh", function()
  it("agrees with PyTorch", function() assert.is_true(reference.check "tanh") end)

  it("has the gradient of its values", function()
    gradcheck.check { op = "tanh", inputs = { { 7 } } }
    gradcheck.check { op = "tanh", inputs = { { 3, 5, 7 } } }
  end)

  it("follows its formula", function()
    local x, y = single.run(core, { op = "tanh", inputs = { { 5, 7 } } }, 3)
    for i, value in ipairs(x) do x[i] = formula(value) end
    assert.is_true(single.compare("tanh", y, x, 1e-14))
  end)

  it("stays finite, and keeps what is not a number", function()
    local float = require "secateur.core"
    for _, build in ipairs { core, float } do
      local graph = single.graph(build, { op = "tanh", inputs = { { 5 } } })
      local y = build.plan(graph, {}):forward(build.tensor { { -1e30, 1e30, 0 / 0, -100, 0 } }):totable()[1]
      local found = { y[1], y[2] / (y[2] > 1 and 1e30 or 1), y[3] ~= y[3], y[4], y[5] }
      for i, expected in ipairs { -1, 1, true, -1, 0 } do
        if type(expected) == "boolean" then
          assert.equal(expected, found[i])
        else
          assert.is_true(math.abs(found[i] - expected) < 1e-6)
        end
      end
    end
  end)

  it("loses nothing near zero and where its two branches meet, in float", function()
    local float = require "secateur.core"
    local x = {}
    for i = 1, 400 do x[i] = i <= 200 and 2.0 ^ -(i / 10) or 0.6 + (i - 200) * 0.00025 end
    local graph = single.graph(float, { op = "tanh", inputs = { { #x } } })
    local input = float.tensor { x }
    local y = float.plan(graph, {}):forward(input):totable()[1]
    for i, value in ipairs(input:totable()[1]) do
      assert.is_true(math.abs(y[i] / formula(value) - 1) < 2e-7)
    end
  end)
end)
