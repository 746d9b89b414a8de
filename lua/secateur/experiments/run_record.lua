--- What a store keeps of each call that computed something: when, where, by which version, how long.
-- @module secateur.experiments.run_record
local core = require "secateur.core"
local cpu = require "secateur.cpu"
local files = require "secateur.util.files"

local run_record = {}

-- The processor's own name, where the system tells it.
local function processor_name()
  local text = files.read_all "/proc/cpuinfo"
  return text and text:match "model name%s*:%s*([^\n]+)" or nil
end

--- Begins a record; it is in the store from the first moment on, so that a killed run is seen too.
-- @tab job with `store`
-- @int count how many tasks there are to do
-- @tab[opt] more further fields, such as `ranks`
-- @treturn table the record, for `finish`
function run_record.begin(job, count, more)
  local date = os.date "!%Y-%m-%dT%H:%M:%SZ"
  local key, i = date, 1
  while job.store:get("run", key) ~= nil do -- several within a second
    i = i + 1
    key = ("%s %d"):format(date, i)
  end
  local record = { date = date, level = cpu.level, processor = processor_name(),
    threads = core.threads(), ranks = 1, tasks = count, rows = 0, failed = 0, seconds = 0, finished = false }
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
