--- Whether a small change of the image leaves the explanation as it is.
-- @module secateur.explanations.sensitivity
local core = require "secateur.core"

local sensitivity = {}

-- Lengths of rows, in double, of rows that were scaled before.
local function lengths(rows)
  return (rows * rows):sum(2):sqrt():totable()
end

-- Noise like x, by seed, sample and draw: the same whatever else is in the batch.
local function noise_like(x, draw, opts)
  local noise, shape = core.zeros(table.unpack(x:shape())), x:shape()
  shape[1] = 1
  for i = 1, x:size(1) do
    shape[#x:shape() + 1] = { seed = core.mix(core.mix(opts.seed, opts.first + i - 1), draw), low = -opts.radius,
      high = opts.radius }
    noise:view(i):copy(core.rand(table.unpack(shape)))
  end
  return noise
end

--- Max-sensitivity (Yeh et al. 2019), relative: the largest ||E(x + d) - E(x)|| / ||E(x)|| over random d, uniform in
-- [-radius, radius] for each value of the image (the cube that bounds the maximum in the paper). Undefined where E(x)
-- is zero.
-- @func explain x -> Tensor [N x D], for a target that stays the same
-- @tparam Tensor x [N x C x H x W]
-- @tparam Tensor reference E(x), [N x D]
-- @tab opts `radius`, `draws` (how many d), `seed`, `first` (the number of the first sample)
-- @treturn table sample -> number
function sensitivity.max(explain, x, reference, opts)
  local largest = reference:abs():max(2):reshape(-1, 1)
  local base, most = lengths(reference / largest), {}
  for draw = 1, opts.draws do
    local moved = explain(x + noise_like(x, draw, opts))
    for i, change in ipairs(lengths((moved - reference) / largest)) do
      local relative = change / base[i]
      if relative == relative then most[i] = math.max(most[i] or 0, relative) end
    end
  end
  return most
end

return sensitivity
