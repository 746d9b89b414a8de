--- What a model is worth on a split.
-- @module secateur.evaluation.evaluate
local core = require "secateur.core"
local errors = require "secateur.util.errors"
local metrics = require "secateur.evaluation.metrics"
local options = require "secateur.util.options"
local predict = require "secateur.evaluation.predict"
local text_table = require "secateur.util.text_table"

local rules = {
  batch = { type = "integer", min = 1, default = 64 },
  workers = { type = "integer", min = 1, max = 64, default = 1 },
}

--- What `evaluate` gives: plain values, and a text.
-- @type Evaluation
local Evaluation = { __name = "Evaluation" }
Evaluation.__index = Evaluation

local function cell(value)
  return value and ("%.3f"):format(value) or "-"
end

local function pad(text, width)
  return text .. (" "):rep(width - (utf8.len(text) or #text))
end

local function class_lines(self)
  local width = 5
  for _, class in ipairs(self.per_class) do width = math.max(width, utf8.len(class.name) or #class.name) end
  local lines = { pad("class", width) .. "  count  sensitivity  specificity  precision     F1  AUROC  predicted as" }
  for i, class in ipairs(self.per_class) do
    lines[i + 1] = ("%s  %5d  %11s  %11s  %9s  %5s  %5s  %s"):format(pad(class.name, width), class.count,
      cell(class.sensitivity), cell(class.specificity), cell(class.precision), cell(class.f1), cell(class.auroc),
      table.concat(self.confusion[i], " "))
  end
  return table.concat(lines, "\n")
end

function Evaluation:__tostring()
  return ("%d images: accuracy %s, balanced accuracy %s, macro F1 %s, AUROC %s, ECE %s, loss %.4f\n%s"):format(
    self.count, cell(self.accuracy), cell(self.balanced_accuracy), cell(self.macro_f1), cell(self.auroc),
    cell(self.ece), self.loss, class_lines(self))
end

-- The confusion matrix as a table: a row per true class, a column per predicted one.
local function confusion_cells(self)
  local lines = { { "true \\ predicted" } }
  for i, class in ipairs(self.per_class) do
    lines[1][i + 1] = class.name
    lines[i + 1] = { class.name }
    for j, count in ipairs(self.confusion[i]) do lines[i + 1][j + 1] = tostring(count) end
  end
  return lines
end

-- Not-a-number compares with nothing, and would pass for a wrong prediction.
local function check_finite(rows, split, indices)
  for i, row in ipairs(rows) do
    for _, value in ipairs(row) do
      if value - value ~= 0 then
        local name = split.names and split.names[indices[i]]
        errors.raise("logits: expected finite numbers, got %s for sample %d%s",
          value == value and tostring(value) or "not-a-number", indices[i], name and (" (%s)"):format(name) or "")
      end
    end
  end
end

local function measure(model, split, opts)
  local started = core.clock()
  local run = predict.run(model, split, opts)
  local logits = run.logits:totable()
  check_finite(logits, split, run.indices)
  local labels, predictions = run.labels:totable(), run.logits:argmax(2):totable()
  local probabilities = core.softmax(run.logits):totable()
  local result = metrics.measure(probabilities, labels, predictions)
  for class, entry in ipairs(result.per_class) do
    entry.name = split.classes and tostring(split.classes[class]) or tostring(class)
  end
  text_table.listing(result.confusion, function() return confusion_cells(result) end)
  result.loss = core.cross_entropy(run.logits, run.labels)
  result.logits, result.probabilities, result.predictions, result.labels = logits, probabilities, predictions, labels
  result.indices, result.seconds = run.indices, core.clock() - started
  return setmetatable(result, Evaluation)
end

--- Measures a model on a split, without augmentation and in inference mode.
--
-- The result: `accuracy`, `balanced_accuracy` (mean sensitivity), `macro_f1`, `auroc` (mean over classes of one against
-- the rest), `ece` (expected calibration error, 15 bins), `loss` (mean cross entropy, all samples alike), `count`,
-- `confusion` (`confusion[true][predicted]`; prints as a table), `per_class` (list of `{name, count, sensitivity,
-- specificity, precision, f1, auroc}`), `logits`, `probabilities` (lists of rows), `predictions`, `labels`, `indices`
-- (lists, from 1), `seconds`. Printed, it is a table. What is undefined, such as the sensitivity of a class without
-- samples, is nil and left out of means; see `secateur.evaluation.metrics`.
-- @tparam Model model
-- @tparam Split split such as `data.test`
-- @tab[opt] opts `batch` (64), `workers` (threads that decode, 1)
-- @treturn Evaluation
-- @raise when the model and the split do not fit each other, or a logit is not finite
-- @usage
-- local result = sc.evaluate(model, data.test)
-- print(result, result.accuracy, result.confusion)
local function evaluate(model, split, opts)
  predict.check("evaluate", model, split)
  opts = options.check("evaluate", opts, rules)
  local result = errors.within("evaluate", measure, model, split, opts)
  model:release()
  return result
end

return evaluate
