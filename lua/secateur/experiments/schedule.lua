--- Which task next, and for whom: the policy of a sweep over several processes, without any of them. The dispatcher
-- follows it, and so does the model of a cluster (`experiments/cluster_model.lua`).
--
-- List scheduling by level (T. C. Hu, "Parallel sequencing and assembly line problems", 1961; R. L. Graham, "Bounds on
-- multiprocessing timing anomalies", 1969): the level of a task is the longest chain of work that begins with it, its
-- own included, and of the tasks whose needs are met the one of highest level goes first, to whoever is free. So what
-- much else waits for is begun early, and the short ones are left to fill the end. Among tasks of nearly the highest
-- level (at least half of it) one of a model that the rank holds already is preferred, and else one of a model that few
-- hold, so that models travel seldom.
--
-- Rank 0, which hands out, computes as well unless told not to. It takes from the other end, the shortest of those
-- whose needs are met, and only when nobody else can be given anything: it is to be back soon. While there is plenty,
-- each of the others gets tasks ahead of what it computes, so that it does not wait for an answer: such as nothing else
-- waits for, and none while it makes a model, which may take hours.
-- @module secateur.experiments.schedule
local methods = require "secateur.util.methods"

local schedule = {}

--- What is left to do, and who does what.
-- @type Schedule
-- @field left how many tasks are neither done nor failed
-- @field ready how many could be handed out now
local Schedule = { __name = "Schedule" }
Schedule.__index = Schedule

-- The longest chain of work from the start of a task to the end of all that waits for it.
local function level_of(entry)
  if not entry.level then
    local longest = 0
    for _, other in ipairs(entry.dependents) do longest = math.max(longest, level_of(other)) end
    entry.level = entry.task.size + longest
  end
  return entry.level
end

-- Whether one comes after another in a list whose last entry is the one to begin with.
local function is_after(one, other)
  if one.level ~= other.level then return one.level > other.level end
  return one.place < other.place
end

local function insert(list, entry)
  local low, high = 1, #list + 1
  while low < high do
    local middle = (low + high) // 2
    if is_after(entry, list[middle]) then low = middle + 1 else high = middle end
  end
  table.insert(list, low, entry)
end

local function make_ready(self, entry)
  local pair = entry.task.pair or 0
  self.waiting[pair] = self.waiting[pair] or {}
  insert(self.waiting[pair], entry)
  self.ready = self.ready + 1
end

-- Entries of all tasks, each knowing who waits for it.
local function link(tasks)
  local entries = {}
  for place, task in ipairs(tasks) do
    assert(not entries[task.id], "a task twice")
    entries[task.id] = { task = task, place = place, dependents = {}, needs = 0 }
  end
  for _, task in ipairs(tasks) do
    local entry = entries[task.id]
    for _, id in ipairs(task.needs or {}) do
      table.insert(assert(entries[id], "a need that is no task").dependents, entry)
      entry.needs = entry.needs + 1
    end
  end
  return entries
end

--- A schedule of tasks.
-- @tab tasks list of `{ id =, needs = list of ids, size = work in any unit, pair = which model }`
-- @tab opts `size` (how many ranks there are), `root` (true: whether rank 0 computes; it does where it is alone),
--   `ahead` (1: how many tasks a rank gets ahead of the one that it computes), `models` (2: how many a rank keeps)
-- @treturn Schedule
function schedule.new(tasks, opts)
  local self = setmetatable({ entries = link(tasks), waiting = {}, load = {}, making = {}, held = {}, holders = {},
    of_pair = {}, ready = 0, left = #tasks, size = opts.size, root = opts.root ~= false or opts.size == 1,
    ahead = opts.ahead or 1, models = opts.models or 2 }, Schedule)
  for rank = 0, opts.size - 1 do self.load[rank], self.making[rank], self.held[rank] = 0, 0, {} end
  for _, task in ipairs(tasks) do
    local entry, pair = self.entries[task.id], task.pair or 0
    level_of(entry)
    self.of_pair[pair] = (self.of_pair[pair] or 0) + 1
    if entry.needs == 0 then make_ready(self, entry) end
  end
  return self
end

local function position(list, value)
  for i, other in ipairs(list) do
    if other == value then return i end
  end
end

-- The pair whose best task a rank is to be given; nil where there is none.
local function choose_pair(self, rank)
  local top
  for _, list in pairs(self.waiting) do
    local best = list[#list]
    if best and (not top or is_after(best, top)) then top = best end
  end
  if not top then return nil end
  local chosen, chosen_entry, chosen_holders
  for pair, list in pairs(self.waiting) do
    local best = list[#list]
    if best and best.level >= top.level / 2 then
      local holders = position(self.held[rank], pair) and -1 or self.holders[pair] or 0
      if not chosen or holders < chosen_holders or holders == chosen_holders and is_after(best, chosen_entry) then
        chosen, chosen_entry, chosen_holders = pair, best, holders
      end
    end
  end
  return chosen
end

-- The pair that has the shortest of all tasks.
local function choose_shortest(self)
  local chosen, shortest
  for pair, list in pairs(self.waiting) do
    if list[1] and (not shortest or is_after(shortest, list[1])) then chosen, shortest = pair, list[1] end
  end
  return chosen
end

-- Notes that a rank has a pair's model from now on: whether it had not, and which it has to let go of.
local function hold(self, rank, pair)
  local held, dropped = self.held[rank], {}
  local at = position(held, pair)
  if at then
    table.remove(held, at)
  else
    self.holders[pair] = (self.holders[pair] or 0) + 1
  end
  table.insert(held, pair)
  while #held > self.models do
    local gone = table.remove(held, 1)
    self.holders[gone] = self.holders[gone] - 1
    dropped[#dropped + 1] = gone
  end
  return not at, dropped
end

local function give(self, rank, pair, at)
  local entry = table.remove(self.waiting[pair], at)
  local is_new, dropped = hold(self, rank, pair)
  entry.rank = rank
  self.load[rank], self.ready = self.load[rank] + 1, self.ready - 1
  if entry.task.kind == "model" then self.making[rank] = self.making[rank] + 1 end
  return { rank = rank, task = entry.task, is_new = is_new, drop = dropped }
end

-- Gives every rank but 0 that has nothing a task, as far as they reach.
local function give_idle(self, given)
  for rank = 1, self.size - 1 do
    if self.load[rank] == 0 then
      local pair = choose_pair(self, rank)
      if not pair then return end
      given[#given + 1] = give(self, rank, pair)
    end
  end
end

-- Gives every rank but 0 that has exactly `load` tasks one more, while there are as many as ranks.
local function give_ahead(self, load, given)
  for rank = 1, self.size - 1 do
    if self.ready < self.size then return end
    if self.load[rank] == load and self.making[rank] == 0 then
      local pair = choose_pair(self, rank)
      local list = self.waiting[pair]
      if #list[#list].dependents > 0 or list[#list].task.kind == "model" then return end
      given[#given + 1] = give(self, rank, pair)
    end
  end
end

--- Hands out what can be handed out now: to ranks that have nothing first, and ahead only while there is enough for
-- all.
-- @treturn list of `{ rank =, task =, is_new = (whether the rank does not hold the model yet), drop = (the models that
--   it is to let go of, list of pairs) }`
function Schedule:hand_out()
  local given = {}
  give_idle(self, given)
  for load = 1, self.ahead do give_ahead(self, load, given) end
  return given
end

--- A task for rank 0 itself; nil where it has none to take. To be asked after `hand_out`.
-- @treturn ?tab as an entry of what `hand_out` gives
function Schedule:take()
  if not self.root then return nil end
  local pair = choose_shortest(self)
  return pair and give(self, 0, pair, 1)
end

local function leave(self, entry)
  local pair = entry.task.pair or 0
  entry.finished = true
  self.left, self.of_pair[pair] = self.left - 1, self.of_pair[pair] - 1
  if not entry.rank then return end
  self.load[entry.rank] = self.load[entry.rank] - 1
  if entry.task.kind == "model" then self.making[entry.rank] = self.making[entry.rank] - 1 end
end

--- Notes that a task is done: what waited for it alone can be handed out.
-- @string id
-- @treturn int the rank that did it
function Schedule:done(id)
  local entry = self.entries[id]
  leave(self, entry)
  for _, other in ipairs(entry.dependents) do
    other.needs = other.needs - 1
    if other.needs == 0 and not other.finished then make_ready(self, other) end
  end
  return entry.rank
end

--- Notes that a task failed, and with it all that needs it.
-- @string id
-- @treturn list of the tasks that can never be done now, in order, itself first
function Schedule:fail(id)
  local gone = {}
  local function visit(entry)
    if entry.finished then return end
    leave(self, entry)
    gone[#gone + 1] = entry
    for _, other in ipairs(entry.dependents) do visit(other) end
  end
  visit(self.entries[id])
  local first = table.remove(gone, 1)
  table.sort(gone, function(a, b) return a.place < b.place end)
  local tasks = { first.task }
  for i, entry in ipairs(gone) do tasks[i + 1] = entry.task end
  return tasks
end

--- How many tasks of a model are neither done nor failed.
-- @int pair
-- @treturn int
function Schedule:left_of(pair)
  return self.of_pair[pair or 0] or 0
end

--- How many tasks a rank has been given and not finished.
-- @int rank
-- @treturn int
function Schedule:load_of(rank)
  return self.load[rank]
end

methods.guard(Schedule)

return schedule
