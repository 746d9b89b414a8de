--- Groups of samples that belong together, as the images of a patient: where they are from, and whether splits that a
-- set brings along keep them apart.
-- @module secateur.data.groups
local errors = require "secateur.util.errors"
local names = require "secateur.data.names"
local options = require "secateur.util.options"
local stratification = require "secateur.data.stratification"

local groups = {}

-- How many groups a warning names.
local NAMED = 3

--- Gives the samples of a listing their groups, where the option says how; else they keep those of their reader.
-- @tab listing `grouped`: the column that its reader has read them from
-- @param given the option: a function of (name, path), or a column's name
function groups.assign(listing, given)
  if type(given) == "string" and listing.grouped ~= given then
    errors.raise("group: expected a function of the path, since there is no table with columns, got '%s'", given)
  elseif type(given) ~= "function" then
    return
  end
  for _, sample in ipairs(listing.samples) do
    local group = given(sample.name, sample.path)
    if group ~= nil and type(group) ~= "string" and not math.type(group) then
      errors.raise("group: expected the function to give a string, a number or nil, got %s for '%s'",
        options.describe(group), names.printable(sample.name))
    end
    sample.group = group ~= nil and tostring(group) or nil
  end
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
