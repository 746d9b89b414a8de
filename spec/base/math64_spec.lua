local core = require "secateur.core"
local double = require "secateur.core_double"
local errors = require "support.errors"

-- How many doubles lie between two of the same sign.
local function distance(a, b)
  if a == b or (a ~= a and b ~= b) then return 0 end
  if a ~= a or b ~= b or (a < 0) ~= (b < 0) then return math.huge end
  local first, second = string.unpack("<i8", string.pack("<d", a)), string.unpack("<i8", string.pack("<d", b))
  return math.abs(first - second)
end

local function check(name, got, expected, most, ...)
  if distance(got, expected) <= most then return end
  error(("%s(%s): expected %a, got %a"):format(name, table.concat({ ... }, ", "), expected, got), 2)
end

-- `count` numbers from low to high, evenly spread but for a seeded shift of each.
local function spread(count, low, high)
  local list = core.rand(count, { seed = count }):totable()
  for i, shift in ipairs(list) do list[i] = low + (high - low) * (i - shift) / count end
  return list
end

-- Numbers of both signs and of all sizes from 2^low to 2^high.
local function wide(low, high)
  local list = {}
  for _, exponent in ipairs(spread(2000, low, high)) do
    local size = 2.0 ^ (exponent // 1) * (1 + exponent % 1)
    list[#list + 1], list[#list + 2] = size, -size
  end
  return list
end

local special = { 0.0, -0.0, math.huge, -math.huge, 0 / 0, 1.0, -1.0, 0.5, -0.5, 2.0, -2.0, 3.0, -3.0, -7.5, 5e-324,
  -5e-324, 0x1p-1022, 1.7e308, -1.7e308, 0x1p53, 0x1p53 + 2, -0x1p60, 0.99999999 }

-- C's results to the same bits for what is not a matter of rounding: zeros with their signs, infinities, NaN.
local function check_special(name, got, expected, ...)
  check(name, got, expected, 2, ...)
  if expected == 0 and 1 / got ~= 1 / expected then error(name .. ": a zero of the wrong sign", 2) end
end

describe("functions of numbers that are the same everywhere", function()
  it("agree with the C library's exponential function, logarithm, sine and cosine", function()
    local lists = { exp = { spread(4000, -745.2, 709.9), spread(2000, -2, 2), wide(-60, 8) },
      log = { wide(-1074, 1023), spread(4000, 0.5, 2), spread(2000, 0.999, 1.001) },
      sin = { spread(4000, -10, 10), wide(-60, 18) }, cos = { spread(4000, -10, 10), wide(-60, 18) } }
    for name, of in pairs(lists) do
      for _, list in ipairs(of) do
        for _, x in ipairs(list) do
          if name ~= "log" or x > 0 then check(name, core.math[name](x), math[name](x), 2, x) end
        end
      end
      for n = 1, name:find "[sc]" and 3000 or 0 do -- where sines and cosines are near zero
        local x = n * 220 * math.pi / 2
        check(name, core.math[name](x), math[name](x), 2, x)
      end
      for _, x in ipairs(special) do
        if name == "exp" or name == "log" or math.abs(x) <= 0x1p20 then
          check_special(name, core.math[name](x), math[name](x), x)
        end
      end
    end
  end)

  it("agree with the C library's power", function()
    for i, y in ipairs(spread(3000, -400, 400)) do
      local x = 2.0 ^ ((i * 7 % 101 - 50) / 40)
      check("pow", core.math.pow(x, y), x ^ y, 2, x, y)
      x = i / 3000
      check("pow", core.math.pow(x, i % 17 / 5), x ^ (i % 17 / 5), 2, x, i % 17 / 5)
    end
    for _, x in ipairs(wide(-1074, 1023)) do check("pow", core.math.pow(x, -3), x ^ -3, 2, x, -3) end
    for _, x in ipairs(special) do
      for _, y in ipairs(special) do check_special("pow", core.math.pow(x, y), x ^ y, x, y) end
    end
  end)

  it("give powers that are whole numbers exactly", function()
    for base = 2, 40 do
      local product, n = 1, 0
      while product < 1 << 53 do
        assert.equal(product, core.math.pow(base, n))
        product, n = product * base, n + 1
      end
    end
  end)

  it("include the hyperbolic tangent and the complementary error function", function()
    for _, x in ipairs(spread(3000, 0.6, 25)) do
      check("tanh", core.math.tanh(x), 1 - 2 / (math.exp(2 * x) + 1), 4, x)
      assert.equal(-core.math.tanh(x), core.math.tanh(-x))
    end
    for _, x in ipairs(spread(3000, 0, 0.01)) do -- its series
      check("tanh", core.math.tanh(x), x - x * x * x / 3 + 2 * x ^ 5 / 15 - 17 * x ^ 7 / 315, 3, x)
    end
    for _, x in ipairs(spread(3000, 0, 28)) do
      check("erfc", core.math.erfc(-x), 2 - core.math.erfc(x), 1, x)
      local h = 1e-4 -- its slope
      local slope = (core.math.erfc(x + h) - core.math.erfc(x - h)) / (2 * h)
      assert.is_true(math.abs(slope + 2 / math.sqrt(math.pi) * math.exp(-x * x)) < 1e-8)
    end
    local known = { [0.25] = 0.7236736098317630671, [0.5] = 0.4795001221869534623, [1] = 0.1572992070502851307,
      [2] = 0.004677734981047265838, [5] = 1.537459794428034850e-12, [10] = 2.088487583762544757e-45,
      [26] = 5.663192408856142846e-296, [30] = 0 }
    for x, value in pairs(known) do check("erfc", core.math.erfc(x), value, 4, x) end
    check("tanh", core.math.tanh(0.25), 0.2449186624037091293, 1, 0.25)
    check_special("tanh", core.math.tanh(-0.0), -0.0)
    check_special("tanh", core.math.tanh(-math.huge), -1)
    check_special("erfc", core.math.erfc(-math.huge), 2)
    check_special("erfc", core.math.erfc(0 / 0), 0 / 0)
  end)

  -- Whoever gets others here has a compiler that contracts, widens or reorders operations.
  it("have these bits", function()
    for _, math64 in ipairs { core.math, double.math } do
      local got = {}
      local function add(value) got[#got + 1] = ("%a"):format(value) end
      for _, x in ipairs { -700.3, -1e-3, 0.1, 1, 33.3 } do add(math64.exp(x)) end
      for _, x in ipairs { 1e-310, 0.3, 0.9999, 1.3, 1e100 } do add(math64.log(x)) end
      for _, x in ipairs { 0.1, 1, 3, 355, 1e5 } do add(math64.sin(x)) add(math64.cos(x)) end
      for _, x in ipairs { { 0.9, 37 }, { 0.999, 1e4 }, { 1.3, -200.7 }, { 1e-300, 0.7 }, { 0.2, 1 / 3 } } do
        add(math64.pow(x[1], x[2]))
      end
      for _, x in ipairs { 0.01, 0.3, 1.7 } do add(math64.tanh(x)) add(math64.erfc(x)) end
      assert.same({
        "0x1.9a5615b10648ap-1011", "0x1.ff7cfe56f1a9ep-1", "0x1.1aec7b35a00d4p+0", "0x1.5bf0a8b145769p+1",
        "0x1.078401f5a3ec8p+48", "-0x1.64e69394d9508p+9", "-0x1.34378fcbda721p+0", "-0x1.a3738d2cf1cc2p-14",
        "0x1.0ca937be1b9dcp-2", "0x1.cc845b54b54f2p+7", "0x1.98eaecb8bcb2cp-4", "0x1.fd712f9a817c1p-1",
        "0x1.aed548f090ceep-1", "0x1.14a280fb5068cp-1", "0x1.210386db6d55bp-3", "-0x1.fae04be85e5d2p-1",
        "-0x1.f9bd0307d1de3p-16", "-0x1.fffffffc18e4cp-1", "0x1.24daa9c527e96p-5", "-0x1.ffac3841b3da7p-1",
        "0x1.4c31dc5657068p-6", "0x1.7af105956a80fp-15", "0x1.05df3203f51a2p-76", "0x1.50a6110d6aa6ep-698",
        "0x1.2b6b5edf6b54ap-1", "0x1.47ab48ae4595ep-7", "0x1.fa390f6666a12p-1", "0x1.2a4dda7d914fap-2",
        "0x1.57be3bbf10af8p-1", "0x1.deedf00d3e7f5p-1", "0x1.0993be8f17094p-6"
      }, got)
    end
  end)

  it("refuse what they are not made for", function()
    assert.equal("math.exp: x: expected a number, got '1'", errors.text(core.math.exp, "1"))
    assert.equal("math.pow: y: expected a number, got nil", errors.text(core.math.pow, 1))
    for _, name in ipairs { "sin", "cos" } do
      assert.equal(("math.%s: x: expected a number in -2^20..2^20, got 1e+30"):format(name),
        errors.text(core.math[name], 1e30))
      assert.is_true(core.math[name](0 / 0) ~= core.math[name](0 / 0))
    end
  end)
end)
