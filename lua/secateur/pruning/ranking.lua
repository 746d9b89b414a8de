--- Units in the order in which they go: scores → plans for any rate. Scores are read and sorted once.
-- @module secateur.pruning.ranking
local errors = require "secateur.util.errors"
local options = require "secateur.util.options"
local pruning_plan = require "secateur.models.pruning_plan"
local savings = require "secateur.pruning.savings"
local shares = require "secateur.util.shares"
local tensors = require "secateur.util.tensors"

local ranking = {}

--- The layers that units are removed from, in the model's order.
-- @string name the public function, for messages
-- @tparam Model model
-- @tparam ?string|table|function wanted names, or a function(layer) -> boolean; all by default
-- @treturn {table,...} of what `model:layers()` lists
-- @raise where a name is that of no layer, or none is left
function ranking.choose_layers(name, model, wanted)
  local all = model:layers()
  if wanted == nil then return all end
  local chosen, pick = {}, wanted
  if type(wanted) ~= "function" then
    local names, unknown = {}, {}
    for _, layer in ipairs(all) do names[layer.name] = false end
    for _, each in ipairs(type(wanted) == "string" and { wanted } or wanted) do
      if names[each] == nil then unknown[#unknown + 1] = each else names[each] = true end
    end
    if #unknown > 0 then
      errors.refuse(name, "layers: expected names of prunable layers, got %s%s", options.describe_all(unknown),
        options.suggest(unknown[1], options.sorted_keys(names)))
    end
    pick = function(layer) return names[layer.name] end
  end
  for _, layer in ipairs(all) do
    if errors.call(pick, layer) then chosen[#chosen + 1] = layer end
  end
  if #chosen == 0 then errors.refuse(name, "layers: expected at least one, got none") end
  return chosen
end

-- The scores of each layer as a list.
local function read_scores(scores, layers)
  local lists, missing = {}, {}
  for _, layer in ipairs(layers) do
    local tensor = scores[layer.name]
    if not tensors.is(tensor) then
      missing[#missing + 1] = layer.name
    else
      local shape = tensor:shape()
      if #shape ~= 1 or shape[1] ~= layer.units then
        errors.refuse("prune", "scores: '%s': expected a Tensor [%d], got [%s]", layer.name, layer.units,
          table.concat(shape, "x"))
      end
      lists[layer.name] = tensor:totable()
      for unit, score in ipairs(lists[layer.name]) do
        if score ~= score then
          errors.refuse("prune", "scores: '%s': expected numbers, got NaN for unit %d", layer.name, unit)
        end
      end
    end
  end
  if #missing > 0 then
    errors.refuse("prune", "scores: expected a Tensor for every layer, %d missing: %s", #missing,
      options.describe_all(missing))
  end
  return lists
end

-- The units of these layers, lowest score first; ties in the order of layers and units.
local function sort_units(layers, scores)
  local score_of, order = {}, {}
  for _, layer in ipairs(layers) do
    for unit, score in ipairs(scores[layer.name]) do
      local id = #order + 1
      score_of[id], order[id] = score, { id = id, layer = layer, unit = unit }
    end
  end
  table.sort(order, function(a, b)
    local one, other = score_of[a.id], score_of[b.id]
    if one ~= other then return one < other end
    return a.id < b.id
  end)
  return order
end

-- Adds the `count` lowest-scored units of a part to `removed`; gives how many are missing because of `min_units`.
local function take_lowest(removed, part, count, min_units)
  for _, layer in ipairs(part.layers) do removed[layer.name] = {} end
  for _, entry in ipairs(part.order) do
    if count == 0 then break end
    local units = removed[entry.layer.name]
    if entry.layer.units - #units > min_units then
      units[#units + 1] = entry.unit
      count = count - 1
    end
  end
  return count
end

local Ranking = { __name = "Ranking" }
Ranking.__index = Ranking

--- Ranks the units of a model.
-- @tparam Model model
-- @tab scores layer name -> Tensor [units]
-- @tab opts `scope`, `layers`, `min_units`, `cost_aware` of `prune`, checked
-- @treturn Ranking with `parts`, those that a rate is a share of: each `units` (how many), `layers`, and `order`
function ranking.new(model, scores, opts)
  local layers = ranking.choose_layers("prune", model, opts.layers)
  local lists, parts = read_scores(scores, layers), {}
  if opts.cost_aware then savings.weigh(lists, model.graph, layers) end
  for name, units in pairs(model.pruning_plan or {}) do -- what is gone goes first, whatever its score
    for _, unit in ipairs(lists[name] and units or {}) do lists[name][unit] = -math.huge end
  end
  for i, layer in ipairs(opts.scope == "layer" and layers or { layers }) do
    local part = { layers = opts.scope == "layer" and { layer } or layer, units = 0, removable = 0 }
    for _, each in ipairs(part.layers) do
      part.units = part.units + each.units
      part.removable = part.removable + math.max(0, each.units - opts.min_units)
    end
    part.order = sort_units(part.layers, lists)
    parts[i] = part
  end
  return setmetatable({ parts = parts, layers = layers, model = model, scope = opts.scope,
    min_units = opts.min_units }, Ranking)
end

--- The plan that removes a share of each part. Raises where `min_units` leaves too few units.
-- @number rate in [0, 1)
-- @treturn PruningPlan with what an earlier plan of the model removes
function Ranking:plan(rate)
  local removed = {}
  for _, part in ipairs(self.parts) do
    local count = shares.floor(rate, part.units)
    local short = take_lowest(removed, part, count, self.min_units)
    if short > 0 then
      local where = self.scope == "layer" and (" of '%s'"):format(part.layers[1].name) or ""
      errors.refuse("prune", "min_units = %d leaves only %d of the %d units that rate = %g would remove from the %d%s",
        self.min_units, count - short, count, rate, part.units, where)
    end
  end
  local all = self.model:layers()
  return pruning_plan.join(all, pruning_plan.new(self.layers, removed), self.model.pruning_plan)
end

--- All rates in [0, 1) at which another unit goes, ascending, up to where `min_units` leaves too few.
-- @treturn {number,...} each a fraction count / units
function Ranking:rates()
  local found, list = {}, {}
  local function counts(rate)
    for _, part in ipairs(self.parts) do
      if shares.floor(rate, part.units) > part.removable then return false end
    end
    return true
  end
  for _, part in ipairs(self.parts) do
    for count = 0, part.units - 1 do
      local rate = count / part.units
      if not found[rate] and counts(rate) then found[rate], list[#list + 1] = true, rate end
    end
  end
  table.sort(list)
  return list
end

return ranking
