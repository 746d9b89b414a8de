--- Scripts: what a user did wrong is said in a line, what a program did wrong with a traceback.
-- @module secateur.util.main
local errors = require "secateur.util.errors"
local visible = require "secateur.util.visible"

local INTERRUPTED = 130 -- 128 + SIGINT, as shells count

-- Status and text of what was raised; called while its stack is still there.
local function describe(problem)
  if errors.is_interruption(problem) then -- wherever it was
    return { status = INTERRUPTED, text = problem:find "^%l+: interrupted;" and problem or "interrupted" }
  end
  if errors.is_fault(problem) or errors.is_raising() then return { status = 1, text = tostring(problem) } end
  return { status = 1, text = debug.traceback(tostring(problem), 2) }
end

--- Runs the body of a script. An error that Secateur raises, such as a file that is not there, ends the script with its
-- message on stderr and the exit status 1; any other, which is a fault of the program, with a traceback besides; Ctrl-C
-- with the status 130.
-- @func body
-- @param ... its arguments
-- @return what it gives
-- @usage
-- sc.main(function()
--   local data = sc.data.folder(arg[1])
--   print(data)
-- end)
return function(body, ...)
  if type(body) ~= "function" then errors.refuse("main", "body: expected a function, got %s", type(body)) end
  local function pass(ok, first, ...)
    if ok then return first, ... end
    io.stdout:flush()
    io.stderr:write(visible(first.text, "\n\t"), "\n")
    os.exit(first.status, true)
  end
  return pass(xpcall(body, describe, ...))
end
