--- How images are prepared, as options of `sc.data` and `sc.image`: which part becomes the square, by which filter, and
-- which stored values are black and white.
-- @module secateur.data.image_options
local errors = require "secateur.util.errors"
local options = require "secateur.util.options"

local image_options = {}

-- Beyond this no stored value lies, and single precision has no room for differences.
local MOST = 2 ^ 32

local MODES = { squash = true, crop = true, pad = true }

local function is_resize(value)
  return math.type(value) and math.tointeger(value) and value >= 1 and value <= 16384 or MODES[value] == true,
    "'squash', 'crop', 'pad' or the length of the shorter side"
end

local function is_range(value)
  local expected = "'full', 'percentile' or {low, high} in stored units, low below high, both within 2^32"
  if type(value) == "string" then return value == "full" or value == "percentile", expected end
  local low, high = value[1], value[2]
  local good = #value == 2 and math.type(low) and math.type(high) and low < high and low >= -MOST and high <= MOST
  return good and true or false, expected
end

local function is_window(value)
  local expected = "'file', 'full' or {centre, width}, a width of at least 1"
  if type(value) == "string" then return value == "full" or value == "file", expected end
  local centre, width = value[1], value[2]
  local good = #value == 2 and math.type(centre) and math.type(width) and centre - centre == 0 and width >= 1
    and width < math.huge
  return good and true or false, expected
end

--- The rules of these options.
image_options.rules = {
  resize = { type = { "string", "number" }, check = is_resize, default = "squash" },
  crop = { type = "integer", min = 1, max = 8192 },
  interpolation = { one_of = { "bilinear", "bicubic", "nearest" }, default = "bilinear" },
  range = { type = { "string", "table" }, check = is_range },
  window = { type = { "string", "table" }, check = is_window },
}

--- Completes checked options: with `resize = n, crop = m`, `size` is m, and without `crop`, `crop` is `size`.
-- @string name the public function
-- @tab opts checked; `size` may be nil where the caller finds one later
-- @tab[opt] given as the user wrote them
function image_options.complete(name, opts, given)
  if opts.window == "file" then opts.window = nil end
  if math.type(opts.resize) == "float" then opts.resize = math.tointeger(opts.resize) end
  local by_length = type(opts.resize) == "number"
  if not by_length then
    if opts.crop then
      errors.refuse(name, "crop: expected nothing where resize is '%s', got %d (resize = 256, crop = 224 makes the "
        .. "shorter side 256 and takes the middle 224 x 224)", opts.resize, opts.crop)
    end
    return
  end
  local size = given and given.size
  if opts.crop and size and size ~= opts.crop then
    errors.refuse(name, "size: expected %d, what crop leaves, or nothing, got %s", opts.crop, options.describe(size))
  end
  local given_crop = opts.crop
  opts.size = opts.crop or opts.size
  opts.crop = opts.size
  if opts.crop and opts.crop > opts.resize then
    errors.refuse(name, "crop: expected at most the %d of resize, got %d%s", opts.resize, opts.crop,
      size == nil and not given_crop and ", the size where none is given (crop = n takes a smaller middle)" or "")
  end
end

--- How images are prepared, as a split and a model remember it.
-- @tab opts checked and completed
-- @treturn table `size`, `channels`, `mean`, `std`, `resize`, `crop`, `interpolation`, `range`, `window`
function image_options.preparation(opts)
  local crop = opts.crop or type(opts.resize) == "number" and opts.size or nil
  return { size = opts.size, channels = opts.channels, mean = opts.mean, std = opts.std, resize = opts.resize,
    crop = crop, interpolation = opts.interpolation, range = opts.range, window = opts.window }
end

--- The same as options of the native loader, and of a source's batches; `crop` is their size, and `window` is the
-- source's own.
-- @tab preparation
-- @tab[opt] extra options that replace some or come on top
-- @treturn table
function image_options.native(preparation, extra)
  local opts = {}
  for key, value in pairs(preparation) do opts[key] = value end
  for key, value in pairs(extra or {}) do opts[key] = value end
  opts.crop, opts.window = nil, nil
  return opts
end

return image_options
