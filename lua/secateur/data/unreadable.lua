--- What to say of an image that could not be read.
-- @module secateur.data.unreadable

--- What is wrong, without the path that the native messages start with.
-- @string message
-- @string path
-- @treturn string
return function(message, path)
  local prefix = "'" .. path .. "': "
  return message:sub(1, #prefix) == prefix and message:sub(#prefix + 1) or message
end
