--- Files of the core, opened for reading at places; errors carry no position in this library, as callers add their own.
-- @module secateur.formats.file
local core = require "secateur.core"

local file = {}

local function finish(ok, ...)
  if not ok then error(..., 0) end
  return ...
end

--- Calls a function of the core; its errors have no position.
-- @func f
-- @param ... its arguments
-- @return what it gives
function file.native(f, ...)
  -- the core puts the position of its caller in front where that is Lua, which pcall is not
  return finish(pcall(f, ...))
end

local File = {}
File.__index = File

-- The methods of the core's File.
for _, method in ipairs { "size", "bytes", "crc32", "zip", "name", "entry", "tensor", "close" } do
  File[method] = function(self, ...) return file.native(self.raw[method], self.raw, ...) end
end

File.__close = File.close

--- Opens a file. Raises without a position, the path first.
-- @string path
-- @treturn File with the methods of the core's (`csrc/lua/l_file.c`)
function file.open(path)
  return setmetatable({ raw = file.native(core.file_open, path) }, File)
end

return file
