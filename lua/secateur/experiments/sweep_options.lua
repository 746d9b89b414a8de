--- The options of a sweep: what they may be, which contradict each other, and the job that they describe.
-- @module secateur.experiments.sweep_options
local agreement_columns = require "secateur.experiments.agreement_columns"
local errors = require "secateur.util.errors"
local files = require "secateur.util.files"
local image_files = require "secateur.data.image_files"
local importance_options = require "secateur.pruning.importance_options"
local methods = require "secateur.attribution.methods"
local model_class = require "secateur.models.model"
local options = require "secateur.util.options"
local predict = require "secateur.evaluation.predict"
local ranking = require "secateur.pruning.ranking"
local scoring_method = require "secateur.pruning.scoring_method"
local strategy = require "secateur.pruning.strategy"
local targets = require "secateur.models.targets"

local sweep_options = {}

local function is_string(value) return type(value) == "string" and value ~= "" end
local rate_rule = { type = "number", min = 0, below = 1 }

local rules = {
  model = { type = { "userdata", "table", "function" } },
  models = { type = "table" },
  data = { type = { "table", "userdata" } },
  datasets = { type = "table" },
  methods = { type = { "table", "string", "function" }, default = { "lrp", "dlb", "ig" } },
  sampling = { type = { "table", "string", "function" }, default = { "clustering", "confidence", "random" } },
  rates = { type = "list", default = { 0, .15, .3, .5, .7 }, },
  seeds = { type = "list" },
  seed = { type = "integer" },
  per_class = { type = "integer", min = 1, default = 10 },
  scope = { one_of = { "global", "layer" }, default = "global" },
  min_units = { type = "integer", min = 0 },
  keep = "min_units",
  reduce = { one_of = { "sum", "abs" } },
  layers = { type = { "table", "function", "string" } },
  margin = { type = "number", min = 0, max = 1, default = 0.05 },
  batch = { type = "integer", min = 1 },
  method_options = { type = "table", default = {} },
  repair = { type = { "table", "string" }, default = { "none" } },
  redundancy = { type = { "table", "boolean" }, default = { false } },
  calibration_count = { type = "integer", min = 1, default = 256 },
  evaluate = { one_of = { "compact", "masked" } },
  latency = { type = "boolean" },
  agreement = { type = { "boolean", "table" } },
  about = { type = "table" },
  on_error = { one_of = { "stop", "keep" } },
  store = { type = "string" },
  wait = { type = "number", min = 0 },
  verify = image_files.rule,
  workers = { type = { "string", "table" } }, -- see secateur.experiments.workers
  progress = { type = "boolean" },
}

-- What a model or dataset calls itself: its architecture, its short name, the last part of the path it was read from,
-- or its name.
local function name_of(value)
  if type(value) ~= "table" then return nil end
  if type(value.info) == "table" and is_string(value.info.architecture) then return value.info.architecture end
  if is_string(value.short) then return value.short end
  if is_string(value.title) then return files.base(value.title) end
  return is_string(value.name) and value.name or nil
end

-- One of `single` and `many` as a list of {name, value}, in order of names.
local function named(opts, single, many)
  if (opts[single] == nil) == (opts[many] == nil) then
    errors.refuse("sweep", "expected either %s or %s", single, many)
  end
  if opts[single] ~= nil then
    return { { name = name_of(opts[single]) or single, value = opts[single] } }
  end
  local list = {}
  for key in pairs(opts[many]) do
    if not is_string(key) then
      errors.refuse("sweep", "%s: expected names as keys, got %s", many, options.describe(key))
    end
  end
  for i, name in ipairs(options.sorted_keys(opts[many])) do list[i] = { name = name, value = opts[many][name] } end
  if #list == 0 then errors.refuse("sweep", many .. ": expected at least one") end
  return list
end

-- Samplings, or methods, as a list of what `read` makes of each: names, or values that have a name, at places of a
-- list; others under their keys. `how` is what was given. `is_one`: whether a value is one, and not a table of some.
local function named_values(given, argument, read, is_one)
  local list, seen, custom = {}, {}, {}
  local function add(place, name, value)
    local found = read("sweep", place, value)
    local entry = { name = name or found.name, how = value, read = found, builtin = found.builtin }
    if seen[entry.name] then
      errors.refuse("sweep", "%s: expected each once, got '%s' again", place, entry.name)
    end
    list[#list + 1], seen[entry.name] = entry, true
  end
  if type(given) == "string" or is_one(given) then
    add(argument, nil, given)
    return list
  end
  for i, value in ipairs(given) do add(("%s[%d]"):format(argument, i), nil, value) end
  local listed = #list
  for name, value in pairs(given) do
    if math.type(name) == "integer" and name > listed then -- a hole: of a variable that is misspelt, say
      errors.refuse("sweep", "%s[%d]: expected one as well, got nil; there is a %s[%d]", argument, listed + 1, argument,
        name)
    elseif not (math.type(name) == "integer" and name >= 1) then
      if not is_string(name) or type(value) ~= "function" and type(value) ~= "table" then
        errors.refuse("sweep", "%s: expected name = function or table, got %s = %s", argument, tostring(name),
          options.describe(value))
      end
      custom[name] = value
    end
  end
  for _, name in ipairs(options.sorted_keys(custom)) do
    add(("%s.%s"):format(argument, name), name, custom[name])
  end
  if #list == 0 then errors.refuse("sweep", argument .. ": expected at least one") end
  return list
end

local function is_strategy(value)
  return strategy.is(value) or type(value) == "function" or type(value) == "table" and type(value.choose) == "function"
end

local function is_scoring(name)
  local row = methods.get(name)
  return row ~= nil and row.scores
end

--- Whether a value can stand for a model: a Model, or what forwards as one.
-- @param value
-- @treturn boolean
function sweep_options.is_model(value)
  return type(value) == "userdata" or type(value) == "table" and type(value.forward) == "function"
end

local source_rules = { make = { type = "function" }, version = { type = { "string", "number" } } }

-- A model, or what makes one: a function, and the version where it has one.
local function read_source(value, place)
  if type(value) == "function" or sweep_options.is_model(value) then return value end
  if type(value) == "table" and type(value.make) == "function" then
    local read = options.check("sweep: " .. place, value, source_rules)
    return read.make, read.version
  end
end

-- The model for a dataset, or the function that makes it, and its version; raises where there is none.
local function source_of(model, dataset)
  local place = "models." .. model.name
  local value, version = read_source(model.value, place)
  if value == nil and type(model.value) == "table" then
    value, version = read_source(model.value[dataset.name], place .. "." .. dataset.name)
  end
  if value ~= nil then return value, version end
  errors.refuse("sweep", "models.%s: expected a model, a function that gives one, or a table with one for dataset '%s'",
    model.name, dataset.name)
end

-- Every model with every data set, in order.
local function list_pairs(job)
  local list = {}
  for _, dataset in ipairs(job.datasets) do
    for _, model in ipairs(job.models) do
      local source, version = source_of(model, dataset)
      list[#list + 1] = { index = #list + 1, dataset = dataset.name, name = model.name, data = dataset.value,
        source = source, version = version }
    end
  end
  return list
end

local function check_dataset(dataset)
  local value = dataset.value
  local good, complete = pcall(function() return value.classes and value.train and value.test and true end)
  if good and complete then return end
  errors.refuse("sweep", "datasets.%s: expected a dataset with classes, train and test, got %s", dataset.name,
    options.describe(value))
end

local repairs = { "none", "bias", "batch_norm", "least_squares" }

-- One of the axes that are lists of fixed values; a value stands for a list of one.
local function axis(opts, name, allowed)
  local list = type(opts[name]) == "table" and opts[name] or { opts[name] }
  return options.entries("sweep", name, list, { one_of = allowed })
end

-- What the sweep tells importance itself.
local own_options = { "method", "indices", "sampling", "per_class", "seed", "on_batch", "group", "redundancy",
  "calibration", "calibration_count" }

-- All of them, before the first method has taken its time.
local function check_method_options(given, chosen)
  local own = {} -- functions by name
  for _, method in ipairs(chosen) do own[method.name] = not method.builtin and method.how or nil end
  for method, of_method in pairs(given) do
    if not own[method] and not is_scoring(method) then
      errors.refuse("sweep", "method_options: expected methods as keys, one of %s, got %s",
        table.concat(methods.scoring, ", "), options.describe(method))
    end
    local name = "method_options." .. method
    if type(of_method) ~= "table" then
      errors.refuse("sweep", "%s: expected a table, got %s", name, options.describe(of_method))
    end
    for _, key in ipairs(own_options) do
      if of_method[key] ~= nil then
        errors.refuse("sweep", "%s: expected no option '%s', which is the sweep's to choose", name, key)
      end
    end
    local whole = { method = own[method] or method }
    for key, value in pairs(of_method) do whole[key] = value end
    importance_options.check("sweep: " .. name, whole)
  end
end

-- Classes that are to be explained must be there in every dataset.
local function check_targets(job)
  for method, of_method in pairs(job.options.method_options) do
    for _, dataset in ipairs(job.datasets) do
      if dataset.value.multi_label then
        targets.check_findings("sweep: method_options." .. method, of_method.target)
      end
      if of_method.target ~= nil then
        targets.reader("sweep: method_options." .. method, targets.with_labels(of_method.target, "prediction"), 1,
          #dataset.value.classes)
      end
    end
  end
end

-- A model that is there already has to fit the dataset, and to have the layers that are named; one that a function
-- makes later is checked by evaluate and prune.
local function check_fit(pair, layers)
  if not model_class.is(pair.source) then return end
  ranking.choose_layers("sweep", pair.source, layers)
  for _, part in ipairs { "train", "test" } do
    predict.check_fit("sweep", pair.source, pair.data[part], ("datasets.%s.%s"):format(pair.dataset, part))
  end
end

local function by_name(list)
  local found = {}
  for _, entry in ipairs(list) do found[entry.name] = entry end
  return found
end

--- Checks the options of a sweep.
-- @tab given
-- @treturn table the job: `options`; `samplings`, `methods` (lists of `{name=, how=, read=}`: what was
--   given, and what was read of it; as `sampling` and `method` by name); `models`, `datasets` (lists of
--   `{name=, value=}`); `pairs` of them (`index`, `dataset`, `name`, `data`, `source`: the model or the function that
--   makes it, `version`); `repairs`, `redundancies` (lists of values); `evaluate` ("compact" or "masked"); `latency`
--   (whether rows have it); `agreement` (settings, or nil); `on_error`
function sweep_options.prepare(given)
  local opts = options.check("sweep", given, rules)
  if opts.seeds and opts.seed then errors.refuse("sweep", "expected either seed or seeds") end
  opts.seeds = opts.seeds and options.entries("sweep", "seeds", opts.seeds, { type = "integer" }) or { opts.seed or 0 }
  opts.rates = options.entries("sweep", "rates", opts.rates, rate_rule)
  table.sort(opts.rates)
  local job = { options = opts, samplings = named_values(opts.sampling, "sampling", strategy.read, is_strategy),
    methods = named_values(opts.methods, "methods", scoring_method.read, scoring_method.is_own),
    models = named(opts, "model", "models"), datasets = named(opts, "data", "datasets") }
  job.repairs = axis(opts, "repair", repairs)
  job.redundancies = axis(opts, "redundancy", { false, true })
  job.evaluate, job.latency = opts.evaluate or "compact", opts.latency ~= false
  job.on_error = opts.on_error or "stop"
  job.method, job.sampling = by_name(job.methods), by_name(job.samplings)
  check_method_options(opts.method_options, job.methods)
  for _, dataset in ipairs(job.datasets) do check_dataset(dataset) end
  check_targets(job)
  job.agreement = agreement_columns.settings(opts.agreement)
  for _, dataset in ipairs(job.datasets) do
    local test = dataset.value.test
    -- Splits of one's own need not give single images.
    if opts.agreement == nil and not (test.batch and test.labels) then job.agreement = nil end
  end
  job.pairs = list_pairs(job)
  for _, pair in ipairs(job.pairs) do check_fit(pair, opts.layers) end
  return job
end

return sweep_options
