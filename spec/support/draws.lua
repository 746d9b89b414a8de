--- Whole numbers by chance, the same everywhere.

--- Makes a sequence.
-- @int seed
-- @treturn function of (low, high): the next one, in low..high
return function(seed)
  local state = seed * 7919 + 12345
  return function(low, high)
    state = state * 6364136223846793005 + 1442695040888963407
    return low + (state >> 33) % (high - low + 1)
  end
end
