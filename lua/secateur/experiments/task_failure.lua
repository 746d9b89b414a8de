--- What an error in one task of a sweep means for the others.
-- @module secateur.experiments.task_failure
local errors = require "secateur.util.errors"
local options = require "secateur.util.options"

local task_failure = {}

--- Whether an error is none of the task's alone, so that the sweep ends: Ctrl-C, and memory that ran out.
-- @param problem what `errors.catch` gave
-- @treturn boolean
function task_failure.ends_all(problem)
  if errors.is_exhausted(problem) or errors.is_interruption(problem) then return true end
  return type(problem) == "string" and problem:find "not enough memory$" ~= nil
end

--- The message that is kept of an error.
-- @param problem what `errors.catch` gave
-- @treturn string
function task_failure.text(problem)
  local class = getmetatable(problem)
  if type(problem) == "string" or type(class) == "table" and class.__tostring then return tostring(problem) end
  return "an error that is no text: " .. options.show(problem)
end

return task_failure
