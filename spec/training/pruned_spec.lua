local core = require "secateur.core"
local errors = require "support.errors"
local models = require "secateur.models"
local prune = require "secateur.pruning.prune"
local toy = require "support.toy"
local train = require "secateur.training.train"

local families = {
  vgg_bn = function() return toy.model { batch_norm = true, seed = 3 } end,
  vgg = function() return toy.model { seed = 3 } end,
  resnet = function()
    return models.resnet { block = "bottleneck", stem = 4, planes = { 4, 6 }, blocks = { 1, 1 }, classes = 3, size = 8,
      channels = 1 }
  end,
  vit = function()
    return models.vit { size = 8, patch = 4, layers = 2, heads = 2, dim = 8, mlp = 12, classes = 3, channels = 1 }
  end,
}

-- Weights with no zeros at all, so that every zero is one that pruning made.
local function unsettle(model)
  for i, parameter in ipairs(model.graph:parameters()) do
    if parameter.trainable then
      local shape = { table.unpack(parameter.shape) }
      shape[#shape + 1] = { seed = i, low = 0.05, high = 0.4 }
      local sign = { table.unpack(parameter.shape) }
      sign[#sign + 1] = { seed = 100 + i, low = -1, high = 1 }
      local s = core.rand(table.unpack(sign))
      model.graph:set_parameter(parameter.name, core.rand(table.unpack(shape)) * (s / s:abs()))
    end
  end
  return model
end

-- Half of each layer's units, every other one.
local function half(model)
  local plan = {}
  for _, layer in ipairs(model:layers()) do
    plan[layer.name] = {}
    for unit = 1, layer.units, 2 do table.insert(plan[layer.name], unit) end
  end
  return prune(model, plan)
end

-- Which numbers of the trainable parameters are zero: "name/index" -> true, and how many.
local function zeros(model)
  local set, count = {}, 0
  for _, parameter in ipairs(model.graph:parameters()) do
    local tensor = model.graph:parameter(parameter.name)
    for i, value in ipairs(parameter.trainable and tensor:reshape(tensor:numel()):totable() or {}) do
      if value == 0 then
        set[parameter.name .. "/" .. i] = true
        count = count + 1
      end
    end
  end
  return set, count
end

local recipes = {
  { optimiser = "adam", weight_decay = 0.1 },
  { optimiser = "adamw", weight_decay = 0.1, ema = 0.9, clip = 1 },
  { optimiser = "sgd", nesterov = true, weight_decay = 0.01, lr = 0.01, label_smoothing = 0.1, micro_batch = 4 },
}

local function quietly(given, epochs)
  local opts = { quiet = true, augment = false, epochs = epochs, batch = 8, select = "last" }
  for key, value in pairs(given) do opts[key] = value end
  return opts
end

local threads
setup(function() threads = core.threads() core.threads(1) end)
teardown(function() core.threads(threads) end)

describe("training a pruned model", function()
  it("keeps exactly what pruning made zero, in every family, with every optimiser, after every step", function()
    for name, build in pairs(families) do
      for _, given in ipairs(recipes) do
        local model = half(unsettle(build()))
        local before, count = zeros(model)
        local weights = toy.weights(model)
        assert.is_true(count > 0)
        -- One step per epoch.
        local opts = quietly(given, 3)
        opts.batch, opts.on_epoch = 24, function() assert.same(before, (zeros(model)), name .. given.optimiser) end
        train(model, toy.data(24, 6), opts)
        local after, still = zeros(model)
        assert.same(before, after)
        assert.equal(count, still)
        local trained = toy.weights(model)
        local moved = 0
        for each, value in pairs(weights) do
          if not pcall(assert.same, value, trained[each]) then moved = moved + 1 end
        end
        assert.is_true(moved > 4, name)
      end
    end
  end)

  it("brings units back by their gradients only where there is no plan", function()
    local model = half(unsettle(families.vit()))
    local before = zeros(model)
    local loose = model:clone()
    loose.plan = nil
    train(loose, toy.data(24, 6), quietly(recipes[1], 2))
    assert.not_same(before, (zeros(loose)))
    train(model, toy.data(24, 6), quietly(recipes[1], 2))
    assert.same(before, (zeros(model)))
  end)

  it("silences units of the plan whose weights are not zero", function()
    local model = half(unsettle(families.vit()))
    local before = zeros(model)
    local state = unsettle(families.vit()):state()
    for name, tensor in pairs(state) do model.graph:set_parameter(name, tensor) end
    train(model, toy.data(24, 6), quietly(recipes[3], 1))
    assert.same(before, (zeros(model)))
  end)

  it("says where a plan is not the model's", function()
    local model = families.vgg()
    for message, plan in pairs {
      ["train: optimiser: node: expected one of the graph, got 'layer1'"] = { layer1 = { 1 } },
      ["train: mask: 'features.0': expected units in 1..6, got 7"] = { ["features.0"] = { 7 } },
      ["train: mask: 'features.1': expected a node that produces units, got relu"] = { ["features.1"] = { 1 } },
    } do
      model.plan = plan
      assert.equal(message, errors.text(function() train(model, toy.data(24, 6), quietly({}, 1)) end))
    end
  end)

  it("leaves frozen layers as they are, pruned or not", function()
    local model = half(unsettle(families.vgg_bn()))
    local before = zeros(model)
    train(model, toy.data(24, 6), quietly({ freeze = "^features" }, 1))
    assert.same(before, (zeros(model)))
  end)
end)
