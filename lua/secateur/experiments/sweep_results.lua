--- What a sweep gives in the end: the rows that were asked for, and what is to be said of those that are missing.
-- @module secateur.experiments.sweep_results
local description = require "secateur.results.description"
local errors = require "secateur.util.errors"
local results = require "secateur.results"
local sweep_settings = require "secateur.experiments.sweep_settings"
local tasks = require "secateur.experiments.sweep_tasks"

local sweep_results = {}

local SHOWN = 10 -- things that failed

-- Failures with the same error, in order: `count`, `first`.
local function group_failures(failed)
  local order, by_error = {}, {}
  for _, failure in ipairs(failed) do
    local same = by_error[failure.error]
    if not same then
      same = { count = 0, first = failure }
      by_error[failure.error], order[#order + 1] = same, same
    end
    same.count = same.count + 1
  end
  return order
end

-- Says which rows failed: a line for each thing that did.
local function say_failed(failed)
  local groups, said = group_failures(failed), 0
  for i = 1, math.min(#groups, SHOWN) do
    local count, first = groups[i].count, groups[i].first
    said = said + count
    errors.warn("sweep: %d row%s failed, such as %s, %s, %s, %s, seed %d, rate %g: %s", count, count == 1 and "" or "s",
      first.dataset, first.model, first.method, first.sampling, first.seed, first.rate, first.error)
  end
  if said < #failed then errors.warn("sweep: %d more rows failed: see failed of what it gives", #failed - said) end
end

-- The rows that were asked for, in order, the hashes of their settings and these; and the failures in the place of
-- others.
local function read_rows(job)
  local found = { rows = {}, hashes = {}, settings = {}, failed = {} }
  for _, pair in ipairs(job.pairs) do
    tasks.each_group(job, function(group)
      tasks.each_row(job, group, function(axes)
        local key = sweep_settings.key(job, "row", pair, axes)
        local row, i = job.store:get("row", key), #found.rows + 1
        if not row then
          found.failed[#found.failed + 1] = job.store:get("failure", key)
          return
        end
        local settings, hash = sweep_settings.of(job, "row", pair, axes)
        found.rows[i], found.hashes[i], found.settings[hash] = row, hash, settings
      end)
    end)
  end
  return found
end

local function read_samples(job)
  local samples = {}
  for _, pair in ipairs(job.pairs) do
    tasks.each_group(job, function(group)
      local key = sweep_settings.key(job, "samples", pair, group)
      samples[key] = samples[key] or job.store:get("samples", key)
    end)
  end
  return samples
end

--- The rows of a job, as its store has them; says on stderr which failed.
-- @tab job with `store`
-- @treturn Results
function sweep_results.collect(job)
  local found = read_rows(job)
  say_failed(found.failed)
  return results.new(found.rows, { experiment = description.of(found.rows, found.hashes, found.settings),
    samples = read_samples(job), margin = job.options.margin, total = job.total, failed = found.failed,
    runs = { job.run.record } })
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
