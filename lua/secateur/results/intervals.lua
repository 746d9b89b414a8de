--- How far the mean of a few numbers can be trusted: standard deviation, range, and Student's interval of the mean.
-- @module secateur.results.intervals
local intervals = {}

-- The continued fraction of the incomplete beta function, by Lentz's method as modified by Thompson and Barnett
-- (Press et al., Numerical Recipes, 6.4; its equation 6.4.5).
local function beta_fraction(x, a, b)
  local tiny = 1e-300
  local function guarded(value) return math.abs(value) < tiny and tiny or value end
  local c, d = 1, 1 / guarded(1 - (a + b) * x / (a + 1))
  local h = d
  for m = 1, 500 do
    local even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
    d = 1 / guarded(1 + even * d)
    c = guarded(1 + even / c)
    h = h * d * c
    local odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
    d = 1 / guarded(1 + odd * d)
    c = guarded(1 + odd / c)
    h = h * d * c
    if math.abs(d * c - 1) < 1e-15 then break end
  end
  return h
end

-- The logarithm of the gamma function of halves of whole numbers, by its recurrence.
local function log_gamma(x)
  local sum, at = 0, x
  while at > 1 do
    at = at - 1
    sum = sum + math.log(at)
  end
  return sum + (at == 0.5 and math.log(math.pi) / 2 or 0)
end

-- The share of Student's distribution that is further from 0 than t, on both sides together.
local function two_tails(t, freedom)
  local a, b = freedom / 2, 0.5
  local x = freedom / (freedom + t * t)
  local front = math.exp(log_gamma(a + b) - log_gamma(a) - log_gamma(b) + a * math.log(x) + b * math.log(1 - x))
  if x < (a + 1) / (a + b + 2) then return front * beta_fraction(x, a, b) / a end
  return 1 - front * beta_fraction(1 - x, b, a) / b
end

--- The t between whose negative and itself a share of Student's distribution lies: 4.303 for 0.95 and 2 degrees of
-- freedom.
-- @number level between 0 and 1
-- @int freedom degrees of freedom, at least 1
-- @treturn number
function intervals.quantile(level, freedom)
  local low, high = 0, 1
  while two_tails(high, freedom) > 1 - level do high = high * 2 end
  for _ = 1, 200 do
    local middle = (low + high) / 2
    if middle == low or middle == high then break end
    if two_tails(middle, freedom) > 1 - level then low = middle else high = middle end
  end
  return high
end

-- Numbers that differ by a smaller share than this do so by rounding.
local same = 1e-12

--- What a list of numbers says; what is not a number is left out.
-- @tab values list of numbers
-- @number[opt=0.95] level of the interval
-- @treturn[1] table `count`, `mean`, `deviation` (the population's: divided by n), `min`, `max`; of two and more also
-- `low`, `high`: Student's interval of the mean, with the deviation of a sample (divided by n − 1)
-- @treturn[2] nil where there is none
function intervals.summary(values, level)
  local count, sum, min, max = 0, 0, math.huge, -math.huge
  for _, value in ipairs(values) do
    if value == value then
      count, sum, min, max = count + 1, sum + value, math.min(min, value), math.max(max, value)
    end
  end
  if count == 0 then return nil end
  local mean, squares = sum / count, 0
  for _, value in ipairs(values) do
    if value == value then squares = squares + (value - mean) * (value - mean) end
  end
  if max - min <= same * math.max(math.abs(min), math.abs(max)) then mean, squares, max = min, 0, min end
  local found = { count = count, mean = mean, deviation = math.sqrt(squares / count), min = min, max = max }
  if count > 1 then
    local half = intervals.quantile(level or 0.95, count - 1) * math.sqrt(squares / (count - 1) / count)
    found.low, found.high = mean - half, mean + half
  end
  return found
end

--- The same of the numbers in a column.
-- @tab rows
-- @string column
-- @treturn ?table as `summary` gives it
function intervals.of(rows, column)
  local values = {}
  for _, row in ipairs(rows) do values[#values + 1] = row[column] end
  return intervals.summary(values)
end

return intervals
