local core = require "secateur.core"
local errors = require "support.errors"
local toy = require "support.toy"

local function model_of() return toy.model { batch_norm = true, seed = 3 } end

local function plan_of(model, collects)
  model.graph:own_parameters()
  return model:execution_plan(6, { training = true, backward = true, params = true, collect_statistics = collects })
end

describe("batch statistics of a plan", function()
  it("wait until they are asked for, and then do what a forward run does", function()
    local x, at_once, later = core.randn(9, 1, 8, 8, { seed = 1 }), model_of(), model_of()
    local plan, collecting = plan_of(at_once), plan_of(later, true)
    local before, pieces, rows = toy.weights(later), { { 1, 6 }, { 7, 9 } }, {}
    for i, piece in ipairs(pieces) do
      local given = x:view(table.unpack(piece))
      assert.same(plan:forward(given, i):totable(), collecting:forward(given, i):totable())
      rows[i] = collecting:statistics():clone()
    end
    assert.same(before, toy.weights(later))
    for i, piece in ipairs(pieces) do collecting:update_statistics(rows[i], piece[2] - piece[1] + 1) end
    assert.same(toy.weights(at_once), toy.weights(later))
    assert.not_same(before, toy.weights(later))
  end)

  it("changes no tensor that somebody else has", function()
    local model = model_of()
    local plan = plan_of(model, true)
    plan:forward(core.randn(2, 1, 8, 8, { seed = 1 }))
    local state = model:state()
    local before = state["features.1.running_mean"]:totable()
    plan:update_statistics(plan:statistics(), 2)
    assert.same(before, state["features.1.running_mean"]:totable())
    assert.not_same(before, model:state()["features.1.running_mean"]:totable())
  end)

  it("are there where a norm learns, and where they were asked for", function()
    assert.is_nil(plan_of(model_of()):statistics())
    local plain = plan_of(toy.model(), true)
    assert.is_nil(plain:statistics())
    local collecting = plan_of(model_of(), true)
    assert.same({ 2 * (6 + 8) }, collecting:statistics():shape())
    assert.equal("update_statistics: expected a plan with collect_statistics, of a graph that has some",
      errors.raised(plain.update_statistics, plain, core.zeros(3), 1))
    assert.equal("update_statistics: statistics: expected float32 [28], got float32 [3]",
      errors.raised(collecting.update_statistics, collecting, core.zeros(3), 1))
    assert.truthy(errors.raised(collecting.update_statistics, collecting, core.zeros(28), 0):find "samples")
  end)
end)

describe("gradients of a plan as one vector", function()
  it("are those of the parameters, one after another", function()
    local model = model_of()
    local plan, x = plan_of(model), core.randn(4, 1, 8, 8, { seed = 1 })
    plan:backward(plan:forward(x))
    local all, sum = plan:gradients(), 0
    for _, parameter in ipairs(model.graph:parameters()) do
      local grad = parameter.trainable and plan:param_grad(parameter.name)
      if grad then sum = sum + (grad * grad):sum() end
    end
    assert.is_true(math.abs(sum - (all * all):sum()) <= 1e-6 * sum and sum > 0)
    local once, bias = all:clone(), plan:param_grad("classifier.0.bias"):totable()
    plan:add_gradients(once)
    assert.same((once + once):totable(), plan:gradients():totable())
    for i, value in ipairs(plan:param_grad("classifier.0.bias"):totable()) do assert.equal(2 * bias[i], value) end
    plan:clear_gradients()
    assert.equal(0, plan:gradients():abs():max())
    assert.equal(("add_gradients: gradients: expected float32 [%d], got float32 [3]"):format(all:numel()),
      errors.raised(plan.add_gradients, plan, core.zeros(3)))
    assert.is_nil(model:execution_plan(1):gradients())
  end)
end)
