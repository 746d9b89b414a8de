local child = require "support.child"
local cpu = require "secateur.cpu"
local files = require "secateur.util.files"
local needs = require "support.needs"
local sc = require "secateur"

-- Runs Lua code in a fresh process, with OPENBLAS_CORETYPE unset or set, and gives what it printed.
local function run(coretype, code)
  local setting = coretype and "export OPENBLAS_CORETYPE=" .. coretype or "unset OPENBLAS_CORETYPE"
  local good, output = child.try(code, setting .. "; %s")
  assert(good, output)
  return output
end

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
  local report = 'local c = require("secateur.cpu").prepare() ' ..
    'print(c.vendor, c.avx2, c.avx512, c.coretype, c.coretype_set, os.getenv("OPENBLAS_CORETYPE"))'

  it("tells OpenBLAS of AVX-512 on AMD, and nothing elsewhere", function()
    local vendor, _, avx512, coretype, set, env = run(nil, report):match("(%S+)\t(%S+)\t(%S+)\t(%S+)\t(%S+)\t(%S+)\n")
    local helps = vendor == "amd" and avx512 == "true"
    assert.are.same({ helps and "SkylakeX" or "nil", tostring(helps), helps and "SkylakeX" or "nil" },
      { coretype, set, env })
  end)

  it("leaves what the user has set", function()
    assert.matches("\tHaswell\tfalse\tHaswell\n$", run("Haswell", report))
  end)

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

  it("speaks before the core is loaded, without loading OpenBLAS itself", function()
    local maps = 'for line in io.lines("/proc/self/maps") do if line:find("openblas") then print(line) break end end'
    assert.are.equal("", run(nil, 'require("secateur.cpu").prepare() ' .. maps))
    assert.matches("openblas", run(nil, 'require("secateur.core") ' .. maps))
  end)
end)
