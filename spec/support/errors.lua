--- What errors say, and whose line they name.
local errors = {}

--- The message of the error that f raises, without its position; nil when it raises none.
-- @func f
-- @param ... its arguments
function errors.text(f, ...)
  local ok, message = pcall(f, ...)
  if ok then return nil end
  return (tostring(message):gsub("^[^\n:]*%.lua:%d+: ", ""))
end

--- The same, and the error must name the line that f stands on: errors belong to the line of whoever made the mistake.
-- @func f a function on one line, that does not return the call's result (a tail call would leave no line)
function errors.here(f)
  local ok, message = pcall(f)
  if ok then return nil end
  local info = debug.getinfo(f, "S")
  local position = ("%s:%d: "):format(info.short_src, info.linedefined)
  if tostring(message):sub(1, #position) ~= position then
    error(("expected an error at %s, got: %s"):format(position, tostring(message)), 2)
  end
  return tostring(message):sub(#position + 1)
end

return errors
