--- Several ranks in one process: each is a coroutine, and a wait for a message lets the others go on. The groups are
-- those of `sc.mpi`, over messages that only seem to travel.
local groups = require "secateur.mpi.group"

local coroutine_group = {}

-- The messages from one rank to another in a channel.
local function queue(world, channel, from, to)
  local key = ("%d %d %d"):format(channel, from, to)
  world[key] = world[key] or { first = 1, last = 0 }
  return world[key]
end

local function put(world, channel, from, to, ...)
  local list = queue(world, channel, from, to)
  list.last = list.last + 1
  list[list.last] = { ... }
  world.moves = world.moves + 1
end

-- Waits; nil and why where a rank has failed.
local function take(world, channel, from, to)
  local list = queue(world, channel, from, to)
  while list.first > list.last do
    local failed = world.failed
    if failed then return nil, ("rank %d: %s"):format(failed.rank, failed.text) end
    coroutine.yield()
  end
  local value = list[list.first]
  list[list.first], list.first = nil, list.first + 1
  world.moves = world.moves + 1
  return value
end

-- What csrc/lua/mpi.c is to one rank.
local function native_of(world, me)
  local native = {}

  function native.send(to, channel, text, label)
    for _, rank in ipairs(to) do put(world, channel, me, rank, text, label) end
    return true
  end

  function native.receive(from, channel)
    local message, problem = take(world, channel, from, me)
    if not message then return nil, problem end
    return from, message[1], message[2]
  end

  function native.send_tensor(to, channel, tensor)
    for _, rank in ipairs(to) do put(world, channel, me, rank, tensor:clone()) end
    return true
  end

  function native.receive_tensor(from, channel, tensor)
    local message, problem = take(world, channel, from, me)
    if not message then return nil, problem end
    local sent = message[1]
    tensor:copy(sent:reshape(tensor:shape()))
    return true
  end

  function native.failure() return world.failed and world.failed.rank end

  function native.report_failure(text) world.failed = world.failed or { rank = me, text = text } end

  return native
end

local function finish(world, results, rank, outcome)
  if outcome[1] then
    results[rank + 1] = table.pack(table.unpack(outcome, 2, outcome.n))
  else
    local text = tostring(outcome[2])
    results[rank + 1] = { problem = text }
    world.failed = world.failed or { rank = rank, text = text }
  end
end

-- Gives each rank a turn; whether any is left.
local function go_round(world, ranks, results)
  local left = false
  for rank = 0, #ranks - 1 do
    local thread = ranks[rank + 1]
    if coroutine.status(thread) ~= "dead" then
      local outcome = table.pack(coroutine.resume(thread))
      if coroutine.status(thread) == "dead" then
        finish(world, results, rank, outcome)
        world.moves = world.moves + 1
      else
        left = true
      end
    end
  end
  return left
end

--- Calls a function on each rank.
-- @int size
-- @tparam function f function(group)
-- @treturn {table,...} by rank + 1: what it returned, or `problem`, its message
-- @raise where all ranks wait for each other
function coroutine_group.run(size, f)
  local world, ranks, results = { moves = 0 }, {}, {}
  for rank = 0, size - 1 do
    local group = groups.new({ rank = rank, size = size, host = "here", local_size = size, threads = 1 },
      native_of(world, rank))
    ranks[rank + 1] = coroutine.create(function() return f(group) end)
  end
  local before
  repeat
    if before == world.moves then error("the ranks wait for each other", 2) end
    before = world.moves
  until not go_round(world, ranks, results)
  return results
end

--- The same, and all must have given something.
-- @int size
-- @tparam function f
-- @treturn {value,...} by rank + 1
function coroutine_group.values(size, f)
  local values = {}
  for i, outcome in ipairs(coroutine_group.run(size, f)) do
    if outcome.problem then error(("rank %d: %s"):format(i - 1, outcome.problem), 2) end
    values[i] = outcome[1]
  end
  return values
end

return coroutine_group
