--- The rows of a sweep as lines of CSV files.
-- @module secateur.report.row_lines
local grid = require "secateur.results.grid"
local visible = require "secateur.util.visible"

local row_lines = {}

local columns = { "dataset", "model", "method", "redundancy", "sampling", "repair", "seed", "rate", "scope",
  "units_pruned", "units_total", "baseline_accuracy", "accuracy", "drop", "balanced_accuracy", "macro_f1", "auroc",
  "ece", "loss", "score_seconds", "evaluate_seconds" }
-- Only there where some row has them.
local more_columns = { "exact_match", "average_precision", "brier", "baseline_auroc", "auroc_drop", "repair_layers",
  "repair_seconds", "drop_low", "drop_high", "decision_agreement", "kl", "parameters", "macs", "bytes", "latency_1",
  "latency_16", "peak_bytes", "relative_parameters", "relative_macs", "relative_bytes", "relative_latency_1",
  "relative_latency_16", "agreement_cosine", "agreement_spearman", "agreement_topk", "agreement_seconds",
  "skipped" }
local class_columns = { "sensitivity", "specificity", "precision", "f1" }
local finding_columns = { "sensitivity", "specificity", "precision", "f1", "auroc", "average_precision" }

--- Names in a table of lines as they can be read: a CSV is shown by terminals and spreadsheets too.
-- @tab lines changed in place
-- @treturn table the same
function row_lines.readable(lines)
  for _, line in ipairs(lines) do
    for i = 1, line.n or #line do
      if type(line[i]) == "string" then line[i] = visible(line[i]) end
    end
  end
  return lines
end

--- Lines of results.csv: all rows, the columns that some row has.
-- @tab rows Results
-- @treturn {table,...} the heading first
function row_lines.results(rows)
  local names = table.move(columns, 1, #columns, 1, {})
  for _, column in ipairs(more_columns) do
    if #rows:distinct(column) > 0 then names[#names + 1] = column end
  end
  local lines = { names }
  for i, row in ipairs(rows) do
    local line = { n = #names }
    for j, column in ipairs(names) do line[j] = row[column] end
    lines[i + 1] = line
  end
  return lines
end

--- Lines of per_class.csv: the measures of each class, or finding, of each row.
-- @tab rows Results
-- @treturn {table,...} the heading first
function row_lines.classes(rows)
  local lines = { { "dataset", "model", "method", "redundancy", "sampling", "repair", "seed", "rate", "class" } }
  local before, measures = #lines[1], #rows:distinct "exact_match" > 0 and finding_columns or class_columns
  table.move(measures, 1, #measures, before + 1, lines[1])
  for _, row in ipairs(rows) do
    local names = ((rows.experiment.datasets or {})[row.dataset] or {}).classes or {}
    for class, measured in ipairs(row.per_class or {}) do
      local line = { row.dataset, row.model, row.method, row.redundancy, row.sampling, row.repair, row.seed, row.rate,
        names[class] or class, n = before + #measures }
      for j, column in ipairs(measures) do line[before + j] = measured[column] end
      lines[#lines + 1] = line
    end
  end
  return lines
end

--- Lines of missing.csv: the rows that are not there.
-- @tab missing what `grid.missing` gives
-- @treturn {table,...} the heading first
function row_lines.missing(missing)
  local lines = { table.move(grid.axes, 1, #grid.axes, 1, {}) }
  for i, each in ipairs(missing) do
    lines[i + 1] = { n = #grid.axes }
    for j, axis in ipairs(grid.axes) do lines[i + 1][j] = each[axis] end
  end
  return lines
end

return row_lines
