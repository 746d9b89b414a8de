--- The part of the page about single classes or findings: the measures of each, by rate.
-- @module secateur.report.html_classes
local html = require "secateur.report.html"
local intervals = require "secateur.results.intervals"
local names = require "secateur.report.names"
local results = require "secateur.results"

local html_classes = {}

local escape = html.escape

local class_measures = { "sensitivity", "specificity", "precision", "f1" }
local finding_measures = { "auroc", "average_precision", "sensitivity", "specificity", "precision", "f1" }
local measure_names = { sensitivity = "Sensitivity", specificity = "Specificity", precision = "Precision", f1 = "F1",
  auroc = "AUROC", average_precision = "Average precision" }

-- Means over seeds of a class's measures at a rate.
local function class_cells(rows, class, measures)
  local cells = {}
  for i, measure in ipairs(measures) do
    local values = {}
    for _, row in ipairs(rows) do
      values[#values + 1] = row.per_class and row.per_class[class] and row.per_class[class][measure]
    end
    local found = intervals.summary(values)
    cells[i] = ("<td>%s</td>"):format(found and ("%.3f"):format(found.mean) or "–")
  end
  return table.concat(cells)
end

local function class_table(rows, dataset, model, combination)
  local found = results.new(results.new(rows:where(combination)):where { dataset = dataset, model = model })
  local described = (rows.experiment.datasets or {})[dataset] or {}
  local class_names = described.classes or {}
  local out = { "<table>\n<thead><tr>" }
  local findings = #found:distinct "exact_match" > 0
  local measures = findings and finding_measures or class_measures
  local columns = { "Rate", findings and "Finding" or "Class" }
  for i, measure in ipairs(measures) do columns[i + 2] = measure_names[measure] end
  for _, head in ipairs(columns) do out[#out + 1] = ('<th scope="col">%s</th>'):format(head) end
  out[#out + 1] = "</tr></thead>\n<tbody>\n"
  local heads, most = #out, 0
  for _, rate in ipairs(found:distinct "rate") do most = math.max(most, #found:where { rate = rate }) end
  for i, rate in ipairs(found:distinct "rate") do
    local at_rate = found:where { rate = rate }
    local count = #(at_rate[1].per_class or {})
    for class = 1, count do
      local rate_cell = ('<td class="rate" rowspan="%d">%s</td>'):format(count, names.rate(rate)
        .. (#at_rate < most and (" (%d of %d seeds)"):format(#at_rate, most) or ""))
      out[#out + 1] = ('<tr%s>%s<th class="class" scope="row">%s</th>%s</tr>\n'):format(
        class == 1 and i > 1 and ' class="first"' or "", class == 1 and rate_cell or "",
        escape(class_names[class] or class), class_cells(at_rate, class, measures))
    end
  end
  return #out > heads and html.wide(table.concat(out) .. "</tbody>\n</table>\n") or nil
end

--- The section.
-- @tab rows Results
-- @tab[opt] best the combination shown: `method`, `sampling`, `redundancy`, `repair`
-- @string title of the metric by which it is the best
-- @treturn string empty where there is nothing to show
function html_classes.section(rows, best, title)
  if not best then return "" end
  local out, several = {}, #rows:distinct "dataset" * #rows:distinct "model" > 1
  for _, dataset in ipairs(rows:distinct "dataset") do
    for _, model in ipairs(rows:distinct "model") do
      local element = class_table(rows, dataset, model, best)
      if element then
        out[#out + 1] = ("<details%s><summary>%s · %s</summary>\n%s</details>\n"):format(several and "" or " open",
          escape(dataset), escape(model), element)
      end
    end
  end
  if #out == 0 then return "" end
  local what = ("%s with %s sampling%s%s"):format(names.method(best.method), best.sampling,
    best.redundancy and ", redundancy counted" or "",
    best.repair ~= "none" and ", repair: " .. names.repair(best.repair) or "")
  local about = ("<p>%s, the combination with the smallest mean %s%s.</p>\n"):format(escape(what), escape(title),
    #rows:distinct "seed" > 1 and "; means over the seeds" or "")
  return html.section("classes", "Per class", about, table.concat(out))
end

return html_classes
