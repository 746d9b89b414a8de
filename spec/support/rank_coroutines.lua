--- Ranks of a group as coroutines of one process: what verbs do over ranks can be seen without a library of MPI, and in
-- the same order every time.
local groups = require "secateur.mpi.group"

local rank_coroutines = {}

-- What secateur.mpi.group uses of secateur/mpi.so: messages between the coroutines.
local function native_of(rank, world)
  local native = {}

  function native.send(ranks, channel, text, label)
    for _, to in ipairs(ranks) do
      local box = world.boxes[to]
      box[#box + 1] = { from = rank, channel = channel, text = text, label = label }
    end
    return true
  end

  function native.receive(from, channel)
    while true do
      for i, message in ipairs(world.boxes[rank]) do
        if message.channel == channel and (from == -1 or message.from == from) then
          table.remove(world.boxes[rank], i)
          world.moved = true
          return message.from, message.text, message.label
        end
      end
      if world.failure then return nil, world.failure end
      coroutine.yield()
    end
  end

  function native.failure() return world.failure end

  function native.report_failure(message)
    world.failure = ("rank %d: %s"):format(rank, message)
  end

  return native
end

--- Calls f(group) on each of `size` ranks.
-- @int size
-- @func f
-- @treturn {table,...} by rank + 1: what f gave as `value`, or what it raised as `problem`
function rank_coroutines.run(size, f)
  local world, ranks, results = { boxes = {} }, {}, {}
  for rank = 0, size - 1 do world.boxes[rank] = {} end
  for rank = 0, size - 1 do
    local group = groups.new({ rank = rank, size = size, host = "here", local_size = size, threads = 1 },
      native_of(rank, world))
    ranks[rank + 1] = coroutine.create(function() return pcall(f, group) end)
  end
  local left, before = size, {}
  while left > 0 do
    world.moved = false
    for i, rank in ipairs(ranks) do
      if not results[i] then
        local alive, ok, value = coroutine.resume(rank)
        if coroutine.status(rank) == "dead" then
          if not alive then ok, value = alive, ok end
          results[i], left, world.moved = ok and { value = value } or { problem = value }, left - 1, true
        end
      end
    end
    -- Nothing moved in two rounds: every rank waits for what nobody sends.
    if not world.moved and before.moved == false then error("all ranks wait", 2) end
    before.moved = world.moved
  end
  return results
end

--- The same, and all must have given something.
-- @int size
-- @func f
-- @treturn {value,...} by rank + 1
function rank_coroutines.values(size, f)
  local values = {}
  for i, result in ipairs(rank_coroutines.run(size, f)) do
    if result.problem ~= nil then error(("rank %d: %s"):format(i - 1, tostring(result.problem)), 2) end
    values[i] = result.value
  end
  return values
end

return rank_coroutines
