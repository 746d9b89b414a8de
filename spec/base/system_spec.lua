local child = require "support.child"
local core = require "secateur.core"
local errors = require "support.errors"
local needs = require "support.needs"

describe("the system's side of the core", function()
  it("counts native memory", function()
    collectgarbage()
    local before = core.memory()
    local t = core.zeros(1000, 1000)
    local held = core.memory()
    assert.is_true(held - before >= 4000000 and held - before < 4100000)
    t:close()
    local after, peak = core.memory()
    assert.is_true(after <= before)
    assert.is_true(peak >= held)
    core.memory(true) -- the peak begins anew
    assert.is_true(select(2, core.memory()) <= before)
    assert.equal("memory: reset_peak: expected a boolean, got 1", errors.text(core.memory, 1))
  end)

  it("gives zeros, and counts as before, where large blocks were just given back", function()
    collectgarbage()
    local before = core.memory()
    for _, millions in ipairs { 10, 8, 30, 9, 31 } do
      core.full(millions, 1000, 1000, 7):close()
      local zeros = core.zeros(millions, 1000, 1000)
      local tensor = core.full(millions, 1000, 1000, 3)
      assert.is_true(core.memory() - before >= 8e6 * millions)
      assert.equal(0, zeros:max())
      assert.equal(3, tensor:max())
      zeros:close()
      tensor:close()
    end
    assert.is_true(core.memory() <= before)
  end)

  it("gives back what it kept when the system has no more", function()
    local script = [[
      local core = require "secateur.core"
      local kilobytes = io.open "/proc/self/status":read("a"):match "VmSize:%s*(%d+)"
      if not ... then print(kilobytes) return end
      core.full(50, 1000, 1000, 7):close() -- a spare of 200 MB
      print((core.zeros(75, 1000, 1000):max()))
    ]]
    needs.proc(pending)
    local size = tonumber(child.run(script))
    if size > 1e9 then return pending "address space is not to be limited under the address sanitizer" end
    assert.equal("0.0\n", child.run(script, ("ulimit -v %d; %%s all"):format(size + 400000)))
  end)

  it("keeps no more than an eighth of the machine's memory for later", function()
    needs.proc(pending)
    local output = child.run [[
      local core = require "secateur.core"
      local megabytes = assert(tonumber(io.open "/proc/meminfo":read("a"):match "MemTotal:%s*(%d+)")) // 1024
      local function size() return tonumber(io.open "/proc/self/status":read("a"):match "VmSize:%s*(%d+)") / 1024 end
      local before, blocks = size(), {}
      for i = 1, 6 do blocks[i] = core.zeros(megabytes // 20, 512, 512) end -- never touched, so they cost nothing
      for i = 1, 6 do blocks[i]:close() end
      print(megabytes, before, size() - before)
    ]]
    local total, before, kept = output:match "^(%S+)%s+(%S+)%s+(%S+)"
    assert.is_truthy(total, output)
    if tonumber(before) > 1e6 then return pending "the address sanitizer keeps what was freed" end
    assert.is_true(tonumber(kept) <= total / 8 + 64, output)
  end)

  it("collects short-lived tensors before they pile up", function()
    local output = child.run [[
      local core = require "secateur.core"
      for _ = 1, 300 do core.zeros(2500, 1000) end
      print((select(2, core.memory())))
    ]]
    assert.is_true(assert(tonumber(output), output) < 200e6, output)
  end)

  it("does so again after much memory was in use and given back", function()
    local output = child.run [[
      local core = require "secateur.core"
      local hoard = {}
      for i = 1, 60 do hoard[i] = core.zeros(2500, 1000) end
      for i = 1, 60 do hoard[i]:close() end
      local most = 0
      for _ = 1, 100 do
        core.zeros(2500, 1000)
        most = math.max(most, (core.memory()))
      end
      print(most)
    ]]
    assert.is_true(assert(tonumber(output), output) < 200e6, output)
  end)

  it("tells and sets the number of threads", function()
    local count = core.threads()
    assert.equal(1, core.threads(1))
    assert.equal(1, core.threads())
    assert.equal(count, core.threads(count))
    assert.equal("threads: count: expected a whole number in 1..1024, got 0", errors.text(core.threads, 0))
  end)

  it("mixes numbers into seeds that differ", function()
    local seen = {}
    for a = 0, 30 do
      for b = 0, 30 do
        local seed = core.mix(a, b)
        assert.is_true(math.type(seed) == "integer" and seed >= 0)
        assert.is_nil(seen[seed])
        seen[seed] = true
      end
    end
    assert.equal(core.mix(-1, 5), core.mix(-1, 5))
    assert.equal("mix: b: expected a whole number, got nil", errors.text(core.mix, 1))
  end)

  it("permutes", function()
    local order, seen = core.permutation(100, 3), {}
    for _, i in ipairs(order) do seen[i] = true end
    assert.equal(100, #order)
    for i = 1, 100 do assert.is_true(seen[i]) end
    assert.same(order, core.permutation(100, 3))
    assert.are_not.same(order, core.permutation(100, 4))
    assert.same({}, core.permutation(0, 1))
    assert.same({ 1 }, core.permutation(1, 1))
    assert.equal("permutation: n: expected a whole number in 0..268435456, got -1",
      errors.text(core.permutation, -1, 1))
  end)

  it("permutes without favour", function()
    local counts = {}
    for seed = 1, 6000 do
      local key = table.concat(core.permutation(3, seed))
      counts[key] = (counts[key] or 0) + 1
    end
    for _, key in ipairs { "123", "132", "213", "231", "312", "321" } do assert.near(1000, counts[key], 120) end
  end)

  it("has a clock that goes forward", function()
    local before = core.clock()
    assert.is_true(core.clock() >= before)
  end)
end)
