--- The one way to raise an error, from any depth.
--
-- The position in a message is that of the first caller outside the package, found by walking the stack: users see the
-- line of their own script, however deep inside what was wrong has shown. What the package catches itself travels as a
-- `Fault` instead, a message without position and with the name of the public function apart, so that who catches it
-- can put something before it and raise it again. The core's messages go the same way (see secateur.core).
--
-- An error that somebody else raised (a function of the user's, Lua itself, Ctrl-C) is nobody's to reword: it passes
-- through `try` and `within` as it is.
--
-- Messages name files, classes and layers, whose names may hold any bytes: what a terminal would obey is written out
-- here, once for all of them (see secateur.util.visible). Warnings go the same way.
-- @module secateur.util.errors
local visible = require "secateur.util.visible"

local errors = {}

-- "@…/secateur/": what the sources of the package's files begin with.
local package_root = debug.getinfo(1, "S").source:match("^(.*[/\\])util[/\\]errors%.lua$") or "@"

--- What the package raises where it will catch it itself.
-- @type Fault
-- @field name of the public function, or nil
-- @field message without it
-- @field exhausted whether memory ran out, which says nothing about what was asked for
local Fault = { __name = "Fault" }
Fault.__index = Fault

function Fault:__tostring()
  return self.name and ("%s: %s"):format(self.name, self.message) or self.message
end

-- The functions whose frames say that the package catches what is raised above them.
local catchers = {}

-- "script.lua:12: " of the first caller outside the package; nil where the package catches the error before that.
local function position()
  local level = 2
  while true do
    local frame = debug.getinfo(level, "Slf")
    if not frame then return "" end
    if catchers[frame.func] then return nil end
    if frame.what ~= "C" and frame.source:sub(1, #package_root) ~= package_root then
      return frame.currentline > 0 and ("%s:%d: "):format(frame.short_src, frame.currentline) or ""
    end
    level = level + 1
  end
end

-- The same, whoever catches the error.
local function user_position()
  local level = 2
  local frame = debug.getinfo(level, "Sl")
  while frame and (frame.what == "C" or frame.source:sub(1, #package_root) == package_root) do
    level = level + 1
    frame = debug.getinfo(level, "Sl")
  end
  return frame and frame.currentline > 0 and ("%s:%d: "):format(frame.short_src, frame.currentline) or ""
end

local function throw(name, message, exhausted)
  if type(message) == "string" then message = visible(message) end
  local fault = setmetatable({ name = name, message = message, exhausted = exhausted }, Fault)
  local place = position()
  error(place and visible(place) .. tostring(fault) or fault, 0)
end

local function text(format, ...)
  return select("#", ...) > 0 and format:format(...) or format
end

--- Raises a message. Whoever was called by the user adds its name, see `within`.
-- @string format as string.format takes it; without further arguments the message itself
-- @param ... its arguments
function errors.raise(format, ...)
  throw(nil, text(format, ...))
end

--- Raises `name: message`.
-- @string name the public function, e.g. "prune"
-- @string format as in `raise`
-- @param ... its arguments
function errors.refuse(name, format, ...)
  throw(name, text(format, ...))
end

--- Raises a message about memory that ran out. `try` does not catch it: nothing was wrong with what was tried.
-- @string message
function errors.exhausted(message)
  throw(nil, message, true)
end

-- In one piece, since several processes may share a stderr.
local function write_line(line) io.stderr:write(line .. "\n") end

--- Writes a line to stderr: what was left out, guessed or changed.
-- @string format as in `raise`, such as "load_state: '%s': %s"
-- @param ... its arguments
function errors.warn(format, ...)
  write_line(visible(text(format, ...)))
end

--- Writes several lines to stderr, as one.
-- @tparam {string,...} lines
function errors.warn_lines(lines)
  local shown = {}
  for i, line in ipairs(lines) do shown[i] = visible(line) end
  write_line(table.concat(shown, "\n"))
end

--- Passes on a value, or raises the message that came in its place (`nil, message`).
-- @param value
-- @string[opt] message
-- @return the value
function errors.check(value, message)
  if not value then throw(nil, message) end
  return value
end

--- Calls a function and catches everything.
-- @func f
-- @param ... its arguments
-- @return[1] true, and what it gives
-- @return[2] false, and a Fault of the package or whatever else was raised
function errors.catch(f, ...)
  local function pass(...) return ... end
  return pass(pcall(f, ...)) -- not pcall alone: a tail call would take the frame of `catch` away
end

local function only_faults(ok, problem, ...)
  if ok then return ok, problem, ... end
  if getmetatable(problem) ~= Fault or problem.exhausted then errors.rethrow(problem) end
  return false, problem.message, problem.name
end

--- Calls a function and catches what the package raises in it, but for memory that ran out: who takes a failure for an
-- answer ("this cannot be done") would take it for one, too.
-- @func f
-- @param ... its arguments
-- @return[1] true, and what it gives
-- @return[2] false, the message, and the name of the public function that the message is of, or nil
function errors.try(f, ...)
  return only_faults(pcall(f, ...))
end

local function under(name, ok, problem, ...)
  if ok then return problem, ... end
  errors.rethrow(problem, name)
end

--- Calls a function for a public one: what the package raises in it is raised again as `name: message`.
-- @string name the public function
-- @func f
-- @param ... its arguments
-- @return what it gives
function errors.within(name, f, ...)
  return under(name, pcall(f, ...))
end

-- What `call` looks for in messages: a position in this function is one that the user's function gave to its caller.
local function direct(f, ...)
  local one, two, three = f(...)
  return one, two, three
end

local own_source = debug.getinfo(direct, "S").short_src

--- Calls a function of the user's. What it raises goes on unchanged, but that an error that points at the caller of the
-- function, as `error(message, 2)` does, gets the user's line, not one of the package.
-- @func f
-- @param ... its arguments
-- @return up to three values
function errors.call(f, ...)
  local ok, one, two, three = pcall(direct, f, ...)
  if ok then return one, two, three end
  if type(one) == "string" and one:sub(1, #own_source) == own_source then
    local line, rest = one:sub(#own_source + 1):match "^:(%d+): (.*)$"
    line = tonumber(line)
    local info = debug.getinfo(direct, "S")
    if line and line >= info.linedefined and line <= info.lastlinedefined then one = user_position() .. rest end
  end
  error(one, 0)
end

--- Raises again what `catch` gave.
-- @param problem
-- @string[opt] name of the public function that a Fault is put under
function errors.rethrow(problem, name)
  if getmetatable(problem) ~= Fault then error(problem, 0) end
  local inner = name and problem.name and problem.name ~= name
  throw(name or problem.name, inner and tostring(problem) or problem.message, problem.exhausted)
end

--- Whether a value is what the package raises where it catches it itself.
-- @param value
-- @treturn boolean
function errors.is_fault(value) return getmetatable(value) == Fault end

--- Whether a value is a Fault that says that memory ran out.
-- @param value
-- @treturn boolean
function errors.is_exhausted(value) return errors.is_fault(value) and value.exhausted or false end

--- Whether what was raised is Ctrl-C: of Lua's own handler, of native work that it ended, or of a training or a sweep
-- that says what is kept.
-- @param problem
-- @treturn boolean
function errors.is_interruption(problem)
  return type(problem) == "string"
    and (problem:find "interrupted!?$" or problem:find "%f[%l]train: interrupted;"
      or problem:find "%f[%l]sweep: interrupted;") ~= nil
end

--- Whether the package is raising an error right now: for message handlers, which are called where it is raised.
-- @treturn boolean
function errors.is_raising()
  local level = 2
  while true do
    local frame = debug.getinfo(level, "f")
    if not frame then return false end
    if frame.func == throw then return true end
    level = level + 1
  end
end

for _, catcher in ipairs { errors.catch, errors.try, errors.within } do catchers[catcher] = true end

return errors
