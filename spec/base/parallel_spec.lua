-- Parallel regions (csrc/base/parallel.c): the same results with any number of threads, wanted or to be had.
local child = require "support.child"
local core = require "secateur.core"
local needs = require "support.needs"

-- Prints a checksum of a product, and how many threads there are.
local script = [[
  local core = require "secateur.core"
  local a = core.randn(300, 300, { seed = 1 })
  local sum = 0
  for _, row in ipairs(a:matmul(a):totable()) do
    for _, value in ipairs(row) do sum = (sum * 31 + string.unpack("<i4", string.pack("<f", value))) & 0xffffffff end
  end
  local threads = 0
  for line in io.lines "/proc/self/status" do threads = tonumber(line:match "^Threads:%s*(%d+)") or threads end
  print(sum, threads)
]]

describe("a parallel region", function()
  local function run(shell)
    local good, output = child.try(script, shell)
    assert(good, output)
    local sum, threads = output:match "^(%d+)\t(%d+)\n$"
    return assert(sum, output), tonumber(threads)
  end

  it("has as many threads as were asked for, and one result", function()
    needs.proc(pending)
    needs.only_own_threads(pending)
    local expected, one = run "OMP_NUM_THREADS=1 %s"
    assert.equal(1, one)
    for _, count in ipairs { 2, 3, 7 } do
      local sum, threads = run(("OMP_NUM_THREADS=%d %%s"):format(count))
      assert.equal(expected, sum)
      assert.equal(count, threads)
    end
  end)

  it("works with the threads that the system gives", function()
    needs.own_team(pending)
    needs.memory_limits(pending)
    local expected = run "OMP_NUM_THREADS=1 %s"
    -- stacks of 64 MiB in an address space of 300: a few of sixteen threads
    local sum, threads = run "ulimit -s 65536; ulimit -v 300000; OMP_NUM_THREADS=16 %s"
    assert.equal(expected, sum)
    assert.is_true(threads >= 1 and threads < 6, threads)
    sum, threads = run "ulimit -s 65536; ulimit -v 60000; OMP_NUM_THREADS=16 %s"
    assert.equal(expected, sum)
    assert.equal(1, threads)
  end)

  it("takes numbers of threads from the environment only where they are numbers", function()
    needs.own_team(pending)
    local function threads(setting)
      return tonumber(child.run('print(require("secateur.core").threads())', setting .. "; %s"))
    end
    for value, count in pairs { ["3"] = 3, ["2,4"] = 2, ["5000"] = 1024 } do
      assert.equal(count, threads("export OMP_NUM_THREADS=" .. value))
    end
    local default = threads "unset OMP_NUM_THREADS"
    for _, value in ipairs { "0", "-1", "x", "''", "3x" } do
      assert.equal(default, threads("export OMP_NUM_THREADS=" .. value))
    end
  end)

  it("can be begun anew with more threads, and with fewer", function()
    local before = core.threads()
    local a = core.randn(200, 200, { seed = 1 })
    local expected = a:matmul(a)
    for _, count in ipairs { 1, 5, 2, 9, 1, 4 } do
      core.threads(count)
      for _ = 1, 20 do assert.is_true(a:matmul(a):allclose(expected, 0, 0)) end
    end
    core.threads(before)
  end)
end)
