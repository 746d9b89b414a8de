--- Text whose every byte is part of a character, made of bytes from outside (a file's name, a table, a store).
-- @module secateur.util.valid_utf8

--- Replaces the bytes that are not UTF-8, in time proportional to the length.
-- @string bytes
-- @tparam string|function replacement what stands for each such byte, or a function of it
-- @treturn string
return function(bytes, replacement)
  local length, bad = utf8.len(bytes)
  if length then return bytes end
  local parts, from = {}, 1
  while not length do
    parts[#parts + 1] = bytes:sub(from, bad - 1)
    local byte = bytes:sub(bad, bad)
    parts[#parts + 1] = type(replacement) == "string" and replacement or replacement(byte)
    from = bad + 1
    length, bad = utf8.len(bytes, from) -- looks on from here: from the beginning again, time would grow with the square
  end
  parts[#parts + 1] = bytes:sub(from)
  return table.concat(parts)
end
