local core = require "secateur.core"
local models = require "secateur.models"
local prune = require "secateur.pruning.prune"
local temporary = require "support.temporary"
local files = require "secateur.util.files"

local function small(seed)
  return models.vgg { config = { 4, "M", 3 }, hidden = { 5 }, pool = 2, classes = 2, size = 8, channels = 1,
    batch_norm = true, seed = seed or 1 }
end

-- Layers in order: features.0 (4 units), features.4 (3), classifier.0 (5); 12 units.
local function scores_of(first, second, third)
  return { ["features.0"] = core.tensor(first), ["features.4"] = core.tensor(second),
    ["classifier.0"] = core.tensor(third) }
end

local function plain(plan)
  local lists = {}
  for name, units in pairs(plan) do lists[name] = { table.unpack(units) } end
  return lists
end

local function state(model)
  local copy = {}
  for name, tensor in pairs(model:state()) do copy[name] = tensor:totable() end
  return copy
end

describe("prune", function()
  local scores

  before_each(function()
    scores = scores_of({ 0.5, -1, 3, 0.1 }, { 2, 0.3, 0.2 }, { 9, 0.4, -2, 8, 7 })
    scores.provenance = { method = "lrp" }
  end)

  it("removes exactly floor(rate * units), lowest scores first, over all layers", function()
    local expected = {
      [0] = { {}, {}, {} },
      [0.08] = { {}, {}, {} }, -- 0.96 units
      [1 / 12] = { {}, {}, { 3 } },
      [0.3] = { { 2, 4 }, {}, { 3 } },
      [0.5] = { { 2, 4 }, { 2, 3 }, { 2, 3 } },
      [0.6] = { { 1, 2, 4 }, { 2, 3 }, { 2, 3 } },
      [0.7] = { { 1, 2, 4 }, { 2, 3 }, { 2, 3, 5 } }, -- the last of features.4 (2) stays: min_units
    }
    for rate, units in pairs(expected) do
      local plan = prune.plan(small(), scores, { rate = rate })
      assert.same({ ["features.0"] = units[1], ["features.4"] = units[2], ["classifier.0"] = units[3] }, plain(plan))
      assert.equal(math.floor(rate * 12), plan:count())
    end
  end)

  it("takes rates as decimals have them: 29 of 100 at 0.29", function()
    local model = models.vgg { config = { 60, "M", 40 }, hidden = {}, pool = 1, classes = 2, size = 8, channels = 1,
      seed = 1 }
    local given = {}
    for i, layer in ipairs(model:layers()) do given[layer.name] = core.randn(layer.units, { seed = i }) end
    for k = 0, 97 do
      local rate = tonumber(("0.%02d"):format(k))
      assert.equal(k, prune.plan(model, given, { rate = rate }):count())
      local per_layer = prune.plan(model, given, { rate = rate, scope = "layer" })
      assert.equal(k * 60 // 100 + k * 40 // 100, per_layer:count())
    end
    for i, rate in ipairs(prune.rates(model, given)) do
      assert.equal(i - 1, prune.plan(model, given, { rate = rate }):count())
    end
  end)

  it("breaks ties by the order of layers, then of units", function()
    local even = scores_of({ 1, 1, 1, 1 }, { 1, 1, 1 }, { 1, 1, 0, 1, 1 })
    local expected = { { {}, {}, { 3 } }, { { 1 }, {}, { 3 } }, { { 1, 2 }, {}, { 3 } }, { { 1, 2, 3 }, {}, { 3 } },
      { { 1, 2, 3 }, { 1 }, { 3 } }, { { 1, 2, 3 }, { 1, 2 }, { 3 } }, { { 1, 2, 3 }, { 1, 2 }, { 1, 3 } } }
    for count, units in ipairs(expected) do
      local plan = prune.plan(small(), even, { rate = (count + 0.5) / 12 })
      assert.same({ ["features.0"] = units[1], ["features.4"] = units[2], ["classifier.0"] = units[3] }, plain(plan))
    end
  end)

  it("takes the rate of each layer where the scope is the layer", function()
    local plan = prune.plan(small(), scores, { rate = 0.5, scope = "layer" })
    assert.same({ ["features.0"] = { 2, 4 }, ["features.4"] = { 3 }, ["classifier.0"] = { 2, 3 } }, plain(plan))
  end)

  it("leaves min_units units in each layer and takes the next lowest elsewhere", function()
    local low = scores_of({ 10, 11, 12, 13 }, { 0, 1, 2 }, { 20, 21, 22, 23, 24 })
    local function lists(opts) return plain(prune.plan(small(), low, opts)) end
    assert.same({ ["features.0"] = { 1 }, ["features.4"] = { 1, 2 }, ["classifier.0"] = {} }, lists { rate = 0.25 })
    assert.same({ ["features.0"] = {}, ["features.4"] = { 1, 2, 3 }, ["classifier.0"] = {} },
      lists { rate = 0.25, min_units = 0 })
    assert.same({ ["features.0"] = { 1, 2 }, ["features.4"] = { 1 }, ["classifier.0"] = {} },
      lists { rate = 0.25, min_units = 2 })
    assert.has_error(function() prune.plan(small(), low, { rate = 0.9, min_units = 2 }) end,
      "prune: min_units = 2 leaves only 6 of the 10 units that rate = 0.9 would remove from the 12")
    assert.has_error(function() prune.plan(small(), low, { rate = 0.5, min_units = 3, scope = "layer" }) end,
      "prune: min_units = 3 leaves only 1 of the 2 units that rate = 0.5 would remove from the 4 of 'features.0'")
  end)

  it("prunes chosen layers only, and takes the rate of their units", function()
    local by_name = prune.plan(small(), scores, { rate = 0.5, layers = { "classifier.0", "features.0" } })
    assert.same({ ["features.0"] = { 2, 4 }, ["classifier.0"] = { 2, 3 } }, plain(by_name))
    scores["classifier.0"] = nil
    local function is_conv(layer) return layer.kind == "conv" end
    local by_kind = prune.plan(small(), scores, { rate = 0.5, layers = is_conv })
    assert.same({ ["features.0"] = { 2, 4 }, ["features.4"] = { 3 } }, plain(by_kind))
    assert.same({ ["features.4"] = { 3 } }, plain(prune.plan(small(), scores, { rate = 0.4, layers = "features.4" })))
  end)

  it("gives a masked copy and leaves the model as it was", function()
    local model = small()
    local before, x = state(model), core.randn(3, 1, 8, 8, { seed = 1 })
    local logits = model:forward(x)
    local pruned = prune(model, scores, { rate = 0.5 })
    local after = state(pruned)
    assert.same(before, state(model))
    assert.is_true(model:forward(x):allclose(logits, 0, 0))
    assert.is_nil(model.plan)
    assert.equal(6, pruned.plan:count())
    for unit = 1, 4 do
      assert.equal(unit == 2 or unit == 4, core.tensor(after["features.0.weight"][unit]):abs():max() == 0)
    end
    assert.equal(0, after["features.1.weight"][2])
    assert.equal(before["features.1.weight"][1], after["features.1.weight"][1])
    assert.is_false(pruned:forward(x):allclose(logits))
    assert.equal(model.info.architecture, pruned.info.architecture)
    assert.are_not.equal(model.info, pruned.info)
  end)

  it("of a pruned model counts what is gone, and never brings it back", function()
    local first = prune(small(), { ["features.0"] = { 3, 1 } }) -- 3 has the highest score but two
    local function again(...) return plain(prune(first, ...).plan) end
    assert.same({ ["features.0"] = { 1, 2, 3 }, ["features.4"] = { 3 }, ["classifier.0"] = { 3 } },
      again(scores, { rate = 5 / 12, min_units = 1 }))
    assert.same({ ["features.0"] = { 1, 3 }, ["features.4"] = {}, ["classifier.0"] = {} }, again(scores, { rate = 0 }))
    assert.same({ ["features.0"] = { 1, 3 }, ["features.4"] = { 3 } },
      again(scores, { rate = 0.34, layers = "features.4" }))
    assert.same({ ["features.0"] = { 1, 2, 3 } }, again { ["features.0"] = { 2, 3 } })
    assert.same({ ["features.0"] = { 1, 3 } }, plain(first.plan))
    assert.same(plain(prune.plan(first, scores, { rate = 0.5 })), again(scores, { rate = 0.5 }))
  end)

  it("gives an equal model at rate 0", function()
    local model, x = small(), core.randn(2, 1, 8, 8, { seed = 2 })
    local pruned = prune(model, scores, { rate = 0 })
    assert.equal(0, pruned.plan:count())
    assert.is_true(pruned:forward(x):allclose(model:forward(x), 0, 0))
  end)

  it("prints the plan as a table", function()
    local plan = prune.plan(small(), scores, { rate = 0.3 })
    assert.equal(table.concat({
      "layer         units  removed  share",
      "features.0        4        2  50.0%",
      "features.4        3        0   0.0%",
      "classifier.0      5        1  20.0%",
      "total            12        3  25.0%" }, "\n"), tostring(plan))
  end)

  describe("with a plan", function()
    local folder

    before_each(function() folder = temporary.folder() end)
    after_each(function() files.remove(folder) end)

    it("applies it again", function()
      local model, x = small(), core.randn(2, 1, 8, 8, { seed = 3 })
      local pruned = prune(model, scores, { rate = 0.5 })
      local path = folder .. "/plan.json"
      pruned.plan:save(path)
      local loaded = prune.load_plan(path)
      assert.same(plain(pruned.plan), plain(loaded))
      assert.equal(tostring(pruned.plan), tostring(loaded))
      for _, plan in ipairs { pruned.plan, loaded, plain(loaded) } do
        local again = prune(model, plan)
        assert.same(plain(pruned.plan), plain(again.plan))
        assert.is_true(again:forward(x):allclose(pruned:forward(x), 0, 0))
      end
      assert.same({ ["features.4"] = { 1, 3 } }, plain(prune(model, { ["features.4"] = { 3, 1 } }).plan))
    end)

    it("checks it against the model", function()
      local model = small()
      local function wrong(plan, message)
        assert.has_error(function() prune(model, plan) end, "prune: plan: " .. message)
      end
      wrong({ ["features.0"] = { 1 }, b = { 1 }, a = {} }, "the model has no prunable layer 'a', 'b'")
      wrong({ ["classifier.3"] = { 1 } }, "the model has no prunable layer 'classifier.3'")
      wrong({ ["features.0"] = { 5 } }, "'features.0': expected units in 1..4, got 5")
      wrong({ ["features.0"] = { 1, "x" } }, "'features.0': expected units in 1..4, got 'x'")
      wrong({ ["features.0"] = { 1, 1 } }, "'features.0': expected each unit once, got 1 twice")
      wrong({ ["features.0"] = { 1 }, ["features.4"] = 2 }, "'features.4': expected a list of units, got 2")
      local wider = models.vgg { config = { 6, "M", 3 }, hidden = { 5 }, pool = 2, classes = 2, size = 8, channels = 1,
        batch_norm = true }
      local plan = prune.plan(model, scores, { rate = 0.2 })
      assert.has_error(function() prune(wider, plan) end,
        "prune: plan: 'features.0': expected a layer of 4 units, the model's has 6")
      assert.has_error(function() prune(model, plan, { rate = 0.5 }) end,
        "prune: rate: expected none beside a plan")
    end)

    it("refuses files that hold no plan", function()
      local function wrong(content, message)
        local path = temporary.write(folder, "plan.json", content)
        assert.has_error(function() prune.load_plan(path) end, ("load_plan: %s: %s"):format(path, message))
      end
      wrong("{", "json: expected a name at byte 2")
      wrong("[1]", "expected a plan as prune writes it")
      wrong('{"format":"secateur plan","version":2,"layers":[]}', "expected version 1, got 2")
      wrong('{"format":"secateur plan","version":1,"layers":[3]}', "layer 1: expected name and units")
      wrong('{"format":"secateur plan","version":1,"layers":[{"name":"a","units":2}]}',
        "layer 1: expected a list of units, got nil")
      wrong('{"format":"secateur plan","version":1,"layers":[{"name":"a","units":2,"removed":[3]}]}',
        "layer 1: expected units in 1..2, got 3")
      local missing = folder .. "/missing.json"
      assert.has_error(function() prune.load_plan(missing) end,
        ("load_plan: %s: No such file or directory"):format(missing))
      local plan = prune.plan(small(), scores, { rate = 0 })
      plan:save(folder .. "/new/plan.json")
      assert.equal(tostring(plan), tostring(prune.load_plan(folder .. "/new/plan.json")))
      assert.has_error(function() plan:save(folder .. "/new/plan.json/plan.json") end,
        ("save: %s/new/plan.json/plan.json: Not a directory"):format(folder))
    end)
  end)

  it("says what is wrong", function()
    local model = small()
    local function wrong(given, opts, message)
      assert.has_error(function() prune(model, given, opts) end, "prune: " .. message)
      assert.has_error(function() prune.plan(model, given, opts) end, "prune: " .. message)
    end
    assert.has_error(function() prune({}, scores, { rate = 0.5 }) end, "prune: model: expected a Model, got a table")
    wrong(nil, { rate = 0.5 }, "scores: expected a table of layer = Tensor, or a plan, got nil")
    wrong(scores, nil, "rate: missing")
    wrong(scores, { rate = 1.5 }, "rate: expected a number in [0, 1), got 1.5")
    wrong(scores, { rate = 1 }, "rate: expected a number in [0, 1), got 1")
    wrong(scores, { rate = 0.5, keep = 1 }, "keep is called min_units now")
    wrong(scores, { rate = 0.5, scop = "layer" },
      "unknown option 'scop', expected one of: calibration, " ..
      "calibration_count, cost_aware, layers, min_units, rate, repair, scope, seed, target; did you mean 'scope'?")
    wrong(scores, { rate = 0.5, scope = "all" }, "scope: expected one of 'global', 'layer', got 'all'")
    wrong(scores, { rate = 0.5, layers = { "features.0", "x", "classifier.3" } },
      "layers: expected names of prunable layers, got 'x', 'classifier.3'")
    wrong(scores, { rate = 0.5, layers = {} }, "layers: expected at least one, got none")
    wrong(scores, { rate = 0.5, layers = function() return false end }, "layers: expected at least one, got none")
    wrong({ ["features.4"] = scores["features.4"] }, { rate = 0.5 },
      "scores: expected a Tensor for every layer, 2 missing: 'features.0', 'classifier.0'")
    wrong(scores_of({ 1, 2, 3 }, { 1, 2, 3 }, { 1, 2, 3, 4, 5 }), { rate = 0.5 },
      "scores: 'features.0': expected a Tensor [4], got [3]")
    wrong(scores_of({ { 1, 2, 3, 4 } }, { 1, 2, 3 }, { 1, 2, 3, 4, 5 }), { rate = 0.5 },
      "scores: 'features.0': expected a Tensor [4], got [1x4]")
    wrong(scores_of({ 1, 2, 3, 4 }, { 1, 0 / 0, 3 }, { 1, 2, 3, 4, 5 }), { rate = 0.5 },
      "scores: 'features.4': expected numbers, got NaN for unit 2")
  end)

  it("raises at the caller's line", function()
    local _, message = pcall(function() prune(small(), scores, { rate = 2 }) end)
    assert.truthy(message:find("^spec/pruning/prune_spec%.lua:%d+: prune: rate"))
    _, message = pcall(function() prune.plan(small(), { a = scores["features.0"] }, { rate = 0.5 }) end)
    assert.truthy(message:find("^spec/pruning/prune_spec%.lua:%d+: prune: scores"))
    _, message = pcall(function() prune(small(), { a = { 1 } }) end)
    assert.truthy(message:find("^spec/pruning/prune_spec%.lua:%d+: prune: plan"))
  end)

  it("ranks scores of infinite size", function()
    local wide = scores_of({ -math.huge, 1, 1, 1 }, { 1, math.huge, 1 }, { 1, 1, 1, 1, 0 })
    assert.same({ ["features.0"] = { 1 }, ["features.4"] = {}, ["classifier.0"] = { 5 } },
      plain(prune.plan(small(), wide, { rate = 0.2 })))
  end)
end)
