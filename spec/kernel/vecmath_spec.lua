-- The elementwise functions in float against libm's in double, over every 61st of all 2^32 floats, or every one with
-- VECMATH=all (half an hour of one core), or every VECMATH-th.
local core = require "secateur.core"
local cpu = require "secateur.cpu"
local needs = require "support.needs"
local single = require "support.single"

local setting = os.getenv "VECMATH" or "61"
local step = setting == "all" and 1 or assert(tonumber(setting), "VECMATH: expected a number or all")

-- Name; largest error, in units in the last place (of the largest term, for the slopes), found over all floats from
-- 2^-30 to 256, outside of which functions are lines or constants; checksum of the bits for every 9973rd float.
local functions = {
  { "exp", 0.9910, 0x63df1c739d637a70 },
  { "tanh", 1.5257, 0xdb9a994037d9bcaf },
  { "sigmoid", 1.0292, 0x168b29e837981dd4 },
  { "silu", 1.1509, 0xfe6c54bfe54e125c },
  { "silu_slope", 1.1598, 0xbc7918f5d370dc4b },
  { "normal_cdf", 1.5022, 0xd2b23afedbd59fb6 },
  { "normal_density", 1.2251, 0x295d8b2acfb90714 },
  { "gelu", 1.2647, 0x471b2abb6f1722bf },
  { "gelu_slope", 1.7904, 0xc7b14d2332c4b711 },
  { "gelu_tanh", 1.1358, 0x9a5b3f51d8c97d94 },
  { "gelu_tanh_slope", 1.1281, 0x6ca64cc9a2aff8ec },
}

local function load(level) return require("spec.vecmath_" .. level) end

-- Checksums of the portable level, by function: every other level is held against them.
local portable = setmetatable({}, { __index = function(sums, i)
  sums[i] = load("portable").checksum(i, step)
  return sums[i]
end })

describe("an elementwise function", function()
  it("is within its error of the exact value everywhere", function()
    local probe = load(cpu.level)
    assert.equal(#functions, #probe.names)
    for i, row in ipairs(functions) do
      assert.equal(row[1], probe.names[i])
      local worst, where = probe.error(i, step)
      assert(worst <= row[2], ("%s: %.4f units in the last place at %.9g (%a)"):format(row[1], worst, where, where))
    end
  end)

  for _, level in ipairs(needs.levels) do
    it(("has the same bits at level %s, and on every machine"):format(level), function()
      needs.level(pending, level)
      for i, row in ipairs(functions) do
        assert.equal(("%016x"):format(row[3]), ("%016x"):format(load(level).checksum(i, 9973)), row[1])
        assert.equal(portable[i], load(level).checksum(i, step), row[1])
      end
    end)
  end

  it("goes to its limits at infinity, and keeps zero's sign and NaN", function()
    local x = { -math.huge, -0.0, 0.0, math.huge, 0 / 0 }
    local rectified = "-0 -0 0 inf"
    for op, expected in pairs { sigmoid = "0 0.5 0.5 1", tanh = "-1 -0 0 1", silu = rectified, gelu = rectified } do
      for _, attrs in ipairs(op == "gelu" and { {}, { approximation = "tanh" } } or { {} }) do
        local graph = single.graph(core, { op = op, inputs = { { #x } }, attrs = attrs })
        local y = core.plan(graph, {}):forward(core.tensor { x }):totable()[1]
        assert.equal(expected, ("%g %g %g %g"):format(table.unpack(y)), op)
        assert.is_true(y[5] ~= y[5], op)
      end
    end
  end)
end)
