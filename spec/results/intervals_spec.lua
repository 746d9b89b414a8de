local intervals = require "secateur.results.intervals"

describe("intervals", function()
  it("have Student's quantiles of tables", function()
    -- Two-sided quantiles, as printed in every table of the distribution.
    for _, each in ipairs { { 0.95, 1, 12.7062 }, { 0.95, 2, 4.3027 }, { 0.95, 4, 2.7764 }, { 0.95, 9, 2.2622 },
      { 0.95, 30, 2.0423 }, { 0.95, 1000, 1.9623 }, { 0.9, 5, 2.0150 }, { 0.99, 3, 5.8409 } } do
      assert.near(each[3], intervals.quantile(each[1], each[2]), 5e-5)
    end
    assert.near(math.tan(math.pi * 0.475), intervals.quantile(0.95, 1), 1e-10) -- Cauchy's, in closed form
    assert.near(0.95 * math.sqrt(2 / (1 - 0.95 * 0.95)), intervals.quantile(0.95, 2), 1e-12) -- t with two degrees
  end)

  it("say mean, deviation, range and Student's interval", function()
    local found = intervals.summary { 1, 2, 0 / 0, 3 }
    assert.same({ 3, 2, 1, 3 }, { found.count, found.mean, found.min, found.max })
    assert.near(math.sqrt(2 / 3), found.deviation, 1e-12)
    -- The deviation of a sample is 1: 2 ± 4.3027 / sqrt(3).
    assert.near(2 - 4.302652729911275 / math.sqrt(3), found.low, 1e-9)
    assert.near(2 + 4.302652729911275 / math.sqrt(3), found.high, 1e-9)
  end)

  it("of one number are none, of equal ones empty", function()
    local one = intervals.summary { 0.1 }
    assert.same({ count = 1, mean = 0.1, deviation = 0, min = 0.1, max = 0.1 }, one)
    local same = intervals.summary { 0.1, 0.1, 0.1 }
    assert.same({ 0.1, 0, 0.1, 0.1 }, { same.mean, same.deviation, same.low, same.high })
    local rounded = intervals.summary { 0.1 - 0.3, 0.2 - 0.4 }
    assert.same({ 0, rounded.mean, rounded.mean, rounded.mean }, { rounded.deviation, rounded.low, rounded.high,
      rounded.max })
    assert.is_nil(intervals.summary {})
    assert.is_nil(intervals.summary { 0 / 0 })
  end)
end)
