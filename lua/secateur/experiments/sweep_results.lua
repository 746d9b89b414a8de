--- What a sweep gives in the end: the rows that were asked for, and what is to be said of those that are missing.
-- @module secateur.experiments.sweep_results
local errors = require "secateur.util.errors"
local json = require "secateur.util.json"
local results = require "secateur.results"
local sweep_settings = require "secateur.experiments.sweep_settings"
local tasks = require "secateur.experiments.sweep_tasks"

local sweep_results = {}

-- Says which rows failed: a line for each thing that did.
local function say_failed(failed)
  local order, by_error = {}, {}
  for _, failure in ipairs(failed) do
    local same = by_error[failure.error]
    if not same then
      same = { count = 0, first = failure }
      by_error[failure.error], order[#order + 1] = same, failure.error
    end
    same.count = same.count + 1
  end
  for _, message in ipairs(order) do
    local same, first = by_error[message], by_error[message].first
    errors.warn("sweep: %d row%s failed, such as %s, %s, %s, %s, seed %d, rate %g: %s", same.count,
      same.count == 1 and "" or "s", first.dataset, first.model, first.method, first.sampling, first.seed, first.rate,
      message)
  end
end

--- The rows of a job, as its store has them; says on stderr which failed.
-- @tab job with `store`
-- @treturn Results
function sweep_results.collect(job)
  local rows, samples, failed = {}, {}, {}
  for _, pair in ipairs(job.pairs) do
    tasks.each_group(job, function(group)
      local name = json.encode { pair.dataset, pair.name, group.sampling, group.seed }
      samples[name] = samples[name] or job.store:get("samples", sweep_settings.key(job, "samples", pair, group))
      tasks.each_row(job, group, function(axes)
        local key = sweep_settings.key(job, "row", pair, axes)
        local row = job.store:get("row", key)
        rows[#rows + 1] = row
        if not row then failed[#failed + 1] = job.store:get("failure", key) end
      end)
    end)
  end
  say_failed(failed)
  return results.new(rows, { experiment = sweep_settings.experiment(job), samples = samples,
    margin = job.options.margin, total = job.total, failed = failed })
end

--- What Ctrl-C leaves, as a message: how many rows are safe, and where.
-- @tab job `total`, `before` (rows that were there), `done`, `options.store`
-- @string problem what ended the sweep; a training says what it keeps itself
-- @treturn string
function sweep_results.interruption(job, problem)
  local training = problem:match "(train: interrupted; .*)$"
  local count = (job.before or 0) + (job.done or 0)
  local rows
  if not job.options.store then
    rows = ("%d of %d rows were done, and are kept nowhere: there is no store"):format(count, job.total or count)
  elseif job.total then
    rows = ("%d of %d rows are safe in '%s'; the same call goes on"):format(count, job.total, job.options.store)
  else
    rows = ("what is in '%s' is safe; the same call goes on"):format(job.options.store)
  end
  return ("sweep: interrupted; %s%s"):format(rows, training and (" (%s)"):format(training) or "")
end

return sweep_results
