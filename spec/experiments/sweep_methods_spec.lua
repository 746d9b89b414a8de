-- Scoring methods of one's own as a sweep's.
local errors = require "support.errors"
local sc = require "secateur"
local sweep_row = require "secateur.experiments.sweep_row"

describe("a sweep's methods", function()
  local data = sc.data.phantom { count = 40, size = 16, seed = 2 }
  local model = sc.models.vgg { config = { 4, "M" }, hidden = { 6 }, pool = 2, like = data, seed = 3 }

  local function run(methods)
    return sc.sweep { model = model, data = data, methods = methods, sampling = "random", rates = { 0.5 },
      per_class = 2, seeds = { 0, 1 }, latency = false, agreement = false, progress = false }
  end

  -- A row without its name and times.
  local function plain(row)
    local copy = {}
    for key, value in pairs(row) do copy[key] = value end
    for _, key in ipairs(sweep_row.timings) do copy[key] = nil end
    copy.method, copy.settings = nil, nil
    return copy
  end

  it("may be functions, with a version or without, beside names", function()
    local called = {}
    local function mine(name)
      return function(its_model, samples, ctx)
        called[#called + 1] = ("%s %d %d"):format(name, samples:count(), #ctx.indices)
        assert.equal(#its_model:layers(), #ctx.layers)
        return (ctx:attribute { method = "lrp" })
      end
    end
    local rows = run { "lrp", mine = mine "mine", other = { score = mine "other", version = 3 } }
    local of = {}
    for _, row in ipairs(rows) do
      of[row.method] = of[row.method] or {}
      of[row.method][row.seed] = plain(row)
    end
    local names = {}
    for name in pairs(of) do names[#names + 1] = name end
    table.sort(names)
    assert.same({ "lrp", "mine", "other" }, names)
    assert.same(of.lrp, of.mine)
    assert.same(of.lrp, of.other)
    table.sort(called)
    local count = #data.classes * 2
    for i, name in ipairs { "mine", "mine", "other", "other" } do
      assert.equal(("%s %d %d"):format(name, count, count), called[i])
    end
    assert.equal(4, #called)
  end)

  it("are all looked at before the first is run", function()
    local ran = false
    local function refusal(methods)
      methods.first = function() ran = true end
      local message = errors.inside(function() run(methods) end)
      return message
    end
    assert.matches("^sweep: methods.mine.score: expected a function, got 'lrp'$", refusal { mine = { score = "lrp" } })
    assert.matches("^sweep: methods%[2%]: expected one of 'lrp', .*, got 'magnitud'; did you mean 'magnitude'%?$",
      refusal { "lrp", "magnitud" })
    assert.is_false(ran)
  end)
end)
