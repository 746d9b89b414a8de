local core = require "secateur.core"
local double = require "secateur.core_double"
local errors = require "support.errors"

describe("making tensors", function()
  it("reads nested tables", function()
    local t = core.tensor { { 1, 2, 3 }, { 4, 5, 6 } }
    assert.same({ 2, 3 }, t:shape())
    assert.same({ { 1, 2, 3 }, { 4, 5, 6 } }, t:totable())
    assert.equal("float32", t:dtype())
    assert.equal("float64", double.tensor({ 1 }):dtype())
    assert.same({ 1, 1, 1, 1, 2 }, core.tensor({ { { { { 1, 2 } } } } }):shape())
    assert.same({ 0 }, core.tensor({}):shape())
    assert.same({ 2, 0 }, core.tensor({ {}, {} }):shape())
  end)

  it("fills a shape", function()
    assert.same({ { 7, 7 }, { 7, 7 }, { 7, 7 } }, core.tensor({ 3, 2, fill = 7 }):totable())
    assert.same({ 9, 9 }, core.tensor({ 2, fill = 9 }, "uint8"):totable())
    local scalar = core.tensor { fill = -2 }
    assert.same({}, scalar:shape())
    assert.equal(-2, scalar:get())
    assert.equal(-2, scalar:totable())
  end)

  it("keeps whole numbers whole", function()
    local labels = core.tensor({ 3, math.maxinteger, math.mininteger }, "int64")
    assert.equal("int64", labels:dtype())
    assert.same({ 3, math.maxinteger, math.mininteger }, labels:totable())
    assert.equal("integer", math.type(labels:get(1)))
    assert.equal("integer", math.type(core.tensor({ 255 }, "uint8")[1]))
    assert.equal("float", math.type(core.tensor({ 255 })[1]))
  end)

  it("makes zeros, ones and any number", function()
    assert.same({ { 0, 0 } }, core.zeros(1, 2):totable())
    assert.same({ 1, 1, 1 }, core.ones(3):totable())
    assert.same({ 1, 1 }, core.ones(2, { dtype = "int64" }):totable())
    assert.equal("uint8", core.zeros(2, { dtype = "uint8" }):dtype())
    assert.same({ { 2.5, 2.5 } }, core.full(1, 2, 2.5):totable())
    assert.same({ { { 4 } } }, core.full(1, 1, 1, 4):totable())
    assert.equal(0, core.zeros():get())
    assert.equal(1, core.ones():get())
    assert.equal(0, core.zeros(3, 0):numel())
  end)

  it("makes a scalar of a number alone", function()
    assert.same({}, core.full(2.5):shape())
    assert.equal(2.5, core.full(2.5):get())
  end)

  it("draws the same numbers for the same seed", function()
    for _, draw in ipairs { core.randn, core.rand } do
      assert.same(draw(5, 3, { seed = 7 }):totable(), draw(5, 3, { seed = 7 }):totable())
      assert.same(draw(4):totable(), draw(4, { seed = 0 }):totable())
      assert.is_false(draw(5, { seed = 1 }):allclose(draw(5, { seed = 2 })))
    end
  end)

  it("draws normal numbers of a mean and a spread", function()
    local x = core.randn(40000, { seed = 3, mean = 5, std = 2 })
    local centred = x - x:mean()
    assert.near(5, x:mean(), 0.05)
    assert.near(2, math.sqrt((centred * centred):mean()), 0.03)
    local cut = core.randn(40000, { seed = 3, std = 2, truncate = 1.5 })
    assert.is_true(cut:abs():max() <= 3)
    assert.is_true(cut:abs():max() > 2.9)
  end)

  it("draws uniform numbers below the upper end", function()
    local x = core.rand(40000, { seed = 4, low = -1, high = 3 })
    assert.near(1, x:mean(), 0.03)
    assert.is_true(x:max() < 3 and (-x):max() <= 1)
    -- so narrow that rounding to a float would give the upper end every other time
    local top = 1 + 2 ^ -23
    assert.equal(1, core.rand(1000, { low = 1, high = top }):max())
  end)

  it("refuses what is not a shape, a number or an option", function()
    assert.equal("tensor: values: expected a table, got 3", errors.text(core.tensor, 3))
    assert.equal("tensor: expected tables of one length per level: 2 at level 2",
      errors.text(core.tensor, { { 1, 2 }, { 3 } }))
    assert.equal("tensor: expected tables of one length per level: 2 at level 2",
      errors.text(core.tensor, { { 1, 2 }, 3 }))
    assert.equal("tensor: value: expected a number, got a table", errors.text(core.tensor, { 1, { 2 } }))
    assert.equal("tensor: value: expected a number, got 'x'", errors.text(core.tensor, { "x" }))
    assert.equal("tensor: expected at most 5 levels of tables", errors.text(core.tensor, { { { { { { 1 } } } } } }))
    assert.equal("tensor: dtype: expected float32, int64 or uint8, got 'float16'",
      errors.text(core.tensor, { 1 }, "float16"))
    assert.equal("tensor: value: expected a whole number in 0..255, got 256",
      errors.text(core.tensor, { 256 }, "uint8"))
    assert.equal("zeros: shape: expected a whole number of at least 0, got -1", errors.text(core.zeros, -1))
    assert.equal("zeros: shape: expected a whole number of at least 0, got 1.5", errors.text(core.zeros, 1.5))
    assert.equal("zeros: shape: expected at most 5 sizes, got 6", errors.text(core.zeros, 1, 1, 1, 1, 1, 1))
    assert.equal("shape: too many elements", errors.text(core.zeros, 1 << 40, 1 << 40))
    assert.equal("shape: too many elements", errors.text(core.zeros, 1 << 40, 0, 1 << 40))
    assert.equal("ones: unknown option 'seed', expected one of: dtype", errors.text(core.ones, 1, { seed = 1 }))
    assert.equal("full: value: expected sizes and a number, got nil", errors.text(core.full))
    assert.equal("full: value: expected a number, got 'x'", errors.text(core.full, 2, "x"))
    assert.equal("randn: unknown option 'sd', expected one of: seed, mean, std, truncate",
      errors.text(core.randn, 2, { sd = 1 }))
    assert.equal("randn: truncate: expected at least 0.5, got 0.1", errors.text(core.randn, 2, { truncate = 0.1 }))
    assert.equal("rand: low: expected a number, got true", errors.text(core.rand, 2, { low = true }))
  end)

  it("says how much memory it cannot have", function()
    assert.equal("memory: could not allocate 140737488355328 bytes", errors.text(core.zeros, 1 << 45))
  end)
end)
