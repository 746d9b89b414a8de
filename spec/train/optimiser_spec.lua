local json = require "secateur.util.json"
local core = require "secateur.core"
local double = require "secateur.core_double"
local errors = require "support.errors"
local reference = require "support.reference"
local safetensors = require "secateur.formats.safetensors"
local single = require "support.single"

-- A graph whose output is the product of x and one weight row, so that the gradient of the weights is x.
local function setup_graph(build, start)
  local graph = build.graph()
  graph:add("input", "x", {}, { shape = { #start } })
  graph:add("linear", "n", { "x" }, { out = 1, bias = false })
  graph:set_parameter("n.weight", build.tensor { start })
  return graph, build.plan(graph, { batch = 1, training = true, backward = true, params = true })
end

local function step(build, optimiser, plan, gradient, lr)
  plan:forward(build.tensor { gradient })
  plan:backward(build.tensor { { 1 } })
  optimiser:step(plan, lr)
end

local function weights(graph) return graph:parameter("n.weight"):totable()[1] end

local message_of = errors.raised

describe("core.optimiser", function()
  it("walks where PyTorch's walks", function()
    for _, kind in ipairs { "adam", "sgd" } do
      for _, case in ipairs(reference.cases(kind)) do
        local start, gradients = case.start:totable(), case.gradients:totable()
        for _, build in ipairs { core, double } do
          local graph, plan = setup_graph(build, start)
          local lr = case.attrs.lr
          local given = { kind = kind }
          for key, value in pairs(case.attrs) do given[key] = value end
          given.lr = nil
          local optimiser = build.optimiser(graph, given)
          for t, gradient in ipairs(gradients) do
            step(build, optimiser, plan, gradient, lr)
            local wanted = case.trajectory[t]:totable()
            for i, value in ipairs(weights(graph)) do
              assert.is_true(math.abs(value - wanted[i]) <= 2e-6 * math.max(math.abs(wanted[i]), lr),
                ("%s, step %d, number %d: %g, not %g"):format(case.name, t, i, value, wanted[i]))
            end
          end
        end
      end
    end
  end)

  -- The network of make_training.py.
  local function network(build, tensors)
    local graph = build.graph()
    graph:add("input", "x", {}, { shape = { 5 } })
    graph:add("linear", "one", { "x" }, { out = 4 })
    graph:add("tanh", "hidden", { "one" })
    graph:add("linear", "two", { "hidden" }, { out = 3 })
    for _, parameter in ipairs(graph:parameters()) do
      graph:set_parameter(parameter.name, build.tensor(tensors["weight/" .. parameter.name]:totable()))
    end
    return graph, build.plan(graph, { batch = 6, training = true, backward = true, params = true })
  end

  local function follow(build, tensors, name, case, tolerance)
    local graph, plan = network(build, tensors)
    local optimiser = build.optimiser(graph, { kind = case.kind, beta1 = case.beta1, beta2 = case.beta2, eps = case.eps,
      momentum = case.momentum, nesterov = case.nesterov, weight_decay = case.weight_decay, parameters = case.groups })
    local x, labels = build.tensor(tensors.x:totable()), tensors.labels:totable()
    for i, label in ipairs(labels) do labels[i] = label + 1 end
    labels = build.tensor(labels, "int64")
    local class_weights, row = build.tensor(tensors.class_weights:totable()), 0
    for t = 1, 20 do
      local _, gradient = build.cross_entropy(plan:forward(x), labels, class_weights, case.smoothing)
      plan:backward(gradient)
      local scale = case.clip and math.min(1, case.clip / (optimiser:gradient_norm(plan) + 1e-6))
      optimiser:step(plan, case.lr, scale)
      if t == 1 or t == 7 or t == 20 then
        row = row + 1
        for _, parameter in ipairs(graph:parameters()) do
          local wanted = tensors[("%s/%s/%s"):format(name, build == core and "float" or "double", parameter.name)][row]
          single.compare(("%s, step %d, %s"):format(name, t, parameter.name),
            single.flat(graph:parameter(parameter.name)), single.flat(wanted), tolerance)
        end
      end
    end
  end

  it("trains a network as PyTorch does, with every kind, groups, clipping and smoothing, for 20 steps", function()
    local tensors, metadata = safetensors.load "spec/fixtures/training.safetensors"
    local count = 0
    for name, text in pairs(metadata) do
      if name ~= "torch" then
        local case = json.decode(text)
        follow(double, tensors, name, case, 2e-7) -- as the fixture rounds
        follow(core, tensors, name, case, 1e-5)
        count = count + 1
      end
    end
    assert.equal(7, count)
  end)

  it("measures and clips gradients as clip_grad_norm_ does", function()
    local tensors = safetensors.load "spec/fixtures/training.safetensors"
    local gradients = tensors["clip/gradients"]:totable()
    local graph, plan = setup_graph(double, gradients)
    local optimiser = double.optimiser(graph, { kind = "sgd", momentum = 0 })
    graph:set_parameter("n.weight", double.zeros(1, 10))
    plan:forward(double.tensor { gradients })
    plan:backward(double.tensor { { 1 } })
    local norm = optimiser:gradient_norm(plan)
    assert.is_true(math.abs(norm - tensors["clip/before"]:totable()[1]) < 1e-6)
    optimiser:step(plan, 1, 0.25 / (norm + 1e-6))
    single.compare("clipped", single.flat(graph:parameter "n.weight" * -1), single.flat(tensors["clip/after"]), 1e-7)
  end)

  it("has a norm that does not depend on the number of threads, and that says what is not finite", function()
    local start = core.randn(1, 400000, { seed = 4 }):totable()[1]
    local graph, plan = setup_graph(core, start)
    local optimiser, norms, threads = core.optimiser(graph), {}, core.threads()
    plan:forward(core.tensor { start })
    plan:backward(core.tensor { { 1 } })
    local sum = 0
    for _, value in ipairs(start) do sum = sum + value * value end
    for i = 1, 3 do
      core.threads(i)
      norms[i] = optimiser:gradient_norm(plan)
    end
    core.threads(threads)
    assert.same({ norms[1], norms[1], norms[1] }, norms)
    assert.is_true(math.abs(norms[1] - math.sqrt(sum)) < 1e-9 * norms[1])
    plan:forward(core.tensor { start })
    plan:backward(core.tensor { { 0 / 0 } })
    local norm = optimiser:gradient_norm(plan)
    assert.is_true(norm ~= norm)
  end)

  it("leaves frozen parameters alone, and keeps no state of them", function()
    local graph = setup_graph(core, { 1, 2 }):copy()
    graph:add("linear", "m", { "n" }, { out = 2 })
    local plan = core.plan(graph, { backward = true, params = true, frozen = { "n.weight", "m.bias" } })
    local optimiser = core.optimiser(graph, { kind = "sgd", frozen = { "n.weight", "m.bias" } })
    plan:forward(core.tensor { { 3, 1 } })
    plan:backward(core.tensor { { 1, 2 } })
    optimiser:step(plan, 0.5)
    assert.same({ 1, 2 }, weights(graph))
    assert.same({ 0, 0 }, graph:parameter "m.bias":totable())
    assert.same({ { -2.5 }, { -5 } }, graph:parameter "m.weight":totable())
    local names = {}
    for name in pairs(optimiser:state()) do names[name] = true end
    assert.same({ ["momentum/m.weight"] = true, steps = true }, names)
  end)

  it("keeps zeros at zero, whatever the kind, and brings back what is not", function()
    for _, given in ipairs { { kind = "adam", eps = 0, weight_decay = 0.1 }, { kind = "adam", eps = 1e-60 },
      { kind = "adamw", weight_decay = 0.5 }, { kind = "sgd", momentum = 0.9, nesterov = true, weight_decay = 0.1 } } do
      local graph = core.graph()
      graph:add("input", "x", {}, { shape = { 2 } })
      graph:add("linear", "n", { "x" }, { out = 3 })
      graph:set_parameter("n.weight", core.tensor { { 1, 2 }, { 7, 7 }, { 0, 0 } })
      local plan = core.plan(graph, { backward = true, params = true, training = true })
      given.masked = { n = { 2, 3 } }
      local optimiser = core.optimiser(graph, given)
      for t = 1, 5 do
        plan:forward(core.tensor { { 1, t } })
        plan:backward(core.tensor { { 0.1, 100, 100 } })
        assert.is_true(optimiser:gradient_norm(plan) < 1)
        optimiser:step(plan, 0.1)
        local rows = graph:parameter "n.weight":totable()
        assert.same({ { 0, 0 }, { 0, 0 } }, { rows[2], rows[3] })
        assert.not_equal(1, rows[1][1])
        local bias = graph:parameter "n.bias":totable()
        assert.same({ 0, 0 }, { bias[2], bias[3] })
        assert.not_equal(0, bias[1])
      end
    end
  end)

  it("does not change tensors that others hold, of parameters or of its state", function()
    local graph, plan = setup_graph(core, { 1, 2 })
    local other, held, optimiser = graph:copy(), graph:parameter "n.weight", core.optimiser(graph)
    step(core, optimiser, plan, { 1, -1 }, 0.5)
    local state = optimiser:state()
    local before = state["m/n.weight"]:totable()
    step(core, optimiser, plan, { 1, -1 }, 0.5)
    assert.same({ 1, 2 }, weights(other))
    assert.same({ { 1, 2 } }, held:totable())
    assert.same(before, state["m/n.weight"]:totable())
    assert.not_same({ 1, 2 }, weights(graph))
  end)

  it("goes on from its state to the bit", function()
    local gradients = { { 0.3, -2 }, { 1, 0.5 }, { -0.7, 0.1 }, { 0.2, 0.2 } }
    for kind, expected in pairs { adam = { "m/n.weight", "steps", "v/n.weight" },
      adamw = { "m/n.weight", "steps", "v/n.weight" }, sgd = { "momentum/n.weight", "steps" } } do
      local graph, plan = setup_graph(core, { 1, 2 })
      local optimiser = core.optimiser(graph, { kind = kind })
      local halfway, state
      for t, gradient in ipairs(gradients) do
        step(core, optimiser, plan, gradient, 0.1)
        if t == 2 then halfway, state = weights(graph), optimiser:state() end
      end
      local names = {}
      for name in pairs(state) do names[#names + 1] = name end
      table.sort(names)
      assert.same(expected, names)
      assert.same({ 2 }, state.steps:totable())
      local again, plan_again = setup_graph(core, halfway)
      local resumed = core.optimiser(again, { kind = kind })
      resumed:load(state)
      for t = 3, 4 do step(core, resumed, plan_again, gradients[t], 0.1) end
      assert.same(weights(graph), weights(again))
    end
  end)

  it("says what is wrong with what it is made of", function()
    local graph = setup_graph(core, { 1, 2 })
    assert.equal("optimiser: graph: expected a Graph, got nil", message_of(core.optimiser))
    for message, given in pairs {
      ["optimiser: beta1: expected a number in [0, 1), got 1"] = { beta1 = 1 },
      ["optimiser: eps: expected a number of at least 0, got -1"] = { eps = -1 },
      ["optimiser: momentum: expected a number in [0, 1), got 1"] = { momentum = 1 },
      ["optimiser: nesterov: expected a momentum above 0"] = { nesterov = true, momentum = 0 },
      ["optimiser: kind: expected 'adam', 'adamw' or 'sgd', got 'lion'"] = { kind = "lion" },
      ["optimiser: weight_decay: expected a number of at least 0, got -0.1"] =
        { parameters = { ["n.weight"] = { weight_decay = -0.1 } } },
      ["optimiser: lr_scale: expected a number of at least 0, got inf"] =
        { parameters = { ["n.weight"] = { lr_scale = math.huge } } },
      ["optimiser: name: expected a parameter of the graph, got 'm'"] = { parameters = { m = {} } },
      ["optimiser: frozen: expected a list of parameter names, got 1"] = { frozen = 1 },
      ["mask: 'n': expected units in 1..1, got 2"] = { masked = { n = { 2 } } },
      ["optimiser: node: expected one of the graph, got 'm'"] = { masked = { m = { 2 } } },
      ["optimiser: unknown option 'lr', expected one of: kind, beta1, beta2, eps, momentum, nesterov, weight_decay, "
        .. "parameters, frozen, masked"] = { lr = 1 },
    } do
      assert.equal(message, message_of(core.optimiser, graph, given))
    end
  end)

  it("says what is wrong with a step or a state", function()
    local graph, plan = setup_graph(core, { 1, 2 })
    local optimiser = core.optimiser(graph)
    assert.equal("step: lr: expected a finite number of at least 0, got inf",
      message_of(optimiser.step, optimiser, plan, math.huge))
    assert.equal("step: scale: expected a finite number of at least 0, got -1",
      message_of(optimiser.step, optimiser, plan, 1, -1))
    local _, foreign = setup_graph(core, { 1, 2 })
    assert.equal("step: plan: expected one of the optimiser's own graph",
      message_of(optimiser.step, optimiser, foreign, 0.1))
    assert.equal("step: plan: expected one with params, got none for parameter 'n.weight'",
      message_of(optimiser.step, optimiser, core.plan(graph, { backward = true }), 0.1))
    local state = optimiser:state()
    state["m/n.weight"] = core.zeros(1, 3)
    assert.equal("load: m/n.weight: expected [1x2], got [1x3]", message_of(optimiser.load, optimiser, state))
    state["m/n.weight"] = nil
    assert.equal("load: m/n.weight: expected a Tensor, got nil", message_of(optimiser.load, optimiser, state))
    optimiser:close()
    assert.equal("step: self: expected an Optimiser, got secateur.Optimiser",
      message_of(optimiser.step, optimiser, plan, 0.1))
  end)
end)
