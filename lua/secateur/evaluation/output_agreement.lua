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

--- Kullback-Leibler divergence KL(p || q) = Σ p log(p / q) of what two rows of logits say, in nats.
-- @tab dense list of logits, of p
-- @tab pruned list of logits, of q
-- @treturn number
function output_agreement.divergence(dense, pruned)
  local p, q, sum = log_softmax(dense), log_softmax(pruned), 0
  for i, log_p in ipairs(p) do sum = sum + math.exp(log_p) * (log_p - q[i]) end
  return sum
end

--- Puts the outputs of a pruned model beside those of the dense one.
-- @tab dense `logits` (list of rows) and `indices` (which samples of the split they are of), as `evaluate` gives them
-- @tab pruned the same, and `labels`
-- @tab[opt] opts of the interval: `resamples` (1000), `level` (0.95), `seed` (0)
-- @treturn[1] table `decision_agreement`, the share of images whose decision is the dense model's; `kl`, the mean of
--   KL(dense || pruned) in nats; `drop_low`, `drop_high`, the paired bootstrap interval of the drop of accuracy:
--   images are drawn, and for each counts whether the dense model is right less whether the pruned one is
-- @treturn[2] nil where they have no image in common
function output_agreement.compare(dense, pruned, opts)
  local row_of, differences, same, divergence, count = {}, {}, 0, 0, 0
  for i, index in ipairs(dense.indices) do row_of[index] = dense.logits[i] end
  for i, index in ipairs(pruned.indices) do
    local before, after = row_of[index], pruned.logits[i]
    if before then
      local decided, decides, label = metrics.argmax(before), metrics.argmax(after), pruned.labels[i]
      count = count + 1
      same = same + (decided == decides and 1 or 0)
      divergence = divergence + output_agreement.divergence(before, after)
      differences[count] = (decided == label and 1 or 0) - (decides == label and 1 or 0)
    end
  end
  if count == 0 then return nil end
  local drop = confidence_intervals.mean(differences, count, opts)
  return { decision_agreement = same / count, kl = divergence / count, drop_low = drop.low, drop_high = drop.high }
end

return output_agreement
