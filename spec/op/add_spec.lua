local core = require "secateur.core_double"
local gradcheck = require "support.gradcheck"
local single = require "support.single"

describe("add", function()
  it("has the gradient of its values", function()
    gradcheck.check { op = "add", inputs = { { 3, 5 }, { 3, 5 } } }
    gradcheck.check { op = "add", inputs = { { 2, 3, 5 }, { 2, 3, 5 }, { 2, 3, 5 } } }
  end)

  it("sums two to sixteen inputs", function()
    for _, count in ipairs { 2, 3, 16 } do
      local inputs = {}
      for i = 1, count do inputs[i] = { 5, 70 } end
      local x, y, graph = single.run(core, { op = "add", inputs = inputs }, 3)
      for i = 2, count do
        local p = single.flat(graph:parameter("p" .. i .. ".value"))
        for k = 1, #x do x[k] = x[k] + p[(k - 1) % #p + 1] end
      end
      assert.same(x, y)
    end
  end)

  it("takes an input more than once, also where it may write over it", function()
    local graph = core.graph()
    graph:add("input", "x", {}, { shape = { 700 } })
    graph:add("relu", "r", { "x" })
    graph:add("sigmoid", "s", { "x" })
    graph:add("add", "n", { "r", "s", "r", "r" })
    local x = single.input(core, { inputs = { { 700 } } }, 3)
    local y = single.flat(core.plan(graph, { batch = 3 }):forward(x))
    for i, value in ipairs(single.flat(x)) do
      assert.near(3 * math.max(value, 0) + 1 / (1 + math.exp(-value)), y[i], 1e-14)
    end
  end)

  it("refuses shapes that differ, and too few or too many inputs", function()
    assert.equal("add 'n': input 3: expected [3x5], as input 1, got [5x3]",
      single.refusal(core, { op = "add", inputs = { { 3, 5 }, { 3, 5 }, { 5, 3 } } }))
    assert.equal("add 'n': inputs: expected 2 to 16, got 1", single.refusal(core, { op = "add", inputs = { { 3 } } }))
    local many = {}
    for i = 1, 17 do many[i] = { 3 } end
    assert.equal("add 'n': inputs: expected at most 16", single.refusal(core, { op = "add", inputs = many }))
  end)
end)
