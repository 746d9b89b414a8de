local attribute = require "secateur.attribution.attribute"
local core = require "secateur.core"
local families = require "support.families"
local runs = require "secateur.attribution.batch_budget"

describe("runs that take gradients", function()
  local model = families.all().basic
  local x = families.batch(model, 5)
  local budget = runs.budget

  after_each(function() runs.budget = budget end)

  it("keep within a budget of memory, with one row at least", function()
    local one = core.gradients(model.graph, { batch = 1 }):memory()
    runs.budget = 3 * one + one // 2
    local few = runs.gradients(model.graph, 16, {})
    assert.is_true(few:memory() <= runs.budget)
    assert.is_true(few:memory() > 2 * one)
    runs.budget = 1
    assert.equal(one, (runs.gradients(model.graph, 16, {}):memory()))
    runs.budget = budget
    assert.is_true(runs.gradients(model.graph, 4, {}):memory() > 3 * one)
  end)

  it("give the same whatever fits", function()
    for _, opts in ipairs { { method = "ig", steps = 3, baseline = "zero", layers = { "fc" } },
      { method = "smoothgrad", samples = 3, layers = { "fc" } }, { method = "gradient_x_input", layers = { "fc" } } } do
      runs.budget = budget
      local whole = attribute(model, x, opts)
      runs.budget = 1
      local single = attribute(model, x, opts)
      assert.is_true(single.input:allclose(whole.input, 1e-3, 1e-5 * whole.input:abs():max()), opts.method)
      assert.is_true(single.layers.fc:allclose(whole.layers.fc, 1e-3, 1e-5 * whole.layers.fc:abs():max()))
    end
  end)
end)
