--- Samples of a split by what they show: what is chosen "per class" goes by these groups. Where an image may have
-- several findings it is in the group of each of them, and images that are known to have none are a group of their own.
-- @module secateur.data.label_groups
local label_groups = {}

local function add(group, index) group.indices[#group.indices + 1] = index end

-- Whether all findings are known to be absent.
local function is_clear(row)
  for _, value in ipairs(row) do
    if value ~= 0 then return false end
  end
  return true
end

--- The groups of a split.
-- @tparam Split split `labels`, `classes`, `multi_label`
-- @treturn {table,...} `label`, `name`, `indices` (in the order of the split): one per class, or per finding, where a
--   last one has the label 0 and the name "no finding". Images whose findings are unknown where they are not absent
--   are in no group
function label_groups.list(split)
  local groups = {}
  for label, name in ipairs(split.classes) do groups[label] = { label = label, name = name, indices = {} } end
  if not split.multi_label then
    for index, label in ipairs(split.labels) do add(groups[label], index) end
    return groups
  end
  local clear = { label = 0, name = "no finding", indices = {} }
  for index, row in ipairs(split.labels) do
    for finding, value in ipairs(row) do
      if value > 0 then add(groups[finding], index) end
    end
    if is_clear(row) then add(clear, index) end
  end
  groups[#groups + 1] = clear
  return groups
end

return label_groups
