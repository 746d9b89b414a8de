local core = require "secateur.core_double"
local single = require "support.single"

describe("input", function()
  it("is the batch, and gets its gradient", function()
    local graph = core.graph()
    graph:add("input", "x", {}, { shape = { 3, 5 } })
    graph:add("flatten", "n", { "x" })
    local plan = core.plan(graph, { batch = 2, backward = true, keep_grads = { "x" } })
    local x = single.input(core, { inputs = { { 3, 5 } } }, 2)
    assert.same(single.flat(x), single.flat(plan:forward(x)))
    plan:backward(core.full(2, 15, 7))
    assert.same(single.flat(core.full(2, 3, 5, 7)), single.flat(plan:grad "x"))
  end)

  it("refuses shapes that are empty or too long", function()
    local function refusal(shape) return single.refusal(core, { op = "flatten", inputs = { shape } }) end
    assert.equal("input 'x': shape: expected 1 to 4 sizes above 0", refusal {})
    assert.equal("input 'x': shape: expected 1 to 4 sizes above 0", refusal { 3, 0 })
    assert.equal("input 'x': shape: expected 1 to 4 sizes above 0", refusal { 1, 2, 3, 4, 5 })
  end)
end)
