--- Which output an explanation is about: a weight per sample and class, one at the class explained as a rule.
-- @module secateur.models.targets
local core = require "secateur.core"
local errors = require "secateur.util.errors"
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
    errors.refuse(name, "target: expected a class, a list of classes or %s, got %s", table.concat(known, " or "),
      options.describe(target))
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

local function by_contrast(name, target, shape)
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
    local plus = classes_of(of, logits, first or 1)
    local minus = against == "runner_up" and runners_up(logits, plus) or classes_of(against, logits, first or 1)
    local weights = core.zeros(logits:size(1), logits:size(2))
    for i, class in ipairs(plus) do
      if class == minus[i] then
        errors.refuse(name, "target: expected two classes to contrast, got %d twice for sample %d", class,
          (first or 1) + i - 1)
      end
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

--- Reads a target once, for a batch that may be run in parts.
-- @string name the public function, for messages
-- @param target a class; a list or int64 Tensor of classes, one per sample; "prediction", the largest logit;
--   `{ of =, against = }`, each one of those (against also "runner_up": the largest logit of another class), for what
--   speaks for one class rather than for another: weight 1 at the one, -1 at the other; or a Tensor [N x classes] of
--   weights
-- @int count how many samples there are in all
-- @int classes
-- @treturn function (logits [n x classes], first = 1): of the part that starts with sample `first`, the weights
--   [n x classes], the classes explained (for weights, those of the largest) and for a contrast those it is against
function targets.reader(name, target, count, classes)
  local shape = { count, classes }
  if tensors.is(target) and target:dtype():find "^float" then return by_weights(name, target, shape) end
  if type(target) == "table" and (target.of ~= nil or target.against ~= nil) then
    return by_contrast(name, target, shape)
  end
  return by_class(name, target, shape)
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
-- @tparam Tensor logits [N x classes]
-- @treturn Tensor [N x classes]
-- @treturn {int,...} the classes
function targets.weights(name, target, logits)
  return targets.reader(name, target, logits:size(1), logits:size(2))(logits)
end

return targets
