--- Validation: what it measures, which epoch is the best by it, and when a training has waited long enough.
-- @module secateur.training.selection
local core = require "secateur.core"
local errors = require "secateur.util.errors"
local heads = require "secateur.models.heads"
local metrics = require "secateur.evaluation.metrics"

local selection = {}

local names = { accuracy = "accuracy", auroc = "AUROC", loss = "loss" }

-- Whether some finding, or class, of a split is known to be there in one image and not in another.
local function has_both(split)
  local present, absent = {}, {}
  for _, label in ipairs(split.labels) do
    for k in ipairs(split.classes) do
      local value = not split.multi_label and (label == k and 1 or 0) or split.multi_label and label[k]
      present[k], absent[k] = present[k] or value > 0, absent[k] or value == 0
      if present[k] and absent[k] then return true end
    end
  end
  return false
end

-- Whether anything is known of a split's findings.
local function is_known(split)
  for _, label in ipairs(split.multi_label and split.labels or {}) do
    for _, value in ipairs(label) do
      if value >= 0 then return true end
    end
  end
  return not split.multi_label
end

--- Raises where nothing is known of a split's findings: nothing could be learned of it, or measured on it.
-- @tab data `train` and `val`, of which either may be missing
function selection.check_known(data)
  for _, name in ipairs { "train", "val" } do
    local split = data[name]
    if split and split.labels and not is_known(split) then
      errors.refuse("train", "data.%s: expected findings that are known, got none", name)
    end
  end
end

--- By what the best epoch is chosen.
-- @string kind of the criterion
-- @tparam ?string wanted the option `select`
-- @tparam ?Split val
-- @treturn string
-- @treturn ?string what to say about it
function selection.choose(kind, wanted, val)
  local chosen, note = wanted or (kind == "findings" and "auroc" or "accuracy"), nil
  if chosen == "auroc" and val and val.labels and val.classes and not has_both(val) then
    if wanted then
      errors.refuse("train", "select: expected images with and without some %s in data.val for 'auroc', found none",
        kind == "findings" and "finding" or "class")
    end
    chosen, note = "loss", "train: no finding is both present and absent in data.val: its loss decides, not its AUROC"
  end
  return chosen, note
end

-- Scores and positives of one finding, of samples where it is known.
local function known(rows, labels, k)
  local scores, positive = {}, {}
  for i, row in ipairs(rows) do
    if labels[i][k] >= 0 then
      scores[#scores + 1], positive[#positive + 1] = row[k], labels[i][k] > 0.5
    end
  end
  return scores, positive
end

--- The area under the ROC curve, as `evaluate` has it: mean over the classes of each against the rest; with one logit,
-- of the second class; mean over findings, of what is known.
-- @string kind of the criterion
-- @tparam Tensor logits
-- @tparam Tensor labels
-- @treturn ?number nil where it is undefined
function selection.auroc(kind, logits, labels)
  if kind == "classes" then return (metrics.macro_auroc(core.softmax(logits):totable(), labels:totable())) end
  local actual = (kind == "binary" and heads.binary_targets(labels) or labels):totable()
  local rows, sum, count = logits:totable(), 0, 0
  for k = 1, #rows[1] do
    local area = metrics.auroc(known(rows, actual, k))
    if area then sum, count = sum + area, count + 1 end
  end
  return count > 0 and sum / count or nil
end

--- Whether an epoch is better than the best so far; of equals by accuracy or AUROC the one of lower loss.
-- @string select "accuracy", "auroc", "loss" or "last"
-- @tab row
-- @tparam ?table best
-- @treturn boolean
function selection.is_better(select, row, best)
  if select == "last" or not best then return true end
  local field = "val_" .. select
  if select ~= "loss" and row[field] ~= best[field] then return row[field] > best[field] end
  return row.val_loss < best.val_loss
end

--- Why a training ends before this epoch, or nil.
-- @tparam ?int patience epochs that it waits
-- @int epoch the next one
-- @int best the best one
-- @string select
-- @treturn ?string
function selection.reason_to_stop(patience, epoch, best, select)
  if not patience or best == 0 or epoch - 1 - best < patience then return nil end
  return ("stopped after epoch %d: no better %s of validation in %d epochs"):format(epoch - 1, names[select],
    epoch - 1 - best)
end

return selection
