local binary_metrics = require "secateur.evaluation.binary_metrics"
local core = require "secateur.core"
local errors = require "support.errors"
local evaluate = require "secateur.evaluation.evaluate"
local files = require "secateur.util.files"
local head_models = require "support.head_models"
local json = require "secateur.util.json"
local memory_split = require "support.memory_split"
local multi_label_metrics = require "secateur.evaluation.multi_label_metrics"
local options = require "secateur.util.options"
local predict = require "secateur.evaluation.predict"

local reference = json.decode(files.read_all("spec/fixtures/metrics.json"))

local function near(wanted, got, what, tolerance)
  assert.equal(wanted == nil, got == nil, what)
  assert.is_true(wanted == nil or math.abs(wanted - got) <= (tolerance or 1e-12),
    ("%s: expected %s, got %s"):format(what, wanted, got))
end

local function compare(name, wanted, got)
  for _, measure in ipairs { "sensitivity", "specificity", "precision", "npv", "f1", "auroc", "average_precision",
    "brier" } do
    near(wanted[measure], got[measure], name .. ": " .. measure)
  end
  for _, field in ipairs { "threshold", "sensitivity", "specificity" } do
    near(wanted.youden and wanted.youden[field], got.youden and got.youden[field], name .. ": Youden's " .. field)
  end
end

local function booleans(list)
  local found = {}
  for i, value in ipairs(list) do found[i] = value == 1 end
  return found
end

describe("measures of a yes or no", function()
  it("are scikit-learn's, ties and what is undefined too", function()
    for _, name in ipairs(options.sorted_keys(reference.binary)) do
      local case = reference.binary[name]
      local got = binary_metrics.measure(case.scores, booleans(case.positive), case.threshold)
      compare(name, case, got)
      assert.same(case.confusion, got.confusion, name)
    end
  end)

  it("take the threshold from the samples themselves where that is asked for", function()
    local case = reference.binary.tied
    local positive = booleans(case.positive)
    local got = binary_metrics.measure(case.scores, positive, "youden")
    near(case.youden.threshold, got.threshold, "threshold")
    near(case.youden.sensitivity, got.sensitivity, "sensitivity")
    near(case.youden.specificity, got.specificity, "specificity")
    assert.equal(0.5, binary_metrics.measure({ 0.2, 0.3 }, { true, true }, "youden").threshold)
  end)

  it("are calibrated where probabilities are shares", function()
    local scores, positive = {}, {}
    for i = 1, 20 do scores[i], positive[i] = i <= 10 and 0.2 or 0.9, i <= 2 or i > 11 end
    near(0, binary_metrics.measure(scores, positive, 0.5).ece, "ece")
    for i = 1, 20 do positive[i] = i > 11 end
    near(0.1, binary_metrics.measure(scores, positive, 0.5).ece, "ece")
  end)
end)

describe("measures of findings", function()
  it("are scikit-learn's of each finding where it is known, and their means", function()
    for name, case in pairs(reference.findings) do
      local thresholds = {}
      for c in ipairs(case.findings) do thresholds[c] = case.threshold end
      local got, decisions = multi_label_metrics.measure(case.probabilities, case.labels, thresholds)
      for c, wanted in ipairs(case.findings) do
        compare(("%s, finding %d"):format(name, c), wanted, got.per_class[c])
        assert.same(wanted.confusion, got.confusion[c])
        assert.equal(#wanted.scores, got.per_class[c].known)
      end
      for _, measure in ipairs { "accuracy", "exact_match", "auroc", "average_precision", "brier", "macro_f1" } do
        near(case[measure], got[measure], name .. ": " .. measure)
      end
      assert.equal(case.probabilities[5][2] >= case.threshold and 1 or 0, decisions[5][2])
    end
  end)

  it("balance sensitivity and specificity", function()
    -- Finding 1: sensitivity 1/2, specificity 1; finding 2: nobody has it, so that it has no part in the mean.
    local got = multi_label_metrics.measure({ { 0.9, 0.1 }, { 0.1, 0.1 }, { 0.2, 0.6 }, { 0.3, 0.1 } },
      { { 1, 0 }, { 1, 0 }, { 0, 0 }, { 0, -1 } }, { 0.5, 0.5 })
    near(3 / 4, got.balanced_accuracy, "balanced accuracy")
    near(5 / 7, got.accuracy, "accuracy")
    near(2 / 4, got.exact_match, "exact match")
    assert.is_nil(got.per_class[2].sensitivity)
  end)
end)

describe("evaluate with one sigmoid logit", function()
  local function split_of(logits, labels)
    local rows = {}
    for i, logit in ipairs(logits) do rows[i] = { logit, 0, 0, 0 } end
    return memory_split(core.tensor(rows):reshape(#rows, 1, 2, 2), labels, { classes = { "normal", "covid" } })
  end
  local logits, labels = { -3, -1, -0.5, 0.25, 1, 2, -2, 0.5 }, { 1, 1, 2, 1, 2, 2, 1, 2 }

  it("is the evaluation of two logits whose difference it is", function()
    local rows = {}
    for i, logit in ipairs(logits) do rows[i] = { 0, logit, 0, 0 } end
    local pair = memory_split(core.tensor(rows):reshape(#rows, 1, 2, 2), labels, { classes = { "normal", "covid" } })
    local one = evaluate(head_models.identity(1, "sigmoid"), split_of(logits, labels))
    local two = evaluate(head_models.identity(2), pair)
    assert.equal("binary", one.head)
    assert.equal("softmax", two.head)
    for _, measure in ipairs { "accuracy", "balanced_accuracy", "macro_f1", "auroc", "ece", "loss", "sensitivity",
      "specificity", "ppv", "npv", "brier", "average_precision", "threshold" } do
      near(two[measure], one[measure], measure, 1e-6)
    end
    assert.same(two.predictions, one.predictions)
    assert.same(two.confusion, one.confusion)
    for _, field in ipairs { "sensitivity", "specificity", "j" } do
      near(two.youden[field], one.youden[field], field, 1e-6)
    end
    assert.equal(2, #one.probabilities[1])
    near(1 / (1 + math.exp(3)), one.probabilities[1][2], "p", 1e-7)
    near(1, one.probabilities[5][1] + one.probabilities[5][2], "sum", 1e-6)
  end)

  it("decides at a threshold", function()
    local model, split = head_models.identity(1, "sigmoid"), split_of(logits, labels)
    local result = evaluate(model, split, { threshold = 0.7 })
    assert.same({ 1, 1, 1, 1, 2, 2, 1, 1 }, result.predictions)
    assert.same({ { 4, 0 }, { 2, 2 } }, result.confusion)
    assert.same({ 0.7, 0.5, 1, 1, 4 / 6 },
      { result.threshold, result.sensitivity, result.specificity, result.ppv, result.npv })
    local best = evaluate(model, split, { threshold = "youden" })
    assert.is_true(best.optimistic)
    near(best.youden.threshold, best.threshold, "threshold")
    near(best.youden.sensitivity, best.sensitivity, "sensitivity")
    assert.truthy(tostring(best):find("optimistic", 1, true))
    local again = evaluate(model, split, { threshold = best.youden_threshold })
    assert.same(best.predictions, again.predictions)
    assert.is_nil(again.optimistic)
    assert.truthy(tostring(result):find("'covid' at threshold 0.700: sensitivity 0.500, specificity 1.000, PPV 1.000",
      1, true))
  end)

  it("has one calibration error, brier score and AUROC whatever the threshold", function()
    local model, split = head_models.identity(1, "sigmoid"), split_of(logits, labels)
    local plain = evaluate(model, split)
    for _, threshold in ipairs { 0.01, 0.7, 0.99, "youden" } do
      local result = evaluate(model, split, { threshold = threshold })
      for _, measure in ipairs { "ece", "brier", "auroc" } do assert.equal(plain[measure], result[measure], measure) end
    end
  end)

  it("refuses thresholds that are none", function()
    local model, split = head_models.identity(1, "sigmoid"), split_of(logits, labels)
    local function message_of(...) return errors.inside(function(...) evaluate(...) end, ...) end
    assert.equal('evaluate: threshold: expected a number in [0, 1], a list of one per finding, or "youden", got 2',
      message_of(model, split, { threshold = 2 }))
    assert.equal("evaluate: threshold: expected a number for two classes, got a list of 2",
      message_of(model, split, { threshold = { 0.5, 0.5 } }))
    local three = memory_split(core.zeros(2, 1, 2, 2), { 1, 2 }, { classes = { "a", "b", "c" } })
    assert.equal("evaluate: threshold: expected none: a softmax head of 3 classes decides by the largest",
      message_of(head_models.identity(3), three, { threshold = 0.5 }))
  end)
end)

describe("evaluate with several findings", function()
  local function split_of(rows, labels)
    return memory_split(core.tensor(rows):reshape(#rows, 1, 2, 2), labels, { classes = { "nodule", "effusion" } })
  end
  local rows = { { 2, -1, 0, 0 }, { -1, 3, 0, 0 }, { 0.5, 0.5, 0, 0 }, { -2, -2, 0, 0 }, { 1, -3, 0, 0 } }
  local labels = { { 1, 0 }, { 0, 1 }, { 0, -1 }, { 0, 0 }, { 1, 1 } }

  it("measures each by itself, and leaves out what is unknown", function()
    local model = head_models.identity(2, "sigmoid")
    local result = evaluate(model, split_of(rows, labels), { batch = 2 })
    assert.equal("multi_label", result.head)
    assert.same({ { 1, 0 }, { 0, 1 }, { 1, 1 }, { 0, 0 }, { 1, 0 } }, result.predictions)
    assert.same({ { 1, 0 }, { 0, 1 }, { 0, -1 }, { 0, 0 }, { 1, 1 } }, result.labels)
    assert.same({ { { 2, 1 }, { 0, 2 } }, { { 2, 0 }, { 1, 1 } } }, result.confusion)
    near(7 / 9, result.accuracy, "accuracy")
    near(3 / 5, result.exact_match, "exact match")
    assert.same({ "nodule", "effusion" }, { result.per_class[1].name, result.per_class[2].name })
    assert.same({ 2, 5, 2, 4 }, { result.per_class[1].count, result.per_class[1].known, result.per_class[2].count,
      result.per_class[2].known })
    near(1, result.per_class[1].auroc, "auroc")
    near(2 / 4, result.per_class[2].auroc, "auroc")
    local loss = 0
    for i, row in ipairs(labels) do
      for c, label in ipairs(row) do
        if label >= 0 then loss = loss + math.log(1 + math.exp(label == 1 and -rows[i][c] or rows[i][c])) / 9 end
      end
    end
    near(loss, result.loss, "loss", 1e-6)
  end)

  it("takes a threshold per finding, from another evaluation too", function()
    local model, split = head_models.identity(2, "sigmoid"), split_of(rows, labels)
    local result = evaluate(model, split, { threshold = { 0.7, 0.04 } })
    assert.same({ { 1, 1 }, { 0, 1 }, { 0, 1 }, { 0, 1 }, { 1, 1 } }, result.predictions)
    local best = evaluate(model, split, { threshold = "youden" })
    local again = evaluate(model, split, { threshold = best.youden_threshold })
    assert.same(best.predictions, again.predictions)
    assert.equal(1, best.per_class[1].sensitivity + best.per_class[1].specificity - 1)
    local message = errors.inside(function() evaluate(model, split, { threshold = { 0.5 } }) end)
    assert.equal("evaluate: threshold: expected a list of 2, one per finding, got a list of 1", message)
  end)

  it("says so where nothing is known", function()
    local message = errors.inside(function() evaluate(head_models.identity(2, "sigmoid"),
      split_of({ { 0, 0, 0, 0 } }, { { -1, -1 } })) end)
    assert.equal("evaluate: split: expected at least one finding that is known, got -1 everywhere", message)
  end)

  it("refuses labels that are neither there nor absent nor unknown", function()
    local message = errors.inside(function() evaluate(head_models.identity(2, "sigmoid"),
      split_of({ { 0, 0, 0, 0 }, { 0, 0, 0, 0 } }, { { 1, 0 }, { 0, 0.25 } })) end)
    assert.equal("evaluate: labels: expected 1, 0 or -1 of each finding, got 0.25 for sample 2, finding 2", message)
  end)

  it("prints a row per finding, within a line", function()
    local result = evaluate(head_models.identity(2, "sigmoid"), split_of(rows, labels))
    local text = tostring(result)
    assert.truthy(text:find("^5 images: accuracy 0.778, exact match 0.600, balanced accuracy"))
    assert.truthy(text:find("\neffusion        2      4  0.500", 1, true), text)
    for line in text:gmatch "[^\n]+" do assert.is_true(#line <= 120) end
    assert.truthy(tostring(result.confusion):find("nodule", 1, true))
  end)

  it("gives probabilities by the kind of head", function()
    local logits = core.tensor { { 0, 2 } }
    local each = predict.probabilities(head_models.identity(2, "sigmoid"), logits):totable()[1]
    assert.equal(0.5, each[1])
    near(1 / (1 + math.exp(-2)), each[2], "p", 1e-6)
    near(1, predict.probabilities(head_models.identity(2), logits):sum(), "sum", 1e-6)
  end)
end)
