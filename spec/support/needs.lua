--- What a machine or a checkout may lack. A spec calls these first, with busted's `pending` of its own: where the thing
-- is not there, it ends as pending, with a message, so that what was not compared is counted and named.
local cpu = require "secateur.cpu"
local gnuplot = require "secateur.report.gnuplot"
local lfs = require "lfs"

local needs = {}

--- Whether the specs run under valgrind's memcheck, as `.ci/valgrind` says.
needs.memcheck = os.getenv "MEMCHECK" ~= nil

--- How many times longer all takes at most, for fences against waiting for ever.
needs.slowdown = needs.memcheck and 100 or 1

--- How many random cases a spec tries: a tenth under valgrind.
-- @int count
-- @treturn int
function needs.some(count)
  return needs.memcheck and math.max(count // 10, 1) or count
end

--- A run without valgrind, which is slow, keeps memory of its own and has one choice of processor.
-- @func pending
-- @string what is done, for the message
function needs.native(pending, what)
  if needs.memcheck then pending(what .. ": not under valgrind") end
end

--- All levels of vector instructions, from the lowest.
needs.levels = { "portable", "avx2", "avx512" }

--- A level of vector instructions.
-- @func pending
-- @string level
function needs.level(pending, level)
  for _, name in ipairs(cpu.levels) do
    if name == level then return end
  end
  pending(("this processor has no %s"):format(level))
end

--- A processor that does not have the highest level.
-- @func pending
-- @treturn string the lowest level that it lacks
function needs.missing_level(pending)
  return needs.levels[#cpu.levels + 1] or pending "this processor has every level of vector instructions"
end

--- A file or a folder that is not part of the checkout.
-- @func pending
-- @string path
-- @string what it is, for the message
function needs.path(pending, path, what)
  if not lfs.attributes(path) then pending(("no %s (%s) here: not compared"):format(what, path)) end
end

--- Gnuplot.
-- @func pending
function needs.gnuplot(pending)
  local found, message = gnuplot.check "gnuplot"
  if not found then pending(message) end
end

--- A core whose parallel regions are csrc/base/parallel.c's, as GCC builds it.
-- @func pending
function needs.own_team(pending)
  needs.proc(pending)
  require "secateur.core" -- brings the library
  for line in io.lines "/proc/self/maps" do
    if line:find "/libomp[^/]*%.so" then pending "another compiler than GCC: its library has the threads" end
  end
end

--- OpenBLAS, in a module of the specs' own.
-- @func pending
-- @treturn table the module
function needs.openblas(pending)
  if not package.searchpath("spec.openblas", package.cpath) then pending "built without OpenBLAS: not compared" end
  return require "spec.openblas"
end

--- Memory that can be limited: sanitizers and valgrind, loaded before the interpreter, take too much of it.
-- @func pending
function needs.memory_limits(pending)
  if (os.getenv "LD_PRELOAD" or "") ~= "" or os.getenv "SANITIZE" then
    pending "memory cannot be limited under a sanitizer or valgrind"
  end
end

--- An interpreter before which a library of the specs can be loaded.
-- @func pending
function needs.no_preload(pending)
  if (os.getenv "LD_PRELOAD" or "") ~= "" or os.getenv "SANITIZE" then
    pending "a sanitizer or valgrind is loaded before the interpreter already"
  end
end

--- Linux, whose numbers of file systems are known.
-- @func pending
function needs.linux(pending)
  if not lfs.attributes "/proc/filesystems" then pending "no Linux: file systems have no numbers" end
end

--- A process without threads of a tool: ThreadSanitizer has one.
-- @func pending
function needs.only_own_threads(pending)
  if os.getenv "SANITIZE" == "thread" then pending "ThreadSanitizer has a thread of its own" end
end

--- The C library whose allocations can be replaced by spec/support/failing_malloc.c.
-- @func pending
function needs.glibc(pending)
  local path = package.searchpath("spec.failing_malloc", package.cpath)
  local loader = path and package.loadlib(path, "luaopen_spec_failing_malloc")
  if not loader then pending "another C library than glibc: allocations cannot be made to fail" end
end

--- /proc, where processes are seen from outside.
-- @func pending
function needs.proc(pending)
  if not lfs.attributes "/proc/self/stat" then pending "no /proc to see processes in" end
end

--- A user whom rights of files stop.
-- @func pending
function needs.user(pending)
  local pipe = assert(io.popen "id -u")
  local number = pipe:read "l"
  pipe:close()
  if number == "0" then pending "root may read everything" end
end

--- A limit on the address space of a process that runs already: prlimit, and neither valgrind nor a sanitizer, which
-- need more of it than there is memory.
-- @func pending
function needs.address_limit(pending)
  needs.native(pending, "a limit on memory")
  local maps = io.open "/proc/self/maps"
  local text = maps and maps:read "a" or ""
  if maps then maps:close() end
  if text == "" or text:find "/lib[at]san%.so" then pending "no limit on memory here: no /proc, or a sanitizer" end
  if not os.execute "prlimit --version >/dev/null 2>&1" then pending "no prlimit here" end
end

return needs
