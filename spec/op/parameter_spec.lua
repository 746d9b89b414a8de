local core = require "secateur.core_double"
local gradcheck = require "support.gradcheck"
local single = require "support.single"

describe("parameter", function()
  it("has the gradient of its values", function()
    gradcheck.check { op = "add", inputs = { { 3, 5 }, { 3, 5 } } }
  end)

  it("is the same for every sample", function()
    local graph = single.graph(core, { op = "add", inputs = { { 2, 3 }, { 2, 3 } } })
    local value = single.flat(graph:parameter "p2.value")
    local plan = core.plan(graph, { batch = 3, backward = true, params = true })
    local y = single.flat(plan:forward(core.zeros(3, 2, 3)))
    for i = 1, 18 do assert.equal(value[(i - 1) % 6 + 1], y[i]) end
    assert.same({ 1, 2, 3 }, graph:parameter("p2.value"):shape())
  end)

  it("sums its gradient over the samples", function()
    local graph = single.graph(core, { op = "add", inputs = { { 2, 3 }, { 2, 3 } } })
    local plan = core.plan(graph, { batch = 3, backward = true, params = true })
    plan:forward(core.zeros(3, 2, 3))
    plan:backward(core.full(3, 2, 3, 0.5))
    assert.same({ 1.5, 1.5, 1.5, 1.5, 1.5, 1.5 }, single.flat(plan:param_grad "p2.value"))
  end)

  it("starts at zero and refuses shapes that are empty", function()
    local graph = core.graph()
    graph:add("parameter", "p", {}, { shape = { 2 } })
    assert.same({ 0, 0 }, single.flat(graph:parameter "p.value"))
    local ok, message = pcall(graph.add, graph, "parameter", "q", {}, { shape = {} })
    assert.is_false(ok)
    assert.equal("parameter 'q': shape: expected 1 to 4 sizes above 0", message)
  end)
end)
