--- The points of a curve, what lies around them, and how that is called.
-- @module secateur.report.curve_points
local decimal = require "secateur.util.decimal"
local intervals = require "secateur.results.intervals"
local names = require "secateur.report.names"

local curve_points = {}

local function number(value) return decimal("%.9g", value) end

local function distinct(rows, column)
  local seen, count = {}, 0
  for _, row in ipairs(rows) do
    local value = row[column]
    if value ~= nil and not seen[value] then seen[value], count = true, count + 1 end
  end
  return count
end

-- Means by seed, over what else there is several of.
local function seed_means(rows, column)
  local of_seed, order = {}, {}
  for _, row in ipairs(rows) do
    local seed = row.seed or 0
    if not of_seed[seed] then of_seed[seed], order[#order + 1] = {}, seed end
    table.insert(of_seed[seed], row[column])
  end
  local list = {}
  for _, seed in ipairs(order) do
    local found = intervals.summary(of_seed[seed])
    list[#list + 1] = found and found.mean
  end
  return list
end

-- What lies around the mean of the rows at one rate: low, high, and what that is; nil where there is nothing.
local function around(rows, column, found, band)
  local row = rows[1]
  if #rows == 1 then
    if column == "accuracy" and row.drop_low then
      return row.baseline_accuracy - row.drop_high, row.baseline_accuracy - row.drop_low, "images"
    end
    return nil
  end
  if found.count < 2 then return nil end
  if band == "range" then return found.min, found.max, "several" end
  if band == "interval" then
    local over_seeds = intervals.summary(seed_means(rows, column))
    if not over_seeds.low then return nil end
    return over_seeds.low, over_seeds.high, "several"
  end
  return found.mean - found.deviation, found.mean + found.deviation, "several"
end

local function widen(spreads, name, count)
  local range = spreads[name] or { count, count }
  spreads[name] = { math.min(range[1], count), math.max(range[2], count) }
end

--- The points of one curve: a line `x mean low high` per rate. x is the rate, or the mean of the panel's column
-- `against`; at rate 0 what the curve starts from.
-- @tab rows Results, of this curve alone
-- @tab panel `column`, `start`, `against`
-- @string[opt="deviation"] band what lies around a mean of several rows: "deviation", the standard deviation (of the
-- population); "interval", Student's 95 % interval of the mean over seeds; "range", from the smallest to the largest
-- @tab spreads what there was, added to, for `describe`
-- @treturn {string,...}
-- @treturn boolean whether something lies around some point
function curve_points.of(rows, panel, band, spreads)
  local lines, spread = {}, false
  local rates = rows:distinct "rate"
  for _, rate in ipairs(rates) do
    local at_rate = rows:where { rate = rate }
    local found = intervals.of(at_rate, panel.column)
    local x = panel.against and intervals.of(at_rate, panel.against)
    x = panel.against and (x and x.mean) or not panel.against and rate
    if found and x then
      local low, high, kind = around(at_rate, panel.column, found, band)
      lines[#lines + 1] = table.concat({ number(x), number(found.mean), number(low or found.mean),
        number(high or found.mean) }, " ")
      spread = spread or kind ~= nil
      if rate > 0 then
        spreads[kind or "alone"] = true
        widen(spreads, "seeds", distinct(at_rate, "seed"))
        widen(spreads, "samplings", distinct(at_rate, "sampling"))
      end
    end
  end
  if #lines > 0 and panel.start and rates[1] ~= 0 then
    local start = decimal("%.14g", panel.start)
    table.insert(lines, 1, ("%d %s %s %s"):format(panel.against and 1 or 0, start, start, start))
  end
  return lines, spread
end

local function count_text(range, noun)
  if range[1] == range[2] then return names.count(range[1], noun) end
  return ("%d to %d %ss"):format(range[1], range[2], noun)
end

local kinds = { deviation = "mean ± one standard deviation over %s", range = "smallest to largest over %s",
  interval = "95 %% interval of the mean over %s (Student's t)" }

--- What the bands of a figure are, for those who look at it; nothing where there are none.
-- @tab spreads as `of` left it
-- @string noun "band" or "bars"
-- @string[opt="deviation"] band
-- @treturn ?string
function curve_points.describe(spreads, noun, band)
  local parts = {}
  if spreads.several then
    local over = {}
    if spreads.samplings[2] > 1 then over[1] = count_text(spreads.samplings, "sampling") end
    if spreads.seeds[2] > 1 then over[#over + 1] = count_text(spreads.seeds, "seed") end
    parts[1] = kinds[band or "deviation"]:format(names.list(over))
  end
  if spreads.images then
    parts[#parts + 1] = (#parts > 0 and "of a single row " or "") .. "95 % bootstrap interval over test images"
  end
  return #parts > 0 and ("%s: %s"):format(noun, table.concat(parts, "; ")) or nil
end

return curve_points
