--- Means of metrics over seeds with their intervals, a line for each combination and rate.
-- @module secateur.report.interval_rows
local intervals = require "secateur.results.intervals"

local interval_rows = {}

local axes = { "dataset", "model", "method", "redundancy", "sampling", "repair", "rate" }

local heads = { "metric", "seeds", "mean", "deviation", "low", "high", "change", "change_low", "change_high",
  "interval" }

-- The interval of the change over test images, which rows have of accuracy; of several seeds that are all alike too.
local function over_images(rows, metric)
  local row = rows[1]
  if metric.name ~= "accuracy" or not row.drop_low or row.rate == 0 then return nil end
  return row.drop_low, row.drop_high
end

-- Rows that share all axes but the seed, in the order in which the first of them occurs: one pass, since there are
-- thousands.
local function groups_of(rows)
  local groups, order = {}, {}
  for _, row in ipairs(rows) do
    local words = {}
    for i, axis in ipairs(axes) do words[i] = tostring(row[axis]) end
    local key = table.concat(words, "\0")
    if not groups[key] then groups[key], order[#order + 1] = {}, key end
    table.insert(groups[key], row)
  end
  for i, key in ipairs(order) do order[i] = groups[key] end
  return order
end

--- Lines for a CSV file: mean and deviation over seeds of each metric, and the change for the worse; with Student's
-- interval of the mean where seeds differ, with the bootstrap interval over test images where there is one seed, or no
-- difference, and rows have it. The last column says which.
-- @tab rows Results
-- @tab list of values of `metrics.of`
-- @treturn {table,...} the heading first
function interval_rows.lines(rows, list)
  local lines = { table.move(heads, 1, #heads, #axes + 1, table.move(axes, 1, #axes, 1, {})) }
  for _, found in ipairs(groups_of(rows)) do
    for _, metric in ipairs(list) do
      local values = {}
      for _, row in ipairs(found) do values[#values + 1] = metric:value(row) end
      local of_value, change = intervals.summary(values), intervals.summary(metric:changes(found))
      if of_value then
        local line = { n = #axes + #heads }
        for i, axis in ipairs(axes) do line[i] = found[1][axis] end
        local differ = of_value.count > 1 and of_value.min < of_value.max
        local cells = { metric.name, of_value.count, of_value.mean, of_value.count > 1 and of_value.deviation or nil }
        if differ then
          cells[5], cells[6], cells[10] = of_value.low, of_value.high, "Student's t over seeds, 95 %"
        end
        cells[7] = change and change.mean
        if differ and change then cells[8], cells[9] = change.low, change.high end
        local low, high = over_images(found, metric)
        if not differ and low then
          cells[5], cells[6] = of_value.mean + change.mean - high, of_value.mean + change.mean - low
          cells[8], cells[9], cells[10] = low, high, "bootstrap over test images, 95 %"
        end
        for i = 1, #heads do line[#axes + i] = cells[i] end
        lines[#lines + 1] = line
      end
    end
  end
  return lines
end

return interval_rows
