--- Plans: which units of which layers are removed.
-- @module secateur.models.pruning_plan
local errors = require "secateur.util.errors"
local file_kind = require "secateur.util.file_kind"
local files = require "secateur.util.files"
local is_list = require "secateur.util.is_list"
local json = require "secateur.util.json"
local class_methods = require "secateur.util.methods"
local options = require "secateur.util.options"
local text_table = require "secateur.util.text_table"

local pruning_plan = {}

--- Which units to remove: layer name -> list of units (from 1, ascending; empty where a layer keeps all of its own).
-- Methods are looked up, not stored among the layers, so that a loop over the table meets layers alone. Printed, it is
-- a table of layers, units, removed units and their share.
-- @type PruningPlan
local PruningPlan = { __name = "PruningPlan" }
local methods = {}
PruningPlan.__index = methods

-- PruningPlan -> list of {name =, units =} in the model's order: the layers that were chosen from.
local layers_of = setmetatable({}, { __mode = "k" })

--- A plan over these layers.
-- @tparam {table,...} layers each `name` and `units`, in the model's order
-- @tab removed layer name -> list of units, which the plan takes over and sorts; none for a layer that keeps all
-- @treturn PruningPlan
function pruning_plan.new(layers, removed)
  local self, list = {}, {}
  for i, layer in ipairs(layers) do
    list[i] = { name = layer.name, units = layer.units }
    self[layer.name] = removed[layer.name] or {}
    table.sort(self[layer.name])
  end
  layers_of[self] = list
  return setmetatable(self, PruningPlan)
end

--- Whether a value is a plan, as prune makes and loads it.
-- @param value anything
-- @treturn boolean
function pruning_plan.is(value)
  return getmetatable(value) == PruningPlan
end

--- Another plan that says the same.
-- @tparam PruningPlan self
-- @treturn PruningPlan
function pruning_plan.copy(self)
  local removed = {}
  for name, units in pairs(self) do removed[name] = table.move(units, 1, #units, 1, {}) end
  return pruning_plan.new(layers_of[self], removed)
end

--- How many units the plan removes.
-- @treturn int
function methods:count()
  local count = 0
  for _, units in pairs(self) do count = count + #units end
  return count
end

function PruningPlan:__tostring()
  local rows, units = { { "layer", "units", "removed", "share" } }, 0
  local function add(name, of, removed)
    rows[#rows + 1] = { name, tostring(of), tostring(removed), ("%.1f%%"):format(of > 0 and 100 * removed / of or 0) }
  end
  for _, layer in ipairs(layers_of[self]) do
    add(layer.name, layer.units, #(self[layer.name] or {}))
    units = units + layer.units
  end
  add("total", units, methods.count(self))
  return text_table.format(rows)
end

-- ---- does it fit? ----

local function is_entry(value) return value ~= nil end

-- The problem with one layer's list of units, or nil.
local function problem_with(list, layer, expected_units)
  if expected_units and expected_units ~= layer.units then
    return ("expected a layer of %d units, the model's has %d"):format(expected_units, layer.units)
  end
  if not is_list(list, is_entry) then return "expected a list of units, got " .. options.describe(list) end
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

--- A plan for these layers from a given one.
-- @tparam {table,...} layers what `model:layers()` lists
-- @tab given a PruningPlan, or a table of layer name -> list of units
-- @treturn ?PruningPlan
-- @treturn ?string what does not fit, where something does not
function pruning_plan.fit(layers, given)
  local known, unknown, expected = {}, {}, {}
  for _, layer in ipairs(layers) do known[layer.name] = layer end
  for name in pairs(given) do
    if not known[name] then unknown[#unknown + 1] = name end
  end
  if #unknown > 0 then
    table.sort(unknown, function(a, b) return tostring(a) < tostring(b) end)
    return nil, "the model has no prunable layer " .. options.describe_all(unknown)
  end
  for _, layer in ipairs(layers_of[given] or {}) do expected[layer.name] = layer.units end
  local chosen, removed = {}, {}
  for _, layer in ipairs(layers) do
    local list = given[layer.name]
    if list ~= nil then
      local problem = problem_with(list, layer, expected[layer.name])
      if problem then return nil, ("'%s': %s"):format(layer.name, problem) end
      chosen[#chosen + 1] = layer
      removed[layer.name] = table.move(list, 1, #list, 1, {})
    end
  end
  return pruning_plan.new(chosen, removed)
end

--- A plan of what either of two removes.
-- @tparam {table,...} layers what `model:layers()` lists
-- @tparam PruningPlan one
-- @tparam ?PruningPlan other
-- @treturn PruningPlan
function pruning_plan.join(layers, one, other)
  if not other then return one end
  local chosen, removed = {}, {}
  for _, layer in ipairs(layers) do
    local seen, list = {}, {}
    for _, each in ipairs { one, other } do
      for _, unit in ipairs(each[layer.name] or {}) do
        if not seen[unit] then seen[unit], list[#list + 1] = true, unit end
      end
    end
    if one[layer.name] or other[layer.name] then chosen[#chosen + 1] = layer end
    removed[layer.name] = list
  end
  return pruning_plan.new(chosen, removed)
end

-- Whether a row of what a node uses of a parameter is zero.
local function is_zero(graph, use, unit)
  local row = use.first + unit - 1
  return graph:parameter(use.name):view(row, row):abs():max() == 0
end

--- Whether the weights and biases that produce the units of a plan are zero in a graph.
-- @tparam PruningPlan self
-- @tparam Graph graph whose layers the plan fits
-- @treturn boolean
-- @treturn ?string the first layer where they are not
-- @treturn ?int and its unit
function pruning_plan.holds(self, graph)
  for _, node in ipairs(graph:nodes()) do
    for _, unit in ipairs(self[node.name] or {}) do
      for _, use in pairs(node.params) do
        if not is_zero(graph, use, unit) then return false, node.name, unit end
      end
    end
  end
  return true
end

-- ---- as text ----

local VERSION = 1

--- The plan as JSON.
-- @tparam PruningPlan self
-- @treturn string
function pruning_plan.encode(self)
  local list = {}
  for i, layer in ipairs(layers_of[self]) do
    list[i] = { name = layer.name, units = layer.units, removed = self[layer.name] or {} }
  end
  return json.encode { format = "secateur plan", version = VERSION, layers = list }
end

--- Reads what `encode` gave.
-- @string text
-- @treturn ?PruningPlan
-- @treturn ?string what is wrong with the text, where something is
function pruning_plan.decode(text)
  local good, content = errors.try(json.decode, text, { unique = true })
  if not good then return nil, content end
  if type(content) ~= "table" or content.format ~= "secateur plan" then
    return nil, "expected a plan as prune writes it"
  elseif content.version ~= VERSION then
    return nil, ("expected version %d, got %s"):format(VERSION, options.describe(content.version))
  elseif not is_list(content.layers, is_entry) then
    return nil, "layers: expected a list, got " .. options.describe(content.layers)
  end
  local removed = {}
  for i, layer in ipairs(content.layers) do
    local named = type(layer) == "table" and type(layer.name) == "string" and math.type(layer.units) == "integer"
    local problem = not named and "expected name and units" or problem_with(layer.removed, layer)
    if not problem and removed[layer.name] then problem = ("duplicate layer '%s'"):format(layer.name) end
    if problem then return nil, ("layer %d: %s"):format(i, problem) end
    removed[layer.name] = layer.removed
  end
  return pruning_plan.new(content.layers, removed)
end

--- Writes the plan as JSON; `prune.load_plan` reads it back.
-- @string path its folder is made where it is missing
function methods:save(path)
  path = options.value("save", "path", path, { type = "string", required = true })
  file_kind.check("save", path, "JSON")
  files.mkdir_p(files.directory(path)) -- where that fails, writing says why
  local ok, message = files.write_all(path, pruning_plan.encode(self) .. "\n")
  if not ok then errors.refuse("save", message) end
end

--- Reads a plan's file.
-- @string path
-- @treturn PruningPlan
function pruning_plan.read(path)
  local text, message = files.read_all(path)
  errors.check(text, message)
  local self, problem = pruning_plan.decode(text)
  if not self then errors.raise("%s: %s", path, problem) end
  return self
end

class_methods.guard(PruningPlan, methods, "plan")

return pruning_plan
