--- A computed model of a sweep over several processes: the policy of `experiments/schedule` on a clock that is only
-- counted, with tasks of known length. A simulation of discrete events.
--
-- What is modelled: who computes what and when; rank 0 keeping results one after another (`per_task` seconds each);
-- models on their way, one after another, through the network of rank 0. What is not: ranks that disturb each other or
-- fail.
-- @module secateur.experiments.cluster_model
local schedule = require "secateur.experiments.schedule"

local cluster_model = {}

-- ---- events in order of time, a binary heap ----

local function before(a, b)
  if a.time ~= b.time then return a.time < b.time end
  return a.number < b.number
end

local function push(heap, event)
  local i = #heap + 1
  heap[i] = event
  while i > 1 and before(heap[i], heap[i // 2]) do
    heap[i], heap[i // 2] = heap[i // 2], heap[i]
    i = i // 2
  end
end

local function pop(heap)
  local first, last = heap[1], table.remove(heap)
  if #heap == 0 then return first end
  heap[1] = last
  local i = 1
  while true do
    local least = i
    for child = 2 * i, math.min(2 * i + 1, #heap) do
      if before(heap[child], heap[least]) then least = child end
    end
    if least == i then return first end
    heap[i], heap[least] = heap[least], heap[i]
    i = least
  end
end

-- ---- what happens ----

local function happen(self, time, kind, rank, task)
  self.number = self.number + 1
  push(self.events, { time = time, number = self.number, kind = kind, rank = rank, task = task })
end

local function begin(self, time, rank)
  local task = table.remove(self.queues[rank], 1)
  self.running[rank] = task
  if not task then return end
  self.busy[rank] = self.busy[rank] + task.seconds
  happen(self, time + task.seconds, "ends", rank, task)
end

-- When the model of a pair is there, where it has to be sent: of those that a task makes, the file.
local function arrival(self, time, given)
  local bytes = given.is_new and given.rank ~= self.made_by[given.task.pair] and self.made_by[given.task.pair]
    and self.opts.model_bytes[given.task.pair] or 0
  if bytes == 0 then return time end
  self.models_sent, self.model_bytes = self.models_sent + 1, self.model_bytes + bytes
  self.link = math.max(self.link, time) + bytes / self.opts.bandwidth
  return self.link
end

local function give(self, time, given)
  happen(self, arrival(self, time, given), "arrives", given.rank, given.task)
end

local function hand_out(self, time)
  for _, given in ipairs(self.schedule:hand_out()) do give(self, time, given) end
  if self.schedule:load_of(0) > 0 then return end
  local own = self.schedule:take()
  if own then give(self, time, own) end
end

local handlers = {}

function handlers.arrives(self, event)
  table.insert(self.queues[event.rank], event.task)
  if not self.running[event.rank] then begin(self, event.time, event.rank) end
end

-- Its rank goes on with what it has; rank 0 keeps results in the order in which they come.
function handlers.ends(self, event)
  begin(self, event.time, event.rank)
  self.owner = math.max(self.owner, event.time) + self.opts.per_task
  happen(self, self.owner, "kept", event.rank, event.task)
end

function handlers.kept(self, event)
  local task, second = event.task, event.time // 1
  if task.kind == "model" then self.made_by[task.pair] = event.rank end
  self.writes, self.bytes = self.writes + 1, self.bytes + (task.bytes or 0)
  self.writes_in[second] = (self.writes_in[second] or 0) + 1
  self.schedule:done(task.id)
  hand_out(self, event.time)
end

--- Simulates.
-- @tab tasks as `schedule.new` takes them, with `seconds` (how long each takes one rank), `kind`, `bytes` (of its
--   result)
-- @tab opts `size` (number of ranks), `root` (true), `ahead`, `models` (see `schedule.new`), `per_task` (0: seconds of
--   rank 0 for each), `bandwidth` (bytes a second; no limit by default), `model_bytes` (pair -> bytes of the file)
-- @treturn table `seconds`, until all is kept; `idle`, the share of time that who computes has nothing to compute;
--   `writes`, `writes_per_second`, `busiest_second` (most writes in one), `bytes`, `models_sent`, `model_bytes`;
--   `owner`, the share of time that rank 0 keeps results
function cluster_model.simulate(tasks, opts)
  local settings = { per_task = opts.per_task or 0, bandwidth = opts.bandwidth or math.huge,
    model_bytes = opts.model_bytes or {} }
  local self = { opts = settings, events = {}, number = 0, queues = {}, running = {}, busy = {}, made_by = {},
    owner = 0, link = 0, writes = 0, bytes = 0, writes_in = {}, models_sent = 0, model_bytes = 0,
    schedule = schedule.new(tasks, opts) }
  for rank = 0, opts.size - 1 do self.queues[rank], self.busy[rank] = {}, 0 end
  hand_out(self, 0)
  local time = 0
  while #self.events > 0 do
    local event = pop(self.events)
    time = event.time
    handlers[event.kind](self, event)
  end
  assert(self.schedule.left == 0, "tasks that need each other")
  local busy, busiest, computing = 0, 0, opts.size - (self.schedule.root and 0 or 1)
  for rank = 0, opts.size - 1 do busy = busy + self.busy[rank] end
  for _, count in pairs(self.writes_in) do busiest = math.max(busiest, count) end
  local whole = time > 0 and time or 1
  return { seconds = time, idle = time > 0 and math.max(0, 1 - busy / (time * computing)) or 0, writes = self.writes,
    writes_per_second = self.writes / whole, busiest_second = busiest, bytes = self.bytes,
    models_sent = self.models_sent, model_bytes = self.model_bytes, owner = self.writes * settings.per_task / whole }
end

return cluster_model
