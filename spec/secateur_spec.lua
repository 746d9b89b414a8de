local child = require "support.child"
local sc = require "secateur"
local files = require "secateur.util.files"

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
    assert.matches("^spec/secateur_spec%.lua:%d+: secateur: no such function 'prunee'$", message)
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

  it("forces a lower level of vector instructions, and none that there is not", function()
    local script = 'print(require "secateur".cpu, require "secateur.core")'
    local cpu = require "secateur.cpu"
    assert.equal("portable", cpu.levels[1])
    assert.equal(cpu.level, sc.cpu)
    for _, level in ipairs(cpu.levels) do
      assert.matches("^" .. level .. "\ttable", child.run(script, "SECATEUR_CPU=" .. level .. " %s"))
      local maps = 'require "secateur".zeros(1) for l in io.lines "/proc/self/maps" do print(l:match "core_%w+") end'
      assert.matches("core_" .. level, child.run(maps, "SECATEUR_CPU=" .. level .. " %s"))
    end
    assert.matches("SECATEUR_CPU: expected avx512, avx2 or portable, got 'sse2'",
      child.run(script, "SECATEUR_CPU=sse2 %s"))
    if cpu.levels[#cpu.levels] ~= "avx512" then
      assert.matches("SECATEUR_CPU: expected at most " .. cpu.levels[#cpu.levels] .. ", the highest level of this " ..
        "processor, got 'avx512'", child.run(script, "SECATEUR_CPU=avx512 %s"))
    end
  end)

  it("speaks before the core is loaded, without loading OpenBLAS itself", function()
    local maps = 'for line in io.lines("/proc/self/maps") do if line:find("openblas") then print(line) break end end'
    assert.are.equal("", run(nil, 'require("secateur.cpu").prepare() ' .. maps))
    assert.matches("openblas", run(nil, 'require("secateur.core") ' .. maps))
  end)
end)
