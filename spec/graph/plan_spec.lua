local core = require "secateur.core"
local double = require "secateur.core_double"
local errors = require "support.errors"
local interrupt = require "support.interrupt"
local needs = require "support.needs"
local single = require "support.single"

local function tanh(x) return 1 - 2 / (math.exp(2 * x) + 1) end

-- Fills parameters with numbers of moderate size.
local function fill(build, graph)
  for i, p in ipairs(graph:parameters()) do
    local n = 1
    for _, size in ipairs(p.shape) do n = n * size end
    local list = single.numbers(n, i)
    for k = 1, n do list[k] = list[k] * 0.3 end
    if p.dtype ~= "int64" then graph:set_parameter(p.name, single.tensor(build, list, p.shape)) end
  end
  return graph
end

-- Tokens through blocks of what plans compute again (layer norms, GELU) and what they keep.
local function blocks(build, depth)
  local graph = build.graph()
  graph:add("input", "x", {}, { shape = { 3, 8 } })
  local last = "x"
  for i = 1, depth do
    local n = tostring(i)
    graph:add("layer_norm", "norm" .. n, { last })
    graph:add("linear", "up" .. n, { "norm" .. n }, { out = 10 })
    graph:add("gelu", "gelu" .. n, { "up" .. n })
    graph:add("linear", "down" .. n, { "gelu" .. n }, { out = 8 })
    graph:add("add", "sum" .. n, { last, "down" .. n })
    last = "sum" .. n
  end
  graph:add("softmax", "out", { last })
  return fill(build, graph)
end

local function names_of(graph)
  local names = {}
  for i, node in ipairs(graph:nodes()) do names[i] = node.name end
  return names
end

local function batch(build, shape, n, seed)
  local numel = n
  for _, size in ipairs(shape) do numel = numel * size end
  return single.tensor(build, single.numbers(numel, seed or 77), { n, table.unpack(shape) })
end

-- Gradients of every trainable parameter, after one run.
local function gradients(build, graph, request, x)
  request.backward, request.params, request.batch = true, true, request.batch or x:size(1)
  local plan = build.plan(graph, request)
  local y = plan:forward(x, 5)
  plan:backward(batch(build, { table.unpack(y:shape(), 2) }, x:size(1), 3))
  local found = { y = single.flat(y) }
  for _, p in ipairs(graph:parameters()) do
    if p.trainable then found[p.name] = single.flat(plan:param_grad(p.name)) end
  end
  return found, plan
end

describe("a plan", function()
  it("needs little more memory in inference than the two largest neighbours", function()
    local graph = core.graph()
    graph:add("input", "x", {}, { shape = { 8, 16, 16 } })
    local last = "x"
    for i = 1, 20 do
      graph:add("conv2d", "c" .. i, { last }, { out = 8, kernel = 3, padding = 1 })
      graph:add("batch_norm2d", "b" .. i, { "c" .. i })
      graph:add("relu", "r" .. i, { "b" .. i })
      last = "r" .. i
    end
    local one = 4 * 8 * 16 * 16 * 4 -- bytes of a value of the batch
    local norm = 2 * 64 -- bytes, in cache lines, of its 3 * 8 statistics and scales
    assert.is_true(core.plan(graph, { batch = 4 }):memory() <= 2 * one + norm)
    local backward = core.plan(graph, { batch = 4, backward = true, params = true }):memory()
    assert.is_true(backward >= 20 * one)
    assert.is_true(backward <= 45 * one)
    assert.is_true(core.plan(graph, { batch = 4, keep = names_of(graph) }):memory() >= 60 * one)
  end)

  it("gives in inference, in training and with everything kept the same values", function()
    local graph = blocks(core, 3)
    local x = batch(core, { 3, 8 }, 5)
    local kept = core.plan(graph, { batch = 5, keep = names_of(graph) })
    local y = kept:forward(x):totable()
    assert.same(y, core.plan(graph, { batch = 5 }):forward(x):totable())
    local training = core.plan(graph, { batch = 5, backward = true, params = true, training = true })
    assert.same(y, training:forward(x):totable())
    assert.same(y, kept:value("out"):totable())
    -- a node kept alone has the value it has among all
    for _, name in ipairs(names_of(graph)) do
      local plan = core.plan(graph, { batch = 5, keep = { name } })
      plan:forward(x)
      assert.same(kept:value(name):totable(), plan:value(name):totable())
    end
    assert.same(x:totable(), kept:value("x"):totable())
  end)

  it("begins with the values that it is given, wherever they are", function()
    local graph = blocks(core, 3)
    local x, names = batch(core, { 3, 8 }, 5), names_of(graph)
    local kept = core.plan(graph, { batch = 5, keep = names })
    local y = kept:forward(x):totable()
    local from = {} -- the values that the rest needs, once each node is there
    for i = 2, #names - 1 do
      local given, values = {}, {}
      for k, node in ipairs(graph:nodes()) do
        for _, input in ipairs(k > i and node.inputs or {}) do
          for at = 1, i do
            if names[at] == input and not values[input] then
              given[#given + 1], values[input] = input, kept:value(input)
            end
          end
        end
      end
      local plan = core.plan(graph, { batch = 6, given = given, keep = { names[#names - 1] } })
      assert.is_true(#plan:steps() <= #names - i)
      for _ = 1, 2 do -- what it was given is not spent
        plan:forward_from(values)
        assert.same(kept:value(names[#names - 1]):totable(), plan:value(names[#names - 1]):totable())
        assert.same(y, plan:value "out":totable())
      end
      from[i] = #given
    end
    assert.is_true(math.max(table.unpack(from, 2, #names - 1)) == 2)
    local plan = core.plan(graph, { batch = 5, given = { "sum1" } })
    local function wrong(message, values)
      assert.equal("forward_from: " .. message, errors.text(plan.forward_from, plan, values))
    end
    wrong("values: expected one of 'sum1', got none", { up1 = kept:value "up1" })
    wrong("values: expected 1 to 5 samples, got 0", {})
    wrong("'sum1': expected float32 of shape [5x3x8], got float32 of shape [5x3x10]", { sum1 = kept:value "up1" })
    assert.equal("forward: expected a plan without given nodes", errors.text(plan.forward, plan, x))
    assert.equal("forward_from: expected a plan with given nodes", errors.text(kept.forward_from, kept, { x = x }))
    assert.equal("plan: given: expected none with a backward pass",
      errors.text(core.plan, graph, { batch = 5, given = {}, backward = true }))
  end)

  it("computes again what is cheap, with the gradients of what is kept", function()
    local graph = blocks(double, 3)
    local x = batch(double, { 3, 8 }, 2)
    local all = names_of(graph)
    local expected, roomy = gradients(double, graph, { keep = all, keep_grads = all }, x)
    local found, thrifty = gradients(double, graph, {}, x)
    assert.is_true(thrifty:memory() < roomy:memory())
    for name, list in pairs(expected) do assert.is_true(single.compare(name, found[name], list, 1e-14)) end
  end)

  it("takes fewer samples than it has room for, not more", function()
    local graph = blocks(core, 2)
    local x = batch(core, { 3, 8 }, 4)
    local plan = core.plan(graph, { batch = 4 })
    local y = plan:forward(x)
    local two = plan:forward(x:view(2, 3))
    assert.same({ 2, 3, 8 }, two:shape())
    assert.is_true(two:allclose(y:view(2, 3), 1e-6, 1e-7))
    local found = gradients(core, graph, { batch = 9 }, x)
    for name, list in pairs((gradients(core, graph, { batch = 4 }, x))) do
      assert.is_true(single.compare(name, found[name], list, 1e-6))
    end
    assert.equal("forward: x: expected at most 4 samples, got 5",
      errors.text(plan.forward, plan, batch(core, { 3, 8 }, 5)))
  end)

  it("runs on as many threads as there are when it runs", function()
    local count = core.threads()
    finally(function() core.threads(count) end)
    local graph = core.graph()
    graph:add("input", "x", {}, { shape = { 3, 20, 20 } })
    graph:add("conv2d", "c", { "x" }, { out = 4, kernel = 3, padding = 1 })
    graph:add("tokens", "t", { "c" })
    graph:add("attention_scores", "s", { "t", "t" }, { heads = 2 })
    graph:add("softmax", "p", { "s" })
    graph:add("attention_context", "z", { "p", "t" })
    fill(core, graph)
    local x = batch(core, { 3, 20, 20 }, 3)
    core.threads(1)
    local plan = core.plan(graph, { batch = 3, backward = true, params = true })
    local y = plan:forward(x)
    core.threads(6)
    local again = plan:forward(x)
    core.threads(3)
    plan:backward(y)
    assert.is_true(again:allclose(y, 1e-5, 1e-6))
    local weight = plan:param_grad("c.weight"):clone()
    core.threads(1)
    plan:forward(x)
    plan:backward(y)
    assert.is_true(plan:param_grad("c.weight"):allclose(weight, 1e-4, 1e-5))
  end)

  it("adds gradients up over runs when asked to", function()
    local graph = blocks(double, 1)
    local x = batch(double, { 3, 8 }, 2)
    local once = gradients(double, graph, {}, x)
    local found, plan = gradients(double, graph, {}, x)
    local dy = batch(double, { 3, 8 }, 2, 3)
    plan:forward(x)
    plan:backward(dy, true)
    for name in pairs(found) do
      if name ~= "y" then
        local doubled = {}
        for i, value in ipairs(once[name]) do doubled[i] = 2 * value end
        assert.is_true(single.compare(name, single.flat(plan:param_grad(name)), doubled, 1e-13))
      end
    end
    plan:forward(x)
    plan:backward(dy)
    for name, list in pairs(once) do
      if name ~= "y" then
        assert.is_true(single.compare(name, single.flat(plan:param_grad(name)), list, 1e-13))
      end
    end
  end)

  it("sums the gradients of a value that several nodes read", function()
    local graph = double.graph()
    graph:add("input", "x", {}, { shape = { 2 } })
    graph:add("tanh", "t", { "x" })
    graph:add("add", "twice", { "t", "t" })
    graph:add("add", "y", { "twice", "t", "x" })
    local plan = double.plan(graph, { backward = true, keep_grads = { "x", "t", "twice" } })
    local y = plan:forward(double.tensor { { 0.5, -1 } })
    assert.near(3 * tanh(0.5) + 0.5, y:get(1, 1), 1e-14)
    assert.near(-3 * tanh(1) - 1, y:get(1, 2), 1e-14)
    plan:backward(double.tensor { { 1, 10 } })
    assert.same({ { 1, 10 } }, plan:grad("twice"):totable())
    assert.same({ { 3, 30 } }, plan:grad("t"):totable())
    local slope = 1 - tanh(1) ^ 2
    assert.near(1 + 3 * (1 - tanh(0.5) ^ 2), plan:grad("x"):get(1, 1), 1e-14)
    assert.near(10 + 30 * slope, plan:grad("x"):get(1, 2), 1e-13)
  end)

  it("leaves out what the result does not need, and gives it no gradient", function()
    local graph = core.graph()
    graph:add("input", "x", {}, { shape = { 2 } })
    graph:add("linear", "y", { "x" }, { out = 2 })
    graph:add("linear", "dead", { "x" }, { out = 50 })
    graph:add("relu", "end", { "dead" })
    graph:output "y"
    local plan = core.plan(graph, { backward = true, params = true, keep_grads = names_of(graph), keep = { "y" } })
    local x = core.tensor { { 1, 2 } }
    plan:forward(x)
    plan:backward(core.tensor { { 1, 1 } })
    assert.same({ 1, 50 }, plan:grad("dead"):shape())
    assert.equal(0, plan:grad("dead"):abs():sum())
    assert.equal(0, plan:grad("end"):abs():sum())
    assert.equal(0, plan:param_grad("dead.weight"):abs():sum())
    assert.equal("value: node: expected one named in keep, after forward(), got 'dead'",
      errors.text(plan.value, plan, "dead"))
    local kept = core.plan(graph, { keep = { "end" } })
    kept:forward(x)
    assert.same({ 1, 50 }, kept:value("end"):shape())
  end)

  it("gives nothing that it does not keep, and nothing before it has run", function()
    local graph = blocks(core, 1)
    local x = batch(core, { 3, 8 }, 1)
    local plan = core.plan(graph, { backward = true, keep = { "up1" }, keep_grads = { "up1" } })
    local dy = core.ones(1, 3, 8)
    assert.equal("value: node: expected one named in keep, after forward(), got 'up1'",
      errors.text(plan.value, plan, "up1"))
    assert.equal("backward: output_grad: expected [0x3x8], got [1x3x8]", errors.text(plan.backward, plan, dy))
    plan:forward(x)
    assert.equal("value: node: expected one named in keep, after forward(), got 'gelu1'",
      errors.text(plan.value, plan, "gelu1"))
    assert.equal("grad: node: expected one named in keep_grads, after backward(), got 'up1'",
      errors.text(plan.grad, plan, "up1"))
    plan:backward(dy)
    assert.equal("grad: node: expected one named in keep_grads, after backward(), got 'gelu1'",
      errors.text(plan.grad, plan, "gelu1"))
    assert.same({ 1, 3, 10 }, plan:grad("up1"):shape())
    assert.equal("backward: needs gradients enabled and a preceding forward()",
      errors.text(plan.backward, plan, dy))
    assert.equal("param_grad: parameter: expected a trainable one of a plan with params, got 'up1.weight'",
      errors.text(plan.param_grad, plan, "up1.weight"))
    assert.equal("grad: node: expected one of the graph, got 'z'", errors.text(plan.grad, plan, "z"))
    plan:close()
    plan:close()
    assert.equal("forward: self: expected an ExecutionPlan, got a closed one", errors.text(plan.forward, plan, x))
  end)

  it("judges the images it is given, and what it is asked for", function()
    local graph = blocks(core, 1)
    local plan = core.plan(graph, {})
    local function refusal(x) return errors.text(plan.forward, plan, x) end
    assert.equal("forward: x: expected float32 of a batch of [3x8], got float32 of shape [1x8x3]",
      refusal(core.zeros(1, 8, 3)))
    assert.equal("forward: x: expected float32 of a batch of [3x8], got float32 of shape [3x8]",
      refusal(core.zeros(3, 8)))
    assert.equal("forward: x: expected float32 of a batch of [3x8], got float32 of shape [0x3x8]",
      refusal(core.zeros(0, 3, 8)))
    assert.equal("forward: x: expected float32 of a batch of [3x8], got float32 of shape []", refusal(core.full(1)))
    assert.equal("forward: x: expected a tensor of float32, got one of int64",
      refusal(core.zeros(1, 3, 8, { dtype = "int64" })))
    assert.equal("plan: graph: expected at least one node", errors.text(core.plan, core.graph(), {}))
    assert.equal("plan: batch: expected a whole number in 1..16777216, got 0",
      errors.text(core.plan, graph, { batch = 0 }))
    assert.equal("plan: node: expected one of the graph, got 'z'", errors.text(core.plan, graph, { keep = { "z" } }))
    assert.equal(
      "plan: unknown option 'grads', expected one of: batch, backward, training, params, keep, keep_grads, frozen, "
        .. "given, repeatable, collect_statistics",
      errors.text(core.plan, graph, { grads = true }))
    local blind = core.graph()
    blind:add("parameter", "p", {}, { shape = { 4 } })
    local without = core.plan(blind, {})
    assert.equal("forward: graph: expected one with an input", errors.text(without.forward, without, core.zeros(100)))
  end)

  it("keeps its graph and its images alive", function()
    local plan = core.plan(blocks(core, 1), { backward = true, keep_grads = { "x" } })
    plan:forward(batch(core, { 3, 8 }, 1))
    collectgarbage()
    collectgarbage()
    plan:backward(core.ones(1, 3, 8))
    assert.is_true(plan:grad("x"):abs():sum() < 1e3)
  end)

  it("ends soon after Ctrl-C", function()
    needs.proc(pending)
    local output = interrupt.check { setup = [[
      core.threads(1)
      local graph = core.graph()
      graph:add("input", "x", {}, { shape = { 64, 256, 256 } })
      local last = "x"
      for i = 1, 1000 do last = graph:add("conv2d", "c" .. i, { last }, { out = 64, kernel = 3, padding = 1 }) end
      local plan, x = core.plan(graph, {}), core.zeros(1, 64, 256, 256)
    ]], call = "plan.forward, plan, x", after = "print(pcall(plan.value, plan, 'x'))" }
    assert.is_truthy(output:find("value: node: expected one named in keep", 1, true))
  end)
end)
