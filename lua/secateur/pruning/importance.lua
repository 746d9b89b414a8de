--- Scores neurons by what they contribute to the predictions on a few samples.
-- @module secateur.pruning.importance
local core = require "secateur.core"
local errors = require "secateur.util.errors"
local families = require "secateur.attribution.families"
local importance_options = require "secateur.pruning.importance_options"
local methods = require "secateur.attribution.methods"
local model_class = require "secateur.models.model"
local options = require "secateur.util.options"
local predict = require "secateur.evaluation.predict"
local targets = require "secateur.models.targets"
local tensors = require "secateur.util.tensors"

-- The weights of the classes explained, for a batch with labels y.
local function weigh(target, y, logits)
  return (targets.weights("importance", targets.with_labels(target, y), logits))
end

-- Each maker gives a function of a batch that returns layer name -> Tensor [N x units], and one that ends it.
local makers = {}

local function attribution_maker(family)
  return function(model, names, opts)
    local explain, close = family.prepare(model, { name = "importance", method = opts.method, options = opts,
      layers = names, batch = opts.batch, rows = opts.batch, units = true, input = false })
    local first = 1
    return function(x, y)
      local result = explain(x, function(logits) return weigh(opts.target, y, logits) end, first)
      first = first + x:size(1)
      return result.layers
    end, close
  end
end

local function measure_maker(measure, backward)
  return function(model, names, opts)
    local plan = model:execution(opts.batch, { backward = backward, keep = names,
      keep_grads = backward and names or nil })
    return function(x, y)
      local logits = plan:forward(x)
      if backward then plan:backward(weigh(opts.target, y, logits)) end
      local sums = {}
      for _, name in ipairs(names) do sums[name] = core.unit_reduction(plan, name, measure) end
      return sums
    end, function() end
  end
end

makers.activation = measure_maker("mean_abs_value", false)
makers.taylor = measure_maker("mean_abs_value_grad", true)
for _, method in ipairs(methods) do
  local family = families.get(method)
  if family then makers[method] = attribution_maker(family) end
end

-- Baselines that look at no sample.
local blind = {}

function blind.random(_, layers, opts)
  local scores = {}
  for i, layer in ipairs(layers) do scores[layer.name] = core.rand(layer.units, { seed = core.mix(opts.seed, i) }) end
  return scores
end

-- L2 norm of the weights that make the unit, bias aside.
function blind.magnitude(model, layers)
  local by_name, scores = {}, {}
  for _, node in ipairs(model.graph:nodes()) do by_name[node.name] = node end
  for _, layer in ipairs(layers) do
    local param = by_name[layer.name].params[1]
    local weight = model.graph:parameter(param.name):view(param.first, param.first + layer.units - 1)
    local rows = weight:reshape(layer.units, -1)
    local squares = (rows * rows):sum(2)
    scores[layer.name] = squares
    for u = 1, layer.units do squares:set(math.sqrt(squares:get(u)), u) end
  end
  return scores
end

local function describe(scores)
  local p, lines = scores.provenance, {}
  lines[1] = ("Scores by %s, %s sampling, %d samples"):format(p.method, tostring(p.sampling), #p.indices)
  for _, name in ipairs(p.layers) do
    local layer = scores[name]
    lines[#lines + 1] = ("  %s: %d units, mean %.4g, largest %.4g"):format(name, layer:numel(), layer:mean(),
      layer:max())
  end
  return table.concat(lines, "\n")
end

-- Provenance is looked up, not stored among the layers, so that a loop over the table meets layers alone.
local function with_provenance(scores, provenance)
  return setmetatable(scores, { __name = "Scores", __tostring = describe, __index = { provenance = provenance } })
end

-- Adds each sample's sums (or their magnitudes) to the totals, one after another in double precision, so that they do
-- not depend on how samples are batched; returns how many samples there were.
local function accumulate(totals, sums, reduce)
  local count = 0
  for name, tensor in pairs(sums) do
    count = tensor:size(1)
    local total = totals[name] or {}
    for _, row in ipairs((reduce == "abs" and tensor:abs() or tensor):totable()) do
      for unit, value in ipairs(row) do total[unit] = (total[unit] or 0) + value end
    end
    totals[name] = total
  end
  return count
end

local function finite(scores, method)
  for name, tensor in pairs(scores) do
    if not tensors.finite(tensor) then
      local message = "%s gives scores that are not finite at layer '%s'; are the weights and images finite?"
      errors.refuse("importance", message:format(method, name))
    end
  end
end

-- Where nothing reaches any unit there is nothing to rank: pruning would go by the order of layers.
local function informative(scores, method)
  for _, tensor in pairs(scores) do
    if tensor:abs():max() > 0 then return end
  end
  errors.refuse("importance", "%s gives all units the score 0; is the model's last layer still zero, as a ViT's new "
    .. "head is until it is trained?", method)
end

local function score_samples(model, split, names, indices, opts)
  model:release() -- the arena of whoever chose the samples: one at a time
  local step, finish = makers[opts.method](model, names, opts)
  local totals, count = {}, 0
  for first = 1, #indices, opts.batch do
    local chunk = table.move(indices, first, math.min(first + opts.batch - 1, #indices), 1, {})
    local x, y = split:batch(chunk)
    if x and x:size(1) > 0 then count = count + accumulate(totals, step(x, y), opts.reduce) end
    if opts.on_batch then opts.on_batch(math.min(first + opts.batch - 1, #indices), #indices) end
  end
  finish()
  if count == 0 then errors.refuse("importance", "split: expected at least one image that can be read") end
  local means = {}
  for name, total in pairs(totals) do
    for unit, sum in ipairs(total) do total[unit] = sum / count end
    means[name] = core.tensor(total)
  end
  return means
end

--- Scores every prunable unit: its relevance summed over positions, averaged over the samples chosen.
--
-- Methods: `lrp`, `dlb`, `ig` (conductance) and `gradient_x_input` (h df/dh, with its sign), see `attribute`; and to
-- compare with, `random`, `magnitude` (L2 norm of the unit's weights), `activation` (mean |h|), `taylor` (mean
-- |h df/dh|).
--
-- @tparam Model model
-- @tparam Split split the training split, as a rule
-- @tparam[opt] table opts
--   `method` ("lrp"), `sampling` ("clustering", "confidence", "random" or a function, see `sample`), `per_class` (10),
--   `indices` (samples chosen already), `reduce` ("sum" keeps the sign; "abs" takes the magnitude of each sample's
--   sum), `seed` (0), `batch` (16), `target` ("label"; "prediction", a class, or a contrast `{ of = "label", against =
--   "runner_up" }` of these), `on_batch` (function(done, total)), and those that the method has in `attribute`
-- @treturn table layer name -> Tensor [units]; the key `provenance` (method, sampling, indices, layers in order, ...)
--   is there to be read, but does not show up in a loop
local function importance(model, split, opts)
  model_class.check("importance", model)
  local checked = importance_options.check("importance", opts)
  if type(split) ~= "table" or not split.batch then
    errors.refuse("importance", "split: expected a split of a data set, got " .. options.describe(split))
  end
  predict.check_fit("importance", model, split)
  local layers, names = model:layers(), {}
  for i, layer in ipairs(layers) do names[i] = layer.name end
  local scores, indices
  if blind[checked.method] then
    scores, indices = blind[checked.method](model, layers, checked), {}
  else
    indices = checked.indices or errors.within("importance", function()
      return require "secateur.pruning.sample"(model, split, { sampling = checked.sampling,
        per_class = checked.per_class, seed = checked.seed })
    end)
    if #indices == 0 and type(checked.sampling) == "function" then
      errors.refuse("importance", "sampling: expected a function that chooses samples that can be read, got none of "
        .. "any class")
    end
    scores = errors.within("importance", function() return score_samples(model, split, names, indices, checked) end)
    model:release()
  end
  finite(scores, checked.method)
  informative(scores, checked.method)
  return with_provenance(scores, { method = checked.method, indices = indices, layers = names,
    sampling = checked.indices and "given" or checked.sampling, reduce = checked.reduce, seed = checked.seed,
    per_class = checked.per_class })
end

return importance
