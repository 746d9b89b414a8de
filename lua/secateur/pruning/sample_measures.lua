--- What logits say of a sample that has a label, by the kind of the model's head: what sampling strategies go by.
-- @module secateur.pruning.sample_measures
local core = require "secateur.core"

local sample_measures = {}

local exp, log = core.math.exp, core.math.log

-- 1 / (1 + exp(-z)), without overflow.
local function logistic(z)
  local e = exp(-math.abs(z))
  return (z >= 0 and 1 or e) / (1 + e)
end

-- ln(1 + exp(z)), without overflow: what a yes or no costs where the logit of the wrong answer is z.
local function softplus(z) return math.max(z, 0) + log(1 + exp(-math.abs(z))) end

local function term(p) return p > 0 and -p * log(p) or p == p and 0 or p end

-- Of one yes or no, in nats.
local function binary_entropy(z) return term(logistic(z)) + term(logistic(-z)) end

-- Classes of which a sample has one. Largest less second probability; with a single class 1.
local function of_distribution(probabilities, label, loss)
  local first, second, entropy = -math.huge, -math.huge, 0
  for _, p in ipairs(probabilities) do
    if p > first then first, second = p, first elseif p > second then second = p end
    entropy = entropy + term(p)
  end
  return { probabilities = probabilities, confidence = probabilities[label],
    margin = first - math.max(second, 0), entropy = entropy, loss = loss }
end

local function softmax(logits, label)
  local largest, sum, probabilities = -math.huge, 0, {}
  for _, logit in ipairs(logits) do largest = math.max(largest, logit) end
  for c, logit in ipairs(logits) do
    probabilities[c] = exp(logit - largest)
    sum = sum + probabilities[c]
  end
  for c, e in ipairs(probabilities) do probabilities[c] = e / sum end
  return of_distribution(probabilities, label, largest - logits[label] + log(sum))
end

local function binary(logits, label)
  local z = logits[1]
  return of_distribution({ logistic(-z), logistic(z) }, label, softplus(label == 2 and -z or z))
end

-- Findings, each a yes or no. Of a sample in the pool of a finding that one counts; of one without findings (label 0)
-- all do: how probable it is that each is absent, the smallest margin, the sums of entropies and losses.
local function multi_label(logits, label)
  local found = { probabilities = {}, confidence = 1, margin = math.huge, entropy = 0, loss = 0 }
  for finding, z in ipairs(logits) do
    local p, absent = logistic(z), logistic(-z)
    found.probabilities[finding] = p
    if label == 0 or label == finding then
      found.confidence = found.confidence * (label == 0 and absent or p)
      found.margin = math.min(found.margin, math.abs(p - absent))
      found.entropy = found.entropy + binary_entropy(z)
      found.loss = found.loss + softplus(label == 0 and z or -z)
    end
  end
  return found
end

local by_head = { softmax = softmax, binary = binary, multi_label = multi_label }

--- The measures of one sample.
-- @string kind as `heads.kind` gives it
-- @tparam {number,...} logits
-- @int label class, or finding (0: none)
-- @treturn table `probabilities` (of all classes or findings, a list), `confidence` (the probability of the label),
--   `margin` (largest less second probability, Scheffer, Decomain and Wrobel 2001; of a yes or no |2p - 1|),
--   `entropy` (nats, Shannon 1948), `loss` (cross entropy of the label, nats); NaN where logits are
function sample_measures.of(kind, logits, label) return by_head[kind](logits, label) end

--- What stands for a sample that cannot be read: nothing is known of it.
sample_measures.unknown = { confidence = 0, margin = 0, entropy = 0, loss = math.huge }

return sample_measures
