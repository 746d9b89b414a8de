local child = require "support.child"
local errors = require "support.errors"
local files = require "secateur.util.files"
local needs = require "support.needs"
local results = require "secateur.results"
local stderr = require "support.stderr"
local store = require "secateur.results.store"
local stubs = require "support.sweep_stubs"
local sweep = require "secateur.experiments.sweep"
local temporary = require "support.temporary"

local settings = stubs.settings

describe("a sweep of which something fails", function()
  local root, path

  before_each(function()
    stubs.reset()
    root = temporary.folder()
    path = files.join(root, "runs.db")
  end)
  after_each(function() files.remove(root) end)

  local function run(changes)
    changes.store = path
    if changes.on_error == nil then changes.on_error = "keep" end
    return sweep(settings(changes))
  end

  it("goes on with the rest, and says in the end what failed, once for each thing", function()
    stubs.fail_at = 3
    local rows
    local said = stderr.text(function()
      rows = run { sampling = { "random", mine = function() error("no idea", 0) end } }
    end)
    -- 2 methods x 3 rates x 2 seeds of mine; one row of random
    assert.equal(11, #rows)
    assert.equal(13, #rows.failed)
    assert.equal("sweep: 1 row failed, such as data, vgg, lrp, random, seed 0, rate 0.5: broken\n"
      .. "sweep: 12 rows failed, such as data, vgg, lrp, mine, seed 0, rate 0: no idea\n", said)
    assert.same({ dataset = "data", model = "vgg", method = "lrp", sampling = "mine", seed = 0, rate = 0,
      redundancy = false, repair = "none", error = "no idea" }, rows.failed[2])
  end)

  it("has failures in the store, and tries them again", function()
    local broken = true
    local function mine() if broken then error("no idea", 0) end end
    local way = { choose = mine, version = 1 }
    stderr.text(function() run { sampling = { mine = way } } end)
    assert.equal(12, #assert(results.read(path)).failed)
    broken = false
    stubs.reset()
    local rows
    assert.equal("", stderr.text(function() rows = run { sampling = { mine = way } } end))
    assert.same({ 12, 0 }, { #rows, #rows.failed })
    assert.same({ 2, 4 }, { stubs.calls.sample, stubs.calls.importance })
    assert.same({}, assert(results.read(path)).failed)
  end)

  it("keeps what an error says that is no text", function()
    local function message_of(problem)
      local rows
      stderr.text(function() rows = run { sampling = { mine = function() error(problem) end } } end)
      return rows.failed[1].error
    end
    assert.equal("an error that is no text: { code = 3 }", message_of { code = 3 })
    assert.equal("an error that is no text: nil", message_of(nil))
    assert.equal("well said", message_of(setmetatable({}, { __tostring = function() return "well said" end })))
  end)

  it("is not said to have failed once it was mended", function()
    stderr.text(function() run { sampling = { mine = function() error("no idea", 0) end } } end)
    assert.equal(12, #assert(results.read(path)).failed)
    run { sampling = { mine = function() return nil end } }
    assert.same({}, assert(results.read(path)).failed)
  end)

  it("stops at the first by default", function()
    stubs.fail_at = 3
    assert.matches("sweep: data, vgg, lrp, random, seed 0, rate 0%.5: .*broken$",
      errors.raised(run, { on_error = false }))
    assert.equal(2, #assert(results.read(path)).failed + #assert(results.read(path)))
  end)

  it("ends all the same where memory runs out", function()
    stubs.fail_at, stubs.message = 3, "not enough memory" -- as Lua says it
    assert.matches("not enough memory", errors.raised(run, {}))
    assert.equal(2, #assert(results.read(path)))
  end)

  it("says on Ctrl-C how many rows are safe, and where", function()
    for _, on_error in ipairs { "keep", "stop" } do
      os.remove(path)
      stubs.reset()
      stubs.fail_at, stubs.message = 3, "interrupted!"
      assert.equal(("sweep: interrupted; 2 of 12 rows are safe in '%s'; the same call goes on"):format(path),
        errors.raised(run, { on_error = on_error }))
      stubs.reset()
      stubs.fail_at, stubs.message = 2, "interrupted!"
      assert.equal(("sweep: interrupted; 4 of 12 rows are safe in '%s'; the same call goes on"):format(path),
        errors.raised(run, { on_error = on_error }))
    end
    stubs.reset()
    stubs.fail_at, stubs.message = 3, "interrupted!"
    assert.equal("sweep: interrupted; 2 of 12 rows were done, and are kept nowhere: there is no store",
      errors.raised(sweep, settings()))
  end)

  it("says on Ctrl-C in a training what that has kept", function()
    local function make() error("train: interrupted; 'c.ckpt' has 3 epochs", 0) end
    assert.equal(("sweep: interrupted; 0 of 6 rows are safe in '%s'; the same call goes on (train: interrupted; "
      .. "'c.ckpt' has 3 epochs)"):format(path), errors.raised(run, { model = make, seeds = { 0 } }))
  end)

  it("says no more than a screen of what failed", function()
    local seeds, count = {}, 0
    for seed = 1, 30 do seeds[seed] = seed end
    local function mine()
      count = count + 1
      error("no idea " .. count, 0)
    end
    local said = stderr.text(function() run { seeds = seeds, methods = { "lrp" }, sampling = { mine = mine } } end)
    local _, lines = said:gsub("\n", "")
    assert.equal(11, lines)
    assert.matches("no idea 10\nsweep: 60 more rows failed: see failed of what it gives\n$", said)
  end)

  it("names what was needed and failed", function()
    local rows
    stderr.text(function()
      rows = run { model = false, models = { vgg = stubs.model "vgg", vit = function() error("no weights", 0) end },
        seeds = { 0 } }
    end)
    assert.same({ 6, 6 }, { #rows, #rows.failed })
    for _, failure in ipairs(rows.failed) do
      assert.same({ "vit", "no weights" }, { failure.model, failure.error })
    end
  end)

  -- A real sweep, whose strategy has the process interrupted when the first half of the rows is done.
  local script = [=[
    local sc = require "secateur"
    local data = sc.data.phantom { count = 40, size = 16, channels = 1 }
    local model = sc.models.vgg { config = { 6, "M", 8, "M" }, hidden = { 12 }, pool = 2, batch_norm = false,
      like = data }
    local function mine(pool)
      if %s then
        io.popen("kill -INT " .. io.open("/proc/self/stat"):read "n"):close()
        while true do end
      end
      return pool
    end
    sc.main(function()
      local rows = sc.sweep { model = model, data = data, methods = { "random" }, sampling = { "random", mine = mine },
        per_class = 1, rates = { 0, 0.3 }, latency = false, agreement = false, store = %q, on_error = %q }
      print(#rows)
    end)
  ]=]

  it("ends with 130 on Ctrl-C, and goes on", function()
    needs.proc(pending)
    for _, on_error in ipairs { "stop", "keep" } do
      os.remove(path)
      local text = child.run(script:format("true", path, on_error), "( %s ); echo \"status $?\"")
      assert.equal(("sweep: interrupted; 2 of 4 rows are safe in '%s'; the same call goes on\n"
        .. "status 130\n"):format(path), text)
      assert.equal("4\nstatus 0\n", child.run(script:format("false", path, on_error), "( %s ); echo \"status $?\""))
      assert.equal(4, #assert(store.read(path)).rows)
    end
  end)

  it("is an error where the store fails", function()
    local put
    local memory = store.memory
    finally(function() store.memory = memory end)
    store.memory = function()
      local made = memory()
      put = made.put
      return setmetatable({}, { __index = function(_, key)
        return key ~= "put" and function(_, ...) return made[key](made, ...) end or function(_, kind, ...)
          if kind == "row" then error("the disk is full", 0) end
          return put(made, kind, ...)
        end
      end, __close = function() end })
    end
    assert.matches("the disk is full", errors.raised(sweep, settings { on_error = "keep" }))
  end)
end)
