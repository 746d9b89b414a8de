--- What the rows of a sweep depend on, as plain data: the experiment that its store holds.
-- @module secateur.experiments.sweep_experiment
local fingerprint = require "secateur.util.fingerprint"
local sweep_options = require "secateur.experiments.sweep_options"

local sweep_experiment = {}

local function sorted(list)
  local copy = table.move(list, 1, #list, 1, {})
  table.sort(copy, function(a, b)
    if type(a) == "boolean" then return not a and b end
    return a < b
  end)
  return copy
end

-- The names of the methods, and of those that are functions what tells them apart.
local function describe_methods(methods)
  local names, custom = {}, nil
  for i, method in ipairs(methods) do
    names[i] = method.name
    if method.how ~= method.name then
      custom = custom or {}
      custom[method.name] = fingerprint.options(method.how)
    end
  end
  return sorted(names), custom
end

--- Describes a sweep; the order of its lists does not matter.
-- @tab job what `sweep_options.prepare` gives
-- @treturn table plain data
function sweep_experiment.describe(job)
  local opts = job.options
  local methods, custom = describe_methods(job.methods)
  local experiment = { methods = methods, custom_methods = custom, rates = sorted(opts.rates),
    seeds = sorted(opts.seeds), repair = sorted(job.repairs), redundancy = sorted(job.redundancies),
    calibration_count = opts.calibration_count, evaluate = job.evaluate, latency = job.latency,
    per_class = opts.per_class, scope = opts.scope, min_units = opts.min_units, reduce = opts.reduce,
    layers = fingerprint.options(opts.layers), method_options = fingerprint.options(opts.method_options),
    agreement = fingerprint.options(job.agreement), about = fingerprint.options(opts.about),
    samplings = {}, models = {}, datasets = {} }
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

local axes = { methods = true, rates = true, seeds = true, repair = true, redundancy = true, samplings = true,
  models = true, datasets = true, custom_methods = true, method_options = true }

--- What a row depends on beside its axes.
-- @tab job with `experiment`
-- @tab pair `dataset`, `name`
-- @tab group `method`, `sampling`
-- @treturn table plain data
function sweep_experiment.settings(job, pair, group)
  local experiment, settings = job.experiment, {}
  for name, value in pairs(experiment) do
    if not axes[name] then settings[name] = value end
  end
  settings.dataset, settings.model = experiment.datasets[pair.dataset], experiment.models[pair.name][pair.dataset]
  settings.sampling = experiment.samplings[group.sampling.name]
  settings.method = { options = experiment.method_options[group.method.name],
    custom = (experiment.custom_methods or {})[group.method.name] }
  return settings
end

return sweep_experiment
