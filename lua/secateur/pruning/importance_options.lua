--- The options of importance, for whoever has to know early that they are good.
-- @module secateur.pruning.importance_options
local errors = require "secateur.util.errors"
local group_rule = require "secateur.mpi.group_rule"
local methods = require "secateur.attribution.methods"
local options = require "secateur.util.options"
local scoring_method = require "secateur.pruning.scoring_method"
local strategy = require "secateur.pruning.strategy"

local importance_options = {}

-- What a target may be besides a class.
local words = { label = true, prediction = true, runner_up = true }

--- Rules of the options that all methods share.
importance_options.rules = {
  method = { one_of = methods.scoring, type = "function", default = "sensitivity" },
  sampling = {}, -- secateur.pruning.strategy reads it
  per_class = { type = "integer", min = 1, default = 10 },
  indices = { type = "list", least = 1 },
  reduce = { one_of = { "sum", "abs" } },
  redundancy = { type = "boolean" },
  calibration = { type = { "table", "userdata" } },
  calibration_count = { type = "integer", min = 1, default = 256 },
  seed = { type = "integer", default = 0 },
  batch = { type = "integer", min = 1, default = 16 },
  target = { default = "label", check = function(target)
    local list = type(target) == "table"
    for _, word in ipairs { list and target.of or target, list and target.against or nil } do
      if words[word] == nil and not math.type(word) or target == "runner_up" then
        return false, "\"label\", \"prediction\", a class or { of =, against = } of these"
      end
    end
    for key in pairs(list and target or {}) do
      if key ~= "of" and key ~= "against" then
        return false, "{ of =, against = } without a field " .. options.describe(key)
      end
    end
    return not list or target.of and target.against, "both of and against"
  end },
  on_batch = { type = "function" },
  group = group_rule,
}

-- What indices may bring along, see `sample`: one for each of them.
local beside = { "findings", "weights" }

-- Indices that have fields of their own: a list of the indices alone, behind which these stand, as `sample` gives it.
local function read_indices(name, given)
  local own, list = {}, {}
  for key, value in pairs(given) do
    if type(key) == "string" then
      if key ~= "findings" and key ~= "weights" then
        errors.refuse(name, "indices: expected a list, perhaps with weights and findings, got a field '%s'%s", key,
          options.suggest(key, beside))
      end
      own[key] = value
    else
      list[key] = value
    end
  end
  if next(own) == nil then return given end
  return setmetatable(list, { __index = function(_, key)
    if own[key] ~= nil then return own[key] end
    return given[key]
  end })
end

local function check_beside(name, indices)
  for _, key in ipairs(beside) do
    local values = indices[key]
    if values ~= nil and (type(values) ~= "table" or #values ~= #indices) then
      errors.refuse(name, "indices: expected a %s for each of %d samples, got %s", key:sub(1, -2), #indices,
        type(values) == "table" and #values or options.describe(values))
    end
  end
  for i, weight in ipairs(indices.weights or {}) do
    if not math.type(weight) or not (weight > 0 and weight < math.huge) then
      errors.refuse(name, "indices: expected weights that are finite numbers above 0, got %s at %d",
        options.describe(weight), i)
    end
  end
end

-- Options in the form that their rules are for.
local function read_values(name, given)
  if type(given) ~= "table" then return given end
  local plain = {}
  for key, value in pairs(given) do plain[key] = value end
  if type(given.method) == "table" then -- { score =, version = }: what counts here is score
    plain.method = scoring_method.read(name, "method", given.method).score
  end
  if type(given.indices) == "table" then plain.indices = read_indices(name, given.indices) end
  return plain
end

--- Checks the options of a method of scoring, those that the method has in `attribute` among them.
-- @string name what messages begin with
-- @tab[opt] given
-- @treturn table
function importance_options.check(name, given)
  local checked = methods.check(name, read_values(name, given), importance_options.rules)
  if checked.sampling ~= nil then strategy.read(name, "sampling", checked.sampling) end
  if checked.indices then check_beside(name, checked.indices) end
  return checked
end

return importance_options
