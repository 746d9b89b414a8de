--- Groups of samples that belong together, as the images of a patient: where they are from, and whether splits that a
-- set brings along keep them apart.
-- @module secateur.data.groups
local core = require "secateur.core"
local errors = require "secateur.util.errors"
local options = require "secateur.util.options"
local stratification = require "secateur.data.stratification"

local groups = {}

-- How many groups a warning names.
local NAMED = 3

-- Option -> the place among the identifiers of a DICOM file that `core.dicom_identifiers` gives, and its name there.
local identifiers = { patient = { 1, "PatientID" }, study = { 2, "StudyInstanceUID" } }

--- Which column of a table an option names: `"patient"` and `"study"` are one only where the table has it, else
-- those of DICOM headers.
-- @param given the option
-- @treturn ?string a column that the table must have
-- @treturn ?string one that it may have
function groups.column(given)
  if type(given) ~= "string" then return nil, nil end
  if identifiers[given] then return nil, given end
  return given, nil
end

-- Says how many samples have no group, where others have.
local function note_without(listing, samples, given, what)
  given = type(given) == "string" and ("'%s'"):format(given) or "function"
  local without = 0
  for _, sample in ipairs(samples) do without = without + (sample.group == nil and 1 or 0) end
  if without == 0 then return end
  table.insert(listing.notes, ("group = %s: images without %s, each a group of its own: %d of %d"):format(given, what,
    without, #samples))
end

--- A cell as the name of a group: nothing, or what pandas makes of nothing, is none.
-- @string cell
-- @treturn ?string
function groups.of_cell(cell)
  if cell ~= "" and cell:lower() ~= "nan" then return cell end
  return nil
end

-- Groups by the headers of DICOM files.
local function assign_by_header(listing, samples, given)
  local place, attribute = table.unpack(identifiers[given])
  local without = 0
  for _, sample in ipairs(samples) do
    local found = { core.dicom_identifiers(sample.path) }
    sample.group = found[1] and found[place] or nil
    if not sample.group then without = without + 1 end
  end
  if without == #samples then
    errors.raise("group: expected DICOM files with %s%s, found none (a column of a table, or a function of the path, "
      .. "also tells groups)", attribute, listing.listed and (" or a column '%s'"):format(given) or "")
  end
  note_without(listing, samples, given, attribute)
end

--- Gives the samples of a listing their groups, where the option says how; else they keep those of their reader.
-- @tab listing `grouped`: the column that its reader has read them from, or what its groups are anyway
-- @tab samples those of them that are left
-- @param given the option: a function of (name, path), a column's name, or "patient" or "study" of DICOM headers
function groups.assign(listing, samples, given)
  if identifiers[given] and listing.grouped ~= given then return assign_by_header(listing, samples, given) end
  if type(given) == "string" and listing.grouped ~= given then
    errors.raise("group: expected a function of the path, since there is no table with columns, got '%s'", given)
  elseif type(given) == "string" then
    return note_without(listing, samples, given, "one in that column")
  elseif not given then
    return
  end
  for _, sample in ipairs(samples) do
    local group = given(sample.name, sample.path)
    if group ~= nil and type(group) ~= "string" and not math.type(group) then
      errors.raise("group: expected the function to give a string, a number or nil, got %s for '%s'",
        options.describe(group), sample.name)
    end
    sample.group = group ~= nil and tostring(group) or nil
  end
  note_without(listing, samples, given, "one")
end

-- Groups whose samples lie in several splits, in order of appearance: `{name=, first = {split -> sample}}`.
local function find_divided(samples)
  local by_name, divided = {}, {}
  for _, sample in ipairs(samples) do
    if sample.group then
      local group = by_name[sample.group]
      if not group then
        group = { name = sample.group, first = {}, count = 0 }
        by_name[sample.group] = group
      end
      if not group.first[sample.split] then
        group.first[sample.split], group.count = sample, group.count + 1
        if group.count == 2 then divided[#divided + 1] = group end
      end
    end
  end
  return divided
end

local function describe(group)
  local where = {}
  for _, split in ipairs(stratification.names) do
    local sample = group.first[split]
    where[#where + 1] = sample and ("%s (%s)"):format(split, sample.name) or nil
  end
  return ("'%s' in %s"):format(group.name, table.concat(where, " and "))
end

-- Without the samples of divided groups that are not in the last split of their group: test before val before train.
local function drop(samples, divided)
  local keep_in, kept = {}, {}
  for _, group in ipairs(divided) do
    for _, split in ipairs(stratification.names) do
      if group.first[split] then keep_in[group.name] = split end
    end
  end
  for _, sample in ipairs(samples) do
    local split = sample.group and keep_in[sample.group]
    if not split or split == sample.split then kept[#kept + 1] = sample end
  end
  return kept
end

--- Looks for groups that lie in several splits, where a set brings its splits along.
-- @tab samples with `group` and `split`
-- @string way "warn", "drop" (they stay in one split: test, else val), "error" or "ignore"
-- @treturn table the samples that are left
-- @treturn ?string what there is to say
function groups.check(samples, way)
  local divided = way ~= "ignore" and find_divided(samples) or {}
  if #divided == 0 then return samples, nil end
  local described = {}
  for i = 1, math.min(#divided, NAMED) do described[i] = describe(divided[i]) end
  if #divided > NAMED then described[#described + 1] = ("and %d more"):format(#divided - NAMED) end
  local text = ("groups in more than one split (%d): %s"):format(#divided, table.concat(described, "; "))
  if way == "error" then errors.raise("%s", text) end
  if way == "warn" then
    return samples, text .. "; on_duplicate = 'drop' keeps each in the last split: test, else val"
  end
  local kept = drop(samples, divided)
  return kept, ("%s; images left out of the earlier split: %d"):format(text, #samples - #kept)
end

return groups
