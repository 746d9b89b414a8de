--- What a model is worth on a split.
-- @module secateur.evaluation.evaluate
local Evaluation = require "secateur.evaluation.evaluation_result"
local binary_metrics = require "secateur.evaluation.binary_metrics"
local core = require "secateur.core"
local errors = require "secateur.util.errors"
local group_rule = require "secateur.mpi.group_rule"
local heads = require "secateur.models.heads"
local metrics = require "secateur.evaluation.metrics"
local multi_label_metrics = require "secateur.evaluation.multi_label_metrics"
local options = require "secateur.util.options"
local predict = require "secateur.evaluation.predict"
local same_call = require "secateur.evaluation.same_call"
local shared_images = require "secateur.evaluation.shared_images"
local shares = require "secateur.mpi.shares"
local skipped = require "secateur.data.skipped"

local function is_threshold(value)
  local good = value == "youden" or math.type(value) and value >= 0 and value <= 1
  for _, number in ipairs(type(value) == "table" and value or {}) do
    good = math.type(number) and number >= 0 and number <= 1
    if not good then break end
  end
  return good, 'a number in [0, 1], a list of one per finding, or "youden"'
end

local rules = {
  batch = { type = "integer", min = 1, default = 64 },
  workers = { type = "integer", min = 1, max = 64, default = 1 },
  threshold = { type = { "number", "string", "list" }, check = is_threshold },
  group = group_rule,
}

-- Not-a-number compares with nothing, and would pass for a wrong prediction.
local function check_finite(rows, split, indices)
  for i, row in ipairs(rows) do
    for _, value in ipairs(row) do
      if value - value ~= 0 then
        local name = split.names and split.names[indices[i]]
        errors.raise("logits: expected finite numbers, got %s for sample %d%s",
          value == value and tostring(value) or "not-a-number", indices[i], name and (" (%s)"):format(name) or "")
      end
    end
  end
end

-- The threshold of each finding.
local function thresholds_of(threshold, findings)
  local list = {}
  for c = 1, findings do list[c] = type(threshold) == "table" and threshold[c] or threshold or 0.5 end
  return list
end

-- Findings are there, absent or unknown. A training takes what lies between; a yes or no has no measure of it.
local function check_findings(labels)
  local known = false
  for i, row in ipairs(labels) do
    for c, label in ipairs(row) do
      if label ~= 1 and label ~= 0 and label ~= -1 then
        errors.raise("labels: expected 1, 0 or -1 of each finding, got %s for sample %d, finding %d",
          options.describe(label), i, c)
      end
      known = known or label >= 0
    end
  end
  if not known then errors.raise("split: expected at least one finding that is known, got -1 everywhere") end
end

-- Findings, each by itself.
local function measure_findings(run, probabilities, labels, threshold)
  check_findings(labels)
  local result, decisions = multi_label_metrics.measure(probabilities, labels,
    thresholds_of(threshold, #probabilities[1]))
  result.predictions, result.youden_threshold = decisions, {}
  for c, entry in ipairs(result.per_class) do
    result.youden_threshold[c] = entry.youden and entry.youden.threshold or 0.5
  end
  result.loss = core.binary_cross_entropy(run.logits, run.labels)
  return result
end

-- The probabilities of class 2 and whether that is right, as `binary_metrics` takes them.
local function second_class(probabilities, labels)
  local scores, positive = {}, {}
  for i, row in ipairs(probabilities) do scores[i], positive[i] = row[2], labels[i] == 2 end
  return scores, positive
end

-- What two classes have besides: rates of class 2 at the threshold, the point of Youden, and probabilities against
-- the truth. Where nothing is said of a threshold, a softmax head decides by the larger logit.
local function measure_two(result, probabilities, labels, threshold)
  local scores, positive = second_class(probabilities, labels)
  local found = binary_metrics.measure(scores, positive, threshold or 0.5)
  result.threshold, result.youden, result.brier = found.threshold, found.youden, found.brier
  result.average_precision, result.prevalence = found.average_precision, found.prevalence
  result.youden_threshold = found.youden and found.youden.threshold
  local rates = binary_metrics.rates(result.confusion)
  result.sensitivity, result.specificity = rates.sensitivity, rates.specificity
  result.ppv, result.npv = rates.precision, rates.npv
end

-- Class 2 where its probability is at least the threshold.
local function decide_two(probabilities, labels, threshold)
  if threshold == "youden" then
    local found = binary_metrics.youden(second_class(probabilities, labels))
    threshold = found and found.threshold or 0.5
  end
  local predictions = {}
  for i, row in ipairs(probabilities) do predictions[i] = row[2] >= threshold and 2 or 1 end
  return predictions, threshold
end

-- Classes of which one holds.
local function measure_classes(kind, run, probabilities, labels, threshold)
  local predictions
  if kind == "binary" or threshold then
    predictions, threshold = decide_two(probabilities, labels, threshold or 0.5)
  else
    predictions = run.logits:argmax(2):totable()
  end
  local result = metrics.measure(probabilities, labels, predictions)
  result.predictions = predictions
  if #probabilities[1] == 2 then measure_two(result, probabilities, labels, threshold) end
  result.loss = kind == "binary" and core.binary_cross_entropy(run.logits, heads.binary_targets(run.labels))
    or core.cross_entropy(run.logits, run.labels)
  return result
end

local function check_threshold(kind, model, threshold)
  if threshold == nil then return end
  local classes = model.class_count
  if kind == "softmax" and classes ~= 2 then
    errors.raise("threshold: expected none: a softmax head of %d classes decides by the largest", classes)
  elseif type(threshold) == "table" and (kind ~= "multi_label" or #threshold ~= classes) then
    errors.raise("threshold: expected %s, got a list of %d", kind == "multi_label"
      and ("a list of %d, one per finding"):format(classes) or "a number for two classes", #threshold)
  end
end

local function measure(model, split, opts)
  local started, kind = core.clock(), heads.kind(model)
  check_threshold(kind, model, opts.threshold)
  same_call.check(opts.group, "evaluate", model, split, opts)
  local run = predict.run(model, split, opts)
  local logits, labels = run.logits:totable(), run.labels:totable()
  check_finite(logits, split, run.indices)
  local probabilities = heads.probabilities(kind, run.logits):totable()
  local result
  if kind == "multi_label" then
    result = measure_findings(run, probabilities, labels, opts.threshold)
  else
    result = measure_classes(kind, run, probabilities, labels, opts.threshold)
  end
  for class, entry in ipairs(result.per_class) do
    entry.name = split.classes and tostring(split.classes[class]) or tostring(class)
  end
  result.head, result.optimistic = kind, opts.threshold == "youden" or nil
  result.logits, result.probabilities, result.labels = logits, probabilities, labels
  result.indices, result.seconds = run.indices, core.clock() - started
  result.skipped = math.max(skipped.count(split), split:count() - #run.indices)
  return Evaluation.new(result)
end

--- Measures a model on a split, without augmentation and in inference mode.
--
-- The result: `accuracy`, `balanced_accuracy` (mean sensitivity), `macro_f1`, `auroc` (mean over classes of one against
-- the rest), `ece` (expected calibration error, 15 bins), `loss` (mean cross entropy, all samples alike), `count`,
-- `confusion` (`confusion[true][predicted]`; prints as a table), `per_class` (list of `{name, count, sensitivity,
-- specificity, precision, f1, auroc}`), `logits`, `probabilities` (lists of rows), `predictions`, `labels`, `indices`
-- (lists, from 1), `head` ("softmax", "binary", "multi_label"), `seconds`, `skipped` (how many images of the split, and
-- of no split, were left out because they could not be read). Printed, it is a table. What is undefined, such as the
-- sensitivity of a class without samples, is nil and left out of means; see `secateur.evaluation.metrics`.
--
-- Of two classes, with two logits or a single sigmoid one (then the loss is binary cross entropy), there are besides,
-- of class 2: `threshold` (its probability from which on it is predicted), `sensitivity`, `specificity`, `ppv`, `npv`
-- there; `youden` (`{threshold, sensitivity, specificity, j}`: where sensitivity + specificity is largest on these
-- images), `average_precision`, `brier` (score), `prevalence`.
--
-- Of several findings per image (a sigmoid head, a multi-label split) every finding is a yes or no of its own, and
-- labels of -1 are left out. `accuracy` is the share of known entries (image, finding) that are decided rightly, and
-- high where findings are rare whatever the model does; `exact_match` the share of images without a wrong entry;
-- `balanced_accuracy` the mean over findings of (sensitivity + specificity) / 2; `auroc`, `average_precision`, `ece`,
-- `brier`, `macro_f1` are means over findings; `loss` is binary cross entropy, the mean of known entries. An entry of
-- `per_class` has `name`, `count` (of images that have it), `known` (of those that are known to have or to lack it),
-- `prevalence, auroc, average_precision, threshold, sensitivity, specificity, precision, npv, f1, youden, brier, ece`;
-- `confusion[finding]` is { { TN, FP }, { FN, TP } }; an entry of `predictions` or `labels` a list of a number per
-- finding.
-- @tparam Model model
-- @tparam Split split such as `data.test`
-- @tab[opt] opts `batch` (64), `workers` (threads that decode, 1); `threshold` of two classes or of findings: a number
--   (0.5), a list of one per finding, or "youden": each finding's best on these very images, which is optimistic, and
--   said so. `youden_threshold` of an evaluation is the number or list to take from the validation split; `group`
--   (none; `sc.mpi.group()`: its ranks, which all make this call, share the images out, and all get the whole result,
--   with the bits of a single process)
-- @treturn Evaluation
-- @raise when the model and the split do not fit each other, a threshold is none, or a logit is not finite; where the
-- ranks of a group have not the same model, images and options
-- @usage
-- local result = sc.evaluate(model, data.test)
-- print(result, result.accuracy, result.confusion)
-- local best = sc.evaluate(model, data.val).youden_threshold
-- print(sc.evaluate(model, data.test, { threshold = best }))
local function evaluate(model, split, opts)
  predict.check("evaluate", model, split)
  opts = options.check("evaluate", opts, rules)
  shares.check_split("evaluate", split, opts.group)
  local result = shared_images.together(opts.group, { split }, errors.within, "evaluate", measure, model, split, opts)
  model:release()
  return result
end

return evaluate
