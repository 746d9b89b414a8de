--- Relevance as a picture: red for, blue against, nothing in the middle.
-- @module secateur.attribution.heatmap
local core = require "secateur.core"
local options = require "secateur.util.options"

local rules = {
  image = { type = "userdata" },
  percentile = { type = "number", above = 0, max = 100, default = 99.5 },
  scale = { type = "integer", min = 1, max = 64, default = 1 },
}

-- Relevance [H][W] as a table, channels summed.
local function flatten(relevance)
  local shape = relevance:shape()
  if #shape == 3 then relevance = relevance:sum(1) end
  return relevance:totable()
end

-- The magnitude that gets the full colour.
local function limit(rows, percentile)
  local magnitudes = {}
  for _, row in ipairs(rows) do
    for _, value in ipairs(row) do
      if value ~= value then options.fail("heatmap", "relevance: expected numbers, got NaN", 1) end
      magnitudes[#magnitudes + 1] = math.abs(value)
    end
  end
  table.sort(magnitudes)
  return magnitudes[math.max(1, math.ceil(#magnitudes * percentile / 100))]
end

-- Brightness [H][W] of an image [C x H x W] in 0..1.
local function brightness(image, height, width)
  local shape = image:shape()
  if #shape == 2 then image, shape = image:reshape(1, shape[1], shape[2]), { 1, shape[1], shape[2] } end
  if #shape ~= 3 or shape[2] ~= height or shape[3] ~= width then
    options.fail("heatmap", ("image: expected [C x %d x %d], got [%s]"):format(height, width,
      table.concat(shape, " x ")), 1)
  end
  return image:mean(1):totable()
end

-- Strong red 0.84, 0.10, 0.11 and strong blue 0.17, 0.33, 0.75: apart for every kind of colour vision.
local red, blue = { 0.84, 0.10, 0.11 }, { 0.17, 0.33, 0.75 }

local function blend(ground, share)
  local colour = share >= 0 and red or blue
  local weight = math.min(1, math.abs(share))
  weight = weight ^ 0.7 -- lifts what is faint
  return ground + (colour[1] - ground) * weight, ground + (colour[2] - ground) * weight,
    ground + (colour[3] - ground) * weight
end

--- Draws relevance in a signed, symmetric colour scale with zero in the middle.
-- @tparam Tensor relevance [H x W] or [C x H x W] (channels are added up)
-- @tparam[opt] table opts `image` (Tensor [C x H x W] or [H x W] in 0..1, shown under the colours in grey; else white)
--   `percentile` (99.5: the percentile of magnitudes that gets full colour), `scale` (1: pixels per pixel)
-- @treturn Tensor [3 x scale H x scale W] in 0..1, for save_image
return function(relevance, opts)
  local checked = options.check("heatmap", opts, rules)
  local shape = type(relevance) == "userdata" and relevance.shape and relevance:shape()
  if not shape or #shape < 2 or #shape > 3 then
    options.fail("heatmap", "relevance: expected a Tensor [H x W] or [C x H x W], got "
      .. (shape and "[" .. table.concat(shape, " x ") .. "]" or options.describe(relevance)))
  end
  local rows = flatten(relevance)
  local height, width = #rows, #rows[1]
  local most = limit(rows, checked.percentile)
  local ground = checked.image and brightness(checked.image, height, width)
  local scale = checked.scale
  local out = { {}, {}, {} }
  for y = 1, height * scale do
    local line = { {}, {}, {} }
    for x = 1, width * scale do
      local j, i = (y - 1) // scale + 1, (x - 1) // scale + 1
      local share = most > 0 and rows[j][i] / most or 0
      line[1][x], line[2][x], line[3][x] = blend(ground and 0.25 + 0.75 * ground[j][i] or 1, share)
    end
    for c = 1, 3 do out[c][y] = line[c] end
  end
  return core.tensor(out)
end
