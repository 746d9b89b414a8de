--- The samples that the model is least certain about: the highest entropy of its probabilities first (Shannon 1948, as
-- used by Settles, "Active Learning Literature Survey", 2009, section 3.1).
-- @module secateur.pruning.sampling.entropy

--- Orders the samples of one class by entropy, highest first, equal ones as they stand in the split.
-- @tab pool see `sample`
-- @treturn table entries of the pool
local function entropy(pool)
  table.sort(pool, function(a, b)
    if a.entropy ~= b.entropy then return a.entropy > b.entropy end
    return a.index < b.index
  end)
  return pool
end

return entropy
