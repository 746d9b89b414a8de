--- Scores of units from samples: what a method says of each sample, averaged.
-- @module secateur.pruning.sample_scores
local core = require "secateur.core"
local methods = require "secateur.attribution.methods"
local relevance = require "secateur.attribution.relevance"
local sample_runs = require "secateur.pruning.sample_runs"
local shares = require "secateur.mpi.shares"

local sample_scores = {}

--- What is done with the sums of a sample, unless something else is asked for: their signs speak where relevance is
-- conserved from layer to layer, which LRP's and DL-Backtrace's is in convolutional networks; elsewhere what speaks for
-- and what against cancel at random.
-- @tparam Model model
-- @param method a name, or a function of one's own
-- @treturn string "sum" or "abs"
function sample_scores.reduction(model, method)
  local conserves = (method == "lrp" or method == "dlb") and not relevance.has_attention(model.graph)
  local row = methods.get(method)
  return (conserves or not row or not row.explains) and "sum" or "abs"
end

local reductions = {}

function reductions.sum(value) return value end

function reductions.abs(value) return math.abs(value) end

function reductions.square(value) return value * value end

-- Adds what each sample's sums are reduced to, one after another in double precision, so that totals do not depend on
-- how samples are batched.
local function accumulate(totals, sums, reduce, weights)
  for name, tensor in pairs(sums) do
    local total = totals[name] or {}
    for i, row in ipairs(tensor:totable()) do
      local weight = weights and weights[i] or 1
      for unit, value in ipairs(row) do total[unit] = (total[unit] or 0) + weight * reduce(value) end
    end
    totals[name] = total
  end
end

-- What a sum over samples is divided by to be a mean.
local function total_weight(used)
  if not used.weights then return #used end
  local sum = 0
  for _, weight in ipairs(used.weights) do sum = sum + weight end
  return sum
end

--- Relevance of units, summed over positions, reduced and averaged over samples; where the samples have weights, the
-- weighted mean.
-- @tab row of the method, see secateur.attribution.methods
-- @tparam Model model
-- @tparam Split split
-- @tparam {string,...} names of layers
-- @tparam {int,...} indices of the samples
-- @tab opts of importance
-- @string reduce "sum", "abs" or "square": what becomes of each sample's sum
-- @treturn table layer name -> list of numbers
-- @treturn {int,...} the samples that could be read
function sample_scores.mean(row, model, split, names, indices, opts, reduce)
  model:release() -- the arena of whoever chose the samples: one at a time
  local totals, later = {}, shares.are(opts.group) and {} or nil
  local used = sample_runs.each(split, indices, opts, function(first)
    local step, finish = sample_runs.start(row, model, names, opts, { name = opts.name }, first)
    return function(x, y, drawn, weights)
      local sums = step(x, y, drawn).layers
      if not later then return accumulate(totals, sums, reductions[reduce], weights) end
      later[#later + 1] = { sums = sums, weights = weights }
    end, finish
  end)
  if later then -- one rank after the other, as one process adds up one sample after the other
    totals = shares.chain(opts.group, totals, function(so_far)
      for _, part in ipairs(later) do accumulate(so_far, part.sums, reductions[reduce], part.weights) end
      return so_far
    end)
  end
  local divisor = total_weight(used)
  for _, total in pairs(totals) do
    for unit, sum in ipairs(total) do total[unit] = sum / divisor end
  end
  return totals, used
end

--- The energies of units by a method that knows them up to their means (`centred`, see secateur.attribution.methods).
-- @tab row
-- @tparam Model model
-- @tparam Split split
-- @tparam Graph graph of the model, batch norms folded
-- @tab readers where units are seen, see secateur.pruning.unit_readers
-- @tparam {int,...} indices
-- @tab opts
-- @treturn function of a layer's name and the means of its units, a list, that gives the energies, a list; with a group
--   all ranks call it, for the same layers in the same order
-- @treturn {int,...} the samples that could be read
function sample_scores.energies(row, model, split, graph, readers, indices, opts)
  model:release()
  local nodes, seen, all = {}, {}, {}
  for _, reader in pairs(readers) do
    if not seen[reader.seen_at] then nodes[#nodes + 1], seen[reader.seen_at] = reader.seen_at, true end
  end
  table.sort(nodes)
  for _, node in ipairs(nodes) do all[node] = {} end
  local used, mine = sample_runs.each(split, indices, opts, function(first)
    local step, finish = sample_runs.start(row, model, {}, opts, { graph = graph, nodes = nodes }, first)
    return function(x, y, drawn)
      for node, terms in pairs(step(x, y, drawn).terms) do table.move(terms, 1, #terms, #all[node] + 1, all[node]) end
    end, finish
  end)
  return function(name, means)
    local sums = shares.chain(opts.group, {}, function(so_far)
      return row.family.add_energy(so_far, all[readers[name].seen_at], #mine, means, mine.weights)
    end)
    local divisor = total_weight(used)
    for u, sum in ipairs(sums) do sums[u] = sum / divisor end
    return sums
  end, used
end

--- Lists as Tensors.
-- @tab lists layer name -> list of numbers
-- @treturn table layer name -> Tensor [units]
function sample_scores.tensors(lists)
  local found = {}
  for name, list in pairs(lists) do found[name] = core.tensor(list) end
  return found
end

return sample_scores
