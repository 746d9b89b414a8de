--- Colour maps for relevance, by name.
--
-- The signed ones of our own are defined in OKLab (Ottosson 2020), where equal steps look about equal: from a light
-- grey at zero, both sides take the same lightness and chroma at the same magnitude and differ in hue alone, so that
-- relevance r and -r stand equally far from nothing, and what is darker is more relevant, also in print and to every
-- kind of colour vision. The others are those that users of other packages know.
-- @module secateur.explanations.colormaps
local core = require "secateur.core"
local options = require "secateur.util.options"

local colormaps = {}

-- Rows of a table: odd, so that one of them is zero.
local ENTRIES = 257

-- Two hues (degrees) of one row of stops {magnitude, lightness, chroma}; the stops keep inside sRGB for both hues.
local two_sided = {
  red_blue = { positive = 27, negative = 262, { 0, 0.975, 0 }, { 0.5, 0.72, 0.14 }, { 1, 0.47, 0.185 } },
  purple_green = { positive = 315, negative = 152, { 0, 0.975, 0 }, { 0.5, 0.71, 0.125 }, { 1, 0.45, 0.115 } },
  orange_blue = { positive = 52, negative = 250, { 0, 0.975, 0 }, { 0.5, 0.74, 0.13 }, { 1, 0.5, 0.124 } },
}

-- Colours at even distances, from the most negative (or, of a one-sided map, from zero) to the most positive, joined in
-- the space named. bwr, seismic, hot and viridis as in matplotlib, cold_hot as zennit's coldnhot.
local listed = {
  bwr = { "#0000ff", "#ffffff", "#ff0000", signed = true, space = "srgb" },
  seismic = { "#00004d", "#0000ff", "#ffffff", "#ff0000", "#800000", signed = true, space = "srgb" },
  cold_hot = { "#00ffff", "#0000ff", "#000000", "#ff0000", "#ffff00", signed = true, space = "srgb" },
  heat = { "#f7f7f7", "#fddc9a", "#fca34d", "#e5532b", "#8e0f24", space = "oklab" },
  hot = { "#0b0000", "#ff0000", "#ffff00", "#ffffff", space = "srgb", at = { 0, 0.365, 0.746, 1 } },
  viridis = { "#440154", "#472d7b", "#3b528b", "#2c728e", "#21918c", "#28ae80", "#5ec962", "#addc30", "#fde725",
    space = "oklab" },
  grey = { "#000000", "#ffffff", space = "oklab" },
}

--- The names of all maps, sorted.
-- @treturn {string,...}
function colormaps.names()
  local names = {}
  for _, group in ipairs { two_sided, listed } do
    for name in pairs(group) do names[#names + 1] = name end
  end
  table.sort(names)
  return names
end

local function encode(linear)
  linear = math.min(1, math.max(0, linear))
  return linear <= 0.0031308 and 12.92 * linear or 1.055 * core.math.pow(linear, 1 / 2.4) - 0.055
end

local function decode(value)
  return value <= 0.04045 and value / 12.92 or core.math.pow((value + 0.055) / 1.055, 2.4)
end

local function cube(x) return x * x * x end

--- OKLab to sRGB; what lies outside is cut off.
-- @number lightness 0..1
-- @number a
-- @number b
-- @treturn {number,number,number} red, green, blue in 0..1
function colormaps.from_oklab(lightness, a, b)
  local l = cube(lightness + 0.3963377774 * a + 0.2158037573 * b)
  local m = cube(lightness - 0.1055613458 * a - 0.0638541728 * b)
  local s = cube(lightness - 0.0894841775 * a - 1.2914855480 * b)
  return { encode(4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s),
    encode(-1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s),
    encode(-0.0041960863 * l - 0.7034186147 * m + 1.7076147010 * s) }
end

--- sRGB to OKLab.
-- @tab colour red, green, blue in 0..1
-- @treturn {number,number,number} lightness, a, b
function colormaps.to_oklab(colour)
  local red, green, blue = decode(colour[1]), decode(colour[2]), decode(colour[3])
  local l = core.math.pow(0.4122214708 * red + 0.5363325363 * green + 0.0514459929 * blue, 1 / 3)
  local m = core.math.pow(0.2119034982 * red + 0.6806995451 * green + 0.1073969566 * blue, 1 / 3)
  local s = core.math.pow(0.0883024619 * red + 0.2817188376 * green + 0.6299787005 * blue, 1 / 3)
  return { 0.2104542553 * l + 0.7936177850 * m - 0.0040720468 * s,
    1.9779984951 * l - 2.4285922050 * m + 0.4505937099 * s, 0.0259040371 * l + 0.7827717662 * m - 0.8086757660 * s }
end

-- The value at x of stops {x, value, …}, joined by straight lines.
local function interpolate(stops, x)
  local i = 1
  while i < #stops - 1 and x > stops[i + 1][1] do i = i + 1 end
  local low, high, value = stops[i], stops[i + 1], {}
  local share = (x - low[1]) / (high[1] - low[1])
  for k = 2, #low do value[k - 1] = (1 - share) * low[k] + share * high[k] end
  return value
end

local function two_sided_rows(map)
  local rows = {}
  for i = 1, ENTRIES do
    local t = 2 * (i - 1) / (ENTRIES - 1) - 1
    local at, hue = interpolate(map, math.abs(t)), math.rad(t < 0 and map.negative or map.positive)
    rows[i] = colormaps.from_oklab(at[1], at[2] * core.math.cos(hue), at[2] * core.math.sin(hue))
  end
  return rows
end

local function parse(text)
  local rgb = {}
  for hex in text:gmatch("%x%x") do rgb[#rgb + 1] = tonumber(hex, 16) / 255 end
  return rgb
end

local function listed_rows(map)
  local stops, rows = {}, {}
  for i, text in ipairs(map) do
    local colour = parse(text)
    if map.space == "oklab" then colour = colormaps.to_oklab(colour) end
    stops[i] = { map.at and map.at[i] or (i - 1) / (#map - 1), table.unpack(colour) }
  end
  for i = 1, ENTRIES do
    local colour = interpolate(stops, (i - 1) / (ENTRIES - 1))
    rows[i] = map.space == "oklab" and colormaps.from_oklab(table.unpack(colour)) or colour
  end
  return rows
end

-- A list of the user's own colours as a map of `listed`, or nil and what is wrong.
local function own(list)
  local map = { space = "oklab", signed = not list.one_sided }
  for key in pairs(list) do
    if math.type(key) ~= "integer" and key ~= "one_sided" then
      return nil, ("colormap: expected a list of colours and one_sided, got the key %s"):format(options.describe(key))
    end
  end
  for i, colour in ipairs(list) do
    if type(colour) ~= "string" or not colour:find("^#%x%x%x%x%x%x$") then
      return nil, ("colormap: expected colours like '#b2182b', got %s at %d"):format(options.describe(colour), i)
    end
    map[i] = colour
  end
  if #map < 2 or map.signed and #map % 2 == 0 then
    return nil, ("colormap: expected %s, got %d"):format(map.signed and "an odd number of colours from 3, zero in the "
      .. "middle" or "at least 2 colours", #map)
  end
  return map
end

local known = {}

--- A colour map as the native core takes it.
-- @param map a name; or a list of colours like "#b2182b", the most negative first and zero in the middle, or with
-- `one_sided = true` from zero on
-- @treturn[1] table `table` (Tensor [N x 3]), `zero` (the row of no relevance, from 1), `signed` (whether it has a side
-- for negative relevance)
-- @return[2] nil
-- @treturn[2] string what is wrong
function colormaps.find(map)
  if known[map] then return known[map] end
  local rows, signed
  if type(map) == "string" and two_sided[map] then
    rows, signed = two_sided_rows(two_sided[map]), true
  else
    local list, message = listed[map], nil
    if type(map) == "table" then list, message = own(map) end
    if not list then
      return nil, message or ("colormap: expected one of %s or a list of colours, got %s%s"):format(
        table.concat(colormaps.names(), ", "), options.describe(map), options.suggest(map, colormaps.names()))
    end
    rows, signed = listed_rows(list), list.signed or false
  end
  local found = { table = core.tensor(rows), zero = signed and (ENTRIES + 1) // 2 or 1, signed = signed }
  if type(map) == "string" then known[map] = found end
  return found
end

return colormaps
