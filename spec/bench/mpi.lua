--- Messages between two processes: how long a small one takes there and back, and how many bytes go through in a
-- second. For each MPI that is installed, with the processes bound to no core; FLAVOUR=mpich takes one, RANKS=4 has
-- others wait beside the two, on whatever cores there are.
local files = require "secateur.util.files"
local mpirun = require "support.mpirun"

local SCRIPT = [[
local core = require "secateur.core"
local sc = require "secateur"
local group = sc.mpi.group()
local rank = group.rank
local function timed(count, f)
  local times = {}
  for i = 1, count do
    local start = core.clock()
    f()
    times[i] = core.clock() - start
  end
  table.sort(times)
  return times[(count + 1) // 2]
end
local function report(what, ...) if rank == 0 then io.stdout:write("  ", what:format(...), "\n") end end

for _, size in ipairs { 8, 4096, 100000, 1000000 } do
  local text = ("x"):rep(size)
  local seconds = 0
  if rank == 0 then
    seconds = timed(size > 10000 and 100 or 2000, function()
      group:send(1, text)
      group:receive_from(1)
    end)
    group:send(1, "end")
  elseif rank == 1 then
    repeat
      local got = group:receive_from(0)
      if got ~= "end" then group:send(0, got) end
    until got == "end"
  end
  report("a text of %7d bytes, there and back: %8.1f us", size, seconds * 1e6)
  group:barrier()
end
local tensor = sc.zeros(25000000)
if rank < 2 then
  local seconds = timed(5, function()
    if rank == 0 then
      group:send_tensor(1, tensor)
      group:receive_tensor(1, tensor)
    else
      group:receive_tensor(0, tensor)
      group:send_tensor(0, tensor)
    end
  end)
  report("a tensor of 100 MB, there and back: %.3f s, %.2f GB/s", seconds, 0.2 / seconds)
end
group:barrier()
report("a tensor of 100 MB to all %d: %.3f s", group.size, timed(5, function() group:broadcast_tensor(tensor) end))
report("a barrier of %d: %.1f us", group.size, timed(500, function() group:barrier() end) * 1e6)
if rank == 0 then
  local count, start = 20000, core.clock()
  for i = 1, count do group:send(1, tostring(i)) end
  group:receive_from(1)
  report("%d small texts in a row: %.2f us each", count, (core.clock() - start) / count * 1e6)
elseif rank == 1 then
  for _ = 1, 20000 do group:receive_from(0) end
  group:send(0, "")
end
]]

-- As on a machine of one's own: processes read each other's memory where they may.
local NATIVE = { env = "OMPI_MCA_btl_vader_single_copy_mechanism=cma" }

local function cannot(message) error(message, 0) end

for _, flavour in ipairs { os.getenv "FLAVOUR" or "openmpi", not os.getenv "FLAVOUR" and "mpich" or nil } do
  local good, message = pcall(mpirun.need, cannot, flavour)
  local path = os.tmpname()
  assert(files.write_all(path, SCRIPT))
  local ranks = tonumber(os.getenv "RANKS" or 2)
  print(("%s, %d processes"):format(flavour, ranks))
  if good then os.execute(mpirun.command(flavour, ranks, path, NATIVE)) else print("  " .. message) end
  os.remove(path)
end
