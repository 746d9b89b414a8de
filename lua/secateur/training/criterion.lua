--- What a training minimises: cross entropy or the focal loss, of classes or of findings, whole or in pieces.
--
-- Three kinds. "classes": softmax. "binary": one logit z for two classes, whose loss is that of softmax over (0, z), so
-- that class weights, smoothing and focus mean the same. "findings": a yes or no per logit, over what is known.
-- @module secateur.training.criterion
local core = require "secateur.core"
local errors = require "secateur.util.errors"
local heads = require "secateur.models.heads"
local options = require "secateur.util.options"

local criterion = {}

-- n / (classes · n_c), so that all classes together weigh the same.
local function balanced(split, classes)
  if not split.class_counts then
    errors.refuse("train", "class_weights: expected a split with class_counts() for 'balanced', its default (false "
      .. "does without)")
  end
  local list, counts = {}, split:class_counts()
  for class = 1, classes do
    if counts[class] == 0 then
      errors.refuse("train", "class_weights: expected samples of every class, found none of class %d%s (false does "
        .. "without weights)", class, split.classes and (", '%s'"):format(split.classes[class]) or "")
    end
    list[class] = split:count() / (classes * counts[class])
  end
  return list
end

local function check_numbers(argument, list)
  for _, weight in ipairs(list) do
    if not math.type(weight) or not (weight > 0 and weight < math.huge) then
      errors.refuse("train", "%s: expected numbers above 0, got %s", argument, options.describe(weight))
    end
  end
  return list
end

local function class_weights(wanted, split, classes)
  if wanted == false then return nil end
  if wanted == "balanced" then return (balanced(split, classes)) end
  if #wanted ~= classes then errors.refuse("train", "class_weights: expected %d numbers, one per class, got %d",
    classes, #wanted) end
  return check_numbers("class_weights", wanted)
end

-- How many samples have each finding, and how many are known to lack it. Of two classes the second is the finding.
local function presence(split, kind, findings)
  local positives, negatives = {}, {}
  if kind == "binary" then
    local counts = split:class_counts()
    return { counts[2] }, { counts[1] }
  end
  for k = 1, findings do positives[k], negatives[k] = 0, 0 end
  for _, label in ipairs(split.labels) do
    for k, value in ipairs(label) do
      if value > 0 then positives[k] = positives[k] + 1 elseif value == 0 then negatives[k] = negatives[k] + 1 end
    end
  end
  return positives, negatives
end

--- What cannot be learned: findings that no image of a split is known to have, or to lack.
-- @tparam Split split
-- @treturn ?string what to say of them, or nil
function criterion.one_sided(split)
  if not split.multi_label or not split.labels then return nil end
  local parts, positives, negatives = {}, presence(split, "findings", #split.classes)
  for k, name in ipairs(split.classes) do
    if positives[k] == 0 or negatives[k] == 0 then
      parts[#parts + 1] = ("'%s' (never %s)"):format(name, positives[k] == 0 and "present" or "absent")
    end
  end
  return #parts > 0 and "train: data.train cannot teach " .. table.concat(parts, ", ") or nil
end

local function balanced_presence(split, kind, findings)
  local list, positives, negatives = {}, presence(split, kind, findings)
  for k = 1, findings do
    if positives[k] == 0 or negatives[k] == 0 then
      errors.refuse("train", "pos_weight: expected samples with and without '%s', found none %s", split.classes[k],
        positives[k] == 0 and "with" or "without")
    end
    list[k] = negatives[k] / positives[k]
  end
  return list
end

local function positive_weights(wanted, split, kind, findings)
  if wanted == nil then return nil end
  if wanted == "balanced" then
    if not split.labels or not split.classes then
      errors.refuse("train", "pos_weight: expected a split that knows its labels and classes for 'balanced'")
    end
    return balanced_presence(split, kind, findings)
  end
  local list = wanted
  if type(wanted) == "number" then
    list = {}
    for k = 1, findings do list[k] = wanted end
  elseif #wanted ~= findings then
    errors.refuse("train", "pos_weight: expected %d numbers, one per finding, got %d", findings, #wanted)
  end
  return check_numbers("pos_weight", list)
end

-- Which options a kind has no use for, in words.
local function check_kind(kind, opts)
  if kind == "classes" and opts.pos_weight ~= nil then
    errors.refuse("train", "pos_weight: expected a model with a sigmoid head; class_weights weigh the classes of this "
      .. "one")
  elseif kind == "findings" and opts.class_weights then
    errors.refuse("train", "class_weights: expected none where an image may have several findings; pos_weight weighs "
      .. "the presence of each")
  elseif opts.pos_weight ~= nil and opts.class_weights then
    errors.refuse("train", "pos_weight: expected none beside class_weights")
  end
end

-- Classes are balanced unless something else does it, or was asked for.
local function wanted_class_weights(kind, opts)
  if opts.class_weights ~= nil then return opts.class_weights end
  return kind ~= "findings" and opts.pos_weight == nil and opts.sampler ~= "balanced" and "balanced"
end

--- A criterion for a training.
-- @tparam Split split of training
-- @tparam Model model
-- @tab opts `class_weights`, `pos_weight`, `label_smoothing`, `loss`, `focal_gamma`, `sampler`
-- @treturn table to be passed to the functions below; `kind`; `list` holds the weights of classes, or false;
-- `positive` those of findings, or false; `gamma`
function criterion.new(split, model, opts)
  local several = split.multi_label or model.output_count > 1
  local kind = model.head ~= "sigmoid" and "classes" or several and "findings" or "binary"
  check_kind(kind, opts)
  local outputs = kind == "classes" and model.class_count or model.output_count
  local list = class_weights(wanted_class_weights(kind, opts), split, model.class_count)
  local positive = positive_weights(opts.pos_weight, split, kind, outputs)
  local tensor = list and core.tensor(list)
  local self = { kind = kind, list = list or false, positive = positive or false, tensor = tensor,
    smoothing = opts.label_smoothing, gamma = opts.loss == "focal" and opts.focal_gamma or 0,
    rounded = tensor and tensor:totable() }
  -- The second class against the first: its weight in units of the first's, in which the total is counted as well.
  if kind == "binary" and list then positive = { self.rounded[2] / self.rounded[1] } end
  self.pos_weight = positive and core.tensor(positive)
  return self
end

-- How many numbers of a tensor of targets are known.
local function count_known(targets)
  local count = 0
  for _, row in ipairs(targets:totable()) do
    for _, value in ipairs(row) do count = count + (value >= 0 and 1 or 0) end
  end
  return count
end

--- The sum of the weights of these samples, as the native loss adds them up; of findings the number of known ones.
-- @tab self
-- @tparam Tensor labels
-- @treturn number
function criterion.weight(self, labels)
  if self.kind == "findings" then return count_known(labels) end
  if not self.rounded then return #labels end
  local sum = 0
  for _, label in ipairs(labels:totable()) do sum = sum + self.rounded[label] end
  return sum
end

--- The loss of these samples and its gradient. Without `total` the loss is the mean of the samples, weighted, or of the
-- known findings (0 where none is); with it, their share of the loss of a batch whose weights sum to `total`.
-- @tab self
-- @tparam Tensor logits
-- @tparam Tensor labels
-- @tparam[opt] number total
-- @treturn number
-- @treturn Tensor
function criterion.loss(self, logits, labels, total)
  if self.kind == "classes" then
    return core.cross_entropy(logits, labels, self.tensor, self.smoothing, total, self.gamma)
  end
  local targets = self.kind == "binary" and heads.binary_targets(labels) or labels
  total = total or criterion.weight(self, labels)
  if self.kind == "binary" and self.rounded then total = total / self.rounded[1] end
  return core.binary_cross_entropy(logits, targets, self.pos_weight, self.smoothing, total > 0 and total or 1,
    self.gamma)
end

-- Known findings, and how many of them are told right at a probability of 0.5.
local function score_findings(logits, labels)
  local right, count, actual = 0, 0, labels:totable()
  for i, row in ipairs(logits:totable()) do
    for k, logit in ipairs(row) do
      local target = actual[i][k]
      if target >= 0 then
        count = count + 1
        if (logit >= 0) == (target > 0.5) then right = right + 1 end
      end
    end
  end
  return count, right, count
end

--- What a batch adds to sums over samples.
-- @tab self
-- @tparam Tensor logits
-- @tparam Tensor labels
-- @treturn number weight, of which the loss is a mean
-- @treturn int how many decisions are right: of the likeliest class; of findings, those at a probability of 0.5
-- @treturn int of how many: samples, or known findings
function criterion.score(self, logits, labels)
  if self.kind == "findings" then return score_findings(logits, labels) end
  local predictions, actual, weight, right = {}, labels:totable(), 0, 0
  if self.kind == "classes" then
    predictions = logits:argmax(2):totable()
  else
    for i, row in ipairs(logits:totable()) do predictions[i] = row[1] >= 0 and 2 or 1 end
  end
  for i, label in ipairs(actual) do
    weight = weight + (self.list and self.list[label] or 1)
    if predictions[i] == label then right = right + 1 end
  end
  return weight, right, #actual
end

--- Where a batch is cut so that no piece is larger than `most`, and all are as equal as can be.
-- @int count
-- @int most
-- @treturn {{int,int},...} first and last sample of each piece
function criterion.pieces(count, most)
  local number, list = (count + most - 1) // most, {}
  for i = 1, number do list[i] = { count * (i - 1) // number + 1, count * i // number } end
  return list
end

return criterion
