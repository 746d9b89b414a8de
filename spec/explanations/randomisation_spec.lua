local core = require "secateur.core"
local randomisation = require "secateur.explanations.randomisation"
local toy = require "support.toy"

local function moments(tensor)
  local mean = tensor:mean()
  local centred = tensor - mean
  return mean, math.sqrt((centred * centred):mean())
end

describe("cascading randomisation", function()
  it("goes from the output down, leaves the model alone and shares what is not random", function()
    local model = toy.model { config = { 16, "M", 32, "M" }, batch_norm = true, seed = 3 }
    local before = toy.weights(model)
    local layers = randomisation.layers(model)
    assert.same({ "classifier.3", "classifier.0", "features.4", "features.0" }, layers)
    local order, changed = {}, {}
    for name, random in randomisation.cascade(model, layers, 1) do
      order[#order + 1] = name
      local count = 0
      for parameter, tensor in pairs(random:state()) do
        local same = tensor:dtype() == "int64" or tensor:allclose(model:state()[parameter], 0, 0)
        if parameter:find "^features.*weight$" and tensor:size(1) > 1 and not same then count = count + 1 end
        if parameter:find "running_var" then assert.equal(tensor:numel(), tensor:sum()) end
      end
      changed[name] = count
      assert.is_false(random:state()["classifier.3.weight"]:allclose(model:state()["classifier.3.weight"]))
    end
    assert.same(layers, order)
    assert.equal(0, changed["classifier.0"])
    assert.is_true(changed["features.0"] > changed["features.4"] and changed["features.4"] > 0)
    assert.same(before, toy.weights(model))
  end)

  it("draws weights as large as those there, around zero, and biases around theirs, by the seed", function()
    local model = toy.model { config = { 32, "M", 64, "M" }, seed = 5 }
    model.graph:set_parameter("features.3.weight", core.randn(64, 32, 3, 3, { seed = 1, mean = -1, std = 2 }))
    model.graph:set_parameter("features.3.bias", core.randn(64, { seed = 2, mean = 5, std = 0.01 }))
    local function last(seed, name)
      local found
      for _, random in randomisation.cascade(model, { "features.0" }, seed) do found = random:state() end
      return found[name]
    end
    local mean, std = moments(last(1, "features.3.weight"))
    assert.near(0, mean, 0.1)
    assert.near(math.sqrt(5), std, 0.05)
    mean, std = moments(last(1, "features.3.bias"))
    assert.near(5, mean, 0.01)
    assert.is_true(std > 0.005 and std < 0.02)
    assert.is_true(last(1, "features.3.weight"):allclose(last(1, "features.3.weight"), 0, 0))
    assert.is_false(last(1, "features.3.weight"):allclose(last(2, "features.3.weight")))
  end)

  it("spreads few stops over many layers", function()
    assert.same({ 1, 2, 3 }, randomisation.spread({ 1, 2, 3 }, 5))
    assert.same({ 1, 4, 7 }, randomisation.spread({ 1, 2, 3, 4, 5, 6, 7 }, 3))
  end)
end)
