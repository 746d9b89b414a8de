--- Lossless rates: how far each combination can be pruned within a margin of a metric.
-- @module secateur.results.lossless
local metrics = require "secateur.results.metrics"

-- 0.90 - 0.85 exceeds 0.05 in binary; no metric is measured this finely.
local slack = 1e-9

local function is_same(a, b) return math.abs(a - b) <= slack end

-- The largest of `rates` up to which the rows of each are no worse than the margin. A rate that has not been measured
-- for every seed ends it. Gives the rate, its worst change, the rate whose rows are missing, and the largest measured.
local function find(rows, rates, seeds, margin, metric)
  local last, worst, gap, measured, ended = 0, 0, nil, 0, false
  for _, rate in ipairs(rates) do
    local change, found = -math.huge, 0
    for _, row in ipairs(rows) do
      local each = is_same(row.rate, rate) and metric:change(row)
      if each then change, found = math.max(change, each), found + 1 end
    end
    if rate > 0 then
      if found >= seeds then measured = rate end
      if not ended then
        if found < seeds then
          gap, ended = rate, true
        elseif change > margin + slack then
          ended = true
        else
          last, worst = rate, math.max(change, 0)
        end
      end
    end
  end
  return last, worst, gap, measured
end

--- The lossless rate of every combination.
-- @tab rows Results
-- @number margin
-- @string[opt] name of the metric; of images with several findings AUROC, else accuracy
-- @treturn list as `Results:lossless` gives it
return function(rows, margin, name)
  local rates, seeds, list = rows:distinct "rate", #rows:distinct "seed", {}
  local by_name = {}
  for i, each in ipairs(rows:combinations { "dataset", "model", "method", "sampling", "redundancy", "repair" }) do
    local found = rows:where(each)
    each.metric = name or metrics.default(found)
    by_name[each.metric] = by_name[each.metric] or metrics.of(rows, each.metric)
    each.margin, each.seeds = margin, seeds
    each.rate, each.drop, each.next_missing, each.measured_to = find(found, rates, seeds, margin, by_name[each.metric])
    each.is_open = each.rate > 0 and is_same(each.rate, each.measured_to)
    list[i] = each
  end
  return list
end
