--- What predictions of several findings per image are worth: arithmetic on plain lists of rows, a number per finding.
-- Labels are 1 (present), 0 (absent) or -1 (unknown: counts nowhere). What is undefined is nil, and left out of means.
-- @module secateur.evaluation.multi_label_metrics
local binary_metrics = require "secateur.evaluation.binary_metrics"

local multi_label_metrics = {}

-- The mean over findings of what a function gives, of those where it gives something.
local function mean_over(per_class, value_of)
  local sum, count = 0, 0
  for _, entry in ipairs(per_class) do
    local value = value_of(entry)
    if value then sum, count = sum + value, count + 1 end
  end
  if count > 0 then return sum / count end
  return nil
end

local function field(name)
  return function(entry) return entry[name] end
end

local function balanced(entry)
  return entry.sensitivity and entry.specificity and (entry.sensitivity + entry.specificity) / 2
end

-- A finding that no image has says nothing about F1, and one that no image lacks nothing false.
local function f1_of_present(entry) return entry.count > 0 and entry.f1 or nil end

--- What is decided: 1 where the probability is at least the finding's threshold, else 0.
-- @tab probabilities list of rows
-- @tab thresholds a number per finding
-- @treturn table list of rows
function multi_label_metrics.decide(probabilities, thresholds)
  local decisions = {}
  for i, row in ipairs(probabilities) do
    decisions[i] = {}
    for c, probability in ipairs(row) do decisions[i][c] = probability >= thresholds[c] and 1 or 0 end
  end
  return decisions
end

-- The probabilities of a finding and whether it is there, of the images where that is known.
local function known_of(probabilities, labels, finding)
  local scores, positive = {}, {}
  for i, row in ipairs(labels) do
    if row[finding] >= 0 then
      scores[#scores + 1], positive[#positive + 1] = probabilities[i][finding], row[finding] == 1
    end
  end
  return scores, positive
end

-- The share of known entries that are decided rightly, and of images that have known entries the share where all are.
local function count_right(decisions, labels)
  local right, known, exact, images = 0, 0, 0, 0
  for i, row in ipairs(labels) do
    local here, of = 0, 0
    for c, label in ipairs(row) do
      if label >= 0 then here, of = here + (decisions[i][c] == label and 1 or 0), of + 1 end
    end
    right, known = right + here, known + of
    if of > 0 then exact, images = exact + (here == of and 1 or 0), images + 1 end
  end
  return known > 0 and right / known or nil, images > 0 and exact / images or nil
end

--- All measures.
-- @tab probabilities list of rows
-- @tab labels list of rows
-- @tab thresholds per finding a number or "youden"
-- @treturn table `count` (images); `accuracy` (share of known entries decided rightly), `exact_match` (share of images
--   whose known entries all are); means over findings: `balanced_accuracy` (of (sensitivity + specificity) / 2),
--   `macro_f1` (of those that some image has), `auroc`, `average_precision`, `ece`, `brier`; `per_class`, a list of
--   what `binary_metrics.measure` gives; `confusion`, a list of { { TN, FP }, { FN, TP } }
-- @treturn table decisions, list of rows
function multi_label_metrics.measure(probabilities, labels, thresholds)
  local result, used = { count = #labels, per_class = {}, confusion = {} }, {}
  for c in ipairs(thresholds) do
    local scores, positive = known_of(probabilities, labels, c)
    local entry = binary_metrics.measure(scores, positive, thresholds[c])
    result.per_class[c], result.confusion[c], used[c] = entry, entry.confusion, entry.threshold
    entry.confusion = nil
  end
  local decisions = multi_label_metrics.decide(probabilities, used)
  result.accuracy, result.exact_match = count_right(decisions, labels)
  for _, name in ipairs { "auroc", "average_precision", "ece", "brier" } do
    result[name] = mean_over(result.per_class, field(name))
  end
  result.balanced_accuracy = mean_over(result.per_class, balanced)
  result.macro_f1 = mean_over(result.per_class, f1_of_present)
  return result, decisions
end

return multi_label_metrics
