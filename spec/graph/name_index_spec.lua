local core = require "secateur.core_double"

describe("names in a graph", function()
  it("are found, all of many, and none that is not there", function()
    local graph, count = core.graph(), 3000
    graph:add("input", "x", {}, { shape = { 2 } })
    for i = 1, count do graph:add("linear", "n" .. i, { i == 1 and "x" or "n" .. i - 1 }, { out = 2 }) end
    for i = 1, count do
      assert.equal("n" .. i, graph:node("n" .. i).name)
      graph:set_parameter(("n%d.bias"):format(i), core.full(2, i))
    end
    for i = 1, count do assert.equal(i, graph:parameter(("n%d.bias"):format(i)):get(1)) end
    assert.is_nil(graph:node "n0")
    assert.is_nil(graph:node("n" .. count + 1))
    assert.is_nil(graph:node "")
    local copy = graph:copy()
    for i = 1, count, 7 do
      assert.equal("n" .. i, copy:node("n" .. i).name)
      assert.equal(i, copy:parameter(("n%d.bias"):format(i)):get(1))
    end
    assert.has_error(function() graph:add("relu", "n7", { "x" }) end)
  end)

  -- The parameters that a node would have had are taken back when its last one does not fit.
  it("are as before when a node was refused, wherever the table has others", function()
    local graph = core.graph()
    graph:add("input", "x", {}, { shape = { 2 } })
    for i = 1, 500 do
      local name = "n" .. i
      assert.has_error(function()
        graph:add("linear", name, { "x" }, { out = 2 }, { bias = { name = "n1.weight" } })
      end)
      assert.has_error(function() graph:parameter(name .. ".weight") end)
      graph:add("linear", name, { "x" }, { out = 2 })
      for k = 1, i, 17 do assert.same({ 2, 2 }, graph:parameter(("n%d.weight"):format(k)):shape()) end
    end
    assert.equal(1000, #graph:parameters())
  end)
end)
