--- How good is an explanation? The field's usual measures, so that methods are compared by number.
-- @module secateur.explanations.faithfulness
local Faithfulness = require "secateur.explanations.faithfulness_result"
local baselines = require "secateur.attribution.baselines"
local core = require "secateur.core"
local removal_curves = require "secateur.explanations.removal_curves"
local errors = require "secateur.util.errors"
local group_rule = require "secateur.mpi.group_rule"
local heads = require "secateur.models.heads"
local attribution_methods = require "secateur.explanations.attribution_methods"
local confidence_intervals = require "secateur.evaluation.confidence_intervals"
local model_class = require "secateur.models.model"
local options = require "secateur.util.options"
local progress = require "secateur.util.progress"
local randomisation = require "secateur.explanations.randomisation"
local same_call = require "secateur.evaluation.same_call"
local sample_parts = require "secateur.explanations.sample_parts"
local sensitivity = require "secateur.explanations.sensitivity"
local shared_images = require "secateur.evaluation.shared_images"
local shares = require "secateur.mpi.shares"
local similarity = require "secateur.explanations.similarity"
local sparseness = require "secateur.explanations.sparseness"
local image_subset = require "secateur.explanations.image_subset"
local targets = require "secateur.models.targets"
local tensors = require "secateur.util.tensors"

local function one_baseline(value)
  return baselines.check(value) and #baselines.list(value) == 1, '"black", "zero", "blurred", a Tensor or a split'
end

local rules = {
  methods = { type = "table", one_of = { "all" }, default = { "lrp", "dlb", "ig" } },
  measures = { type = "list", least = 1 },
  steps = { type = "integer", min = 1, max = 1 << 16, default = 16 },
  patch = { type = "integer", min = 1 },
  baseline = { default = "zero", check = one_baseline },
  insertion_baseline = { default = "blurred", check = one_baseline },
  output = { one_of = { "probability", "logit" }, default = "probability" },
  radius = { type = "number", above = 0, max = 1e6, default = 0.02 },
  draws = { type = "integer", min = 1, max = 1 << 16, default = 10 },
  stages = { type = "integer", min = 1, default = 10 },
  resamples = { type = "integer", min = 1, max = 1 << 20, default = 1000 },
  level = { type = "number", above = 0, below = 1, default = 0.95 },
  progress = { type = "boolean" },
  on_progress = { type = "function" },
  group = group_rule,
}
for key, rule in pairs(image_subset.rules) do rules[key] = rule end

-- What to say of an explanation that is as similar as this to that of a model made of random numbers.
local function unmoved(spearman)
  return spearman >= 0.9 and "independent of the model" or spearman >= 0.5 and "partly independent of the model"
end

local function choose_measures(wanted)
  local chosen = {}
  for _, measure in ipairs(Faithfulness.measures) do chosen[measure.name] = wanted == nil end
  for _, name in ipairs(wanted or {}) do
    if chosen[name] == nil then
      local known = {}
      for i, measure in ipairs(Faithfulness.measures) do known[i] = measure.name end
      errors.refuse("faithfulness", "measures: expected names among %s, got %s%s", table.concat(known, ", "),
        options.describe(name), options.suggest(name, known))
    end
    chosen[name] = true
  end
  chosen.flipping = chosen.faithfulness or chosen.morf or chosen.lerf
  return chosen
end

-- Numbers of the samples of one part, put where they belong among all.
local function spread(values, part, found)
  for i, value in pairs(found) do values[part.first + i - 1] = value end
end

-- What the curves of one kind need: patches, where a curve starts and ends, whose turn is first.
local function curve_kinds(job)
  local shape = job.model.input_shape
  local patch = job.options.patch or math.max(1, math.min(shape[2], shape[3]) // 16)
  local patches = removal_curves.grid(shape[2], shape[3], patch)
  local pixels = removal_curves.grid(shape[2], shape[3], 1)
  local kinds = {}
  local function add(wanted, name, grid, first, inserts)
    if not wanted then return end
    kinds[#kinds + 1] = { name = name, grid = grid, first = first, inserts = inserts,
      checkpoints = removal_curves.checkpoints(grid.count, job.options.steps) }
  end
  add(job.chosen.flipping, "morf", patches, "most")
  add(job.chosen.flipping, "lerf", patches, "least")
  add(job.chosen.deletion, "deletion", pixels, "most")
  add(job.chosen.insertion, "insertion", pixels, "most", true)
  return kinds
end

local function background(job, what, part)
  local x = part.x
  local kind = baselines.list(job.options[what])[1]
  kind = baselines.slice(kind, part.first, part.first + x:size(1) - 1, job.parts.count, 4)
  local made = baselines.make("faithfulness", kind, x, { model = job.model,
    normalisation = job.model.info.normalisation })
  if not tensors.finite(made) then
    errors.refuse("faithfulness", "%s: expected finite numbers, got some that are not", what)
  end
  return made
end

-- One curve of all samples: the result's entry, and the areas under it.
local function follow(job, kind, maps)
  local opts = job.options
  local curve = { fractions = {}, samples = { probability = {}, logit = {} }, probability = {}, logit = {} }
  local areas = {}
  local function predict(x)
    local logits = job.model:execution_plan(opts.batch):forward(x)
    targets.check_finite("faithfulness", logits)
    return logits
  end
  local head = heads.kind(job.model)
  local function outputs(logits) return heads.probabilities(head, logits), heads.class_logits(head, logits) end
  for _, part in ipairs(job.own) do
    local from, to = part.x, background(job, kind.inserts and "insertion_baseline" or "baseline", part)
    if kind.inserts then from, to = to, from end
    local removal_order = removal_curves.removal_order(maps[part], kind.grid, kind.first)
    local got = removal_curves.follow(predict, from, to, removal_order, part.targets,
      { checkpoints = kind.checkpoints, batch = opts.batch, outputs = outputs })
    for _, output in ipairs { "probability", "logit" } do spread(curve.samples[output], part, got[output]) end
    for i, values in ipairs(got[opts.output]) do
      areas[part.first + i - 1] = removal_curves.area(kind.checkpoints, values)
    end
    job.tick(kind.name)
  end
  sample_parts.complete(opts.group, { probability = curve.samples.probability, logit = curve.samples.logit,
    areas = areas })
  for k, checkpoint in ipairs(kind.checkpoints) do
    curve.fractions[k] = checkpoint / kind.grid.count
    for _, output in ipairs { "probability", "logit" } do
      local sum = 0
      for _, values in ipairs(curve.samples[output]) do sum = sum + values[k] end
      curve[output][k] = sum / job.parts.count
    end
  end
  return curve, areas
end

local function measure_curves(job, maps, values)
  local drawn = {}
  for _, kind in ipairs(job.kinds) do
    drawn[kind.name], values[kind.name] = follow(job, kind, maps)
  end
  if job.chosen.flipping then
    values.faithfulness = {}
    for i = 1, job.parts.count do values.faithfulness[i] = values.lerf[i] - values.morf[i] end
  end
  return drawn
end

local function measure_maps(job, explainer, maps, values)
  values.sparseness, values.complexity, values.sensitivity = {}, {}, {}
  for _, part in ipairs(job.own) do
    local of = maps[part]
    if job.chosen.sparseness then spread(values.sparseness, part, sparseness.gini(of)) end
    if job.chosen.complexity then spread(values.complexity, part, sparseness.entropy(of)) end
    if job.chosen.sensitivity then
      local function explain(x) return (explainer.explain(job.model, x, part.targets, nil, part.first)) end
      spread(values.sensitivity, part, sensitivity.max(explain, part.x, of, { radius = job.options.radius,
        draws = job.options.draws, seed = job.options.seed, first = part.first }))
      job.tick "sensitivity"
    end
  end
  sample_parts.complete(job.options.group, { sparseness = values.sparseness, complexity = values.complexity,
    sensitivity = values.sensitivity })
end

-- Similarity to the explanations of ever more random models: by layer, and each sample's mean magnitude over layers.
local function measure_randomisation(job, explainer, maps, values)
  local layers, sums, counts = {}, {}, {}
  local wanted = randomisation.spread(randomisation.layers(job.model), job.options.stages)
  for name, random in randomisation.cascade(job.model, wanted, job.options.seed) do
    local of = { spearman = {}, cosine = {} }
    for _, part in ipairs(job.own) do
      local again = explainer.explain(random, part.x, part.targets, nil, part.first)
      for measure, found in pairs(of) do spread(found, part, similarity[measure](maps[part], again)) end
      job.tick("randomisation of " .. name)
    end
    random:release()
    sample_parts.complete(job.options.group, of)
    for i, value in pairs(of.spearman) do
      sums[i], counts[i] = (sums[i] or 0) + math.abs(value), (counts[i] or 0) + 1
    end
    layers[#layers + 1] = { layer = name, spearman = job.interval(of.spearman), cosine = job.interval(of.cosine),
      samples = of }
  end
  values.randomisation = {}
  for i, sum in pairs(sums) do values.randomisation[i] = sum / counts[i] end
  return layers
end

-- What the explainer says of all images, by part; of one that is optional nil and a message where it refuses.
local function explain_all(job, explainer)
  local maps = {}
  for _, part in ipairs(job.own) do
    local good, found = errors.catch(explainer.explain, job.model, part.x, part.targets, nil, part.first)
    if not good then
      if explainer.optional and errors.is_fault(found) and not found.exhausted then return nil, tostring(found) end
      errors.rethrow(found)
    end
    maps[part] = found
    job.tick "explaining"
  end
  return maps
end

local function measure(job, explainer, result)
  local name, values = explainer.name, {}
  job.start(name)
  local maps, problem = explain_all(job, explainer)
  problem = sample_parts.problem(job.options.group, problem)
  if problem then
    job.skip()
    result.warnings[#result.warnings + 1] = ("%s: left out: %s"):format(name,
      problem:gsub("^methods%.[%w_]+: ", ""):gsub("^attribute: ", ""))
    return
  end
  result.curves[name] = measure_curves(job, maps, values)
  measure_maps(job, explainer, maps, values)
  if job.chosen.randomisation then
    local layers = measure_randomisation(job, explainer, maps, values)
    result.randomisation[name] = layers
    local last = layers[#layers] and layers[#layers].spearman
    local doubt = last and unmoved(math.abs(last.mean))
    if doubt then
      result.warnings[#result.warnings + 1] = ("%s: nearly unchanged when weights are randomised (Spearman %.2f): %s")
        :format(name, last.mean, doubt)
    end
  end
  result.values[name], result.scores[name] = {}, {}
  for _, each in ipairs(result.measures) do
    result.values[name][each.name] = values[each.name]
    result.scores[name][each.name] = job.interval(values[each.name])
  end
  result.methods[#result.methods + 1] = name
end

-- How many times `tick` is called for a method.
local function count_ticks(job)
  local each = 1 + #job.kinds + (job.chosen.sensitivity and 1 or 0)
  if job.chosen.randomisation then
    each = each + math.min(job.options.stages, #randomisation.layers(job.model))
  end
  return math.max(each * #job.own, 1)
end

local function run(model, source, opts, chosen, list)
  same_call.check(opts.group, "faithfulness", model, source, opts)
  local parts = image_subset.collect("faithfulness", model, source, opts)
  local job = { model = model, options = opts, chosen = chosen, parts = parts }
  local divisible = true
  for _, explainer in ipairs(list) do divisible = divisible and explainer.by_sample end
  job.own = sample_parts.own(opts.group, parts, divisible)
  job.kinds = curve_kinds(job)
  function job.interval(values)
    return confidence_intervals.mean(values, parts.count,
      { level = opts.level, resamples = opts.resamples, seed = opts.seed })
  end
  local done, begun, each = 0, 0, count_ticks(job)
  local total = each * #list
  local shown = opts.progress
  if shown == nil and shares.are(opts.group) and opts.group.rank > 0 then shown = false end
  local terminal, log = progress.modes(shown, core.is_terminal())
  local line <close> = progress.new { total = total, label = "faithfulness", terminal = terminal, log = log,
    clock = core.clock }
  function job.tick(what)
    done = done + 1
    line:update(done, job.method .. ", " .. what)
    if opts.on_progress then errors.call(opts.on_progress, done, total, job.method .. ", " .. what) end
  end
  function job.start(method) job.method, begun = method, done end
  function job.skip() done = begun + each end
  local result = Faithfulness.new { chosen = chosen, count = parts.count, indices = parts.indices,
    labels = parts.labels, targets = parts.targets, skipped = parts.skipped, options = opts }
  for _, explainer in ipairs(list) do measure(job, explainer, result) end
  if #result.methods == 1 then errors.refuse("faithfulness", "none of the methods can explain this model") end
  line:finish ""
  return result
end

--- Measures methods of explaining, each on the same images and for the same targets, with a random explanation
-- ("random") to hold them against. Relevance of a pixel is the sum over its channels, with its sign.
--
-- * `faithfulness` (higher is better): area between the curves `lerf` and `morf`.
-- * `morf` (lower), `lerf` (higher): area under the target's probability while patches of the image are replaced by the
--   baseline, most or least relevant first (pixel flipping: Bach et al. 2015, Samek et al. 2017).
-- * `deletion` (lower), `insertion` (higher): the same pixel by pixel, replaced by the baseline, or put back into the
--   insertion baseline, most relevant first (Petsiuk et al. 2018).
-- * `sparseness` (higher): Gini index of the magnitudes (Chalasani et al. 2020). `complexity` (lower): their entropy
--   (Bhatt et al. 2020). Concise, not necessarily right.
-- * `sensitivity` (lower): largest relative change of the explanation when every value of the image changes by up to
--   `radius` (max-sensitivity, Yeh et al. 2019).
-- * `randomisation` (lower): magnitude of Spearman's correlation with the explanations of models whose layers have
--   random weights, from the output down, averaged over the layers (Adebayo et al. 2018); a map whose sign alone turns
--   has not changed. A method that is hardly moved by a model made of random numbers altogether (0.5 or more) is named
--   in `warnings`.
--
-- Where a measure is undefined for a sample (sparseness, complexity and sensitivity of an explanation that is zero,
-- randomisation of one that is constant) the sample is left out of its mean; `count` tells how many were in. Curves are
-- always defined: ties go in order from the upper left. ig explains the change from a baseline of its own
-- ("black"); with that of the curves, `{ name = "ig", baseline = "zero" }`, it answers the question that they ask.
--
-- @tparam Model model never changed
-- @param split a split, or a Tensor [N x C x H x W]
-- @tab[opt] opts
--   `methods` ({"lrp", "dlb", "ig"}): names, or tables as `heatmaps` takes them; and name = options of `attribute` or
--   name = function(model, x, classes) -> Tensor like x (or [n x H x W]) or Attribution; "all": every method that is
--   defined for the model (`warnings` name the others); `measures`: names from above
--   (all); `per_class` (10 of each class, drawn by the seed), or `samples` (how many in all), or `indices`; `target`
--   ("prediction", "label", a class or a list; where images may have several findings, images are drawn for each
--   finding, and for none, "label" is the finding that an image was drawn for, or the likeliest that it has, and the
--   probability is that of the finding explained); `steps` (16: checkpoints on a curve), `patch` (a sixteenth of the
--   image), `baseline` ("zero") and `insertion_baseline` ("blurred"), one of those that `attribute` takes; `output`
--   ("probability" or "logit": what areas are of); `radius` (0.02, in units of x) and `draws` (10) of sensitivity;
--   `stages` (10: the most layers at which randomisation is looked at, evenly spread); `resamples` (1000) and `level`
--   (0.95) of the percentile bootstrap; `seed` (0); `batch` (16); `progress` (a boolean; by default a line on a
--   terminal, elsewhere one a minute), `on_progress` (function(done, total, what)); `group` (none; `sc.mpi.group()`:
--   its ranks, which all make this call, share the images out, and all get the whole result, with the bits of a single
--   process. With `smoothgrad` or functions of one's own they share out batches, of which there should be as many as
--   ranks; `on_progress` counts what its rank does)
-- @treturn Faithfulness `scores[method][measure]`: `{mean, low, high, count}` or nil; `methods` and `measures` (with
--   `name`, `better` ("higher" or "lower"), `about`) in order; `values[method][measure]`: number per sample;
--   `curves[method]`: "morf", "lerf", "deletion", "insertion" -> `fractions`, mean `probability` and `logit`, and
--   `samples` with both; `randomisation[method]`: list of `layer`, `spearman`, `cosine`; `warnings`; `count`,
--   `indices`, `targets`, `labels`, `skipped`. Prints as a table; see its methods `rows`, `csv`, `curve_rows`
-- @usage
-- print(sc.faithfulness(model, data.test, { methods = { "lrp", "ig" } }))
local function faithfulness(model, split, opts)
  model_class.check("faithfulness", model)
  local checked = options.check("faithfulness", opts, rules)
  local chosen = choose_measures(checked.measures)
  local list = attribution_methods.list("faithfulness", checked.methods, checked.batch)
  list[#list + 1] = { name = "random", explain = attribution_methods.random(core.mix(checked.seed, 1)),
    by_sample = true }
  local result = shared_images.together(checked.group, { split }, errors.within, "faithfulness", run, model, split,
    checked, chosen, list)
  model:release()
  return result
end

return faithfulness
