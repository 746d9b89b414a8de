--- What a process holds of the system: descriptors and threads, as /proc tells them.
local lfs = require "lfs"

local held = {}

local LOOKS = 300 -- a thread that was joined may be listed for a moment longer

local function entries(folder)
  local count = 0
  for name in lfs.dir(folder) do
    if name:find "^%d" then count = count + 1 end
  end
  return count
end

--- How many descriptors are open, that of the look itself included.
-- @treturn int
function held.descriptors() return entries "/proc/self/fd" end

--- How many threads there are; those that are on their way out are waited for as long as that may make sense.
-- @int[opt] expected
-- @treturn int
function held.threads(expected)
  local count = entries "/proc/self/task"
  for _ = 1, expected and LOOKS or 0 do
    if count == expected then break end
    os.execute() -- a process begins and ends meanwhile
    count = entries "/proc/self/task"
  end
  return count
end

--- Calls a function with the collector stopped, and raises unless all that it opened and started was given back by the
-- time it came back or raised.
-- @func f
-- @treturn boolean whether it came back
-- @return what it gave or raised
function held.check(f)
  collectgarbage()
  collectgarbage()
  local descriptors, threads = held.descriptors(), held.threads()
  collectgarbage "stop"
  local ok, result = pcall(f)
  local open, running = held.descriptors(), held.threads(threads)
  collectgarbage "restart"
  if open ~= descriptors or running ~= threads then
    error(("%d descriptors and %d threads before, %d and %d after"):format(descriptors, threads, open, running), 2)
  end
  return ok, result
end

return held
