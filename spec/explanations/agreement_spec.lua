local core = require "secateur.core"
local csv = require "secateur.util.csv"
local errors = require "support.errors"
local files = require "secateur.util.files"
local memory_split = require "support.memory_split"
local sc = require "secateur"
local temporary = require "support.temporary"
local toy = require "support.toy"

local images = sc.randn(9, 1, 8, 8, { seed = 1 })
local split = memory_split(images, { 1, 2, 3, 1, 2, 3, 1, 2, 3 }, { classes = { "a", "b", "c" } })
local measures = { "cosine", "spearman", "topk" }

local function dot(a, b) return (a * b):sum() end
local function cosine(a, b) return dot(a, b) / math.sqrt(dot(a, a) * dot(b, b)) end

describe("agreement", function()
  local model = toy.model { seed = 2 }
  local pruned = sc.prune(model, { ["features.0"] = { 2, 5 }, ["features.3"] = { 1 }, ["classifier.0"] = { 3, 4 } })

  it("of a model with itself is whole, for every method", function()
    for _, method in ipairs { "lrp", "dlb", { method = "ig", steps = 4 }, function(_, x) return x end } do
      local result = sc.agreement(model, model, split, { method = method })
      for _, measure in ipairs(measures) do
        assert.near(1, result.input[measure].mean, 1e-6)
        assert.near(1, result.input[measure].low, 1e-6)
        for _, layer in ipairs(result.layers) do
          if layer[measure] then assert.near(1, layer[measure].mean, 1e-6) end
        end
      end
      assert.equal(type(method) == "function" and 0 or 3, #result.layers)
    end
  end)

  it("compares heatmaps and units for the target of the unpruned model", function()
    local result = sc.agreement(model, pruned, split, { method = "lrp", indices = { 1, 2, 3, 4 }, batch = 3 })
    local x = images:view(1, 4)
    local before = sc.attribute(model, x)
    local after = sc.attribute(pruned, x, { target = before.target })
    assert.same(before.target, result.targets)
    for i = 1, 4 do
      assert.near(cosine(before.input[i]:sum(1), after.input[i]:sum(1)), result.values.input.cosine[i], 1e-5)
      for _, layer in ipairs(model:layers()) do
        local function units(of)
          local relevance = of.layers[layer.name][i]
          return layer.kind == "conv" and relevance:sum(3):sum(2) or relevance
        end
        assert.near(cosine(units(before), units(after)), result.values.layers[layer.name].cosine[i], 1e-5)
        for _, unit in ipairs(pruned.plan[layer.name]) do assert.equal(0, units(after):get(unit)) end
      end
    end
    local sum = 0
    for i = 1, 4 do sum = sum + result.values.input.cosine[i] end
    assert.near(sum / 4, result.input.cosine.mean, 1e-9)
    assert.is_true(result.input.cosine.low <= sum / 4 and sum / 4 <= result.input.cosine.high)
  end)

  it("counts pruned units as zero, or leaves them out", function()
    -- An explanation that gives pruned units a share: only the plan takes it away.
    local relevance = sc.randn(1, 6, 8, 8, { seed = 3 })
    local opts = { method = function(_, x) return { input = x, layers = { ["features.0"] = relevance } } end,
      layers = { "features.0" }, indices = { 2 } }
    local whole = sc.agreement(model, pruned, split, opts)
    opts.units = "left"
    local left = sc.agreement(model, pruned, split, opts)
    local units = relevance:reshape(6, -1):sum(2)
    local lessened = units:clone()
    for _, unit in ipairs(pruned.plan["features.0"]) do lessened:set(0, unit) end
    assert.near(cosine(units, lessened), whole.layers[1].cosine.mean, 1e-6)
    assert.is_true(whole.layers[1].cosine.mean < 0.99)
    assert.near(1, left.layers[1].cosine.mean, 1e-6)
  end)

  it("tells classes apart, by label or by target", function()
    local result = sc.agreement(model, pruned, split, { per_class = 2 })
    assert.equal(6, result.count)
    local names = {}
    for i, class in ipairs(result.per_class) do names[i] = class.name .. class.samples end
    assert.same({ "a2", "b2", "c2" }, names)
    local sum, weight = 0, 0
    for _, class in ipairs(result.per_class) do
      sum, weight = sum + class.cosine.mean * class.cosine.count, weight + class.cosine.count
    end
    assert.near(result.input.cosine.mean, sum / weight, 1e-6)
    for i, layer in ipairs(result.layers) do
      sum, weight = 0, 0
      for k, class in ipairs(result.per_class) do
        local part, total, count = class.layers[i], 0, 0
        for sample, label in ipairs(result.labels) do
          local value = label == k and result.values.layers[layer.name].spearman[sample]
          if value then total, count = total + value, count + 1 end
        end
        assert.same({ layer.name, 2, count }, { part.name, part.samples, part.spearman.count })
        assert.near(total / count, part.spearman.mean, 1e-6)
        sum, weight = sum + total, weight + count
      end
      assert.near(layer.spearman.mean, sum / weight, 1e-6)
    end
    local of_targets = sc.agreement(model, pruned, images, { target = 2 })
    assert.equal(1, #of_targets.per_class)
    assert.same({ 2, "2", 9 }, { of_targets.per_class[1].class, of_targets.per_class[1].name,
      of_targets.per_class[1].samples })
  end)

  it("takes any two models with the same layers, and leaves both alone", function()
    local other, before = toy.model { seed = 9 }, toy.weights(model)
    local result = sc.agreement(model, other, split)
    assert.is_true(result.input.spearman.mean < 0.9)
    assert.same(before, toy.weights(model))
    local explain = sc.agreement.against(model, split)
    assert.same(result.values, explain(other).values)
    assert.near(1, explain(model).input.cosine.mean, 1e-6)
    assert.same(result.values, sc.agreement(model, other, split).values)
  end)

  it("works token by token in a transformer", function()
    local a = sc.models.vit { size = 8, patch = 4, layers = 1, heads = 2, dim = 8, mlp = 12, channels = 1, classes = 3 }
    a.graph:set_parameter("heads.head.weight", sc.randn(3, 8, { seed = 1 })) -- starts as zero
    local masked = sc.prune(a, sc.importance(a, split, { method = "random" }), { rate = 0.3 })
    local result = sc.agreement(a, masked, split)
    assert.equal(#a:layers(), #result.layers)
    local x = images:view(1, 1)
    local name = a:layers()[#a:layers()].name
    local target = { result.targets[1] }
    local function units(of)
      return sc.attribute(of, x, { target = target, layers = { name } }).layers[name][1]:sum(1)
    end
    assert.near(cosine(units(a), units(masked)), result.values.layers[name].cosine[1], 1e-4)
  end)

  it("leaves out what is undefined", function()
    local first = true
    local result = sc.agreement(model, pruned, images, { method = function(_, x)
      local out = x:clone()
      if first then out:view(1, 4):fill(0) end
      first = false
      return out
    end })
    assert.same({ 5, 9 }, { result.input.cosine.count, result.input.samples })
    assert.near(1, result.input.cosine.mean, 1e-6)
    local none = sc.agreement(model, pruned, images, { method = function(_, x) return x * 0 end })
    assert.is_nil(none.input.cosine)
    assert.matches("heatmap +9 +– +– +–", tostring(none))
    assert.is_nil(none:rows()[1].cosine)
  end)

  it("prints, and writes rows", function()
    local result = sc.agreement(model, pruned, split, { per_class = 1 })
    local text = tostring(result)
    for _, word in ipairs { "^Agreement of explanations %(lrp%)", "\nheatmap ", "\n  of b ", "\nunits of features%.3 ",
      "top 10 %%" } do
      assert.matches(word, text)
    end
    local rows = result:rows()
    assert.equal((1 + 3) * (1 + 3), #rows)
    assert.same({ "input", "all", 3 }, { rows[1].part, rows[1].class, rows[1].samples })
    assert.same({ "input", "c" }, { rows[4].part, rows[4].class })
    assert.same({ "classifier.0", "all" }, { rows[13].part, rows[13].class })
    assert.same({ "classifier.0", "c", 1 }, { rows[16].part, rows[16].class, rows[16].samples })
    local folder = temporary.folder()
    local path = folder .. "/a.csv"
    result:csv(path)
    local records = csv.records(path, { "part", "class", "cosine", "topk_high" })
    assert.equal(16, #records)
    assert.equal(rows[1].cosine, tonumber(records[1].cosine))
    files.remove(folder)
  end)

  it("says what is wrong, at the caller's line", function()
    local function wrong(expected, other, opts, given)
      local here = function() local r = sc.agreement(model, other or pruned, given or split, opts) return r end
      assert.equal("agreement: " .. expected, errors.here(here))
    end
    wrong("pruned: expected a Model, got 3", 3)
    wrong("pruned: expected images [1 x 8 x 8] and 3 classes as the model has, got [1 x 8 x 8] and 4",
      toy.model { classes = 4 })
    wrong("pruned: layer 'features.3': expected 8 units, got 9", toy.model { config = { 6, "M", 9, "M" } })
    wrong("pruned: layer 'features.3': expected 8 units, got no such layer",
      toy.model { config = { 6, "M", 8, "M" }, batch_norm = true })
    wrong("layers: expected layers that can be pruned, got 'features.1' at 1", nil, { layers = { "features.1" } })
    wrong("layers: expected different names, got 'features.3' twice", nil, { layers = { "features.3", "features.3" } })
    wrong("layers: expected a list, got { first = 'features.3' }", nil, { layers = { first = "features.3" } })
    wrong("method: steps: expected an option of method 'lrp' (batch_norm, composite, exact, high, low, "
        .. "start), got one of 'ig'", nil,
      { method = { steps = 3 } })
    wrong("units: 'left' needs a model that prune has made, with its plan", model, { units = "left" })
    wrong("top: expected a number in (0, 1], got 0", nil, { top = 0 })
    wrong("unknown option 'methods', expected one of: batch, indices, layers, level, method, on_progress, per_class, "
      .. "resamples, samples, seed, target, top, units; did you mean 'method'?", nil, { methods = { "lrp" } })
    wrong("split: expected a split of a dataset, got 'x'", nil, nil, "x")
    local function given(layer, first) -- relevance of a layer at all calls, or at the first few
      local calls = 0
      return function(_, x)
        calls = calls + 1
        return { input = x, layers = { ["features.0"] = (not first or calls <= first) and layer(x) or nil } }
      end
    end
    wrong("method: expected relevance of layer 'features.0' as [9 x 6 x ...], got 3", nil,
      { method = given(function() return 3 end) })
    wrong("method: expected relevance of layer 'features.0' as [9 x 6 x ...], got [9 x 7] float32", nil,
      { method = given(function() return core.zeros(9, 7) end) })
    wrong("method: expected relevance of layer 'features.0' as [9 x 6 x ...], got [1 x 6] float32", nil,
      { method = given(function() return core.zeros(1, 6) end) })
    local function good(x) return core.ones(x:size(1), 6) end
    wrong("method: expected relevance of layer 'features.0' for all images or for none", nil,
      { method = given(good, 1), batch = 5 })
    wrong("method: expected relevance of layer 'features.0' for both models or for neither", nil,
      { method = given(good, 1) })
    assert.equal("agreement: model: expected a Model, got nil",
      errors.here(function() local r = sc.agreement(nil, pruned, split) return r end))
    assert.equal("agreement: top: expected a number in (0, 1], got 2",
      errors.here(function() local r = sc.agreement.against(model, split, { top = 2 }) return r end))
    assert.matches("^agreement: method: method: expected one of",
      errors.text(sc.agreement, model, pruned, split, { method = "lpr" }))
  end)
end)
