--- Scripts: what a user did wrong is said in a line, what a program did wrong with a traceback.
-- @module secateur.util.main
local at_failure = require "secateur.util.at_failure"
local errors = require "secateur.util.errors"
local visible = require "secateur.util.visible"

local INTERRUPTED = 130 -- 128 + SIGINT, as shells count

-- What stands for the error from then on, for all that close on the way.
local End = { __tostring = function(self) return self.brief end }

local function new_end(status, brief, text)
  return setmetatable({ status = status, brief = brief, text = text or brief }, End)
end

-- Status and text of what was raised; called while its stack is still there.
local function describe(problem)
  if errors.is_interruption(problem) then -- wherever it was
    return new_end(INTERRUPTED, problem:find "^%l+: interrupted;" and problem or "interrupted")
  end
  if errors.is_fault(problem) or errors.is_raising() then return new_end(1, tostring(problem)) end
  return new_end(1, tostring(problem), debug.traceback(tostring(problem), 2))
end

--- What `sc.main` does in one process (see secateur.mpi.main).
-- @func body
-- @param ... its arguments
-- @return what it gives
return function(body, ...)
  if type(body) ~= "function" then errors.refuse("main", "body: expected a function, got %s", type(body)) end
  local function pass(ok, first, ...)
    if ok then return first, ... end
    io.stdout:flush()
    if not at_failure.tell(first.brief) then io.stderr:write(visible(first.text, "\n\t") .. "\n") end
    os.exit(first.status, true)
  end
  return pass(xpcall(body, describe, ...))
end
