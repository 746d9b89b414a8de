--- What errors say, and whose line they name.
local errors = {}

--- A message without the position that it may begin with.
-- @string message
function errors.bare(message) return (tostring(message):gsub("^[^\n:]*%.lua:%d+: ", "")) end

--- The message of the error that f must raise, without its position.
-- @func f
-- @param ... its arguments
function errors.raised(f, ...)
  local ok, message = pcall(f, ...)
  if ok then error("expected an error", 2) end
  return type(message) == "string" and errors.bare(message) or message
end

--- The same without its position, which must be in the file that f stands in.
-- @func f
-- @param ... its arguments
function errors.inside(f, ...)
  local ok, message = pcall(f, ...)
  if ok then error("expected an error", 2) end
  local source = debug.getinfo(f, "S").short_src .. ":"
  local text = message:sub(1, #source) == source and message:match("^%d+: (.*)$", #source + 1)
  return text or error(("expected an error in %s, got: %s"):format(source, message), 2)
end

--- The message of the error that f raises, without its position; nil when it raises none.
-- @func f
-- @param ... its arguments
function errors.text(f, ...)
  local ok, message = pcall(f, ...)
  if ok then return nil end
  return errors.bare(message)
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
