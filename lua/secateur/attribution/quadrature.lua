--- Where along the path from 0 to 1 an integral is sampled, and with which weights.
-- @module secateur.attribution.quadrature
local core = require "secateur.core"

local quadrature = {}

--- Names of the rules.
quadrature.names = { "midpoint", "trapezoid", "gauss_legendre" }

--- The most points of Gauss-Legendre: finding them takes time that grows with their square.
quadrature.most_gauss = 4096

local rules = {}

-- (k + 1/2) / n, equal weights.
function rules.midpoint(n)
  local at, weight = {}, {}
  for k = 1, n do at[k], weight[k] = (k - 0.5) / n, 1 / n end
  return at, weight
end

-- k / n from end to end: n + 1 points, half a weight at the ends.
function rules.trapezoid(n)
  local at, weight = {}, {}
  for k = 0, n do at[k + 1], weight[k + 1] = k / n, (k == 0 or k == n) and 0.5 / n or 1 / n end
  return at, weight
end

-- The Legendre polynomial of degree n and its derivative at x, by the three-term recurrence.
local function legendre(n, x)
  local before, now = 1, x
  for k = 2, n do before, now = now, ((2 * k - 1) * x * now - (k - 1) * before) / k end
  return now, n * (x * now - before) / (x * x - 1)
end

-- Nodes are the roots of the Legendre polynomial, found by Newton's method from the asymptotic guess of Tricomi;
-- weights 2 / ((1 - x^2) P'(x)^2) (Abramowitz and Stegun 25.4.29), both moved from [-1, 1] to [0, 1].
function rules.gauss_legendre(n)
  local at, weight = {}, {}
  if n == 1 then return { 0.5 }, { 1 } end
  for k = 1, (n + 1) // 2 do
    local x = core.math.cos(math.pi * (k - 0.25) / (n + 0.5)) * (1 - (n - 1) / (8 * n * n * n))
    for _ = 1, 100 do
      local value, slope = legendre(n, x)
      local step = value / slope
      x = x - step
      if math.abs(step) < 1e-15 then break end
    end
    if 2 * k == n + 1 then x = 0 end
    local _, slope = legendre(n, x)
    local share = 1 / ((1 - x * x) * slope * slope)
    at[k], weight[k] = 0.5 * (1 - x), share
    at[n + 1 - k], weight[n + 1 - k] = 0.5 * (1 + x), share
  end
  return at, weight
end

--- The places and weights of a rule on [0, 1].
-- @string name one of `quadrature.names`
-- @int n points; one more for the trapezoid
-- @treturn {number,...} places, growing
-- @treturn {number,...} weights; they add up to 1
function quadrature.points(name, n) return rules[name](n) end

--- The points of one walk along the path that serves the integral at the input and the sums at nodes: places of the
-- rule and the ends of `n` equal steps, in order, each place once.
-- @string name
-- @int n
-- @bool input whether the integral at the input is wanted
-- @bool nodes whether sums at nodes are
-- @treturn {number,...} threes for core's `along`: place, weight of the gradient at the input, 1 where a step ends
function quadrature.schedule(name, n, input, nodes)
  local at, weight = {}, {}
  if input then at, weight = quadrature.points(name, n) end
  local flat, next_node = {}, nodes and 0 or n + 1
  local function add(...)
    for _, value in ipairs { ... } do flat[#flat + 1] = value end
  end
  for k, place in ipairs(at) do
    while next_node <= n and next_node / n < place do
      add(next_node / n, 0, 1)
      next_node = next_node + 1
    end
    local shared = next_node <= n and next_node / n == place
    add(place, weight[k], shared and 1 or 0)
    if shared then next_node = next_node + 1 end
  end
  for k = next_node, n do add(k / n, 0, 1) end
  return flat
end

return quadrature
