--- Several ranks in one process: each is a coroutine, and a wait for a message lets the others go on. The methods are
-- those of the Group of `sc.mpi`.
local coroutine_group = {}

local Group = {}
Group.__index = Group
Group.__name = "Group"

-- The queue of messages from one rank to another.
local function queue(self, tag, from, to)
  local key = ("%s %d %d"):format(tag, from, to)
  self.world[key] = self.world[key] or { first = 1, last = 0 }
  return self.world[key]
end

local function put(self, tag, to, value)
  local list = queue(self, tag, self.rank, to)
  list.last = list.last + 1
  list[list.last] = value
  self.world.moves = self.world.moves + 1
end

local function take(self, tag, from)
  local list = queue(self, tag, from, self.rank)
  while list.first > list.last do
    if self.world.failed then error("rank " .. self.world.failed, 0) end
    coroutine.yield()
  end
  local value = list[list.first]
  list[list.first], list.first = nil, list.first + 1
  self.world.moves = self.world.moves + 1
  return value
end

function Group:send(rank, text) put(self, "text", rank, text) end
function Group:receive_from(rank) return take(self, "text", rank) end
function Group:send_tensor(rank, tensor) put(self, "tensor", rank, tensor:clone()) end
function Group:receive_tensor(rank, tensor) tensor:copy(take(self, "tensor", rank)) return tensor end

function Group:gather(text, root)
  if self.rank ~= root then put(self, "gather", root, text) return nil end
  local list = {}
  for rank = 0, self.size - 1 do list[rank + 1] = rank == root and text or take(self, "gather", rank) end
  return list
end

function Group:broadcast(text, root)
  if self.rank ~= root then return take(self, "broadcast", root) end
  for rank = 0, self.size - 1 do
    if rank ~= root then put(self, "broadcast", rank, text) end
  end
  return text
end

function Group:broadcast_tensor(tensor, root)
  local sent = self:broadcast(self.rank == root and tensor:clone() or nil, root)
  if self.rank ~= root then tensor:copy(sent) end
  return tensor
end

function Group:all_gather(text)
  return self:broadcast(self:gather(text, 0), 0)
end

function Group:barrier() self:all_gather "" end

local function step(world, ranks, results, rank)
  local thread = ranks[rank + 1]
  if coroutine.status(thread) == "dead" then return false end
  local outcome = table.pack(coroutine.resume(thread))
  if not outcome[1] then
    results[rank + 1] = { failed = outcome[2] }
    world.failed = world.failed or ("%d: %s"):format(rank, tostring(outcome[2]))
  elseif coroutine.status(thread) == "dead" then
    results[rank + 1] = { table.unpack(outcome, 2, outcome.n) }
  end
  return true
end

--- Calls a function on each rank.
-- @int size
-- @tparam function f function(group)
-- @treturn {table,...} what it returned on each rank, or `failed`, its message
-- @raise where all ranks wait for each other
function coroutine_group.run(size, f)
  local world, ranks, results = { moves = 0 }, {}, {}
  for rank = 0, size - 1 do
    local group = setmetatable({ rank = rank, size = size, host = "here", local_size = size, world = world }, Group)
    ranks[rank + 1] = coroutine.create(function() return f(group) end)
  end
  repeat
    local before, running = world.moves, false
    for rank = 0, size - 1 do running = step(world, ranks, results, rank) or running end
    local done = true
    for _, thread in ipairs(ranks) do done = done and coroutine.status(thread) == "dead" end
    if not done and world.moves == before and not world.failed then error("the ranks wait for each other", 2) end
  until done or not running
  return results
end

return coroutine_group
