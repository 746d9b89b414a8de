--- How much of a model can go before it loses more than a margin.
-- @module secateur.pruning.lossless
local auroc_drop = require "secateur.evaluation.auroc_drop"
local core = require "secateur.core"
local errors = require "secateur.util.errors"
local evaluate = require "secateur.evaluation.evaluate"
local heads = require "secateur.models.heads"
local importance = require "secateur.pruning.importance"
local model_class = require "secateur.models.model"
local options = require "secateur.util.options"
local output_agreement = require "secateur.evaluation.output_agreement"
local predict = require "secateur.evaluation.predict"
local progress = require "secateur.util.progress"
local prune = require "secateur.pruning.prune"
local scores_class = require "secateur.pruning.scores"
local text_table = require "secateur.util.text_table"

local SLACK = 1e-9 -- accuracies are fractions; a drop of the margin itself is within it

local rules = {
  metric = { one_of = { "accuracy", "auroc" } },
  margin = { type = "number", min = 0, max = 1, default = 0.05 },
  strict = { type = "boolean", default = false },
  importance = { type = "table" },
  scores = { type = "table" },
  prune = { type = "table", default = {} },
  tolerance = { type = "number", above = 0, max = 0.5, default = 0.01 },
  resamples = { type = "integer", min = 1, default = 1000 },
  level = { type = "number", above = 0, below = 1, default = 0.95 },
  seed = { type = "integer", default = 0 },
  batch = { type = "integer", min = 1, default = 64 },
  workers = { type = "integer", min = 1, max = 64, default = 1 },
  progress = { type = "boolean" },
  on_evaluation = { type = "function" },
}

--- What `lossless` gives. Printed, it is a table of the rates that were tried, and what was found.
-- @type Lossless
-- @field rate the largest rate found within the margin, 0 where none is
-- @field drop accuracy on the validation split of the unpruned model less that at this rate
-- @field interval {low, high}: paired bootstrap interval of this drop
-- @field model the pruned model at this rate; the model given where the rate is 0
-- @field evaluations list in the order of the search, of `{rate, drop, interval, accuracy, units, within}`
-- @field monotone whether the drops rise with the rate wherever they were measured, as bisection assumes
-- @field test at this rate on the test split: `accuracy`, `baseline_accuracy`, `drop`, `interval`,
--   `decision_agreement` (share of images decided alike), `kl` (mean divergence from what the unpruned model says, in
--   nats), `decisions` and `count` (how many of these and of images there are); nil where the data have no test split
-- @field scores what the units were ranked by
-- @field baseline_accuracy of the unpruned model on the validation split
-- @field metric what drops are of: "accuracy" or "auroc"; with the latter evaluations have `auroc`, too, and
--   `baseline_auroc` is the unpruned model's
-- @field margin as given; so are `tolerance`, `level`, `strict`
local Lossless = { __name = "Lossless" }
Lossless.__index = Lossless

local function interval_text(drop, interval)
  return ("%.4f [%.4f, %.4f]"):format(drop, interval[1], interval[2])
end

function Lossless:__tostring()
  local sorted, lines = table.move(self.evaluations, 1, #self.evaluations, 1, {}),
    { { "rate", "units", self.metric == "auroc" and "AUROC" or "accuracy", "drop", "within" } }
  table.sort(sorted, function(a, b) return a.rate < b.rate end)
  for i, each in ipairs(sorted) do
    lines[i + 1] = { ("%.4g"):format(each.rate), tostring(each.units), ("%.4f"):format(each[self.metric or "accuracy"]),
      interval_text(each.drop, each.interval), each.within and "yes" or "no" }
  end
  local text = { text_table.format(lines) }
  text[#text + 1] = ("lossless up to rate %.4g (margin %g%s, rates to %g): drop %s on the validation split"):format(
    self.rate, self.margin, self.strict and ", interval within it" or "", self.tolerance,
    interval_text(self.drop, self.interval))
  if self.test then
    local metric = self.metric or "accuracy"
    text[#text + 1] = ("test split: %s %.4f, unpruned %.4f, drop %s, %.4f of %d decisions alike"):format(
      metric == "auroc" and "AUROC" or metric, self.test[metric], self.test["baseline_" .. metric],
      interval_text(self.test.drop, self.test.interval),
      self.test.decision_agreement, self.test.decisions)
  end
  if not self.monotone then
    text[#text + 1] = "drops do not rise with the rate throughout: a larger rate may be within the margin too"
  end
  return table.concat(text, "\n")
end

-- ---- measuring ----

-- The drop between two evaluations of the same images, with its interval, and what else tells them apart.
local function compare(dense, pruned, opts)
  local how = { level = opts.level, resamples = opts.resamples, seed = opts.seed }
  local found = output_agreement.compare(dense, pruned, how)
  local compared = { drop = dense.accuracy - pruned.accuracy, interval = { found.drop_low, found.drop_high },
    accuracy = pruned.accuracy, baseline_accuracy = dense.accuracy, decision_agreement = found.decision_agreement,
    kl = found.kl, decisions = found.decisions, count = pruned.count }
  if opts.metric == "auroc" then
    local area = auroc_drop.compare(dense, pruned, how)
    if not area then
      errors.refuse("lossless", "metric: expected images with and without a class or finding, for a ROC curve of it; "
        .. "found none (metric = \"accuracy\" does without)")
    end
    compared.drop, compared.interval = area.drop, { area.low, area.high }
    compared.auroc, compared.baseline_auroc = pruned.auroc, dense.auroc
  end
  return compared
end

local function measure(model, split, opts)
  return evaluate(model, split, { batch = opts.batch, workers = opts.workers })
end

-- The options of prune: the images to repair with are those that the scores know, else the training split's.
local function prune_options(job)
  local given = {}
  for key, value in pairs(job.options.prune) do given[key] = value end
  if given.repair ~= "none" and not given.calibration and not scores_class.calibration_of(job.scores) then
    given.calibration = job.data.train
  end
  return given
end

-- Prunes at a rate and compares on the validation split.
local function try_rate(job, rate)
  local opts, given = job.options, prune_options(job)
  given.rate = rate
  local pruned = prune(job.model, job.scores, given)
  local found = compare(job.dense, measure(pruned, job.data.val, opts), opts)
  local worst = opts.strict and found.interval[2] or found.drop
  return { rate = rate, drop = found.drop, interval = found.interval, accuracy = found.accuracy,
    auroc = found.auroc, units = pruned.pruning_plan:count(), within = worst <= opts.margin + SLACK }, pruned
end

-- The search: what is at `low` is within the margin, what is at `high` is not, or cannot be pruned at all.
local function search(job, line)
  local rates = prune.rates(job.model, job.scores, job.options.prune)
  local best = { rate = 0, drop = 0, interval = { 0, 0 }, accuracy = job.dense.accuracy,
    auroc = job.options.metric == "auroc" and job.dense.auroc or nil, units = 0, within = true }
  local low, high, most, model = 0, 1, rates[#rates], job.model
  local evaluations = { best }
  while high - low > job.options.tolerance and low < most do
    local rate = math.min((low + high) / 2, most)
    local found, pruned = try_rate(job, rate)
    evaluations[#evaluations + 1] = found
    if job.options.on_evaluation then errors.call(job.options.on_evaluation, found) end
    if found.within then low, best, model = rate, found, pruned else high = rate end
    line:step(1, ("rate %.4g"):format(rate))
  end
  return best, model, evaluations
end

local function is_monotone(evaluations)
  local sorted = table.move(evaluations, 1, #evaluations, 1, {})
  table.sort(sorted, function(a, b) return a.rate < b.rate end)
  for i = 2, #sorted do
    if sorted[i].drop < sorted[i - 1].drop - SLACK then return false end
  end
  return true
end

local function run(job)
  local opts = job.options
  local terminal, log = progress.modes(opts.progress, core.is_terminal())
  local steps = math.max(1, math.ceil(math.log(1 / opts.tolerance, 2)))
  local line <close> = progress.new { total = steps, label = "lossless", unit = "rates", terminal = terminal,
    log = log, clock = core.clock }
  line:update(0, "scores")
  job.scores = opts.scores or importance(job.model, job.data.train, opts.importance)
  line:update(0, "unpruned")
  job.dense = measure(job.model, job.data.val, opts)
  local best, model, evaluations = search(job, line)
  line:update(line.done, "test split")
  local test = job.data.test and job.data.test:count() > 0
    and compare(measure(job.model, job.data.test, opts), measure(model, job.data.test, opts), opts) or nil
  line:finish("")
  return setmetatable({ rate = best.rate, drop = best.drop, interval = best.interval, model = model,
    evaluations = evaluations, monotone = is_monotone(evaluations), test = test, scores = job.scores,
    baseline_accuracy = job.dense.accuracy, metric = opts.metric,
    baseline_auroc = opts.metric == "auroc" and job.dense.auroc or nil, margin = opts.margin,
    tolerance = opts.tolerance, level = opts.level,
    strict = opts.strict }, Lossless)
end

local function check_data(model, data, opts)
  if type(data) ~= "table" or data.batches then
    errors.refuse("lossless", "data: expected a data set with train, val and test, got %s", options.describe(data))
  elseif not data.val or data.val:count() == 0 then
    errors.refuse("lossless", "data: expected a validation split, got none: a rate chosen on the test split would be "
      .. "measured on what it was chosen by; load the data with shares for train, val and test, or give { train =, "
      .. "val =, test = }")
  end
  predict.check("lossless", model, data.val, "data.val")
  if data.test and data.test:count() > 0 then predict.check("lossless", model, data.test, "data.test") end
  if not opts.scores then predict.check("lossless", model, data.train, "data.train") end
end

--- Finds the largest rate at which pruning costs at most a margin of accuracy, or of AUROC: by bisection on the
-- validation split, reported on the test split, which has no part in the choice.
--
-- Units are scored once, on the training split; each rate is pruned, repaired as `prune` does it (where neither options
-- nor scores say with which images, those of the training split), and evaluated. With the drop goes its paired
-- bootstrap interval: images are drawn with replacement, each with the decisions of both models. By default the drop
-- itself must be within the margin; with `strict` the upper end of its interval.
--
-- Bisection assumes that the drop rises with the rate. It need not: small drops go up and down by an image or two, and
-- then a rate above the one found may be within the margin too. Every rate tried is in `evaluations`, and `monotone`
-- says whether those rose. No rate above the largest that `min_units` allows is tried.
-- Where images may have several findings it goes by the mean AUROC of the findings unless `metric` says otherwise: the
-- share of right decisions is high where findings are rare, and hardly drops when a model finds nothing any more.
-- @tparam Model model
-- @tab data a data set with `train`, `val` and, to report on, `test`
-- @tab[opt] opts `metric` ("accuracy"; "auroc"), `margin` (0.05), `strict` (false), `importance` (options of
--   `importance`) or `scores` (what it gave), `prune` (options of `prune` but `rate` and `target`), `tolerance` (0.01:
--   the search ends when the rate is known so well), `resamples` (1000), `level` (0.95) and `seed` (0) of the
--   bootstrap, `batch`, `workers` (see `evaluate`), `on_evaluation` (function of each entry of `evaluations` as it is
--   made), `progress` (a boolean; by default a line on a terminal, elsewhere one a minute)
-- @treturn Lossless `rate`, `drop`, `interval`, `model`, `test`, `evaluations`; printed, a table
-- @usage
-- local found = sc.lossless(model, data, { margin = 0.01 })
-- print(found, found.rate, found.test.drop)
-- found.model:save("pruned.safetensors")
local function lossless(model, data, opts)
  model_class.check("lossless", model)
  local checked = options.check("lossless", opts, rules)
  if checked.scores and checked.importance then
    errors.refuse("lossless", "scores: expected none beside importance, which computes them")
  end
  for _, key in ipairs { "rate", "target" } do
    if checked.prune[key] ~= nil then
      errors.refuse("lossless", "prune: expected no %s, which is what is found", key)
    end
  end
  check_data(model, data, checked)
  checked.metric = checked.metric or heads.kind(model) == "multi_label" and "auroc" or "accuracy"
  return run { model = model, data = data, options = checked }
end

return lossless
