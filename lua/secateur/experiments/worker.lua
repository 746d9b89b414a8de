--- The ranks of a sweep that own no store: they do what rank 0 hands them, one task after another.
-- @module secateur.experiments.worker
local core = require "secateur.core"
local errors = require "secateur.util.errors"
local json = require "secateur.util.json"
local task_failure = require "secateur.experiments.task_failure"
local task_inputs = require "secateur.experiments.task_inputs"
local task_messages = require "secateur.experiments.task_messages"

local worker = {}

-- A result, and the model that came with it where it is one that others need.
local function compute(task, inputs, handlers)
  local result = handlers.run(task, inputs)
  return json.encode(result), task.kind == "model" and handlers.export_model(task.pair) or nil
end

local function work(group, message, handlers, inputs, model)
  local task = message.task
  for _, pair in ipairs(message.drop) do handlers.drop_model(pair) end
  if model then handlers.import_model(task.pair, model) end
  local started = core.clock()
  local good, result, made = errors.catch(compute, task, inputs, handlers)
  local seconds = core.clock() - started
  if good then
    group:send(0, task_messages.pack({ type = "done", id = task.id, seconds = seconds }, result, made))
  elseif task_failure.ends_all(result) then
    errors.rethrow(result)
  else
    group:send(0, task_messages.pack { type = "failed", id = task.id, seconds = seconds,
      message = task_failure.text(result) })
  end
end

--- Does tasks until rank 0 says that there are no more. What ends the sweep there is raised here.
-- @tparam Group group
-- @tab handlers `run(task, inputs)` → result, plain data; `export_model(pair)` → bytes or nil, `import_model(pair,
--   bytes)`, `drop_model(pair)`
-- @treturn int how many tasks were done
function worker.run(group, handlers)
  local count, kept = 0, {}
  while true do
    local message, inputs, model = task_messages.unpack(group:receive_from(0))
    if message.type == "end" then
      if message.problem then errors.raise("%s", message.problem) end
      return count
    end
    work(group, message, handlers, task_inputs.unpack(json.decode(inputs), kept), model)
    count = count + 1
  end
end

return worker
