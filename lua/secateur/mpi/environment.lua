--- What launchers of MPI leave in the environment of the processes that they start.
-- @module secateur.mpi.environment
local environment = {}

local function number(name) return math.tointeger(tonumber(os.getenv(name))) end

local launchers = { "OMPI_COMM_WORLD_SIZE", "PMI_RANK", "PMI_SIZE", "PMIX_RANK" }

-- What tells one launch from another, where ranks start launchers of their own.
local launches = { "PMIX_NAMESPACE", "PMI_FD", "PMI_PORT" }

local function process_number()
  local file <close> = io.open "/proc/self/stat"
  return file and file:read "n"
end

-- The launch that this process belongs to, as a text.
local function launch()
  local values = {}
  for _, names in ipairs { launchers, launches } do
    for _, name in ipairs(names) do values[#values + 1] = os.getenv(name) or "-" end
  end
  return table.concat(values, " ")
end

--- What csrc/lua/mpi.c puts into the environment, as SECATEUR_MPI_PROCESS, when this process has joined the others: so
-- its children, which inherit what the launcher left there, know that they are none of them.
-- @treturn string
function environment.mark()
  return ("%s %s"):format(process_number() or "-", launch())
end

local function is_child_of_rank()
  local process, where = (os.getenv "SECATEUR_MPI_PROCESS" or ""):match "^(%d+) (.*)$"
  return process ~= nil and where == launch() and math.tointeger(process) ~= process_number()
end

--- Whether an MPI launcher started this process: Open MPI's, one that speaks PMI (MPICH's, Intel's, Slurm's srun with
-- PMI-2) or PMIx. What Slurm sets for every process, in a batch script too, does not tell; and a process that a rank
-- started is not launched.
-- @treturn boolean
function environment.is_launched()
  for _, name in ipairs(launchers) do
    if os.getenv(name) then return not is_child_of_rank() end
  end
  return false
end

--- How many processes the launcher says that it started; nil where it does not say.
-- @treturn ?int
function environment.declared_size()
  local size = number "OMPI_COMM_WORLD_SIZE" or number "PMI_SIZE"
  if size or not environment.is_launched() then return size end
  return number "SLURM_STEP_NUM_TASKS" or number "SLURM_NTASKS"
end

--- Whether this process has to join others by MPI: a launcher started it, and not srun as the only one. Slurm's srun
-- speaks PMI to every process, also where the MPI library here does not, and would end the process for that.
-- @treturn boolean
function environment.needs_mpi()
  local is_slurm = os.getenv "SLURM_PROCID" and not os.getenv "OMPI_COMM_WORLD_SIZE"
  return environment.is_launched() and not (is_slurm and environment.declared_size() == 1)
end

--- The name of the launcher's kind, for messages.
-- @treturn string
function environment.launcher()
  if os.getenv "OMPI_COMM_WORLD_SIZE" then return "Open MPI's launcher" end
  if os.getenv "PMI_RANK" or os.getenv "PMI_SIZE" then return "a launcher of MPICH's kind (PMI)" end
  return "a launcher that speaks PMIx"
end

--- How many threads the user or Slurm wants of each process, and where it says so; nil where nobody does.
-- @treturn ?int
-- @treturn ?string
function environment.wanted_threads()
  for _, name in ipairs { "OMP_NUM_THREADS", "SLURM_CPUS_PER_TASK" } do
    local count = math.tointeger(tonumber((os.getenv(name) or ""):match "^%s*(%d+)")) -- "4,2": of nested loops
    if count and count >= 1 then return count, name end
  end
end

return environment
