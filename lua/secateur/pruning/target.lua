--- The rate at which a pruned model costs no more than a share of what it did.
-- @module secateur.pruning.target
local core = require "secateur.core"
local cost = require "secateur.models.cost"
local errors = require "secateur.util.errors"
local layers = require "secateur.models.layers"

local target = {}

-- Each gives the share of what a model costs that is left of it in a compact graph.
local measures = {}

function measures.macs(model, graph)
  local _, before = layers.totals(model)
  local _, after = layers.totals { graph = graph }
  return after / before
end

function measures.params(model, graph)
  return layers.totals { graph = graph } / layers.totals(model)
end

function measures.latency(model, graph)
  local times = cost.latencies({ model.graph, graph }, 1)
  return times[2] / times[1]
end

--- The rule of the option, for `options.check`: a table of exactly one share.
target.rule = { type = "table", check = function(given)
  local expected = "one of latency, macs and params, as a share in (0, 1]"
  local name = next(given)
  local share = given[name]
  return next(given, name) == nil and measures[name] ~= nil and math.type(share) ~= nil and share > 0 and share <= 1,
    expected
end }

-- Times tell rates nearer to each other than this not apart, and each takes a while to measure.
local TIMED_RATES = 256

local function candidates(ranking, name)
  local rates = ranking:rates()
  if name ~= "latency" or #rates <= TIMED_RATES then return rates end
  local few = {}
  for i = 1, TIMED_RATES do few[i] = rates[1 + (i - 1) * (#rates - 1) // (TIMED_RATES - 1)] end
  return few
end

-- What is left at a rate: the share under the target's name, or `problem` where nothing is left that could be computed.
local function try_rate(model, ranking, rate, name)
  local found = { rate = rate, plan = ranking:plan(rate) }
  local ok, graph = errors.try(core.compact, core.mask(model.graph, found.plan))
  if ok then found[name] = measures[name](model, graph) else found.problem = graph end
  return found
end

local function refuse(name, wanted, least, beyond, min_units)
  local why = beyond.problem and ("; beyond it: %s"):format(beyond.problem) or ""
  errors.refuse("prune", "target: %s = %g cannot be reached: with min_units = %d the least is %.4g, at rate = %.4g%s",
    name, wanted, min_units, least[name] or 1, least.rate, why)
end

--- Finds the smallest rate at which the compact model's share is at most the target's, by bisection over the rates at
-- which another unit goes; for times, over 256 of them.
-- @tparam Model model
-- @tparam Ranking ranking
-- @tab wanted `macs`, `params` or `latency` = share
-- @treturn PruningPlan
-- @treturn table the share that was reached under the target's name, and `rate`
function target.find(model, ranking, wanted)
  local name, share = next(wanted)
  local rates = candidates(ranking, name)
  local function at(i) return try_rate(model, ranking, rates[i], name) end
  local function too_much(found) return found[name] and found[name] > share end
  local first, last = at(1), at(#rates)
  if not too_much(first) then last = first end
  if too_much(last) then refuse(name, share, last, {}, ranking.min_units) end
  local low, high = 1, #rates -- rates whose share is too much, and is not
  while last ~= first and high - low > 1 do
    local middle = (low + high) // 2
    local found = at(middle)
    if too_much(found) then low, first = middle, found else high, last = middle, found end
  end
  if last.problem then refuse(name, share, first, last, ranking.min_units) end
  local plan = last.plan
  last.plan = nil
  return plan, last
end

--- Measures again what is exact, of the model that came out: a repair folds batch norms, which were parameters.
-- @tparam Model model the one given
-- @tparam Graph graph of the pruned one
-- @tab reached what `find` gave, which is changed
function target.update(model, graph, reached)
  for _, name in ipairs { "macs", "params" } do
    if reached[name] then reached[name] = measures[name](model, core.compact(graph)) end
  end
end

return target
