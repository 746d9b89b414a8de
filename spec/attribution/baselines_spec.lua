local baseline = require "secateur.attribution.baselines"
local core = require "secateur.core"
local errors = require "support.errors"

-- A split of five images of one pixel value each: 1, 2, 3, 4, 10.
local function flat_split()
  local runs = 0
  return { batches = function(_, opts)
    runs = runs + 1
    local values, at = { 1, 2, 3, 4, 10 }, 0
    assert(opts.batch >= 2)
    return function()
      at = at + 1
      if at == 1 then
        return core.tensor { { { { values[1] } } }, { { { values[2] } } } }
      elseif at == 2 then
        return core.tensor { { { { values[3] } } }, { { { values[4] } } }, { { { values[5] } } } }
      end
    end
  end, count = function() return runs end }
end

describe("a baseline", function()
  it("is black as images were normalised, or zero", function()
    local x = core.ones(2, 2, 3, 3)
    local black = baseline.make("f", "black", x, { normalisation = { mean = { 0.5, 0.2 }, std = { 0.25, 0.1 } } })
    assert.equal(-2, black:get(2, 1, 3, 3))
    assert.equal(-2, black:get(1, 2, 1, 2))
    assert.equal(0, baseline.make("f", "zero", x):abs():sum())
  end)

  it("is the image itself, blurred", function()
    local x = core.randn(2, 3, 30, 45)
    assert.is_true(baseline.make("f", "blurred", x):allclose(core.gaussian_blur(x, 2), 0, 0))
    assert.is_true(baseline.make("f", "blurred", x, { sigma = 5 }):allclose(core.gaussian_blur(x, 5), 0, 0))
    for _, kind in ipairs { "blurred", "black" } do
      assert.equal(('f: baseline: expected images [N x C x H x W] for "%s", got [2 x 3]; give a Tensor or "zero"')
        :format(kind), errors.text(baseline.make, "f", kind, core.zeros(2, 3)))
    end
  end)

  it("is the mean image of a split, found once, batch by batch", function()
    local split = flat_split()
    assert.same({ { { { 4 } } }, { { { 4 } } } }, baseline.make("f", split, core.zeros(2, 1, 1, 1)):totable())
    assert.same({ { { { 4 } } } }, baseline.make("f", split, core.zeros(1, 1, 1, 1)):totable())
    assert.equal(1, split.count())
    assert.equal("f: baseline: expected a split that fits [1 x 3 x 1 x 1], got [1 x 1 x 1]",
      errors.text(baseline.make, "f", split, core.zeros(1, 3, 1, 1)))
    local empty = { batches = function() return function() end end }
    assert.equal("f: baseline: expected a split with images that can be read",
      errors.text(baseline.make, "f", empty, core.zeros(1, 3, 1, 1)))
  end)

  it("is a tensor of one sample or of the batch", function()
    local x = core.zeros(2, 1, 2, 2)
    assert.same({ { { { 1, 2 }, { 3, 4 } } }, { { { 1, 2 }, { 3, 4 } } } },
      baseline.make("f", core.tensor { { { 1, 2 }, { 3, 4 } } }, x):totable())
    assert.equal("f: baseline: expected a Tensor that fits [2 x 1 x 2 x 2], got [3 x 1 x 2 x 2]",
      errors.text(baseline.make, "f", core.zeros(3, 1, 2, 2), x))
    local rows = core.tensor { { { { 1 } } }, { { { 2 } } }, { { { 3 } } } }
    assert.same({ { { { 2 } } }, { { { 3 } } } }, baseline.slice(rows, 2, 3, 3, 4):totable())
    assert.equal(rows, baseline.slice(rows, 2, 3, 4, 4))
    assert.equal("zero", baseline.slice("zero", 2, 3, 3, 4))
  end)

  it("is one of these, or a list of them", function()
    assert.is_true((baseline.check { "zero", core.zeros(1), flat_split() }))
    assert.is_false((baseline.check "grey"))
    assert.is_false((baseline.check {}))
    assert.is_false((baseline.check { "zero", "grey" }))
    assert.is_false((baseline.check(3)))
  end)
end)
