--- Which output an explanation is about: a weight per sample and class, one at the class explained as a rule.
-- @module secateur.models.targets
local core = require "secateur.core"
local errors = require "secateur.util.errors"
local heads = require "secateur.models.heads"
local options = require "secateur.util.options"
local tensors = require "secateur.util.tensors"

local targets = {}

local function check_class(name, value, classes)
  local class = math.type(value) and math.tointeger(value)
  if not class or class < 1 or class > classes then
    local message = ("target: expected a class in 1..%d, got %s"):format(classes, options.describe(value))
    errors.refuse(name, message)
  end
  return class
end

-- A list of one class per sample, from a class, a list or an int64 Tensor; words stay as they are.
local function check_classes(name, target, shape, words)
  if words[target] then return target end
  local list = {}
  if math.type(target) then
    for i = 1, shape[1] do list[i] = check_class(name, target, shape[2]) end
    return list
  end
  if tensors.is(target) then target = target:totable() end
  if type(target) ~= "table" then
    local known = {}
    for word in pairs(words) do known[#known + 1] = ('"%s"'):format(word) end
    table.sort(known)
    known = table.concat(known, " or ")
    errors.refuse(name, "target: expected a class, a list of classes or %s, got %s%s", known, options.describe(target),
      options.suggest(target, known))
  end
  if #target ~= shape[1] then
    errors.refuse(name, "target: expected %d classes, one per sample, got %d", shape[1], #target)
  end
  for i = 1, shape[1] do list[i] = check_class(name, target[i], shape[2]) end
  return list
end

-- The part of a list that belongs to samples first .. first + count - 1.
local function slice(list, first, count) return table.move(list, first, first + count - 1, 1, {}) end

local function classes_of(target, logits, first)
  if target == "prediction" then return logits:argmax(2):totable() end
  return slice(target, first, logits:size(1))
end

-- The class of the largest logit besides the one explained.
local function runners_up(logits, list)
  local found = {}
  for i, class in ipairs(list) do
    local row = logits[i]:totable()
    for other, value in ipairs(row) do
      if other ~= class and (not found[i] or value > row[found[i]]) then found[i] = other end
    end
  end
  return found
end

local function by_class(name, target, shape)
  local list = check_classes(name, target, shape, { prediction = true })
  return function(logits, first)
    local classes = classes_of(list, logits, first or 1)
    local weights = core.zeros(logits:size(1), logits:size(2))
    for i, class in ipairs(classes) do weights:set(1, i, class) end
    return weights, classes
  end
end

-- What there is to contrast: `of` and `against`, checked.
local function read_contrast(name, target, shape)
  for key in pairs(target) do
    if key ~= "of" and key ~= "against" then
      errors.refuse(name, "target: expected { of =, against = }, got a field " .. options.describe(key))
    end
  end
  if target.of == nil or target.against == nil then
    errors.refuse(name, "target: expected both of and against, got no %s", target.of == nil and "of"
      or "against")
  end
  local of = check_classes(name, target.of, shape, { prediction = true })
  local against = check_classes(name, target.against, shape, { prediction = true, runner_up = true })
  if shape[2] < 2 then errors.refuse(name, "target: expected at least 2 classes to contrast, got 1") end
  return function(logits, first)
    local plus = classes_of(of, logits, first)
    local minus = against == "runner_up" and runners_up(logits, plus) or classes_of(against, logits, first)
    for i, class in ipairs(plus) do
      if class == minus[i] then
        errors.refuse(name, "target: expected two classes to contrast, got %d twice for sample %d", class,
          first + i - 1)
      end
    end
    return plus, minus
  end
end

local function by_contrast(name, target, shape)
  local read = read_contrast(name, target, shape)
  return function(logits, first)
    local plus, minus = read(logits, first or 1)
    local weights = core.zeros(logits:size(1), logits:size(2))
    for i, class in ipairs(plus) do
      weights:set(1, i, class)
      weights:set(-1, i, minus[i])
    end
    return weights, plus, minus
  end
end

local function by_weights(name, target, shape)
  local got = target:shape()
  if #got ~= 2 or got[1] ~= shape[1] or got[2] ~= shape[2] then
    errors.refuse(name, "target: expected weights [%d x %d], got [%s]", shape[1], shape[2],
      table.concat(got, " x "))
  end
  if not tensors.finite(target) then
    errors.refuse(name, "target: expected finite weights, got some that are not")
  end
  return function(logits, first)
    first = first or 1
    local weights = target:view(first, first + logits:size(1) - 1):clone()
    return weights, weights:argmax(2):totable()
  end
end

-- One sigmoid logit z: class 2 is what z speaks for, class 1 what it speaks against, and the contrast of the two is z
-- less nothing, for softmax of 0 and z is the sigmoid of z.
local function by_sign(read)
  return function(logits, first)
    local classes, minus = read(heads.class_logits("binary", logits), first or 1)
    local weights = core.zeros(logits:size(1), 1)
    for i, class in ipairs(classes) do weights:set(class == 2 and 1 or -1, i, 1) end
    return weights, classes, minus
  end
end

-- The weights of one sigmoid logit, which are classes by their signs.
local function signed(read)
  return function(logits, first)
    local weights, classes = read(logits, first), {}
    for i, row in ipairs(weights:totable()) do classes[i] = row[1] < 0 and 1 or 2 end
    return weights, classes
  end
end

--- Reads a target once, for a batch that may be run in parts.
-- @string name the public function, for messages
-- @param target a class; a list or int64 Tensor of classes, one per sample; "prediction", the largest logit (of
--   findings the likeliest one); `{ of =, against = }`, each one of those (against also "runner_up": the largest logit
--   of another class), for what speaks for one class rather than for another: weight 1 at the one, -1 at the other; or
--   a Tensor [N x outputs] of weights. Of one sigmoid logit the classes are 1 (weight -1) and 2 (weight 1), and so are
--   contrasts by the class that they are of
-- @int count how many samples there are in all
-- @int classes
-- @int[opt=classes] outputs how many logits there are: one for two classes where a sigmoid tells them apart
-- @treturn function (logits [n x outputs], first = 1): of the part that starts with sample `first`, the weights
--   [n x outputs], the classes explained (for weights, those of the largest) and for a contrast those it is against
function targets.reader(name, target, count, classes, outputs)
  local shape, binary = { count, classes }, outputs == 1 and classes == 2
  if tensors.is(target) and target:dtype():find "^float" then
    local read = by_weights(name, target, { count, outputs or classes })
    return binary and signed(read) or read
  end
  if type(target) == "table" and (target.of ~= nil or target.against ~= nil) then
    return binary and by_sign(read_contrast(name, target, shape)) or by_contrast(name, target, shape)
  end
  if not binary then return by_class(name, target, shape) end
  local list = check_classes(name, target, shape, { prediction = true })
  return by_sign(function(logits, first) return classes_of(list, logits, first) end)
end

--- The reader of a target for a model.
-- @string name
-- @param target as in `reader`
-- @int count
-- @tparam Model model
-- @treturn function as `reader` gives
function targets.for_model(name, target, count, model)
  return targets.reader(name, target, count, model.class_count, model.output_count)
end

--- A target with "label", by itself or in a contrast, replaced by the labels; `reader` knows none.
-- @param target
-- @param labels a list or int64 Tensor of classes, one per sample
function targets.with_labels(target, labels)
  local function replaced(value) return value == "label" and labels or value end
  if type(target) ~= "table" or target.of == nil and target.against == nil then return replaced(target) end
  local contrast = {}
  for key, value in pairs(target) do contrast[key] = replaced(value) end
  return contrast
end

--- Raises where a target contrasts the label of images that may have several findings.
-- @string name the public function, for messages
-- @param target
function targets.check_findings(name, target)
  if type(target) == "table" and (target.of == "label" or target.against == "label") then
    errors.refuse(name, "target: expected no contrast with \"label\" where images may have several findings, for these "
      .. "do not exclude each other")
  end
end

--- Raises unless all logits are finite: an explanation of NaN would be NaN everywhere, and look like a result.
-- @string name the public function, for messages
-- @tparam Tensor logits
function targets.check_finite(name, logits)
  if not tensors.finite(logits) then
    errors.refuse(name, "x: expected images and weights that give finite logits, got some that are not")
  end
end

--- The weights of a whole batch.
-- @string name
-- @param target as in `reader`
-- @tparam Tensor logits [N x outputs]
-- @int[opt] classes as many as there are logits
-- @treturn Tensor [N x outputs]
-- @treturn {int,...} the classes
function targets.weights(name, target, logits, classes)
  return targets.reader(name, target, logits:size(1), classes or logits:size(2), logits:size(2))(logits)
end

return targets
