--- Repair: what pruning cost is won back without labels and without training, from a few hundred images that the pruned
-- network is held against the dense one on.
-- @module secateur.pruning.repair
local batch_norm = require "secateur.pruning.repair.batch_norm"
local bias = require "secateur.pruning.repair.bias"
local calibration = require "secateur.pruning.calibration"
local core = require "secateur.core"
local errors = require "secateur.util.errors"
local layers = require "secateur.pruning.repair.layers"
local least_squares = require "secateur.pruning.repair.least_squares"
local network_runner = require "secateur.pruning.repair.network_runner"
local progress = require "secateur.util.progress"

local repair = {}

local CACHE = 1 << 30 -- bytes of values that each of the two networks keeps between layers

-- How many rows a fit has, and what share of the mean of the diagonal is added to it.
local defaults = { rows = 12000, tokens = 24000, ridge = 0.03, seed = 0, batch = 16 }

local function start_progress(total)
  return progress.new { total = total, label = "repair", unit = "layers", terminal = core.is_terminal() and total > 0,
    log = true, clock = core.clock }
end

-- Goes through the layers in the order of computation; what the core says of one gets its name.
local function each_layer(list, act)
  local line <close> = start_progress(#list)
  for i, layer in ipairs(list) do
    layer.next_number = list[i + 1] and list[i + 1].number or layer.number
    line:update(i - 1, layer.name)
    local ok, message = errors.try(act, layer)
    if not ok then errors.raise("repair: '%s': %s", layer.name, message) end
  end
  line:update(#list, "")
end

-- Both networks with batch norms folded, layer by layer.
local function repair_layers(one, model, plan, images, opts)
  local dense = core.fold_batch_norm(model.graph)
  local pruned = core.mask(dense, plan)
  local found, left = layers.find(pruned, plan)
  if one.needs_bias then
    local with = {}
    for _, layer in ipairs(found) do
      if layer.bias then
        with[#with + 1] = layer
      else
        left[#left + 1] = { name = layer.name, reason = "has no bias" }
      end
    end
    found = with
  end
  local before <close> = network_runner.new(dense, images, CACHE)
  local after <close> = network_runner.new(pruned, images, CACHE)
  each_layer(found, function(layer) one.layer(layer, { dense = before, pruned = after }, opts) end)
  return pruned, #found, left
end

local methods = {}

function methods.least_squares(model, plan, images, opts)
  return repair_layers({ layer = least_squares.layer }, model, plan, images, opts)
end

function methods.bias(model, plan, images, opts)
  return repair_layers({ layer = bias.layer, needs_bias = true }, model, plan, images, opts)
end

function methods.batch_norm(model, plan, images, opts)
  local pruned = core.mask(model.graph, plan)
  local norms = batch_norm.find(pruned)
  if #norms == 0 then
    errors.raise("repair: expected a network with batch norms for \"batch_norm\", found none; \"least_squares\" "
      .. "repairs any")
  end
  local runner <close> = network_runner.new(pruned, images, CACHE)
  each_layer(norms, function(norm) batch_norm.layer(norm, runner, opts.seed) end)
  return pruned, #norms, {}
end

local function report_left(left)
  if #left == 0 then return end
  local parts = {}
  for i, layer in ipairs(left) do parts[i] = ("'%s' (%s)"):format(layer.name, layer.reason) end
  errors.warn("prune: %d layers not repaired: %s", #left, table.concat(parts, ", "))
end

--- Masks a model's units and repairs what is left of it.
--
-- `least_squares`: every layer behind a removed unit, the classifier among them, is refitted to what it makes in the
-- dense network before the activation (see secateur.pruning.repair.least_squares). `bias`: each such layer's outputs
-- get their means back. Both are of the network with batch norms folded into the layers before them; layers keep their
-- names. `batch_norm`: the running statistics of batch norms are estimated anew, and all else stays.
--
-- Statistics are of 12,000 random positions of all images together (of tokens 24,000; of vectors one per image), drawn
-- by the seed: the same whatever batches and threads there are.
-- @tparam Model model dense, or pruned before: what the pruned network is held against
-- @tparam PruningPlan plan
-- @string method "least_squares", "bias" or "batch_norm"
-- @tparam Split|Tensor given calibration images
-- @tparam[opt] table opts `count` (256) of calibration images, `seed` (0), `batch` (16), `rows` (12000), `tokens`
--   (24000), `ridge` (0.03: what is added to the diagonal of a fit's covariances, as a share of its mean)
-- @treturn Graph
-- @treturn table `method`, `calibration_count`, `seconds`, `layers` (how many were repaired), `left` (those that were
--   not: a list of `name` and `reason`)
-- @raise also where values of a network are not finite, with the layer's name
function repair.apply(model, plan, method, given, opts)
  local all = {}
  for name, value in pairs(defaults) do all[name] = value end
  for name, value in pairs(opts or {}) do all[name] = value end
  local images = calibration.images("prune", given, { count = all.count, seed = all.seed, batch = all.batch,
    model = model })
  local started = core.clock()
  model:release()
  local graph, count, left = methods[method](model, plan, images, all)
  report_left(left)
  return graph, { method = method, calibration_count = images:count(), seconds = core.clock() - started,
    layers = count, left = left }
end

return repair
