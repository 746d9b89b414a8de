--- What `sample` gives: indices of a split that know how they were chosen.
-- @module secateur.pruning.samples
local samples = {}

local function describe(self)
  local text = ("%d samples: %s"):format(#self, table.concat(self, " "))
  if self.weights then text = text .. " (weighted)" end
  if #self.unreadable == 0 then return text end
  return ("%s (passed over, for they cannot be read: %s)"):format(text, table.concat(self.unreadable, " "))
end

--- What `sample` gives: a list of indices, which prints itself.
-- @type Samples
-- @field unreadable list of indices that were looked at and could not be read; no part of the list, and of no loop over
-- it
-- @field findings where images may have several findings, the list of those that the samples were drawn for, 0 for none
-- @field weights list of what each sample counts, where the strategy said so; nil where all count the same

--- Makes the value.
-- @tparam {table,...} entries that were chosen, `index`, `label` and perhaps `weight`
-- @tab known index -> whether it can be read
-- @bool[opt] multi_label
-- @treturn Samples
function samples.new(entries, known, multi_label)
  local indices, findings, weights, weighted, unreadable = {}, {}, {}, false, {}
  for i, entry in ipairs(entries) do
    indices[i], findings[i], weights[i] = entry.index, entry.label, (entry.weight or 1) + 0.0
    weighted = weighted or weights[i] ~= 1
  end
  for index, good in pairs(known) do
    if not good then unreadable[#unreadable + 1] = index end
  end
  table.sort(unreadable)
  return setmetatable(indices, { __name = "Samples", __tostring = describe, __index = { unreadable = unreadable,
    findings = multi_label and findings or nil, weights = weighted and weights or nil } })
end

--- Gives a list of indices what belongs to them, and does not show up in a loop.
-- @tparam {int,...} indices changed, where there is something
-- @tab[opt] findings
-- @tab[opt] weights
-- @treturn {int,...} the same list
function samples.with_fields(indices, findings, weights)
  if not findings and not weights then return indices end
  return setmetatable(indices, { __index = { findings = findings, weights = weights } })
end

return samples
