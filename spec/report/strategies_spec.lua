local metrics = require "secateur.results.metrics"
local rows = require "support.rows"
local strategies = require "secateur.report.strategies"
local writers = require "secateur.report.table_writers"

-- Three seeds of two strategies, on two data sets.
local function some()
  local all = {}
  for seed = 0, 2 do
    for _, dataset in ipairs { "cpn", "mura" } do
      local base = dataset == "cpn" and 0.1 or 0.3
      all[#all + 1] = { { [0] = 0, [0.5] = base + 0.01 * seed, [0.7] = 0.5 },
        { dataset = dataset, sampling = "random", seed = seed } }
      all[#all + 1] = { { [0] = 0, [0.5] = base - 0.04 + 0.02 * seed, [0.7] = 0.5 },
        { dataset = dataset, sampling = "mine", seed = seed } }
    end
  end
  return all
end

local function texts(shown)
  local list = {}
  for i, line in ipairs(shown.lines) do
    list[i] = {}
    for j, each in ipairs(line) do
      local text, best = writers.cell(each)
      list[i][j] = best and "*" .. text or text
    end
  end
  return list
end

describe("strategies", function()
  local function compared(all, ...)
    local made = rows.results(all)
    return strategies.compare(made, metrics.of(made, "accuracy"), ...)
  end

  it("are ranked by what they lose, with intervals over seeds", function()
    local found = compared(some())
    assert.same({ "random", 3, 2, { 0.5, 0.7 } }, { found.reference, found.seeds, found.blocks, found.rates })
    local shown = strategies.ranking(found)
    -- mine: 0.16, 0.18, 0.20 by seed, means over both data sets; the deviation of a sample is 0.02, and half the
    -- interval 4.3027 * 0.02 / sqrt(3) = 0.0497. All rates: 0.33, 0.34, 0.35.
    assert.same({ { "mine", "*0.180 [0.130, 0.230]", "*0.500", "*0.340 [0.315, 0.365]" },
      { "random", "0.210 [0.185, 0.235]", "*0.500", "0.355 [0.343, 0.367]" } }, texts(shown))
    assert.truthy(shown.caption:find("mean over 2 combinations", 1, true))
    assert.truthy(shown.caption:find("95 % interval of the mean over 3 seeds (Student's t)", 1, true))
  end)

  it("are compared to a reference seed by seed", function()
    local shown = strategies.differences(compared(some()))
    -- -0.04, -0.03, -0.02: the mean is -0.03, half the interval 4.3027 * 0.01 / sqrt(3) = 0.0248, wholly below 0. At
    -- 0.7 nothing differs.
    assert.same({ { "mine", "*-0.030 [-0.055, -0.005]", "0.000", "*-0.015 [-0.027, -0.003]", "6 of 12, 6 ties" } },
      texts(shown))
    shown = strategies.differences(compared(some(), "mine"))
    assert.same({ { "random", "0.030 [0.005, 0.055]", "0.000", "0.015 [0.003, 0.027]", "0 of 12, 6 ties" } },
      texts(shown))
    assert.matches("^Each strategy against mine with the same seeds", shown.caption)
  end)

  it("leave out seeds that are not whole, and say so", function()
    local all = some()
    all[#all] = nil -- mine, mura, seed 2
    local shown = strategies.ranking(compared(all))
    assert.equal("0.170 [0.043, 0.297] (2 of 3 seeds)", texts(shown)[1][2])
    assert.equal("random", texts(shown)[2][1])
    -- A mean of fewer seeds is not the best.
    assert.equal("*0.210 [0.185, 0.235]", texts(shown)[2][2])
    local one = {}
    for _, each in ipairs(some()) do
      if each[2].seed == 0 then one[#one + 1] = each end
    end
    shown = strategies.differences(compared(one))
    assert.same({ { "mine", "-0.040", "0.000", "-0.020", "2 of 4, 2 ties" } }, texts(shown))
    assert.truthy(shown.caption:find("There is one seed, hence no interval", 1, true))
  end)

  it("are none where there is one", function()
    assert.is_nil(compared { { { [0.5] = 0.1 } } })
  end)
end)
