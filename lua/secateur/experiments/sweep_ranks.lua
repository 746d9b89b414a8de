--- A sweep that the processes of a group share: rank 0 owns the store and hands out tasks, and all give the same
-- results.
-- @module secateur.experiments.sweep_ranks
local differences = require "secateur.util.differences"
local dispatch = require "secateur.experiments.dispatch"
local errors = require "secateur.util.errors"
local json = require "secateur.util.json"
local results = require "secateur.results"
local sweep_settings = require "secateur.experiments.sweep_settings"
local tasks = require "secateur.experiments.sweep_tasks"
local worker = require "secateur.experiments.worker"

local sweep_ranks = {}

-- Bytes of a setting that a message shows.
local SHOWN = 60

--- Raises, on all ranks, where one was asked for other rows than rank 0. All ranks call it.
-- @tab job
-- @tparam Group group
function sweep_ranks.compare(job, group)
  local hash, whole = sweep_settings.of_job(job)
  local hashes, different = group:all_gather(hash), nil
  for rank = group.size - 1, 1, -1 do
    if hashes[rank + 1] ~= hashes[1] then different = rank end
  end
  if not different then return end
  local texts = group:all_gather(json.encode(whole))
  errors.refuse("sweep", "expected the same call on all ranks, but rank %d differs from rank 0: %s", different,
    differences.text(json.decode(texts[1]), json.decode(texts[different + 1]), SHOWN, "%s was %s and is %s there")
      or "in what cannot be shown")
end

-- What every rank does with tasks.
local function handlers_of(job)
  return {
    run = function(task, inputs) return tasks.run(job, task, inputs) end,
    export_model = function(pair) return tasks.export_model(job, pair) end,
    import_model = function(pair, bytes) tasks.import_model(job, pair, bytes) end,
    drop_model = function(pair) tasks.release(job, pair) end,
  }
end

-- A task is done, well or not.
local function count(job, task, done)
  if task.kind == "row" then job.done = job.done + done end
  if task.kind ~= "model" then job.progress:work(task.size) end
end

--- Has tasks done by all ranks: what rank 0 does. The job says how many rows are done (`done`).
-- @tab job with `store`, `progress`, `on_error`
-- @tab list of `sweep_tasks.list`
-- @tparam Group group
-- @tab how see `workers.read`
-- @treturn table what `dispatch.run` gives
function sweep_ranks.lead(job, list, group, how)
  local handlers = handlers_of(job)
  function handlers.input_keys(task) return tasks.input_keys(job, task) end
  function handlers.get(kind, key) return job.store:get(kind, key) end
  function handlers.keep(task, result)
    tasks.keep(job, task, result)
    count(job, task, 1)
  end
  function handlers.fail(task, message)
    tasks.fail(job, task, message)
    count(job, task, 0)
  end
  function handlers.show(text) job.progress:update(job.done, text) end
  job.where = false -- in many places at once: messages say where themselves
  group.sharing = "a sweep"
  local found = dispatch.run(group, list, handlers, { root = how.root, ahead = how.ahead, models = how.models,
    stop_at_failure = job.on_error ~= "keep" })
  job.where, group.sharing = nil, nil
  return found
end

--- Does tasks for rank 0: what the others do.
-- @tab job
-- @tparam Group group
function sweep_ranks.follow(job, group)
  group.sharing = "a sweep"
  worker.run(group, handlers_of(job))
  group.sharing = nil
end

--- Gives all ranks the results of rank 0. Those of the others say so: `is_copy`.
-- @tparam Group group
-- @tparam ?Results found on rank 0
-- @treturn Results
function sweep_ranks.share(group, found)
  local text
  if found then
    local context = {}
    for name, value in pairs(found) do
      if type(name) == "string" then context[name] = value end
    end
    text = json.encode { rows = table.move(found, 1, #found, 1, {}), context = context }
  end
  text = group:broadcast(text or "", 0)
  if found then return found end
  local whole = json.decode(text)
  local copy = results.new(whole.rows, whole.context)
  copy.is_copy = true
  return copy
end

return sweep_ranks
