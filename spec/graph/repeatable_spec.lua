local core = require "secateur.core"
local families = require "support.families"

local function names_of(graph)
  local names = {}
  for i, node in ipairs(graph:nodes()) do names[i] = node.name end
  return names
end

describe("a repeatable plan", function()
  it("goes back several times after one forward run, as plans of their own do", function()
    for name, model in pairs(families.all()) do
      local graph, names = model.graph, names_of(model.graph)
      local x = families.batch(model, 3)
      local classes = model.class_count
      local plan = core.plan(graph, { batch = 3, backward = true, repeatable = true, keep_grads = names })
      local logits = plan:forward(x)
      for pass = 1, 3 do
        local start = core.randn(3, classes, { seed = pass })
        local once = core.plan(graph, { batch = 3, backward = true, keep_grads = names })
        assert.is_true(once:forward(x):allclose(logits, 0, 0))
        once:backward(start)
        plan:backward(start)
        for _, node in ipairs(names) do
          assert.is_true(once:grad(node):allclose(plan:grad(node), 0, 0), name .. " " .. node)
        end
      end
    end
  end)

  it("keeps its values to the end without asking", function()
    local model = families.all().vgg_bn
    local x = families.batch(model, 2)
    local plan = core.plan(model.graph, { batch = 2, backward = true, repeatable = true, keep_grads = { "input" } })
    plan:forward(x)
    local start = core.randn(2, model.class_count, { seed = 1 })
    plan:backward(start)
    local first = plan:grad("input")
    for _ = 1, 3 do
      plan:backward(start)
      assert.is_true(first:allclose(plan:grad("input"), 0, 0))
    end
  end)
end)
