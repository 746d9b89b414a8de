--- How verbs share samples out among ranks: a contiguous part each, and what all found put together in the order of
-- the samples, so that the result has the bits of one process. Without a group, or in a group of one, all is one's own.
-- All ranks make the same calls.
-- @module secateur.mpi.shares
local binary_values = require "secateur.util.binary_values"
local errors = require "secateur.util.errors"
local mpi = require "secateur.mpi"

local shares = {}

--- Whether there are others.
-- @tparam ?Group group
-- @treturn boolean
function shares.are(group) return group ~= nil and group.size > 1 end

--- Calls a function in which ranks wait for each other; where there is no group it is just called.
-- @tparam ?Group group
-- @func f
-- @param ... its arguments
-- @return what it gives
function shares.together(group, f, ...)
  if not group then return f(...) end
  return mpi.together(group, f, ...)
end

--- Raises unless a split can be shared out.
-- @string name the public function
-- @param split
-- @tparam ?Group group
function shares.check_split(name, split, group)
  if shares.are(group) and not split.subset then
    errors.refuse(name, "split: expected one with subset(indices), which ranks take their parts by")
  end
end

--- The part of 1..count that a rank has.
-- @tparam ?Group group
-- @int count
-- @int[opt] rank this one
-- @treturn int first
-- @treturn int last, first - 1 where the part is empty
function shares.range(group, count, rank)
  if not shares.are(group) then return 1, count end
  rank = rank or group.rank
  return count * rank // group.size + 1, count * (rank + 1) // group.size
end

--- The values of all ranks.
-- @tparam ?Group group
-- @param value what `secateur.util.binary_values` can encode
-- @treturn {value,...} that of rank r at r + 1
function shares.all_gather(group, value)
  if not shares.are(group) then return { value } end
  local values = group:all_gather(binary_values.encode(value))
  for i, text in ipairs(values) do values[i] = binary_values.decode(text) end
  return values
end

--- The lists of all ranks as one, in the order of ranks.
-- @tparam ?Group group
-- @tparam list list
-- @treturn list
function shares.join(group, list)
  if not shares.are(group) then return list end
  local whole = {}
  for _, part in ipairs(shares.all_gather(group, list)) do table.move(part, 1, #part, #whole + 1, whole) end
  return whole
end

--- Has each rank in turn go on from what the rank before made, as a sum in the order of the samples must be made. A
-- rank that has nothing to add gives what it gets.
-- @tparam ?Group group
-- @param value where rank 0 begins
-- @func go_on (value) -> value
-- @return what the last rank made
function shares.chain(group, value, go_on)
  if not shares.are(group) then return go_on(value) end
  for rank = 0, group.size - 1 do
    local text = ""
    if group.rank == rank then text = binary_values.encode(go_on(value)) end
    value = binary_values.decode(group:broadcast(text, rank))
  end
  return value
end

return shares
