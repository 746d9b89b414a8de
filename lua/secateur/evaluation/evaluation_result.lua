--- What `evaluate` gives: plain values, and a text.
-- @module secateur.evaluation.evaluation_result
local skipped_note = require "secateur.util.skipped_note"
local text_table = require "secateur.util.text_table"
local visible = require "secateur.util.visible"

--- Measures of a model on a split; see `secateur.evaluation.evaluate`.
-- @type Evaluation
local Evaluation = { __name = "Evaluation" }
Evaluation.__index = Evaluation

local function cell(value)
  return value and ("%.3f"):format(value) or "-"
end

local function pad(text, width)
  text = visible(text)
  return text .. (" "):rep(width - utf8.len(text))
end

local function name_width(self, least)
  for _, class in ipairs(self.per_class) do least = math.max(least, utf8.len(visible(class.name))) end
  return least
end

local function class_lines(self)
  local width = name_width(self, 5)
  local lines = { pad("class", width) .. "  count  sensitivity  specificity  precision     F1  AUROC  predicted as" }
  for i, class in ipairs(self.per_class) do
    lines[i + 1] = ("%s  %5d  %11s  %11s  %9s  %5s  %5s  %s"):format(pad(class.name, width), class.count,
      cell(class.sensitivity), cell(class.specificity), cell(class.precision), cell(class.f1), cell(class.auroc),
      table.concat(self.confusion[i], " "))
  end
  return table.concat(lines, "\n")
end

local function finding_lines(self)
  local width = name_width(self, 7)
  local lines = { pad("finding", width)
    .. "  present  known  AUROC     AP  threshold  sensitivity  specificity  precision     F1    ECE" }
  for i, finding in ipairs(self.per_class) do
    lines[i + 1] = ("%s  %7d  %5d  %5s  %5s  %9s  %11s  %11s  %9s  %5s  %5s"):format(pad(finding.name, width),
      finding.count, finding.known, cell(finding.auroc), cell(finding.average_precision), cell(finding.threshold),
      cell(finding.sensitivity), cell(finding.specificity), cell(finding.precision), cell(finding.f1),
      cell(finding.ece))
  end
  return table.concat(lines, "\n")
end

local optimistic = "thresholds are Youden's of these very images, so that what holds at them is optimistic"

-- What is said of two classes besides.
local function binary_lines(self)
  local youden = self.youden
  return ("'%s' at threshold %s: sensitivity %s, specificity %s, PPV %s, NPV %s; Brier score %s\n%s"):format(
    visible(self.per_class[2].name), cell(self.threshold), cell(self.sensitivity), cell(self.specificity),
    cell(self.ppv), cell(self.npv), cell(self.brier), youden
    and ("Youden's point: threshold %s, sensitivity %s, specificity %s"):format(cell(youden.threshold),
      cell(youden.sensitivity), cell(youden.specificity)) or "Youden's point: undefined")
end

function Evaluation:__tostring()
  local lines
  if self.head == "multi_label" then
    lines = { ("%d images: accuracy %s, exact match %s, balanced accuracy %s, macro F1 %s"):format(self.count,
      cell(self.accuracy), cell(self.exact_match), cell(self.balanced_accuracy), cell(self.macro_f1)),
      ("AUROC %s, average precision %s, ECE %s, Brier score %s, loss %.4f"):format(cell(self.auroc),
      cell(self.average_precision), cell(self.ece), cell(self.brier), self.loss), finding_lines(self) }
  else
    lines = { ("%d images: accuracy %s, balanced accuracy %s, macro F1 %s, AUROC %s, ECE %s, loss %.4f"):format(
      self.count, cell(self.accuracy), cell(self.balanced_accuracy), cell(self.macro_f1), cell(self.auroc),
      cell(self.ece), self.loss), class_lines(self) }
    if self.threshold then lines[#lines + 1] = binary_lines(self) end
  end
  if self.optimistic then lines[#lines + 1] = optimistic end
  lines[#lines + 1] = skipped_note(self.skipped)
  return table.concat(lines, "\n")
end

-- The confusion matrix as a table: a row per true class, a column per predicted one.
local function class_cells(self)
  local lines = { { "true \\ predicted" } }
  for i, class in ipairs(self.per_class) do
    lines[1][i + 1] = class.name
    lines[i + 1] = { class.name }
    for j, count in ipairs(self.confusion[i]) do lines[i + 1][j + 1] = tostring(count) end
  end
  return lines
end

-- The confusion matrices of findings as one table: a row per finding.
local function finding_cells(self)
  local lines = { { "finding", "true positive", "false positive", "false negative", "true negative" } }
  for i, finding in ipairs(self.per_class) do
    local counts = self.confusion[i]
    lines[i + 1] = { finding.name, tostring(counts[2][2]), tostring(counts[1][2]), tostring(counts[2][1]),
      tostring(counts[1][1]) }
  end
  return lines
end

--- Makes a result of its fields.
-- @tab self
-- @treturn Evaluation
function Evaluation.new(self)
  text_table.listing(self.confusion, function()
    return self.head == "multi_label" and finding_cells(self) or class_cells(self)
  end)
  return setmetatable(self, Evaluation)
end

return Evaluation
