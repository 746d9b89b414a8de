--- How many a share of a number is. Shares are written as decimals (0.29) or come of a division (1 / 3), which doubles
-- hold to their last bit only: 0.29 * 100 is 28.999999999999996.
-- @module secateur.util.shares
local shares = {}

-- Relative to the product; what a hundred roundings add up to, as in 0.1 + 0.1 + ..., and far below what separates
-- shares that differ.
local TOLERANCE = 2 ^ -45

-- The whole number that a product is but for rounding, or nil.
local function whole(product)
  local nearest = math.floor(product + 0.5)
  return math.abs(product - nearest) <= TOLERANCE * math.abs(product) and nearest or nil
end

--- A share of a number, rounded down: the largest whole number of at most share * count, as by exact arithmetic with
-- the decimal or fraction that the share was written as.
-- @number share
-- @int count
-- @treturn int
function shares.floor(share, count)
  local product = share * count
  return whole(product) or math.floor(product)
end

--- The same, rounded up.
-- @number share
-- @int count
-- @treturn int
function shares.ceil(share, count)
  local product = share * count
  return whole(product) or math.ceil(product)
end

return shares
