--- What the rows of a sweep depend on, as plain data: the experiment that its store holds.
-- @module secateur.experiments.sweep_experiment
local fingerprint = require "secateur.util.fingerprint"
local store = require "secateur.results.store"
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

-- A store from before there were repair and compact models: nothing is repaired, masked models are evaluated, relevance
-- is summed with its sign by every method, and no row has costs. What is asked for otherwise stays in the experiment,
-- where the store's refusal names it.
local function go_on_as_before(job)
  local experiment, opts = job.experiment, job.options
  if #job.repairs == 1 and job.repairs[1] == "none" then experiment.repair = nil end
  if #job.redundancies == 1 and not job.redundancies[1] then experiment.redundancy = nil end
  experiment.calibration_count = nil
  if opts.evaluate ~= "compact" then job.evaluate, experiment.evaluate = "masked", nil end
  if not opts.latency then job.latency, experiment.latency = false, nil end
  job.costs, opts.reduce = false, opts.reduce or "sum"
end

-- What a store begun before, or otherwise, decides where the options leave it open.
local function adapt(job, old)
  local experiment, opts = job.experiment, job.options
  if old.evaluate == nil then
    go_on_as_before(job)
  else
    if opts.evaluate == nil then job.evaluate, experiment.evaluate = old.evaluate, old.evaluate end
    if opts.latency == nil then job.latency, experiment.latency = old.latency, old.latency end
  end
  if old.agreement == nil and opts.agreement == nil then job.agreement, experiment.agreement = nil, nil end
end

--- Opens the store of a sweep. One that was begun without agreement, or before there were repair and costs, goes on
-- as it was begun, unless something else is asked for.
-- @tab job with `experiment`; its settings become those of the store where options leave them open
-- @treturn[1] Store
-- @treturn[2] nil
-- @treturn[2] string what is wrong
function sweep_experiment.open_store(job)
  return store.open(job.options.store, job.experiment, function(old) adapt(job, old) end)
end

return sweep_experiment
