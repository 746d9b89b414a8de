local attribute = require "secateur.attribution.attribute"
local core = require "secateur.core"
local families = require "support.families"

local function close(a, b)
  assert.same(b:shape(), a:shape())
  assert.is_true((a - b):abs():max() <= 2e-5 * math.max(b:abs():max(), 1e-6))
end

describe("propagation of relevance", function()
  local model = families.all().vgg
  local x = families.batch(model, 2)
  local last = "classifier.3"

  -- Relevance at the input of one class, started with 1.
  local function of_class(method, class)
    return attribute(model, x, { method = method, target = class, layers = {} }).input
  end

  it("is linear in the weights of the target", function()
    local weights = core.tensor { { 1, -2, 0.5 }, { 0, 0.25, 3 } }
    for _, method in ipairs { "lrp", "dlb" } do
      local expected
      for class = 1, 3 do
        local share = core.zeros(2, 1, 1, 1)
        for i = 1, 2 do share:set(weights:get(i, class), i, 1, 1, 1) end
        local part = of_class(method, class) * share
        expected = expected and expected + part or part
      end
      local result = attribute(model, x, { method = method, target = weights, layers = { last } })
      close(result.input, expected)
      assert.same(weights:totable(), result.layers[last]:totable())
      assert.same(weights:totable(), result.weights:totable())
      local contrast = attribute(model, x, { method = method, target = { of = 3, against = { 1, 2 } }, batch = 1 })
      assert.same({ 3, 3 }, contrast.target)
      assert.same({ 1, 2 }, contrast.against)
      for i = 1, 2 do
        close(contrast.input:view(i, i), (of_class(method, 3) - of_class(method, i)):view(i, i))
      end
    end
  end)

  it("starts a contrast from both logits, or both probabilities, with their signs", function()
    local logits = model:forward(x)
    for start, values in pairs { logit = logits, probability = core.softmax(logits) } do
      local result = attribute(model, x, { start = start, target = { of = 1, against = 3 }, layers = { last } })
      for i = 1, 2 do
        assert.near(values:get(i, 1), result.layers[last]:get(i, 1), 1e-6)
        assert.equal(0, result.layers[last]:get(i, 2))
        assert.near(-values:get(i, 3), result.layers[last]:get(i, 3), 1e-6)
        close(result.input:view(i, i), (of_class("lrp", 1) * values:get(i, 1)
          - of_class("lrp", 3) * values:get(i, 3)):view(i, i))
      end
    end
  end)
end)
