--- What faithfulness gives: numbers with their intervals, curves, and a table of it all.
-- @module secateur.explanations.faithfulness_result
local text_table = require "secateur.util.text_table"
local csv = require "secateur.util.csv"
local errors = require "secateur.util.errors"
local methods = require "secateur.util.methods"
local options = require "secateur.util.options"
local visible = require "secateur.util.visible"

--- Measures of explanations, methods side by side; see `secateur.explanations.faithfulness`.
-- @type Faithfulness
local Faithfulness = {}
Faithfulness.__index = Faithfulness
Faithfulness.__name = "Faithfulness"

--- The measures there are, in order: `name`, `better` ("higher" or "lower"), `about`.
Faithfulness.measures = {
  { name = "faithfulness", better = "higher", about = "area between the curves lerf and morf" },
  { name = "morf", better = "lower", about = "area under the curve, patches removed most relevant first" },
  { name = "lerf", better = "higher", about = "area under the curve, patches removed least relevant first" },
  { name = "deletion", better = "lower", about = "area under the curve, pixels removed most relevant first" },
  { name = "insertion", better = "higher", about = "area under the curve, pixels inserted most relevant first" },
  { name = "sparseness", better = "higher", about = "Gini index of the magnitudes" },
  { name = "complexity", better = "lower", about = "entropy of the magnitudes" },
  { name = "sensitivity", better = "lower", about = "largest relative change under small changes of the image" },
  { name = "randomisation", better = "lower", about = "magnitude of rank correlation with randomised models" },
}

--- An empty result for the measures chosen.
-- @tab about `chosen` (set of measures), and fields of the result
-- @treturn Faithfulness
function Faithfulness.new(about)
  local self = { methods = {}, measures = {}, scores = {}, values = {}, curves = {}, randomisation = {}, warnings = {} }
  for key, value in pairs(about) do self[key] = value end
  self.chosen = nil
  for _, measure in ipairs(Faithfulness.measures) do
    if about.chosen[measure.name] then self.measures[#self.measures + 1] = measure end
  end
  return setmetatable(self, Faithfulness)
end

--- The table as plain rows.
-- @treturn {table,...} `method`, `measure`, `better`, `mean`, `low`, `high`, `count`; numbers are absent where the
--   measure is undefined for all samples
function Faithfulness:rows()
  local rows = {}
  for _, method in ipairs(self.methods) do
    for _, measure in ipairs(self.measures) do
      local interval = self.scores[method][measure.name] or { count = 0 }
      rows[#rows + 1] = { method = method, measure = measure.name, better = measure.better, mean = interval.mean,
        low = interval.low, high = interval.high, count = interval.count }
    end
  end
  return rows
end

--- The mean curves as plain rows.
-- @treturn {table,...} `method`, `curve` ("morf", "lerf", "deletion", "insertion"), `fraction` (of patches or pixels
--   replaced), `probability`, `logit`
function Faithfulness:curve_rows()
  local rows = {}
  for _, method in ipairs(self.methods) do
    for _, measure in ipairs(Faithfulness.measures) do
      local curve = self.curves[method][measure.name]
      for k, fraction in ipairs(curve and curve.fractions or {}) do
        rows[#rows + 1] = { method = method, curve = measure.name, fraction = fraction,
          probability = curve.probability[k], logit = curve.logit[k] }
      end
    end
  end
  return rows
end

local row_columns = { "method", "measure", "better", "mean", "low", "high", "count" }

--- Writes the table as CSV.
-- @string path
function Faithfulness:csv(path)
  path = options.value("csv", "path", path, { type = "string", required = true })
  local written, message = csv.write_records(path, row_columns, self:rows())
  if not written then errors.refuse("csv", message) end
end

local arrows = { higher = "↑", lower = "↓" }
local per_block = 4 -- measures side by side

-- Some of the measures, methods below each other.
local function block(self, first)
  local last = math.min(first + per_block - 1, #self.measures)
  local lines = { { "method" } }
  for m = first, last do
    local measure = self.measures[m]
    table.insert(lines[1], measure.name .. " " .. arrows[measure.better])
  end
  for i, method in ipairs(self.methods) do
    lines[i + 1] = { method }
    for m = first, last do
      table.insert(lines[i + 1], text_table.interval(self.scores[method][self.measures[m].name]))
    end
  end
  return text_table.format(lines)
end

function Faithfulness:__tostring()
  local parts = { ("Explanations of %d images: mean [%g %% bootstrap interval]; ↑ higher is better, ↓ lower"):format(
    self.count, 100 * self.options.level) }
  for first = 1, #self.measures, per_block do parts[#parts + 1] = block(self, first) end
  for _, warning in ipairs(self.warnings) do parts[#parts + 1] = "! " .. visible(warning) end
  return table.concat(parts, "\n\n")
end

methods.guard(Faithfulness)

return Faithfulness
