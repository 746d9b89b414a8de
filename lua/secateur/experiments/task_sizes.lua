--- About how many multiply-adds a task of a sweep is: for an order of tasks and for the time that is left, not for
-- figures.
-- @module secateur.experiments.task_sizes
local layers = require "secateur.models.layers"
local model_class = require "secateur.models.model"

local task_sizes = {}

-- Training takes longer than anything else in a sweep.
local LARGEST = 1e18
-- Multiply-adds of one image where nothing is known.
local UNKNOWN = 1e9
-- Forward runs that a sample costs.
local passes = { lrp = 4, dlb = 4, ig = 64, gradient_x_input = 3, taylor = 3, sensitivity = 2, activation = 1,
  random = 0, magnitude = 0 }
-- The images that latencies are measured on, in forward runs of the dense model and of the pruned one.
local TIMED_RUNS = 60
local AGREEMENT_PASSES = 8

local function macs_of(job, pair)
  if pair.macs == nil then
    local model = pair.model or pair.source
    pair.macs = model_class.is(model) and select(2, layers.totals(model)) or false
  end
  if pair.macs then return pair.macs end
  local largest = 0
  for _, other in ipairs(job.pairs) do largest = math.max(largest, other.macs or 0) end
  return largest > 0 and largest or UNKNOWN
end

-- Images that a task runs through the network, times the passes of each.
local images = {}

function images.dense(_, pair) return pair.data.test:count() end

function images.samples(_, pair, axes) return axes.sampling == "random" and 0 or pair.data.train:count() end

function images.scores(job, pair, axes)
  local count = job.options.per_class * #pair.data.classes
  local calibrated = axes.redundancy or axes.method == "sensitivity"
  return count * (passes[axes.method] or 4) + (calibrated and job.options.calibration_count or 0)
end

function images.row(job, pair, axes)
  if axes.rate == 0 then return job.latency and TIMED_RUNS or 0 end
  local left = job.evaluate == "compact" and 1 - axes.rate or 1
  local count = left * pair.data.test:count() + (job.latency and (1 + left) * TIMED_RUNS or 0)
  if axes.repair ~= "none" then count = count + 2 * job.options.calibration_count end
  if job.agreement then count = count + job.agreement.per_class * #pair.data.classes * AGREEMENT_PASSES end
  return count
end

--- The size of a task.
-- @tab job
-- @string kind
-- @tab pair
-- @tab axes
-- @treturn number multiply-adds; of a model that is made by a function larger than of anything else
function task_sizes.estimate(job, kind, pair, axes)
  if kind == "model" then return LARGEST end
  return macs_of(job, pair) * images[kind](job, pair, axes)
end

return task_sizes
