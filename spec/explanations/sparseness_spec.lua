local core = require "secateur.core"
local sparseness = require "secateur.explanations.sparseness"

describe("sparseness of explanations", function()
  it("is 1 - 1/D for a single point and 0 for a constant", function()
    local got = sparseness.gini(core.tensor { { 0, 0, -7, 0 }, { 2, 2, -2, 2 }, { 0, 0, 0, 0 } })
    assert.near(0.75, got[1], 1e-6)
    assert.near(0, got[2], 1e-6)
    assert.is_nil(got[3])
    assert.near(1 - 1 / 10000, sparseness.gini(core.tensor({ 10000, fill = 0 }):set(1e-30, 3):reshape(1, -1))[1], 1e-6)
  end)

  it("is the mean difference of magnitudes over twice their mean", function()
    local rows, sum, total = core.randn(1, 30, { seed = 4 }), 0, 0
    local list = rows[1]:abs():totable()
    for _, a in ipairs(list) do
      total = total + a
      for _, b in ipairs(list) do sum = sum + math.abs(a - b) end
    end
    assert.near(sum / (2 * #list * total), sparseness.gini(rows)[1], 1e-6)
  end)

  it("knows the entropy of a point, of a constant, and of halves", function()
    local got = sparseness.entropy(core.tensor { { 0, 5, 0, 0 }, { -1, 1, 1, 1 }, { 3, 0, -3, 0 }, { 0, 0, 0, 0 } })
    assert.near(0, got[1], 1e-6)
    assert.near(math.log(4), got[2], 1e-6)
    assert.near(math.log(2), got[3], 1e-6)
    assert.is_nil(got[4])
  end)
end)
