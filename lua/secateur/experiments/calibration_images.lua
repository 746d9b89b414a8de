--- The calibration images of a sweep, decoded once for all its rows.
-- @module secateur.experiments.calibration_images
local calibration = require "secateur.pruning.calibration"
local core = require "secateur.core"

local calibration_images = {}

-- What the images may take in memory, all together; more are decoded anew for every row.
local byte_limit = 1 << 29

local function fits(x, count)
  return 4 * x:numel() // x:size(1) * count <= byte_limit
end

--- What `importance` and `prune` are given as calibration images: the images that they would choose from the split
-- themselves, as a Tensor, so that rows do not decode them again; or the split, where they do not fit into memory, and
-- where it is one of the user's own, which may be anything.
-- @tparam Split split
-- @tab opts `count`, `seed`
-- @treturn Split|Tensor
function calibration_images.get(split, opts)
  local meta = getmetatable(split)
  if type(meta) ~= "table" or meta.__name ~= "Split" then return split end
  local images = calibration.images("sweep", split, { count = opts.count, seed = opts.seed })
  local all, filled = nil, 0
  for x in images:batches() do
    if not all then
      if not fits(x, images:count()) then return split end
      local shape = x:shape()
      all = core.zeros(images:count(), table.unpack(shape, 2))
    end
    all:view(filled + 1, filled + x:size(1)):copy(x)
    filled = filled + x:size(1)
  end
  return filled < all:size(1) and all:view(1, filled) or all
end

return calibration_images
