--- The most typical samples of a class: nearest to the mean of its penultimate features, which is the prototype of
-- Snell, Swersky and Zemel, "Prototypical Networks for Few-shot Learning" (2017), equation 1.
-- @module secateur.pruning.sampling.prototypes
local cluster = require "secateur.pruning.cluster"

--- Orders the samples of one class by their distance from its mean, equal ones as they stand in the split.
-- @tab pool see `sample`
-- @tab ctx see `sample`
-- @treturn table entries of the pool
local function prototypes(pool, ctx)
  local features, distance = ctx:features_matrix(pool), {}
  local from_mean = cluster.distances(features, features:mean(1):reshape(1, -1))
  for i, entry in ipairs(pool) do distance[entry] = from_mean:get(i, 1) end
  table.sort(pool, function(a, b)
    if distance[a] ~= distance[b] then return distance[a] < distance[b] end
    return a.index < b.index
  end)
  return pool
end

return prototypes
