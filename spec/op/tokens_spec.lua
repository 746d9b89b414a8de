local core = require "secateur.core_double"
local gradcheck = require "support.gradcheck"
local single = require "support.single"

describe("tokens", function()
  it("has the gradient of its values", function()
    gradcheck.check { op = "tokens", inputs = { { 5, 3, 2 } } }
  end)

  it("makes a row of each position of a map", function()
    for _, shape in ipairs { { 5, 3, 7 }, { 1, 1, 1 }, { 19, 6, 6 }, { 2, 17, 3 } } do
      local c, positions = shape[1], shape[2] * shape[3]
      local x, y, _, got = single.run(core, { op = "tokens", inputs = { shape } }, 3)
      assert.same({ 3, positions, c }, got)
      local expected = {}
      for i = 0, #x - 1 do
        local b, p, k = i // (c * positions), i // c % positions, i % c
        expected[i + 1] = x[(b * c + k) * positions + p + 1]
      end
      assert.same(expected, y)
    end
  end)

  it("refuses what is not a map", function()
    assert.equal("tokens 'n': input: expected a feature map [C x H x W], got [5x7]",
      single.refusal(core, { op = "tokens", inputs = { { 5, 7 } } }))
  end)
end)
