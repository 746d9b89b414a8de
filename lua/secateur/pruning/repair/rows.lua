--- Rows of a layer's regression problem, sampled while networks run.
-- @module secateur.pruning.repair.rows
local core = require "secateur.core"
local tensors = require "secateur.util.tensors"

local rows = {}

--- How many positions of each image are sampled where there are to be `total` rows of all.
-- @tab shape of one sample at the node
-- @int images
-- @int total
-- @treturn int
function rows.per_image(shape, images, total)
  local positions = #shape == 3 and shape[2] * shape[3] or #shape == 2 and shape[1] or 1
  return math.min(positions, math.max(1, math.ceil(total / images)))
end

--- Room for the values of a node at sampled positions, and a function that fills in those of a run.
-- @string node
-- @tab shape of one sample
-- @int images
-- @tab sampling `per_image`, `seed`
-- @treturn Tensor [images * per_image x units]
-- @treturn function of a plan that has run and the number of images before it
function rows.values(node, shape, images, sampling)
  local width = #shape == 3 and shape[1] or shape[#shape]
  local to = core.zeros(images * sampling.per_image, width)
  return to, function(plan, first) core.sample_rows(plan, node, to, first, sampling) end
end

--- The same for what a layer makes its outputs from: patches of its input, for each of its groups.
-- @tab layer see secateur.pruning.repair.layers
-- @int images
-- @tab sampling
-- @treturn {Tensor,...} one per group, [images * per_image x columns]
-- @treturn function
function rows.inputs(layer, images, sampling)
  local attrs, shape = layer.node.attrs, layer.weight.shape
  local groups, columns = attrs.groups or 1, tensors.numel(shape) // shape[1]
  local list, wanted = {}, {}
  for g = 1, groups do
    list[g] = core.zeros(images * sampling.per_image, columns)
    wanted[g] = { per_image = sampling.per_image, seed = sampling.seed }
    if attrs.kernel then
      wanted[g].kernel, wanted[g].stride, wanted[g].padding = attrs.kernel, attrs.stride, attrs.padding
      wanted[g].dilation, wanted[g].channels, wanted[g].first = attrs.dilation, shape[2], (g - 1) * shape[2] + 1
    end
  end
  return list, function(plan, first)
    for g, to in ipairs(list) do core.sample_rows(plan, layer.input, to, first, wanted[g]) end
  end
end

return rows
