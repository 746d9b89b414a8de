--- One process goes through the tasks of a sweep, in their order.
-- @module secateur.experiments.sweep_serial
local errors = require "secateur.util.errors"
local task_failure = require "secateur.experiments.task_failure"
local tasks = require "secateur.experiments.sweep_tasks"

local serial = {}

-- The store's `get`, for rows, which share much of their inputs: of each kind the last is decoded and checked once.
local function reader(store)
  local last = {}
  return function(kind, key)
    if last[kind] and last[kind].key == key then return last[kind].value end
    local value = store:get(kind, key)
    if value ~= nil then last[kind] = { key = key, value = value } end
    return value
  end
end

-- Why a task cannot be done: what failed before. It fails for the same reason.
local function lost_need(task, failed)
  for _, id in ipairs(task.needs) do
    if failed[id] then return failed[id] end
  end
end

local function run_task(job, task, get)
  local inputs = tasks.inputs(job, task, get)
  if job.on_error ~= "keep" then return tasks.run(job, task, inputs) end
  local good, result = errors.catch(tasks.run, job, task, inputs)
  if good then return result end
  if task_failure.ends_all(result) then errors.rethrow(result) end
  return nil, task_failure.text(result)
end

--- Does all tasks of a list. The job says where it is (`where`) and how many rows are done (`done`).
-- @tab job with `store`, `progress`, `on_error`
-- @tab list of `sweep_tasks.list`
-- @raise where a task fails and `on_error` is not "keep"
function serial.run(job, list)
  local failed, get = {}, reader(job.store)
  for i, task in ipairs(list) do
    job.where = task.label
    job.progress:update(job.done, task.kind == "row" and task.label or task.label .. ": " .. task.kind)
    local message, result = lost_need(task, failed), nil
    if not message then result, message = run_task(job, task, get) end
    if result then
      tasks.keep(job, task, result)
    else
      failed[task.id] = message
      tasks.fail(job, task, message)
    end
    if task.kind == "row" then job.done = job.done + (result and 1 or 0) end
    if task.kind ~= "model" then job.progress:work(task.size) end
    job.progress:update(job.done, task.label)
    if not list[i + 1] or list[i + 1].pair ~= task.pair then tasks.release(job, task.pair) end
  end
  job.where = nil
end

return serial
