--- Samples whose mean stays as near as can be to the mean of the class, however many of them are taken: herding
-- (Welling, "Herding Dynamical Weights to Learn", 2009), as iCaRL chooses its exemplars (Rebuffi et al. 2017,
-- algorithm 4), on penultimate features as they are (iCaRL scales them to length 1).
-- @module secateur.pruning.sampling.herding
local cluster = require "secateur.pruning.cluster"

--- Chooses the samples of one class.
-- @tab pool see `sample`
-- @tab ctx see `sample`
-- @treturn table entries of the pool, the first of them nearest to the mean
local function herding(pool, ctx)
  local features, chosen, taken = ctx:features_matrix(pool), {}, {}
  local mean = features:mean(1):reshape(1, -1)
  local sum = mean * 0
  for t = 1, math.min(#pool, ctx.count) do
    -- |mean - (sum + x) / t| is smallest for the x nearest to t mean - sum.
    local distances, best = cluster.distances(features, mean * t - sum), nil
    for i = 1, #pool do
      if not taken[i] and (not best or distances:get(i, 1) < distances:get(best, 1)) then best = i end
    end
    taken[best], chosen[t] = true, pool[best]
    sum = sum + features[best]:reshape(1, -1)
  end
  return chosen
end

return herding
