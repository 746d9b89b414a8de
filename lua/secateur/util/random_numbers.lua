--- Random numbers that a seed decides, the same on every machine: for choices made in Lua.
--
-- The i-th draw is a hash of the seed and i (splitmix64's finaliser twice, `core.mix`), so that there is no state but a
-- counter.
-- @module secateur.util.random_numbers
local core = require "secateur.core"
local errors = require "secateur.util.errors"
local methods = require "secateur.util.methods"
local options = require "secateur.util.options"

local random_numbers = {}

--- A seeded generator, such as `ctx.random` of a sampling strategy.
-- @type Random
-- @usage
-- local function any(pool, ctx) return ctx.random:shuffle(pool) end
local Random = { __name = "Random" }
Random.__index = Random

function Random:__tostring() return ("Random numbers of seed %d, %d drawn"):format(self.seed, self.drawn) end

--- Sixty-three random bits.
-- @treturn int at least 0
function Random:bits()
  self.drawn = self.drawn + 1
  return core.mix(self.seed, self.drawn)
end

--- Evenly spread over [0, 1), in steps of 2^-53.
-- @treturn number
function Random:uniform() return (self:bits() >> 10) * 0x1p-53 end

--- A whole number of 1..n, each as likely as the others.
-- @int n at least 1
-- @treturn int
function Random:integer(n)
  n = options.value("random", "n", n, { type = "integer", min = 1, required = true })
  -- Of 63 bits, those above the largest multiple of n are drawn again.
  local bits
  repeat bits = self:bits() until bits <= math.maxinteger - (math.maxinteger % n + 1) % n
  return bits % n + 1
end

--- Standard normal (Marsaglia's polar method, 1964), of mean 0 and variance 1.
-- @treturn number
function Random:normal()
  local u, v, square
  repeat
    u, v = 2 * self:uniform() - 1, 2 * self:uniform() - 1
    square = u * u + v * v
  until square > 0 and square < 1
  return u * math.sqrt(-2 * core.math.log(square) / square)
end

--- A list in a random order (Fisher and Yates); the list itself stays as it is.
-- @tab list
-- @treturn table a new list
function Random:shuffle(list)
  if type(list) ~= "table" then
    errors.refuse("random", "list: expected a list, got " .. options.describe(list))
  end
  local shuffled = table.move(list, 1, #list, 1, {})
  for i = #shuffled, 2, -1 do
    local j = self:integer(i)
    shuffled[i], shuffled[j] = shuffled[j], shuffled[i]
  end
  return shuffled
end

methods.guard(Random)

--- A generator.
-- @int seed
-- @treturn Random
function random_numbers.new(seed) return setmetatable({ seed = seed, drawn = 0 }, Random) end

return random_numbers
