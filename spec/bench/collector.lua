-- Peak memory of 10,000 short-lived tensors of 10 MB, made without calling the collector: native memory counts for it.
--
--     make bench BENCH=spec/bench/collector.lua
require "secateur.cpu".prepare()
local core = require "secateur.core"

local start = core.clock()
local sum = 0
for i = 1, 10000 do
  local tensor = core.full(2500000, i) -- every page is written
  sum = sum + tensor:get(2500000)
end
assert(sum == 10000 * 10001 / 2)
local _, peak = core.memory()
local status = io.open("/proc/self/status"):read "a"
print(("10,000 tensors of 10 MB in %.1f s; peak of the core %.1f MB, of the process %.1f MB"):format(
  core.clock() - start, peak / 1e6, tonumber(status:match "VmHWM:%s+(%d+)") / 1000))
