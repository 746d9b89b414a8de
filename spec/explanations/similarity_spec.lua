local core = require "secateur.core"
local similarity = require "secateur.explanations.similarity"

-- Spearman's formula without ties: 1 - 6 sum d^2 / (n (n^2 - 1)).
local function without_ties(a, b)
  local n, sum = #a, 0
  local function rank(list, value)
    local below = 1
    for _, other in ipairs(list) do below = below + (other < value and 1 or 0) end
    return below
  end
  for i = 1, n do sum = sum + (rank(a, a[i]) - rank(b, b[i])) ^ 2 end
  return 1 - 6 * sum / (n * (n * n - 1))
end

describe("similarity of explanations", function()
  it("takes the cosine of each sample", function()
    local a = core.tensor { { 1, 0, 0 }, { 1, 2, 3 }, { 1, 1, 0 } }
    local b = core.tensor { { 0, 2, 0 }, { -2, -4, -6 }, { 1, 0, 0 } }
    local got = similarity.cosine(a, b)
    assert.near(0, got[1], 1e-7)
    assert.near(-1, got[2], 1e-6)
    assert.near(math.sqrt(0.5), got[3], 1e-6)
  end)

  it("does not lose tiny explanations", function()
    local a = core.tensor { { 3e-30, 4e-30 } }
    assert.near(1, similarity.cosine(a, a)[1], 1e-6)
    assert.near(0.6, similarity.cosine(a, core.tensor { { 1e20, 0 } })[1], 1e-6)
  end)

  it("correlates ranks", function()
    local a, b = core.randn(1, 40, { seed = 1 }), core.randn(1, 40, { seed = 2 })
    assert.near(without_ties(a[1]:totable(), b[1]:totable()), similarity.spearman(a, b)[1], 1e-6)
    assert.near(1, similarity.spearman(a, a * 3 + 5)[1], 1e-6)
    assert.near(-1, similarity.spearman(a, -a)[1], 1e-6)
    -- Ties share their mean rank: ranks 1 2.5 2.5 4 against 1 2 3 4 give 4.5 / sqrt(4.5 * 5).
    assert.near(4.5 / math.sqrt(22.5), similarity.spearman(core.tensor { { 0, 5, 5, 9 } },
      core.tensor { { 1, 2, 3, 4 } })[1], 1e-6)
  end)

  it("counts how many of the largest are the same", function()
    local a = core.tensor { { 9, 8, 7, 0, 0, 0, -9, 1, 2, 3 }, { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 } }
    local b = core.tensor { { 8, 0, 9, 0, 0, 7, 0, 0, 0, 0 }, { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 } }
    local got = similarity.overlap(a, b, 0.3)
    assert.near(2 / 3, got[1], 1e-6)
    assert.equal(1, got[2])
    assert.equal(0, similarity.overlap(a, -a, 0.3)[2])
    assert.equal(1, similarity.overlap(a, b, 0.001)[2]) -- at least one
    assert.equal(0.75, similarity.overlap(a, b, 0.31)[1]) -- rounded up: the four largest, three the same
    -- Of equal numbers the first: the two largest of 5 5 5 0 are the first two.
    assert.equal(0.5, similarity.overlap(core.tensor { { 5, 5, 5, 0 } }, core.tensor { { 0, 2, 3, 1 } }, 0.5)[1])
  end)

  it("leaves out what is undefined", function()
    local a = core.tensor { { 0, 0 }, { 3, 3 }, { 1, 2 } }
    local b = core.tensor { { 1, 2 }, { 1, 2 }, { 1, 2 } }
    assert.same({ false, true, true }, { similarity.cosine(a, b)[1] ~= nil, similarity.cosine(a, b)[2] ~= nil,
      similarity.cosine(a, b)[3] ~= nil })
    for _, measure in ipairs { "spearman", "overlap" } do
      local got = similarity[measure](b, a, 0.5)
      assert.is_nil(got[1])
      assert.is_nil(got[2])
      assert.near(1, got[3], 1e-6)
    end
  end)
end)
