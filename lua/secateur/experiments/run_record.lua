--- What a store keeps of each call that computed something: when, where, by which version, how long.
-- @module secateur.experiments.run_record
local core = require "secateur.core"
local cpu = require "secateur.cpu"
local files = require "secateur.util.files"
local options = require "secateur.util.options"
local sweep_settings = require "secateur.experiments.sweep_settings"
local tasks = require "secateur.experiments.sweep_tasks"
local version = require "secateur.util.version"

local run_record = {}

-- The processor's own name, where the system tells it.
local function processor_name()
  local text = files.read_all "/proc/cpuinfo"
  return text and text:match "model name%s*:%s*([^\n]+)" or nil
end

local function names(list)
  local found = {}
  for i, entry in ipairs(list) do found[i] = entry.name end
  return found
end

-- What was asked for, in its order: readers of a store list rows by it.
local function grid_of(job)
  return { methods = names(job.methods), samplings = names(job.samplings), models = names(job.models),
    datasets = names(job.datasets), rates = job.options.rates, seeds = job.options.seeds,
    redundancy = job.redundancies, repair = job.repairs }
end

-- The hashes of the settings of all rows: of several versions of a row, readers take that of the last call.
local function hashes_of(job)
  local seen = {}
  for _, pair in ipairs(job.pairs) do
    tasks.each_group(job, function(group)
      tasks.each_row(job, group, function(axes)
        local _, hash = sweep_settings.of(job, "row", pair, axes)
        seen[hash] = true
      end)
    end)
  end
  return options.sorted_keys(seen)
end

--- Begins a record; it is in the store from the first moment on, so that a killed run is seen too.
-- @tab job with `store`
-- @int missing how many rows there are to do
-- @tab[opt] more further fields, such as `ranks`
-- @treturn table the record, for `finish`
function run_record.begin(job, missing, more)
  local date = os.date "!%Y-%m-%dT%H:%M:%SZ"
  local key, i = date, 1
  while job.store:has("run", key) do -- several within a second
    i = i + 1
    key = ("%s %d"):format(date, i)
  end
  local record = { version = version, date = date, level = cpu.level, processor = processor_name(),
    threads = core.threads(), ranks = 1, rows = 0, missing = missing, failed = 0, seconds = 0, finished = false,
    grid = grid_of(job), settings = hashes_of(job) }
  for name, value in pairs(more or {}) do record[name] = value end
  job.store:put("run", key, record)
  return { key = key, record = record, started = core.clock() }
end

--- Writes what the run came to.
-- @tab job with `store`
-- @tab run what `begin` gave
-- @tab more fields, such as `rows`, `failed`, `finished`
function run_record.finish(job, run, more)
  for name, value in pairs(more) do run.record[name] = value end
  run.record.seconds = core.clock() - run.started
  job.store:put("run", run.key, run.record)
end

return run_record
