--- Means and covariances of the units of layers, over calibration images.
-- @module secateur.pruning.unit_statistics
local core = require "secateur.core"
local calibration = require "secateur.pruning.calibration"

local unit_statistics = {}

-- Bytes that the covariances of the layers which are estimated together may take, and those of a run.
local STATISTICS, RUN = 1 << 30, 512 << 20

-- Rows, positions of images, that an estimate is made from at most: several times as many as there are units. More
-- change little: neighbouring positions say nearly the same.
local function row_count(units)
  return math.max(16384, 8 * units)
end

-- Layers in parts whose covariances fit the budget.
local function divide(layers)
  local parts, bytes = {}, math.huge
  for _, layer in ipairs(layers) do
    local own = layer.units * (8 * layer.units + 4 * 512)
    if bytes + own > STATISTICS then parts[#parts + 1], bytes = {}, 0 end
    bytes = bytes + own
    table.insert(parts[#parts], layer)
  end
  return parts
end

-- An execution plan that keeps these nodes, and calibration images in batches for it.
local function prepare(graph, nodes, name, opts)
  local request = { batch = 1, keep = nodes }
  local plan = core.plan(graph, request)
  request.batch = math.max(1, math.min(16, RUN // math.max(1, (plan:memory()))))
  plan:close()
  local images = calibration.images(name, opts.calibration, { count = opts.count, seed = opts.seed,
    indices = opts.indices, batch = request.batch, model = opts.model })
  return core.plan(graph, request), images
end

local function estimate(part, graph, readers, name, opts)
  local nodes, found, seen = {}, {}, {}
  for _, layer in ipairs(part) do
    local node = readers[layer.name].seen_at
    found[layer.name] = core.covariance(layer.units)
    if not seen[node] then seen[node], nodes[#nodes + 1] = true, node end
  end
  local plan, images = prepare(graph, nodes, name, opts)
  local expected = images:count()
  for x in images:batches() do
    plan:forward(x)
    for _, layer in ipairs(part) do
      found[layer.name]:add(plan, readers[layer.name].seen_at, { seed = opts.seed,
        positions = math.ceil(row_count(layer.units) / expected) })
    end
  end
  plan:close()
  return found, images:count()
end

--- Goes through layers with the statistics of their units: values where readers see them, at all positions of all
-- images, or where that would be more than 16384 and more than 8 per unit, at as many positions of each image as make
-- about that many, chosen by the seed.
-- @tparam Graph graph with batch norms folded
-- @tab readers what `unit_readers.find` gives
-- @tparam {table,...} layers each `name` and `units`
-- @string name the public function, for messages
-- @tab opts `calibration`, `count`, `seed`, `indices`, `model`: see `calibration.images`
-- @tparam function visit called with each layer and its Covariance, which is closed afterwards
-- @treturn int how many calibration images there were
function unit_statistics.walk(graph, readers, layers, name, opts, visit)
  local count = 0
  for _, part in ipairs(divide(layers)) do
    local found
    found, count = estimate(part, graph, readers, name, opts)
    for _, layer in ipairs(part) do
      visit(layer, found[layer.name])
      found[layer.name]:close()
    end
  end
  return count
end

return unit_statistics
