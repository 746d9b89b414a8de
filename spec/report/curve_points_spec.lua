local curve_points = require "secateur.report.curve_points"
local line_plots = require "secateur.report.line_plots"
local results = require "secateur.results"
local rows = require "support.rows"

-- Two samplings with three seeds each; at 0.5 the drops are 0.1, 0.2, 0.3 and 0.3, 0.4, 0.5.
local function some()
  local all = {}
  for seed = 0, 2 do
    all[#all + 1] = { { [0.5] = 0.1 + 0.1 * seed }, { seed = seed, sampling = "random" } }
    all[#all + 1] = { { [0.5] = 0.3 + 0.1 * seed }, { seed = seed, sampling = "mine" } }
  end
  return rows.results(all)
end

local function numbers(line)
  local list = {}
  for word in line:gmatch "%S+" do list[#list + 1] = tonumber(word) end
  return list
end

local function check(expected, made, panel, band)
  local spreads = {}
  local lines, spread = curve_points.of(made, panel, band, spreads)
  assert.equal(1, #lines)
  for i, value in ipairs(numbers(lines[1])) do assert.near(expected[i], value, 1e-6) end
  return spreads, spread
end

describe("points of curves", function()
  local panel = { column = "accuracy" }
  local random = function() return results.new(some():where { sampling = "random" }) end

  it("have a band of what is asked for, and its name", function()
    local deviation = math.sqrt(2 / 3) * 0.1
    local spreads, spread = check({ 0.5, 0.7, 0.7 - deviation, 0.7 + deviation }, random(), panel)
    assert.is_true(spread)
    assert.equal("band: mean ± one standard deviation over 3 seeds", curve_points.describe(spreads, "band"))
    spreads = check({ 0.5, 0.7, 0.6, 0.8 }, random(), panel, "range")
    assert.equal("bars: smallest to largest over 3 seeds", curve_points.describe(spreads, "bars", "range"))
    local half = 4.302652729911275 * 0.1 / math.sqrt(3)
    spreads = check({ 0.5, 0.7, 0.7 - half, 0.7 + half }, random(), panel, "interval")
    assert.equal("band: 95 % interval of the mean over 3 seeds (Student's t)", curve_points.describe(spreads, "band",
      "interval"))
  end)

  it("over samplings too: the interval is that of the means of each seed", function()
    -- Means of both samplings by seed: 0.7, 0.6, 0.5.
    local half = 4.302652729911275 * 0.1 / math.sqrt(3)
    local spreads = check({ 0.5, 0.6, 0.6 - half, 0.6 + half }, some(), panel, "interval")
    assert.equal("band: 95 % interval of the mean over 2 samplings and 3 seeds (Student's t)",
      curve_points.describe(spreads, "band", "interval"))
  end)

  it("of a single row have the interval over test images, or none", function()
    local one = rows.results { { { [0.5] = 0.25 } } }
    local spreads, spread = check({ 0.5, 0.65, 0.65, 0.65 }, one, panel)
    assert.is_false(spread)
    assert.is_nil(curve_points.describe(spreads, "band"))
    one[1].drop_low, one[1].drop_high = 0.2, 0.35
    spreads = check({ 0.5, 0.65, 0.55, 0.7 }, one, panel)
    assert.equal("band: 95 % bootstrap interval over test images", curve_points.describe(spreads, "band"))
  end)

  it("say of how many where that differs", function()
    local made = results.new { table.unpack(random()) }
    for _, row in ipairs(rows.curve({ [0.7] = 0.4 }, { seed = 0 })) do made[#made + 1] = row end
    for _, row in ipairs(rows.curve({ [0.7] = 0.6 }, { seed = 1 })) do made[#made + 1] = row end
    local spreads = {}
    assert.equal(2, #curve_points.of(made, panel, "range", spreads))
    assert.equal("band: smallest to largest over 2 to 3 seeds", curve_points.describe(spreads, "band", "range"))
    made[#made].seed, made[#made].rate, made[#made].drop_low, made[#made].drop_high = 1, 0.9, 0.5, 0.7
    spreads = {}
    curve_points.of(made, panel, "range", spreads)
    assert.equal("band: smallest to largest over 1 to 3 seeds; of a single row 95 % bootstrap interval over test "
      .. "images", curve_points.describe(spreads, "band", "range"))
  end)
end)

describe("looks of curves", function()
  it("differ for 40 of them, neighbours in colour, mark and dashes", function()
    local seen, before = {}, {}
    for i = 1, 40 do
      local colour, mark, dashes = line_plots.style(i)
      local key = table.concat({ colour, mark, dashes }, " ")
      assert.is_nil(seen[key], key)
      seen[key] = true
      assert.are_not.equal(before[1], colour)
      assert.are_not.equal(before[2], mark)
      assert.are_not.equal(before[3], dashes)
      before = { colour, mark, dashes }
    end
  end)
end)
