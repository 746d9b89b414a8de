local errors = require "support.errors"
local files = require "secateur.util.files"
local results = require "secateur.results"
local sampling = require "secateur.pruning.sampling"
local store = require "secateur.results.store"
local stubs = require "support.sweep_stubs"
local sweep = require "secateur.experiments.sweep"
local temporary = require "support.temporary"

local model, dataset, settings = stubs.model, stubs.dataset, stubs.settings

-- How often each verb was called since the last look.
local function calls()
  local found = {}
  for name, count in pairs(stubs.calls) do
    if type(name) == "string" and name ~= "cost" and name ~= "time" then found[name] = count end
  end
  stubs.reset()
  return found
end

describe("a sweep whose store grows", function()
  local root, path

  before_each(function()
    stubs.reset()
    root = temporary.folder()
    path = files.join(root, "runs.db")
  end)
  after_each(function() files.remove(root) end)

  local function run(changes)
    changes.store = path
    return sweep(settings(changes))
  end

  -- 2 methods x 1 sampling x 3 rates x 2 seeds
  local function begin(changes)
    local rows = run(changes or {})
    stubs.reset()
    return rows
  end

  it("computes one more rate, and nothing else", function()
    begin()
    local rows = run { rates = { 0, 0.3, 0.4, 0.5 } }
    assert.equal(16, #rows)
    assert.same({ prune = 4, evaluate = 4 }, calls())
    assert.same({ 0, 0.3, 0.4, 0.5 }, rows:distinct "rate")
  end)

  it("computes one more seed, and nothing else", function()
    begin()
    assert.equal(18, #run { seeds = { 0, 1, 2 } })
    assert.same({ sample = 1, importance = 2, prune = 4, evaluate = 4 }, calls())
  end)

  it("computes one more method, and nothing else", function()
    begin()
    assert.equal(18, #run { methods = { "lrp", "ig", "taylor" } })
    assert.same({ importance = 2, prune = 4, evaluate = 4 }, calls())
  end)

  it("knows whose rows are whose after strategies have exchanged their names, and back", function()
    local function run_and_read(a, b)
      local asked = sweep(settings { sampling = { a = a, b = b }, seeds = { 0 }, rates = { 0.3 }, methods = { "lrp" },
        store = path })
      assert.same(asked.experiment.samplings, assert(results.read(path)).experiment.samplings)
    end
    run_and_read(sampling.margin, sampling.entropy)
    run_and_read(sampling.entropy, sampling.margin)
    run_and_read(sampling.margin, sampling.entropy)
  end)

  it("tells strategies of ours apart that stand under a name of one's own", function()
    begin { sampling = { mine = sampling.margin } }
    assert.equal(12, #run { sampling = { mine = sampling.margin } })
    assert.same({}, calls())
    assert.equal(12, #run { sampling = { mine = sampling.entropy } })
    assert.same({ sample = 2, importance = 4, prune = 8, evaluate = 8 }, calls())
  end)

  it("computes one more sampling, repair, or redundancy, and nothing else", function()
    begin()
    assert.equal(24, #run { sampling = { "random", "confidence" } })
    assert.same({ sample = 2, importance = 4, prune = 8, evaluate = 8 }, calls())
    assert.equal(24, #run { repair = { "none", "bias" } })
    assert.same({ prune = 8, evaluate = 8 }, calls())
    assert.equal(24, #run { redundancy = { false, true } })
    assert.same({ importance = 4, prune = 8, evaluate = 8 }, calls())
  end)

  it("computes one more data set and one more model, and nothing else", function()
    local function grid(models, datasets)
      return { model = false, data = false, models = models, datasets = datasets, seeds = { 0 }, methods = { "lrp" } }
    end
    begin(grid({ vgg = model "vgg" }, { cpn = dataset "cpn" }))
    assert.equal(6, #run(grid({ vgg = model "vgg" }, { cpn = dataset "cpn", mura = dataset "mura" })))
    assert.same({ sample = 1, importance = 1, prune = 2, evaluate = 3 }, calls())
    assert.equal(6, #run(grid({ vgg = model "vgg", vit = model "vit" }, { cpn = dataset "cpn" })))
    assert.same({ sample = 1, importance = 1, prune = 2, evaluate = 3 }, calls())
  end)

  it("computes one strategy anew that was mended, and nothing else", function()
    local function first(pool) return pool end
    local function last(pool) return { pool[#pool] } end
    begin { sampling = { "random", mine = first }, seeds = { 0 } }
    local rows = run { sampling = { "random", mine = last }, seeds = { 0 } }
    assert.equal(12, #rows)
    assert.same({ sample = 1, importance = 2, prune = 4, evaluate = 4 }, calls())
    assert.equal(12, #run { sampling = { "random", mine = first }, seeds = { 0 } })
    assert.same({}, calls())
  end)

  it("tells closures apart by what they refer to", function()
    local function offset(k) return function(pool) return { pool[k] } end end
    begin { sampling = { mine = offset(1) }, seeds = { 0 } }
    run { sampling = { mine = offset(1) }, seeds = { 0 } }
    assert.same({}, calls())
    run { sampling = { mine = offset(2) }, seeds = { 0 } }
    assert.same({ sample = 1, importance = 2, prune = 4, evaluate = 4 }, calls())
  end)

  it("tells functions with a version apart by that alone", function()
    local function strategy(version, k)
      return { seeds = { 0 }, methods = { "lrp" },
        sampling = { mine = { choose = function(pool) return { pool[k] } end, version = version } } }
    end
    begin(strategy(1, 1))
    run(strategy(1, 2))
    assert.same({}, calls())
    run(strategy(2, 2))
    assert.same({ sample = 1, importance = 1, prune = 2, evaluate = 2 }, calls())
    local function method(version) return { seeds = { 0 }, methods = { mine = { score = function() end,
      version = version } } } end
    begin(method "a")
    run(method "a")
    assert.same({}, calls())
    run(method "b")
    assert.same({ importance = 1, prune = 2, evaluate = 2 }, calls())
  end)

  it("computes anew what depends on an option that changed, and nothing else", function()
    begin()
    run { scope = "layer" }
    assert.same({ prune = 8, evaluate = 8 }, calls())
    run { method_options = { ig = { steps = 4 } } }
    assert.same({ importance = 2, prune = 4, evaluate = 4 }, calls())
    run { reduce = "abs" }
    assert.same({ importance = 4, prune = 8, evaluate = 8 }, calls())
    run { per_class = 3 }
    assert.same({ sample = 2, importance = 4, prune = 8, evaluate = 8 }, calls())
    run { about = { epochs = 3 } }
    assert.same({ sample = 2, importance = 4, prune = 8, evaluate = 9 }, calls())
    run { calibration_count = 9 } -- nothing goes by calibration images
    assert.same({}, calls())
    run { model = model "other" }
    assert.same({ sample = 2, importance = 4, prune = 8, evaluate = 9 }, calls())
    run {}
    assert.same({}, calls())
  end)

  it("gives what was asked for, and leaves the rest in the store", function()
    begin()
    local rows = run { rates = { 0.5 }, methods = { "ig" } }
    assert.equal(2, #rows)
    assert.same({ "ig" }, rows:distinct "method")
    assert.same({}, calls())
    assert.equal(12, #assert(store.read(path)).rows)
  end)

  it("has the same rows as a sweep that was whole from the beginning", function()
    local whole = sweep(settings { rates = { 0, 0.3, 0.4, 0.5 }, seeds = { 0, 1, 2 } })
    begin { rates = { 0.5 }, seeds = { 2 }, methods = { "ig" } }
    begin { rates = { 0, 0.3, 0.5 } }
    local rows = run { rates = { 0, 0.3, 0.4, 0.5 }, seeds = { 0, 1, 2 } }
    assert.same(stubs.without_times(whole), stubs.without_times(rows))
  end)

  it("checks all names and options before anything is computed or a store is made", function()
    for _, changes in ipairs { { sampling = { "random", "confidense" } }, { sampling = { "random", mine = {} } },
      { methods = { "lrp", "igg" } }, { methods = { "lrp", mine = {} } }, { method_options = { ig = { stepz = 3 } } },
      { rates = { 0, 1 } }, { repair = { "none", "glue" } }, { agreement = { top = 2 } } } do
      changes.store = path
      errors.inside(function() sweep(settings(changes)) end)
      assert.same({}, stubs.calls)
      assert.is_nil(files.mode(path))
    end
  end)

  it("refuses what cannot be told from something else, before anything is computed", function()
    local handle <close> = io.tmpfile()
    local function mine() return handle end
    for changes, place in pairs { [{ sampling = { "random", mine = mine } }] = "sampling%.mine",
      [{ methods = { "lrp", mine = mine } }] = "methods%.mine", [{ about = { mine = mine } }] = "about%.mine",
      [{ model = false, models = { vgg = mine } }] = "models%.vgg" } do
      changes.store = path
      local message = errors.inside(function() sweep(settings(changes)) end)
      assert.matches("^sweep: " .. place .. ".*'handle'.*version", message)
      assert.same({}, stubs.calls)
      assert.is_nil(files.mode(path))
    end
    assert.equal(12, #run { sampling = { mine = { choose = mine, version = "1" } } })
  end)

  it("goes on after an error in one strategy with what is mended", function()
    local function wrong() error("no such field 'label'") end
    local message = errors.raised(run, { sampling = { "random", mine = wrong } })
    assert.matches("sweep: data, vgg, mine, seed 0: .*no such field 'label'$", message)
    assert.equal(6, #assert(store.read(path)).rows)
    stubs.reset()
    assert.equal(24, #run { sampling = { "random", mine = function() end } })
    assert.same({ sample = 3, importance = 6, prune = 12, evaluate = 12 }, calls())
  end)

  it("keeps a record of each call", function()
    begin()
    stubs.fail_at = 2
    errors.raised(run, { rates = { 0.6, 0.7 } })
    stubs.reset()
    run {}
    local runs = assert(results.read(path)).runs
    assert.equal(3, #runs)
    for _, entry in ipairs(runs) do
      assert.matches("^%d%d%d%d%-%d%d%-%d%dT%d%d:%d%d:%d%dZ$", entry.date)
      assert.equal(require "secateur.util.version", entry.version)
      assert.equal(require("secateur.cpu").level, entry.level)
      assert.is_true(entry.threads >= 1 and entry.seconds >= 0)
      assert.equal(1, entry.ranks)
    end
    assert.same({ true, 12, 0 }, { runs[1].finished, runs[1].rows, runs[1].failed })
    assert.same({ false, 1, 8 }, { runs[2].finished, runs[2].rows, runs[2].missing })
    assert.matches("broken", runs[2].error)
    assert.same({ true, 0, 0 }, { runs[3].finished, runs[3].rows, runs[3].missing })
  end)
end)

describe("a sweep with models made by functions", function()
  local root, path

  before_each(function()
    stubs.reset()
    root = temporary.folder()
    path = files.join(root, "runs.db")
  end)
  after_each(function() files.remove(root) end)

  local function run(source, changes)
    changes = changes or {}
    changes.model, changes.models, changes.seeds, changes.store = false, { vgg = source }, { 0 }, path
    return sweep(settings(changes))
  end

  it("makes a model again where rows are missing, and not where none is", function()
    local make = { version = 1, make = function()
      stubs.count("make", "")
      return model "vgg"
    end }
    run(make)
    run(make)
    assert.equal(1, stubs.calls.make)
    stubs.reset()
    run(make, { rates = { 0, 0.6 } })
    assert.same({ make = 1, prune = 2, evaluate = 2 }, calls())
  end)

  it("takes another function for another model, but of one with a version by that", function()
    local function maker(name) return function() return model(name) end end
    run(maker "a")
    run(maker "b")
    assert.equal(2, #store.read(path).rows // 6)
    stubs.reset()
    run { make = maker "c", version = 1 }
    assert.equal(5, stubs.calls.evaluate)
    stubs.reset()
    run { make = maker "d", version = 1 }
    assert.same({}, calls())
    run({ data = { make = maker "c", version = 1 } })
    assert.same({}, calls())
    assert.matches("the function gives another model for 'data' than when the store was begun",
      errors.raised(run, { make = maker "d", version = 1 }, { rates = { 0.6 } }))
  end)
end)
