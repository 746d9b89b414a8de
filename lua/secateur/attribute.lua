--- Explains predictions: how much each input pixel, and each node inside the network, contributed to an output.
-- @module secateur.attribute
local baseline = require "secateur.attribution.baseline"
local core = require "secateur.core"
local model_class = require "secateur.models.model"
local options = require "secateur.util.options"
local relevance = require "secateur.attribution.relevance"
local targets = require "secateur.models.targets"

local rules = {
  method = { one_of = { "lrp", "dlb", "ig" }, default = "lrp" },
  target = { default = "prediction" },
  composite = { type = { "string", "table" } },
  start = { one_of = { "one", "logit", "probability" }, default = "one" },
  steps = { type = "integer", min = 1, max = 1 << 20, default = 32 },
  baseline = { type = { "string", "userdata" }, default = "black" },
  layers = { type = { "string", "table" } },
}

--- What attribute returns.
-- @table Attribution
-- @field input Tensor like x
-- @field layers node name -> Tensor of that node's output shape
-- @field target list of classes explained
-- @field logits Tensor [N x classes]
-- @field gap (ig) list: |sum of input attributions - (f(x) - f(baseline))| per sample
-- @field method "lrp", "dlb" or "ig"
local Attribution = {}
Attribution.__index = Attribution
Attribution.__name = "Attribution"

function Attribution:__tostring()
  local names = {}
  for name in pairs(self.layers) do names[#names + 1] = name end
  table.sort(names)
  return ("Attribution %s of %d samples, targets %s; sum at the input %.4g; layers: %s"):format(self.method,
    self.input:size(1), table.concat(self.target, " "), self.input:sum(), table.concat(names, ", "))
end

-- The nodes whose attribution is wanted.
local function choose_layers(model, wanted)
  local known, default, all = {}, {}, {}
  for _, node in ipairs(model.graph:nodes()) do
    known[node.name] = true
    if node.channels == "produce" then default[#default + 1] = node.name end
    if node.op ~= "input" then all[#all + 1] = node.name end
  end
  if wanted == nil then return default end
  if wanted == "all" then return all end
  if type(wanted) == "string" then wanted = { wanted } end
  for _, name in ipairs(wanted) do
    if not known[name] then
      options.fail("attribute", "layers: expected nodes of the model, got " .. options.describe(name), 1)
    end
  end
  return wanted
end

-- What relevance starts from: one, the logit or the probability at the target, zero elsewhere.
local function start_at(kind, target, logits)
  targets.check_finite("attribute", logits)
  local seeds, list = targets.one_hot("attribute", target, logits)
  if kind == "one" then return seeds, list end
  local values = kind == "logit" and logits or core.softmax(logits)
  return seeds * values, list
end

local function propagate(model, x, checked, names)
  local composite = checked.composite or (checked.method == "dlb" and "dlb" or relevance.default_composite(model.graph))
  local walker = relevance.prepare(model, "attribute", { composite = composite, batch = x:size(1), keep = names })
  local logits = walker.forward(x)
  local start, list = start_at(checked.start, checked.target, logits)
  walker.backward(start)
  local layers = {}
  for _, name in ipairs(names) do layers[name] = walker.get(name) end
  local result = { input = walker.get("input"), layers = layers, logits = logits, target = list }
  walker.close()
  return result
end

-- |sum of attributions - (f(x) - f(x0))| per sample.
local function completeness_gap(input, logits, base_logits, list)
  local gap = {}
  for i, class in ipairs(list) do
    gap[i] = math.abs(input[i]:sum() - (logits:get(i, class) - base_logits:get(i, class)))
  end
  return gap
end

local function integrate(model, x, checked, names)
  local start = baseline.make("attribute", checked.baseline, x, model.info.normalisation)
  local plan = model:execution(x:size(1), { backward = true, keep_grads = { "input" } })
  local base_logits, logits = plan:forward(start), plan:forward(x)
  targets.check_finite("attribute", logits)
  local seeds, list = targets.one_hot("attribute", checked.target, logits)
  local input = core.integrated_gradients(plan, x, start, seeds, checked.steps)
  local layers = {}
  if #names > 0 then
    plan = model:execution(x:size(1), { backward = true, keep = names, keep_grads = names })
    layers = core.conductance(plan, x, start, seeds, checked.steps, names, false)
  end
  return { input = input, layers = layers, logits = logits, target = list,
    gap = completeness_gap(input, logits, base_logits, list) }
end

--- Attributes an output of a model to its input and to its nodes.
--
-- * `lrp`: layer-wise relevance propagation (Bach et al. 2015) by a composite: `epsilon_plus` for CNNs, `attnlrp` for
--   transformers, another name of secateur.attribution.composites, or a list of `{ match =, rule = }`.
-- * `dlb`: DL-Backtrace, default mode (Sankarapu et al. 2024).
-- * `ig`: Integrated Gradients (Sundararajan et al. 2017) for the input, conductance (Dhamdhere et al. 2018) for nodes.
--
-- @tparam Model model
-- @tparam Tensor x [N x C x H x W]
-- @tparam[opt] table opts `method` ("lrp"), `target` ("prediction", a class, or a list of classes from 1), `composite`,
--   `start` ("one": relevance begins as 1 at the target; "logit", "probability"), `steps` (32) and `baseline` ("black",
--   "zero" or a Tensor) for ig, `layers` (node names, "all", or by default all convolutions and linear layers)
-- @treturn Attribution
local function attribute(model, x, opts)
  model_class.check("attribute", model)
  local checked = options.check("attribute", opts, rules)
  model:check_batch("attribute", x)
  local names = choose_layers(model, checked.layers)
  local explain = checked.method == "ig" and integrate or propagate
  local result = model_class.guard("attribute", function() return explain(model, x, checked, names) end)
  result.method = checked.method
  return setmetatable(result, Attribution)
end

return attribute
