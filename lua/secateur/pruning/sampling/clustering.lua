--- Samples that stand for the variety of a class: k-means on the penultimate features with as many clusters as samples
-- are wanted, and of each cluster the sample nearest to its centroid.
-- @module secateur.pruning.sampling.clustering

--- Chooses the samples of one class.
-- @tab pool see `sample`
-- @tab ctx see `sample`
-- @treturn table entries of the pool, one per cluster
local function clustering(pool, ctx)
  if #pool <= ctx.count then return pool end
  return (ctx.kmeans(pool, ctx.count))
end

return clustering
