--- Scripts in a process of their own, under the interpreter that runs the specs.
local child = {}

local function quoted(text) return "'" .. text:gsub("'", "'\\''") .. "'" end

-- As it was called, or else the program of this process (under valgrind that would be valgrind).
local function find_interpreter()
  local called = arg and arg[-1]
  if called and called:find "lua[%d.]*$" then return called end
  local pipe = assert(io.popen "readlink /proc/$PPID/exe")
  local program = pipe:read "l"
  pipe:close()
  return program
end

--- The shell command that runs a script with this process's search paths.
-- @string path of the script
function child.command(path)
  local interpreter = find_interpreter()
  return ("LUA_PATH_5_4=%s LUA_CPATH_5_4=%s exec %s %s"):format(quoted(package.path), quoted(package.cpath),
    quoted(interpreter or "lua5.4"), quoted(path))
end

--- Runs a script.
-- @string script Lua source
-- @string[opt="%s"] shell what to run, `%s` standing for the command
-- @treturn string what it wrote, to either stream
function child.run(script, shell)
  local path = os.tmpname()
  local file = assert(io.open(path, "w"))
  file:write(script)
  file:close()
  local command = (shell or "%s"):gsub("%%s", function() return child.command(path) end)
  local process = assert(io.popen(("{ %s ; } 2>&1"):format(command)))
  local output = process:read "a"
  process:close()
  os.remove(path)
  return output
end

return child
