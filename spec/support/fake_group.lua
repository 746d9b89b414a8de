--- Groups of processes that are coroutines of this one, for specs of what sends messages. Whoever waits lets another go
-- on, by a seed, so that many orders of events can be looked at; who waits when nobody can go on any more is an error.
local fake_group = {}

local Group = {}
Group.__index = Group

function Group:send(rank, text)
  assert(type(text) == "string")
  table.insert(self.world.boxes[rank], { self.rank, text })
end

local function take(self, from)
  for i, message in ipairs(self.world.boxes[self.rank]) do
    if not from or message[1] == from then
      table.remove(self.world.boxes[self.rank], i)
      return message[1], message[2]
    end
  end
end

--- As the real one; time is over when others had a chance.
function Group:receive(seconds)
  if seconds ~= 0 and #self.world.boxes[self.rank] == 0 then coroutine.yield "waits" end
  return take(self)
end

function Group:receive_from(rank)
  while true do
    local from, text = take(self, rank)
    if from then return text end
    coroutine.yield "waits"
  end
end

--- Lets others go on, as computing does.
function Group.pause() coroutine.yield "busy" end

--- Runs a function on every rank.
-- @int size
-- @int seed of the order in which ranks go on
-- @func body of a group
-- @treturn list of what it gave, by rank + 1: `{ true, ... }` or `{ false, problem }`
function fake_group.run(size, seed, body)
  local world, threads, results, state = { boxes = {} }, {}, {}, seed
  local function draw(n)
    state = (state * 1103515245 + 12345) % 2147483648
    return state // 65536 % n + 1
  end
  for rank = 0, size - 1 do
    world.boxes[rank] = {}
    local group = setmetatable({ rank = rank, size = size, world = world }, Group)
    threads[rank + 1] = { rank = rank, thread = coroutine.create(function() return pcall(body, group) end) }
  end
  local idle = 0
  while #threads > 0 do
    local at = draw(#threads)
    local each = threads[at]
    local before = #world.boxes[each.rank]
    local ok, what, value = coroutine.resume(each.thread)
    assert(ok, what)
    if coroutine.status(each.thread) == "dead" then
      results[each.rank + 1] = { what, value }
      table.remove(threads, at)
      idle = 0
    else
      idle = what == "waits" and before == 0 and idle + 1 or 0
      if idle > 1000 * size then error "everybody waits" end
    end
  end
  return results
end

return fake_group
