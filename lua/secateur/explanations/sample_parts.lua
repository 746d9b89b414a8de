--- Which samples a rank measures, and what all ranks found, for measures that have a value per sample.
-- @module secateur.explanations.sample_parts
local shares = require "secateur.mpi.shares"

local sample_parts = {}

-- The part's samples from number `first` to `last` of all.
local function cut(part, first, last)
  local from, to = first - part.first + 1, last - part.first + 1
  return { x = part.x:view(from, to), first = first, targets = table.move(part.targets, from, to, 1, {}) }
end

--- The parts that this rank measures: a contiguous share of the samples, in pieces that no two parts have in common;
-- or where parts may not be cut, a contiguous share of the parts.
-- @tparam ?Group group
-- @tab parts see secateur.explanations.image_subset
-- @bool divisible whether parts may be cut
-- @treturn {table,...} each `x`, `targets`, `first`
function sample_parts.own(group, parts, divisible)
  if not shares.are(group) then return table.move(parts, 1, #parts, 1, {}) end
  if not divisible then
    local first, last = shares.range(group, #parts)
    return table.move(parts, first, last, 1, {})
  end
  local first, last = shares.range(group, parts.count)
  local own = {}
  for _, part in ipairs(parts) do
    local from, to = math.max(first, part.first), math.min(last, part.first + part.x:size(1) - 1)
    if from <= to then own[#own + 1] = cut(part, from, to) end
  end
  return own
end

--- Values of all samples, of tables number of sample -> value that hold those of this rank's. All ranks call it.
-- @tparam ?Group group
-- @tab tables name -> table, changed in place
-- @treturn table the same
function sample_parts.complete(group, tables)
  if not shares.are(group) then return tables end
  for _, found in ipairs(shares.all_gather(group, tables)) do
    for name, values in pairs(found) do
      for sample, value in pairs(values) do tables[name][sample] = value end
    end
  end
  return tables
end

--- The problem that the first of the ranks with one has; nil where there is none. All ranks call it.
-- @tparam ?Group group
-- @string[opt] problem of this rank
-- @treturn ?string
function sample_parts.problem(group, problem)
  for _, found in ipairs(shares.all_gather(group, problem or false)) do
    if found then return found end
  end
  return nil
end

return sample_parts
