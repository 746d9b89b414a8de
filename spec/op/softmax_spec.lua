local core = require "secateur.core_double"
local gradcheck = require "support.gradcheck"
local reference = require "support.reference"
local single = require "support.single"

local function replica(x, d)
  local y = {}
  for first = 1, #x, d do
    local sum = 0
    for i = first, first + d - 1 do sum = sum + math.exp(x[i]) end
    for i = first, first + d - 1 do y[i] = math.exp(x[i]) / sum end
  end
  return y
end

describe("softmax", function()
  it("agrees with PyTorch", function() assert.is_true(reference.check "softmax") end)

  it("has the gradient of its values", function()
    gradcheck.check { op = "softmax", inputs = { { 7 } } }
    gradcheck.check { op = "softmax", inputs = { { 2, 3, 5 } } }
    gradcheck.check { op = "softmax", inputs = { { 67 } } }
  end)

  it("runs along the last dimension", function()
    for _, shape in ipairs { { 1 }, { 5, 7 }, { 2, 3, 101 } } do
      local x, y = single.run(core, { op = "softmax", inputs = { shape } }, 3)
      assert.is_true(single.compare("y", y, replica(x, shape[#shape]), 1e-14))
    end
  end)

  it("does not overflow, and takes -inf as never", function()
    for _, build in ipairs { core, require "secateur.core" } do
      local graph = single.graph(build, { op = "softmax", inputs = { { 3 } } })
      local plan = build.plan(graph, {})
      assert.same({ { 0.5, 0.5, 0 } }, plan:forward(build.tensor { { 1e30, 1e30, -1e30 } }):totable())
      assert.same({ { 0, 1, 0 } }, plan:forward(build.tensor { { -math.huge, -1e30, -math.huge } }):totable())
      local y = plan:forward(build.tensor { { 1, 0 / 0, 2 } }):totable()[1]
      for i = 1, 3 do assert.is_true(y[i] ~= y[i]) end
    end
  end)

  it("agrees with itself in float where rows end within a vector or with it", function()
    local float = require "secateur.core"
    for _, d in ipairs { 1, 2, 31, 32, 33, 63, 64, 65, 197 } do
      local case = { op = "softmax", inputs = { { 3, d } } }
      local _, expected = single.run(core, case, 2)
      local _, got = single.run(float, case, 2)
      assert.is_true(single.compare("y", got, expected, 1e-6), d)
    end
  end)
end)
