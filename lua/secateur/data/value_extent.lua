--- Looks whether the images of a data set use the range of values that their format has: radiographs of 12 bits in
-- files of 16 are nearly black to a program that takes the format at its word.
-- @module secateur.data.value_extent
local core = require "secateur.core"
local stratification = require "secateur.data.stratification"

local value_extent = {}

-- How many images are looked at, and below which part of the format's highest value all of them are suspicious.
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

-- The brightest of the images, by its part of the format's highest value, and how many could be read.
local function find_brightest(rows)
  local brightest, count = nil, 0
  for source, list in pairs(rows) do
    for _, extent in ipairs(source:extents(list)) do
      if extent then
        count = count + 1
        local part = extent.high / extent.limit
        if not brightest or part > brightest.part or part == brightest.part and extent.limit > brightest.limit then
          brightest = { part = part, high = extent.high, limit = extent.limit, bits = extent.bits }
        end
      end
    end
  end
  return brightest, count
end

--- What to say of a data set whose images are all dark; nil where they are not, or where `range` says what is white.
-- @tab parts train, val, test -> part, as `dataset.new` takes them
-- @tab opts `range`, `seed`; without `resize`, images need no looking at
-- @treturn ?string
function value_extent.note(parts, opts)
  if opts.range or not opts.resize then return nil end
  local rows, total = choose(parts, opts.seed or 0)
  local found, count = find_brightest(rows)
  if not found or found.part >= 1 / PART then return nil end
  local whole = 1
  while whole < found.high do whole = 2 * whole + 1 end
  local looked = count < total and ("%d of %d images, chosen by the seed, have"):format(count, total)
    or "the images have"
  local bits = found.bits
    and ("; their sBIT says that %d bits count, but they are not scaled up to 16"):format(found.bits) or ""
  return ("%s no value above %.0f, where their format goes to %.0f%s: they are nearly black. range = {0, %d} says what "
    .. "is black and white for all, 'percentile' or 'full' find it for each image"):format(looked, found.high,
      found.limit, bits, whole)
end

return value_extent
