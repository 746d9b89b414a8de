--- Removes the units with the lowest scores: scores → plan → masked copy of the model.
--
-- The module is the verb itself, `prune(model, scores, opts)`, and a table of what belongs to it.
-- @module secateur.pruning.prune
local core = require "secateur.core"
local errors = require "secateur.util.errors"
local model_class = require "secateur.models.model"
local options = require "secateur.util.options"
local pruning_plan = require "secateur.models.pruning_plan"
local ranking = require "secateur.pruning.ranking"
local target = require "secateur.pruning.target"
local tensors = require "secateur.util.tensors"

local prune = {}

-- ---- scores → plan ----

local rules = {
  rate = { type = "number", min = 0, below = 1 },
  target = target.rule,
  scope = { one_of = { "global", "layer" }, default = "global" },
  layers = { type = { "string", "table", "function" } },
  min_units = { type = "integer", min = 0, default = 1 },
  keep = "min_units",
  cost_aware = { type = "boolean", default = false },
}

local function make_plan(model, scores, opts)
  local checked = options.check("prune", opts, rules)
  if checked.target and checked.rate then
    errors.refuse("prune", "target: expected none beside rate, which it finds")
  elseif not checked.target and not checked.rate then
    errors.refuse("prune", "rate: missing")
  end
  local ranked = ranking.new(model, scores, checked)
  if checked.target then return target.find(model, ranked, checked.target) end
  return ranked:plan(checked.rate)
end

-- ---- plan → model ----

-- A plan as prune makes and loads it, or a plain table of lists; scores hold Tensors.
local function is_plan(value)
  if pruning_plan.is(value) then return true end
  local lists = false
  for name, each in pairs(value) do
    if tensors.is(each) then return false end
    lists = lists or type(each) == "table" and name ~= "provenance"
  end
  return lists
end

local function check_arguments(model, scores)
  model_class.check("prune", model, nil)
  if type(scores) ~= "table" then
    errors.refuse("prune", "scores: expected a table of layer = Tensor, or a plan, got " .. options.describe(scores))
  end
end

--- Ranks the units without touching the model.
-- @tparam Model model
-- @tab scores see `prune`
-- @tab opts see `prune`
-- @treturn PruningPlan
-- @treturn ?table where opts have a `target`: what was reached, see `prune`
function prune.plan(model, scores, opts)
  check_arguments(model, scores)
  return make_plan(model, scores, opts)
end

--- The rates that differ: those in [0, 1) at which another unit goes, ascending, as far as `min_units` allows.
-- @tparam Model model
-- @tab scores see `prune`
-- @tab[opt] opts see `prune`, without `rate` and `target`
-- @treturn {number,...}
function prune.rates(model, scores, opts)
  check_arguments(model, scores)
  return ranking.new(model, scores, options.check("prune", opts, rules)):rates()
end

--- Reads a plan that `plan:save` wrote.
-- @string path
-- @treturn PruningPlan
function prune.load_plan(path)
  path = options.value("load_plan", "path", path, { type = "string", required = true })
  return errors.within("load_plan", pruning_plan.read, path)
end

--- Removes units: a copy of the model in which every weight that produces them is zero, their filter and bias, and the
-- scale and shift of the batch norm that follows. Shapes stay as they are, and weights that do not change are shared.
--
-- Exactly `floor(rate * units)` units of the chosen layers go, lowest scores first, ties in the order of layers and
-- units. No layer falls below `min_units` units: the rest of such a layer is passed over and the next lowest elsewhere
-- go instead; where that leaves too few (with scope "layer" there is no elsewhere) it is an error.
--
-- Of a model that was pruned before, the units that are gone come first and count among those that go: 30 % and then
-- 50 % make 50 %. They stay in the plan also where the rate or the layers would leave them out, so that training keeps
-- all of them at zero.
--
-- Instead of a rate, a target: `target = { macs = 0.5 }` finds the smallest rate at which the compact model has at most
-- half of the multiply-adds that the model given has; so do `params` and `latency` (of one image, measured in turns
-- with the model given; times vary, and the share that was measured is the one that is reported). What was reached
-- stands in `pruned.target`: the share under the target's name, and `rate`. A target that no rate reaches is refused
-- with the least share that can be had.
--
-- `cost_aware = true` ranks by score per multiply-add that a unit's removal saves in its own layer and in those that
-- read it: score / c where the score is positive, score * c where it is negative, c being the saving relative to the
-- mean of all units. So what saves more goes sooner either way. What other layers add to as well (a residual stream's
-- channels) saves nothing in its readers.
--
-- @tparam Model model
-- @tab scores layer name -> Tensor [units], as `importance` gives them (other values are ignored); or a plan, from
--   `pruned.pruning_plan`, `prune.plan` or `prune.load_plan` or as a plain table, which is then applied as it is,
--   without opts
-- @tab[opt] opts `rate` in [0, 1), or `target`: `{ macs = share }`, `{ params = share }` or `{ latency = share }` with
--   a share in (0, 1]; `cost_aware` (false); `scope`: "global" (all units ranked together, the default) or "layer"
--   (the rate of each layer); `layers`: names, or a function(layer) -> boolean on what `model:layers()` lists (all by
--   default); `min_units` (1)
-- @treturn Model with the PruningPlan in its field `pruning_plan`, and with a target what was reached in `target`
-- @usage
-- local pruned = sc.prune(model, scores, { rate = 0.5 })
-- print(pruned.pruning_plan, sc.evaluate(pruned, data.test).accuracy)
-- @function prune
local function apply(_, model, scores, opts)
  check_arguments(model, scores)
  local plan, reached
  if is_plan(scores) then
    if opts ~= nil then
      errors.refuse("prune", "options: expected none beside a plan, got " .. options.describe(opts))
    end
    local problem
    plan, problem = pruning_plan.fit(model:layers(), scores)
    if not plan then errors.refuse("prune", "plan: " .. problem) end
    plan = pruning_plan.join(model:layers(), plan, model.pruning_plan)
  else
    plan, reached = make_plan(model, scores, opts)
  end
  local pruned = model:clone()
  pruned.graph = core.mask(model.graph, plan)
  pruned.pruning_plan = plan
  pruned.target = reached
  return pruned
end

return setmetatable(prune, { __call = apply })
