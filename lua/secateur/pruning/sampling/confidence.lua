--- The samples that the model is surest of: the highest probability of the true class or finding.
-- @module secateur.pruning.sampling.confidence

--- Orders the samples of one class by confidence, highest first, equal ones as they stand in the split.
-- @tab pool see `sample`
-- @treturn table entries of the pool
local function confidence(pool)
  table.sort(pool, function(a, b)
    if a.confidence ~= b.confidence then return a.confidence > b.confidence end
    return a.index < b.index
  end)
  return pool
end

return confidence
