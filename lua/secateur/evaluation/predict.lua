--- Runs a model over a whole split: what evaluation and the validation during training share.
-- @module secateur.evaluation.predict
local core = require "secateur.core"
local fault = require "secateur.data.fault"
local models = require "secateur.models.model"
local options = require "secateur.util.options"

local predict = {}

local function fail_at(name, argument, depth, expected, ...)
  options.fail(name, ("%s: expected %s"):format(argument, expected:format(...)), depth + 1)
end

--- Raises at the level of the public function's caller unless a split has as many classes as the model, and images of
-- its channels and size. More or fewer classes are those of another question: a label would be held against the logit
-- of something else. Splits of one's own need not say what they have.
-- @string name the public function
-- @tparam Model model
-- @tab split
-- @string[opt="split"] argument what the split is called
-- @int[opt=0] depth as in options.fail
function predict.check_fit(name, model, split, argument, depth)
  depth, argument = (depth or 0) + 1, argument or "split"
  if split.classes and #split.classes ~= model.classes then
    fail_at(name, argument, depth, "%d classes, as many as the model has, got %d", model.classes, #split.classes)
  end
  local shape = model.input_shape
  if split.size and split.channels and #shape == 3
    and (split.channels ~= shape[1] or split.size ~= shape[2] or split.size ~= shape[3]) then
    fail_at(name, argument, depth, "images of %d x %d x %d, as the model takes, got %d x %d x %d", shape[1], shape[2],
      shape[3], split.channels, split.size, split.size)
  end
end

--- Raises at the level of the public function's caller unless the model can be run on the split: a split that is not
-- empty, and fits as `check_fit` has it.
-- @string name the public function
-- @param model
-- @param split
-- @string[opt="split"] argument what the split is called
-- @int[opt=0] depth as in options.fail
function predict.check(name, model, split, argument, depth)
  depth, argument = (depth or 0) + 1, argument or "split"
  models.check(name, model, "model", depth)
  local kind = type(split)
  if (kind ~= "table" and kind ~= "userdata") or not split.batches or not split.count then
    fail_at(name, argument, depth, "a split of a dataset, got %s", options.describe(split))
  elseif split:count() == 0 then
    fail_at(name, argument, depth, "at least one sample, found none")
  end
  predict.check_fit(name, model, split, argument, depth)
end

--- Logits of all samples of a split, in inference mode. To be called inside `fault.guard`.
-- @tparam Model model
-- @tparam Split split
-- @tab opts `batch`, `workers`
-- @treturn table `logits` [N x classes], `labels` (int64 [N]), `indices` (list: which samples of the split, for those
-- that cannot be decoded are left out)
function predict.run(model, split, opts)
  local rows, labels, indices = {}, {}, {}
  local plan = model:execution(math.min(opts.batch, split:count()))
  for x, y, kept in split:batches { batch = opts.batch, workers = opts.workers } do
    local first = #rows
    for i, row in ipairs(plan:forward(x):totable()) do
      rows[first + i], labels[first + i], indices[first + i] = row, y[i], kept and kept[i] or first + i
    end
  end
  if #rows == 0 then fault.raise("%s: none of the images could be decoded", split.name or "split") end
  return { logits = core.tensor(rows), labels = core.tensor(labels, "int64"), indices = indices }
end

return predict
