-- Products of matrices: against sums in Lua, in the order that csrc/kernel/tile.h defines, to the bit; against
-- OpenBLAS; and the same bits wherever a number stands and however many threads there are.
local core = require "secateur.core"
local needs = require "support.needs"

local CHAIN = 256

local function single(x) return string.unpack("<f", string.pack("<f", x)) end

-- x * y + z with one rounding to float. The product of two floats is exact in a double; where the sum is not, what it
-- lost decides halves.
local function fma(x, y, z)
  local product = x * y
  local sum = product + z
  local part = sum - product
  local lost = (product - (sum - part)) + (z - part)
  local bits = string.unpack("<i8", string.pack("<d", sum))
  if lost ~= 0 and bits & 1 == 0 then
    bits = bits + ((lost > 0) == (sum > 0) and 1 or -1)
    sum = string.unpack("<d", string.pack("<i8", bits))
  end
  return single(sum)
end

-- One number of a product by definition.
local function defined(row, column)
  local total
  for first = 1, #row, CHAIN do
    local sum = 0.0
    for k = first, math.min(first + CHAIN - 1, #row) do sum = fma(row[k], column[k], sum) end
    total = total and single(total + sum) or sum
  end
  return total
end

local sizes = { { 1, 1, 1 }, { 5, 7, 3 }, { 13, 33, 255 }, { 12, 32, 256 }, { 25, 65, 257 }, { 3, 100, 700 },
  { 100, 3, 1300 }, { 250, 270, 20 } }

describe("a product", function()
  local threads_before = core.threads()
  after_each(function() core.threads(threads_before) end)

  it("sums in the order of its definition, to the bit", function()
    for _, size in ipairs(sizes) do
      local m, n, k = table.unpack(size)
      local a, b = core.randn(m, k, { seed = m }), core.randn(k, n, { seed = n })
      local c, rows, columns = a:matmul(b):totable(), a:totable(), {}
      for j = 1, n do
        columns[j] = {}
        for i = 1, k do columns[j][i] = b:get(i, j) end
      end
      for i = 1, m, math.max(1, m // 4) do
        for j = 1, n, math.max(1, n // 4) do
          assert.equal(defined(rows[i], columns[j]), c[i][j], ("%d x %d x %d at %d, %d"):format(m, n, k, i, j))
        end
      end
    end
  end)

  it("agrees with OpenBLAS", function()
    local openblas = needs.openblas(pending)
    for _, size in ipairs(sizes) do
      local m, n, k = table.unpack(size)
      local a, b = core.randn(m, k, { seed = m }), core.randn(k, n, { seed = n })
      local theirs = openblas.matrix(a:totable()):multiply(openblas.matrix(b:totable()))
      local difference = a:matmul(b) - core.tensor(theirs:totable())
      assert.is_true(difference:abs():max() < 1e-6 * math.sqrt(k) * 10)
    end
    assert.has_error(function() core.zeros(2, 3):matmul(core.zeros(2, 3)) end,
      "matmul: expected matrices [m x k] and [k x n], got [2x3] and [2x3]")
  end)

  it("has the same bits wherever a number stands, and with any number of threads", function()
    local a, b = core.randn(130, 600, { seed = 1 }), core.randn(600, 300, { seed = 2 })
    local whole = a:matmul(b)
    for _, threads in ipairs { 1, 2, 3, 8 } do
      core.threads(threads)
      assert.is_true(a:matmul(b):allclose(whole, 0, 0))
      for first = 1, 130, 37 do
        local last = math.min(first + 20, 130)
        assert.is_true(a:view(first, last):matmul(b):allclose(whole:view(first, last), 0, 0))
      end
    end
  end)

  it("has them too where few rows meet lines that are read as they lie", function()
    for _, size in ipairs { { 1, 1 }, { 3, 3 }, { 255, 33 }, { 258, 5 }, { 600, 70 }, { 257, 16 } } do
      local k, n = table.unpack(size)
      local weight, x = core.randn(n, k, { seed = 3 }), core.randn(12, k, { seed = 4 })
      local graph, columns = core.graph(), core.zeros(k, n)
      graph:add("input", "x", {}, { shape = { k } })
      graph:add("linear", "y", { "x" }, { out = n, bias = false })
      graph:set_parameter("y.weight", weight)
      for i = 1, k do
        for j = 1, n do columns:set(weight:get(j, i), i, j) end
      end
      local whole = x:matmul(columns)
      for rows = 1, 12 do
        local y = core.plan(graph, { batch = rows }):forward(x:view(1, rows))
        assert.is_true(y:allclose(whole:view(1, rows), 0, 0), ("%d rows, %d numbers, %d lines"):format(rows, k, n))
      end
    end
  end)

  it("hands on what is not finite, and sums nothing to zero", function()
    local a = core.ones(3, 40)
    a:set(1 / 0, 1, 2)
    a:set(0 / 0, 2, 2)
    local c = a:matmul(core.ones(40, 35))
    assert.equal(1 / 0, c:get(1, 35))
    assert.is_true(c:get(2, 1) ~= c:get(2, 1))
    assert.equal(40, c:get(3, 17))
  end)
end)
