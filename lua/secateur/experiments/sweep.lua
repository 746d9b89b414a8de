--- Methods × samplings × rates × seeds × models × datasets: what does each rate of pruning cost?
-- @module secateur.experiments.sweep
local agreement_columns = require "secateur.experiments.agreement_columns"
local core = require "secateur.core"
local errors = require "secateur.util.errors"
local evaluate = require "secateur.evaluation.evaluate"
local fingerprint = require "secateur.util.fingerprint"
local importance = require "secateur.pruning.importance"
local json = require "secateur.util.json"
local options = require "secateur.util.options"
local progress = require "secateur.util.progress"
local prune = require "secateur.pruning.prune"
local results = require "secateur.results"
local sample = require "secateur.pruning.sample"
local store = require "secateur.results.store"
local sweep_options = require "secateur.experiments.sweep_options"

-- What the rows depend on, as plain data; the order of lists does not matter.
local function describe(job)
  local function sorted(list)
    local copy = table.move(list, 1, #list, 1, {})
    table.sort(copy)
    return copy
  end
  local opts, names, custom = job.options, {}, nil
  for i, method in ipairs(job.methods) do
    names[i] = method.name
    if method.how ~= method.name then
      custom = custom or {}
      custom[method.name] = fingerprint.options(method.how)
    end
  end
  local experiment = { methods = sorted(names), custom_methods = custom, rates = sorted(opts.rates),
    seeds = sorted(opts.seeds),
    per_class = opts.per_class, scope = opts.scope, min_units = opts.min_units, reduce = opts.reduce,
    layers = fingerprint.options(opts.layers), method_options = fingerprint.options(opts.method_options),
    agreement = fingerprint.options(job.agreement), samplings = {}, models = {}, datasets = {} }
  for _, sampling in ipairs(job.samplings) do
    local is_custom = sampling.how ~= sampling.name
    experiment.samplings[sampling.name] = is_custom and fingerprint.options(sampling.how) or "built-in"
  end
  for _, dataset in ipairs(job.datasets) do
    local data = dataset.value
    experiment.datasets[dataset.name] = { fingerprint = fingerprint.dataset(data), classes = data.classes,
      train = data.train:count(), test = data.test:count() }
  end
  for _, model in ipairs(job.models) do
    local made = {}
    experiment.models[model.name] = made
    for _, dataset in ipairs(job.datasets) do
      local value = sweep_options.model_for(model, dataset)
      made[dataset.name] = type(value) == "function" and "made by a function" or fingerprint.model(value)
    end
  end
  return experiment
end

local function measure(job, model, split)
  local started = core.clock()
  local measured = evaluate(model, split, { batch = job.options.batch })
  local metrics = { seconds = core.clock() - started, macro_f1 = measured.macro_f1, per_class = {} }
  for _, name in ipairs { "accuracy", "balanced_accuracy", "auroc", "ece", "loss" } do
    metrics[name] = measured[name]
  end
  for i, class in ipairs(measured.per_class or {}) do
    metrics.per_class[i] = { sensitivity = class.sensitivity, specificity = class.specificity,
      precision = class.precision, f1 = class.f1 }
  end
  return metrics
end

-- What `make` gives, from the store where it is kept already.
local function cached(job, kind, key, make)
  local value = job.store:get(kind, key)
  if value == nil then value = job.store:put(kind, key, make()) end
  return value
end

-- Scores as plain data and back. Nine digits give every float32 back exactly.
local function flatten(scores)
  local lists = {}
  for name, tensor in pairs(scores) do
    -- Beside the layers stands where the scores come from.
    if (type(tensor) == "userdata" or type(tensor) == "table") and tensor.numel and tensor.totable then
      local list = tensor:totable()
      for i, value in ipairs(list) do list[i] = ("%.9g"):format(value) end
      lists[name] = table.concat(list, " ")
    end
  end
  return lists
end

local not_finite = { inf = math.huge, ["-inf"] = -math.huge }

local function unflatten(lists)
  local scores = {}
  for name, text in pairs(lists) do
    local list = {}
    for word in text:gmatch("%S+") do list[#list + 1] = tonumber(word) or not_finite[word] or 0 / 0 end
    scores[name] = core.tensor(list)
  end
  return scores
end

-- How many units the rate is a share of: those of the layers chosen, or of all that have scores.
local function count_units(scores, layers)
  local units = 0
  if type(layers) == "table" then
    for _, name in ipairs(layers) do units = units + (scores[name] and scores[name]:numel() or 0) end
  else
    for _, tensor in pairs(scores) do units = units + tensor:numel() end
  end
  return units
end

local function score(job, pair, sampling, seed, method, indices)
  local given = { method = method.how, indices = indices, sampling = sampling.how, per_class = job.options.per_class,
    seed = seed, reduce = job.options.reduce }
  for key, value in pairs(job.options.method_options[method.name] or {}) do given[key] = value end
  local started = core.clock()
  local scores = importance(pair.model, pair.data.train, given)
  return { scores = flatten(scores), seconds = core.clock() - started }
end

local function count_planned(plan)
  local count = 0
  for _, units in pairs(plan) do
    if type(units) == "table" then count = count + #units end
  end
  return count
end

-- What is left of the unpruned model's explanations, as columns; of nil, the unpruned model itself. The explanations
-- are the same for all samplings and seeds.
local function agree(job, pair, method, pruned)
  if not job.agreement then return {} end
  pair.against = pair.against or {}
  pair.against[method] = pair.against[method] or agreement_columns.against(job.agreement, pair.model, pair.data.test,
    method, job.options.method_options[method])
  return pair.against[method](pruned)
end

local function prune_and_measure(job, pair, method, scores, rate)
  if rate == 0 then return pair.baseline, 0, agree(job, pair, method) end
  local opts = job.options
  local pruned = prune(pair.model, scores, { rate = rate, scope = opts.scope, min_units = opts.min_units,
    layers = opts.layers })
  return measure(job, pruned, pair.data.test), count_planned(pruned.pruning_plan), agree(job, pair, method, pruned)
end

-- Every combination of a pair of model and dataset, in order, without those that have a row already.
local function missing(job, pair)
  local groups, count = {}, 0
  for _, seed in ipairs(job.options.seeds) do
    for _, sampling in ipairs(job.samplings) do
      for _, method in ipairs(job.methods) do
        local group = { seed = seed, sampling = sampling, method = method }
        for _, rate in ipairs(job.options.rates) do
          local key = json.encode { pair.dataset, pair.name, method.name, sampling.name, seed, rate }
          if not job.store:get("row", key) then
            group[#group + 1], count = { rate = rate, key = key }, count + 1
          end
        end
        if #group > 0 then groups[#groups + 1] = group end
      end
    end
  end
  return groups, count
end

local function run_group(job, pair, group)
  local opts, sampling, seed, method = job.options, group.sampling, group.seed, group.method
  local indices = cached(job, "samples", json.encode { pair.dataset, pair.name, sampling.name, seed }, function()
    return sample(pair.model, pair.data.train,
      { sampling = sampling.how, per_class = opts.per_class, seed = seed })
  end)
  local scored = cached(job, "scores", json.encode { pair.dataset, pair.name, sampling.name, seed, method.name },
    function()
    return score(job, pair, sampling, seed, method, indices)
  end)
  local scores = unflatten(scored.scores)
  local units = count_units(scores, opts.layers)
  for _, todo in ipairs(group) do
    job.where = ("%s, rate %g"):format(group.where, todo.rate)
    job.progress:update(job.done, job.where)
    local metrics, pruned, agreed = prune_and_measure(job, pair, method.name, scores, todo.rate)
    job.store:put("row", todo.key, { dataset = pair.dataset, model = pair.name, method = method.name,
      sampling = sampling.name,
      seed = seed, rate = todo.rate, scope = opts.scope, units_pruned = pruned, units_total = units,
      baseline_accuracy = pair.baseline.accuracy, accuracy = metrics.accuracy,
      drop = pair.baseline.accuracy - metrics.accuracy, balanced_accuracy = metrics.balanced_accuracy,
      macro_f1 = metrics.macro_f1, auroc = metrics.auroc, ece = metrics.ece, loss = metrics.loss,
      agreement_cosine = agreed.agreement_cosine, agreement_spearman = agreed.agreement_spearman,
      agreement_topk = agreed.agreement_topk, agreement_seconds = agreed.agreement_seconds,
      score_seconds = scored.seconds, evaluate_seconds = metrics.seconds, per_class = metrics.per_class })
    job.done = job.done + 1
    job.progress:update(job.done, job.where)
  end
end

-- Builds the model where a function makes it; it must be the one that the rows kept so far are of.
local function build(job, pair)
  if type(pair.source) ~= "function" then return pair.source end
  job.progress:update(job.done, ("%s, %s: model"):format(pair.dataset, pair.name))
  local model = pair.source(pair.data, pair.dataset)
  if not sweep_options.is_model(model) then
    errors.raise("models.%s: expected the function to give a model, got %s", pair.name, options.describe(model))
  end
  local key, now = json.encode { pair.dataset, pair.name }, fingerprint.model(model)
  local before = cached(job, "model", key, function() return now end)
  if before ~= now then
    errors.raise("models.%s: the function gives another model for '%s' than when the store was begun; "
      .. "let it load a saved one", pair.name, pair.dataset)
  end
  return model
end

local function run_pair(job, pair)
  job.where = ("%s, %s"):format(pair.dataset, pair.name)
  pair.model = build(job, pair)
  pair.baseline = cached(job, "baseline", json.encode { pair.dataset, pair.name }, function()
    return measure(job, pair.model, pair.data.test)
  end)
  for _, group in ipairs(pair.groups) do
    group.where = ("%s, %s, %s, %s, seed %d"):format(pair.dataset, pair.name, group.method.name, group.sampling.name,
      group.seed)
    job.where = group.where
    job.progress:update(job.done, job.where)
    run_group(job, pair, group)
  end
end

local function run(job)
  local pairs_to_do, total = {}, 0
  for _, dataset in ipairs(job.datasets) do
    for _, model in ipairs(job.models) do
      local pair = { name = model.name, dataset = dataset.name, data = dataset.value,
        source = sweep_options.model_for(model, dataset) }
      local count
      pair.groups, count = missing(job, pair)
      if count > 0 then pairs_to_do[#pairs_to_do + 1] = pair end
      total = total + count
    end
  end
  local terminal = job.options.progress
  if terminal == nil then terminal = core.is_terminal() end
  job.done = 0
  job.progress = progress.new { total = total, label = "sweep", unit = "rows", terminal = terminal and total > 0,
    clock = core.clock }
  local line <close> = job.progress
  for i, pair in ipairs(pairs_to_do) do
    run_pair(job, pair)
    pairs_to_do[i] = false -- lets the collector have the model
  end
  line:finish("")
end

local function collect(job)
  local rows, samples = {}, {}
  for _, dataset in ipairs(job.datasets) do
    for _, model in ipairs(job.models) do
      for _, seed in ipairs(job.options.seeds) do
        for _, sampling in ipairs(job.samplings) do
          local key = json.encode { dataset.name, model.name, sampling.name, seed }
          samples[key] = job.store:get("samples", key)
          for _, method in ipairs(job.methods) do
            for _, rate in ipairs(job.options.rates) do
              rows[#rows + 1] = job.store:get("row",
                json.encode { dataset.name, model.name, method.name, sampling.name, seed, rate })
            end
          end
        end
      end
    end
  end
  return results.new(rows, { experiment = job.experiment, samples = samples, margin = job.options.margin })
end

-- The store of the experiment. One begun without the agreement goes on without, unless it is asked for.
local function open_store(job)
  local path = job.options.store
  local opened, message = store.open(path, job.experiment)
  if not opened and job.agreement and job.options.agreement == nil
    and message:find("agreement: nothing in the store", 1, true) then
    job.agreement, job.experiment.agreement = nil, nil
    opened, message = store.open(path, job.experiment)
  end
  return opened, message
end

--- Prunes at every rate by the scores of every method and sampling, and measures each pruned model on the test split.
--
-- Samples are chosen once per sampling, seed, model and dataset and shared by the methods; scores are computed once per
-- method and serve all rates; the unpruned model is evaluated once per dataset. With a `store` each row is on the disk
-- as soon as it is measured: a stopped sweep goes on where it was when the same call is made again, a finished one
-- returns at once, and a store of another experiment is refused.
--
-- A row: `dataset, model, method, sampling, seed, rate, scope, units_pruned, units_total, baseline_accuracy, accuracy,
-- drop` (baseline − accuracy), `balanced_accuracy, macro_f1, auroc, ece, loss, agreement_cosine, agreement_spearman,
-- agreement_topk` (of heatmaps with those of the unpruned model, see `agreement`), `score_seconds, evaluate_seconds,
-- agreement_seconds` and `per_class`, a list of `{sensitivity=, specificity=, precision=, f1=}`. Measures that are
-- undefined are absent.
--
-- @tab opts `model` or `models` (name → a model, `function(dataset, dataset_name) → model`, or a table of these by
-- dataset name); `data` or `datasets` (name → dataset); `methods` ({"lrp", "dlb", "ig"}, and name = function for scores
-- of one's own, see `importance`); `sampling` ({"clustering",
-- "confidence", "random"}, and name = function for strategies of one's own); `rates` ({0, .15, .3, .5, .7});
-- `seed` (0) or `seeds`; `per_class` (10); `scope` ("global"); `min_units`, `layers` (see `prune`); `reduce` (see
-- `importance`); `method_options` (method → further options of `importance`); `batch` (see `evaluate`); `margin` (0.05,
-- of lossless pruning); `agreement`: false, or a table of `per_class` (3, of the test split), `method` (of explaining;
-- by default that of the scores with its options, and lrp for scores that are no explanations), `top`, `target`, `seed`
-- (see `agreement`); a store begun without goes on without; `store` (a path; none by default); `progress` (a boolean;
-- by default on a terminal)
-- @treturn Results the rows as a list, ordered by dataset, model, seed, sampling, method, rate; see
-- `secateur.results`
-- @usage
-- local results = sc.sweep { model = model, data = data, methods = { "lrp", "ig" }, rates = { 0, 0.3, 0.5 },
--   store = "runs.db" }
local function sweep(opts)
  local job = sweep_options.prepare(opts)
  job.experiment = describe(job)
  if job.options.store then
    local message
    job.store, message = open_store(job)
    if not job.store then errors.refuse("sweep", "store '%s' %s", job.options.store, message) end
  else
    job.store = store.memory()
  end
  local _ <close> = job.store
  local good, problem = errors.catch(run, job)
  if not good then
    if type(problem) ~= "string" and not errors.is_fault(problem) then errors.rethrow(problem) end
    errors.refuse("sweep", "%s: %s", job.where or "start", tostring(problem))
  end
  return collect(job)
end

return sweep
