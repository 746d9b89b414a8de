local core = require "secateur.core_double"
local gradcheck = require "support.gradcheck"
local single = require "support.single"

describe("select", function()
  it("has the gradient of its values", function()
    gradcheck.check { op = "select", inputs = { { 5, 7 } } }
    gradcheck.check { op = "select", inputs = { { 5, 7 } }, attrs = { index = 5 } }
  end)

  it("takes one token, the first unless told otherwise, counted from 1", function()
    for index = 1, 5 do
      local attrs = index > 1 and { index = index } or nil
      local x, y, _, shape = single.run(core, { op = "select", inputs = { { 5, 7 } }, attrs = attrs }, 3)
      assert.same({ 3, 7 }, shape)
      local expected = {}
      for b = 0, 2 do
        local first = (b * 5 + index - 1) * 7
        table.move(x, first + 1, first + 7, #expected + 1, expected)
      end
      assert.same(expected, y)
    end
  end)

  it("refuses what is not tokens, and tokens that are not there", function()
    local function refusal(inputs, index)
      return single.refusal(core, { op = "select", inputs = { inputs }, attrs = { index = index } })
    end
    assert.equal("select 'n': input: expected [tokens x features], got [3x5x7]", refusal({ 3, 5, 7 }, 1))
    assert.equal("select 'n': index: expected 1 to 5, the tokens of [5x7], got 6", refusal({ 5, 7 }, 6))
    assert.equal("select 'n': index: expected a whole number in 1..2147483647, got 0", refusal({ 5, 7 }, 0))
  end)
end)
