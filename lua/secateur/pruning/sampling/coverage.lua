--- Samples that leave none of a class far from a chosen one: k-centre greedy on the penultimate features, the core-set
-- of Sener and Savarese, "Active Learning for Convolutional Neural Networks: A Core-Set Approach" (2018), after
-- Gonzalez (1985). It begins at the sample nearest to the mean; no seed decides anything.
-- @module secateur.pruning.sampling.coverage
local cluster = require "secateur.pruning.cluster"

--- Chooses the samples of one class.
-- @tab pool see `sample`
-- @tab ctx see `sample`
-- @treturn table entries of the pool, each the farthest from those before it
local function coverage(pool, ctx)
  local chosen = {}
  for i, row in ipairs(cluster.k_centre(ctx:features_matrix(pool), math.min(#pool, ctx.count))) do
    chosen[i] = pool[row]
  end
  return chosen
end

return coverage
