--- The options of repair, which `prune` has beside its own.
-- @module secateur.pruning.repair.options
local errors = require "secateur.util.errors"
local scores_class = require "secateur.pruning.scores"

local repair_options = {}

--- What is known of each option, see secateur.util.options.
repair_options.rules = {
  repair = { one_of = { "least_squares", "bias", "batch_norm", "none" } },
  calibration = { type = { "table", "userdata" } },
  calibration_count = { type = "integer", min = 1, default = 256 },
  seed = { type = "integer", default = 0 },
}

local said = setmetatable({}, { __mode = "k" }) -- scores -> true: that nothing can be repaired by them

--- Which repair there is to be, and the images for it: where nothing is said, least squares if images are known, given
-- or those that the scores come from; else none, which is said once for these scores on stderr.
-- @tab checked options
-- @tab scores or a plan
-- @treturn string the method
-- @return calibration images as `calibration.images` takes them, or nil
function repair_options.choose(checked, scores)
  local known = scores_class.calibration_of and scores_class.calibration_of(scores)
  local images = checked.calibration or known
  local method = checked.repair or images and "least_squares"
  if method and method ~= "none" and not images then
    errors.refuse("prune", "calibration: expected images to repair with, a split or a Tensor [N x C x H x W], got none")
  elseif not method and not said[scores] then
    said[scores] = true
    errors.warn "prune: no images to repair with (calibration = data.train gives them): not repaired"
  end
  return method or "none", images
end

return repair_options
