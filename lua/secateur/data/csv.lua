--- Images listed in a table of any make: a column of files, and labels in one column or in several.
-- @module secateur.data.csv
local csv = require "secateur.util.csv"
local dataset = require "secateur.data.dataset"
local errors = require "secateur.util.errors"
local file_index = require "secateur.data.file_index"
local files = require "secateur.util.files"
local from_files = require "secateur.data.from_files"
local groups = require "secateur.data.groups"
local labels = require "secateur.data.labels"
local layout = require "secateur.data.layout"
local options = require "secateur.util.options"
local outside = require "secateur.data.outside"
local split_csv = require "secateur.data.split_csv"

local function are_columns(value)
  local expected = "a column's name, or a list of names"
  if type(value) == "string" then return value ~= "", expected end
  local seen = {}
  for i = 1, #value do
    if type(value[i]) ~= "string" or seen[value[i]] then return false, expected .. ", each once" end
    seen[value[i]] = true
  end
  return #value > 0, expected
end

local function is_separator(value)
  return #value == 1 and not value:find '[\r\n"%z]', "one byte, not a quote or the end of a line"
end

local function is_text(value) return value ~= "", "a text that is not empty" end

local rules = dataset.rules {
  file = { type = "string", default = "file" },
  label = { type = { "string", "table" }, check = are_columns, default = "label" },
  split = { type = { "string", "boolean" } },
  root = { type = "string" },
  separator = { type = "string", check = is_separator },
  label_separator = { type = "string", check = is_text },
  none = { type = "string", default = "No Finding" },
  unknown = { one_of = { "ignore", "negative", "positive" }, default = "ignore" },
  exclusive = { type = "boolean", default = false },
  outside = outside.rule,
}

-- The records of the table, with the columns that are read: labels (a list) and the column of splits, or nil.
local function read_table(path, opts)
  local columns = { opts.file }
  local label_columns = type(opts.label) == "table" and opts.label or { opts.label }
  for _, column in ipairs(label_columns) do columns[#columns + 1] = column end
  if type(opts.split) == "string" then columns[#columns + 1] = opts.split end
  local group, optional = groups.column(opts.group)
  columns[#columns + 1] = group
  local records, message = csv.records(path, columns, { separator = opts.separator or "detect",
    optional = { "split", optional } })
  if not records then
    errors.raise("%s%s", message, message:find ": no column '"
      and " (the options file, label, split and group name columns)" or "")
  end
  if #records == 0 then errors.raise("%s: expected a line per image, found none", path) end
  local split = opts.split
  if split == nil or split == true then split = records[1].split and "split" or nil end
  if opts.split == true and not split then errors.raise("%s: no column 'split'", path) end
  return records, label_columns, split or nil
end

local function read_sample(path, record, index, split, opts)
  local written = record[opts.file]
  layout.check_name(("%s:%d: column '%s'"):format(path, record.line, opts.file), written)
  local name, several = index:find(written)
  if not name then
    errors.raise("%s:%d: column '%s': '%s' may be '%s' or '%s'", path, record.line, opts.file, written, several[1],
      several[2])
  end
  local part = split and layout.split_name(record[split])
  if split and not part then
    errors.raise("%s:%d: column '%s': expected train, val or test, got '%s'", path, record.line, split, record[split])
  end
  local group = type(opts.group) == "string" and record[opts.group] or ""
  return { name = name, split = part, line = record.line, record = record, written = written,
    group = groups.of_cell(group) }
end

-- Gives the samples their paths. Where several lines would be one file by its name alone, theirs are not there.
local function place_samples(path, listing, index, column)
  for _, sample in ipairs(listing.samples) do
    if index:is_contested(sample.written, sample.name) then sample.name = files.normal(sample.written) end
    if index:is_outside(sample.name) then
      errors.raise("%s:%d: column '%s': expected a file below %s, got '%s' (outside = true takes files from anywhere)",
        path, sample.line, column, index.root, sample.written)
    end
    sample.path = files.join(index.root, sample.name)
  end
  table.insert(listing.notes, index:note(listing.samples))
end

-- Gives the samples their labels, by what the columns are.
local function read_labels(path, listing, columns, opts)
  if opts.label_separator then
    if #columns > 1 then errors.raise("label_separator: expected label to be one column, got %d", #columns) end
    labels.read_lists(path, listing, columns[1], opts)
  elseif #columns > 1 then
    labels.read_columns(path, listing, columns, opts)
  elseif type(opts.label) == "table" or labels.is_truth(listing.samples, columns[1]) then
    labels.read_truth(path, listing, columns[1], opts)
  else
    labels.read_classes(listing, columns[1])
  end
end

local function label_text(label) return type(label) == "table" and table.concat(label, " ") or tostring(label) end

-- Without the samples of unknown label, and of each file once. A file in several lines must have one label in them.
local function keep_known(path, listing)
  local kept, first, unknown, repeated = {}, {}, 0, 0
  for _, sample in ipairs(listing.samples) do
    local earlier = first[sample.name]
    if not sample.label then
      unknown = unknown + 1
    elseif not earlier then
      first[sample.name], kept[#kept + 1] = sample, sample
    elseif label_text(earlier.label) == label_text(sample.label) and earlier.split == sample.split
      and earlier.group == sample.group then
      repeated = repeated + 1
    else
      errors.raise("%s:%d: file '%s' is already in line %d, with another label, split or group", path, sample.line,
        sample.name, earlier.line)
    end
    sample.record = nil
  end
  if unknown > 0 then table.insert(listing.notes, ("left out for want of a label: %d lines"):format(unknown)) end
  if repeated > 0 then table.insert(listing.notes, ("lines that repeat another: %d"):format(repeated)) end
  listing.samples = kept
end

local function read(path, opts)
  if not files.is_file(path) then
    errors.raise("path: expected a table (.csv), got '%s' (%s)", path, files.is_dir(path) and "a folder"
      or "there is none")
  end
  local root = opts.root or files.directory(path)
  if not files.is_dir(root) then errors.raise("root: expected a folder, got '%s'", root) end
  local records, columns, split = read_table(path, opts)
  local listing, index = layout.listing(nil, not split and "all" or nil), file_index.new(root, opts.outside)
  for i, record in ipairs(records) do listing.samples[i] = read_sample(path, record, index, split, opts) end
  place_samples(path, listing, index, opts.file)
  read_labels(path, listing, columns, opts)
  keep_known(path, listing)
  if split then split_csv.complete(listing, files.base(path)) end
  listing.title, listing.listed = path, true
  listing.grouped = type(opts.group) == "string" and records[1][opts.group] and opts.group or nil
  for i in ipairs(listing.classes) do listing.places[i] = path end
  if not listing.multi_label and #listing.classes < 2 then
    errors.raise("%s: column '%s': expected at least 2 classes, found %s", path, columns[1],
      listing.classes[1] and "only '" .. listing.classes[1] .. "'" or "none")
  end
  return from_files.build("csv", listing, opts)
end

--- Images listed in a table (.csv, .tsv): a column of files, and labels. `sc.data.csv`.
--
-- Files are relative to `root` and may lack their ending, or the folders that they lie in: then the one file of that
-- name below the root is meant (said on stderr), and two of them are an error; where lines with several folders would
-- be one file by its name, they are not there. Files outside of the root are refused but with `outside = true`. Byte
-- order marks, quoted fields and any line ends are read; so are backslashes in paths. Labels are
--
-- * a column of classes, in natural order;
-- * a column of 1 and 0 (true, false) under the name of a finding X: classes "no X" and "X" (not of a column called
--   label, class, target, diagnosis, category or y, whose values stay as they are);
-- * a list of such columns: a multi-label set, see `Split`; `exclusive = true`: classes, of which each image has one;
-- * a column with `label_separator` ("|") between findings: a multi-label set.
--
-- What is blank, "nan" or -1 is unknown.
-- @string path
-- @tab[opt] opts `file` ("file": the column of files), `label` ("label"), `split` (column of train, val and test; by
-- default "split" where there is one; false: splits are assigned), `group` (a column, or a function of the path: images
-- of one group never lie in two splits), `root` (the table's folder), `separator` (a comma, semicolon or tab, whichever
-- the first line has most of), `label_separator`, `none` ("No Finding": what such a column says where there is none),
-- `unknown` ("ignore": no part in loss and measures, and left out where nothing else is known; "negative"; "positive"),
-- `exclusive` (false), `outside` (false), and those of `sc.data.folder`
-- @treturn Dataset
-- @usage
-- local data = sc.data.csv("HAM10000_metadata.csv", { file = "image_id", label = "dx", group = "lesion_id" })
-- local several = sc.data.csv("Data_Entry_2017.csv", { file = "Image Index", label = "Finding Labels",
--   label_separator = "|", group = "Patient ID" })
return function(path, opts)
  options.value("csv", "path", path, { type = "string", required = true })
  opts = dataset.options("csv", opts, rules)
  local result = errors.within("csv", read, path, opts)
  return result
end
