--- What agreement gives: how alike two models' explanations are, at the input, by layer and by class.
-- @module secateur.explanations.agreement_result
local text_table = require "secateur.util.text_table"
local csv = require "secateur.util.csv"
local errors = require "secateur.util.errors"
local methods = require "secateur.util.methods"
local options = require "secateur.util.options"
local visible = require "secateur.util.visible"

--- Similarities with their intervals; see `secateur.explanations.agreement`.
-- @type Agreement
local Agreement = {}
Agreement.__index = Agreement
Agreement.__name = "Agreement"

--- The measures, in order: of all three, 1 is the same and higher is more alike.
Agreement.measures = { "cosine", "spearman", "topk" }

--- Wraps a result.
-- @tab fields see `secateur.explanations.agreement`
-- @treturn Agreement
function Agreement.new(fields)
  return setmetatable(fields, Agreement)
end

local function row_of(part, class, measured)
  local row = { part = part, class = class, samples = measured.samples }
  for _, measure in ipairs(Agreement.measures) do
    local interval = measured[measure] or { count = 0 }
    row[measure], row[measure .. "_low"], row[measure .. "_high"] = interval.mean, interval.low, interval.high
    row[measure .. "_count"] = interval.count
  end
  return row
end

--- The table as plain rows: the heatmaps of all samples, of each class, then each layer of all and of each class.
-- @treturn {table,...} `part` ("input" or the layer's name), `class` ("all" or the class's name), `samples`, and for
--   cosine, spearman and topk the mean under that name, and `_low`, `_high`, `_count` behind it; means are absent where
--   they are undefined for all samples
function Agreement:rows()
  local rows = { row_of("input", "all", self.input) }
  for _, class in ipairs(self.per_class) do rows[#rows + 1] = row_of("input", class.name, class) end
  for i, layer in ipairs(self.layers) do
    rows[#rows + 1] = row_of(layer.name, "all", layer)
    for _, class in ipairs(self.per_class) do rows[#rows + 1] = row_of(layer.name, class.name, class.layers[i]) end
  end
  return rows
end

--- Writes the table as CSV.
-- @string path
function Agreement:csv(path)
  path = options.value("csv", "path", path, { type = "string", required = true })
  local names = { "part", "class", "samples" }
  for _, measure in ipairs(Agreement.measures) do
    for _, suffix in ipairs { "", "_low", "_high", "_count" } do names[#names + 1] = measure .. suffix end
  end
  local written, message = csv.write_records(path, names, self:rows())
  if not written then errors.refuse("csv", message) end
end

local function line_of(label, measured)
  local line = { label, ("%d"):format(measured.samples) }
  for _, measure in ipairs(Agreement.measures) do line[#line + 1] = text_table.interval(measured[measure]) end
  return line
end

function Agreement:__tostring()
  local lines = { { "", "images", "cosine", "Spearman", ("top %g %%"):format(100 * self.options.top) },
    line_of("heatmap", self.input) }
  for _, class in ipairs(self.per_class) do lines[#lines + 1] = line_of("  of " .. class.name, class) end
  for _, layer in ipairs(self.layers) do lines[#lines + 1] = line_of("units of " .. layer.name, layer) end
  return ("Agreement of explanations (%s): mean [%g %% bootstrap interval]; 1 is the same\n\n"):format(
    visible(self.method), 100 * self.options.level) .. text_table.format(lines)
end

methods.guard(Agreement)

return Agreement
