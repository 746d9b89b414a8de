local cluster_model = require "secateur.experiments.cluster_model"
local sc = require "secateur"

local function task(id, seconds, needs, pair, kind)
  return { id = id, size = seconds, seconds = seconds, needs = needs or {}, pair = pair or 1, kind = kind or "row",
    bytes = 10 }
end

local function small(changes)
  local opts = { models = { a = { forward = 1, training = 3, scores = { lrp = 4 }, row = 2, bytes = 1000 } },
    datasets = { x = { train = 10, test = 5, classes = 2 } }, methods = { "lrp" }, samplings = { "random" },
    rates = { 0, 0.5 }, per_class = 3, ranks = { 1 }, per_task = 0, epochs = 2 }
  for key, value in pairs(changes or {}) do opts[key] = value end
  return opts
end

describe("cluster_model", function()
  it("takes the sum of all on one rank, and half of it on two where halves are equal", function()
    local list = { task("a", 3), task("b", 3), task("c", 3), task("d", 3) }
    local one = cluster_model.simulate(list, { size = 1 })
    assert.same({ 12, 0, 4, 40 }, { one.seconds, one.idle, one.writes, one.bytes })
    local two = cluster_model.simulate(list, { size = 2 })
    assert.same({ 6, 0 }, { two.seconds, two.idle })
    local apart = cluster_model.simulate(list, { size = 2, root = false })
    assert.same({ 12, 0 }, { apart.seconds, apart.idle })
  end)

  it("is no shorter than the longest chain and than all work shared out, and says what idles", function()
    local list = { task("a", 4), task("b", 4, { "a" }), task("c", 1), task("d", 1) }
    local found = cluster_model.simulate(list, { size = 2, ahead = 0 })
    assert.equal(8, found.seconds)
    assert.equal(1 - 10 / 16, found.idle)
  end)

  it("lets nobody wait for rank 0 who has a task ahead", function()
    local list = {}
    for i = 1, 20 do list[i] = task("t" .. i, 1) end
    local without = cluster_model.simulate(list, { size = 2, root = false, ahead = 0, per_task = 0.5 })
    local with = cluster_model.simulate(list, { size = 2, root = false, ahead = 1, per_task = 0.5 })
    assert.equal(30, without.seconds)
    assert.is_true(with.seconds <= 22)
  end)

  it("is held up by rank 0 where its work is more than that of others", function()
    local list = {}
    for i = 1, 64 do list[i] = task("t" .. i, 0.1) end
    local found = cluster_model.simulate(list, { size = 33, root = false, per_task = 1 })
    assert.is_true(found.seconds >= 64)
    assert.equal(64 / found.seconds, found.owner)
  end)

  it("sends a model that a task made to others, one after another", function()
    local list = { task("m", 1, {}, 1, "model") }
    for _, id in ipairs { "a", "b", "c" } do list[#list + 1] = task(id, 10, { "m" }) end
    local found = cluster_model.simulate(list, { size = 4, root = false, bandwidth = 100, model_bytes = { 500 } })
    assert.equal(2, found.models_sent)
    assert.equal(1000, found.model_bytes)
    assert.equal(1 + 5 + 5 + 10, found.seconds)
  end)
end)

describe("forecast", function()
  it("adds up what the grid's tasks take", function()
    local found = sc.forecast(small())
    -- model 2 * 10 * 3, dense 5, samples none, scores 3 * 2 * 4, rows 2 and 2 + 5 / 2
    assert.same({ model = 60, dense = 5, samples = 0, scores = 24, row = 6.5 }, found.total)
    assert.equal(6, found.tasks)
    assert.equal(95.5, found[1].seconds)
    assert.equal(1, found[1].speedup)
    assert.equal(4.5, found.longest.row)
  end)

  it("counts all of a grid: models x data sets x samplings x seeds x methods x rates", function()
    local opts = small { methods = { "lrp", "ig" }, samplings = { "random", "clustering", "confidence" }, seeds = 4,
      epochs = 0 }
    opts.models.a.scores.ig = 9
    opts.models.b, opts.datasets.y = opts.models.a, opts.datasets.x
    local found = sc.forecast(opts)
    assert.equal(4 * (1 + 4 * 3 * (1 + 2 * (1 + 2))), found.tasks)
    assert.equal(4 * 4 * 2 * 10, found.total.samples)
  end)

  it("gives what a table of few columns can show", function()
    local found = sc.forecast(small { ranks = { 1, 4 } })
    assert.equal(2, #found)
    local text = tostring(found)
    assert.matches("^ranks +time +idle", text)
    assert.matches("\n1 +1:36 +0%.0%%", text)
  end)

  it("names what is wrong", function()
    assert.error_matches(function() sc.forecast(small { models = {} }) end, "forecast: models: expected at least one")
    assert.error_matches(function() sc.forecast(small { methods = { "ig" } }) end,
      "forecast: models%.a%.scores%.ig: missing")
    assert.error_matches(function() sc.forecast(small { ranks = { 0 } }) end, "forecast: ranks%[1%]")
    assert.error_matches(function() sc.forecast(small { datasets = { x = { train = 1 } } }) end,
      "forecast: datasets%.x")
  end)
end)
