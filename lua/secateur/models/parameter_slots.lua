--- Where a node finds its parameters.
-- @module secateur.models.parameter_slots

--- The parameters of a node that are not named after it, or are rows of larger ones, as `graph:add` takes them.
-- @tab node one of `graph:nodes()`
-- @treturn table|nil slot -> { `name`, `first`, `total` }; nil when all have their own names
return function(node)
  local special
  for _, param in pairs(node.params) do
    local name = param.slot
    if param.name ~= node.name .. "." .. name or param.total then
      special = special or {}
      special[name] = { name = param.name, first = param.first, total = param.total }
    end
  end
  return special
end
