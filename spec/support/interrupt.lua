--- Ctrl-C in the midst of long native work. The signal is sent when the work is seen to have begun, and how soon it
-- ends is measured in processor time: neither depends on how busy the machine is.
local child = require "support.child"
local files = require "secateur.util.files"

local interrupt = {}

local TICKS = 100 -- a second of /proc/PID/stat, on every Linux
local BEGUN = 0.2 -- seconds of processor time: far more than lies between the last line of Lua and the work
local SOON = 2 -- seconds of processor time, on at most two threads

-- Its arguments follow: a preparation, the call, what to do in the end.
local SCRIPT = [[
local core = require "secateur.core"
core.threads(2)
%s
io.write(io.open("/proc/self/stat"):read("n"), " ", os.clock(), "\n"):flush()
local ok, message = pcall(%s)
print(ok, message, os.clock())
%s
]]

-- Processor time of all threads of a process so far, in seconds; nil when it has ended.
local function processor_time(process)
  local text = files.read_all(("/proc/%d/stat"):format(process))
  local fields = {}
  for field in (text or ""):gsub("^.*%) ", ""):gmatch "%S+" do fields[#fields + 1] = field end
  if not fields[1] or fields[1] == "Z" then return nil end
  return (fields[12] + fields[13]) / TICKS -- fields 14 and 15, the first two being the number and the name
end

--- Starts a call in a process of its own, and interrupts it. Raises unless the call ends with "interrupted" soon. Needs
-- /proc.
-- @tparam table case `setup` (Lua source before the call; `core` is there), `call` (the arguments of a pcall, as
--   source), `after` (Lua source), `begun` (function() -> whether the work has begun, where it takes no processor
--   time), `message` (pattern, "^interrupted$")
-- @treturn string what `after` printed
function interrupt.check(case)
  local pipe, finish = child.start(SCRIPT:format(case.setup, case.call, case.after or ""))
  local first = pipe:read "l" or ""
  local process, used = first:match "^(%d+) (%S+)$"
  if not process then error("it did not start: " .. first .. "\n" .. (pipe:read "a" or ""), 2) end
  local now
  repeat
    os.execute "sleep 0.01"
    now = processor_time(process)
  until not now or (case.begun and case.begun() or not case.begun and now - used > BEGUN)
  if now then os.execute("kill -INT " .. process) end
  local output = pipe:read "a"
  finish()
  local ok, message, ended, rest = output:match "^(%S+)\t([^\t]*)\t([^\n]*)\n(.*)$"
  if ok ~= "false" or not message:find(case.message or "^interrupted$") then
    error("expected it to be interrupted, got: " .. output, 2)
  elseif not now or ended - now > SOON then
    error(("expected an end within %g s of processor time, got one after %g s"):format(SOON, ended - (now or 0)), 2)
  end
  return rest
end

return interrupt
