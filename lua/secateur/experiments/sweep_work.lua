--- What the tasks of a sweep compute, from plain data to plain data: a model, what the dense model says, samples,
-- scores, a row. Nothing here knows of a store.
--
-- A pair (of model and data set) keeps what its tasks have in common while they run: its model, calibration images,
-- explanations, what was unpacked of the last inputs.
-- @module secateur.experiments.sweep_work
local agreement_columns = require "secateur.experiments.agreement_columns"
local calibration_images = require "secateur.experiments.calibration_images"
local compact = require "secateur.pruning.compact"
local core = require "secateur.core"
local errors = require "secateur.util.errors"
local fingerprint = require "secateur.util.fingerprint"
local importance = require "secateur.pruning.importance"
local model_bytes = require "secateur.models.model_bytes"
local model_class = require "secateur.models.model"
local options = require "secateur.util.options"
local prune = require "secateur.pruning.prune"
local sample = require "secateur.pruning.sample"
local samples = require "secateur.pruning.samples"
local sweep_options = require "secateur.experiments.sweep_options"
local sweep_row = require "secateur.experiments.sweep_row"
local sweep_scores = require "secateur.experiments.sweep_scores"

local work = {}

-- ---- models ----

-- Has the function of a pair make its model; it must be the one that rows kept before are of.
local function make_model(pair, before)
  local model = errors.call(pair.source, pair.data, pair.dataset)
  if not sweep_options.is_model(model) then
    errors.raise("models.%s: expected the function to give a model, got %s", pair.name, options.describe(model))
  end
  local now = fingerprint.model(model)
  if before ~= nil and before ~= now then
    errors.raise("models.%s: the function gives another model for '%s' than when the store was begun; "
      .. "let it load a saved one", pair.name, pair.dataset)
  end
  pair.model = model
  return now
end

-- The model of a pair: given, made before, or made now.
local function need_model(pair, inputs)
  if pair.model then return end
  if type(pair.source) == "function" then
    make_model(pair, inputs.model)
  else
    pair.model = pair.source
  end
end

--- Makes the model of a pair.
-- @tab job
-- @tab pair
-- @tab _ the task
-- @tab inputs `model`: the fingerprint of the model that is expected, where there is one
-- @treturn table `model`, its fingerprint
function work.model(_, pair, _, inputs)
  return { model = make_model(pair, inputs.model) }
end

--- The model of a pair as bytes for another process; nil where it is none of ours, so that each process makes it.
-- @tab job
-- @int index of the pair
-- @treturn ?string
function work.export_model(job, index)
  local pair = job.pairs[index]
  if not model_class.is(pair.model) then return nil end
  return model_bytes.write(pair.model)
end

--- Takes a model that another process made.
-- @tab job
-- @int index of the pair
-- @string bytes
function work.import_model(job, index, bytes)
  job.pairs[index].model = model_bytes.read(bytes)
end

--- Forgets what a pair keeps between tasks, so that the collector can have its model: for processes that go on to
-- another one. What is needed again is made again.
-- @tab job
-- @int index of the pair
function work.release(job, index)
  local pair = job.pairs[index]
  for _, name in ipairs { "model", "against", "calibration", "calibration_seed", "cost", "baseline", "dense",
    "known", "unpacked" } do
    pair[name] = nil
  end
end

-- ---- what comes before rows ----

--- What the dense model is worth on the test split.
-- @tab job
-- @tab pair
-- @tab _ the task
-- @tab inputs
-- @treturn table `baseline`, `logits`
function work.dense(job, pair, _, inputs)
  need_model(pair, inputs)
  return sweep_row.measure_dense(job, pair)
end

--- Chooses samples.
-- @tab job
-- @tab pair
-- @tab task `sampling`, `seed`
-- @tab inputs
-- @treturn table `samples`, indices; where images may have several findings, `findings`, those that they were drawn
--   for; `weights`, where the strategy gives any
function work.samples(job, pair, task, inputs)
  need_model(pair, inputs)
  pair.known = pair.known or {}
  local chosen = sample(pair.model, pair.data.train, { sampling = job.sampling[task.sampling].how,
    per_class = job.options.per_class, seed = task.seed, known = pair.known })
  if #chosen == 0 then
    errors.refuse("sample", "sampling: expected the function to choose samples that can be read, got none of any class")
  end
  return { samples = table.move(chosen, 1, #chosen, 1, {}), weights = chosen.weights,
    findings = pair.data.train.multi_label and chosen.findings or nil }
end

-- The calibration images of a seed: the same for all methods, samplings, repairs and rates.
local function calibration_of(job, pair, seed)
  if pair.calibration_seed ~= seed then
    pair.calibration = calibration_images.get(pair.data.train, { count = job.options.calibration_count, seed = seed })
    pair.calibration_seed = seed
  end
  return pair.calibration
end

-- Chosen samples as `importance` takes them.
local function read_samples(inputs)
  return samples.with_fields(table.move(inputs.samples, 1, #inputs.samples, 1, {}), inputs.findings, inputs.weights)
end

--- Scores neurons.
-- @tab job
-- @tab pair
-- @tab task `method`, `sampling`, `seed`, `redundancy`
-- @tab inputs what `samples` gave
-- @treturn table `scores`: layer name -> text, under `scores`, and `seconds`
function work.scores(job, pair, task, inputs)
  need_model(pair, inputs)
  local method, opts = job.method[task.method], job.options
  local given = { method = method.how, indices = read_samples(inputs), sampling = job.sampling[task.sampling].how,
    per_class = opts.per_class, seed = task.seed, reduce = opts.reduce, redundancy = task.redundancy }
  if task.redundancy or method.how == "sensitivity" then -- both go by covariances
    given.calibration, given.calibration_count = calibration_of(job, pair, task.seed), opts.calibration_count
  end
  for key, value in pairs(opts.method_options[method.name] or {}) do given[key] = value end
  local started = core.clock()
  local scores = importance(pair.model, pair.data.train, given)
  return { scores = { scores = sweep_scores.pack(scores), seconds = core.clock() - started } }
end

-- ---- rows ----

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

-- Whether a repair can do nothing for a model, and a note of that. Without batch norms there are no statistics to
-- estimate anew: such rows are those of "none", so that the grid is whole.
local function is_void(pair, repair)
  if repair ~= "batch_norm" then return false end
  for _, node in ipairs(pair.model.graph:nodes()) do
    if node.op == "batch_norm2d" then return false end
  end
  return true, ("sweep: %s, %s: no batch norms, so that rows with repair 'batch_norm' are those without"):format(
    pair.dataset, pair.name)
end

-- The model that a row is of: pruned, repaired, and compacted unless it is the masked one that is asked for; the
-- columns that say how it came about; a note, where something was not as asked for.
local function make_pruned(job, pair, task, scores)
  if task.rate == 0 then return pair.model, { units_pruned = 0, repair_seconds = 0, repair_layers = 0 } end
  local opts = job.options
  local void, note = is_void(pair, task.repair)
  local given = { rate = task.rate, scope = opts.scope, min_units = opts.min_units, layers = opts.layers,
    repair = void and "none" or task.repair }
  if given.repair ~= "none" then
    given.calibration, given.calibration_count = calibration_of(job, pair, task.seed), opts.calibration_count
    given.seed = task.seed
  end
  local pruned = prune(pair.model, scores, given)
  local about = { units_pruned = count_planned(pruned.pruning_plan),
    repair_seconds = pruned.repair and pruned.repair.seconds or 0,
    repair_layers = pruned.repair and pruned.repair.layers or 0 }
  return job.evaluate == "compact" and compact(pruned) or pruned, about, note
end

-- What rows share of their inputs is unpacked once.
local function unpack_once(pair, name, input, unpack)
  pair.unpacked = pair.unpacked or {}
  local last = pair.unpacked[name]
  if not last or last.input ~= input then
    last = { input = input, value = unpack(input) }
    pair.unpacked[name] = last
  end
  return last.value
end

--- Prunes, and measures what is left.
-- @tab job
-- @tab pair
-- @tab task `method`, `sampling`, `seed`, `redundancy`, `repair`, `rate`
-- @tab inputs what `dense` and `scores` gave
-- @treturn table `row`, its columns, and `note`
function work.row(job, pair, task, inputs)
  need_model(pair, inputs)
  local scores = unpack_once(pair, "scores", inputs.scores.scores, sweep_scores.unpack)
  pair.baseline, pair.dense = inputs.baseline, unpack_once(pair, "dense", inputs.logits, sweep_scores.unpack_outputs)
  local model, about, note = make_pruned(job, pair, task, scores)
  local row = sweep_row.columns(job, pair, model)
  for _, columns in ipairs { about, agree(job, pair, task.method, task.rate > 0 and model or nil),
    { dataset = pair.dataset, model = pair.name, method = task.method, sampling = task.sampling, seed = task.seed,
      redundancy = task.redundancy, repair = task.repair, rate = task.rate, scope = job.options.scope,
      units_total = sweep_scores.count_units(scores, job.options.layers), score_seconds = inputs.scores.seconds } } do
    for name, value in pairs(columns) do row[name] = value end
  end
  return { row = row, note = note }
end

return work
