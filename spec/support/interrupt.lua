--- Ctrl-C in the midst of long native work, without a clock: the signal is sent when the system says that the process
-- has the handler of an interrupt scope (`csrc/base/interrupt.h`), and what ends too late is stopped by a fence that
-- good work stays away from by orders of magnitude.
local child = require "support.child"
local files = require "secateur.util.files"
local needs = require "support.needs"

local interrupt = {}

local ATTEMPTS = 5 -- a parent that gets no turn may look when the work is over already
-- Processor time that the child may take, preparation and all, before the system ends it: what takes longer by itself
-- shows that it ends at the signal, and not after its work.
local FENCE = 100 * needs.slowdown

-- Lua's own handler gives SIGINT back to the system when it is called: from then on, the process has a handler only
-- inside an interrupt scope, and a signal that comes outside ends it.
local WITHOUT_HANDLER = [[
local process = io.open("/proc/self/stat"):read "n"
pcall(function()
  io.popen("kill -INT " .. process):close()
  while true do end
end)
]]

-- Its arguments follow: whether Lua's handler goes, a preparation, the call, what to do in the end.
local SCRIPT = [[
local core = require "secateur.core"
core.threads(2)
%s
%s
io.write(io.open("/proc/self/stat"):read("n"), "\n"):flush()
local ok, message = pcall(%s)
print(ok, message)
%s
]]

-- Whether a process has a handler of SIGINT; nil when it has ended.
local function handles_interrupt(process)
  local text = files.read_all(("/proc/%d/status"):format(process)) or ""
  local caught = text:match "SigCgt:%s*(%x+)"
  if not caught or text:match "State:%s*Z" then return nil end
  return tonumber(caught:sub(-1), 16) & 2 ~= 0
end

local function attempt(case)
  local script = SCRIPT:format(case.begun and "" or WITHOUT_HANDLER, case.setup, case.call, case.after or "")
  local pipe, finish = child.start(script, ("ulimit -t %d; %%s"):format(FENCE))
  local first = pipe:read "l" or ""
  local process = first:match "^%d+$"
  if not process then
    local rest = pipe:read "a" or ""
    finish()
    error("it did not start: " .. first .. "\n" .. rest, 3)
  end
  local inside
  repeat
    inside = handles_interrupt(process)
    if inside and case.begun then inside = case.begun() end
  until inside or inside == nil
  if inside then os.execute("kill -INT " .. process) end
  local output = pipe:read "a"
  finish()
  return output
end

--- Starts a call in a process of its own, and interrupts it. Raises unless the call ends with "interrupted". A call
-- that takes more than minutes shows by this that it ends soon, a shorter one that it ends at all. Needs /proc.
-- @tparam table case `setup` (Lua source before the call; `core` is there), `call` (the arguments of a pcall, as
--   source), `after` (Lua source), `message` (pattern, "^interrupted$"), `begun` (function() -> whether the work has
--   begun, where Lua's own handler has to be in place)
-- @treturn string what `after` printed
function interrupt.check(case)
  local output
  for _ = 1, ATTEMPTS do
    output = attempt(case)
    local ok, message, rest = output:match "^(%S+)\t([^\n]*)\n(.*)$"
    if ok == "false" and message:find(case.message or "^interrupted$") then return rest end
    if ok == "false" then break end
  end
  error("expected it to be interrupted, got: " .. (output == "" and "a dead process" or output), 2)
end

return interrupt
