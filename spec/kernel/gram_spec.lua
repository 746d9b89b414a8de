local core = require "secateur.core"

-- a^T b in Lua's doubles.
local function slow(a, b)
  local x, y, sums = a:totable(), (b or a):totable(), {}
  for i = 1, #x[1] do
    sums[i] = {}
    for j = 1, #y[1] do
      local sum = 0
      for r = 1, #x do sum = sum + x[r][i] * y[r][j] end
      sums[i][j] = sum
    end
  end
  return sums
end

local function transpose(x)
  local rows, out = x:totable(), {}
  for j = 1, #rows[1] do
    out[j] = {}
    for i = 1, #rows do out[j][i] = rows[i][j] end
  end
  return core.tensor(out)
end

local function assert_near(expected, got, scale)
  assert.equal(#expected, #got)
  for i, row in ipairs(expected) do
    assert.equal(#row, #got[i])
    for j, value in ipairs(row) do
      assert.is_true(math.abs(value - got[i][j]) <= 3e-6 * scale, ("%d %d: %g, got %g"):format(i, j, value, got[i][j]))
    end
  end
end

describe("gram", function()
  it("sums products of columns over rows", function()
    for seed, size in ipairs { { 1, 1, 1 }, { 300, 5, 3 }, { 256, 50, 60 }, { 1030, 101, 7 } } do
      local a = core.randn(size[1], size[2], { seed = seed })
      local b = core.randn(size[1], size[3], { seed = seed + 100 })
      assert_near(slow(a, b), core.gram(a, b), math.sqrt(size[1]) * 4)
    end
  end)

  it("sums over columns in the kernel form", function()
    local a, b = core.randn(700, 23, { seed = 1 }), core.randn(700, 61, { seed = 2 })
    assert_near(slow(a, b), core.gram(transpose(a), transpose(b), true), 100)
    assert.same(core.gram(a, b), core.gram(transpose(a), transpose(b), true))
  end)

  it("of a matrix with itself is symmetric, and the same as with a copy", function()
    local a = core.randn(530, 250, { seed = 3 })
    local sums = core.gram(a)
    for i, row in ipairs(sums) do
      for j = 1, i do assert.equal(row[j], sums[j][i]) end
    end
    assert.same(core.gram(a, a:clone()), sums)
    assert.same(sums, core.gram(transpose(a), nil, true))
  end)

  it("adds chunks of 256 terms in double precision", function()
    local rows = {}
    for r = 1, 512 do rows[r] = { r <= 256 and 4096 or 2 ^ -12 } end -- in float the second half would vanish
    assert.same({ { 256 * 4096 ^ 2 + 256 * 2 ^ -24 } }, core.gram(core.tensor(rows)))
  end)

  it("says what does not fit", function()
    assert.error_matches(function() core.gram(core.zeros(3, 2), core.zeros(4, 2)) end,
      "gram: expected matrices that share their rows", nil, true)
  end)
end)
