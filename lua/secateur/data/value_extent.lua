--- Looks whether the images of a data set use the range of values that they are read with: radiographs of 12 bits in
-- files of 16 are nearly black to a program that takes the format at its word, and so are files of 8 bits where `range`
-- is that of 12.
-- @module secateur.data.value_extent
local core = require "secateur.core"
local stratification = require "secateur.data.stratification"

local value_extent = {}

-- How many images are looked at, and below which part of the range all of them are suspicious.
local LOOKED_AT, PART = 32, 8

-- Some images of all parts, chosen by the seed: source -> list of rows; and how many there are to choose from.
local function choose(parts, seed)
  local all = {}
  for _, name in ipairs(stratification.names) do
    local part = parts[name]
    local again = name == "test" and part == parts.val
    for _, row in ipairs(again and {} or part.rows) do all[#all + 1] = { source = part.source, row = row } end
  end
  local rows = {}
  for i, position in ipairs(core.permutation(#all, core.mix(seed, LOOKED_AT))) do
    if i > LOOKED_AT then break end
    local entry = all[position]
    rows[entry.source] = rows[entry.source] or {}
    table.insert(rows[entry.source], entry.row)
  end
  return rows, #all
end

-- The extents of the images that could be read, those of 8 and of 16 bits apart, since bright ones of one kind say
-- nothing of the other: a list of `{limit=, low=, high=, bits=, count=}`, and how many images there are in all.
local function find_extents(rows)
  local kinds, count = {}, 0
  for source, list in pairs(rows) do
    for _, extent in ipairs(source:extents(list)) do
      if extent then
        local kind = kinds[extent.limit]
        if not kind then
          kind = { limit = extent.limit, low = extent.low, high = extent.high, bits = extent.bits, count = 0 }
          kinds[extent.limit] = kind
        end
        count, kind.count = count + 1, kind.count + 1
        kind.low = math.min(kind.low, extent.low)
        if extent.high > kind.high then kind.high, kind.bits = extent.high, extent.bits end
      end
    end
  end
  local list = {}
  for _, kind in pairs(kinds) do list[#list + 1] = kind end
  table.sort(list, function(a, b) return a.limit < b.limit end)
  return list, count
end

-- Which images are meant: the subject of a sentence, its verb included.
local function subject(kind, count, total)
  if kind.count < count then
    return ("%d of %d images looked at are of %d bits and have"):format(kind.count, count,
      kind.limit > 255 and 16 or 8)
  end
  return count < total and ("%d of %d images, chosen by the seed, have"):format(count, total) or "the images have"
end

-- What is wrong with images whose range nobody gave; nil where nothing is.
local function note_stored(kind, who, mixed)
  if kind.high >= kind.limit / PART then return nil end
  local whole = 1
  while whole < kind.high do whole = 2 * whole + 1 end
  local bits = kind.bits
    and ("; their sBIT says that %d bits count, but they are not scaled up to 16"):format(kind.bits) or ""
  local way = mixed and "range = 'percentile' or 'full' finds what is black and white for each image"
    or ("range = {0, %d} says what is black and white for all, 'percentile' or 'full' find it for each image"):format(
      whole)
  return ("%s no value above %.0f, where their format goes to %.0f%s: they are nearly black. %s"):format(who, kind.high,
    kind.limit, bits, way)
end

-- The same of images that are read with a range given: dark ones are meant to be, unless the range is that of files of
-- more bits, or nothing is left of them.
local function note_given(kind, who, range)
  local low, high = range[1], range[2]
  local dark = kind.high <= low or high > kind.limit and kind.high < low + (high - low) / PART
  if not dark and kind.low < high then return nil end
  return ("%s no value %s %.0f, where range goes from %.14g to %.14g: they are %s. It counts in stored units, of these "
    .. "files 0 .. %.0f; range = 'percentile' or 'full' finds what is black and white for each image"):format(who,
      dark and "above" or "below", dark and kind.high or kind.low, low, high,
      dark and (kind.high <= low and "black" or "nearly black") or "white", kind.limit)
end

--- What to say of a data set whose images, or whose images of one depth, are all dark, or all white by the range that
-- was given; nil where they are not, or where each image has a range of its own.
-- @tab parts train, val, test -> part, as `dataset.new` takes them
-- @tab opts `range`, `seed`; without `resize`, images need no looking at
-- @treturn ?string
function value_extent.note(parts, opts)
  if type(opts.range) == "string" or not opts.resize then return nil end
  local rows, total = choose(parts, opts.seed or 0)
  local kinds, count = find_extents(rows)
  local notes = {}
  for _, kind in ipairs(kinds) do
    local who = subject(kind, count, total)
    if opts.range then
      notes[#notes + 1] = note_given(kind, who, opts.range)
    else
      notes[#notes + 1] = note_stored(kind, who, #kinds > 1)
    end
  end
  return notes[1] and table.concat(notes, "; ") or nil
end

return value_extent
