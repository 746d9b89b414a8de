--- How much area under the ROC curve a pruned model loses, with its paired bootstrap interval.
-- @module secateur.evaluation.auroc_drop
local confidence_intervals = require "secateur.evaluation.confidence_intervals"
local core = require "secateur.core"

local auroc_drop = {}

-- Whether sample `label` is of a class, or has a finding; nil where that is not known.
local function is_positive(label, class)
  if type(label) ~= "table" then return label == class end
  if label[class] < 0 then return nil end
  return label[class] == 1
end

-- What the curve of one class is made of: samples from the lowest score on, as lists of their numbers, whether they are
-- positive, and whether their score is that of the sample before.
local function make_curve(scores, labels, class)
  local curve = { samples = {}, positive = {}, tied = {} }
  for i, label in ipairs(labels) do
    if is_positive(label, class) ~= nil then curve.samples[#curve.samples + 1] = i end
  end
  table.sort(curve.samples, function(a, b)
    if scores[a][class] ~= scores[b][class] then return scores[a][class] < scores[b][class] end
    return a < b
  end)
  for k, i in ipairs(curve.samples) do
    curve.positive[k] = is_positive(labels[i], class)
    curve.tied[k] = k > 1 and scores[i][class] == scores[curve.samples[k - 1]][class]
  end
  return curve
end

-- The area where sample i counts weights[i] times: the share of pairs in the right order, ties counting half. Nil
-- unless there are both positives and negatives.
local function area(curve, weights)
  local right, below, negatives, positives, all = 0, 0, 0, 0, 0 -- of a group of ties: negatives and positives
  for k, i in ipairs(curve.samples) do
    if not curve.tied[k] then
      right, below, all = right + positives * (below + negatives / 2), below + negatives, all + positives
      negatives, positives = 0, 0
    end
    if curve.positive[k] then positives = positives + weights[i] else negatives = negatives + weights[i] end
  end
  right, below, all = right + positives * (below + negatives / 2), below + negatives, all + positives
  if all > 0 and below > 0 then return right / (all * below) end
  return nil
end

-- Mean over the classes that have an area.
local function mean_area(curves, weights)
  local sum, count = 0, 0
  for _, curve in ipairs(curves) do
    local found = area(curve, weights)
    if found then sum, count = sum + found, count + 1 end
  end
  if count > 0 then return sum / count end
  return nil
end

-- Probabilities of the images that both evaluations have, in one order, and their labels.
local function align(dense, pruned)
  local row_of, before, after, labels = {}, {}, {}, {}
  for i, index in ipairs(dense.indices) do row_of[index] = dense.probabilities[i] end
  for i, index in ipairs(pruned.indices) do
    if row_of[index] then
      before[#before + 1], after[#after + 1], labels[#labels + 1] = row_of[index], pruned.probabilities[i],
        pruned.labels[i]
    end
  end
  return before, after, labels
end

--- The drop of the mean AUROC over classes, one against the rest, or over findings: images are drawn with replacement,
-- each with what both models say of it.
-- @tab dense an Evaluation
-- @tab pruned another, of the same split
-- @tab[opt] opts `resamples` (1000), `level` (0.95), `seed` (0)
-- @treturn[1] table `drop`, `low`, `high`
-- @treturn[2] nil where no class has both members and others
function auroc_drop.compare(dense, pruned, opts)
  opts = opts or {}
  local before, after, labels = align(dense, pruned)
  local curves, others, count, ones = {}, {}, #labels, {}
  for class = 1, #(before[1] or {}) do
    curves[class], others[class] = make_curve(before, labels, class), make_curve(after, labels, class)
  end
  for i = 1, count do ones[i] = 1 end
  local whole = mean_area(curves, ones)
  if not whole then return nil end
  local drops = {}
  for r = 1, opts.resamples or 1000 do
    local weights = {}
    for i = 1, count do weights[i] = 0 end
    for _, draw in ipairs(core.rand(count, { seed = core.mix(opts.seed or 0, r) }):totable()) do
      local i = 1 + math.floor(draw * count)
      weights[i] = weights[i] + 1
    end
    local dense_area = mean_area(curves, weights)
    if dense_area then drops[#drops + 1] = dense_area - mean_area(others, weights) end
  end
  local found = { drop = whole - mean_area(others, ones) }
  if #drops > 0 then found.low, found.high = confidence_intervals.percentiles(drops, opts.level) end
  found.low, found.high = found.low or found.drop, found.high or found.drop
  return found
end

return auroc_drop
