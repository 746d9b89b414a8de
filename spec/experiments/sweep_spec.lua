local errors = require "support.errors"
local fingerprint = require "secateur.util.fingerprint"
local stderr = require "support.stderr"
local store = require "secateur.results.store"
local stubs = require "support.sweep_stubs"
local sweep = require "secateur.experiments.sweep"

local loaded = package.loaded
local model, dataset, settings, count = stubs.model, stubs.dataset, stubs.settings, stubs.count
local without_times = stubs.without_times

describe("sweep", function()
  local path

  before_each(function()
    stubs.reset()
    path = os.tmpname()
    os.remove(path)
  end)
  after_each(function() os.remove(path) end)

  it("gives whole rows in order", function()
    local rows = sweep(settings())
    assert.equal(12, #rows)
    local row = rows[2]
    assert.is_true(row.score_seconds >= 0 and row.evaluate_seconds >= 0)
    -- The dense model says (2, 0) of its second image, (1, 0) of its first; the pruned one (1, 3) of the latter.
    local function log_p(a, b) return a - math.log(math.exp(a) + math.exp(b)) end
    local kl = math.exp(log_p(1, 0)) * (log_p(1, 0) - log_p(1, 3))
      + math.exp(log_p(0, 1)) * (log_p(0, 1) - log_p(3, 1))
    assert.near(kl / 2, row.kl, 1e-12)
    for _, name in ipairs { "parameters", "macs", "bytes", "latency_1", "latency_16" } do
      assert.near(0.7, row["relative_" .. name], 1e-12)
      assert.near(0.7 * rows[1][name], row[name], 1e-9)
    end
    for _, name in ipairs { "score_seconds", "evaluate_seconds", "accuracy", "drop", "balanced_accuracy", "kl" } do
      row[name] = nil
    end
    for name in pairs(row) do
      if name:find "^relative_" or rows[1]["relative_" .. name] then row[name] = nil end
    end
    assert.same({ dataset = "data", model = "vgg", method = "lrp", sampling = "random", seed = 0, rate = 0.3,
      redundancy = false, repair = "none", repair_seconds = 0, repair_layers = 0, decision_agreement = 0.5,
      drop_low = 0, drop_high = 1, peak_bytes = 11200, scope = "global", units_pruned = 3, units_total = 10,
      baseline_accuracy = 0.9, macro_f1 = 0.35,
      ece = 0.01, loss = math.huge, per_class = { { sensitivity = 1, specificity = 0.5, precision = 0.25, f1 = 0.4 },
        { sensitivity = 0, specificity = 1, f1 = 0.2 } } }, row)
    local order = {}
    for i, each in ipairs(rows) do order[i] = ("%d %s %g"):format(each.seed, each.method, each.rate) end
    assert.same({ "0 lrp 0", "0 lrp 0.3", "0 lrp 0.5", "0 ig 0", "0 ig 0.3", "0 ig 0.5", "1 lrp 0", "1 lrp 0.3",
      "1 lrp 0.5", "1 ig 0", "1 ig 0.3", "1 ig 0.5" }, order)
    assert.equal(0.9 - (0.9 - 0.25), rows[3].drop)
  end)

  it("chooses once per seed, scores once per method, evaluates the unpruned model once", function()
    sweep(settings())
    assert.equal(2, stubs.calls.sample)
    assert.equal(4, stubs.calls.importance)
    assert.equal(1 + 2 * 2 * 2, stubs.calls.evaluate)
    assert.equal("evaluate vgg cpn/test 0", stubs.calls[1])
    assert.equal("sample vgg cpn/train random 10 0", stubs.calls[2])
    assert.equal("importance vgg cpn/train lrp 1+6", stubs.calls[3])
  end)

  it("measures drops against the unpruned model where rate 0 is not asked for", function()
    local rows = sweep(settings { rates = { 0.5 }, seeds = false, seed = 7 })
    assert.equal(2, #rows)
    assert.equal(0.25, rows[1].drop)
    assert.equal(7, rows[1].seed)
  end)

  it("takes repair and redundancy as axes, scores once for all repairs", function()
    local rows = sweep(settings { seeds = { 0 }, methods = { "lrp" }, rates = { 0, 0.5 }, redundancy = { false, true },
      repair = { "none", "least_squares" }, calibration_count = 99 })
    local order = {}
    for i, row in ipairs(rows) do
      order[i] = ("%s %s %g %.3f %g"):format(row.redundancy, row.repair, row.rate, row.accuracy, row.repair_seconds)
    end
    assert.same({ "false none 0 0.900 0", "false none 0.5 0.650 0", "false least_squares 0 0.900 0",
      "false least_squares 0.5 0.775 2", "true none 0 0.900 0", "true none 0.5 0.650 0", "true least_squares 0 0.900 0",
      "true least_squares 0.5 0.775 2" }, order)
    assert.equal(2, stubs.calls.importance)
    local made = table.concat(stubs.calls, "\n")
    assert.truthy(made:find("importance vgg cpn/train lrp 1+6\n", 1, true))
    assert.truthy(made:find("importance vgg cpn/train lrp 1+6 redundancy 99\n", 1, true))
    assert.truthy(made:find("prune 0.5 none nil nil nil\n", 1, true))
    assert.truthy(made:find("prune 0.5 least_squares cpn/train 99 0\n", 1, true))
    assert.same({ "false/none", "false/least_squares", "true/none", "true/least_squares" }, (function()
      local names = {}
      for i, each in ipairs(rows:lossless(0.2)) do names[i] = ("%s/%s"):format(each.redundancy, each.repair) end
      return names
    end)())
  end)

  it("evaluates compact models unless told otherwise, and leaves timing out on request", function()
    local opts = settings { rates = { 0.5 }, seeds = { 0 }, methods = { "lrp" }, evaluate = "masked" }
    opts.latency = false
    local row = sweep(opts)[1]
    assert.same({ 1000, 1, nil, nil, nil }, { row.parameters, row.relative_macs, row.latency_1, row.latency_16,
      row.relative_latency_1 })
    assert.equal("cost vgg 0.5", stubs.calls[#stubs.calls])
    opts.latency, opts.evaluate = nil, nil
    row = sweep(opts)[1]
    assert.same({ 500, 0.5, 4, 0.5 }, { row.parameters, row.relative_macs, row.latency_1, row.relative_latency_16 })
    -- In turns with the dense model, at either batch.
    assert.truthy(table.concat(stubs.calls, "\n"):find("time vgg 0 1 of 2\ntime vgg 0.5 1 of 2\n"
      .. "time vgg 0 16 of 2\n", 1, true))
  end)

  it("keeps the outputs of the dense model in the store", function()
    stubs.fail_at = 4
    assert.has_error(function() sweep(settings { store = path }) end)
    stubs.reset()
    local rows = sweep(settings { store = path })
    assert.falsy(table.concat(stubs.calls, "\n"):find("evaluate vgg cpn/test 0\n", 1, true))
    assert.equal(0.5, rows[#rows].decision_agreement)
    assert.is_nil(assert(store.read(path)).cache.logits) -- nothing for who only reads
  end)

  it("refuses outputs of the dense model that are of other images or classes", function()
    local sqlite = require "secateur.sqlite"
    for logits, expected in pairs {
      ['{"logits":["1 0","0 1"],"indices":[4,8]}'] = "store: expected the dense model's outputs of the 2 images of the "
        .. "test split, got those of others; begin a new store",
      ['{"logits":["1 0 0","0 1 0"],"indices":[4,9]}'] = "store: expected 2 outputs of the dense model for an image, "
        .. "got 3; begin a new store" } do
      os.remove(path)
      sweep(settings { store = path })
      local connection <close> = assert(sqlite.open(path, "write"))
      assert(connection:run "DELETE FROM rows")
      assert(connection:run("UPDATE cache SET value = ? WHERE kind = 'logits'", logits))
      connection:close()
      local _, message = pcall(sweep, settings { store = path })
      assert.equal("sweep: data, vgg, lrp, random, seed 0, rate 0.3: " .. expected, message:match "sweep: .*")
    end
  end)

  it("calls models and datasets what they call themselves", function()
    local vgg, cpn = model "x", dataset "cpn"
    vgg.info, cpn.title = { architecture = "vgg16_bn" }, "/data/chest x-rays/"
    local row = sweep(settings { model = vgg, data = cpn })[1]
    assert.same({ "vgg16_bn", "chest x-rays" }, { row.model, row.dataset })
    vgg.info, vgg.name = {}, nil
    assert.equal("model", sweep(settings { model = vgg })[1].model)
  end)

  it("counts the units of the layers chosen", function()
    assert.equal(7, sweep(settings { layers = { "fc" } })[1].units_total)
    assert.equal(10, sweep(settings())[1].units_total)
  end)

  it("passes options of a method to that method only, and scores with every digit of a float32", function()
    local seen = {}
    local prune = loaded["secateur.pruning.prune"]
    loaded["secateur.pruning.prune"] = function(m, scores, opts)
      seen[#seen + 1] = { scores.fc.list[7], scores.conv.list[1] }
      return prune(m, scores, opts)
    end
    stubs.fresh()(settings { rates = { 0.5 }, seeds = { 0 },
      method_options = { ig = { steps = 64 } } })
    loaded["secateur.pruning.prune"] = prune
    stubs.fresh()
    assert.equal(10, seen[1][1])
    assert.equal(64, seen[2][1])
    assert.equal(string.pack("f", 1 / 3), string.pack("f", seen[1][2]))
  end)

  it("resumes after a stop with exactly what is left, and gives the same rows", function()
    local whole = sweep(settings())
    local evaluations = stubs.calls.evaluate
    for stop = 1, evaluations do
      stubs.reset()
      stubs.fail_at = stop
      assert.has_error(function() sweep(settings { store = path }) end)
      local first = stubs.calls
      stubs.reset()
      local rows = sweep(settings { store = path })
      assert.same(without_times(whole), without_times(rows))
      assert.equal(evaluations - (stop - 1), stubs.calls.evaluate or 0)
      assert.equal(4, (first.importance or 0) + (stubs.calls.importance or 0))
      assert.equal(2, (first.sample or 0) + (stubs.calls.sample or 0))
      os.remove(path)
    end
  end)

  it("does nothing when it is done already, whatever the order of the lists", function()
    local first = sweep(settings { store = path })
    stubs.reset()
    local again = sweep(settings { store = path, rates = { 0.5, 0, 0.3 }, methods = { "ig", "lrp" } })
    assert.same({}, stubs.calls)
    assert.equal(#first, #again)
    assert.equal("ig", again[1].method)
  end)

  it("scores by a function of the user's under its key", function()
    local function mine() end
    local opts = settings { methods = { "lrp", mine = mine }, rates = { 0.3 }, seeds = { 0 }, store = path,
      method_options = { mine = { batch = 4 } } }
    local rows = sweep(opts)
    assert.equal(2, #rows)
    assert.same({ "lrp", "mine" }, { rows[1].method, rows[2].method })
    assert.truthy(table.concat(stubs.calls, "\n"):find("importance vgg cpn/train function 1+6", 1, true))
    assert.same({ code = fingerprint.options(mine), options = { batch = 4 } }, rows.experiment.method_settings.mine)
    stubs.reset()
    assert.equal(2, #sweep(opts)) -- the store has all of it
    assert.is_nil(stubs.calls.importance)
  end)

  it("says where it stopped", function()
    stubs.fail_at = 3
    local _, message = pcall(sweep, settings())
    assert.matches(":%d+: sweep: data, vgg, lrp, random, seed 0, rate 0%.5: .*broken$", message)
  end)

  it("goes on with the store of a sweep whose coroutine nobody holds any more", function()
    local yields = true
    local function mine()
      if yields then coroutine.yield() end
      return { 1 }
    end
    local sample = loaded["secateur.pruning.sample"]
    loaded["secateur.pruning.sample"] = mine
    local fresh = stubs.fresh()
    loaded["secateur.pruning.sample"] = sample
    stubs.fresh()
    local stopped = coroutine.create(function() fresh(settings { store = path }) end)
    assert(coroutine.resume(stopped))
    assert.equal("suspended", coroutine.status(stopped))
    assert.error_matches(function() sweep(settings { store = path }) end, "is in use by another sweep of this process")
    stopped, yields = nil, false -- luacheck: ignore 311
    assert.equal(12, #fresh(settings { store = path }))
  end)

  it("refuses names that SQLite takes for something else than a file", function()
    for given, expected in pairs { [""] = "got an empty one", [":memory:"] = "got ':memory:'",
      ["file:runs.db"] = "got a URI, 'file:runs.db'; './file:runs.db' is a file of this name" } do
      assert.error_matches(function() sweep(settings { store = given }) end, "sweep: store: expected .*" .. expected)
    end
    assert.same({}, stubs.calls)
  end)

  it("says once a minute how far it is where no terminal is, unless told to be quiet", function()
    local core, now = loaded["secateur.core"], 0
    local clock = core.clock
    finally(function() core.clock = clock end)
    core.clock = function()
      now = now + 25
      return now
    end
    local opts = settings()
    opts.progress = nil
    local said = stderr.text(function() sweep(opts) end)
    local lines = 0
    for line in said:gmatch "([^\n]*)\n" do
      assert.matches("^sweep  %d+/12 rows  .*data, vgg", line)
      lines = lines + 1
    end
    assert.is_true(lines >= 4)
    opts.progress = false
    assert.equal("", stderr.text(function() sweep(opts) end))
  end)

  describe("with several models and datasets", function()
    local function grid(changes)
      changes = changes or {}
      changes.model, changes.data = false, false
      -- A version, since what the function refers to changes with each call.
      changes.models = changes.models or { vgg = { version = 1, make = function(data, name)
        count("train", name)
        assert.equal(name .. "/test", data.test.of)
        return model("vgg-" .. name)
      end }, vit = { cpn = model "vit-cpn", mura = model "vit-mura" } }
      changes.datasets = { cpn = dataset "cpn", mura = dataset "mura" }
      changes.seeds = { 0 }
      return settings(changes)
    end

    it("uses the model of each pair", function()
      local rows = sweep(grid())
      assert.equal(2 * 2 * 2 * 3, #rows)
      assert.same({ "cpn", "mura" }, rows:distinct "dataset")
      assert.equal(2, stubs.calls.train)
      local evaluated = table.concat(stubs.calls, "\n")
      assert.truthy(evaluated:find("evaluate vgg-cpn cpn/test 0", 1, true))
      assert.truthy(evaluated:find("evaluate vit-mura mura/test 0.5", 1, true))
    end)

    it("does not make a model again whose rows are all there", function()
      sweep(grid { store = path })
      stubs.reset()
      sweep(grid { store = path })
      assert.same({}, stubs.calls)
    end)

    it("refuses to go on with a model that came out differently", function()
      local version = 1
      local models = { vgg = { version = 1, make = function() return model("vgg version " .. version) end } }
      stubs.fail_at = 4
      assert.has_error(function() sweep(grid { models = models, store = path }) end)
      stubs.fail_at, version = nil, 2
      assert.error_matches(function() sweep(grid { models = models, store = path }) end,
        "sweep: cpn, vgg: models%.vgg: the function gives another model for 'cpn' than when the store was begun")
    end)

    it("misses the model of a pair at once", function()
      assert.error_matches(function() sweep(grid { models = { vit = { cpn = model "a" } } }) end,
        "sweep: models.vit: expected a model, a function that gives one, or a table with one for dataset 'mura'")
      assert.same({}, stubs.calls)
    end)
  end)

  describe("with agreement", function()
    local function with_images(changes)
      local data = dataset "cpn"
      data.test.batch, data.test.labels = function() end, { 1, 2 }
      changes = changes or {}
      changes.data = changes.data or data
      local opts = settings(changes)
      opts.agreement = changes.agreement
      return opts
    end

    it("adds columns to the rows, explaining once per method", function()
      local rows = sweep(with_images())
      assert.same({ 1, 1, 1, 0 }, { rows[1].agreement_cosine, rows[1].agreement_spearman, rows[1].agreement_topk,
        rows[1].agreement_seconds })
      assert.same({ 0.7, 0.5 }, { rows[2].agreement_cosine, rows[2].agreement_spearman })
      assert.is_nil(rows[2].agreement_topk) -- undefined
      assert.is_true(rows[2].agreement_seconds >= 0)
      assert.equal(2, stubs.calls.explain)
      assert.equal(2 * 2 * 2, stubs.calls.agree)
      local made = table.concat(stubs.calls, "\n")
      assert.truthy(made:find("explain vgg cpn/test lrp 3\n", 1, true))
      assert.truthy(made:find("explain vgg cpn/test ig 3\n", 1, true))
    end)

    it("explains by the scores' method and its options, by LRP where they explain nothing, or as told", function()
      local function methods(changes)
        stubs.reset()
        changes.rates, changes.seeds = { 0.3 }, { 0 }
        sweep(with_images(changes))
        local list = {}
        for _, call in ipairs(stubs.calls) do list[#list + 1] = call:match "^explain %S+ %S+ (.*)$" end
        return list
      end
      assert.same({ "ig8 3", "lrp 3" }, methods { methods = { "ig", "random" },
        method_options = { ig = { steps = 8, reduce = "abs" } } })
      assert.same({ "dlb 5" }, methods { methods = { "lrp" }, agreement = { method = "dlb", per_class = 5 } })
      assert.same({}, methods { agreement = false })
    end)

    it("keeps the columns in the store, and resumes", function()
      stubs.fail_at = 3
      assert.has_error(function() sweep(with_images { store = path }) end)
      stubs.fail_at = nil
      local rows = sweep(with_images { store = path })
      assert.equal(0.7, rows[2].agreement_cosine)
      stubs.reset()
      assert.same(without_times(rows), without_times(sweep(with_images { store = path })))
      assert.same({}, stubs.calls)
      sweep(with_images { agreement = { per_class = 9 }, store = path })
      assert.same({ 2, 8, nil }, { stubs.calls.explain, stubs.calls.agree, stubs.calls.importance })
    end)
  end)

  it("checks its options at the caller's level", function()
    local function wrong(changes, expected, instead_of)
      if instead_of then changes[instead_of] = false end
      assert.equal("sweep: " .. expected, errors.inside(function() sweep(settings(changes)) end))
    end
    wrong({ rates = { 0, 1 } }, "rates[2]: expected a number in [0, 1), got 1")
    wrong({ rates = { 50 } }, "rates[1]: expected a number in [0, 1), got 50; 50 % is 0.5")
    wrong({ rates = { 0.5, 0.5 } }, "rates[2]: expected each once, got 0.5 again")
    wrong({ rates = {} }, "rates: expected at least one, got none")
    wrong({ seeds = { 1, "x" } }, "seeds[2]: expected a whole number, got 'x'")
    wrong({ methods = {} }, "methods: expected at least one")
    local known = "'lrp', 'dlb', 'ig', 'gradient_x_input', 'sensitivity', 'random', 'magnitude', 'activation', 'taylor'"
    wrong({ methods = { "lrp", "LRP" } }, "methods[2]: expected one of " .. known
      .. ", a function or { score = function }, got 'LRP'; did you mean 'lrp'?")
    wrong({ methods = { "lrp", "shap" } }, "methods[2]: expected one of " .. known
      .. ", a function or { score = function }, got 'shap'")
    wrong({ methods = { "ig", "ig" } }, "methods[2]: expected each once, got 'ig' again")
    wrong({ methods = { mine = 3 } }, "methods: expected name = function or table, got mine = 3")
    wrong({ seed = 1 }, "expected either seed or seeds")
    wrong({ model = false }, "expected either model or models")
    wrong({ datasets = {} }, "expected either data or datasets")
    wrong({ sampling = { "random", "random" } }, "sampling[2]: expected each once, got 'random' again")
    wrong({ sampling = { mine = 3 } }, "sampling: expected name = function or table, got mine = 3")
    wrong({ sampling = { "random", nil, "margin" } },
      "sampling[2]: expected one as well, got nil; there is a sampling[3]")
    wrong({ methods = { "lrp", nil, "ig", mine = print } },
      "methods[2]: expected one as well, got nil; there is a methods[3]")
    wrong({ repair = { "none", nil, "bias" } }, "repair: expected a list, got a table")
    wrong({ redundancy = { false, more = true } }, "redundancy: expected a list, got { false, more = true }")
    wrong({ models = { a = { make = print, versoin = 2 } } },
      "models.a: unknown option 'versoin', expected one of: make, version; did you mean 'version'?", "model")
    wrong({ models = { a = { make = print, version = {} } } },
      "models.a: version: expected a string or a number, got a table", "model")
    wrong({ agreement = 3 }, "agreement: expected a boolean or a table, got 3")
    wrong({ agreement = { top = 2 } }, "agreement: top: expected a number in (0, 1], got 2")
    wrong({ agreement = { layers = {} } }, "agreement: unknown option 'layers', expected one of: method, per_class, "
      .. "seed, target, top")
    wrong({ scope = "all" }, "scope: expected one of 'global', 'layer', got 'all'")
    wrong({ data = {} }, "datasets.data: expected a dataset with classes, train and test, got a table")
    wrong({ method_options = { igg = { steps = 4 } } }, "method_options: expected methods as keys, one of lrp, dlb, "
      .. "ig, gradient_x_input, sensitivity, random, magnitude, activation, taylor, got 'igg'")
    wrong({ method_options = { lrp = 1 } }, "method_options.lrp: expected a table, got 1")
    wrong({ method_options = { ig = { steps = 0 } } },
      'method_options.ig: steps: expected "auto" or a whole number in [1, 1048576], got 0')
    wrong({ method_options = { dlb = { steps = 4 } } }, "method_options.dlb: steps: expected an option of method 'dlb' "
      .. "(compat, composite, exact, mode, start), got one of 'ig'")
    wrong({ method_options = { lrp = { composite = { {} } } } },
      "method_options.lrp: composite: entry 1: expected { match = kind, pattern or function, rule = table }")
    wrong({ method_options = { lrp = { redcue = "abs" } } }, "method_options.lrp: unknown option 'redcue', expected "
      .. "one of: batch, batch_norm, calibration, calibration_count, composite, exact, group, high, indices, low, "
      .. "method, on_batch, per_class, reduce, redundancy, sampling, seed, start, target; did you mean 'reduce'?")
    wrong({ method_options = { random = { seed = 1 } } },
      "method_options.random: expected no option 'seed', which is the sweep's to choose")
    wrong({ method_options = { lrp = { group = require("secateur.mpi").group() } } },
      "method_options.lrp: expected no option 'group', which is the sweep's to choose")
    wrong({ method_options = { lrp = { target = { of = "label", against = 3 } } } },
      "method_options.lrp: target: expected a class in 1..2, got 3")
    wrong({ agreement = { method = "lpr" } }, "agreement: method: method: expected one of 'lrp', 'dlb', 'ig', "
      .. "'gradient', 'gradient_x_input', 'smoothgrad', 'guided_backprop', 'grad_cam', got 'lpr'")
    wrong({ agreement = { method = { method = "ig", stepz = 3 } } }, "agreement: method: unknown option 'stepz', "
      .. "expected one of: baseline, batch, layers, max_steps, method, quadrature, sigma, steps, target, tolerance; "
      .. "did you mean 'steps'?")
    wrong({ method_option = {} }, "unknown option 'method_option', expected one of: about, agreement, batch, "
      .. "calibration_count, data, datasets, evaluate, latency, layers, margin, method_options, methods, min_units, "
      .. "model, models, on_error, per_class, progress, rates, reduce, redundancy, repair, sampling, scope, seed, "
      .. "seeds, store, verify, wait, workers; did you mean 'method_options'?")
    wrong({ repair = { "none", "glue" } },
      "repair[2]: expected one of 'none', 'bias', 'batch_norm', 'least_squares', got 'glue'")
    wrong({ repair = {} }, "repair: expected at least one, got none")
    wrong({ redundancy = { true, true } }, "redundancy[2]: expected each once, got true again")
    wrong({ evaluate = "dense" }, "evaluate: expected one of 'compact', 'masked', got 'dense'")
    wrong({ method_options = { lrp = { redundancy = true } } },
      "method_options.lrp: expected no option 'redundancy', which is the sweep's to choose")
  end)
end)
