local core = require "secateur.core_double"
local gradcheck = require "support.gradcheck"
local single = require "support.single"

describe("concat", function()
  it("has the gradient of its values", function()
    gradcheck.check { op = "concat", inputs = { { 3, 5, 2 }, { 1, 5, 2 } } }
    gradcheck.check { op = "concat", inputs = { { 1, 5 }, { 3, 5 }, { 2, 5 } } }
  end)

  it("puts channels of maps, or tokens, one after the other in each sample", function()
    local case = { op = "concat", inputs = { { 3, 5, 7 }, { 1, 5, 7 }, { 2, 5, 7 } } }
    local x, y, graph, shape = single.run(core, case, 3)
    assert.same({ 3, 6, 5, 7 }, shape)
    local p2, p3 = single.flat(graph:parameter "p2.value"), single.flat(graph:parameter "p3.value")
    local expected = {}
    for b = 0, 2 do
      table.move(x, b * 105 + 1, b * 105 + 105, #expected + 1, expected)
      table.move(p2, 1, 35, #expected + 1, expected)
      table.move(p3, 1, 70, #expected + 1, expected)
    end
    assert.same(expected, y)
  end)

  it("refuses shapes that do not fit, and a single input", function()
    assert.equal("concat 'n': input 2: expected [3x5x7], as input 1 but for the first dimension, got [3x5x6]",
      single.refusal(core, { op = "concat", inputs = { { 3, 5, 7 }, { 3, 5, 6 } } }))
    assert.equal("concat 'n': input 2: expected [3x5x7], as input 1 but for the first dimension, got [3x5]",
      single.refusal(core, { op = "concat", inputs = { { 3, 5, 7 }, { 3, 5 } } }))
    assert.equal("concat 'n': inputs: expected 2 to 16, got 1",
      single.refusal(core, { op = "concat", inputs = { { 3 } } }))
  end)
end)
