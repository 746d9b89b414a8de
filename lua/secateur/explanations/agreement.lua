--- Did the explanation survive pruning? Two models explain the same images.
-- @module secateur.explanations.agreement
local Agreement = require "secateur.explanations.agreement_result"
local core = require "secateur.core"
local errors = require "secateur.util.errors"
local attribution_methods = require "secateur.explanations.attribution_methods"
local confidence_intervals = require "secateur.evaluation.confidence_intervals"
local model_class = require "secateur.models.model"
local options = require "secateur.util.options"
local similarity = require "secateur.explanations.similarity"
local image_subset = require "secateur.explanations.image_subset"
local tensors = require "secateur.util.tensors"

local agreement = {}

local rules = {
  method = { type = { "string", "table", "function" }, default = "lrp" },
  layers = { type = "list" },
  top = { type = "number", above = 0, max = 1, default = 0.1 },
  units = { one_of = { "all", "left" }, default = "all" },
  resamples = { type = "integer", min = 1, max = 1 << 20, default = 1000 },
  level = { type = "number", above = 0, below = 1, default = 0.95 },
  on_progress = { type = "function" },
}
for key, rule in pairs(image_subset.rules) do rules[key] = rule end

-- Methods that give every layer its relevance; of others only the heatmap is compared, unless layers are named.
local layered = { lrp = true, dlb = true, ig = true, gradient_x_input = true }

-- The layers whose units are compared, as `model:layers()` lists them.
local function choose_layers(model, checked)
  local how, known, chosen, seen = checked.method, {}, {}, {}
  local method = type(how) == "string" and how or type(how) == "table" and (how.method or "lrp")
  for _, layer in ipairs(model:layers()) do
    known[layer.name] = layer
    if not checked.layers and (layered[method] or type(how) == "function") then chosen[#chosen + 1] = layer end
  end
  for i, name in ipairs(checked.layers or {}) do
    if not known[name] then
      errors.refuse("agreement", "layers: expected layers that can be pruned, got %s at %d%s",
        options.describe(name), i, options.suggest(name, options.sorted_keys(known)))
    elseif seen[name] then
      errors.refuse("agreement", "layers: expected different names, got '%s' twice", name)
    end
    chosen[i], seen[name] = known[name], true
  end
  return chosen
end

-- Relevance per unit, positions added up: [n x units]. Functions of the user's own may give anything.
local function per_unit(relevance, layer, count)
  local shape = tensors.is(relevance) and relevance:shape()
  local units = shape and shape[layer.kind == "conv" and 2 or #shape]
  if not shape or #shape < 2 or shape[1] ~= count or units ~= layer.units or not relevance:dtype():find "^float" then
    errors.raise("method: expected relevance of layer '%s' as [%d x %s], got %s", layer.name, count,
      layer.kind == "conv" and layer.units .. " x ..." or "... x " .. layer.units,
      shape and ("[%s] %s"):format(table.concat(shape, " x "), relevance:dtype()) or options.describe(relevance))
  end
  if layer.kind == "conv" then return relevance:reshape(count, layer.units, -1):sum(3) end
  return relevance:reshape(count, -1, layer.units):sum(2) -- features come last, after tokens where there are any
end

-- What a model says of all images: per part the maps and each layer's units.
local function explain_all(job, model)
  local explained, names = {}, {}
  for i, layer in ipairs(job.layers) do names[i] = layer.name end
  for p, part in ipairs(job.parts) do
    local maps, relevance = job.explain(model, part.x, part.targets, names)
    explained[p] = { maps = maps, units = {} }
    for _, layer in ipairs(job.layers) do
      local found = relevance[layer.name]
      if found then explained[p].units[layer.name] = per_unit(found, layer, part.x:size(1)) end
      if (found == nil) ~= (explained[1].units[layer.name] == nil) then
        errors.raise("method: expected relevance of layer '%s' for all images or for none", layer.name)
      end
    end
    if job.options.on_progress then
      errors.call(job.options.on_progress, part.first + part.x:size(1) - 1, job.parts.count)
    end
  end
  return explained
end

-- The units of a layer that a plan leaves, as a list, and as ones among zeros.
local function left_of(layer, removed)
  local mask, left = core.ones(layer.units), {}
  for _, unit in ipairs(removed) do mask:set(0, unit) end
  for unit = 1, layer.units do
    if mask:get(unit) == 1 then left[#left + 1] = unit end
  end
  return left, mask
end

-- Both models' units as they are to be compared; nil where no unit is left.
local function comparable(job, layer, plan, before, after)
  local removed = plan and plan[layer.name]
  if not removed then return before, after end
  local left, mask = left_of(layer, removed)
  if job.options.units == "all" then return before, after * mask end
  if #left > 0 then return before:take(2, left), after:take(2, left) end
end

local function compare(found, part, before, after, top)
  local measured = { cosine = similarity.cosine(before, after), spearman = similarity.spearman(before, after),
    topk = similarity.overlap(before, after, top) }
  for measure, values in pairs(measured) do
    for i, value in pairs(values) do found[measure][part.first + i - 1] = value end
  end
end

-- Both models' layers must have been explained, or neither's.
local function check_explained(job, explained)
  for _, layer in ipairs(job.layers) do
    if (job.before[1].units[layer.name] == nil) ~= (explained[1].units[layer.name] == nil) then
      errors.raise("method: expected relevance of layer '%s' for both models or for neither", layer.name)
    end
  end
  return explained
end

local function nothing() return { cosine = {}, spearman = {}, topk = {} } end

-- Means over the samples whose class is the one given, or over all.
local function summarise(job, values, class)
  local measured, samples = {}, 0
  for i = 1, job.parts.count do
    if not class or job.class_of[i] == class then samples = samples + 1 end
  end
  measured.samples = samples
  for measure, of in pairs(values) do
    local chosen = {}
    for i, value in pairs(of) do
      if not class or job.class_of[i] == class then chosen[i] = value end
    end
    measured[measure] = confidence_intervals.mean(chosen, job.parts.count, job.options)
  end
  return measured
end

local function check_pair(job, pruned)
  model_class.check("agreement", pruned, "pruned")
  local wanted, got = job.model, {}
  local shape, shape_of_other = table.concat(wanted.input_shape, " x "), table.concat(pruned.input_shape, " x ")
  if shape ~= shape_of_other or wanted.class_count ~= pruned.class_count then
    errors.refuse("agreement", "pruned: expected images [%s] and %d classes as the model has, got [%s] and %d", shape,
      wanted.class_count, shape_of_other, pruned.class_count)
  end
  for _, layer in ipairs(pruned:layers()) do got[layer.name] = layer.units end
  for _, layer in ipairs(job.layers) do
    if got[layer.name] ~= layer.units then
      errors.refuse("agreement", "pruned: layer '%s': expected %d units, got %s", layer.name, layer.units,
        got[layer.name] or "no such layer")
    end
  end
  if job.options.units == "left" and not pruned.pruning_plan then
    errors.refuse("agreement", "units: 'left' needs a model that prune has made, with its plan")
  end
end

local function finish(job, pruned, explained)
  local values = { input = nothing(), layers = {} }
  for p, part in ipairs(job.parts) do
    compare(values.input, part, job.before[p].maps, explained[p].maps, job.options.top)
  end
  local result = Agreement.new { method = job.method, options = job.options, count = job.parts.count,
    indices = job.parts.indices, labels = job.parts.labels, targets = job.parts.targets, skipped = job.parts.skipped,
    values = values,
    input = summarise(job, values.input), layers = {}, per_class = {} }
  for _, layer in ipairs(job.layers) do
    if job.before[1].units[layer.name] then
      local found = nothing()
      for p, part in ipairs(job.parts) do
        local before, after = comparable(job, layer, pruned.pruning_plan, job.before[p].units[layer.name],
          explained[p].units[layer.name])
        if before then compare(found, part, before, after, job.options.top) end
      end
      values.layers[layer.name] = found
      local measured = summarise(job, found)
      measured.name = layer.name
      result.layers[#result.layers + 1] = measured
    end
  end
  for class = 1, job.model.class_count do
    local measured = summarise(job, values.input, class)
    measured.class, measured.name = class, job.class_names[class] or tostring(class)
    measured.layers = {}
    for i, layer in ipairs(measured.samples > 0 and result.layers or {}) do
      measured.layers[i] = summarise(job, values.layers[layer.name], class)
      measured.layers[i].name = layer.name
    end
    if measured.samples > 0 then result.per_class[#result.per_class + 1] = measured end
  end
  return result
end

local function describe_method(how)
  return type(how) == "table" and (how.method or "lrp") or type(how) == "string" and how or "a function"
end

-- Explains with the unpruned model, and remembers.
local function prepare(model, split, opts)
  model_class.check("agreement", model, nil)
  local checked = options.check("agreement", opts, rules)
  attribution_methods.check("agreement", "method", checked.method)
  local job = { model = model, options = checked, method = describe_method(checked.method),
    explain = attribution_methods.make("method", checked.method, checked.batch),
    layers = choose_layers(model, checked) }
  job.class_names = type(split) == "table" and split.classes or {}
  job.begin = function()
    job.parts = image_subset.collect("agreement", model, split, checked)
    local several = type(split) == "table" and split.multi_label -- then what is explained says which finding
    job.class_of = not several and job.parts.labels or job.parts.targets
    job.before = explain_all(job, model)
  end
  return job
end

--- Explains with one model, to be held against any number of others: `agreement(model, pruned, split, opts)` is
-- `agreement.against(model, split, opts)(pruned)`. The images and the explanations stay in memory.
-- @tparam Model model
-- @param split see `agreement`
-- @tab[opt] opts see `agreement`
-- @treturn function pruned model -> Agreement
function agreement.against(model, split, opts)
  local job = prepare(model, split, opts)
  errors.within("agreement", job.begin)
  model:release()
  return function(pruned)
    check_pair(job, pruned)
    local explained = errors.within("agreement", function() return check_explained(job, explain_all(job, pruned)) end)
    pruned:release()
    return finish(job, pruned, explained)
  end
end

--- Holds the explanations of two models against each other, image by image, for the same target: of the heatmap of the
-- input (channels added up), and of each layer's units (relevance added up over positions), the cosine, Spearman's rank
-- correlation and the overlap of the `top` share of largest values. 1 is the same. Layers need the same names and units
-- in both; a unit that was pruned counts as zero.
--
-- Where a measure is undefined for a sample (a map or layer that is zero, or constant, in either model) the sample is
-- left out of its mean; the interval's `count` tells how many were in.
--
-- @tparam Model model whose prediction is explained
-- @tparam Model pruned a masked model from `prune`, or any other with the same input, classes and names of layers
-- @param split a split, or a Tensor [N x C x H x W]
-- @tab[opt] opts `method` ("lrp": a name, options of `attribute`, or a function as in `faithfulness`); `target`
--   ("prediction" of the unpruned model, "label", a class or a list); `layers` (names; by default, for lrp, dlb, ig
--   and gradient_x_input, all that can be pruned; {} for none); `units`: "all" (the default) or "left" (only those that
--   the plan leaves); `top` (0.1); `per_class` (10), `samples` or `indices`, `seed` (0), `batch` (16), `level` (0.95)
--   and `resamples` (1000) as in `faithfulness`; `on_progress` (function(done, total))
-- @treturn Agreement `input`, each of `layers` (with `name`) and each of `per_class` (by label, else and of findings by
--   target; with `class`, `name`, and `layers` of its own) hold `cosine`, `spearman`, `topk` = `{mean, low, high,
--   count}` or nil, and `samples`;
--   `values.input[measure]` and `values.layers[name][measure]`: number per sample; `count`, `indices`, `labels`,
--   `targets`, `skipped`. Prints as a table; see its methods `rows` and `csv`
-- @usage
-- print(sc.agreement(model, pruned, data.test, { method = "lrp" }))
-- @function agreement
local function run(_, model, pruned, split, opts)
  local job = prepare(model, split, opts)
  check_pair(job, pruned)
  local explained = errors.within("agreement", function()
    job.begin()
    return check_explained(job, explain_all(job, pruned))
  end)
  model:release()
  pruned:release()
  return finish(job, pruned, explained)
end

return setmetatable(agreement, { __call = run })
