local core = require "secateur.core"
local compact = require "secateur.pruning.compact"
local cost = require "secateur.models.cost"
local errors = require "support.errors"
local families = require "support.families"
local layers = require "secateur.models.layers"
local models = require "secateur.models"
local options = require "secateur.util.options"
local prune = require "secateur.pruning.prune"

local function vgg(a, b, c)
  return models.vgg { config = { a, "M", b }, hidden = { c }, pool = 2, classes = 3, size = 8, batch_norm = false,
    seed = 3 }
end

local names = { "features.0", "features.3", "classifier.0" }

-- What is left of a network that a plan makes narrower: the one that is built so.
local function narrower(plan)
  return vgg(5 - #plan[names[1]], 6 - #plan[names[2]], 7 - #plan[names[3]])
end

-- Parameters and multiply-adds as shares, in the order of layers.totals.
local function shares(model, other)
  local parameters, macs = layers.totals(model)
  local left, fewer = layers.totals(other)
  return { params = left / parameters, macs = fewer / macs }
end

describe("a target", function()
  local model, scores = vgg(5, 6, 7), {}
  for i, units in ipairs { 5, 6, 7 } do scores[names[i]] = core.randn(units, { seed = i }) end

  it("is the smallest rate at which the compact model costs no more", function()
    for _, scope in ipairs { "global", "layer" } do
      for _, name in ipairs { "macs", "params" } do
        for _, share in ipairs { 1, 0.9, 0.6, 0.35, 0.2 } do
          local what = ("%s %s %g"):format(scope, name, share)
          local pruned = prune(model, scores, { target = { [name] = share }, scope = scope, repair = "none" })
          local plan, reached = pruned.pruning_plan, pruned.target
          local left = shares(model, narrower(plan))[name]
          assert.equal(left, reached[name], what)
          assert.is_true(left <= share, what)
          assert.same(prune.plan(model, scores, { rate = reached.rate, scope = scope }), plan, what)
          if reached.rate > 0 then -- one unit less is too little
            local before = prune.plan(model, scores, { rate = reached.rate - 1e-9, scope = scope })
            assert.is_true(before:count() < plan:count(), what)
            assert.is_true(shares(model, narrower(before))[name] > share, what)
          end
        end
      end
    end
  end)

  it("is told by prune.plan too", function()
    local plan, reached = prune.plan(model, scores, { target = { macs = 0.5 } })
    assert.same(prune.plan(model, scores, { rate = reached.rate }), plan)
    assert.is_nil(select(2, prune.plan(model, scores, { rate = 0.5 })))
    assert.equal(shares(model, narrower(plan)).macs, reached.macs)
  end)

  it("of the time goes by what is measured, in turns with the model given", function()
    local latencies, asked = cost.latencies, 0
    cost.latencies = function(graphs, batch) -- luacheck: ignore
      asked = asked + 1
      assert.equal(model.graph, graphs[1])
      assert.equal(1, batch)
      return { 20, 20 * select(2, layers.totals { graph = graphs[2] }) / select(2, layers.totals(model)) }
    end
    local ok, pruned = pcall(prune, model, scores, { target = { latency = 0.5 }, repair = "none" })
    cost.latencies = latencies -- luacheck: ignore
    assert.is_true(ok, pruned)
    assert.is_true(asked > 2)
    local by_macs = prune(model, scores, { target = { macs = 0.5 }, repair = "none" })
    assert.same({ latency = by_macs.target.macs, rate = by_macs.target.rate }, pruned.target)
    local times = cost.latencies({ model.graph, narrower(pruned.pruning_plan).graph }, 2, 3)
    assert.is_true(times[1] > 0 and times[2] > 0 and #times == 2)
  end)

  it("of the time tries some of many rates", function()
    local latencies, compacted, asked = cost.latencies, core.compact, 0
    cost.latencies = function() -- luacheck: ignore
      asked = asked + 1
      return { 3, asked % 2 == 0 and 1 or 2 }
    end
    core.compact = function(graph) return graph end -- luacheck: ignore
    local wide = models.vgg { config = { 400, "M" }, hidden = { 800 }, pool = 1, classes = 3, size = 4, channels = 1 }
    local many = {}
    for _, layer in ipairs(wide:layers()) do many[layer.name] = core.randn(layer.units, { seed = layer.units }) end
    local ok, plan, reached = pcall(prune.plan, wide, many, { target = { latency = 0.5 } })
    cost.latencies, core.compact = latencies, compacted -- luacheck: ignore
    assert.is_true(ok, plan)
    assert.is_true(asked > 3 and asked <= 2 + 8)
    assert.equal(1 / 3, reached.latency)
    assert.equal(math.floor(reached.rate * 1200), plan:count())
  end)

  it("holds of the model that comes out, on every family, repaired or not", function()
    local names_of = { "basic", "bottleneck", "custom", "vgg_bn", "vit" }
    for _, family in ipairs(names_of) do
      local dense, given = families.all()[family], {}
      for _, layer in ipairs(dense:layers()) do given[layer.name] = core.randn(layer.units, { seed = layer.units }) end
      for _, repair in ipairs { "none", "least_squares" } do
        for _, name in ipairs { "macs", "params" } do
          local pruned = prune(dense, given, { target = { [name] = 0.6 }, repair = repair,
            calibration = families.batch(dense, 12), calibration_count = 12 })
          local left = shares(dense, compact(pruned))[name]
          assert.is_true(left <= 0.6, family)
          assert.near(left, pruned.target[name], 1e-12)
        end
      end
    end
  end)

  it("that no rate reaches is refused with the least there is", function()
    local least = shares(model, vgg(2, 2, 2)).macs
    local rate = 12 / 18
    assert.equal(("prune: target: macs = 0.01 cannot be reached: with min_units = 2 the least is %.4g, at rate = %.4g")
      :format(least, rate),
      errors.here(function() prune(model, scores, { target = { macs = 0.01 }, min_units = 2 }) end))
  end)

  it("must be one share", function()
    local expected = "prune: target: expected one of latency, macs and params, as a share in (0, 1], got "
    for _, wrong in ipairs { {}, { macs = 0.5, params = 0.5 }, { macs = 0 }, { macs = 1.1 }, { mac = 0.5 },
      { macs = "half" }, { 0.5 } } do
      local message = errors.here(function() prune(model, scores, { target = wrong }) end)
      assert.equal(expected .. options.show(wrong), message)
    end
    assert.equal("prune: target: expected a table, got 0.5",
      errors.here(function() prune(model, scores, { target = 0.5 }) end))
    assert.equal("prune: target: expected none beside rate, which it finds",
      errors.here(function() prune(model, scores, { target = { macs = 0.5 }, rate = 0.5 }) end))
  end)
end)
