--- Loads `secateur/mpi.so`, which brings an MPI library with it. It is a file beside the core, found by the search path
-- of C modules, and not required by name: `secateur.mpi` is this room.
-- @module secateur.mpi.library
local library = {}

local loaded

local function load()
  local path = package.searchpath("secateur.mpi", package.cpath)
  if not path then
    return nil, "secateur/mpi.so was not built: install an MPI (libopenmpi-dev and openmpi-bin on Debian), then 'make'"
  end
  -- Open MPI loads parts of itself later, which look for the names of its library.
  local good, message = package.loadlib(path, "*")
  if not good then return nil, ("%s cannot be loaded: %s"):format(path, message) end
  local open, problem = package.loadlib(path, "luaopen_secateur_mpi")
  if not open then return nil, ("%s cannot be loaded: %s"):format(path, problem) end
  return open()
end

--- The native module, or why it is not there.
-- @treturn[1] table
-- @treturn[2] nil
-- @treturn[2] string
function library.load()
  local message
  if not loaded then
    loaded, message = load()
  end
  return loaded, message
end

return library
