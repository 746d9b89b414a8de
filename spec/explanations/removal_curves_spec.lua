local core = require "secateur.core"
local curves = require "secateur.explanations.removal_curves"

-- Logits of a linear model with weights w [P] and one other class at zero.
local function linear(w)
  return function(x)
    local rows = {}
    for i, row in ipairs(x:reshape(x:size(1), -1):totable()) do
      local sum = 0
      for k, value in ipairs(row) do sum = sum + w[k] * value end
      rows[i] = { sum, 0 }
    end
    return core.tensor(rows)
  end
end

describe("curves", function()
  it("cut an image into patches, smaller ones at the edges", function()
    local grid = curves.grid(3, 5, 2)
    assert.equal(6, grid.count)
    assert.same({ 1, 1, 2, 2, 3, 1, 1, 2, 2, 3, 4, 4, 5, 5, 6 }, grid.of:totable())
    assert.same({ 4, 4, 2, 2, 2, 1 }, grid.pixels:totable())
    assert.equal(1, curves.grid(3, 5, 9).count)
  end)

  it("order patches by their mean relevance", function()
    local grid = curves.grid(2, 4, 2)
    local maps = core.tensor { { 1, 1, 5, 0, 1, 1, 0, 0 }, { 0, 0, 0, 0, 0, 0, 0, 0 } } -- means 1 and 5/4; equal
    assert.same({ { 2, 2, 1, 1 }, { 2, 2, 1, 1 } }, curves.removal_order(maps, grid, "most")[1][1]:totable())
    assert.same({ { 1, 1, 2, 2 }, { 1, 1, 2, 2 } }, curves.removal_order(maps, grid, "least")[1][1]:totable())
    assert.same({ { 1, 1, 2, 2 }, { 1, 1, 2, 2 } }, curves.removal_order(maps, grid, "most")[2][1]:totable())
    assert.same({ 2, 1, 2, 4 }, curves.removal_order(maps, grid, "most"):shape())
  end)

  it("look at evenly spread checkpoints", function()
    assert.same({ 0, 5, 10 }, curves.checkpoints(10, 2))
    assert.same({ 0, 1, 2, 3 }, curves.checkpoints(3, 16))
    assert.same({ 0, 1 }, curves.checkpoints(1, 4))
  end)

  it("follow a linear model exactly", function()
    local w, x = { 1, -2, 3, 0.5 }, core.tensor { 2, 1, 1, -2 }:reshape(1, 1, 2, 2)
    local grid = curves.grid(2, 2, 1)
    local relevance = { 2, -2, 3, -1 } -- w * x: pixels go in the order 3 1 4 2
    local removal_order = curves.removal_order(core.tensor { relevance }, grid, "most")
    local opts = { checkpoints = { 0, 1, 2, 3, 4 }, batch = 2 }
    local got = curves.follow(linear(w), x, core.zeros(1, 1, 2, 2), removal_order, { 1 }, opts)
    local logits = { 2, -1, -3, -2, 0 }
    assert.same(logits, got.logit[1])
    for k, logit in ipairs(logits) do assert.near(1 / (1 + math.exp(-logit)), got.probability[1][k], 1e-6) end
    -- Trapezoids of a quarter each: (2 + 0) / 8 + (-1 - 3 - 2) / 4.
    assert.near(0.25 - 1.5, curves.area({ 0, 1, 2, 3, 4 }, got.logit[1]), 1e-9)
  end)

  it("copy pixels to the bit, whatever the number of samples at a time", function()
    local x, other = core.randn(3, 2, 4, 4, { seed = 1 }), core.randn(3, 2, 4, 4, { seed = 2 })
    local seen = {}
    local function predict(images)
      seen[#seen + 1] = images
      return core.zeros(images:size(1), 2)
    end
    local grid = curves.grid(4, 4, 2)
    local removal_order = curves.removal_order(core.randn(3, 16, { seed = 3 }), grid, "most")
    curves.follow(predict, x, other, removal_order, { 1, 1, 1 }, { checkpoints = { 0, 2, 4 }, batch = 16 })
    assert.equal(1, #seen)
    assert.is_true(seen[1][1]:allclose(x[1], 0, 0))
    assert.is_true(seen[1][3]:allclose(other[1], 0, 0))
    assert.is_true(seen[1][7]:allclose(x[3], 0, 0))
    local half, from_x = seen[1][2]:totable(), 0
    for c, plane in ipairs(half) do
      for y, row in ipairs(plane) do
        for column, value in ipairs(row) do
          local old, new = x:get(1, c, y, column), other:get(1, c, y, column)
          assert.is_true(value == old or value == new)
          if value == old then from_x = from_x + 1 end
        end
      end
    end
    assert.equal(16, from_x)
  end)
end)
