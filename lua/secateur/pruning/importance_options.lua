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

-- Weights that samples bring along, see `sample`: one for each.
local function check_weights(name, indices)
  local weights = indices and indices.weights
  if weights == nil then return end
  if type(weights) ~= "table" or #weights ~= #indices then
    errors.refuse(name, "indices: expected a weight for each of %d samples, got %s", #indices,
      type(weights) == "table" and #weights or options.describe(weights))
  end
  for i, weight in ipairs(weights) do
    if not math.type(weight) or not (weight > 0 and weight < math.huge) then
      errors.refuse(name, "indices: expected weights that are finite numbers above 0, got %s at %d",
        options.describe(weight), i)
    end
  end
end

--- Checks the options of a method of scoring, those that the method has in `attribute` among them.
-- @string name what messages begin with
-- @tab[opt] given
-- @treturn table
function importance_options.check(name, given)
  if type(given) == "table" and type(given.method) == "table" then -- { score =, version = }: what counts here is score
    local plain = {}
    for key, value in pairs(given) do plain[key] = value end
    plain.method, given = scoring_method.read(name, "method", given.method).score, plain
  end
  local checked = methods.check(name, given, importance_options.rules)
  if checked.sampling ~= nil then strategy.read(name, "sampling", checked.sampling) end
  check_weights(name, checked.indices)
  return checked
end

return importance_options
