--- Which output an explanation is about.
-- @module secateur.models.targets
local core = require "secateur.core"
local options = require "secateur.util.options"

local targets = {}

local function check_class(name, value, classes, depth)
  local class = math.type(value) and math.tointeger(value)
  if not class or class < 1 or class > classes then
    local message = ("target: expected a class in 1..%d, got %s"):format(classes, options.describe(value))
    options.fail(name, message, depth + 1)
  end
  return class
end

--- The classes meant by a target.
-- @string name the public function, for messages
-- @param target a class; a list or int64 Tensor of classes, one per sample; or "prediction", the largest logit
-- @tparam Tensor logits [N x classes]
-- @int[opt=0] depth as in options.fail
-- @treturn {int,...} one class (from 1) per sample
function targets.resolve(name, target, logits, depth)
  depth = (depth or 0) + 1
  local count, classes = logits:size(1), logits:size(2)
  if target == "prediction" then return logits:argmax(2):totable() end
  local list = {}
  if math.type(target) then
    for i = 1, count do list[i] = check_class(name, target, classes, depth) end
    return list
  end
  if type(target) == "userdata" and target.totable then target = target:totable() end
  if type(target) ~= "table" then
    options.fail(name, ("target: expected a class, a list of classes or \"prediction\", got %s"):format(
      options.describe(target)), depth)
  end
  if #target ~= count then
    options.fail(name, ("target: expected %d classes, one per sample, got %d"):format(count, #target), depth)
  end
  for i = 1, count do list[i] = check_class(name, target[i], classes, depth) end
  return list
end

--- Raises unless all logits are finite: an explanation of NaN would be NaN everywhere, and look like a result.
-- @string name the public function, for messages
-- @tparam Tensor logits
function targets.check_finite(name, logits)
  local sum = logits:abs():sum()
  if sum ~= sum or sum == math.huge then
    options.fail(name, "x: expected images and weights that give finite logits, got some that are not")
  end
end

--- One at the target of each sample, zero elsewhere.
-- @string name
-- @param target as in `resolve`
-- @tparam Tensor logits [N x classes]
-- @treturn Tensor [N x classes]
-- @treturn {int,...} the classes
function targets.one_hot(name, target, logits)
  local list = targets.resolve(name, target, logits, 1)
  local seeds = core.zeros(logits:size(1), logits:size(2))
  for i, class in ipairs(list) do seeds:set(1, i, class) end
  return seeds, list
end

return targets
