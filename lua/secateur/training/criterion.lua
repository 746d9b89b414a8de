--- What a training minimises: cross entropy, weighted by class, whole or in pieces.
-- @module secateur.training.criterion
local core = require "secateur.core"
local errors = require "secateur.util.errors"
local options = require "secateur.util.options"

local criterion = {}

-- n / (classes · n_c), so that all classes together weigh the same.
local function balanced(split, classes)
  local list, counts = {}, split:class_counts()
  for class = 1, classes do
    if counts[class] == 0 then errors.refuse("train", "class_weights: expected samples of every class, found none "
      .. "of class %d",
      class) end
    list[class] = split:count() / (classes * counts[class])
  end
  return list
end

local function class_weights(wanted, split, classes)
  if wanted == false then return nil end
  if wanted == "balanced" then return (balanced(split, classes)) end
  if #wanted ~= classes then errors.refuse("train", "class_weights: expected %d numbers, one per class, got %d",
    classes, #wanted) end
  for _, weight in ipairs(wanted) do
    if not math.type(weight) or not (weight > 0 and weight < math.huge) then
      errors.refuse("train", "class_weights: expected numbers above 0, got %s", options.describe(weight))
    end
  end
  return wanted
end

--- A criterion for a training.
-- @tparam Split split of training
-- @int classes
-- @tab opts `class_weights`, `label_smoothing`
-- @treturn table to be passed to the functions below; `list` holds the weights, or false
function criterion.new(split, classes, opts)
  local list = class_weights(opts.class_weights, split, classes)
  local tensor = list and core.tensor(list)
  return { list = list or false, tensor = tensor, smoothing = opts.label_smoothing,
    rounded = tensor and tensor:totable() }
end

--- The sum of the weights of these samples, as the native loss adds them up.
-- @tab self
-- @tparam Tensor labels
-- @treturn number
function criterion.weight(self, labels)
  if not self.rounded then return #labels end
  local sum = 0
  for _, label in ipairs(labels:totable()) do sum = sum + self.rounded[label] end
  return sum
end

--- The loss of these samples and its gradient. Without `total` the loss is the mean of the samples, weighted; with it,
-- their share of the loss of a batch whose weights sum to `total`.
-- @tab self
-- @tparam Tensor logits
-- @tparam Tensor labels
-- @tparam[opt] number total
-- @treturn number
-- @treturn Tensor
function criterion.loss(self, logits, labels, total)
  return core.cross_entropy(logits, labels, self.tensor, self.smoothing, total)
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
