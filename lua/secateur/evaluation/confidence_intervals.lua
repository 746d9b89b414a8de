--- Means over samples with bootstrap intervals.
-- @module secateur.evaluation.confidence_intervals
local core = require "secateur.core"

local confidence_intervals = {}

-- The value that a share of a sorted list lies below; between two, in proportion.
local function quantile(sorted, share)
  local position = 1 + (#sorted - 1) * share
  local below = math.floor(position)
  local above = math.min(below + 1, #sorted)
  return sorted[below] + (position - below) * (sorted[above] - sorted[below])
end

--- What the middle of a list of numbers lies between.
-- @tab values at least one, which are sorted
-- @number[opt=0.95] level the share in the middle
-- @treturn number low
-- @treturn number high
function confidence_intervals.percentiles(values, level)
  table.sort(values)
  local tail = (1 - (level or 0.95)) / 2
  return quantile(values, tail), quantile(values, 1 - tail)
end

--- The mean of the numbers there are, and the percentile bootstrap interval of the mean (Efron 1979): samples are drawn
-- with replacement, as many as there are, and the interval holds the middle `level` of the means of the draws.
-- @tab values number of a sample -> number; gaps are left out
-- @int count how many samples there are, gaps included
-- @tab[opt] opts `level` (0.95), `resamples` (1000), `seed` (0)
-- @treturn[1] table `mean`, `low`, `high`, `count` (of the numbers)
-- @treturn[2] nil where there are none
function confidence_intervals.mean(values, count, opts)
  opts = opts or {}
  local present, sum = {}, 0
  for i = 1, count do
    if values[i] then present[#present + 1], sum = values[i], sum + values[i] end
  end
  local n, resamples = #present, opts.resamples or 1000
  if n == 0 then return nil end
  local means = {}
  for r = 1, resamples do
    local total = 0
    for _, draw in ipairs(core.rand(n, { seed = core.mix(opts.seed or 0, r) }):totable()) do
      total = total + present[1 + math.floor(draw * n)]
    end
    means[r] = total / n
  end
  local low, high = confidence_intervals.percentiles(means, opts.level)
  return { mean = sum / n, low = low, high = high, count = n }
end

return confidence_intervals
