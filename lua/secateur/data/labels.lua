--- Labels as tables have them: a class in a column, findings in several columns, or several findings in one.
--
-- Each reader gets the samples (with `line` and `record`, the columns of the line) and gives them their `label`, or
-- nil where it is not known and the sample is to be left out.
-- @module secateur.data.labels
local csv = require "secateur.util.csv"
local errors = require "secateur.util.errors"
local files = require "secateur.util.files"

local labels = {}

-- What a cell says of a finding.
local TRUTH = { ["1"] = 1, ["1.0"] = 1, ["true"] = 1, ["0"] = 0, ["0.0"] = 0, ["false"] = 0, [""] = -1, ["nan"] = -1,
  ["-1"] = -1, ["-1.0"] = -1 }

local unknown_value = { ignore = -1, negative = 0, positive = 1 }

local function truth(path, sample, column, unknown)
  local cell = sample.record[column]
  local value = TRUTH[cell:lower()]
  if not value then
    errors.raise("%s:%d: column '%s': expected 1, 0, true, false, -1 or nothing, got '%s'", path, sample.line, column,
      cell)
  end
  return value == -1 and unknown_value[unknown] or value
end

-- Whether a cell is blank: nothing, or what pandas makes of nothing.
local function is_blank(cell) return cell == "" or cell:lower() == "nan" end

-- Column names that say nothing of what is true where they are 1.
local PLAIN = { label = true, labels = true, class = true, target = true, diagnosis = true, category = true, y = true }

--- Whether a column says yes or no: all of its cells are truth values, some of them yes.
-- @tab samples
-- @string column
-- @treturn boolean
function labels.is_truth(samples, column)
  if PLAIN[column:lower()] then return false end
  local some = false
  for _, sample in ipairs(samples) do
    local value = TRUTH[sample.record[column]:lower()]
    if not value then return false end
    some = some or value == 1
  end
  return some
end

--- One column of yes and no: classes "no X" and "X".
-- @string path of the table
-- @tab listing
-- @string column
-- @tab opts `unknown`
function labels.read_truth(path, listing, column, opts)
  for _, sample in ipairs(listing.samples) do
    local value = truth(path, sample, column, opts.unknown)
    sample.label = value >= 0 and value + 1 or nil
  end
  listing.classes = { "no " .. column, column }
end

-- Notes classes that are made of others, as "Edema|Effusion" is: lists of findings, perhaps.
local function note_compounds(listing, present)
  for _, separator in ipairs { "|", ";" } do
    for _, class in ipairs(listing.classes) do
      local first, rest = class:match("^(.-)%" .. separator .. "(.+)$")
      if first and (present[first] or present[rest]) then
        table.insert(listing.notes, ("took '%s' as a class of its own; label_separator = '%s' makes several findings "
          .. "of such labels"):format(class, separator))
        return
      end
    end
  end
end

--- One column of classes, in natural order; empty cells are unknown.
-- @tab listing
-- @string column
function labels.read_classes(listing, column)
  local first, present = {}, {}
  for _, sample in ipairs(listing.samples) do
    local cell = sample.record[column]
    if not is_blank(cell) and not present[cell] then
      present[cell], first[#first + 1] = true, cell
    end
  end
  local number = {}
  for i, class in ipairs(files.sort_natural(first)) do number[class] = i end
  for _, sample in ipairs(listing.samples) do sample.label = number[sample.record[column]] end
  listing.classes = first
  note_compounds(listing, present)
end

-- Whether anything is known of an image.
local function is_known(label)
  for _, value in ipairs(label) do
    if value >= 0 then return true end
  end
  return false
end

-- Which finding of a row is the only one that is present; nil where there is not exactly one.
local function only_one(label)
  local found
  for k, value in ipairs(label) do
    if value ~= 0 and (value < 0 or found) then return nil end
    found = value == 1 and k or found
  end
  return found
end

-- Turns findings of which each image has exactly one into classes.
local function make_exclusive(path, listing, columns)
  for _, sample in ipairs(listing.samples) do
    local label = only_one(sample.label)
    if not label then
      errors.raise("%s:%d: exclusive: expected exactly one 1 in the columns %s (label names all columns of classes, "
        .. "classes = { … } those to use)", path, sample.line, table.concat(columns, ", "))
    end
    sample.label = label
  end
  listing.multi_label = nil
end

--- Several columns of yes and no, a finding each.
-- @string path of the table
-- @tab listing
-- @tab columns
-- @tab opts `unknown`, `exclusive`
function labels.read_columns(path, listing, columns, opts)
  local all_single = true
  for _, sample in ipairs(listing.samples) do
    local label = {}
    for k, column in ipairs(columns) do label[k] = truth(path, sample, column, opts.unknown) end
    all_single = all_single and only_one(label) ~= nil
    sample.label = (opts.exclusive or is_known(label)) and label or nil
  end
  listing.classes, listing.multi_label = table.move(columns, 1, #columns, 1, {}), true
  if opts.exclusive then
    make_exclusive(path, listing, columns)
  elseif all_single then
    table.insert(listing.notes, "each image has exactly one of these findings: exclusive = true makes classes of them")
  end
end

-- Values of findings that a table may have: far above any set of images, and about a gigabyte of memory.
local MAX_VALUES = 1 << 26

local function split_cell(cell, separator)
  local list = {}
  for part in (cell .. separator):gmatch("(.-)" .. separator:gsub("%W", "%%%0")) do
    part = csv.trim(part)
    if part ~= "" then list[#list + 1] = part end
  end
  return list
end

--- One column that lists findings, with a separator between them ("Edema|Effusion"). An empty cell is unknown.
-- @string path of the table
-- @tab listing
-- @string column
-- @tab opts `label_separator`, `none` (what stands where there is no finding), `unknown`
function labels.read_lists(path, listing, column, opts)
  local findings, number, present, separated = {}, {}, {}, false
  for _, sample in ipairs(listing.samples) do
    local set = {}
    local is_empty = is_blank(sample.record[column])
    for _, name in ipairs(is_empty and {} or split_cell(sample.record[column], opts.label_separator)) do
      if name ~= opts.none then
        set[name] = true
        if not number[name] then
          findings[#findings + 1], number[name] = name, true
        end
      elseif sample.record[column] ~= opts.none then
        errors.raise("%s:%d: column '%s': expected '%s' alone, got '%s'", path, sample.line, column, opts.none,
          sample.record[column])
      end
    end
    present[sample] = set
    separated = separated or sample.record[column]:find(opts.label_separator, 1, true) ~= nil
  end
  if not separated then
    table.insert(listing.notes, ("label_separator = '%s' is in no cell of the column '%s': no image has two findings")
      :format(opts.label_separator, column))
  end
  if #findings * #listing.samples > MAX_VALUES then
    errors.raise("%s: column '%s': expected at most %d values, got %d findings of %d lines: does '%s' separate "
      .. "findings?", path, column, MAX_VALUES, #findings, #listing.samples, opts.label_separator)
  end
  files.sort_natural(findings)
  for _, sample in ipairs(listing.samples) do
    local label = {}
    for k, name in ipairs(findings) do label[k] = present[sample][name] and 1 or 0 end
    local is_empty = is_blank(sample.record[column])
    sample.label = (not is_empty or opts.unknown == "negative") and label or nil
  end
  listing.classes, listing.multi_label = findings, true
end

return labels
