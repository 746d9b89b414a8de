--- Scripts in a process of their own, under the interpreter that runs the specs.
local child = {}

local function quoted(text) return "'" .. text:gsub("'", "'\\''") .. "'" end

--- The interpreter that runs this process, as it was called: the first word of its command line.
-- @treturn string a path, or a name that the shell finds
function child.interpreter()
  local first = 0
  while arg and arg[first - 1] do first = first - 1 end
  if first < 0 then return arg[first] end
  local pipe = assert(io.popen "readlink /proc/$PPID/exe")
  local program = pipe:read "l"
  pipe:close()
  return assert(program, "expected the interpreter in arg or in /proc, found none")
end

--- The shell command that runs a script with this process's search paths.
-- @string path of the script
function child.command(path)
  return ("LUA_PATH_5_4=%s LUA_CPATH_5_4=%s exec %s %s"):format(quoted(package.path), quoted(package.cpath),
    quoted(child.interpreter()), quoted(path))
end

--- Starts a script and does not wait for it.
-- @string script Lua source
-- @string[opt="%s"] shell what to run, `%s` standing for the command
-- @treturn file what it writes, to either stream
-- @treturn function to call when it was read: waits for the end; whether the script succeeded
function child.start(script, shell)
  local path = os.tmpname()
  local file = assert(io.open(path, "w"))
  file:write(script)
  file:close()
  local command = (shell or "%s"):gsub("%%s", function() return child.command(path) end)
  local pipe = assert(io.popen(("{ %s ; } 2>&1"):format(command)))
  return pipe, function()
    local good = pipe:close()
    os.remove(path)
    return good or false
  end
end

--- Runs a script, and says whether it succeeded.
-- @string script Lua source
-- @string[opt="%s"] shell what to run, `%s` standing for the command
-- @treturn boolean whether it succeeded
-- @treturn string what it wrote, to either stream
function child.try(script, shell)
  local pipe, finish = child.start(script, shell)
  local output = pipe:read "a"
  return finish(), output
end

--- Runs a script.
-- @string script Lua source
-- @string[opt="%s"] shell what to run, `%s` standing for the command
-- @treturn string what it wrote, to either stream
function child.run(script, shell)
  local _, output = child.try(script, shell)
  return output
end

return child
