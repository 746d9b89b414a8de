--- Scripts, also such as several processes run together.
-- @module secateur.mpi.main
local environment = require "secateur.mpi.environment"
local errors = require "secateur.util.errors"
local library = require "secateur.mpi.library"
local run = require "secateur.util.main"

-- The group is joined before the body runs: so a process that fails, or ends, before it needs the others can tell them,
-- and they do not wait for it. Whoever needs the group is told why there is none.
local function join()
  if environment.needs_mpi() and library.load() then errors.try(require("secateur.mpi").group) end
end

--- Runs the body of a script. An error that Secateur raises, such as a file that is not there, ends the script with its
-- message on stderr and the exit status 1; any other, which is a fault of the program, with a traceback besides; Ctrl-C
-- with the status 130. Of processes that a launcher of MPI started to run the script together (`sc.mpi.group`), the one
-- where it happened writes the message, and the others end with the same status.
-- @func body
-- @param ... its arguments
-- @return what it gives
-- @usage
-- sc.main(function()
--   local data = sc.data.folder(arg[1])
--   print(data)
-- end)
return function(body, ...)
  if type(body) == "function" then join() end
  return run(body, ...)
end
