--- What one pruned model of a sweep is worth, and what it costs: the columns of its row.
-- @module secateur.experiments.sweep_row
local core = require "secateur.core"
local cost = require "secateur.models.cost"
local errors = require "secateur.util.errors"
local evaluate = require "secateur.evaluation.evaluate"
local output_agreement = require "secateur.evaluation.output_agreement"
local sweep_scores = require "secateur.experiments.sweep_scores"

local sweep_row = {}

--- The columns that are times: all else in a row is the same whatever machine it is computed on.
sweep_row.timings = { "score_seconds", "repair_seconds", "evaluate_seconds", "agreement_seconds", "latency_1",
  "latency_16", "relative_latency_1", "relative_latency_16" }

-- Timings of a row are medians of few runs: a sweep has many rows, and its figures show the trend.
local repeats = { [1] = 5, [16] = 3 }

local function columns_of(measured, seconds)
  local columns = { evaluate_seconds = seconds, macro_f1 = measured.macro_f1, skipped = measured.skipped,
    per_class = {} }
  for _, name in ipairs { "accuracy", "balanced_accuracy", "auroc", "ece", "loss" } do
    columns[name] = measured[name]
  end
  local findings = measured.head == "multi_label" -- whose accuracy is high where they are rare
  for _, name in ipairs(findings and { "exact_match", "average_precision", "brier" } or {}) do
    columns[name] = measured[name]
  end
  for i, class in ipairs(measured.per_class or {}) do
    columns.per_class[i] = { sensitivity = class.sensitivity, specificity = class.specificity,
      precision = class.precision, f1 = class.f1, auroc = findings and class.auroc or nil,
      average_precision = findings and class.average_precision or nil }
  end
  return columns
end

--- Evaluates a model on the test split.
-- @tab job
-- @tab pair `data`
-- @tparam Model model
-- @treturn table columns of a row
-- @treturn table the Evaluation, for its outputs
function sweep_row.measure(job, pair, model)
  local started = core.clock()
  local measured = evaluate(model, pair.data.test, { batch = job.options.batch })
  return columns_of(measured, core.clock() - started), measured
end

--- Evaluates the dense model of a pair.
-- @tab job
-- @tab pair `model`, `data`
-- @treturn table plain data: `baseline`, columns of a row, and `logits`, its outputs
function sweep_row.measure_dense(job, pair)
  local columns, measured = sweep_row.measure(job, pair, pair.model)
  return { baseline = columns, logits = sweep_scores.pack_outputs(measured) }
end

-- Memory goes by the number of threads, which is not to be seen in a row: that of one is taken.
local function cost_of(model)
  local found = cost(model, { batches = { 16 }, latency = false, threads = 1 })
  return { parameters = found.parameters, macs = found.macs, bytes = found.bytes, peak_bytes = found.peak_bytes[16] }
end

-- Times a model in turns with the dense one, so that what else the machine does meets both alike.
local function add_latencies(pair, columns, model)
  for _, batch in ipairs { 1, 16 } do
    local times = cost.latencies(model == pair.model and { model.graph } or { pair.model.graph, model.graph }, batch,
      repeats[batch])
    columns["latency_" .. batch], columns["relative_latency_" .. batch] = times[#times], times[#times] / times[1]
  end
end

-- Columns of costs, absolute and as shares of the dense model's.
local function add_costs(job, pair, columns, model)
  pair.cost = pair.cost or cost_of(pair.model)
  for name, value in pairs(model == pair.model and pair.cost or cost_of(model)) do columns[name] = value end
  for _, name in ipairs { "parameters", "macs", "bytes" } do
    columns["relative_" .. name] = columns[name] / pair.cost[name]
  end
  if job.latency then add_latencies(pair, columns, model) end
end

-- What the store keeps of the dense model must be of the images that the pruned one has seen, and of its classes.
local function check_outputs(dense, measured)
  local same = #dense.indices == #measured.indices
  for i, index in ipairs(measured.indices) do same = same and dense.indices[i] == index end
  if not same then
    errors.raise("store: expected the dense model's outputs of the %d images of the test split, got those of others; "
      .. "begin a new store", #measured.indices)
  end
  if #dense.logits > 0 and #dense.logits[1] ~= #measured.logits[1] then
    errors.raise("store: expected %d outputs of the dense model for an image, got %d; begin a new store",
      #measured.logits[1], #dense.logits[1])
  end
end

--- The columns of a model that is evaluated: measures, costs, and how far its decisions are those of the dense model.
-- @tab job
-- @tab pair `model`, `data`, `baseline` (columns) and `dense` (outputs) of `measure_dense`
-- @tparam Model model the pruned model, or the dense one itself, which is not evaluated again
-- @treturn table columns of a row
function sweep_row.columns(job, pair, model)
  local columns = {}
  if model == pair.model then
    for name, value in pairs(pair.baseline) do columns[name] = value end
    columns.decision_agreement, columns.kl, columns.drop_low, columns.drop_high = 1, 0, 0, 0
  else
    local measured
    columns, measured = sweep_row.measure(job, pair, model)
    check_outputs(pair.dense, measured)
    local found = output_agreement.compare(pair.dense, measured)
    for _, name in ipairs { "decision_agreement", "kl", "drop_low", "drop_high" } do columns[name] = found[name] end
  end
  columns.drop = pair.baseline.accuracy - columns.accuracy
  columns.baseline_accuracy = pair.baseline.accuracy
  if columns.exact_match and columns.auroc and pair.baseline.auroc then
    columns.auroc_drop, columns.baseline_auroc = pair.baseline.auroc - columns.auroc, pair.baseline.auroc
  end
  add_costs(job, pair, columns, model)
  return columns
end

return sweep_row
