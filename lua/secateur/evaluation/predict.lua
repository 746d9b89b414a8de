--- Runs a model over a whole split: what evaluation and the validation during training share.
-- @module secateur.evaluation.predict
local core = require "secateur.core"
local errors = require "secateur.util.errors"
local model_class = require "secateur.models.model"
local options = require "secateur.util.options"

local predict = {}

--- Raises unless a split has as many classes as the model, and images of
-- its channels and size. More or fewer classes are those of another question: a label would be held against the logit
-- of something else. Splits of one's own need not say what they have.
-- @string name the public function
-- @tparam Model model
-- @tab split
-- @string[opt="split"] argument what the split is called
function predict.check_fit(name, model, split, argument)
  argument = argument or "split"
  if split.classes and #split.classes ~= model.class_count then
    errors.refuse(name, "%s: expected %d classes, as many as the model has, got %d", argument, model.class_count,
      #split.classes)
  end
  local shape = model.input_shape
  if split.size and split.channels and #shape == 3
    and (split.channels ~= shape[1] or split.size ~= shape[2] or split.size ~= shape[3]) then
    errors.refuse(name, "%s: expected images of %d x %d x %d, as the model takes, got %d x %d x %d", argument, shape[1],
      shape[2],
      shape[3], split.channels, split.size, split.size)
  end
end

--- Raises unless the model can be run on the split: a split that is not
-- empty, and fits as `check_fit` has it.
-- @string name the public function
-- @param model
-- @param split
-- @string[opt="split"] argument what the split is called
function predict.check(name, model, split, argument)
  argument = argument or "split"
  model_class.check(name, model, "model")
  local kind = type(split)
  if (kind ~= "table" and kind ~= "userdata") or not split.batches or not split.count then
    errors.refuse(name, "%s: expected a split of a dataset, got %s", argument, options.describe(split))
  elseif split:count() == 0 then
    errors.refuse(name, "%s: expected at least one sample, found none", argument)
  end
  predict.check_fit(name, model, split, argument)
end

--- Logits of all samples of a split, in inference mode.
-- @tparam Model model
-- @tparam Split split
-- @tab opts `batch`, `workers`
-- @treturn table `logits` [N x classes], `labels` (int64 [N]; of findings [N x findings]), `indices` (list: which
-- samples of the split, for those that cannot be decoded are left out)
function predict.run(model, split, opts)
  local rows, labels, indices = {}, {}, {}
  local execution_plan = model:execution_plan(math.min(opts.batch, split:count()))
  for x, y, kept in split:batches { batch = opts.batch, workers = opts.workers } do
    local first = #rows
    for i, row in ipairs(execution_plan:forward(x):totable()) do
      rows[first + i], indices[first + i] = row, kept and kept[i] or first + i
    end
    for i, label in ipairs(y:totable()) do labels[first + i] = label end
  end
  if #rows == 0 then errors.raise("%s: none of the images could be decoded", split.name or "split") end
  local whole = type(labels[1]) ~= "table" and "int64" or nil -- else a number per finding
  return { logits = core.tensor(rows), labels = core.tensor(labels, whole), indices = indices }
end

return predict
