--- Scores that know which units say what others say: what is lost when a unit goes, after those that stay have taken
-- over what they can.
--
-- Per layer, from the covariances H of its units where they are seen, and weights w_u = energy_u / H_uu: units are
-- removed one at a time, each time the one whose removal adds least to the sum over removed units of w times the
-- residual variance of their regression on the units that are kept (optimal brain surgery, Hassibi and Stork 1993, on
-- activations). A unit's score is the largest such cost so far, so that units rank in the order of their removal; costs
-- count the more the less is left of their layer, see `to_scores`.
-- @module secateur.pruning.redundancy
local core = require "secateur.core"
local unit_statistics = require "secateur.pruning.unit_statistics"

local redundancy = {}

-- A unit of less than this share of the mean variance does not vary.
local CONSTANT = 1e-9

--- How much is added to the diagonal of a layer's covariance matrix, as a share of its mean: 0.1 where other units can
-- not stand in for a unit as freely as covariances suggest (queries, keys, what is added into a stream, what several
-- nodes read, as a ResNet's stem), 0.01 from 512 units on, where covariances of a few hundred images are uncertain, and
-- 0.001 else.
-- @tab reader of the layer, see secateur.pruning.unit_readers
-- @int units
-- @treturn number
function redundancy.ridge(reader, units)
  return reader.stiff and 0.1 or units >= 512 and 1e-2 or 1e-3
end

-- The next number in single precision.
local function next_float(x)
  return (string.unpack("<f", string.pack("<i4", string.unpack("<i4", string.pack("<f", x)) + 1)))
end

-- Costs in the order of removal as scores: they never fall, and grow at least by what single precision shows.
--
-- A cost is what one unit adds to a layer's error while the others are as they are. Errors of layers compound: of what
-- the dense network says, a layer passes on the share 1 - E / E_all, with E what its removals have cost so far. The
-- cost of another in -log of that is cost / (1 - E / E_all), up to a constant; so a layer of which little is left keeps
-- it, which plain costs, ranked over all layers, do not see at high rates. The share of its units that a layer still
-- has weighs likewise, since estimates from few images miss what many small units are for.
local function to_scores(order, costs)
  local scores, last, all, before, units = {}, 0, 0, 0, #order
  for _, cost in ipairs(costs) do all = all + cost end
  for step, unit in ipairs(order) do
    local left = math.max(all - before, 1e-6 * all)
    local cost = all > 0 and costs[step] * (all / left) * (units / (units - step + 1)) or 0
    cost = string.unpack("<f", string.pack("<f", cost))
    last = step == 1 and cost or math.max(cost, next_float(last))
    scores[unit], before = last, before + costs[step]
  end
  return scores
end

-- Energies as weights of variances.
local function weigh(energies, covariance)
  local variances, weights, mean = covariance:variances(), {}, 0
  for _, variance in ipairs(variances) do mean = mean + variance / #variances end
  for u, energy in ipairs(energies) do
    weights[u] = variances[u] > CONSTANT * mean and energy / variances[u] or 0
  end
  return weights
end

local function largest(list)
  local most = 0
  for _, value in ipairs(list) do most = math.max(most, value) end
  return most
end

--- Scores layers.
-- @tparam Graph graph with batch norms folded
-- @tab readers
-- @tparam {table,...} layers each `name` and `units`
-- @tparam function energies of a layer's name and the means of its units, that gives a list of energies
-- @tab opts see `unit_statistics.walk`; `redundancy` (false: the energies themselves)
-- @treturn table layer name -> Tensor [units]
-- @treturn int how many calibration images there were
function redundancy.score(graph, readers, layers, energies, opts)
  local found = {}
  local count = unit_statistics.walk(graph, readers, layers, "importance", opts, function(layer, covariance)
    local list = energies(layer.name, covariance:means())
    if opts.redundancy and largest(list) > 0 and largest(list) < math.huge then
      local order, costs = covariance:redundancy(weigh(list, covariance),
        redundancy.ridge(readers[layer.name], layer.units))
      list = to_scores(order, costs)
    end
    found[layer.name] = core.tensor(list)
  end)
  return found, count
end

return redundancy
