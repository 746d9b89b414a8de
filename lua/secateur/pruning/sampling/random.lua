--- Any samples, as the seed has it. Runs no model.
-- @module secateur.pruning.sampling.random

--- Orders the samples of one class at random.
-- @tab pool see `sample`
-- @tab ctx see `sample`
-- @treturn table entries of the pool
local function random(pool, ctx)
  return ctx.shuffle(pool)
end

return random
