--- What differs between two sets of settings.
-- @module secateur.util.differences
local files = require "secateur.util.files"
local json = require "secateur.util.json"

local differences = {}

local SHOWN = 5 -- fields that a text names

-- A value as JSON, of which a message can show so much.
local function shorten(value, longest)
  if value == nil then return "nothing" end
  local text = json.encode(value)
  return #text <= longest and text or text:sub(1, longest - 3) .. "..."
end

-- Lists are compared whole, also those with holes.
local function is_object(value)
  return type(value) == "table" and (next(value) == nil or type(next(value)) == "string")
end

local function collect(old, new, prefix, longest, found)
  local names, seen = {}, {}
  for _, side in ipairs { old, new } do
    for name in pairs(side) do
      if not seen[name] then names[#names + 1], seen[name] = name, true end
    end
  end
  for _, name in ipairs(files.sort(names)) do
    local a, b = old[name], new[name]
    if is_object(a) and is_object(b) then
      collect(a, b, prefix .. name .. ".", longest, found)
    elseif json.encode(a) ~= json.encode(b) then
      found[#found + 1] = { name = prefix .. name, old = shorten(a, longest), new = shorten(b, longest) }
    end
  end
  return found
end

--- Compares plain data, field by field, tables in one another by dotted names.
-- @tab old
-- @tab new
-- @int longest bytes of a value that are shown
-- @treturn {table,...} `name`, `old`, `new` (texts) of each field that differs, sorted by name
function differences.list(old, new, longest)
  return collect(old, new, "", longest, {})
end

--- The first of the fields that differ, for a message.
-- @tab old
-- @tab new
-- @int longest bytes of a value that are shown
-- @string format of a field's name, its old and its new value
-- @treturn ?string nil where nothing differs
function differences.text(old, new, longest, format)
  local found, parts = differences.list(old, new, longest), {}
  if #found == 0 then return nil end
  for i = 1, math.min(#found, SHOWN) do parts[i] = format:format(found[i].name, found[i].old, found[i].new) end
  if #found > SHOWN then parts[SHOWN + 1] = ("and %d more"):format(#found - SHOWN) end
  return table.concat(parts, "; ")
end

return differences
