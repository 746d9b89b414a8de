--- Repair of biases alone: each layer's outputs get the means back that they have in the dense network.
-- @module secateur.pruning.repair.bias
local core = require "secateur.core"
local rows = require "secateur.pruning.repair.rows"

local bias = {}

--- Repairs one layer that has a bias.
-- @tab layer see secateur.pruning.repair.layers
-- @tab runners `dense` and `pruned`, whose graph is changed
-- @tab opts `rows`, `tokens`, `seed`
function bias.layer(layer, runners, opts)
  local images, shape = runners.pruned.images:count(), layer.node.shape
  local sampling = { seed = core.mix(opts.seed, layer.number),
    per_image = rows.per_image(shape, images, #shape == 2 and opts.tokens or opts.rows) }
  local wanted, fill_wanted = rows.values(layer.target, shape, images, sampling)
  local made, fill_made = rows.values(layer.target, shape, images, sampling)
  local count = sampling.per_image * runners.pruned:run({ layer.target }, layer.number, fill_made)
  runners.dense:run({ layer.target }, layer.next_number, fill_wanted)
  local difference = core.column_moments(wanted:view(1, count)) - core.column_moments(made:view(1, count))
  local graph, use = runners.pruned.graph, layer.bias
  local whole = graph:parameter(use.name):clone()
  for _, unit in ipairs(layer.kept) do
    local row = use.first + unit - 1
    whole:set(whole:get(row) + difference:get(unit), row)
  end
  graph:set_parameter(use.name, whole)
end

return bias
