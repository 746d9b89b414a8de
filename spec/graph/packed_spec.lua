-- Weights that a plan keeps packed from run to run follow every change of the parameters.
local core = require "secateur.core"

local function build()
  local graph = core.graph()
  graph:add("input", "x", {}, { shape = { 3, 9, 9 } })
  graph:add("conv2d", "conv", { "x" }, { out = 5, kernel = 3, stride = 2, groups = 1 })
  graph:add("tokens", "tokens", { "conv" })
  graph:add("linear", "head", { "tokens" }, { out = 7 })
  for i, p in ipairs(graph:parameters()) do
    local count = 1
    for _, size in ipairs(p.shape) do count = count * size end
    graph:set_parameter(p.name, core.randn(count, { seed = i }):reshape(table.unpack(p.shape)))
  end
  return graph
end

describe("packed weights", function()
  local x = core.randn(2, 3, 9, 9, { seed = 7 })

  -- What a plan that was made just now gives.
  local function fresh(graph)
    local plan <close> = core.plan(graph, { batch = 2 })
    return plan:forward(x)
  end

  it("follow changes in place, by tensors and views, and parameters that are replaced", function()
    local graph = build()
    local plan = core.plan(graph, { batch = 2 })
    local last = plan:forward(x)
    local changes = {
      function() graph:parameter("conv.weight"):set(3, 1, 1, 1, 1) end,
      function() graph:parameter("head.weight"):view(2, 3):fill(0.5) end,
      function() graph:parameter("conv.weight"):copy(core.randn(5, 3, 3, 3, { seed = 9 })) end,
      function() graph:set_parameter("head.weight", core.randn(7, 5, { seed = 10 })) end,
    }
    for i, change in ipairs(changes) do
      change()
      local y = plan:forward(x)
      assert.is_false(y:allclose(last, 0, 0), "change " .. i)
      assert.is_true(y:allclose(fresh(graph), 0, 0), "change " .. i)
      last = y
    end
  end)

  it("follow an optimiser's steps", function()
    local graph = build()
    local plan = core.plan(graph, { batch = 2 })
    local before = plan:forward(x)
    local training = core.plan(graph, { batch = 2, backward = true, training = true, params = true })
    local optimiser = core.optimiser(graph, { kind = "sgd", momentum = 0 })
    for _ = 1, 2 do
      training:forward(x, 1)
      training:backward(before)
      optimiser:step(training, 0.1)
    end
    local after = plan:forward(x)
    assert.is_false(after:allclose(before, 0, 0))
    assert.is_true(after:allclose(fresh(graph), 0, 0))
  end)

  it("are given back with a plan that outlives every other owner of its graph", function()
    collectgarbage()
    collectgarbage()
    local before = core.memory()
    do
      local plan = core.plan(build(), { batch = 2 })
      collectgarbage() -- the graph is the plan's alone
      plan:forward(x):close()
    end
    collectgarbage()
    collectgarbage()
    assert.equal(before, (core.memory()))
  end)

  it("are made once: later runs allocate nothing but their result", function()
    local plan = core.plan(build(), { batch = 2 })
    plan:forward(x):close()
    collectgarbage()
    local before = core.memory()
    for _ = 1, 3 do plan:forward(x):close() end
    assert.equal(before, (core.memory()))
  end)
end)
