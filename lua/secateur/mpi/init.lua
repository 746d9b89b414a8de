--- Many processes, on one machine or several, that run the same script together: `mpirun -n 16 lua5.4 script.lua`.
-- Nothing here loads an MPI library unless a launcher of MPI started the process, or `available` asks for it. Ranks,
-- the numbers of the processes, count from 0 as everywhere in MPI.
-- @module secateur.mpi
local at_failure = require "secateur.util.at_failure"
local class_methods = require "secateur.util.methods"
local core = require "secateur.core"
local environment = require "secateur.mpi.environment"
local errors = require "secateur.util.errors"
local groups = require "secateur.mpi.group"
local library = require "secateur.mpi.library"
local options = require "secateur.util.options"

local mpi = {}

local the_group -- of this process: MPI has one world

--- Whether a launcher of MPI (mpirun, mpiexec, srun with PMI) started this process. Looks at the environment alone.
-- @treturn boolean
-- @usage
-- if sc.mpi.launched() then print "one of many" end
function mpi.launched() return environment.is_launched() end

--- Whether there is MPI on this machine: `secateur/mpi.so`, which is built where mpicc is found, and its library. Loads
-- them, and starts nothing.
-- @treturn[1] boolean true
-- @treturn[1] string the version of the MPI library
-- @treturn[2] boolean false
-- @treturn[2] string why not
-- @usage
-- print(sc.mpi.available())
function mpi.available()
  local native, message = library.load()
  if not native then return false, message end
  return true, native.library()
end

local function alone()
  local pipe = io.open "/proc/sys/kernel/hostname"
  local host = pipe and pipe:read "l" or "localhost"
  if pipe then pipe:close() end
  local wanted = environment.is_launched() and environment.wanted_threads() or nil
  if wanted and wanted < core.threads() then core.threads(wanted) end
  return groups.new { rank = 0, size = 1, host = host, local_size = 1, threads = core.threads() }
end

-- The threads of this process: as the user or Slurm says, no more than there are cores; else its share of the cores
-- that the launcher gave it.
local function choose_threads(place)
  local wanted, name = environment.wanted_threads()
  if name == "OMP_NUM_THREADS" then return core.threads() end
  if wanted then return math.min(wanted, math.max(place.core_count, 1)) end
  return math.max(math.floor(place.cores + 1e-6), 1)
end

local function join()
  local size = environment.declared_size()
  local native, message = library.load()
  if not native then
    if size == 1 then return alone() end
    errors.refuse("group", "%s started this process as one of %s, but %s", environment.launcher(), size or "several",
      message)
  end
  local place, problem = native.start(environment.mark())
  if not place then errors.refuse("group", "MPI cannot be started: %s", problem) end
  if size and place.size ~= size then
    errors.refuse("group", "%s started %d processes, but secateur/mpi.so, which was built with %s, sees %d: use "
      .. "the launcher of the MPI that it was built with, or build it with the other ('make MPICC=mpicc.mpich')",
      environment.launcher(), size, native.library(), place.size)
  end
  place.threads = core.threads(choose_threads(place))
  place.library = native.library()
  local group = groups.new(place, native)
  at_failure.listen(function(text) return groups.is_told(group, text) end)
  return group
end

--- The group of all processes that the launcher started: `rank`, `size`, `host`, and messages between them. Without a
-- launcher it is a group of one, so that the same script runs everywhere. All processes call it, and the first of them
-- wait for the last: one that ends before keeps the others waiting, unless `sc.main` runs the script. Sets the threads
-- of this process to its share of the cores that it was given, unless OMP_NUM_THREADS or SLURM_CPUS_PER_TASK says how
-- many; `sc.threads` changes it. Called again, it gives the same group.
-- @treturn Group
-- @raise where a launcher started several processes and there is no MPI here, or another one
-- @usage
-- local group = sc.mpi.group()
-- print(("rank %d of %d"):format(group.rank, group.size))
function mpi.group()
  the_group = the_group or (environment.needs_mpi() and join or alone)()
  return the_group
end

-- Tells the others when what it guards is left by an error, which goes on as it is, stack and all.
local Watch = { __close = function(self, problem)
  if problem ~= nil then groups.report_failure(self.group, problem) end
end }

--- Calls a function that waits for other ranks, and that all of them call. Where it raises an error on one, the others
-- get it as `rank 3: ...` in their waits, in place of waiting for ever. The group is of no more use then.
-- @tparam Group group
-- @func f
-- @param ... its arguments
-- @return what it gives
-- @usage
-- sc.mpi.together(group, function()
--   local seen = group:all_gather(read_my_part())
-- end)
function mpi.together(group, f, ...)
  if not groups.is(group) then
    errors.refuse("together", "group: expected a group, as sc.mpi.group() gives it, got %s", options.describe(group))
  end
  options.value("together", "f", f, { type = "function", required = true })
  if group.size == 1 then return f(...) end
  if group.sharing then -- the others are elsewhere, and nothing of theirs is to end by this mistake
    errors.raise("group: expected no group in a task of %s, which one process does for all", group.sharing)
  end
  local watch <close> = setmetatable({ group = group }, Watch) -- luacheck: ignore
  return f(...)
end

return class_methods.suggest("mpi", mpi)
