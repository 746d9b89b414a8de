local core = require "secateur.core_double"
local gradcheck = require "support.gradcheck"
local single = require "support.single"

describe("flatten", function()
  it("has the gradient of its values", function()
    gradcheck.check { op = "flatten", inputs = { { 3, 5, 2 } } }
  end)

  it("lays any shape out as a vector, row-major", function()
    for _, shape in ipairs { { 7 }, { 5, 7 }, { 3, 5, 7 }, { 2, 3, 5, 7 } } do
      local x, y, _, got = single.run(core, { op = "flatten", inputs = { shape } }, 3)
      assert.same(x, y)
      assert.same({ 3, #x // 3 }, got)
    end
  end)
end)
