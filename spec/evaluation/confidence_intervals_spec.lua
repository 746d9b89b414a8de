local core = require "secateur.core"
local intervals = require "secateur.evaluation.confidence_intervals"

describe("bootstrap intervals", function()
  it("leave gaps out, and are empty without numbers", function()
    local got = intervals.mean({ [1] = 2, [3] = 4 }, 3)
    assert.equal(3, got.mean)
    assert.equal(2, got.count)
    assert.is_true(got.low >= 2 and got.high <= 4)
    assert.is_nil(intervals.mean({}, 5))
  end)

  it("have no width for one number or equal ones", function()
    assert.same({ mean = 7, low = 7, high = 7, count = 1 }, intervals.mean({ 7 }, 1))
    assert.same({ mean = 0.5, low = 0.5, high = 0.5, count = 3 }, intervals.mean({ 0.5, 0.5, 0.5 }, 3))
  end)

  it("of a fair coin are those of the binomial distribution", function()
    -- The mean of a resample of 50 zeros and 50 ones is Binomial(100, 1/2) / 100: its 2.5 % and 97.5 % points are 0.40
    -- and 0.60; of 10000 resamples the quantile is off by one step at most.
    local values = {}
    for i = 1, 100 do values[i] = i % 2 end
    local got = intervals.mean(values, 100, { resamples = 10000, seed = 3 })
    assert.equal(0.5, got.mean)
    assert.near(0.40, got.low, 0.0101)
    assert.near(0.60, got.high, 0.0101)
    local narrow = intervals.mean(values, 100, { resamples = 10000, seed = 3, level = 0.5 })
    assert.near(0.47, narrow.low, 0.0101) -- quartiles of Binomial(100, 1/2): 47 and 53
    assert.near(0.53, narrow.high, 0.0101)
  end)

  it("of normal numbers are the mean and 1.96 standard errors", function()
    local values = core.randn(400, { seed = 8, mean = 3, std = 2 }):totable()
    local got, squares = intervals.mean(values, 400, { resamples = 4000 }), 0
    for _, value in ipairs(values) do squares = squares + (value - got.mean) ^ 2 end
    local error = math.sqrt(squares) / 400
    assert.near(got.mean - 1.96 * error, got.low, 0.1 * error)
    assert.near(got.mean + 1.96 * error, got.high, 0.1 * error)
  end)

  it("are the same for the same seed, others for another", function()
    local values = core.randn(20, { seed = 1 }):totable()
    assert.same(intervals.mean(values, 20, { seed = 5 }), intervals.mean(values, 20, { seed = 5 }))
    assert.not_same(intervals.mean(values, 20, { seed = 5 }), intervals.mean(values, 20, { seed = 6 }))
  end)
end)
