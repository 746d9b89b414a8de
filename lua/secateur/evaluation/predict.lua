--- Runs a model over a whole split: what evaluation and the validation during training share.
-- @module secateur.evaluation.predict
local core = require "secateur.core"
local errors = require "secateur.util.errors"
local heads = require "secateur.models.heads"
local model_class = require "secateur.models.model"
local options = require "secateur.util.options"
local preparation = require "secateur.models.preparation"
local shared_images = require "secateur.evaluation.shared_images"
local shares = require "secateur.mpi.shares"
local skipped = require "secateur.data.skipped"

local predict = {}

-- What a split's labels are must be what the head of the model says.
local function check_head(name, model, split, argument)
  local wanted, multi = model.class_count, split.multi_label or false
  if #split.classes ~= wanted then
    errors.refuse(name, "%s: expected %d classes, as many as the model has, got %d%s", argument, wanted, #split.classes,
      wanted == 1 and "; one logit tells two classes apart by head = 'sigmoid'" or "")
  elseif multi ~= (model.head == "sigmoid" and model.output_count > 1) then
    errors.refuse(name, "%s: expected %s, as the model's head is %s of %d logit%s, got %s", argument,
      multi and "one class per image" or "findings, any number per image", model.head, model.output_count,
      model.output_count == 1 and "" or "s", multi and "findings" or "one class per image")
  end
end

local function listed(names) return table.concat(names, ", ") end

-- A label is held against the logit of its number: under other names that would be another question.
local function check_classes(name, model, split, argument, adapts)
  local known, got = model.classes, split.classes
  if not known or table.concat(known, "\0") == table.concat(got, "\0") then return end
  local present, same = {}, true
  for _, class in ipairs(known) do present[class] = true end
  for _, class in ipairs(got) do same = same and present[class] end
  if adapts and not same then return end
  errors.refuse(name, "%s: expected the classes that the model knows%s: %s; got %s (like = model takes the model's; "
    .. "classes = { … } of sc.data gives order, selection and other names)", argument, same and ", in its order" or "",
    listed(known), listed(got))
end

--- Raises unless a split has the classes of the model, where both know them, in its order, labels as its head has them,
-- and images of its channels and size, prepared as it learned them. Splits of one's own need not say what they have.
-- @string name the public function
-- @tparam Model model
-- @tab split
-- @string[opt="split"] argument what the split is called
-- @bool[opt=false] adapts whether the model is about to learn from the split: other classes and another preparation,
--   then, are no mistake, but the same classes in another order are
function predict.check_fit(name, model, split, argument, adapts)
  argument = argument or "split"
  if split.classes then
    check_head(name, model, split, argument)
    check_classes(name, model, split, argument, adapts)
  end
  local shape = model.input_shape
  if split.size and split.channels and #shape == 3
    and (split.channels ~= shape[1] or split.size ~= shape[2] or split.size ~= shape[3]) then
    errors.refuse(name, "%s: expected images of %d x %d x %d, as the model takes, got %d x %d x %d", argument, shape[1],
      shape[2], shape[3], split.channels, split.size, split.size)
  end
  if not adapts then preparation.check_split(name, model, split, argument) end
end

--- The end of a message about a value that is no split, where it is a whole data set; nothing else.
-- @param value
-- @treturn string
function predict.dataset_hint(value)
  local whole = type(value) == "table" and value.train and value.test
  return whole and "; a data set has splits, such as data.test" or ""
end

--- Raises unless the model can be run on the split: a split that is not
-- empty, and fits as `check_fit` has it.
-- @string name the public function
-- @param model
-- @param split
-- @string[opt="split"] argument what the split is called
-- @bool[opt=false] adapts see `check_fit`
function predict.check(name, model, split, argument, adapts)
  argument = argument or "split"
  model_class.check(name, model, "model")
  local kind = type(split)
  if (kind ~= "table" and kind ~= "userdata") or not split.batches or not split.count then
    errors.refuse(name, "%s: expected a split of a dataset, got %s%s", argument, options.describe(split),
      predict.dataset_hint(split))
  elseif split:count() == 0 then
    errors.refuse(name, "%s: expected at least one sample, found none", argument)
  end
  predict.check_fit(name, model, split, argument, adapts)
end

-- What is run of a split by this rank: a split, and the number of its first sample less 1.
local function own_part(split, group)
  if not shares.are(group) then return split, 0 end
  local first, last = shares.range(group, split:count())
  local indices = {}
  for index = first, last do indices[#indices + 1] = index end
  return #indices > 0 and split:subset(indices) or nil, first - 1
end

-- Logits as lists, labels, and which samples they are of.
local function run_part(model, part, before, opts)
  local rows, labels, indices = {}, {}, {}
  local execution_plan = model:execution_plan(math.min(opts.batch, part:count()))
  for x, y, kept in part:batches { batch = opts.batch, workers = opts.workers } do
    local first = #rows
    for i, row in ipairs(execution_plan:forward(x):totable()) do
      rows[first + i], indices[first + i] = row, before + (kept and kept[i] or first + i)
    end
    for i, label in ipairs(y:totable()) do labels[first + i] = label end
  end
  return rows, labels, indices
end

--- Logits of all samples of a split, in inference mode.
-- @tparam Model model
-- @tparam Split split
-- @tab opts `batch`, `workers`, `group` (of ranks that share the samples out; each gets the whole result)
-- @treturn table `logits` [N x outputs], `labels` (int64 [N]; of findings [N x findings]), `indices` (list: which
-- samples of the split, for those that cannot be decoded are left out)
function predict.run(model, split, opts)
  local part, before = own_part(split, opts.group)
  local known, rows, labels, indices = skipped.known(split), {}, {}, {}
  if part then rows, labels, indices = run_part(model, part, before, opts) end
  if shares.are(opts.group) then
    rows, labels = shares.join(opts.group, rows), shares.join(opts.group, labels)
    indices = shares.join(opts.group, indices)
    shared_images.join_skipped(opts.group, split, known)
  end
  if #rows == 0 then errors.raise("%s: none of the images could be decoded", split.name or "split") end
  local whole = type(labels[1]) ~= "table" and "int64" or nil -- else a number per finding
  return { logits = core.tensor(rows), labels = core.tensor(labels, whole), indices = indices }
end

--- The probability of each class or finding, as the model's head has it.
-- @tparam Model model
-- @tparam Tensor logits [N x outputs]
-- @treturn Tensor [N x classes]; rows sum to 1 but where each finding is a question of its own
function predict.probabilities(model, logits)
  return heads.probabilities(heads.kind(model), logits)
end

return predict
