--- What each row of a sweep depends on, as plain data, and the keys that a store has for it.
--
-- A row is known by its axes and by a hash of its settings: whatever else it depends on, such as the images, the
-- weights, the options of its method. So is what is computed on the way to it (the chosen samples, the scores, what the
-- dense model says), each by what it depends on alone: one more rate, or another version of one strategy, leaves all
-- else as it was.
-- @module secateur.experiments.sweep_settings
local fingerprint = require "secateur.util.fingerprint"
local json = require "secateur.util.json"
local strategy = require "secateur.pruning.strategy"

local sweep_settings = {}

-- What stands for a scoring method: a function by its code and what it refers to, or by the version that it was given.
local function describe_method(method)
  if method.builtin then return "built-in" end
  if method.read.version ~= nil then return "version " .. tostring(method.read.version) end
  return fingerprint.options(method.read.score, "methods." .. method.name)
end

-- The same of a strategy.
local function describe_sampling(sampling)
  if sampling.builtin and sampling.name == sampling.read.name then return "built-in" end
  return fingerprint.options(strategy.identity(sampling.read), "sampling." .. sampling.name)
end

local function describe_source(pair)
  if type(pair.source) ~= "function" then return fingerprint.model(pair.source) end
  if pair.version ~= nil then return "made by version " .. tostring(pair.version) end
  return "made by " .. fingerprint.options(pair.source, "models." .. pair.name)
end

local function describe_dataset(data)
  return { fingerprint = fingerprint.dataset(data), classes = data.classes, train = data.train:count(),
    test = data.test:count() }
end

--- Describes what the rows depend on; raises where a function cannot be told from another one. Nothing is computed of
-- any row before.
-- @tab job what `sweep_options.prepare` gives; gets `described`
function sweep_settings.describe(job)
  local opts, described = job.options, { methods = {}, samplings = {}, datasets = {}, keys = {}, settings = {} }
  described.about = fingerprint.options(opts.about, "about")
  described.layers = fingerprint.options(opts.layers, "layers")
  described.agreement = fingerprint.options(job.agreement, "agreement")
  for _, method in ipairs(job.methods) do
    described.methods[method.name] = { code = describe_method(method),
      options = fingerprint.options(opts.method_options[method.name], "method_options." .. method.name) }
  end
  for _, sampling in ipairs(job.samplings) do described.samplings[sampling.name] = describe_sampling(sampling) end
  for _, dataset in ipairs(job.datasets) do described.datasets[dataset.name] = describe_dataset(dataset.value) end
  for _, pair in ipairs(job.pairs) do pair.described = describe_source(pair) end
  job.described = described
end

-- ---- what depends on what ----

local function with(fields, more)
  local all = {}
  for name, value in pairs(fields) do all[name] = value end
  for name, value in pairs(more) do all[name] = value end
  return all
end

local function of_model(job, pair)
  return { dataset = job.described.datasets[pair.dataset], model = pair.described, about = job.described.about }
end

local function of_samples(job, pair, axes)
  return with(of_model(job, pair), { sampling = job.described.samplings[axes.sampling],
    per_class = job.options.per_class })
end

-- Which scores and rows go by calibration images.
local function is_calibrated(job, axes)
  return axes.redundancy or job.method[axes.method].how == "sensitivity"
end

local function of_scores(job, pair, axes)
  return with(of_samples(job, pair, axes), { method = job.described.methods[axes.method], reduce = job.options.reduce,
    calibration_count = is_calibrated(job, axes) and job.options.calibration_count or nil })
end

local function of_row(job, pair, axes)
  local opts = job.options
  local calibrated = is_calibrated(job, axes) or axes.repair ~= "none"
  -- Two strategies may exchange their names: whose settings these are tells which call asked for which.
  local names = { dataset = pair.dataset, model = pair.name, method = axes.method, sampling = axes.sampling }
  return with(of_scores(job, pair, axes), { names = names, scope = opts.scope, min_units = opts.min_units,
    layers = job.described.layers, calibration_count = calibrated and opts.calibration_count or nil,
    evaluate = job.evaluate, latency = job.latency, agreement = job.described.agreement })
end

-- Kind of what a store keeps -> its axes, what it depends on, and which axes change that.
local kinds = {
  images = { axes = { "dataset" }, settings = function(job, pair)
    return { dataset = job.described.datasets[pair.dataset] }
  end, by = {} },
  model = { axes = { "dataset", "model" }, settings = of_model, by = {} },
  samples = { axes = { "dataset", "model", "sampling", "seed" }, settings = of_samples, by = { "sampling" } },
  scores = { axes = { "dataset", "model", "method", "sampling", "seed", "redundancy" }, settings = of_scores,
    by = { "method", "sampling", "redundancy" } },
  row = { axes = { "dataset", "model", "method", "sampling", "seed", "rate", "redundancy", "repair" },
    settings = of_row, by = { "method", "sampling", "redundancy", "repair" } },
}
kinds.baseline, kinds.logits = kinds.model, kinds.model
kinds.findings, kinds.weights = kinds.samples, kinds.samples
kinds.failure = kinds.row

-- Settings and their hash are the same for many rows, so that they are made once.
local function shared(job, kind, pair, axes)
  local rule, words = kinds[kind], { pair.index }
  for i, axis in ipairs(rule.by) do words[i + 1] = tostring(axes[axis]) end
  local name = tostring(rule) .. "\0" .. table.concat(words, "\0")
  local found = job.described.settings[name]
  if not found then
    local settings = rule.settings(job, pair, axes)
    found = { settings = settings, hash = fingerprint.text(json.encode(settings)) }
    job.described.settings[name] = found
  end
  return found
end

--- What something that a store keeps depends on besides its axes, and the hash that stands for it.
-- @tab job
-- @string kind "row", or a kind of what is kept beside the rows
-- @tab pair
-- @tab[opt] axes
-- @treturn table plain data
-- @treturn string
function sweep_settings.of(job, kind, pair, axes)
  local found = shared(job, kind, pair, axes)
  return found.settings, found.hash
end

--- The key under which a store keeps something: its axes as JSON, a space, the hash of its settings.
-- @tab job
-- @string kind
-- @tab pair of model and data set
-- @tab[opt] axes `method`, `sampling`, `seed`, `rate`, `redundancy`, `repair`, as many as the kind has
-- @treturn string
function sweep_settings.key(job, kind, pair, axes)
  local values = {}
  for i, axis in ipairs(kinds[kind].axes) do
    if axis == "dataset" then
      values[i] = pair.dataset
    elseif axis == "model" then
      values[i] = pair.name
    else
      values[i] = axes[axis]
    end
  end
  return json.encode(values) .. " " .. shared(job, kind, pair, axes).hash
end

--- A text that two processes have in common where they were asked for the same rows: the hash of all settings, axes and
-- their order.
-- @tab job
-- @treturn string
-- @treturn table what it stands for, as plain data, to tell what differs
function sweep_settings.of_job(job)
  local opts, described = job.options, job.described
  local function names(list)
    local found = {}
    for i, entry in ipairs(list) do found[i] = entry.name end
    return found
  end
  local whole = { methods = described.methods, samplings = described.samplings, datasets = described.datasets,
    models = {}, about = described.about, layers = described.layers, agreement = described.agreement,
    order = { names(job.datasets), names(job.models), names(job.samplings), names(job.methods) }, rates = opts.rates,
    seeds = opts.seeds, repair = job.repairs, redundancy = job.redundancies, per_class = opts.per_class,
    scope = opts.scope, min_units = opts.min_units, reduce = opts.reduce,
    calibration_count = opts.calibration_count, evaluate = job.evaluate, latency = job.latency }
  for i, pair in ipairs(job.pairs) do whole.models[i] = { pair.dataset, pair.name, pair.described } end
  return fingerprint.text(json.encode(whole)), whole
end

return sweep_settings
