--- What a measurement was made on: processor, vector instructions in use, its peak, and the commit.
local core = require "secateur.core"
local cpu = require "secateur.cpu"
local files = require "secateur.util.files"

local machine = {}

local function line_of(command)
  local pipe = assert(io.popen(command .. " 2>/dev/null"))
  local line = pipe:read "l"
  pipe:close()
  return line
end

--- The processor's name; "" where /proc/cpuinfo does not tell.
-- @treturn string
function machine.processor()
  local text = files.read_all "/proc/cpuinfo" or ""
  return text:match "model name%s*:%s*([^\n]+)" or ""
end

--- The level of vector instructions that the core uses; "" where it has but one.
-- @treturn string
function machine.level()
  return cpu.level or ""
end

--- The commit of the checkout, with "-dirty" where files differ from it; "" outside of one.
-- @treturn string
function machine.commit()
  return line_of "git describe --always --dirty --exclude='*'" or ""
end

--- GFLOP/s of multiply-adds on registers alone, which no float32 program exceeds on this machine.
-- @int threads
-- @number[opt=0.3] seconds to measure for
-- @treturn number|nil nil where the core does not measure it
function machine.peak(threads, seconds)
  return core.peak_gflops and core.peak_gflops(threads, seconds or 0.3)
end

return machine
