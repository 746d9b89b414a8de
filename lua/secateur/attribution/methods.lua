--- The registry of methods: those that explain predictions (`attribute`, `heatmaps`, `faithfulness`, `agreement`) and
-- those that score units (`importance`, `sweep`). A method is added by a row here.
--
-- A row: `name`; `label`, for people; `family`, the module that computes it; `rules`, its own options (see
-- util.options); `explains`: it attributes an output to the input; `scores`: it scores units; `layers`: its values can
-- be asked of single nodes; `centred`: its scores are complete only with the means of units, see
-- secateur.attribution.sensitivity; `numbered`: its random numbers go by the number of a sample among all; and what it
-- needs: `data` (samples), `target` (an output to explain),
-- `convolutions` (a network with maps: convolutions, or tokens of patches).
--
-- A family that needs data has `prepare(model, request)`, which gives two functions: `explain(x, weigh, first)`, for
-- any number of batches (`first` counts samples from 1), and `close()`. `explain` runs the model, asks `weigh(logits)`
-- for the weights [n x classes] of what is to be explained (where the method needs a target), and gives a table:
-- `logits`, `layers` (node -> Tensor), `input`, and what else the method computes (Tensors with a row per sample, lists
-- with an entry per sample, or tables of these). The request: `name` (the public function, for messages), `method`,
-- `options` (checked), `layers` (node names), `batch` (the most samples of a call of `explain`), `rows` (the most rows
-- of a run of the network, for methods that run a sample many times), `total` (samples in all, where they are the rows
-- of one Tensor), `units` (layers as [n x units], summed over positions), `input` (whether the attribution of the input
-- is wanted). A family may have `default_layers(model, options)`: the nodes whose attribution is given unless others
-- are named; and `check(name, options)`: raises what rules of single options cannot say.
--
-- A family that needs no data has `score(method, model, layers, seed)`, which gives layer name -> Tensor [units].
-- @module secateur.attribution.methods
local data_free = require "secateur.attribution.data_free"
local errors = require "secateur.util.errors"
local grad_cam = require "secateur.attribution.grad_cam"
local gradients = require "secateur.attribution.gradients"
local integrated_gradients = require "secateur.attribution.integrated_gradients"
local options = require "secateur.util.options"
local propagation = require "secateur.attribution.propagation"
local sensitivity = require "secateur.attribution.sensitivity"
local unit_reductions = require "secateur.attribution.unit_reductions"

local methods = {}

-- What every method that looks at predictions has in common.
local function explaining(row)
  row.explains, row.layers, row.data, row.target = true, true, true, true
  return row
end

local rows = {
  explaining { name = "lrp", label = "LRP", family = propagation, scores = true },
  explaining { name = "dlb", label = "DL-Backtrace", family = propagation, scores = true },
  explaining { name = "ig", label = "Integrated Gradients", family = integrated_gradients, scores = true },
  explaining { name = "gradient", label = "Gradient", family = gradients },
  explaining { name = "gradient_x_input", label = "Gradient × input", family = gradients, scores = true },
  explaining { name = "smoothgrad", label = "SmoothGrad", family = gradients, numbered = true },
  explaining { name = "guided_backprop", label = "Guided backprop", family = gradients },
  explaining { name = "grad_cam", label = "Grad-CAM", family = grad_cam, convolutions = true },
  { name = "sensitivity", label = "Sensitivity", family = sensitivity, scores = true, data = true, centred = true,
    numbered = true },
  { name = "random", label = "random", family = data_free, scores = true },
  { name = "magnitude", label = "magnitude", family = data_free, scores = true },
  { name = "activation", label = "activation", family = unit_reductions, scores = true, data = true },
  { name = "taylor", label = "Taylor", family = unit_reductions, scores = true, data = true, target = true },
}

local by_name = {}

--- Names of the methods that explain, in order.
methods.explaining = {}

--- Names of the methods that score units, in order.
methods.scoring = {}

for _, row in ipairs(rows) do
  row.rules = row.family.rules and row.family.rules[row.name] or {}
  by_name[row.name] = row
  if row.explains then table.insert(methods.explaining, row.name) end
  if row.scores then table.insert(methods.scoring, row.name) end
end

--- The row of a method; nil for what is none.
-- @string name
-- @treturn ?table
function methods.get(name) return by_name[name] end

--- The row of a method that explains; nil for others.
-- @string name
-- @treturn ?table
function methods.get_explaining(name)
  local row = by_name[name]
  return row and row.explains and row or nil
end

--- Option rules that all methods that explain share.
methods.common = {
  method = { one_of = methods.explaining, default = "lrp" },
  target = { default = "prediction" },
  layers = { type = { "string", "list" } },
  batch = { type = "integer", min = 1, default = 16 },
}

-- An option of another method is not unknown, but does nothing here.
local function refuse_others(name, given, method, own, common)
  for key in pairs(given) do
    for _, other in ipairs(rows) do
      if not common[key] and not own[key] and other.rules[key] then
        local known = options.sorted_keys(own)
        errors.refuse(name, "%s: expected an option of method '%s' (%s), got one of '%s'", key, method,
          #known > 0 and table.concat(known, ", ") or "there are none", other.name)
      end
    end
  end
end

--- Checks the options of a public function: those that all methods share, and those of the method chosen.
-- @string name the public function
-- @tab[opt] given
-- @tab common option rules of all methods, that of `method` among them
-- @treturn table
function methods.check(name, given, common)
  local rules = {}
  for key, rule in pairs(common) do rules[key] = rule end
  if given == nil or type(given) == "table" then
    local method = options.value(name, "method", given and given.method, common.method)
    local own = by_name[method] and by_name[method].rules or {}
    for key, rule in pairs(own) do rules[key] = rule end
    if given then refuse_others(name, given, by_name[method] and method or "custom", own, common) end
  end
  local checked = options.check(name, given, rules)
  local row = by_name[checked.method]
  if row and row.family.check then row.family.check(name, checked) end
  return checked
end

return methods
