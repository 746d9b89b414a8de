--- The steps from relevance to a picture, for single heatmaps and for sheets that share a scale. What can go wrong with
-- a user's data comes back as `nil, message`.
-- @module secateur.explanations.rendering
local colormaps = require "secateur.explanations.colormaps"
local core = require "secateur.core"
local tensors = require "secateur.util.tensors"

local rendering = {}

--- Options of a picture that heatmap and heatmaps share.
rendering.rules = {
  colormap = { type = { "string", "table" }, default = "red_blue" },
  map = "colormap",
  percentile = { type = "number", above = 0, max = 100, default = 99.5 },
  range = { type = "number", above = 0, below = math.huge },
  gamma = { type = "number", min = 0.05, max = 20, default = 0.7 },
  alpha = { type = "number", min = 0, max = 100, default = 1 },
  overlay = "alpha",
  smooth = { type = "number", min = 0, max = 1000, default = 0 },
  interpolate = { type = "boolean", default = false },
}

local function is_real(tensor) return tensor:dtype():find("^float") ~= nil end

-- A matrix [size x size] that spreads what it is multiplied with from the left by a Gaussian: columns add up to one.
local function gaussian_matrix(size, sigma)
  local rows = {}
  for i = 1, size do rows[i] = {} end
  for j = 1, size do
    local sum = 0
    for i = 1, size do
      local z = (i - j) / sigma
      rows[i][j] = core.math.exp(-0.5 * z * z)
      sum = sum + rows[i][j]
    end
    for i = 1, size do rows[i][j] = rows[i][j] / sum end
  end
  return rows
end

local function transpose(rows)
  local out = {}
  for j = 1, #rows[1] do
    out[j] = {}
    for i = 1, #rows do out[j][i] = rows[i][j] end
  end
  return out
end

--- Relevance in one plane: channels are added up, and where wanted the relevance of each pixel is spread over its
-- neighbours by a Gaussian, within the picture, so that the sum stays.
-- @tparam Tensor relevance [H x W] or [C x H x W]
-- @number sigma of the Gaussian in pixels; 0: none
-- @treturn[1] Tensor [H x W]
-- @return[2] nil
-- @treturn[2] string what is wrong
function rendering.flatten(relevance, sigma)
  local shape = relevance:shape()
  if #shape < 2 or #shape > 3 or relevance:numel() == 0 then
    return nil, ("relevance: expected a Tensor [H x W] or [C x H x W], got [%s]"):format(table.concat(shape, " x "))
  end
  if not is_real(relevance) then
    return nil, "relevance: expected a Tensor of real numbers, got one of " .. relevance:dtype()
  end
  local plane = #shape == 3 and relevance:sum(1) or relevance
  if sigma > 0 then
    local height, width = plane:size(1), plane:size(2)
    local down, across = gaussian_matrix(height, sigma), transpose(gaussian_matrix(width, sigma))
    plane = core.tensor(down):matmul(plane):matmul(core.tensor(across))
  end
  return plane
end

--- The magnitude that gets full colour: that of the percentile, or where this is 0 (few pixels matter) the largest.
-- @tparam Tensor plane relevance, of one sample or of several
-- @number percentile
-- @treturn[1] number
-- @return[2] nil
-- @treturn[2] string what is wrong
function rendering.limit(plane, percentile)
  local limit, message = core.magnitude_percentile(plane, percentile)
  if limit == 0 then limit = core.magnitude_percentile(plane, 100) end
  return limit, message
end

-- Grey levels [height x width] of an image, between the darkest and the lightest on which colours still show.
local function background_of(image, height, width)
  local shape = image.shape and image:shape() or {}
  local rank, h, w = #shape, shape[#shape - 1], shape[#shape]
  if rank < 2 or rank > 3 or image:numel() == 0 or h * width ~= w * height then
    return nil, ("image: expected [C x H x W] or [H x W] of the relevance's proportions, got [%s]"):format(
      table.concat(shape, " x "))
  end
  if not is_real(image) then return nil, "image: expected numbers in 0..1, got a Tensor of " .. image:dtype() end
  if not tensors.finite(image) then return nil, "image: expected finite numbers, got some that are not" end
  local grey = rank == 3 and image:mean(1) or image
  if h ~= height or w ~= width then
    grey = core.image_resize(grey:reshape(1, h, w), height, width):reshape(height, width)
  end
  return grey:clamp(0, 1) * 0.75 + 0.15
end

-- Whether a map with one side would hide something: more than rounding is negative.
local function hides(plane, limit)
  local lowest = -(-plane):max()
  return lowest < -1e-5 * limit and lowest
end

--- Draws a plane of relevance.
-- @tparam Tensor plane [H x W]
-- @number limit the magnitude that gets full colour
-- @tab opts `colormap`, `gamma`, `alpha`, `interpolate`, `image`, `scale`
-- @treturn[1] Tensor [3 x scale H x scale W]
-- @return[2] nil
-- @treturn[2] string what is wrong
function rendering.draw(plane, limit, opts)
  local map, message = colormaps.find(opts.colormap)
  if not map then return nil, message end
  local lowest = not map.signed and hides(plane, limit)
  if lowest then
    return nil, ("colormap: expected one with two sides, since relevance is as low as %.3g, got '%s'"):format(lowest,
      type(opts.colormap) == "string" and opts.colormap or "one-sided")
  end
  local height, width, scale = plane:size(1), plane:size(2), opts.scale or 1
  local background
  if opts.image and opts.alpha > 0 then
    background, message = background_of(opts.image, scale * height, scale * width)
    if not background then return nil, message end
  end
  if opts.interpolate and scale > 1 then
    plane = core.image_resize(plane:reshape(1, height, width), scale * height, scale * width)
      :reshape(scale * height, scale * width)
    scale = 1
  end
  return core.image_colormap(plane, map.table, { limit = limit, zero = map.zero, gamma = opts.gamma,
    background = background, alpha = opts.alpha, scale = scale })
end

--- Whether a map is one: true, or nil and what is wrong.
-- @param map
-- @treturn[1] boolean true
-- @return[2] nil
-- @treturn[2] string
function rendering.check_colormap(map)
  local found, message = colormaps.find(map)
  if found then return true end
  return nil, message
end

--- The scale itself as a picture: from the most negative (of a one-sided map: from zero) on the left to the most
-- positive. Over an image's middle grey where the maps are drawn over images.
-- @tab opts `colormap`, `gamma`, `alpha`, and whether there is an `image`
-- @int width
-- @int height
-- @treturn Tensor [3 x height x width]
-- @treturn boolean whether the map has a negative side
function rendering.bar(opts, width, height)
  local map = assert(colormaps.find(opts.colormap))
  local ramp, lowest = { {} }, map.signed and -1 or 0
  for x = 1, width do ramp[1][x] = lowest + (1 - lowest) * (x - 1) / (width - 1) end
  local background = opts.image and opts.alpha > 0 and core.full(height, width, 0.5) or nil
  local plane = core.ones(height, 1):matmul(core.tensor(ramp))
  return core.image_colormap(plane, map.table, { limit = 1, zero = map.zero, gamma = opts.gamma,
    background = background, alpha = opts.alpha }), map.signed
end

return rendering
