--- Relevance as a picture: red for, blue against, nothing in the middle.
-- @module secateur.explanations.heatmap
local errors = require "secateur.util.errors"
local options = require "secateur.util.options"
local rendering = require "secateur.explanations.rendering"
local tensors = require "secateur.util.tensors"

local rules = {
  image = { type = "userdata" },
  scale = { type = "integer", min = 1, max = 64, default = 1 },
}
for name, rule in pairs(rendering.rules) do rules[name] = rule end

--- Draws relevance in a signed, symmetric colour scale with zero in the middle.
-- @tparam Tensor relevance [H x W] or [C x H x W] (channels are added up)
-- @tparam[opt] table opts
--
-- * `colormap` ("red_blue"): "red_blue", "purple_green", "orange_blue" (even to the eye and for every kind of colour
--   vision), "bwr", "seismic", "cold_hot"; for relevance that is never negative also "heat", "hot", "viridis", "grey";
--   or colours of one's own, `{ "#2166ac", "#f7f7f7", "#b2182b" }` (`one_sided = true`: zero first)
-- * `percentile` (99.5): the percentile of magnitudes that gets full colour; or `range`, that magnitude itself, so that
--   several maps share a scale
-- * `gamma` (0.7): colours follow magnitude ^ gamma; below 1 lifts what is faint, 1 is linear
-- * `image`: Tensor [C x h x w] or [h x w] in 0..1, shown in grey under the colours; any size of the same proportions
-- * `alpha` (1, at most 100): how opaque the colours are over the image; above 1 faint ones, too, cover it; 0 leaves
--   the image out
-- * `smooth` (0): spreads relevance by a Gaussian of that many pixels
-- * `scale` (1): pixels per pixel; `interpolate` (false): without steps between them
--
-- @treturn Tensor [3 x scale H x scale W] in 0..1, for save_image
-- @usage
-- sc.save_image("why.png", sc.heatmap(result.input[1], { image = data.test:image(1) }))
return function(relevance, opts)
  local checked = options.check("heatmap", opts, rules)
  if not tensors.is(relevance) then
    errors.refuse("heatmap", "relevance: expected a Tensor [H x W] or [C x H x W], got " .. options.describe(relevance))
  end
  local plane, message = rendering.flatten(relevance, checked.smooth)
  if not plane then errors.refuse("heatmap", message) end
  local limit
  limit, message = rendering.limit(plane, checked.percentile)
  if not limit then errors.refuse("heatmap", message) end
  local picture
  picture, message = rendering.draw(plane, checked.range or limit, checked)
  if not picture then errors.refuse("heatmap", message) end
  return picture
end
