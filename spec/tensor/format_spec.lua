local core = require "secateur.core"

local function lines(...) return table.concat({ ... }, "\n") end

describe("a printed tensor", function()
  it("shows its shape, its type and its numbers in columns", function()
    assert.equal(lines("Tensor [2x3] float32", "[[1, 2, 3],", " [4, 5, 6]]"),
      tostring(core.tensor { { 1, 2, 3 }, { 4, 5, 6 } }))
    assert.equal(lines("Tensor [2x2] float32", "[[ 0.5000, -2.2500],", " [   -inf,     nan]]"),
      tostring(core.tensor { { 0.5, -2.25 }, { -1 / 0, 0 / 0 } }))
    assert.equal(lines("Tensor [2x2] int64", "[[   -1,     2],", " [30000,     4]]"),
      tostring(core.tensor({ { -1, 2 }, { 30000, 4 } }, "int64")))
    assert.equal(lines("Tensor [3] uint8", "[  0,   7, 255]"), tostring(core.tensor({ 0, 7, 255 }, "uint8")))
    assert.equal(lines("Tensor [] float32", "0.1000"), tostring(core.full(0.1)))
    assert.equal(lines("Tensor [0x3] float32", "[]"), tostring(core.zeros(0, 3)))
  end)

  it("writes very small and very large numbers with an exponent", function()
    assert.equal(lines("Tensor [2] float32", "[1.0000e-09, 2.5000e+00]"), tostring(core.tensor { 1e-9, 2.5 }))
    assert.equal(lines("Tensor [2] float32", "[1.0000e+06, 0.0000e+00]"), tostring(core.tensor { 1e6, 0 }))
  end)

  it("shows the beginning and the end of long dimensions", function()
    local row = {}
    for i = 1, 11 do row[i] = i end
    assert.equal(lines("Tensor [11] int64", "[ 1,  2,  3,  4, ...,  8,  9, 10, 11]"),
      tostring(core.tensor(row, "int64")))
    local column = {}
    for i = 1, 17 do column[i] = { i } end
    assert.equal(lines("Tensor [17x1] int64", "[[ 1],", " [ 2],", " [ 3],", " [ 4],", " ...,", " [14],", " [15],",
      " [16],", " [17]]"), tostring(core.tensor(column, "int64")))
  end)

  it("shows the last two dimensions as blocks under the indices of the others", function()
    assert.equal(lines("Tensor [2x2x1x2] int64", "[1, 1]:", "[[1, 2]]", "[1, 2]:", "[[3, 4]]", "[2, 1]:", "[[5, 6]]",
      "[2, 2]:", "[[7, 8]]"), tostring(core.tensor({ 1, 2, 3, 4, 5, 6, 7, 8 }, "int64"):reshape(2, 2, 1, 2)))
    local text = tostring(core.zeros(32, 3, 7, 2))
    assert.matches("%[1, 2%]:\n%[%[0, 0%],\n %[0, 0%],\n %.%.%.,\n %[0, 0%],\n %[0, 0%]%]\n%.%.%.\n%[32, 3%]:", text)
  end)

  it("takes 20 lines at most, of a few columns", function()
    for _, shape in ipairs { { 1000 }, { 1000, 1000 }, { 16, 10 }, { 2, 6, 3 }, { 2, 7, 11 }, { 100, 1, 1 },
      { 3, 5, 2 }, { 4, 4, 3 }, { 9, 2, 2, 2 }, { 3, 3, 3, 17, 17 } } do
      local text = tostring(core.tensor({ fill = math.mininteger, table.unpack(shape) }, "int64"))
      assert.is_true(select(2, text:gsub("\n", "\n")) < 20, text)
      for line in text:gmatch "[^\n]+" do assert.is_true(#line <= 240, line) end
    end
  end)

  it("has shapes that print too", function()
    assert.equal("[2x3]", tostring(core.zeros(2, 3):shape()))
    assert.equal("[]", tostring(core.full(1):shape()))
    local shape = core.zeros(2, 3):shape()
    shape[3] = 4
    assert.equal("[2x3x4]", tostring(shape))
  end)
end)
