--- How the images of a model were prepared: what it was trained on decides what it may be shown.
--
-- `info.preparation` of a model holds `mean`, `std` (lists, a number per channel), `resize`, `crop`, `interpolation`,
-- `range` and `window`, as the options of `sc.data` of these names; what is not known is not there. Size and channels
-- are those of the model's input.
-- @module secateur.models.preparation
local errors = require "secateur.util.errors"
local is_list = require "secateur.util.is_list"
local options = require "secateur.util.options"

local preparation = {}

-- The fields, in the order of messages.
local fields = { "mean", "std", "resize", "crop", "interpolation", "range", "window" }

-- What sc.data does where nothing is asked for.
local defaults = { resize = "squash", interpolation = "bilinear", range = "stored", window = "file" }

local words = { resize = { squash = true, crop = true, pad = true }, range = { full = true, percentile = true },
  window = { file = true, full = true },
  interpolation = { bilinear = true, bicubic = true, nearest = true } }

local function is_finite(value) return math.type(value) ~= nil and value - value == 0 end

-- A list of `count` (any, where nil) numbers above `least`.
local function is_numbers(value, count, least)
  local function is_good(number) return is_finite(number) and not (least and number <= least) end
  return is_list(value, is_good) and #value > 0 and (not count or #value == count)
end

local function is_positive_integer(value) return math.type(value) == "integer" and value > 0 end

local expected = { mean = "a list of numbers", std = "a list of positive numbers", crop = "a size in pixels",
  resize = "'squash', 'crop', 'pad' or a size in pixels", interpolation = "'bilinear', 'bicubic' or 'nearest'",
  range = "'full', 'percentile' or two numbers, the lower first",
  window = "'file', 'full' or two numbers, centre and width" }

local good = {
  mean = function(value) return is_numbers(value) end,
  std = function(value) return is_numbers(value, nil, 0) end,
  crop = is_positive_integer,
  resize = function(value) return words.resize[value] or is_positive_integer(value) end,
  interpolation = function(value) return words.interpolation[value] end,
  range = function(value) return words.range[value] or is_numbers(value, 2) and value[1] < value[2] end,
  window = function(value) return words.window[value] or is_numbers(value, 2) and value[2] >= 1 end,
}

--- Raises unless a value is what `info.preparation` may be.
-- @param value
function preparation.check(value)
  if type(value) ~= "table" then
    errors.raise("info: preparation: expected a table, got %s", options.describe(value))
  end
  for key, entry in pairs(value) do
    if not good[key] then errors.raise("info: preparation: unknown field %s", options.describe(key)) end
    if not good[key](entry) then
      errors.raise("info: preparation: %s: expected %s, got %s", key, expected[key], options.describe(entry))
    end
  end
  if value.mean and value.std and #value.mean ~= #value.std then
    errors.raise("info: preparation: expected as many numbers in std as in mean, got %d and %d", #value.std,
      #value.mean)
  end
end

local function copy(value)
  return type(value) == "table" and table.move(value, 1, #value, 1, {}) or value
end

--- What is known of how a model's images were prepared, as options of `sc.data`.
-- @tparam Model model
-- @treturn table `channels`, `size` and what is known of the rest
function preparation.of(model)
  local known, older = model.info.preparation or {}, model.info.normalisation or {}
  local result = { mean = copy(known.mean or older.mean), std = copy(known.std or older.std) }
  for key in pairs(good) do
    if result[key] == nil then result[key] = copy(known[key]) end
  end
  local shape = model.input_shape
  if #shape == 3 then
    result.channels = shape[1]
    if shape[2] == shape[3] then result.size = shape[2] end
  end
  return result
end

--- What a model that learns from a split will know: `info.preparation`.
-- @tab given the split's `preparation`
-- @treturn table
function preparation.from(given)
  local result = { resize = defaults.resize, interpolation = defaults.interpolation }
  for key in pairs(good) do
    if given[key] ~= nil then result[key] = copy(given[key]) end
  end
  return result
end

local function text(value)
  if type(value) ~= "table" then return tostring(value) end
  local parts = {}
  for i, number in ipairs(value) do parts[i] = ("%.6g"):format(number) end
  return table.concat(parts, " ")
end

-- Numbers that went through a file of six digits are the same.
local function same(a, b)
  if type(a) ~= "table" or type(b) ~= "table" then return a == b end
  for i = 1, math.max(#a, #b) do
    if not a[i] or not b[i] or math.abs(a[i] - b[i]) > 1e-5 * math.max(1, math.abs(a[i])) then return false end
  end
  return true
end

--- In what two preparations differ, of what both say; size and channels are held against the model's input by others.
-- @tab wanted of the model, as `of` gives it
-- @tab got of a split
-- @string[opt=", got "] between what stands between the two values
-- @treturn table list of texts such as "mean 0.5 0.5 0.5, got 0.485 0.456 0.406"; empty where nothing differs
function preparation.differences(wanted, got, between)
  local list, trained_here = {}, wanted.resize ~= nil
  for _, key in ipairs(fields) do
    local a, b = wanted[key], got[key]
    if a == nil and trained_here then a = defaults[key] end
    if b == nil then b = defaults[key] end
    if a ~= nil and b ~= nil and not same(a, b) then
      list[#list + 1] = key .. " " .. text(a) .. (between or ", got ") .. text(b)
    end
  end
  return list
end

--- Raises where a split's images are prepared otherwise than those that the model was trained on, as far as both know.
-- @string name the public function
-- @tparam Model model
-- @tab split
-- @string argument what the split is called
function preparation.check_split(name, model, split, argument)
  -- What nobody has labelled is prepared as its caller asks, who has looked at what the model knows.
  if not split.preparation or split.shared and split.shared.unlabelled then return end
  local wrong = preparation.differences(preparation.of(model), split.preparation)
  if #wrong > 0 then
    errors.refuse(name, "%s: expected images prepared as those that the model was trained on, with %s (like = model "
      .. "prepares them so; model.info.preparation and .normalisation = nil where the model is wrong)", argument,
      table.concat(wrong, "; with "))
  end
end

return preparation
