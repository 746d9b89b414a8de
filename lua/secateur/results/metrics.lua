--- Which metrics the rows of a sweep have: their columns and names, which direction is better, and how much worse than
-- the unpruned model a row is by each of them.
-- @module secateur.results.metrics
local metrics = {}

-- `lower`: less is better. `dense`: what the unpruned model has by definition. `measure`: one of outputs against those
-- of the unpruned model, or of explanations.
local known = {
  { "accuracy", "accuracy" }, { "balanced_accuracy", "balanced accuracy" }, { "macro_f1", "macro F1" },
  { "auroc", "AUROC" }, { "average_precision", "average precision" }, { "exact_match", "exact match" },
  { "ece", "ECE", lower = true }, { "brier", "Brier score", lower = true }, { "loss", "loss", lower = true },
  { "decision_agreement", "agreement of decisions", dense = 1 }, { "kl", "KL divergence", lower = true, dense = 0 },
  { "agreement_cosine", "agreement of explanations (cosine)", dense = 1 },
  { "agreement_spearman", "agreement of explanations (Spearman)", dense = 1 },
  { "agreement_topk", "agreement of explanations (top-k overlap)", dense = 1 },
}

-- Columns that say it of every row.
local baselines = { accuracy = "baseline_accuracy", auroc = "baseline_auroc" }
local changes = { accuracy = "drop", auroc = "auroc_drop" }

metrics.names = {}
local by_name = {}
for i, each in ipairs(known) do metrics.names[i], by_name[each[1]] = each[1], each end

local Metric = { __name = "Metric" }
Metric.__index = Metric

local function is_number(value) return type(value) == "number" and value == value end

--- A metric of some rows.
-- @tab rows Results
-- @string name one of `metrics.names`
-- @treturn table `name`, `column`, `title`, `lower` (whether less is better), `lost` ("drop" or "rise", of what gets
-- worse), and the methods `value(row)`, `baseline(row)`, `change(row)`
function metrics.of(rows, name)
  local entry = by_name[name]
  local self = setmetatable({ name = name, column = name, title = entry[2], lower = entry.lower or false,
    lost = entry.lower and "rise" or "drop", dense = entry.dense, unpruned = {} }, Metric)
  for _, row in ipairs(rows) do
    if row.rate == 0 and is_number(row[name]) then
      self.unpruned[tostring(row.dataset) .. "\0" .. tostring(row.model)] = row[name]
    end
  end
  return self
end

--- What a row has.
-- @tab row
-- @treturn ?number
function Metric:value(row)
  local value = row[self.column]
  return is_number(value) and value or nil
end

--- What the unpruned model of a row has: said in the row, known by definition, or that of a row of rate 0 of the same
-- data set and model.
-- @tab row
-- @treturn ?number
function Metric:baseline(row)
  local said = row[baselines[self.name] or "baseline_" .. self.name]
  if is_number(said) then return said end
  return self.dense or self.unpruned[tostring(row.dataset) .. "\0" .. tostring(row.model)]
end

--- How much worse than the unpruned model a row is: a drop, or of what had better be small a rise. Negative is a gain.
-- @tab row
-- @treturn ?number nil where the row or the unpruned model has not been measured so
function Metric:change(row)
  local said = row[changes[self.name]]
  if is_number(said) then return said end
  local value, baseline = self:value(row), self:baseline(row)
  if not value or not baseline then return nil end
  return self.lower and value - baseline or not self.lower and baseline - value
end

--- The changes of some rows, those that are known.
-- @tab rows
-- @treturn {number,...}
function Metric:changes(rows)
  local list = {}
  for _, row in ipairs(rows) do list[#list + 1] = self:change(row) end
  return list
end

--- What of some rows is lossless by itself: AUROC where images may have several findings, whose accuracy is high
-- whatever a model does; else accuracy.
-- @tab rows
-- @treturn string
function metrics.default(rows)
  for _, row in ipairs(rows) do
    if row.auroc_drop ~= nil then return "auroc" end
  end
  return "accuracy"
end

return metrics
