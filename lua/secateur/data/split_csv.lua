--- Reads `split.csv`: columns file, label, split, and one for groups where asked for.
-- @module secateur.data.split_csv
local csv = require "secateur.util.csv"
local errors = require "secateur.util.errors"
local files = require "secateur.util.files"
local groups = require "secateur.data.groups"
local layout = require "secateur.data.layout"
local outside = require "secateur.data.outside"
local visible = require "secateur.util.visible"

local split_csv = {}

-- A file's name as its table has it, in one form (see `files.normal`), and with slashes for the backslashes of Windows.
local function plain(root, name)
  if name:find("\\", 1, true) and not files.is_file(files.join(root, name)) then name = name:gsub("\\", "/") end
  return files.normal(name)
end

--- The sentence and the `divide` of a listing by the splits that its samples have: val is split off of train where
-- there is none, and test is what val is.
-- @tab listing its `divide` and `same` are set, and its notes added to
-- @string what the splits are from, for the notes
function split_csv.complete(listing, what)
  local present = {}
  for _, sample in ipairs(listing.samples) do present[sample.split] = true end
  if present.train and present.test and not present.val then
    listing.divide = "train"
    table.insert(listing.notes, what .. " has no val: it is split off of train")
  elseif present.train and present.val and not present.test then
    listing.same = true
    table.insert(listing.notes, what .. " has no test: test is val, the same images (what is chosen by val looks "
      .. "better on them than on new ones)")
  end
end

-- Checks one record; gives its sample.
local function read_record(root, path, record, canonical, expected, leads_out)
  local split = layout.split_name(record.split)
  local class = record.label ~= "" and record.label or nil
  if class and canonical then class = canonical(class) end
  layout.check_name(("%s:%d: file"):format(path, record.line), record.file)
  if not class then
    errors.raise("%s:%d: label: expected %s, got '%s'", path, record.line, expected, record.label)
  end
  if not split then
    errors.raise("%s:%d: split: expected train, val or test, got '%s'", path, record.line, record.split)
  end
  local name, leaves = plain(root, record.file)
  local real = leads_out and not leaves and leads_out(files.join(root, name))
  if leads_out and (leaves or real) then
    errors.raise("%s:%d: file: expected one below the folder of the table, got '%s'%s (outside = true takes files from "
      .. "anywhere)", path, record.line, record.file, real and (", a link to '%s'"):format(real) or "")
  end
  return { name = name, path = files.join(root, name), label = class, split = split, line = record.line }
end

--- Gives samples whose labels are names their numbers.
-- @tab listing its samples' labels are names; `classes` where they are fixed, else they are set: the labels that occur,
-- in natural order
-- @string path of the table, for `places`
function split_csv.number_labels(listing, path)
  local number, first = {}, {}
  for _, sample in ipairs(listing.samples) do
    if not first[sample.label] then
      first[sample.label], first[#first + 1] = sample.line, sample.label
    end
  end
  listing.classes = listing.classes or files.sort_natural(table.move(first, 1, #first, 1, {}))
  for i, class in ipairs(listing.classes) do
    number[class], listing.places[i] = i, ("%s:%d"):format(path, first[class] or 1)
  end
  for _, sample in ipairs(listing.samples) do sample.label = number[sample.label] end
end

-- Says how many images of the folder the table does not have.
local function note_unlisted(listing, root)
  local count, first, seen = 0, nil, {}
  local found, about = files.walk(root, { leave = layout.is_litter })
  if not found then
    table.insert(listing.notes, ("not looked for images that split.csv does not list: %s"):format(about))
    return
  end
  for _, sample in ipairs(listing.samples) do
    sample.identity = files.identity(sample.path)
    seen[sample.identity or sample.path] = true
  end
  for _, name in ipairs(found) do
    if not seen[about[name].identity or files.join(root, name)] and layout.is_picture(name) then
      count, first = count + 1, first or name
    end
  end
  if count > 0 then
    table.insert(listing.notes, ("images that split.csv does not list: %d ('%s', ...)"):format(count,
      visible(first)))
  end
end

-- The lines of the table, whatever separates their fields.
local function read_records(path, columns, optional)
  local records, message = csv.records(path, columns, { separator = "detect", optional = { optional } })
  if records then return records end
  local missing = message:match ": no column '([^']*)'"
  local way = (missing == "file" or missing == "label" or missing == "split")
    and " (sc.data.csv takes columns of any names, and assigns splits where there are none)" or ""
  errors.raise("%s%s", message, way)
end

--- Reads `split.csv` in a folder (its fields between commas, semicolons or tabs); its files are relative to it.
-- @string root
-- @tab opts `group`: a column's name, or something else; `outside`: whether its files may lie elsewhere
-- @func[opt] canonical turns a label as written into the class's name, or nil for one that is no class
-- @tab[opt] classes the class names, if they are fixed; else they are the labels that occur
-- @treturn table listing, or nil where there is no such file
function split_csv.read(root, opts, canonical, classes)
  local path = files.join(root, "split.csv")
  if not layout.has_file(path) then return nil end
  local group, optional = groups.column(opts.group)
  local columns, seen = { "file", "label", "split", group }, {}
  local listing, leads_out = layout.listing(classes), not opts.outside and outside.links(root)
  local expected = classes and "one of " .. table.concat(classes, ", ") or "a class"
  for i, record in ipairs(read_records(path, columns, optional)) do
    if record[optional or ""] then group = optional end
    local sample = read_record(root, path, record, canonical, expected, leads_out)
    if seen[sample.name] then
      errors.raise("%s:%d: file '%s' is already in line %d", path, record.line, record.file, seen[sample.name])
    end
    seen[sample.name] = record.line
    if group then sample.group = groups.of_cell(record[group]) end
    listing.samples[i] = sample
  end
  split_csv.number_labels(listing, path)
  split_csv.complete(listing, "split.csv")
  note_unlisted(listing, root)
  listing.grouped, listing.listed = group, true
  return listing
end

return split_csv
