--- What the predictions of a classifier are worth: arithmetic on plain lists, classes counted from 1.
-- A measure that is undefined (a class that nobody has, a class that nobody predicts) is nil, and left out of means.
-- @module secateur.evaluation.metrics
local metrics = {}

local function ratio(part, whole)
  if whole > 0 then return part / whole end
  return nil
end

-- The mean of `field` over the entries of a list that have one, or nil; `count` must be positive where given.
local function mean_of(list, field, present)
  local sum, count = 0, 0
  for i, entry in ipairs(list) do
    if entry[field] and (not present or present[i] > 0) then sum, count = sum + entry[field], count + 1 end
  end
  return ratio(sum, count)
end

--- The class of the largest number; the first of equals.
-- @tab row a number per class
-- @treturn int class
-- @treturn number the number
function metrics.argmax(row)
  local best = 1
  for class = 2, #row do
    if row[class] > row[best] then best = class end
  end
  return best, row[best]
end

--- How often each class was taken for each other.
-- @tab labels list of true classes
-- @tab predictions list of predicted classes
-- @int classes how many there are
-- @treturn table confusion[true class][predicted class]
function metrics.confusion(labels, predictions, classes)
  local confusion = {}
  for actual = 1, classes do
    confusion[actual] = {}
    for predicted = 1, classes do confusion[actual][predicted] = 0 end
  end
  for i, label in ipairs(labels) do
    local row = confusion[label]
    row[predictions[i]] = row[predictions[i]] + 1
  end
  return confusion
end

--- Each class against all others: sensitivity TP / (TP + FN), specificity TN / (TN + FP), precision TP / (TP + FP),
-- f1 2 TP / (2 TP + FP + FN).
-- @tab confusion as `confusion` gives
-- @treturn table list of `{count=, sensitivity=, specificity=, precision=, f1=}`
function metrics.per_class(confusion)
  local counts, predicted, total = {}, {}, 0
  for actual, row in ipairs(confusion) do
    for class, count in ipairs(row) do
      counts[actual] = (counts[actual] or 0) + count
      predicted[class] = (predicted[class] or 0) + count
      total = total + count
    end
  end
  local list = {}
  for class, row in ipairs(confusion) do
    local hits, have, said = row[class], counts[class], predicted[class]
    local others = total - have
    list[class] = { count = have, sensitivity = ratio(hits, have), specificity = ratio(others - (said - hits), others),
      precision = ratio(hits, said), f1 = ratio(2 * hits, have + said) }
  end
  return list
end

--- Area under the ROC curve: the probability that a positive scores above a negative, ties counting half
-- (the Mann-Whitney statistic, from ranks).
-- @tab scores list of numbers
-- @tab positive list of booleans
-- @treturn ?number nil unless there are both positives and negatives
function metrics.auroc(scores, positive)
  local order, count = {}, #scores
  for i = 1, count do order[i] = i end
  table.sort(order, function(a, b) return scores[a] < scores[b] end)
  local rank_sum, positives, first = 0, 0, 1
  while first <= count do
    local last, tied = first, 0
    while last <= count and scores[order[last]] == scores[order[first]] do
      if positive[order[last]] then tied = tied + 1 end
      last = last + 1
    end
    rank_sum = rank_sum + tied * (first + last - 1) / 2 -- all have the mean of the ranks first .. last - 1
    positives, first = positives + tied, last
  end
  return ratio(rank_sum - positives * (positives + 1) / 2, positives * (count - positives))
end

--- Mean over the classes of the area under the ROC curve of each class against the rest.
-- @tab probabilities list of rows, a number per class
-- @tab labels list of classes
-- @treturn ?number nil when no class has both members and others
-- @treturn table area per class, nil where undefined
function metrics.macro_auroc(probabilities, labels)
  local sum, count, areas = 0, 0, {}
  for class = 1, #(probabilities[1] or {}) do
    local scores, positive = {}, {}
    for i, row in ipairs(probabilities) do scores[i], positive[i] = row[class], labels[i] == class end
    areas[class] = metrics.auroc(scores, positive)
    if areas[class] then sum, count = sum + areas[class], count + 1 end
  end
  return ratio(sum, count), areas
end

--- Expected calibration error (Guo et al. 2017, equation 5): samples are sorted by confidence into bins of equal width,
-- each closed on the right; the gaps between accuracy and mean confidence are averaged, weighted by samples.
-- @tab confidences list of numbers in (0, 1]
-- @tab correct list of booleans
-- @int[opt=15] bins
-- @treturn ?number nil without samples
function metrics.ece(confidences, correct, bins)
  bins = bins or 15
  local gaps, sum = {}, 0
  for i, confidence in ipairs(confidences) do
    local bin = math.max(math.ceil(confidence * bins), 1)
    gaps[bin] = (gaps[bin] or 0) + (correct[i] and 1 or 0) - confidence
  end
  for bin = 1, bins do sum = sum + math.abs(gaps[bin] or 0) end
  return ratio(sum, #confidences)
end

--- All of the above. Means are over the classes that occur among the labels.
-- @tab probabilities list of rows, a number per class
-- @tab labels list of classes
-- @tab[opt] predictions list of classes; by default the most probable ones, of which `ece` is in any case
-- @treturn table `count, accuracy, balanced_accuracy, macro_f1, auroc, ece, confusion, per_class`, the entries of the
-- last with `auroc` too
function metrics.measure(probabilities, labels, predictions)
  local confidences, correct, right, chosen = {}, {}, 0, {}
  for i, row in ipairs(probabilities) do
    local likeliest, confidence = metrics.argmax(row)
    chosen[i], confidences[i] = predictions and predictions[i] or likeliest, confidence
    correct[i] = likeliest == labels[i] -- confidence is in the likeliest class, whatever is decided
    right = right + (chosen[i] == labels[i] and 1 or 0)
  end
  local confusion = metrics.confusion(labels, chosen, #(probabilities[1] or {}))
  local per_class, present = metrics.per_class(confusion), {}
  local auroc, areas = metrics.macro_auroc(probabilities, labels)
  for class, entry in ipairs(per_class) do
    entry.auroc, present[class] = areas[class], entry.count
  end
  return { count = #labels, accuracy = ratio(right, #labels), balanced_accuracy = mean_of(per_class, "sensitivity"),
    macro_f1 = mean_of(per_class, "f1", present), auroc = auroc, ece = metrics.ece(confidences, correct),
    confusion = confusion, per_class = per_class }
end

return metrics
