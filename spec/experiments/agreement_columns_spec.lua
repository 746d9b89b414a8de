local column = require "secateur.experiments.agreement_columns"
local errors = require "support.errors"
local files = require "secateur.util.files"
local memory_split = require "support.memory_split"
local sc = require "secateur"
local temporary = require "support.temporary"
local toy = require "support.toy"

local function split(seed)
  return memory_split(sc.randn(9, 1, 8, 8, { seed = seed }), { 1, 2, 3, 1, 2, 3, 1, 2, 3 },
    { classes = { "a", "b", "c" } })
end

describe("the agreement column of a sweep", function()
  local model, test = toy.model { seed = 2 }, split(1)
  local pruned = sc.prune(model, { ["features.0"] = { 2, 5 }, ["features.3"] = { 1 }, ["classifier.0"] = { 3, 4 } })

  it("is what agreement measures, and one for the model itself", function()
    local settings = column.settings { per_class = 2 }
    for method, how in pairs { ig = { method = "ig", steps = 4 }, dlb = "dlb", random = "lrp", magnitude = "lrp" } do
      local against = column.against(settings, model, test, method, { steps = method == "ig" and 4 or nil,
        reduce = "abs" })
      local row = against(pruned)
      local expected = sc.agreement(model, pruned, test, { method = how, per_class = 2, layers = {} }).input
      assert.near(expected.cosine.mean, row.agreement_cosine, 1e-6)
      assert.near(expected.spearman.mean, row.agreement_spearman, 1e-6)
      assert.near(expected.topk.mean, row.agreement_topk, 1e-6)
      assert.is_true(row.agreement_seconds >= 0)
      assert.same({ 1, 1, 1, 0 }, { against().agreement_cosine, against().agreement_spearman, against().agreement_topk,
        against().agreement_seconds })
    end
  end)

  it("stands in the rows of a real sweep, by default, and survives its store", function()
    local folder = temporary.folder()
    local path = folder .. "/runs.db"
    local function run()
      return sc.sweep { model = model, data = { classes = test.classes, train = split(2), test = test, title = "noise",
        fingerprint = function() return "noise" end }, methods = { "lrp", "random" }, sampling = "random",
        rates = { 0, 0.3, 0.6 }, per_class = 2, store = path, progress = false }
    end
    local rows = run()
    assert.equal(6, #rows)
    for _, row in ipairs(rows) do
      if row.rate == 0 then assert.equal(1, row.agreement_spearman) end
      assert.is_true(row.agreement_cosine == nil or row.agreement_cosine <= 1)
    end
    assert.is_true(rows[2].agreement_cosine < 1)
    assert.same({ 1, 0, 1 }, { rows[1].decision_agreement, rows[1].kl, rows[1].relative_macs })
    local evaluation = sc.evaluate(model, test)
    assert.near(rows[1].accuracy, evaluation.accuracy, 1e-12)
    assert.equal(sc.cost(model, { latency = false }).macs, rows[1].macs)
    assert.is_true(rows[2].kl > 0 and rows[2].latency_16 > 0 and rows[2].drop_low <= rows[2].drop_high)
    local again = run()
    for i, row in ipairs(rows) do assert.equal(row.agreement_cosine, again[i].agreement_cosine) end
    files.remove(folder)
  end)
end)

describe("a sweep", function()
  it("trains no model while another does not fit the data", function()
    local data, called = { classes = { "a", "b", "c" }, train = split(2), test = split(1),
      fingerprint = function() return "noise" end }, nil
    local function refused(second)
      local opts = { data = data, progress = false, models = { a = function() called = true end, b = second } }
      return errors.here(function() sc.sweep(opts) end)
    end
    assert.equal("sweep: datasets.data.train: expected 4 classes, as many as the model has, got 3",
      refused(toy.model { classes = 4 }))
    assert.equal("sweep: datasets.data.train: expected images of 1 x 16 x 16, as the model takes, got 1 x 8 x 8",
      refused(toy.model { size = 16 }))
    assert.is_nil(called)
  end)
end)
