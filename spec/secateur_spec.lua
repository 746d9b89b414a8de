local child = require "support.child"
local cpu = require "secateur.cpu"
local files = require "secateur.util.files"
local needs = require "support.needs"
local sc = require "secateur"

describe("require 'secateur'", function()
  it("has every name that its list promises", function()
    local count = 0
    for name in assert(files.read_all("lua/secateur/init.lua")):gmatch('\n  ([%w_]+) = "[%w_.:]+",') do
      assert.is_not_nil(sc[name], name)
      count = count + 1
    end
    assert.is_true(count >= 7)
  end)

  it("names what it does not have, at the caller's line", function()
    local ok, message = pcall(function() return sc.prunee end)
    assert.is_false(ok)
    assert.matches("^spec/secateur_spec%.lua:%d+: secateur: no such function 'prunee'; did you mean 'prune'%?$",
      message)
  end)

  it("makes tensors", function()
    assert.are.same({ { 0, 0, 0 }, { 0, 0, 0 } }, sc.zeros(2, 3):totable())
  end)
end)

describe("secateur.cpu", function()
  local script = 'print(require "secateur".cpu, require "secateur.core")'

  it("knows the levels of vector instructions that the processor has, from the lowest", function()
    assert.equal("portable", cpu.levels[1])
    assert.same(table.move(needs.levels, 1, #cpu.levels, 1, {}), cpu.levels)
    assert.equal(cpu.level, sc.cpu)
    assert.matches("SECATEUR_CPU: expected avx512, avx2 or portable, got 'sse2'",
      child.run(script, "SECATEUR_CPU=sse2 %s"))
  end)

  for _, level in ipairs(needs.levels) do
    it("takes the level " .. level .. " when told to", function()
      needs.level(pending, level)
      assert.matches("^" .. level .. "\ttable", child.run(script, "SECATEUR_CPU=" .. level .. " %s"))
      local maps = 'require "secateur".zeros(1) for l in io.lines "/proc/self/maps" do print(l:match "core_%w+") end'
      assert.matches("core_" .. level, child.run(maps, "SECATEUR_CPU=" .. level .. " %s"))
    end)
  end

  it("refuses a level that the processor does not have", function()
    local level = needs.missing_level(pending)
    assert.matches(("SECATEUR_CPU: expected at most %s, the highest level of this processor, got '%s'")
      :format(cpu.levels[#cpu.levels], level), child.run(script, ("SECATEUR_CPU=%s %%s"):format(level)))
  end)

  it("sets how long threads look for work", function()
    local get = 'local get = os.getenv print(get "GOMP_SPINCOUNT") require("secateur.cpu").prepare() ' ..
      'print(get "GOMP_SPINCOUNT")'
    assert.equal("nil\n2000\n", child.run(get, "unset GOMP_SPINCOUNT OMP_WAIT_POLICY; %s"))
    assert.equal("7\n7\n", child.run(get, "GOMP_SPINCOUNT=7 %s"))
  end)

  it("links neither BLAS nor GCC's OpenMP library into the product", function()
    needs.proc(pending)
    assert.equal("", child.run('require "secateur.core" for line in io.lines "/proc/self/maps" do ' ..
      'if line:find "blas" or line:find "libgomp" then print(line) end end'))
  end)
end)
