local core = require "secateur.core"
local double = require "secateur.core_double"
local errors = require "support.errors"

local nan, inf = 0 / 0, math.huge

local function table_of(...) return core.tensor(...):totable() end

describe("tensor arithmetic", function()
  it("works element by element, leaving its operands alone", function()
    local a, b = core.tensor { 1, 2, 3 }, core.tensor { 4, 0.5, -1 }
    assert.same({ 5, 2.5, 2 }, (a + b):totable())
    assert.same({ -3, 1.5, 4 }, (a - b):totable())
    assert.same({ 4, 1, -3 }, (a * b):totable())
    assert.same({ 0.25, 4, -3 }, (a / b):totable())
    assert.same({ -1, -2, -3 }, (-a):totable())
    assert.same({ 4, 0.5, 1 }, b:abs():totable())
    assert.same({ 1, 2, 3 }, a:totable())
    assert.same((a + b):totable(), a:add(b):totable())
    assert.same((a - b):totable(), a:sub(b):totable())
    assert.same((a * b):totable(), a:mul(b):totable())
    assert.same((a / b):totable(), a:div(b):totable())
  end)

  it("takes numbers on either side", function()
    local a = core.tensor { 1, 2, 4 }
    assert.same({ 3, 4, 6 }, (a + 2):totable())
    assert.same({ 1, 0, -2 }, (2 - a):totable())
    assert.same({ 4, 2, 1 }, (4 / a):totable())
    assert.same({ 0.5, 1, 2 }, (a * 0.5):totable())
  end)

  it("stretches sizes of 1, aligned at the end", function()
    local column, row = core.tensor { { 1 }, { 2 } }, core.tensor { 10, 20, 30 }
    assert.same({ { 11, 21, 31 }, { 12, 22, 32 } }, (column + row):totable())
    assert.same({ { -9, -19, -29 }, { -8, -18, -28 } }, (column - row):totable())
    local cube = core.tensor { { { 1, 2 }, { 3, 4 } }, { { 5, 6 }, { 7, 8 } } }
    local by_plane = core.tensor { { { 10 } }, { { 20 } } }
    assert.same({ { { 10, 20 }, { 30, 40 } }, { { 100, 120 }, { 140, 160 } } }, (cube * by_plane):totable())
    assert.same({ 1, 3, 2 }, (core.zeros(1, 1, 2) + core.zeros(3, 1)):shape())
    assert.same({ 2, 0 }, (core.zeros(2, 1) + core.zeros(0)):shape())
    assert.equal("add: shapes [2] and [3] are not broadcastable",
      errors.text(function() return core.zeros(2) + core.zeros(3) end))
    assert.equal("mul: shapes [2x3] and [2] are not broadcastable",
      errors.text(function() return core.zeros(2, 3) * core.zeros(2) end))
  end)

  it("clamps, and leaves what is not a number", function()
    local t = core.tensor { -3, 0, 5 }
    assert.same({ -1, 0, 2 }, t:clamp(-1, 2):totable())
    assert.same({ -3, 0, 2 }, t:clamp(nil, 2):totable())
    assert.same({ 1, 1, 5 }, t:clamp(1):totable())
    local odd = core.tensor({ nan }):clamp(0, 1):get(1)
    assert.is_true(odd ~= odd)
  end)

  it("sums, averages and finds the largest, in all or along a dimension", function()
    local t = core.tensor { { 1, 5, -2 }, { 4, 0, 7 } }
    assert.equal(15, t:sum())
    assert.equal(2.5, t:mean())
    assert.equal(7, t:max())
    assert.same({ 5, 5, 5 }, t:sum(1):totable())
    assert.same({ 4, 11 }, t:sum(2):totable())
    assert.same({ 2.5, 2.5, 2.5 }, t:mean(1):totable())
    assert.same({ 4, 5, 7 }, t:max(1):totable())
    assert.same({ 5, 7 }, t:max(2):totable())
    assert.same({ 2, 1, 2 }, t:argmax(1):totable())
    assert.same({ 2, 3 }, t:argmax(2):totable())
    assert.equal("integer", math.type(t:argmax(1):get(1)))
    assert.equal(1, core.tensor({ 3, 3, 3 }):argmax(1):get())
    local cube = core.tensor { { { 1, 2 }, { 3, 4 } }, { { 5, 6 }, { 7, 8 } } }
    assert.same({ { 4, 6 }, { 12, 14 } }, cube:sum(2):totable())
  end)

  it("sums in double", function()
    local parts = core.full(1000, 1000, 0.1)
    assert.near(1e6 * string.unpack("<f", string.pack("<f", 0.1)), parts:sum(), 1e-6)
  end)

  it("keeps what is not a number in sums and largest", function()
    local t = core.tensor { 1, nan, 3 }
    assert.is_true(t:max() ~= t:max())
    assert.is_true(t:sum() ~= t:sum())
    assert.equal(-inf, core.zeros(0):max())
    assert.is_true(core.zeros(0):mean() ~= core.zeros(0):mean())
    assert.same({ 0, 0 }, core.zeros(0, 2):sum(1):totable())
    assert.equal("argmax: expected a dimension with elements", errors.text(function() core.zeros(2, 0):argmax(2) end))
  end)

  it("multiplies matrices", function()
    local a, b = core.tensor { { 1, 2, 3 }, { 4, 5, 6 } }, core.tensor { { 1, 0 }, { 0, 1 }, { 2, -1 } }
    assert.same({ { 7, -1 }, { 16, -1 } }, a:matmul(b):totable())
    assert.same({ { 0, 0 } }, core.zeros(1, 0):matmul(core.zeros(0, 2)):totable())
    assert.equal("matmul: expected matrices [m x k] and [k x n], got [2x3] and [2x3]", errors.text(a.matmul, a, a))
    assert.equal("matmul: expected matrices [m x k] and [k x n], got [2x3] and [3]",
      errors.text(a.matmul, a, core.zeros(3)))
  end)

  it("compares with tolerance, and nothing is close to what is not a number", function()
    local a = core.tensor { 1, 100 }
    assert.is_true(a:allclose(core.tensor { 1.000001, 100.0001 }))
    assert.is_false(a:allclose(core.tensor { 1.001, 100 }))
    assert.is_true(a:allclose(core.tensor { 1.001, 100 }, 0, 0.01))
    assert.is_true(a:allclose(core.tensor { 1, 101 }, 0.01))
    assert.is_false(a:allclose(core.tensor { { 1, 100 } }))
    local odd = core.tensor { nan, 1 }
    assert.is_false(odd:allclose(odd))
    assert.is_false(core.tensor({ 1 }):allclose(core.tensor { nan }))
    assert.is_true(core.tensor({ inf }):allclose(core.tensor { inf }))
    assert.is_false(core.tensor({ inf }):allclose(core.tensor { -inf }))
    assert.is_false(core.tensor({ 1 }):allclose(core.tensor { inf }))
  end)

  it("is for real numbers of one build", function()
    local whole = core.tensor({ 1 }, "int64")
    assert.equal("add: self: expected a tensor of float32, got one of int64",
      errors.text(function() return whole + whole end))
    assert.equal("sum: self: expected a tensor of float32, got one of int64", errors.text(whole.sum, whole))
    assert.equal("mul: other: expected a Tensor, got 'x'", errors.text(function() return core.ones(1) * "x" end))
    assert.is_string(errors.text(function() return core.ones(1) + double.ones(1) end))
    assert.equal("sum: dimension: expected a whole number in 1..1, got 2",
      errors.text(function() core.ones(1):sum(2) end))
    assert.same({ 3 }, table_of { 3 })
  end)
end)
