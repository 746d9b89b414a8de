--- Which classes of a listing are used, in which order and under which names: the option `classes`.
-- @module secateur.data.selection
local errors = require "secateur.util.errors"
local files = require "secateur.util.files"
local options = require "secateur.util.options"
local visible = require "secateur.util.visible"

local selection = {}

local EXPECTED = "a list of class names, or a table of new name = 'old name' or { 'old', 'names' }"

local function is_name(value)
  return type(value) == "string" and value ~= "" or math.type(value) == "integer"
end

local function is_name_list(value)
  for i = 1, #value do
    if not is_name(value[i]) then return false end
  end
  return #value > 0
end

--- A check of the option `classes`, for `util/options`.
-- @tab value
-- @treturn boolean
-- @treturn string what was expected
function selection.is_classes(value)
  if #value > 0 then
    local count = 0
    for _ in pairs(value) do count = count + 1 end
    return count == #value and is_name_list(value), EXPECTED
  end
  for new, old in pairs(value) do
    local good = type(old) == "table" and is_name_list(old) or is_name(old)
    if type(new) ~= "string" or new == "" or not good then return false, EXPECTED end
  end
  return next(value) ~= nil, EXPECTED
end

-- The keys of a map: those of `order` as they stand there, then the others in natural order.
local function ordered_keys(map, order)
  local first, others, taken = {}, {}, {}
  for _, name in ipairs(order or {}) do
    if map[name] ~= nil and not taken[name] then first[#first + 1], taken[name] = name, true end
  end
  for name in pairs(map) do
    if not taken[name] then others[#others + 1] = name end
  end
  return table.move(files.sort_natural(others), 1, #others, #first + 1, first)
end

--- The option `classes` as a list of `{name=, from = {old names}}`, in the order of the classes: as listed; or of the
-- new names, those that the model `like` knows in its order, the others in natural order.
-- @tab given
-- @tparam[opt] Model like
-- @treturn table
function selection.wanted(given, like)
  local wanted = {}
  for i, name in ipairs(given) do wanted[i] = { name = tostring(name), from = { tostring(name) } } end
  if #wanted > 0 then return wanted end
  for i, name in ipairs(ordered_keys(given, like and like.classes)) do
    local from = {}
    for k, old in ipairs(type(given[name]) == "table" and given[name] or { given[name] }) do from[k] = tostring(old) end
    wanted[i] = { name = name, from = from }
  end
  return wanted
end

-- Old label -> new one.
local function renumber(wanted, classes)
  local number, new_of, taken = {}, {}, {}
  for label, class in ipairs(classes) do number[class] = label end
  for new, entry in ipairs(wanted) do
    if taken[entry.name] then errors.raise("classes: '%s' is named twice", entry.name) end
    taken[entry.name] = true
    for _, old in ipairs(entry.from) do
      local label = number[old]
      if not label then
        local known = {}
        for i, class in ipairs(classes) do known[i] = visible(class) end
        errors.raise("classes: there is no class '%s' here, expected some of %s (classes = { ['%s'] = 'its name here', "
          .. "... } renames)", old, options.describe_all(known), old)
      end
      if new_of[label] then errors.raise("classes: '%s' is named twice", old) end
      new_of[label] = new
    end
  end
  return new_of
end

-- A list of findings under new numbers: present if any of those merged is, else unknown if any is.
local function merge_findings(label, new_of, count)
  local merged = {}
  for new = 1, count do merged[new] = 0 end
  for old, value in ipairs(label) do
    local new = new_of[old]
    if new and (value == 1 or value == -1 and merged[new] == 0) then merged[new] = value end
  end
  return merged
end

-- Says which classes are not used, and how many images they have.
local function note_left(listing, new_of, counts)
  local left = {}
  for label, class in ipairs(listing.classes) do
    if not new_of[label] then
      left[#left + 1] = ("'%s' (%d images)"):format(visible(class), counts[label] or 0)
    end
  end
  if #left > 0 then
    table.insert(listing.notes, ("left out by classes: %s"):format(table.concat(left, ", ")))
  end
end

--- Applies the option `classes`: order, selection, renaming, merging.
-- @tab listing changed in place
-- @tab opts with the option, and the model `like`
function selection.apply_classes(listing, opts)
  selection.apply(listing, opts.classes and selection.wanted(opts.classes, opts.like))
end

--- Applies what `wanted` gives.
-- @tab listing changed in place
-- @tab[opt] wanted
function selection.apply(listing, wanted)
  if not wanted then return end
  local new_of, counts, kept = renumber(wanted, listing.classes), {}, {}
  for _, sample in ipairs(listing.samples) do
    local label = sample.label
    if listing.multi_label then
      for old, value in ipairs(label) do counts[old] = (counts[old] or 0) + (value == 1 and 1 or 0) end
      sample.label = merge_findings(label, new_of, #wanted)
      kept[#kept + 1] = sample
    else
      counts[label] = (counts[label] or 0) + 1
      sample.label = new_of[label]
      kept[#kept + 1] = sample.label and sample or nil
    end
  end
  note_left(listing, new_of, counts)
  local classes, places, skipped = {}, {}, {}
  for new, entry in ipairs(wanted) do classes[new] = entry.name end
  for old, new in pairs(new_of) do places[new] = places[new] or listing.places[old] end
  for _, entry in ipairs(listing.skipped) do
    if not entry.label or new_of[entry.label] then skipped[#skipped + 1] = entry end
  end
  listing.classes, listing.places, listing.samples, listing.skipped = classes, places, kept, skipped
end

--- Makes classes "no X" and "X" of a single finding X, without the images of which it is unknown.
-- @tab listing changed in place, if it is multi-label with one finding
function selection.make_binary(listing)
  if not listing.multi_label or #listing.classes ~= 1 then return end
  local kept, unknown = {}, 0
  for _, sample in ipairs(listing.samples) do
    local value = sample.label[1]
    if value < 0 then
      unknown = unknown + 1
    else
      kept[#kept + 1], sample.label = sample, value + 1
    end
  end
  local finding, place = listing.classes[1], listing.places[1]
  listing.multi_label, listing.samples = nil, kept
  listing.classes, listing.places = { "no " .. finding, finding }, { place, place }
  if unknown > 0 then
    table.insert(listing.notes, ("images left out of which '%s' is unknown: %d"):format(finding, unknown))
  end
end

return selection
