local data = require "secateur.data"
local errors = require "support.errors"
local evaluate = require "secateur.evaluation.evaluate"
local files = require "secateur.util.files"
local models = require "secateur.models"
local report = require "secateur.report"
local results = require "secateur.results"
local sweep = require "secateur.experiments.sweep"
local temporary = require "support.temporary"

local function network(head, classes)
  return models.vgg { config = { 6, "M", 8, "M" }, hidden = { 12 }, pool = 2, classes = classes, size = 16,
    channels = 1, batch_norm = false, head = head, seed = 2 }
end

describe("a sweep of findings", function()
  local set = data.phantom { multi_label = true, count = 60, size = 16, channels = 1, seed = 4 }
  local model = network("sigmoid", 3)
  local folder, path

  local function run()
    return sweep { model = model, data = set, methods = { "lrp", "sensitivity" }, sampling = { "confidence" }, rates =
      { 0, 0.3 }, per_class = 2, repair = { "none", "least_squares" }, calibration_count = 16, latency = false,
      store = path, progress = false, agreement = { per_class = 1 } }
  end

  setup(function() folder = temporary.folder() path = files.join(folder, "runs.db") end)
  teardown(function() files.remove(folder) end)

  it("has rows with what findings are measured by", function()
    local rows = run()
    assert.equal(8, #rows)
    local dense = evaluate(model, set.test)
    for _, row in ipairs(rows) do
      assert.near(dense.accuracy, row.baseline_accuracy, 1e-12)
      assert.near(dense.auroc, row.baseline_auroc, 1e-12)
      assert.near(row.baseline_auroc - row.auroc, row.auroc_drop, 1e-12)
      assert.near(row.baseline_accuracy - row.accuracy, row.drop, 1e-12)
      assert.is_true(row.drop_low <= row.drop + 1e-12 and row.drop <= row.drop_high + 1e-12)
      assert.is_true(row.exact_match <= row.accuracy)
      assert.equal(3, #row.per_class)
      assert.near(row.auroc, (row.per_class[1].auroc + row.per_class[2].auroc + row.per_class[3].auroc) / 3, 1e-12)
      assert.is_true(row.decision_agreement <= 1 and row.kl >= 0 and row.agreement_cosine ~= nil)
      if row.rate == 0 then assert.near(dense.auroc, row.auroc, 1e-12) end
    end
    for _, entry in ipairs(rows:lossless(0.9)) do assert.same({ "auroc", 0.3 }, { entry.metric, entry.rate }) end
    local text = tostring(rows)
    assert.truthy(text:find("AUROC", 1, true) and text:find("exact", 1, true))
  end)

  it("refuses at once to contrast findings of a label", function()
    local message = errors.text(sweep, { model = model, data = set, methods = { "lrp" }, rates = { 0.3 },
      method_options = { lrp = { target = { of = "label", against = "runner_up" } } } })
    assert.equal('sweep: method_options.lrp: target: expected no contrast with "label" where images may have several '
      .. "findings, for these do not exclude each other", message)
  end)

  it("goes on from its store, with the findings that samples were drawn for", function()
    local before, again = run(), run()
    for i, row in ipairs(before) do assert.same(row.auroc, again[i].auroc) end
    local other = sweep { model = model, data = set, methods = { "lrp", "sensitivity" }, sampling = { "confidence" },
      rates = { 0, 0.3 }, per_class = 2, repair = { "none", "least_squares" }, calibration_count = 16, latency = false,
      progress = false, agreement = { per_class = 1 } }
    for i, row in ipairs(before) do assert.same(row.auroc, other[i].auroc) end
  end)

  it("has a report, with a table and a figure of AUROC", function()
    local dir = files.join(folder, "report")
    report(results.read(path), dir)
    local page = files.read_all(files.join(dir, "index.html"))
    assert.truthy(page:find("AUROC of findings", 1, true))
    assert.truthy(page:find("Δ AUROC at pruning rate", 1, true))
    assert.truthy(page:find('<th scope="col">Finding</th><th scope="col">AUROC</th>', 1, true))
    assert.truthy(page:find("Accuracy is the share of decisions about a finding", 1, true))
    assert.truthy(files.read_all(files.join(dir, "auroc.md")):find("Drop of AUROC", 1, true))
    assert.truthy(files.read_all(files.join(dir, "costs.md")):find("Δ AUROC", 1, true))
    assert.truthy(files.read_all(files.join(dir, "results.csv")):find("exact_match,average_precision", 1, true))
    assert.truthy(files.read_all(files.join(dir, "per_class.csv")):find("f1,auroc,average_precision", 1, true))
    assert.truthy(files.read_all(files.join(dir, "per_class.csv")):find("effusion", 1, true))
  end)
end)

describe("a sweep of one sigmoid logit", function()
  it("runs as one of two classes", function()
    local set = data.phantom { classes = { "normal", "nodule" }, count = 40, size = 16, channels = 1 }
    local rows = sweep { model = network("sigmoid", 1), data = set, methods = { "lrp", "ig" }, sampling = "clustering",
      rates = { 0, 0.3 }, per_class = 2, latency = false, progress = false, agreement = { per_class = 1 } }
    for _, row in ipairs(rows) do
      assert.is_nil(row.exact_match)
      assert.is_nil(row.auroc_drop)
      assert.equal(2, #row.per_class)
      assert.is_true(row.kl >= 0 and row.decision_agreement <= 1)
    end
  end)
end)
