-- Strategies and methods of one's own in sweeps of real networks.
local data = require "secateur.data"
local errors = require "support.errors"
local files = require "secateur.util.files"
local importance = require "secateur.pruning.importance"
local models = require "secateur.models"
local prune = require "secateur.pruning.prune"
local compact = require "secateur.pruning.compact"
local evaluate = require "secateur.evaluation.evaluate"
local sampling = require "secateur.pruning.sampling"
local sweep = require "secateur.experiments.sweep"
local temporary = require "support.temporary"

describe("a sweep with strategies and methods of one's own", function()
  local root, path, set, model

  setup(function()
    set = data.phantom { count = 60, size = 16, channels = 1, seed = 4 }
    model = models.vgg { config = { 6, "M", 8, "M" }, hidden = { 12 }, pool = 2, batch_norm = true, like = set,
      seed = 2 }
  end)
  before_each(function()
    root = temporary.folder()
    path = files.join(root, "runs.db")
  end)
  after_each(function() files.remove(root) end)

  local function run(changes)
    local opts = { model = model, data = set, methods = { "lrp" }, sampling = { "random" }, per_class = 2,
      rates = { 0.3, 0.6 }, latency = false, agreement = false, progress = false, store = path }
    for key, value in pairs(changes) do opts[key] = value or nil end
    return sweep(opts)
  end

  local function plain(rows)
    local list = {}
    for i, row in ipairs(rows) do
      list[i] = {}
      for key, value in pairs(row) do list[i][key] = not key:find "seconds" and value or nil end
    end
    return list
  end

  -- The first of each class counts three times.
  local function weighted(pool)
    local chosen = {}
    for i, entry in ipairs(pool) do
      entry.weight = i == 1 and 3 or 1
      chosen[i] = entry
    end
    return chosen
  end

  it("runs the model once for all strategies", function()
    local function images(samplings, seeds, store)
      local count, train, subset = 0, set.train, set.train.subset
      train.subset = function(self, indices)
        count = count + #indices
        return subset(self, indices)
      end
      local ok, message = pcall(run, { sampling = samplings, seeds = seeds, rates = { 0.3 },
        store = files.join(root, store) })
      train.subset = nil
      assert.is_true(ok, message)
      return count
    end
    local once = images({ "coverage" }, { 0 }, "one.db")
    assert.is_true(once > 0)
    assert.equal(once, images({ "coverage", "margin", "clustering" }, { 0, 1 }, "all.db"))
  end)

  it("says where a strategy chooses nothing", function()
    assert.matches("sample: sampling: expected the function to choose samples that can be read, got none of any class",
      (errors.raised(function() run { sampling = { none = function() return {} end } } end)))
  end)

  it("knows the layers that are named before it begins", function()
    local function refusal(layers)
      return (errors.inside(function() run { layers = layers } end))
    end
    assert.equal("sweep: layers: expected names of prunable layers, got 'feature.0'; did you mean 'features.0'?",
      refusal { "features.0", "feature.0" })
    assert.equal("sweep: layers: expected at least one, got none", refusal(function() return false end))
    assert.is_false(files.is_file(path))
  end)

  it("weighs samples, also those that come from a store", function()
    local whole = run { store = false, methods = { "lrp", "ig" }, sampling = { mine = weighted } }
    run { sampling = { mine = weighted } }
    local rows = run { methods = { "lrp", "ig" }, sampling = { mine = weighted } }
    assert.same(plain(whole), plain(rows))
    local scores = importance(model, set.train, { method = "ig", sampling = weighted, per_class = 2 })
    assert.truthy(scores.provenance.indices.weights)
    local pruned = compact(prune(model, scores, { rate = 0.6, repair = "none" }))
    local measured, row = evaluate(pruned, set.test), rows[4]
    assert.same({ measured.accuracy, measured.loss }, { row.accuracy, row.loss })
  end)

  it("takes strategies over all classes, and compositions", function()
    local function all(pool) return { pool[1], pool[2], pool[3] } end
    local chain = sampling.chain(function(pool) return pool end, "random")
    local rows = run { sampling = { "random", chain, all = { choose = all, scope = "all" } } }
    assert.equal(6, #rows)
    assert.same({ "random", chain.name, "all" }, rows:distinct "sampling")
    for name, indices in pairs(rows.samples) do
      if name:find('"all"', 1, true) then assert.equal(3, #indices) end
    end
  end)

  it("scores by functions that get samples and a context", function()
    local function mine(_, samples, ctx)
      assert.equal(2 * #set.classes, samples:count())
      local scores = {}
      for _, layer in ipairs(ctx.layers) do
        scores[layer.name] = {}
        for unit = 1, layer.units do scores[layer.name][unit] = unit end
      end
      return scores
    end
    local rows = run { methods = { "random", mine = mine } }
    assert.same({ "random", "mine" }, rows:distinct "method")
    local scores = importance(model, set.train, { method = mine, sampling = "random", per_class = 2 })
    local measured = evaluate(compact(prune(model, scores, { rate = 0.6, repair = "none" })), set.test)
    assert.same({ measured.accuracy, measured.loss }, { rows[4].accuracy, rows[4].loss })
  end)
end)
