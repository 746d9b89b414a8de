local core = require "secateur.core_double"
local gradcheck = require "support.gradcheck"
local reference = require "support.reference"
local single = require "support.single"

local function formula(x) return 1 / (1 + math.exp(-x)) end

describe("sigmoid", function()
  it("agrees with PyTorch", function() assert.is_true(reference.check "sigmoid") end)

  it("has the gradient of its values", function()
    gradcheck.check { op = "sigmoid", inputs = { { 7 } } }
    gradcheck.check { op = "sigmoid", inputs = { { 3, 5, 7 } } }
  end)

  it("follows its formula", function()
    local x, y = single.run(core, { op = "sigmoid", inputs = { { 5, 7 } } }, 3)
    for i, value in ipairs(x) do x[i] = formula(value) end
    assert.is_true(single.compare("sigmoid", y, x, 1e-14))
  end)

  it("stays finite, and keeps what is not a number", function()
    local float = require "secateur.core"
    for _, build in ipairs { core, float } do
      local graph = single.graph(build, { op = "sigmoid", inputs = { { 5 } } })
      local y = build.plan(graph, {}):forward(build.tensor { { -1e30, 1e30, 0 / 0, -100, 0 } }):totable()[1]
      local found = { y[1], y[2] / (y[2] > 1 and 1e30 or 1), y[3] ~= y[3], y[4], y[5] }
      for i, expected in ipairs { 0, 1, true, 0, 0.5 } do
        if type(expected) == "boolean" then
          assert.equal(expected, found[i])
        else
          assert.is_true(math.abs(found[i] - expected) < 1e-6)
        end
      end
    end
  end)
end)
