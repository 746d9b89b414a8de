--- Which files of a listing are used: the options `only` and `skip`, and masks that lie among images.
-- @module secateur.data.filter
local glob = require "secateur.util.glob"

local filter = {}

--- A check of `only` and `skip`, for `util/options`.
-- @param value
-- @treturn boolean
-- @treturn string what was expected
function filter.are_patterns(value)
  local expected = "a pattern such as '*_mask.png', or a list of these"
  if type(value) == "string" then return value ~= "", expected end
  for i = 1, #value do
    if type(value[i]) ~= "string" or value[i] == "" then return false, expected end
  end
  return #value > 0, expected
end

local function matchers(patterns)
  local list = {}
  for i, pattern in ipairs(type(patterns) == "table" and patterns or { patterns }) do
    list[i] = { pattern = pattern, match = glob.matcher(pattern), count = 0 }
  end
  return list
end

-- The first pattern that a path matches, or nil.
local function first_match(list, path)
  for _, entry in ipairs(list) do
    if entry.match(path) then
      entry.count = entry.count + 1
      return entry
    end
  end
  return nil
end

local function note_patterns(listing, option, list)
  for _, entry in ipairs(list) do
    if entry.count == 0 then
      table.insert(listing.notes, ("%s = '%s' matches no file"):format(option, entry.pattern))
    end
  end
end

-- "benign (1)_mask.png" and "benign (1)_mask_1.png" are masks of "benign (1).png", as ISIC's "X_segmentation.png" is
-- of "X.jpg".
local function image_of_mask(name)
  local lower = name:lower()
  for _, pattern in ipairs { "^(.+)_mask%.%w+$", "^(.+)_mask_%d+%.%w+$", "^(.+)_segmentation%.%w+$" } do
    local stem = lower:match(pattern)
    if stem then return name:sub(1, #stem) end
  end
  return nil
end

--- Whether a folder's name says that masks are in it: "masks", "lung masks", "infection_mask".
-- @string name
-- @treturn boolean
function filter.is_mask_folder(name)
  return name:lower():find "%f[%a]masks?$" ~= nil
end

local function lies_in_masks(sample)
  for folder in sample.inside:gmatch "([^/]+)/" do
    if filter.is_mask_folder(folder) then return true end
  end
  return false
end

-- A test of samples for masks: those named after an image beside them, and those in a folder of masks in a class that
-- has images elsewhere.
local function mask_test(listing)
  local stems, outside = {}, {}
  for _, sample in ipairs(listing.samples) do
    stems[sample.name:match "^(.*)%.[^./]*$" or sample.name] = true
    if not lies_in_masks(sample) then outside[sample.label] = true end
  end
  return function(sample)
    local stem = image_of_mask(sample.name)
    if stem and stems[stem] then return true end
    return outside[sample.label] and lies_in_masks(sample)
  end
end

--- Applies `only` and `skip`, and leaves out masks (not where `only` says what is wanted). A class that is left with
-- nothing is an error of the caller's to raise: `listing.filtered` counts by label.
-- @tab listing changed in place
-- @tab opts `only`, `skip`
function filter.apply(listing, opts)
  local only, skip = matchers(opts.only or {}), matchers(opts.skip or {})
  local is_mask = not opts.only and not listing.listed and mask_test(listing) or function() return false end
  local kept, skipped, left, masks = {}, {}, 0, 0
  listing.filtered = {}
  for _, sample in ipairs(listing.samples) do
    local out = #only > 0 and not first_match(only, sample.name) or first_match(skip, sample.name)
    if out then
      left = left + 1
    elseif is_mask(sample) then
      masks = masks + 1
      out = true
    else
      kept[#kept + 1] = sample
    end
    if out and not listing.multi_label then
      listing.filtered[sample.label] = (listing.filtered[sample.label] or 0) + 1
    end
  end
  for _, entry in ipairs(listing.skipped) do
    local out = #only > 0 and not first_match(only, entry.name) or first_match(skip, entry.name)
    if not out then skipped[#skipped + 1] = entry end
  end
  if left > 0 then table.insert(listing.notes, ("files left out by only and skip: %d"):format(left)) end
  if masks > 0 then
    table.insert(listing.notes, ("masks left out: %d (only = '*' takes them as images)"):format(masks))
  end
  note_patterns(listing, "only", only)
  note_patterns(listing, "skip", skip)
  listing.samples, listing.skipped = kept, skipped
end

return filter
