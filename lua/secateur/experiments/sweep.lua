--- Methods × samplings × rates × seeds × models × datasets: what does each rate of pruning cost?
-- @module secateur.experiments.sweep
local core = require "secateur.core"
local errors = require "secateur.util.errors"
local mpi = require "secateur.mpi"
local output = require "secateur.util.output"
local progress = require "secateur.util.progress"
local run_record = require "secateur.experiments.run_record"
local serial = require "secateur.experiments.sweep_serial"
local store = require "secateur.results.store"
local sweep_images = require "secateur.experiments.sweep_images"
local sweep_ranks = require "secateur.experiments.sweep_ranks"
local sweep_options = require "secateur.experiments.sweep_options"
local sweep_results = require "secateur.experiments.sweep_results"
local sweep_settings = require "secateur.experiments.sweep_settings"
local tasks = require "secateur.experiments.sweep_tasks"
local workers = require "secateur.experiments.workers"

-- Opens the store, or one in memory.
local function open_store(job)
  local path = job.options.store
  if not path then return store.memory() end
  local wrong = store.check_path(path)
  if wrong then errors.refuse("sweep", "store: %s", wrong) end
  local good, message = output.prepare_file(path)
  if not good then errors.refuse("sweep", "store: " .. message) end
  local opened, problem = store.open(path, { wait = job.options.wait })
  if not opened then errors.refuse("sweep", "store '%s' %s", path, problem) end
  return opened
end

local function start_progress(job, list, count)
  local terminal, log = progress.modes(job.options.progress, core.is_terminal())
  local work = 0
  for _, task in ipairs(list) do work = work + (task.kind ~= "model" and task.size or 0) end
  return progress.new { total = count, weight = work, label = "sweep", unit = "rows",
    terminal = terminal and count > 0, log = log, clock = core.clock }
end

local function count_rows(list)
  local count = 0
  for _, task in ipairs(list) do count = count + (task.kind == "row" and 1 or 0) end
  return count
end

-- Does what is missing, alone or with a group of processes.
local function run(job, group, how)
  sweep_images.verify(job)
  local list
  list, job.total = tasks.list(job)
  local missing = count_rows(list)
  job.done, job.before = 0, job.total - missing
  job.progress = start_progress(job, list, missing)
  local line <close> = job.progress
  job.run = run_record.begin(job, missing, group and { ranks = group.size })
  local shared = group and sweep_ranks.lead(job, list, group, how) or serial.run(job, list)
  line:finish ""
  run_record.finish(job, job.run, { rows = job.done, failed = missing - job.done, finished = true,
    idle = shared and shared.idle, by_rank = shared and shared.ranks })
end

-- What ended a sweep, as an error of it: where it was, and of Ctrl-C what is kept.
local function raise(job, problem)
  if errors.is_interruption(problem) then errors.rethrow(sweep_results.interruption(job, problem)) end
  if type(problem) ~= "string" and not errors.is_fault(problem) then errors.rethrow(problem) end
  if job.where == false then errors.rethrow(problem, "sweep") end
  errors.refuse("sweep", "%s: %s", job.where or "start", tostring(problem))
end

-- The whole sweep: of a process that is alone, or of rank 0 of a group.
local function lead(opts, group, how)
  local job = sweep_options.prepare(opts)
  errors.within("sweep", sweep_settings.describe, job)
  if group then
    sweep_ranks.compare(job, group)
    job.on_error = job.options.on_error or "keep"
  end
  job.store = open_store(job)
  local _ <close> = job.store
  local good, problem = errors.catch(run, job, group, how)
  if not good then
    if job.run then
      errors.catch(run_record.finish, job, job.run, { rows = job.done, error = tostring(problem) })
    end
    raise(job, problem)
  end
  local found = sweep_results.collect(job)
  return group and sweep_ranks.share(group, found) or found
end

-- What the other ranks of a group do.
local function follow(opts, group)
  local job = sweep_options.prepare(opts)
  errors.within("sweep", sweep_settings.describe, job)
  sweep_ranks.compare(job, group)
  errors.within("sweep", sweep_ranks.follow, job, group)
  return sweep_ranks.share(group)
end

--- Prunes at every rate by the scores of every method and sampling, repairs and compacts what is left, and measures
-- each pruned model on the test split: what it is worth, and what it costs.
--
-- Samples are chosen once per sampling, seed, model and dataset and shared by the methods; scores are computed once per
-- method (and redundancy) and serve all rates and repairs; the dense model is evaluated once per dataset. All names,
-- options and functions are checked before anything is computed.
--
-- With a `store` each row is on the disk as soon as it is measured, with what it depends on: images, weights, method
-- and sampling with their options and code, and so forth. So a store grows: a stopped sweep goes on where it was when
-- the same call is made again, a finished one returns at once, and one more rate, method, seed or model, or one
-- strategy that was mended, computes what is missing and nothing else. What was computed otherwise stays in the store
-- (see `secateur.results`, which reads the last version of each row); a sweep gives the rows that were asked for.
-- Functions are told apart by their source and what they refer to (see `fingerprint`), those with a `version` by that
-- alone.
--
-- Under a launcher of MPI (`mpirun -n 16 lua5.4 script.lua`) all processes make the same call and share its work: a
-- model to make, samples to choose, scores, a row are given to whoever is free, the largest first. Rank 0 alone has the
-- store, and nobody else reads or writes it; all get the same results, those of one process bit for bit but for times;
-- on the other ranks they say that they are a copy (`is_copy`; `report` writes nothing of them). A function of `models`
-- is called by one process for each data set, and the model is sent to others. What fails is kept in the row's place
-- (`on_error`). Where a process dies the run ends, and the same call, with any number of processes, goes on with what
-- is finished.
--
-- A row: `dataset, model, method, sampling, seed, redundancy, repair, rate, scope, units_pruned, units_total,
-- repair_layers` (how many were repaired); `baseline_accuracy, accuracy, drop` (baseline − accuracy), `drop_low,
-- drop_high` (its paired bootstrap interval over the test images, 95 %), `balanced_accuracy, macro_f1, auroc, ece,
-- loss`; `decision_agreement` (share of test images whose decision is the dense model's) and `kl` (mean KL(dense ||
-- pruned), nats); where images may have several findings (where `accuracy` is the share of right decisions about a
-- finding of an image, see `evaluate`) also `exact_match, average_precision, brier, auroc_drop` and `baseline_auroc`;
-- of the model that is evaluated `parameters, macs, bytes` (of the saved file), `peak_bytes` (of a batch of 16, with
-- one thread), `latency_1, latency_16` (ms of a batch of 1 and of 16: medians of few runs, in turns with the dense
-- model), and as shares of the dense model's `relative_parameters, relative_macs, relative_bytes, relative_latency_1,
-- relative_latency_16`; `agreement_cosine, agreement_spearman, agreement_topk` (of heatmaps with those of the dense
-- model, see `agreement`); `score_seconds, repair_seconds, evaluate_seconds, agreement_seconds` and `per_class`, a list
-- of `{sensitivity=, specificity=, precision=, f1=}`; `skipped` (how many images of the test split, and of no split,
-- were left out because they could not be read). Measures that are undefined are absent.
--
-- @tab opts
--
-- * `model` or `models` (name → a model, `function(dataset, dataset_name) → model`, `{ make = function, version = text
--   or number }`, or a table of these by dataset name; functions are called where rows of the model are missing);
--   `data` or `datasets` (name → dataset)
-- * `methods` ({"lrp", "dlb", "ig"}, and name = function or `{ score = function, version = }` for scores of one's own,
--   see `importance`); `sampling` ({"clustering", "confidence", "random"}, and name = function or `{ choose = function,
--   scope =, version = }` for strategies of one's own, see `sample`); `seed` (0) or `seeds`;
--   `per_class` (10); `reduce` (see `importance`); `method_options` (method → further options of `importance`)
-- * `redundancy` ({false}, the paper's, also for `sensitivity`; a boolean or both, see `importance`); `repair`
--   ({"none"}, the paper's; "least_squares", "batch_norm", "bias", see `prune`); `calibration_count` (256): images of
--   the training split that both go by, drawn by the seed
-- * `rates` ({0, .15, .3, .5, .7}); `scope` ("global"), `min_units`, `layers` (see `prune`)
-- * `evaluate` ("compact"; "masked" evaluates the models that zeros were written into, whose costs are the dense
--   model's); `latency` (true; false leaves timing out); `batch` (see `evaluate`); `margin` (0.05, of lossless pruning)
-- * `agreement`: false, or a table of `per_class` (3, of the test split), `method` (of explaining; by default that of
--   the scores with its options, and lrp for scores that are no explanations), `top`, `target`, `seed` (see
--   `agreement`)
-- * `store` (the path of a file, which is made where it is missing; none by default; ":memory:" and URIs, which SQLite
--   knows, are refused), which goes on with the same images alone; `wait` (seconds to wait for another process that
--   writes to the store; by default the call is refused at once, with who that is); `verify` ("quick": it
--   knows images by the size and time of all files, and by the bytes of 64 of a split; "full": by the bytes of all)
-- * `about` (none; a table of what else the rows depend on: all are computed anew where it changes)
-- * `on_error`: "stop" (the default of a process alone) ends the sweep where something fails, "keep" (the default of
--   several) goes on with the rest: the store then has the error in the row's place, which the next call tries again,
--   and stderr a line in the end. Ctrl-C, want of memory and a store that cannot be written end a sweep in any case;
--   what is finished is kept
-- * `workers`: "mpi" (the default where a launcher of MPI started the script) has the processes share the work, "none"
--   has each do its own; or a table, for "mpi" and how: `root` (true: whether rank 0, which hands out tasks, computes,
--   too), `ahead` (1: how many tasks a rank is given ahead), `models` (2: how many a rank keeps)
-- * `progress` (a boolean; by default a line on a terminal, elsewhere one a minute)
--
-- @treturn Results the rows as a list, ordered by dataset, model, seed, sampling, method, redundancy, repair, rate;
-- `failed`, the rows that failed (their axes and `error`); see `secateur.results`
-- @usage
-- local results = sc.sweep { model = model, data = data, methods = { "lrp", "ig" }, rates = { 0, 0.3, 0.5 },
--   repair = { "none", "least_squares" }, store = "runs.db" }
local function sweep(opts)
  local group, how = workers.read(type(opts) == "table" and opts.workers or nil)
  if not group then return lead(opts) end
  return mpi.together(group, group.rank == 0 and lead or follow, opts, group, how)
end

return sweep
