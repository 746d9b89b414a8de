--- The table of spec/bench/speed.lua. Cells are aligned by the headings: a row is printed as soon as it is known.
local bench = require "support.bench"

local speed_table = {}

local Table = {}
Table.__index = Table

--- A table with columns for Secateur and for the runtimes there are.
-- @tparam {table,...} present runtimes, with `column`
-- @treturn Table `heading` is its first line
function speed_table.new(present)
  local titles, seen = { "ours" }, {}
  for _, runtime in ipairs(present) do
    if not seen[runtime.column] then titles[#titles + 1] = runtime.column end
    seen[runtime.column] = true
  end
  local heading = { ("%-12s %-7s %5s"):format("model", "mode", "batch") }
  for _, title in ipairs(titles) do heading[#heading + 1] = ("%11s"):format(title .. " ms") end
  heading[#heading + 1] = ("%8s %8s %6s"):format("speed-up", "GFLOP/s", "% peak")
  for _, title in ipairs(titles) do heading[#heading + 1] = ("%11s"):format(title .. " MB") end
  return setmetatable({ titles = titles, heading = table.concat(heading, " ") }, Table)
end

local function number(format, value) return value and format:format(value) or "" end

-- Medians by column, of the fastest of the runtimes that share it.
local function columns_of(results)
  local best = {}
  for _, result in ipairs(results) do
    local ms = #result.ms > 0 and bench.median(result.ms)
    if ms and (not best[result.column] or ms < best[result.column].ms) then
      best[result.column] = { ms = ms, mb = bench.median(result.mb) }
    end
  end
  return best
end

--- The line of one case.
-- @tab case `model`, `mode`, `batch`, `flops` of an image
-- @tparam {table,...} results each `column`, and lists `ms` and `mb` of what was measured
-- @tparam {number,...} peaks GFLOP/s of the machine; empty where they are not known
-- @treturn string
function Table:row(case, results, peaks)
  local best, fastest = columns_of(results), nil
  local cells = { ("%-12s %-7s %5d"):format(case.model, case.mode, case.batch) }
  for _, title in ipairs(self.titles) do
    local ms = best[title] and best[title].ms
    cells[#cells + 1] = ("%11s"):format(number("%.2f", ms))
    if ms and title ~= "ours" then fastest = math.min(fastest or ms, ms) end
  end
  local gflops = case.flops / best.ours.ms * 1e-6
  cells[#cells + 1] = ("%8s %8.1f %6s"):format(number("%.2fx", fastest and fastest / best.ours.ms), gflops,
    number("%.1f", #peaks > 0 and gflops / bench.median(peaks) * 100))
  for _, title in ipairs(self.titles) do
    cells[#cells + 1] = ("%11s"):format(number("%.0f", best[title] and best[title].mb))
  end
  return (table.concat(cells, " "):gsub("%s+$", ""))
end

return speed_table
