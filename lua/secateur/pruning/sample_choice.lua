--- What a strategy chose, checked: it is a user's function.
-- @module secateur.pruning.sample_choice
local errors = require "secateur.util.errors"
local options = require "secateur.util.options"

local sample_choice = {}

-- What a sample counts: as the item says, where it is a table that does, else as was written to the entry.
local function check_weight(item, entry, index)
  local weight = type(item) == "table" and rawget(item, "weight") or rawget(entry, "weight")
  if weight == nil or math.type(weight) and weight > 0 and weight < math.huge then return weight end
  errors.refuse("sample", "sampling: expected weights that are finite numbers above 0, got %s for sample %d",
    options.describe(weight), index)
end

-- Entry by its index: where an image has several findings, in a pool of all of them, the first of those not chosen.
local function group_by_index(entries)
  local by_index = {}
  for _, entry in ipairs(entries) do
    local list = by_index[entry.index] or {}
    list[#list + 1], by_index[entry.index] = entry, list
  end
  return by_index
end

local function find(by_index, item, seen)
  local index = item
  if type(item) == "table" and rawget(item, "index") ~= nil then index = rawget(item, "index") end
  local list = index ~= nil and by_index[index]
  if not list then return nil, index end
  for _, entry in ipairs(list) do
    if entry == item then return entry end
  end
  for _, entry in ipairs(list) do
    if not seen[entry] then return entry end
  end
  return list[1]
end

-- Whether a value is a list without holes; what it has besides, as table.pack's n, is of no matter.
local function is_list(value)
  if type(value) ~= "table" then return false end
  local count = 0
  for key in pairs(value) do
    if math.type(key) == "integer" then count = count + 1 end
  end
  return count == #value and (count > 0 or next(value) == nil)
end

--- Reads a choice.
-- @tparam {table,...} entries that could be chosen
-- @param chosen what the function gave: a list of entries, indices, or tables with `index` and perhaps `weight`
-- @string whose "class 'normal'" or the like, for messages
-- @treturn {table,...} entries in the order chosen, those with a weight have it as `weight`
function sample_choice.read(entries, chosen, whose)
  if not is_list(chosen) then
    errors.refuse("sample", "sampling: expected the function to give a list of entries or indices, got "
      .. options.describe(chosen) .. (type(chosen) == "table" and " that is none: it has names or holes" or ""))
  end
  local by_index, found, seen = group_by_index(entries), {}, {}
  for i, item in ipairs(chosen) do
    local entry, index = find(by_index, item, seen)
    if not entry then
      errors.refuse("sample", "sampling: expected entries or indices of %s, got %s at %d", whose,
        options.describe(index), i)
    end
    if seen[entry] then
      errors.refuse("sample", "sampling: expected each sample once, got %d twice", entry.index)
    end
    seen[entry], found[i] = true, entry
    entry.weight = check_weight(item, entry, entry.index)
  end
  return found
end

return sample_choice
