--- Removes the units with the lowest scores: scores → plan → masked copy of the model.
--
-- The module is the verb itself, `prune(model, scores, opts)`, and a table of what belongs to it.
-- @module secateur.prune
local core = require "secateur.core"
local files = require "secateur.util.files"
local json = require "secateur.util.json"
local model_class = require "secateur.models.model"
local options = require "secateur.util.options"
local tensors = require "secateur.util.tensors"

local prune = {}

--- Which units to remove: layer name -> list of units (from 1, ascending; empty where a layer keeps all of its own).
-- Methods are looked up, not stored among the layers, so that a loop over the table meets layers alone. Printed, it is
-- a table of layers, units, removed units and their share.
-- @type Plan
local Plan = { __name = "Plan" }
local methods = {}
Plan.__index = methods

-- Plan -> list of {name =, units =} in the model's order: the layers that were chosen from.
local layers_of = setmetatable({}, { __mode = "k" })

local function new_plan(layers, removed)
  local plan, list = {}, {}
  for i, layer in ipairs(layers) do
    list[i] = { name = layer.name, units = layer.units }
    plan[layer.name] = removed[layer.name] or {}
    table.sort(plan[layer.name])
  end
  layers_of[plan] = list
  return setmetatable(plan, Plan)
end

--- How many units the plan removes.
-- @treturn int
function methods:count()
  local count = 0
  for _, units in pairs(self) do count = count + #units end
  return count
end

--- Writes the plan as JSON; `prune.load_plan` reads it back.
-- @string path
function methods:save(path)
  path = options.value("save", "path", path, { type = "string", required = true })
  local list = {}
  for i, layer in ipairs(layers_of[self]) do
    list[i] = { name = layer.name, units = layer.units, removed = self[layer.name] or {} }
  end
  local text = json.encode { format = "secateur plan", version = 1, layers = list }
  local ok, message = files.write_all(path, text .. "\n")
  if not ok then options.fail("save", message) end
end

function Plan:__tostring()
  local rows, units = { { "layer", "units", "removed", "share" } }, 0
  local function add(name, of, removed)
    rows[#rows + 1] = { name, tostring(of), tostring(removed), ("%.1f%%"):format(of > 0 and 100 * removed / of or 0) }
  end
  for _, layer in ipairs(layers_of[self]) do
    add(layer.name, layer.units, #(self[layer.name] or {}))
    units = units + layer.units
  end
  add("total", units, methods.count(self))
  local width = 0
  for _, row in ipairs(rows) do width = math.max(width, #row[1]) end
  for i, row in ipairs(rows) do rows[i] = ("%-" .. width .. "s  %8s  %8s  %6s"):format(table.unpack(row)) end
  return table.concat(rows, "\n")
end

-- ---- scores → plan ----

local function quote_all(names)
  local quoted = {}
  for i, name in ipairs(names) do quoted[i] = options.describe(name) end
  return table.concat(quoted, ", ")
end

local rules = {
  rate = { type = "number", min = 0, below = 1, required = true },
  scope = { one_of = { "global", "layer" }, default = "global" },
  layers = { type = { "string", "table", "function" } },
  keep = { type = "integer", min = 0, default = 1 },
}

-- The layers that units are removed from, in the model's order.
local function choose_layers(model, wanted)
  local all = model:layers()
  if wanted == nil then return all end
  local chosen, pick = {}, wanted
  if type(wanted) ~= "function" then
    local names, unknown = {}, {}
    for _, layer in ipairs(all) do names[layer.name] = false end
    for _, name in ipairs(type(wanted) == "string" and { wanted } or wanted) do
      if names[name] == nil then unknown[#unknown + 1] = name else names[name] = true end
    end
    if #unknown > 0 then
      options.fail("prune", "layers: expected names of prunable layers, got " .. quote_all(unknown), 2)
    end
    pick = function(layer) return names[layer.name] end
  end
  for _, layer in ipairs(all) do
    if pick(layer) then chosen[#chosen + 1] = layer end
  end
  if #chosen == 0 then options.fail("prune", "layers: expected at least one, got none", 2) end
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
        options.fail("prune", ("scores: '%s': expected a Tensor [%d], got [%s]"):format(layer.name, layer.units,
          table.concat(shape, "x")), 2)
      end
      lists[layer.name] = tensor:totable()
      for unit, score in ipairs(lists[layer.name]) do
        if score ~= score then
          options.fail("prune", ("scores: '%s': expected numbers, got NaN for unit %d"):format(layer.name, unit), 2)
        end
      end
    end
  end
  if #missing > 0 then
    options.fail("prune", ("scores: expected a Tensor for every layer, %d missing: %s"):format(#missing,
      quote_all(missing)), 2)
  end
  return lists
end

-- Adds the `count` lowest-scored units of these layers to `removed`; gives how many could not be had because of `keep`.
local function take_lowest(removed, layers, scores, count, keep)
  local score_of, layer_of, unit_of, order = {}, {}, {}, {}
  for _, layer in ipairs(layers) do
    removed[layer.name] = {}
    for unit, score in ipairs(scores[layer.name]) do
      local id = #order + 1 -- counts in the order of layers and units, which decides ties
      score_of[id], layer_of[id], unit_of[id], order[id] = score, layer, unit, id
    end
  end
  table.sort(order, function(a, b)
    if score_of[a] ~= score_of[b] then return score_of[a] < score_of[b] end
    return a < b
  end)
  for _, id in ipairs(order) do
    if count == 0 then break end
    local units = removed[layer_of[id].name]
    if layer_of[id].units - #units > keep then
      units[#units + 1] = unit_of[id]
      count = count - 1
    end
  end
  return count
end

local function count_units(layers)
  local units = 0
  for _, layer in ipairs(layers) do units = units + layer.units end
  return units
end

-- Called by the public functions themselves, as is fit_plan: errors count on one function in between.
local function make_plan(model, scores, opts)
  local checked = options.check("prune", opts, rules, 1)
  local layers = choose_layers(model, checked.layers)
  local lists, removed, parts = read_scores(scores, layers), {}, { layers }
  if checked.scope == "layer" then
    for i, layer in ipairs(layers) do parts[i] = { layer } end
  end
  for _, part in ipairs(parts) do
    local units = count_units(part)
    local count = math.floor(checked.rate * units)
    local short = take_lowest(removed, part, lists, count, checked.keep)
    if short > 0 then
      local where = checked.scope == "layer" and (" of '%s'"):format(part[1].name) or ""
      options.fail("prune", ("keep: expected a number that lets %d of %d units%s go, got %d, which lets %d"):format(
        count, units, where, checked.keep, count - short), 1)
    end
  end
  return new_plan(layers, removed)
end

-- ---- plan → model ----

-- The problem with one layer's list of units, or nil.
local function problem_with(list, layer, expected_units)
  if expected_units and expected_units ~= layer.units then
    return ("expected a layer of %d units, the model's has %d"):format(expected_units, layer.units)
  end
  if type(list) ~= "table" then return "expected a list of units, got " .. options.describe(list) end
  local seen = {}
  for _, unit in ipairs(list) do
    local whole = math.type(unit) and math.tointeger(unit)
    if not whole or whole < 1 or whole > layer.units then
      return ("expected units in 1..%d, got %s"):format(layer.units, options.describe(unit))
    end
    if seen[whole] then return ("expected each unit once, got %d twice"):format(whole) end
    seen[whole] = true
  end
end

-- A given plan as one for this model; raises where it does not fit.
local function fit_plan(model, given)
  local known, unknown, expected = {}, {}, {}
  for _, layer in ipairs(model:layers()) do known[layer.name] = layer end
  for name in pairs(given) do
    if not known[name] then unknown[#unknown + 1] = name end
  end
  if #unknown > 0 then
    table.sort(unknown, function(a, b) return tostring(a) < tostring(b) end)
    options.fail("prune", "plan: the model has no prunable layer " .. quote_all(unknown), 1)
  end
  for _, layer in ipairs(layers_of[given] or {}) do expected[layer.name] = layer.units end
  local layers, removed = {}, {}
  for _, layer in ipairs(model:layers()) do
    local list = given[layer.name]
    if list ~= nil then
      local problem = problem_with(list, layer, expected[layer.name])
      if problem then options.fail("prune", ("plan: '%s': %s"):format(layer.name, problem), 1) end
      layers[#layers + 1] = layer
      removed[layer.name] = table.move(list, 1, #list, 1, {})
    end
  end
  return new_plan(layers, removed)
end

-- A plan as prune makes and loads it, or a plain table of lists; scores hold Tensors.
local function is_plan(value)
  if getmetatable(value) == Plan then return true end
  local lists = false
  for name, each in pairs(value) do
    if tensors.is(each) then return false end
    lists = lists or type(each) == "table" and name ~= "provenance"
  end
  return lists
end

local function check_arguments(model, scores)
  model_class.check("prune", model, nil, 1)
  if type(scores) ~= "table" then
    options.fail("prune", "scores: expected a table of layer = Tensor, or a plan, got " .. options.describe(scores), 1)
  end
end

--- Ranks the units without touching the model.
-- @tparam Model model
-- @tab scores see `prune`
-- @tab opts see `prune`
-- @treturn Plan
function prune.plan(model, scores, opts)
  check_arguments(model, scores)
  local plan = make_plan(model, scores, opts)
  return plan
end

--- Reads a plan that `plan:save` wrote.
-- @string path
-- @treturn Plan
function prune.load_plan(path)
  path = options.value("load_plan", "path", path, { type = "string", required = true })
  local text, message = files.read_all(path)
  if not text then options.fail("load_plan", message) end
  local good, content = pcall(json.decode, text)
  if not good then options.fail("load_plan", ("%s: %s"):format(path, content)) end
  if type(content) ~= "table" or content.format ~= "secateur plan" or type(content.layers) ~= "table" then
    options.fail("load_plan", path .. ": expected a plan as prune writes it")
  end
  if content.version ~= 1 then
    options.fail("load_plan", ("%s: expected version 1, got %s"):format(path, options.describe(content.version)))
  end
  local removed = {}
  for i, layer in ipairs(content.layers) do
    local named = type(layer) == "table" and type(layer.name) == "string" and math.type(layer.units) == "integer"
    local problem = not named and "expected name and units" or problem_with(layer.removed, layer)
    if problem then options.fail("load_plan", ("%s: layer %d: %s"):format(path, i, problem)) end
    removed[layer.name] = layer.removed
  end
  return new_plan(content.layers, removed)
end

--- Removes units: a copy of the model in which every weight that produces them is zero, their filter and bias, and the
-- scale and shift of the batch norm that follows. Shapes stay as they are, and weights that do not change are shared.
--
-- Exactly `floor(rate * units)` units of the chosen layers go, lowest scores first, ties in the order of layers and
-- units. No layer falls below `keep` units: the rest of such a layer is passed over and the next lowest elsewhere go
-- instead; where that leaves too few (with scope "layer" there is no elsewhere) it is an error.
--
-- @tparam Model model
-- @tab scores layer name -> Tensor [units], as `importance` gives them (other values are ignored); or a plan, from
--   `pruned.plan`, `prune.plan` or `prune.load_plan` or as a plain table, which is then applied as it is, without opts
-- @tab[opt] opts `rate` in [0, 1); `scope`: "global" (all units ranked together, the default) or "layer" (the rate of
--   each layer); `layers`: names, or a function(layer) -> boolean on what `model:layers()` lists (all by default);
--   `keep` (1)
-- @treturn Model with the Plan in its field `plan`
-- @function prune
local function apply(_, model, scores, opts)
  check_arguments(model, scores)
  local plan
  if is_plan(scores) then
    if opts ~= nil then
      options.fail("prune", "options: expected none beside a plan, got " .. options.describe(opts))
    end
    plan = fit_plan(model, scores)
  else
    plan = make_plan(model, scores, opts)
  end
  local pruned = model:clone()
  pruned.graph = core.mask(model.graph, plan)
  pruned.plan = plan
  return pruned
end

return setmetatable(prune, { __call = apply })
