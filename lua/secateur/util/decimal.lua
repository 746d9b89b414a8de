--- Numbers as text that programs read: with a point, also where the locale of the process has a comma (a host that
-- calls setlocale, or os.setlocale).
-- @module secateur.util.decimal

--- A number as text.
-- @string format of one number and nothing beside it, such as "%.9g"
-- @number value
-- @treturn string
return function(format, value)
  local text = format:format(value)
  if not text:find "[^%w.+-]" then return text end
  return (text:gsub("[^%w+-]+", "."))
end
