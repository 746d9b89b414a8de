--- Methods × samplings × rates × seeds × models × datasets: what does each rate of pruning cost?
-- @module secateur.experiments.sweep
local agreement_columns = require "secateur.experiments.agreement_columns"
local calibration_images = require "secateur.experiments.calibration_images"
local compact = require "secateur.pruning.compact"
local core = require "secateur.core"
local decimal = require "secateur.util.decimal"
local errors = require "secateur.util.errors"
local fingerprint = require "secateur.util.fingerprint"
local importance = require "secateur.pruning.importance"
local json = require "secateur.util.json"
local options = require "secateur.util.options"
local output = require "secateur.util.output"
local progress = require "secateur.util.progress"
local prune = require "secateur.pruning.prune"
local results = require "secateur.results"
local sample = require "secateur.pruning.sample"
local store = require "secateur.results.store"
local sweep_images = require "secateur.experiments.sweep_images"
local sweep_experiment = require "secateur.experiments.sweep_experiment"
local sweep_options = require "secateur.experiments.sweep_options"
local sweep_row = require "secateur.experiments.sweep_row"

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
      for i, value in ipairs(list) do list[i] = decimal("%.9g", value) end
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

-- The calibration images of a seed: the same for all methods, samplings, repairs and rates.
local function calibration_of(job, pair, seed)
  if pair.calibration_seed ~= seed then
    pair.calibration = calibration_images.get(pair.data.train, { count = job.options.calibration_count, seed = seed })
    pair.calibration_seed = seed
  end
  return pair.calibration
end

local function score(job, pair, group, indices)
  local method, opts = group.method, job.options
  local given = { method = method.how, indices = indices, sampling = group.sampling.how, per_class = opts.per_class,
    seed = group.seed, reduce = opts.reduce, redundancy = group.redundancy }
  if group.redundancy or method.how == "sensitivity" then -- both go by covariances
    given.calibration, given.calibration_count = calibration_of(job, pair, group.seed), opts.calibration_count
  end
  for key, value in pairs(opts.method_options[method.name] or {}) do given[key] = value end
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

-- Whether a repair can do anything for a model. Without batch norms there are no statistics to estimate anew: such rows
-- are those of "none", so that the grid is whole, and that is said once.
local function is_void(job, pair, repair)
  if repair ~= "batch_norm" then return false end
  if pair.has_batch_norms == nil then
    pair.has_batch_norms = false
    for _, node in ipairs(pair.model.graph:nodes()) do
      pair.has_batch_norms = pair.has_batch_norms or node.op == "batch_norm2d"
    end
    if not pair.has_batch_norms then
      job.progress:clear()
      errors.warn("sweep: %s, %s: no batch norms, so that rows with repair 'batch_norm' are those without",
        pair.dataset, pair.name)
    end
  end
  return not pair.has_batch_norms
end

-- The model that a row is of: pruned, repaired, and compacted unless it is the masked one that is asked for; and the
-- columns that say how it came about.
local function make_pruned(job, pair, group, scores, todo)
  if todo.rate == 0 then return pair.model, { units_pruned = 0, repair_seconds = 0, repair_layers = 0 } end
  local opts = job.options
  local given = { rate = todo.rate, scope = opts.scope, min_units = opts.min_units, layers = opts.layers,
    repair = is_void(job, pair, todo.repair) and "none" or todo.repair }
  if given.repair ~= "none" then
    given.calibration, given.calibration_count = calibration_of(job, pair, group.seed), opts.calibration_count
    given.seed = group.seed
  end
  local pruned = prune(pair.model, scores, given)
  local about = { units_pruned = count_planned(pruned.pruning_plan),
    repair_seconds = pruned.repair and pruned.repair.seconds or 0,
    repair_layers = pruned.repair and pruned.repair.layers or 0 }
  return job.evaluate == "compact" and compact(pruned) or pruned, about
end

-- A row's key; its settings are in the store from then on.
local function row_key(job, pair, group, todo)
  local key = json.encode { pair.dataset, pair.name, group.method.name, group.sampling.name }
  job.hashes = job.hashes or {}
  if not job.hashes[key] then
    local settings = sweep_experiment.settings(job, pair, group)
    job.hashes[key] = store.hash(settings)
    job.store:put("settings", job.hashes[key], settings)
  end
  return store.row_key({ dataset = pair.dataset, model = pair.name, method = group.method.name,
    sampling = group.sampling.name, seed = group.seed, rate = todo.rate, redundancy = group.redundancy,
    repair = todo.repair }, job.hashes[key])
end

-- A key of what is kept on the way, for the settings of this call.
local function cache_key(job, parts)
  job.hash = job.hash or store.hash(job.experiment)
  return json.encode(parts) .. " " .. job.hash
end

local function score_key(job, pair, group)
  return cache_key(job, { pair.dataset, pair.name, group.sampling.name, group.seed, group.method.name,
    group.redundancy or nil })
end

-- Calls a function with every group of a pair, in order: what shares scores.
local function each_group(job, visit)
  for _, seed in ipairs(job.options.seeds) do
    for _, sampling in ipairs(job.samplings) do
      for _, method in ipairs(job.methods) do
        for _, redundancy in ipairs(job.redundancies) do
          visit { seed = seed, sampling = sampling, method = method, redundancy = redundancy }
        end
      end
    end
  end
end

-- Calls a function with every row of a group, in order.
local function each_row(job, pair, group, visit)
  for _, repair in ipairs(job.repairs) do
    for _, rate in ipairs(job.options.rates) do
      local todo = { repair = repair, rate = rate }
      visit(todo, row_key(job, pair, group, todo))
    end
  end
end

-- Every group of a pair of model and dataset, in order, each a list of its rows that are not there already.
local function missing(job, pair)
  local groups, count = {}, 0
  each_group(job, function(group)
    each_row(job, pair, group, function(todo, key)
      if job.store:get("row", key) then return end
      todo.key = key
      group[#group + 1], count = todo, count + 1
    end)
    if #group > 0 then groups[#groups + 1] = group end
  end)
  return groups, count
end

local function make_row(job, pair, group, todo, shared)
  local model, about = make_pruned(job, pair, group, shared.scores, todo)
  local row = sweep_row.columns(job, pair, model)
  for _, columns in ipairs { about, agree(job, pair, group.method.name, todo.rate > 0 and model or nil),
    { dataset = pair.dataset, model = pair.name, method = group.method.name, sampling = group.sampling.name,
      seed = group.seed, redundancy = group.redundancy, repair = todo.repair, rate = todo.rate,
      scope = job.options.scope, units_total = shared.units, score_seconds = shared.seconds } } do
    for name, value in pairs(columns) do row[name] = value end
  end
  return row
end

-- The samples of a group; where images may have several findings, with those that they were drawn for, which a store
-- keeps apart.
local function choose_samples(job, pair, group)
  local sampling, seed, chosen = group.sampling, group.seed, nil
  local key = cache_key(job, { pair.dataset, pair.name, sampling.name, seed })
  local function choose()
    chosen = chosen or sample(pair.model, pair.data.train,
      { sampling = sampling.how, per_class = job.options.per_class, seed = seed })
    return chosen
  end
  local findings
  if pair.data.train.multi_label then
    findings = cached(job, "findings", key, function() return choose().findings end)
  end
  local indices = cached(job, "samples", key, choose)
  if not findings then return indices end
  return setmetatable(table.move(indices, 1, #indices, 1, {}), { __index = { findings = findings } })
end

local function run_group(job, pair, group)
  local opts, indices = job.options, choose_samples(job, pair, group)
  local scored = cached(job, "scores", score_key(job, pair, group), function()
    return score(job, pair, group, indices)
  end)
  local scores = unflatten(scored.scores)
  local shared = { scores = scores, units = count_units(scores, opts.layers), seconds = scored.seconds }
  for _, todo in ipairs(group) do
    job.where = ("%s%s, rate %g"):format(group.where, todo.repair ~= "none" and ", " .. todo.repair or "", todo.rate)
    job.progress:update(job.done, job.where)
    job.store:put("row", todo.key, make_row(job, pair, group, todo, shared))
    job.done = job.done + 1
    job.progress:update(job.done, job.where)
  end
end

-- Builds the model where a function makes it; it must be the one that the rows kept so far are of.
local function build(job, pair)
  if type(pair.source) ~= "function" then return pair.source end
  job.progress:update(job.done, ("%s, %s: model"):format(pair.dataset, pair.name))
  local model = errors.call(pair.source, pair.data, pair.dataset)
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
  sweep_row.measure_dense(job, pair)
  for _, group in ipairs(pair.groups) do
    group.where = ("%s, %s, %s%s, %s, seed %d"):format(pair.dataset, pair.name, group.method.name,
      group.redundancy and " with redundancy" or "", group.sampling.name, group.seed)
    job.where = group.where
    job.progress:update(job.done, job.where)
    run_group(job, pair, group)
  end
end

local function run(job)
  sweep_images.verify(job)
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
      local pair = { dataset = dataset.name, name = model.name }
      each_group(job, function(group)
        local key = json.encode { dataset.name, model.name, group.sampling.name, group.seed }
        samples[key] = samples[key] or job.store:get("samples", cache_key(job, json.decode(key)))
        each_row(job, pair, group, function(_, row) rows[#rows + 1] = job.store:get("row", row) end)
      end)
    end
  end
  return results.new(rows, { experiment = job.experiment, samples = samples, margin = job.options.margin })
end

--- Prunes at every rate by the scores of every method and sampling, repairs and compacts what is left, and measures
-- each pruned model on the test split: what it is worth, and what it costs.
--
-- Samples are chosen once per sampling, seed, model and dataset and shared by the methods; scores are computed once per
-- method (and redundancy) and serve all rates and repairs; the dense model is evaluated once per dataset. With a
-- `store` each row is on the disk as soon as it is measured: a stopped sweep goes on where it was when the same call is
-- made again, a finished one returns at once, and a store of another experiment is refused.
--
-- A row: `dataset, model, method, sampling, seed, redundancy, repair, rate, scope, units_pruned, units_total,
-- repair_layers` (how many were repaired); `baseline_accuracy, accuracy, drop` (baseline − accuracy), `drop_low,
-- drop_high` (its paired bootstrap interval over the test images, 95 %), `balanced_accuracy, macro_f1, auroc, ece,
-- loss`; `decision_agreement` (share of test images whose decision is the dense model's) and `kl` (mean KL(dense ||
-- pruned), nats); where images may have several findings (where `accuracy` is the share of right decisions about a
-- finding of an image, see `evaluate`) also `exact_match, average_precision, brier, auroc_drop` and `baseline_auroc`;
-- of the model that is evaluated `parameters, macs, bytes` (of the saved file), `peak_bytes` (of a batch of 16),
-- `latency_1, latency_16` (ms of a batch of 1 and of 16: medians of few runs, in turns with the dense model), and as
-- shares of the dense model's `relative_parameters, relative_macs, relative_bytes, relative_latency_1,
-- relative_latency_16`; `agreement_cosine, agreement_spearman, agreement_topk` (of heatmaps with those of the dense
-- model, see `agreement`); `score_seconds, repair_seconds, evaluate_seconds, agreement_seconds` and `per_class`, a list
-- of `{sensitivity=, specificity=, precision=, f1=}`; `skipped` (how many images of the test split, and of no split,
-- were left out because they could not be read). Measures that are undefined are absent.
--
-- A store from before there were repair and costs goes on as it was begun: masked models, without repair, the columns
-- of costs and outputs absent.
--
-- @tab opts
--
-- * `model` or `models` (name → a model, `function(dataset, dataset_name) → model`, or a table of these by dataset
--   name); `data` or `datasets` (name → dataset)
-- * `methods` ({"lrp", "dlb", "ig"}, and name = function for scores of one's own, see `importance`); `sampling`
--   ({"clustering", "confidence", "random"}, and name = function for strategies of one's own); `seed` (0) or `seeds`;
--   `per_class` (10); `reduce` (see `importance`); `method_options` (method → further options of `importance`)
-- * `redundancy` ({false}, the paper's, also for `sensitivity`; a boolean or both, see `importance`); `repair`
--   ({"none"}, the paper's; "least_squares", "batch_norm", "bias", see `prune`); `calibration_count` (256): images of
--   the training split that both go by, drawn by the seed
-- * `rates` ({0, .15, .3, .5, .7}); `scope` ("global"), `min_units`, `layers` (see `prune`)
-- * `evaluate` ("compact"; "masked" evaluates the models that zeros were written into, whose costs are the dense
--   model's); `latency` (true; false leaves timing out); `batch` (see `evaluate`); `margin` (0.05, of lossless pruning)
-- * `agreement`: false, or a table of `per_class` (3, of the test split), `method` (of explaining; by default that of
--   the scores with its options, and lrp for scores that are no explanations), `top`, `target`, `seed` (see
--   `agreement`); a store begun without goes on without
-- * `store` (the path of a file, which is made where it is missing; none by default; ":memory:" and URIs, which SQLite
--   knows, are refused), which goes on with the same images alone; `verify` ("quick": it knows them by the size and
--   time of all files, and by the bytes of 64 of a split; "full": by the bytes of all)
-- * `about` (none; a table of what else the rows depend on, such as how the functions of `models` train, which are not
--   asked again when all rows are there: another `about` is another experiment)
-- * `progress` (a boolean; by default on a terminal)
--
-- @treturn Results the rows as a list, ordered by dataset, model, seed, sampling, method, redundancy, repair, rate; see
-- `secateur.results`
-- @usage
-- local results = sc.sweep { model = model, data = data, methods = { "lrp", "ig" }, rates = { 0, 0.3, 0.5 },
--   repair = { "none", "least_squares" }, store = "runs.db" }
local function sweep(opts)
  local job = sweep_options.prepare(opts)
  job.experiment = errors.within("sweep", sweep_experiment.describe, job)
  if job.options.store then
    local wrong = store.check_path(job.options.store)
    if wrong then errors.refuse("sweep", "store: %s", wrong) end
    local good, message = output.prepare_file(job.options.store)
    if not good then errors.refuse("sweep", "store: " .. message) end
    job.store, message = store.open(job.options.store)
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
