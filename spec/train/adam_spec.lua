local core = require "secateur.core"
local double = require "secateur.core_double"
local reference = require "support.reference"

-- A graph whose output is the product of x and one weight row, so that the gradient of the weights is x.
local function setup_graph(build, start)
  local graph = build.graph()
  graph:add("input", "x", {}, { shape = { #start } })
  graph:add("linear", "n", { "x" }, { out = 1, bias = false })
  graph:set_parameter("n.weight", build.tensor { start })
  return graph, build.plan(graph, { batch = 1, training = true, backward = true, params = true })
end

local function step(build, adam, plan, gradient, lr)
  plan:forward(build.tensor { gradient })
  plan:backward(build.tensor { { 1 } })
  adam:step(plan, lr)
end

local function weights(graph) return graph:parameter("n.weight"):totable()[1] end

local function message_of(...)
  local ok, message = pcall(...)
  assert.is_false(ok)
  return message
end

describe("core.adam", function()
  it("walks where PyTorch's walks", function()
    for _, case in ipairs(reference.cases "adam") do
      local start, gradients = case.start:totable(), case.gradients:totable()
      for _, build in ipairs { core, double } do
        local graph, plan = setup_graph(build, start)
        local attrs = case.attrs
        local adam = build.adam(graph, { beta1 = attrs.beta1, beta2 = attrs.beta2, eps = attrs.eps,
          weight_decay = attrs.weight_decay })
        for t, gradient in ipairs(gradients) do
          step(build, adam, plan, gradient, attrs.lr)
          local wanted = case.trajectory[t]:totable()
          for i, value in ipairs(weights(graph)) do
            assert.is_true(math.abs(value - wanted[i]) <= 2e-6 * math.max(math.abs(wanted[i]), attrs.lr),
              ("%s, step %d, number %d: %g, not %g"):format(case.name, t, i, value, wanted[i]))
          end
        end
      end
    end
  end)

  it("does not change tensors that others hold, of parameters or of its state", function()
    local graph, plan = setup_graph(core, { 1, 2 })
    local other, held, adam = graph:copy(), graph:parameter "n.weight", core.adam(graph)
    step(core, adam, plan, { 1, -1 }, 0.5)
    local state = adam:state()
    local before = state["m/n.weight"]:totable()
    step(core, adam, plan, { 1, -1 }, 0.5)
    assert.same({ 1, 2 }, weights(other))
    assert.same({ { 1, 2 } }, held:totable())
    assert.same(before, state["m/n.weight"]:totable())
    assert.not_same({ 1, 2 }, weights(graph))
  end)

  it("goes on from its state to the bit", function()
    local gradients = { { 0.3, -2 }, { 1, 0.5 }, { -0.7, 0.1 }, { 0.2, 0.2 } }
    local graph, plan = setup_graph(core, { 1, 2 })
    local adam = core.adam(graph)
    local halfway, state
    for t, gradient in ipairs(gradients) do
      step(core, adam, plan, gradient, 0.1)
      if t == 2 then halfway, state = weights(graph), adam:state() end
    end
    assert.same({ "m/n.weight", "steps", "v/n.weight" }, (function()
      local names = {}
      for name in pairs(state) do names[#names + 1] = name end
      table.sort(names)
      return names
    end)())
    assert.same({ 2 }, state.steps:totable())
    local again, plan_again = setup_graph(core, halfway)
    local resumed = core.adam(again)
    resumed:load(state)
    for t = 3, 4 do step(core, resumed, plan_again, gradients[t], 0.1) end
    assert.same(weights(graph), weights(again))
  end)

  it("says what is wrong", function()
    local graph, plan = setup_graph(core, { 1, 2 })
    local adam = core.adam(graph)
    assert.equal("adam: graph: expected a Graph, got nil", message_of(core.adam))
    assert.equal("adam: beta1: expected a number in [0, 1), got 1", message_of(core.adam, graph, { beta1 = 1 }))
    assert.equal("adam: eps: expected a number of at least 0, got -1", message_of(core.adam, graph, { eps = -1 }))
    assert.equal("adam: unknown option 'lr', expected one of: beta1, beta2, eps, weight_decay",
      message_of(core.adam, graph, { lr = 1 }))
    assert.equal("step: lr: expected a finite number of at least 0, got inf",
      message_of(adam.step, adam, plan, math.huge))
    local _, foreign = setup_graph(core, { 1, 2 })
    assert.equal("step: plan: expected one of the optimiser's own graph", message_of(adam.step, adam, foreign, 0.1))
    assert.equal("step: plan: expected one with params, got none for parameter 'n.weight'",
      message_of(adam.step, adam, core.plan(graph, { backward = true }), 0.1))
    local state = adam:state()
    state["m/n.weight"] = core.zeros(1, 3)
    assert.equal("load: m/n.weight: expected [1x2], got [1x3]", message_of(adam.load, adam, state))
    state["m/n.weight"] = nil
    assert.equal("load: m/n.weight: expected a Tensor, got nil", message_of(adam.load, adam, state))
    adam:close()
    assert.equal("step: self: expected an Adam, got secateur.Adam", message_of(adam.step, adam, plan, 0.1))
  end)
end)
