--- What a function writes to io.stderr.
local stderr = {}

--- Runs a function and gives what each of its calls of io.stderr:write wrote; its errors go on.
-- @func body
-- @treturn {string,...}
function stderr.calls(body)
  local real, written = io.stderr, {}
  io.stderr = { write = function(_, ...) table.insert(written, table.concat { ... }) end, -- luacheck: ignore 122
    flush = function() end }
  local ok, message = pcall(body)
  io.stderr = real -- luacheck: ignore 122
  if not ok then error(message, 0) end
  return written
end

--- The same as one text.
-- @func body
-- @treturn string
function stderr.text(body) return table.concat(stderr.calls(body)) end

return stderr
