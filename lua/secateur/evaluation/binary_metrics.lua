--- What probabilities of a yes or no are worth: arithmetic on plain lists, `scores` of probabilities and `positive` of
-- booleans, one of each per sample. A score of at least the threshold is a yes. What is undefined is nil.
-- @module secateur.evaluation.binary_metrics
local metrics = require "secateur.evaluation.metrics"

local binary_metrics = {}

local function ratio(part, whole)
  if whole > 0 then return part / whole end
  return nil
end

--- Counts of decisions at a threshold.
-- @tab scores
-- @tab positive
-- @number threshold
-- @treturn table confusion: { { TN, FP }, { FN, TP } }
function binary_metrics.confusion(scores, positive, threshold)
  local confusion = { { 0, 0 }, { 0, 0 } }
  for i, score in ipairs(scores) do
    local row, column = confusion[positive[i] and 2 or 1], score >= threshold and 2 or 1
    row[column] = row[column] + 1
  end
  return confusion
end

--- Rates of a confusion matrix.
-- @tab confusion { { TN, FP }, { FN, TP } }
-- @treturn table `sensitivity` TP / (TP + FN), `specificity` TN / (TN + FP), `precision` (PPV) TP / (TP + FP), `npv`
--   TN / (TN + FN), `f1` 2 TP / (2 TP + FP + FN)
function binary_metrics.rates(confusion)
  local tn, fp, fn, tp = confusion[1][1], confusion[1][2], confusion[2][1], confusion[2][2]
  return { sensitivity = ratio(tp, tp + fn), specificity = ratio(tn, tn + fp), precision = ratio(tp, tp + fp),
    npv = ratio(tn, tn + fn), f1 = ratio(2 * tp, 2 * tp + fp + fn) }
end

-- Goes through the thresholds that tell scores apart, the highest first: threshold, TP, FP.
local function thresholds(scores, positive)
  local order = {}
  for i = 1, #scores do order[i] = i end
  table.sort(order, function(a, b) return scores[a] > scores[b] end)
  local at, tp, fp = 1, 0, 0
  return function()
    if at > #order then return nil end
    local threshold = scores[order[at]]
    while at <= #order and scores[order[at]] == threshold do
      if positive[order[at]] then tp = tp + 1 else fp = fp + 1 end
      at = at + 1
    end
    return threshold, tp, fp
  end
end

local function count_positives(positive)
  local count = 0
  for _, yes in ipairs(positive) do count = count + (yes and 1 or 0) end
  return count
end

--- The threshold that Youden's J = sensitivity + specificity - 1 is largest at (Youden 1950); the highest of equals.
-- @tab scores
-- @tab positive
-- @treturn ?table `threshold` (one of the scores), `sensitivity`, `specificity`, `j`; nil unless there are both
--   positives and negatives
function binary_metrics.youden(scores, positive)
  local positives = count_positives(positive)
  local negatives = #scores - positives
  if positives == 0 or negatives == 0 then return nil end
  local best, best_gain
  for threshold, tp, fp in thresholds(scores, positive) do
    local gain = tp * negatives - fp * positives -- in whole numbers, so that ties are ties
    if not best or gain > best_gain then
      best, best_gain = { threshold = threshold, sensitivity = tp / positives, specificity = 1 - fp / negatives,
        j = gain / (positives * negatives) }, gain
    end
  end
  return best
end

--- Average precision: the sum over thresholds, from the highest, of the gain in recall times the precision there.
-- Nothing is interpolated; tied scores are one threshold.
-- @tab scores
-- @tab positive
-- @treturn ?number nil without positives
function binary_metrics.average_precision(scores, positive)
  local positives, before, sum = count_positives(positive), 0, 0
  if positives == 0 then return nil end
  for _, tp, fp in thresholds(scores, positive) do
    sum, before = sum + (tp - before) * tp / (tp + fp), tp
  end
  return sum / positives
end

--- Mean squared difference between probability and truth (Brier 1950).
-- @tab scores
-- @tab positive
-- @treturn ?number nil without samples
function binary_metrics.brier(scores, positive)
  local sum = 0
  for i, score in ipairs(scores) do sum = sum + (score - (positive[i] and 1 or 0)) ^ 2 end
  return ratio(sum, #scores)
end

--- All of it.
-- @tab scores
-- @tab positive
-- @tparam number|string threshold a number, or "youden": where J is largest on these samples (0.5 where undefined)
-- @treturn table `known` (samples), `count` (positives), `prevalence`, `auroc`, `average_precision`, `threshold`,
--   `sensitivity`, `specificity`, `precision`, `npv`, `f1` at the threshold, `youden`, `brier`, `ece` (15 bins of equal
--   width of the probability of a yes), `confusion`
function binary_metrics.measure(scores, positive, threshold)
  local youden = binary_metrics.youden(scores, positive)
  if threshold == "youden" then threshold = youden and youden.threshold or 0.5 end
  local confusion = binary_metrics.confusion(scores, positive, threshold)
  local measured = binary_metrics.rates(confusion)
  measured.known, measured.count = #scores, count_positives(positive)
  measured.prevalence, measured.threshold = ratio(measured.count, #scores), threshold
  measured.auroc = metrics.auroc(scores, positive)
  measured.average_precision = binary_metrics.average_precision(scores, positive)
  measured.youden, measured.confusion = youden, confusion
  measured.brier, measured.ece = binary_metrics.brier(scores, positive), metrics.ece(scores, positive)
  return measured
end

return binary_metrics
