--- The samples between two classes: the smallest difference of the largest and the second probability first (Scheffer,
-- Decomain and Wrobel, "Active Hidden Markov Models for Information Extraction", 2001).
-- @module secateur.pruning.sampling.margin

--- Orders the samples of one class by margin, smallest first, equal ones as they stand in the split.
-- @tab pool see `sample`
-- @treturn table entries of the pool
local function margin(pool)
  table.sort(pool, function(a, b)
    if a.margin ~= b.margin then return a.margin < b.margin end
    return a.index < b.index
  end)
  return pool
end

return margin
