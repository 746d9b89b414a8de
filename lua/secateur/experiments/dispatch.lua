--- Rank 0 of a sweep over several processes: it owns the store, hands out tasks and keeps what comes back.
--
-- It computes as well unless told not to. Messages are served between its tasks and, by a hook of the interpreter,
-- within them: whatever it runs, a sampling strategy or a training of the user's, comes back to Lua between two calls
-- of the core. Nobody waits for it longer than one such call, and seldom at all, since the others have a task ahead.
-- @module secateur.experiments.dispatch
local core = require "secateur.core"
local errors = require "secateur.util.errors"
local json = require "secateur.util.json"
local schedule = require "secateur.experiments.schedule"
local task_inputs = require "secateur.experiments.task_inputs"
local task_failure = require "secateur.experiments.task_failure"
local task_messages = require "secateur.experiments.task_messages"

local dispatch = {}

-- How many instructions of Lua pass between two looks for messages: less than a millisecond.
local INSTRUCTIONS = 20000

-- While nobody sends anything, the progress line is told the time this often.
local SECONDS = 1

local Dispatcher = {}
Dispatcher.__index = Dispatcher

-- How many ranks a progress line names one by one.
local NAMED = 8

local kinds = { "model", "dense", "samples", "scores", "row" }

-- What each rank does; of many, how many do what.
local function state_text(self)
  local words, counts, idle = {}, {}, 0
  for rank = 0, self.group.size - 1 do
    local now = self.current[rank][1]
    if now then
      if self.group.size <= NAMED then
        words[#words + 1] = ("%d: %s%s"):format(rank, now.label, now.kind ~= "row" and ", " .. now.kind or "")
      end
      counts[now.kind] = (counts[now.kind] or 0) + 1
    elseif rank > 0 or self.schedule.root then
      idle = idle + 1
    end
  end
  for _, kind in ipairs(self.group.size > NAMED and kinds or {}) do
    if counts[kind] then words[#words + 1] = ("%d %s"):format(counts[kind], kind) end
  end
  if idle > 0 then words[#words + 1] = ("%d idle"):format(idle) end
  return table.concat(words, "; ")
end

local function show(self) self.handlers.show(state_text(self)) end

-- A task is over: its rank goes on with the one that it got ahead.
local function note_end(self, rank, id, seconds)
  for i, task in ipairs(self.current[rank]) do
    if task.id == id then table.remove(self.current[rank], i) end
  end
  self.busy[rank], self.tasks[rank] = self.busy[rank] + seconds, self.tasks[rank] + 1
end

-- Models are kept as long as somebody may need them.
local function let_go(self, pair)
  if pair and self.schedule:left_of(pair) == 0 then self.models[pair] = nil end
end

local function keep(self, rank, task, result, model, seconds)
  self.handlers.keep(task, result)
  self.schedule:done(task.id)
  note_end(self, rank, task.id, seconds)
  if model then self.models[task.pair] = model end
  let_go(self, task.pair)
end

local function fail(self, rank, task, message, seconds)
  note_end(self, rank, task.id, seconds)
  for _, each in ipairs(self.schedule:fail(task.id)) do
    self.handlers.fail(each, message)
    let_go(self, each.pair)
  end
  if self.stop_at_failure and not self.stopping then
    self.stopping = ("%s: %s"):format(task.label, message)
  end
end

local function handle(self, rank, text)
  local message, result, model = task_messages.unpack(text)
  local task = self.by_id[message.id]
  if message.type == "done" then
    keep(self, rank, task, json.decode(result), model, message.seconds)
  else
    fail(self, rank, task, message.message, message.seconds)
  end
end

-- The inputs of a task, for a rank that has some already.
local function inputs_for(self, rank, task)
  return task_inputs.pack(self.handlers.input_keys(task), self.handlers.get, self.sent[rank])
end

local function send(self, given)
  local task, model = given.task, given.is_new and self.models[given.task.pair] or nil
  table.insert(self.current[given.rank], task)
  self.group:send(given.rank, task_messages.pack({ type = "task", task = task, drop = given.drop },
    json.encode(inputs_for(self, given.rank, task)), model))
end

local function hand_out(self)
  if self.stopping then return end
  for _, given in ipairs(self.schedule:hand_out()) do send(self, given) end
end

-- Takes all messages that are there, and answers.
local function serve(self)
  local rank, text = self.group:receive(0)
  if not rank then return end
  while rank do
    handle(self, rank, text)
    rank, text = self.group:receive(0)
  end
  hand_out(self)
  show(self)
end

-- Calls a function and serves messages meanwhile. What goes wrong in serving is not the function's: it is raised in it,
-- so that it ends, and again after it.
local function serving(self, f, ...)
  if debug.gethook() then return errors.catch(f, ...) end -- a debugger's or a profiler's
  local function look()
    if self.problem then return end
    local good, problem = errors.catch(serve, self)
    if not good then
      self.problem = { problem }
      errors.rethrow(problem)
    end
  end
  debug.sethook(look, "", INSTRUCTIONS)
  local outcome = table.pack(errors.catch(f, ...))
  if debug.gethook() == look then debug.sethook() end -- not that of Ctrl-C
  if self.problem then errors.rethrow(self.problem[1]) end
  return table.unpack(outcome, 1, outcome.n)
end

-- What rank 0 does itself.
local function compute(self, given)
  local task, handlers = given.task, self.handlers
  for _, pair in ipairs(given.drop) do handlers.drop_model(pair) end
  if given.is_new and self.models[task.pair] then handlers.import_model(task.pair, self.models[task.pair]) end
  table.insert(self.current[0], task)
  show(self)
  local started = core.clock()
  local good, result = serving(self, handlers.run, task,
    task_inputs.unpack(inputs_for(self, 0, task), self.inputs))
  local seconds = core.clock() - started
  if good then
    local model = task.kind == "model" and self.group.size > 1 and handlers.export_model(task.pair) or nil
    keep(self, 0, task, result, model, seconds)
  elseif task_failure.ends_all(result) then
    errors.rethrow(result)
  else
    fail(self, 0, task, task_failure.text(result), seconds)
  end
end

local function is_anybody_busy(self)
  for rank = 0, self.group.size - 1 do
    if #self.current[rank] > 0 then return true end
  end
  return false
end

local function wait(self)
  local rank, text = self.group:receive(SECONDS)
  if rank then handle(self, rank, text) end
  show(self)
end

local function run(self)
  while self.schedule.left > 0 and not self.stopping or is_anybody_busy(self) do
    serve(self)
    hand_out(self)
    local own = not self.stopping and self.schedule:take()
    if own then
      compute(self, own)
    elseif is_anybody_busy(self) then
      wait(self)
    else
      assert(self.schedule.left == 0 or self.stopping, "tasks that need each other")
    end
  end
end

local function statistics(self, started)
  local seconds, ranks, busy = core.clock() - started, {}, 0
  for rank = 0, self.group.size - 1 do
    ranks[rank + 1] = { tasks = self.tasks[rank], seconds = self.busy[rank] }
    busy = busy + self.busy[rank]
  end
  local computing = self.group.size - (self.schedule.root and 0 or 1)
  return { seconds = seconds, ranks = ranks, idle = seconds > 0 and math.max(0, 1 - busy / (seconds * computing)) or 0 }
end

--- Has tasks done by all ranks, and ends when they all are, or have failed. A task fails with what it needs, for the
-- same reason. Where `stop_at_failure` is set, the first failure ends the sweep as soon as what is being computed is
-- kept.
-- @tparam Group group of which this is rank 0; the others are in `worker.run`
-- @tab list tasks: `{ id =, kind =, pair =, needs =, size =, label = }`
-- @tab handlers those of `worker.run`, and of the owner of the store: `input_keys(task)` → what the task takes of it, a
--   list of `{ name =, kind =, key = }`, `get(kind, key)`, `keep(task, result)`, `fail(task, message)`, `show(text)`
--   (who does what)
-- @tab[opt] opts `root` (true: whether rank 0 computes, too), `stop_at_failure` (false), `ahead`, `models` (see
--   `schedule.new`)
-- @treturn table `seconds`; `ranks`, a list by rank + 1 of `{ tasks =, seconds = }`; `idle`, the share of time that
--   those who compute had nothing to compute
function dispatch.run(group, list, handlers, opts)
  opts = opts or {}
  local self = setmetatable({ group = group, handlers = handlers, stop_at_failure = opts.stop_at_failure, by_id = {},
    models = {}, current = {}, busy = {}, tasks = {}, sent = {}, inputs = {},
    schedule = schedule.new(list, { size = group.size, root = opts.root, ahead = opts.ahead, models = opts.models }) },
    Dispatcher)
  for _, task in ipairs(list) do self.by_id[task.id] = task end
  for rank = 0, group.size - 1 do
    self.current[rank], self.busy[rank], self.tasks[rank], self.sent[rank] = {}, 0, 0, {}
  end
  local started = core.clock()
  run(self)
  for rank = 1, group.size - 1 do
    group:send(rank, task_messages.pack { type = "end", problem = self.stopping })
  end
  if self.stopping then errors.raise("%s", self.stopping) end
  return statistics(self, started)
end

return dispatch
