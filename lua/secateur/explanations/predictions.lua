--- What predict gives: rows, a table of them, and CSV.
-- @module secateur.explanations.predictions
local csv = require "secateur.util.csv"
local errors = require "secateur.util.errors"
local methods = require "secateur.util.methods"
local options = require "secateur.util.options"
local text_table = require "secateur.util.text_table"
local visible = require "secateur.util.visible"

-- Rows that the printed table shows.
local SHOWN = 50

--- Predictions, a list of rows; see `secateur.explanations.predict`.
-- @type Predictions
-- @field classes names of the classes or findings, numbers as text where the model has none
-- @field kind of the head: "softmax", "binary" or "multi_label"
-- @field failed how many images could not be read
-- @field skipped the same number, as all results have it
-- @field sheet paths `png`, `svg`, `pdf` of the sheet of heatmaps, where one was drawn
local Predictions = { __name = "Predictions" }
Predictions.__index = Predictions

--- Rows as predictions.
-- @tab rows list
-- @tab about fields of the result
-- @treturn Predictions the same list
function Predictions.new(rows, about)
  for key, value in pairs(about) do rows[key] = value end
  rows.skipped = rows.failed
  return setmetatable(rows, Predictions)
end

local function label_text(label)
  return type(label) == "table" and table.concat(label, "|") or label
end

-- The same to be read: nothing is said to be absent that is unknown.
local function label_cell(row)
  if type(row.label) ~= "table" then return tostring(row.label or "-") end
  local names = table.move(row.label, 1, #row.label, 1, {})
  for _, name in ipairs(row.unknown or {}) do names[#names + 1] = name .. "?" end
  return #names > 0 and table.concat(names, ", ") or "none"
end

local function any(rows, field)
  for _, row in ipairs(rows) do
    if row[field] ~= nil then return true end
  end
  return false
end

--- Writes the rows as CSV: `file`; `class` (of several findings `findings`, separated by "|"); `probability`; `label`,
-- where images have one; `unknown`, where labels leave findings open; `p(NAME)` for every class; a column
-- per heatmap with its file; `error` of those that could not be read.
-- @string path
function Predictions:csv(path)
  path = options.value("csv", "path", path, { type = "string", required = true })
  local decided = self.kind == "multi_label" and "findings" or "class"
  local names, seen, records = { "file", decided, "probability" }, {}, {}
  for _, name in ipairs { "label", "unknown" } do names[#names + 1] = any(self, name) and name or nil end
  for _, class in ipairs(self.classes) do names[#names + 1] = ("p(%s)"):format(class) end
  for i, row in ipairs(self) do
    local record = { file = row.file, class = row.class, probability = row.probability, error = row.error,
      findings = row.findings and table.concat(row.findings, "|"), label = label_text(row.label),
      unknown = label_text(row.unknown) }
    for class, value in ipairs(row.probabilities or {}) do record[("p(%s)"):format(self.classes[class])] = value end
    for _, heatmap in ipairs(row.heatmaps or {}) do
      local name = "heatmap " .. heatmap.label
      if not seen[name] then
        seen[name], names[#names + 1] = true, name
      end
      record[name] = heatmap.path
    end
    records[i] = record
  end
  if self.failed > 0 then names[#names + 1] = "error" end
  local written, message = csv.write_records(path, names, records)
  if not written then errors.refuse("csv", message) end
end

local function number(value) return ("%.3f"):format(value) end

-- The classes behind the first, or of several findings those that are likeliest.
local function others(row, first)
  local parts = {}
  for i = first, #row.top do parts[#parts + 1] = ("%s %s"):format(row.top[i].class, number(row.top[i].probability)) end
  return table.concat(parts, ", ")
end

function Predictions:__tostring()
  local several, labelled, failed = self.kind == "multi_label", any(self, "label"), {}
  local lines = { { "file", several and "findings" or "class" } }
  local function add(line, ...)
    for _, cell in ipairs { ... } do line[#line + 1] = cell end
  end
  if labelled then add(lines[1], "label") end
  if not several then add(lines[1], "probability") end
  local more = several or #self.classes > 2
  if more then add(lines[1], several and "likeliest" or "then") end
  for i = 1, math.min(#self, SHOWN) do
    local row = self[i]
    local line = { visible(tostring(row.file)) }
    if row.error then
      add(line, "-")
      failed[#failed + 1] = ("! %s: %s"):format(line[1], visible(row.error))
    else
      add(line, several and (#row.findings > 0 and table.concat(row.findings, ", ") or "none") or tostring(row.class))
    end
    if labelled then add(line, label_cell(row)) end
    if not several then add(line, row.error and "-" or number(row.probability)) end
    if more then add(line, row.error and "-" or others(row, several and 1 or 2)) end
    lines[i + 1] = line
  end
  local text = table.concat({ text_table.format(lines, #lines[1]), table.unpack(failed) }, "\n")
  if #self > SHOWN then text = ("%s\nand %d more (csv writes them all)"):format(text, #self - SHOWN) end
  return text
end

methods.guard(Predictions)

return Predictions
