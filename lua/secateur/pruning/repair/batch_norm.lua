--- Repair of batch norms: their running statistics are estimated anew from what they get in the pruned network, one
-- norm after another.
-- @module secateur.pruning.repair.batch_norm
local core = require "secateur.core"
local rows = require "secateur.pruning.repair.rows"

local batch_norm = {}

local ROWS = 65536 -- of all images; means of that many positions are known to half a hundredth of their deviation

--- The batch norms of a graph.
-- @tparam Graph graph
-- @treturn {table,...} each `name`, `node`, `number`, `input`, `mean` and `variance` (names of parameters)
function batch_norm.find(graph)
  local found = {}
  for number, node in ipairs(graph:nodes()) do
    local uses = {}
    for _, use in pairs(node.params) do uses[use.slot] = use.name end
    if uses.running_mean and uses.running_var then
      found[#found + 1] = { name = node.name, node = node, number = number, input = node.inputs[1],
        mean = uses.running_mean, variance = uses.running_var }
    end
  end
  return found
end

--- Estimates the statistics of one norm anew.
-- @tab norm one of `find`
-- @tparam NetworkRunner runner of the pruned network, whose graph is changed
-- @int seed
function batch_norm.layer(norm, runner, seed)
  local images, shape = runner.images:count(), norm.node.shape
  local sampling = { per_image = rows.per_image(shape, images, ROWS), seed = core.mix(seed, norm.number) }
  local values, fill = rows.values(norm.input, shape, images, sampling)
  local count = sampling.per_image * runner:run({ norm.input }, norm.number, fill)
  local mean, variance = core.column_moments(values:view(1, count))
  runner.graph:set_parameter(norm.mean, mean)
  runner.graph:set_parameter(norm.variance, count > 1 and variance * (count / (count - 1)) or variance)
end

return batch_norm
