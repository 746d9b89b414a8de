--- Repair by least squares: every layer behind a removed unit is refitted to what it makes in the dense network, from
-- what it gets in the pruned one, whose earlier layers are repaired already. No labels and no training.
--
-- Reconstruction of a layer's outputs from fewer inputs is that of He, Zhang and Sun 2017 ("Channel pruning for
-- accelerating very deep neural networks"), with the weights regularised towards those that are there, targets of
-- residual branches that make up for the stream, and outputs below a ReLU's threshold left free.
-- @module secateur.pruning.repair.least_squares
local core = require "secateur.core"
local rows = require "secateur.pruning.repair.rows"

local least_squares = {}

local PASSES = 2 -- of the fit with outputs below a ReLU's threshold left free

-- What each row of the target is, and what the rest of a sum makes of it.
local function sample_outputs(layer, runners, images, sampling)
  local shape = layer.node.shape
  local target, fill_target = rows.values(layer.target, shape, images, sampling)
  local others, fills = {}, {}
  for i, name in ipairs(layer.others) do others[i], fills[i] = rows.values(name, shape, images, sampling) end
  local inputs, fill_inputs = rows.inputs(layer, images, sampling)
  local seen = runners.pruned:run({ layer.input, table.unpack(layer.others) }, layer.number, function(plan, first)
    fill_inputs(plan, first)
    for _, fill in ipairs(fills) do fill(plan, first) end
  end)
  runners.dense:run({ layer.target }, layer.next_number, fill_target)
  return target, others, inputs, seen * sampling.per_image
end

-- The units of one group that are kept, counted within it.
local function kept_of(layer, first, last)
  local kept = {}
  for _, unit in ipairs(layer.kept) do
    if unit >= first and unit <= last then kept[#kept + 1] = unit - first + 1 end
  end
  return kept
end

-- Columns first..last of a matrix; itself where that is all of them.
local function columns_of(matrix, first, last)
  if first == 1 and last == matrix:size(2) then return matrix end
  local list = {}
  for column = first, last do list[#list + 1] = column end
  return matrix:take(2, list)
end

local function fit_group(layer, parameters, group, x, y, threshold, opts)
  local units = layer.node.attrs.out // (layer.node.attrs.groups or 1)
  local first, last = (group - 1) * units + 1, group * units
  local kept = kept_of(layer, first, last)
  if #kept == 0 then return end
  local weight = parameters.weight:view(first, last):reshape(units, -1)
  local bias = parameters.bias and parameters.bias:view(first, last)
  local fitted, shift = core.least_squares(x, columns_of(y, first, last), weight, bias, { ridge = opts.ridge,
    keep = kept, rectified = layer.rectified, passes = PASSES,
    threshold = threshold and columns_of(threshold, first, last) })
  weight:copy(fitted)
  if bias then bias:copy(shift) end
end

-- Copies of the parameters that a layer uses, its own rows of them, and a function that puts them into the graph.
local function open_parameters(graph, layer)
  local own, whole = {}, {}
  for _, slot in ipairs { "weight", "bias" } do
    local use = layer[slot]
    if use then
      whole[use.name] = graph:parameter(use.name):clone()
      own[slot] = whole[use.name]:view(use.first, use.first + use.shape[1] - 1)
    end
  end
  return own, function()
    for name, tensor in pairs(whole) do graph:set_parameter(name, tensor) end
  end
end

--- Repairs one layer.
-- @tab layer see secateur.pruning.repair.layers; `next_number` is the number of the node that is repaired next
-- @tab runners `dense` and `pruned`, whose graph is changed
-- @tab opts `rows` and `tokens` (how many rows of maps and of tokens), `ridge`, `seed`
function least_squares.layer(layer, runners, opts)
  local images, shape = runners.pruned.images:count(), layer.node.shape
  local sampling = { seed = core.mix(opts.seed, layer.number),
    per_image = rows.per_image(shape, images, #shape == 2 and opts.tokens or opts.rows) }
  local y, others, inputs, count = sample_outputs(layer, runners, images, sampling)
  local threshold
  for _, other in ipairs(others) do
    y = y - other
    if layer.rectified then threshold = threshold and threshold - other or -other end
  end
  local parameters, close = open_parameters(runners.pruned.graph, layer)
  for group, x in ipairs(inputs) do
    fit_group(layer, parameters, group, x:view(1, count), y:view(1, count), threshold and threshold:view(1, count),
      opts)
    x:close()
  end
  close()
end

return least_squares
