--- The families of attribution methods, and the options of each method.
--
-- A family is a table: `methods` (names), `rules` (method -> option rules, see util.options), and
-- `prepare(model, request)`, which gives two functions: `explain(x, weigh, first)`, for any number of batches
-- (`first` counts samples from 1), and `close()`. `explain` runs the model, asks `weigh(logits)` for the weights
-- [n x classes] of what is to be explained, and gives a table: `logits`, `layers` (node -> Tensor), `input`, and what
-- else the method has to say (Tensors with a row per sample, lists with an entry per sample, or tables of these).
--
-- The request: `name` (the public function, for messages), `method`, `options` (checked), `layers` (node names),
-- `batch` (the most samples of a call of `explain`), `rows` (the most rows of a run of the network, for methods that
-- run a sample many times), `total` (samples in all, where they are the rows of one Tensor), `units` (layers as
-- [n x units], summed over positions), `input` (whether the attribution of the input is wanted). A family may have
-- `default_layers(model, options)`: the nodes whose attribution is given unless others are named; and
-- `check(name, options)`: raises what rules of single options cannot say.
--
-- @module secateur.attribution.families
local errors = require "secateur.util.errors"
local grad_cam = require "secateur.attribution.grad_cam"
local gradients = require "secateur.attribution.gradients"
local integrated = require "secateur.attribution.integrated_gradients"
local options = require "secateur.util.options"
local propagation = require "secateur.attribution.propagation"

local families = {}

local list = { propagation, integrated, gradients, grad_cam }

local of = {}

--- Names of all methods, in order.
families.methods = {}
for _, family in ipairs(list) do
  for _, method in ipairs(family.methods) do
    of[method] = family
    families.methods[#families.methods + 1] = method
  end
end

--- Option rules that all methods share.
families.common = {
  method = { one_of = families.methods, default = "lrp" },
  target = { default = "prediction" },
  layers = { type = { "string", "list" } },
  batch = { type = "integer", min = 1, default = 16 },
}

--- The family of a method; nil for those that are none of ours.
-- @string method
-- @treturn table
function families.get(method) return of[method] end

-- An option of another method is not unknown, but does nothing here.
local function refuse_others(name, given, method, own, common)
  for key in pairs(given) do
    for _, other in ipairs(families.methods) do
      if not common[key] and not own[key] and of[other].rules[other][key] then
        local known = options.sorted_keys(own)
        errors.refuse(name, "%s: expected an option of method '%s' (%s), got one of '%s'", key, method,
          #known > 0 and table.concat(known, ", ") or "there are none", other)
      end
    end
  end
end

--- Checks the options of a public function: those that all methods share, and those of the method chosen.
-- @string name the public function
-- @tab[opt] given
-- @tab common option rules of all methods, that of `method` among them
-- @treturn table
function families.check(name, given, common)
  local rules = {}
  for key, rule in pairs(common) do rules[key] = rule end
  if given == nil or type(given) == "table" then
    local method = options.value(name, "method", given and given.method, common.method)
    local own = of[method] and of[method].rules[method] or {}
    for key, rule in pairs(own) do rules[key] = rule end
    if given then refuse_others(name, given, method, own, common) end
  end
  local checked = options.check(name, given, rules)
  local family = of[checked.method]
  if family and family.check then family.check(name, checked) end
  return checked
end

return families
