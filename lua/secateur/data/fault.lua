--- The way of the world's failures (a missing folder, a CSV without its column) from deep inside the reading of a data
-- set up to the public function, which raises them under its own name at its caller's level.
-- @module secateur.data.fault
local options = require "secateur.util.options"

local fault = {}

local Fault = { __name = "Fault" }

--- Gives up: whatever runs inside `guard` ends with this message.
-- @string format as string.format takes it
-- @param ... its arguments
function fault.raise(format, ...)
  error(setmetatable({ message = format:format(...) }, Fault))
end

--- Passes on a value, or raises the message that came in its place (`nil, message`).
-- @param value
-- @string[opt] message
-- @return the value
function fault.check(value, message)
  if value == nil then fault.raise("%s", message) end
  return value
end

--- What is wrong, without the path that the native messages start with.
-- @string message
-- @string path
-- @treturn string
function fault.reason(message, path)
  local prefix = "'" .. path .. "': "
  return message:sub(1, #prefix) == prefix and message:sub(#prefix + 1) or message
end

--- Calls a function; a fault raised inside becomes an error `name: message` at the caller of whoever calls `guard`.
-- @string name the public function
-- @func body
-- @param ... its arguments
-- @return what the function gives (up to three values)
function fault.guard(name, body, ...)
  local ok, first, second, third = pcall(body, ...)
  if ok then return first, second, third end
  if getmetatable(first) == Fault then options.fail(name, first.message, 1) end
  error(first, 0)
end

return fault
