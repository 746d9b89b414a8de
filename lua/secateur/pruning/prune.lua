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
local repair = require "secateur.pruning.repair"
local repair_options = require "secateur.pruning.repair.options"
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
for option, rule in pairs(repair_options.rules) do rules[option] = rule end

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

-- Beside a plan, which says what goes, there are options of repair alone.
local function check_beside_plan(opts)
  for _, key in ipairs(options.sorted_keys(type(opts) == "table" and opts or {})) do
    if rules[key] and not repair_options.rules[key] then
      errors.refuse("prune", "%s: expected none beside a plan", key)
    end
  end
  return options.check("prune", opts, repair_options.rules)
end

-- A plan for this model from a given one, with what is gone already.
local function fit_plan(model, given)
  local plan, problem = pruning_plan.fit(model:layers(), given)
  if not plan then errors.refuse("prune", "plan: " .. problem) end
  return pruning_plan.join(model:layers(), plan, model.pruning_plan)
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
-- Exactly `floor(rate * units)` units of the chosen layers go (as decimals have it: 29 of 100 at 0.29), lowest
-- scores first, ties in the order of layers and units. No layer falls below `min_units` units: the rest of such a
-- layer is passed over and the next lowest elsewhere
-- go instead; where that leaves too few (with scope "layer" there is no elsewhere) it is an error.
--
-- Of a model that was pruned before, the units that are gone come first and count among those that go: 30 % and then
-- 50 % make 50 %. They stay in the plan also where the rate or the layers would leave them out, so that training keeps
-- all of them at zero.
--
-- Instead of a rate, a target: `target = { macs = 0.5 }` finds the smallest rate at which the compact model has at most
-- half of the multiply-adds that the model given has; so do `params` and `latency` (of one image, measured in turns
-- with the model given; times vary, and may rise where less is computed, so the rate need not be the smallest, and the
-- share reported is the one that was measured). What was reached
-- stands in `pruned.target`: the share under the target's name, and `rate`. A target that no rate reaches is refused
-- with the least share that can be had.
--
-- `cost_aware = true` ranks by score per multiply-add that a unit's removal saves in its own layer and in those that
-- read it: score / c where the score is positive, score * c where it is negative, c being the saving relative to the
-- mean of all units. So what saves more goes sooner either way. What other layers add to as well (a residual stream's
-- channels) saves nothing in its readers.
--
-- What pruning cost is repaired without labels and without training, where images are known: those that the scores
-- were made with, or `calibration`. By `least_squares`, the default, every layer behind a removed unit is refitted to
-- what it made before, the classifier among them; `bias` gives its outputs their means back, `batch_norm` batch norms
-- their statistics, both of which help much less. In the first two, batch norms are folded into the layers before them.
-- Where no images are known nothing is repaired, and that is said on stderr; a plan alone is applied without repair.
--
-- @tparam Model model
-- @tab scores layer name -> Tensor [units], as `importance` gives them (other values are ignored); or a plan, from
--   `pruned.pruning_plan`, `prune.plan` or `prune.load_plan` or as a plain table, which is then applied as it is,
--   with no opts but those of repair
-- @tab[opt] opts `rate` in [0, 1), or `target`: `{ macs = share }`, `{ params = share }` or `{ latency = share }` with
--   a share in (0, 1]; `cost_aware` (false); `scope`: "global" (all units ranked together, the default) or "layer"
--   (the rate of each layer); `layers`: names, or a function(layer) -> boolean on what `model:layers()` lists (all by
--   default); `min_units` (1). Of repair: `repair` ("least_squares", "bias", "batch_norm" or "none"), `calibration` (a
--   split or a Tensor [N x C x H x W] of unlabelled images; those that the scores come from by default),
--   `calibration_count` (256), `seed` (0: which images and positions)
-- @treturn Model with the PruningPlan in its field `pruning_plan`, with a target what was reached in `target`, and
--   in `repair`, unless that is "none", a table: `method`, `calibration_count`, `seconds`, `layers` (how many were
--   repaired), `left` (those that could not be: a list of `name` and `reason`)
-- @usage
-- local pruned = sc.prune(model, scores, { rate = 0.5 })
-- print(pruned.pruning_plan, sc.evaluate(pruned, data.test).accuracy)
-- @function prune
local function apply(_, model, scores, opts)
  check_arguments(model, scores)
  local plan, reached, checked
  if is_plan(scores) then
    checked = check_beside_plan(opts)
    plan = fit_plan(model, scores)
    if not checked.calibration then checked.repair = checked.repair or "none" end
  else
    plan, reached = make_plan(model, scores, opts)
    checked = options.check("prune", opts, rules)
  end
  local method, images = repair_options.choose(checked, scores)
  local pruned = model:clone()
  pruned.pruning_plan, pruned.target = plan, reached
  if method == "none" then
    pruned.graph = core.mask(model.graph, plan)
  else
    pruned.graph, pruned.repair = errors.within("prune", repair.apply, model, plan, method, images,
      { count = checked.calibration_count, seed = checked.seed })
    pruned.info.repair = method
    if reached then target.update(model, pruned.graph, reached) end
  end
  return pruned
end

return setmetatable(prune, { __call = apply })
