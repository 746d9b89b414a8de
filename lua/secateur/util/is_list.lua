--- Whether a table is a list: JSON's null leaves holes, over which `#` and `ipairs` do not agree.
-- @module secateur.util.is_list

--- Whether a value is a list, all of whose entries are good.
-- @param value anything
-- @func good entry -> whether it is; nil is a hole, and not to be taken for good
-- @treturn boolean also of an empty table
return function(value, good)
  if type(value) ~= "table" then return false end
  local size = 0
  for _ in pairs(value) do size = size + 1 end
  for i = 1, size do
    if not good(value[i]) then return false end
  end
  return true
end
