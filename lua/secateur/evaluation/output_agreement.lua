--- How far the outputs of a pruned model agree with those of the dense one on the same images: what accuracy alone does
-- not tell where classes are uneven, or where a model errs on other images than before.
-- @module secateur.evaluation.output_agreement
local confidence_intervals = require "secateur.evaluation.confidence_intervals"
local metrics = require "secateur.evaluation.metrics"

local output_agreement = {}

-- log softmax of a row of logits, in double precision: a probability that float32 rounds to zero has a logarithm here.
local function log_softmax(row)
  local _, largest = metrics.argmax(row)
  local sum = 0
  for _, logit in ipairs(row) do sum = sum + math.exp(logit - largest) end
  local shift, list = largest + math.log(sum), {}
  for i, logit in ipairs(row) do list[i] = logit - shift end
  return list
end

-- log of the sigmoid of a logit, in double precision.
local function log_sigmoid(logit)
  return math.min(logit, 0) - math.log(1 + math.exp(-math.abs(logit)))
end

-- The divergence of a yes or no by each logit, summed: each is a distribution of its own.
local function sigmoid_divergence(dense, pruned)
  local sum = 0
  for i, logit in ipairs(dense) do
    for sign = -1, 1, 2 do
      local log_p = log_sigmoid(sign * logit)
      sum = sum + math.exp(log_p) * (log_p - log_sigmoid(sign * pruned[i]))
    end
  end
  return sum
end

--- Kullback-Leibler divergence KL(p || q) = Σ p log(p / q) of what two rows of logits say, in nats.
-- @tab dense list of logits, of p
-- @tab pruned list of logits, of q
-- @string[opt="softmax"] head what the logits mean; of sigmoids ("binary", "multi_label") the sum over logits
-- @treturn number
function output_agreement.divergence(dense, pruned, head)
  if head == "binary" or head == "multi_label" then return sigmoid_divergence(dense, pruned) end
  local p, q, sum = log_softmax(dense), log_softmax(pruned), 0
  for i, log_p in ipairs(p) do sum = sum + math.exp(log_p) * (log_p - q[i]) end
  return sum
end

-- What is decided by a row of logits: a list of decisions that are compared one by one with each other and with
-- `truth`.
local decisions = {}

function decisions.softmax(logits) return { (metrics.argmax(logits)) } end

function decisions.binary(logits) return { logits[1] >= 0 and 2 or 1 } end

function decisions.multi_label(logits)
  local list = {}
  for c, logit in ipairs(logits) do list[c] = logit >= 0 and 1 or 0 end
  return list
end

-- Holds the decisions of two models for one image against each other: how many there are, how many are the same; how
-- many are known to be right or wrong, and of these how many more the dense model has right.
local function compare_image(before, after, truth)
  local same, known, more = 0, 0, 0
  for c, decided in ipairs(before) do
    same = same + (decided == after[c] and 1 or 0)
    if truth[c] >= 0 then
      known = known + 1
      more = more + (decided == truth[c] and 1 or 0) - (after[c] == truth[c] and 1 or 0)
    end
  end
  return #before, same, known, more
end

--- Puts the outputs of a pruned model beside those of the dense one.
-- @tab dense `logits` (list of rows) and `indices` (which samples of the split they are of), as `evaluate` gives them
-- @tab pruned the same, `labels`, and `head`
-- @tab[opt] opts of the interval: `resamples` (1000), `level` (0.95), `seed` (0)
-- @treturn[1] table `decision_agreement`, the share of images whose decision is the dense model's, or where images may
--   have several findings of decisions (image, finding), those of sigmoids being at a probability of 0.5; `decisions`,
--   how many there were; `kl`, the mean of KL(dense || pruned) over images in nats, summed over findings; `drop_low`,
--   `drop_high`, the paired bootstrap interval of the drop of accuracy: images are drawn, and for each counts whether
--   the dense model is right less whether the pruned one is; of findings in how many more the dense model is right, in
--   units of how many of an image's are known on average
-- @treturn[2] nil where they have no image in common
function output_agreement.compare(dense, pruned, opts)
  local row_of, differences, count, divergence = {}, {}, 0, 0
  local all, alike, all_known = 0, 0, 0
  local decide = decisions[pruned.head or "softmax"]
  for i, index in ipairs(dense.indices) do row_of[index] = dense.logits[i] end
  for i, index in ipairs(pruned.indices) do
    local before, after, label = row_of[index], pruned.logits[i], pruned.labels[i]
    if before then
      count = count + 1
      local of, same, known, more = compare_image(decide(before), decide(after), type(label) == "table" and label
        or { label })
      all, alike, all_known, differences[count] = all + of, alike + same, all_known + known, more
      divergence = divergence + output_agreement.divergence(before, after, pruned.head)
    end
  end
  if count == 0 then return nil end
  local scale = all_known > 0 and count / all_known or 0
  for i, more in ipairs(differences) do differences[i] = more * scale end
  local drop = confidence_intervals.mean(differences, count, opts)
  return { decision_agreement = alike / all, decisions = all, kl = divergence / count, drop_low = drop.low,
    drop_high = drop.high }
end

return output_agreement
