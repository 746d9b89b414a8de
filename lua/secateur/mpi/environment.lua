--- What launchers of MPI leave in the environment of the processes that they start.
-- @module secateur.mpi.environment
local environment = {}

local function number(name) return math.tointeger(tonumber(os.getenv(name))) end

--- Whether an MPI launcher started this process: Open MPI's, one that speaks PMI (MPICH's, Intel's, Slurm's srun with
-- PMI-2) or PMIx. What Slurm sets for every process, in a batch script too, does not tell.
-- @treturn boolean
function environment.is_launched()
  for _, name in ipairs { "OMPI_COMM_WORLD_SIZE", "PMI_RANK", "PMI_SIZE", "PMIX_RANK" } do
    if os.getenv(name) then return true end
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
    local count = number(name)
    if count and count >= 1 then return count, name end
  end
end

return environment
