--- Small programs in several processes, under the launcher of each MPI that is installed. A flavour is "openmpi" or
-- "mpich": `mpicc.openmpi` builds the module of the one into `BUILD/mpi/openmpi`, `mpirun.openmpi` starts its programs.
local child = require "support.child"
local files = require "secateur.util.files"
local needs = require "support.needs"

local mpirun = {}

--- Both, in the order in which specs try them.
mpirun.flavours = { "openmpi", "mpich" }

-- What launchers are told wherever specs run: as root, with more processes than cores, in a container that forbids
-- processes to read each other's memory, without a network. What the caller's own launcher has left is taken away.
local environment = {
  openmpi = "OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_rmaps_base_oversubscribe=1 "
    .. "OMPI_MCA_btl_vader_single_copy_mechanism=none OMPI_MCA_btl=self,vader OMPI_MCA_plm=isolated "
    .. "OMPI_MCA_hwloc_base_binding_policy=none",
  mpich = "HYDRA_LAUNCHER=fork",
  openmpi_hosts = "OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1",
  mpich_hosts = "",
}
local FORGET = "-u OMP_NUM_THREADS -u SLURM_CPUS_PER_TASK -u MAKEFLAGS -u MFLAGS -u MAKELEVEL"
local FENCE = 120 * needs.slowdown -- seconds: a group that hangs is ended

local function quoted(text) return "'" .. text:gsub("'", "'\\''") .. "'" end

-- The folder that native modules were built into.
local function build_folder()
  local path = assert(package.searchpath("secateur.cpu", package.cpath))
  return path:match "^(.*)/secateur/cpu%.so$"
end

local function try(command)
  local pipe = assert(io.popen("{ " .. command .. " ; } 2>&1"))
  local output = pipe:read "a"
  local good, _, status = pipe:close()
  return good or false, output, status
end

--- The folder that holds `secateur/mpi.so` of a flavour, as `make` builds it.
-- @string flavour
-- @treturn string
function mpirun.folder(flavour) return build_folder() .. "/mpi/" .. flavour end

--- The shell command for `ranks` processes of a script, under a flavour's launcher.
-- @string flavour
-- @int ranks
-- @string path of the script
-- @tab[opt] settings `env` (assignments for the shell), `args` (of the launcher), `module` (flavour whose module is
--   used, by default the same), `wrap` (what runs the interpreter: "%s" stands for it), `hosts` (a number: machines
--   that meet over a network, see spec/support/netns_hosts.sh)
-- @treturn string
function mpirun.command(flavour, ranks, path, settings)
  settings = settings or {}
  local cpath = mpirun.folder(settings.module or flavour) .. "/?.so;" .. package.cpath
  local program = ("%s %s"):format(quoted(child.interpreter()), quoted(path))
  local launcher = settings.hosts and ("spec/support/netns_hosts.sh %s %d %d"):format(flavour, settings.hosts, ranks)
    or ("mpirun.%s %s -n %d"):format(flavour, settings.args or "", ranks)
  return ("env %s %s LUA_PATH_5_4=%s LUA_CPATH_5_4=%s %s timeout --foreground -k 30 %d %s %s"):format(FORGET,
    environment[settings.hosts and flavour .. "_hosts" or flavour], quoted(package.path), quoted(cpath),
    settings.env or "", FENCE, launcher, (settings.wrap or "%s"):format(program))
end

--- Runs a script in several processes.
-- @string flavour
-- @int ranks
-- @string script Lua source
-- @tab[opt] settings see `command`
-- @treturn int exit status
-- @treturn string what all processes and the launcher wrote, to either stream
function mpirun.run(flavour, ranks, script, settings)
  local path = os.tmpname()
  assert(files.write_all(path, script))
  local _, output, status = try(mpirun.command(flavour, ranks, path, settings) .. " </dev/null")
  os.remove(path)
  output = output:gsub("%[[^\n]*plm:rsh: Warning: setpgid[^\n]*\n", "") -- Open MPI, when ssh starts fast
  return status, output
end

--- Starts a script in several processes, each of which writes a line "ready", and sends the launcher a signal when all
-- have.
-- @string flavour
-- @int ranks
-- @string script Lua source
-- @string signal "INT"
-- @tab[opt] settings see `command`
-- @treturn int exit status
-- @treturn string what was written afterwards
function mpirun.signal(flavour, ranks, script, signal, settings)
  local path = os.tmpname()
  assert(files.write_all(path, script))
  local pipe = assert(io.popen(("{ echo $$ ; exec %s </dev/null ; } 2>&1"):format(
    mpirun.command(flavour, ranks, path, settings))))
  local process, ready = pipe:read "l", 0
  local before = {}
  for line in pipe:lines() do
    before[#before + 1] = line
    ready = ready + (line:find "ready$" and 1 or 0)
    if ready == ranks then break end
  end
  if ready == ranks then os.execute(("kill -%s %s"):format(signal, process)) end
  local output = pipe:read "a"
  local _, _, status = pipe:close()
  os.remove(path)
  if ready ~= ranks then error("it did not start:\n" .. table.concat(before, "\n"), 2) end
  return status, output
end

--- Runs a script that has to succeed, and gives the lines that it wrote, sorted.
-- @string flavour
-- @int ranks
-- @string script Lua source
-- @tab[opt] settings see `command`
-- @treturn string lines, each with its end
function mpirun.lines(flavour, ranks, script, settings)
  local status, output = mpirun.run(flavour, ranks, script, settings)
  if status ~= 0 then
    error(("%d ranks under %s ended with status %s:\n%s"):format(ranks, flavour, status, output), 2)
  end
  local lines = {}
  for line in output:gmatch "([^\n]*)\n" do lines[#lines + 1] = line .. "\n" end
  table.sort(lines)
  return table.concat(lines)
end

-- Flavour -> true, or why it cannot be used.
local ready = {}

local function prepare(flavour)
  for _, program in ipairs { "mpicc.", "mpirun." } do
    if not try("command -v " .. program .. flavour) then return ("no %s%s here"):format(program, flavour) end
  end
  if not files.is_file "Makefile" then return "MPI modules are built in a checkout alone" end
  local folder = mpirun.folder(flavour)
  local built, output = try(("make --no-print-directory MPI=yes BUILD=%s MPICC=mpicc.%s %s/secateur/mpi.so"):format(
    quoted(folder), flavour, quoted(folder)))
  assert(built, output)
  local path = os.tmpname()
  local started, message = try(mpirun.command(flavour, 2, path, { wrap = "true" }))
  os.remove(path)
  return started or ("mpirun.%s starts nothing here: %s"):format(flavour, message:match "[^\n]+" or "no reason given")
end

--- A flavour's compiler and launcher, in a run without valgrind and sanitizers: MPI libraries have findings of their
-- own.
-- @func pending
-- @string flavour
function mpirun.need(pending, flavour)
  needs.native(pending, "MPI")
  if os.getenv "SANITIZE" then pending "MPI: not under a sanitizer" end
  ready[flavour] = ready[flavour] or prepare(flavour)
  if ready[flavour] ~= true then pending(ready[flavour]) end
end

local has_hosts

--- The right to make network namespaces, as root has it where no container takes it away.
-- @func pending
function mpirun.need_hosts(pending)
  if has_hosts == nil then has_hosts = (try "spec/support/netns_hosts.sh check") end
  if not has_hosts then pending "network namespaces cannot be made here: no machines to join" end
end

return mpirun
