--- Names of files as short as they can be told apart: the last part of a path, and where several have the same, as many
-- folders above it as make a difference.
-- @module secateur.util.short_names

local function parts_of(path)
  local parts = {}
  for part in path:gmatch "[^/]+" do parts[#parts + 1] = part end
  if #parts == 0 then parts[1] = path end
  return parts
end

-- The last `count` parts.
local function ending(parts, count)
  return table.concat(parts, "/", math.max(1, #parts - count + 1))
end

--- Shortens paths.
-- @tparam {string,...} paths
-- @treturn {string,...} one for each; alike only where paths are
return function(paths)
  local parts, counts, names = {}, {}, {}
  for i, path in ipairs(paths) do parts[i], counts[i] = parts_of(path), 1 end
  repeat
    local holders, changed = {}, false
    for i in ipairs(paths) do
      names[i] = ending(parts[i], counts[i])
      holders[names[i]] = holders[names[i]] or {}
      table.insert(holders[names[i]], i)
    end
    for _, list in pairs(holders) do
      for _, i in ipairs(#list > 1 and list or {}) do
        if counts[i] < #parts[i] then counts[i], changed = counts[i] + 1, true end
      end
    end
  until not changed
  return names
end
