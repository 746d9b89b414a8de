--- Patterns of file names as a shell has them: `*` (anything but a slash), `**` (anything), `?` (one character),
-- `[ab]`, `[!ab]`.
-- @module secateur.util.glob
local glob = {}

-- The Lua pattern of a set such as [ab] or [!a-c] that opens at `at`, and where it ends; nil where it does not close.
local function set_pattern(text, at)
  local negated, inside, last = text:match("^%[(!?)(%]?[^%]]*)%]()", at)
  if not inside or inside == "" then return nil end
  inside = inside:gsub("[%%%^%[%]]", "%%%0")
  return ("[%s%s]"):format(negated == "!" and "^/" or "", inside), last
end

local function translate(text)
  local parts, at = {}, 1
  while at <= #text do
    local char, set, after = text:sub(at, at), nil, nil
    if char == "[" then set, after = set_pattern(text, at) end
    if set then
      parts[#parts + 1], at = set, after
    elseif text:sub(at, at + 1) == "**" then
      parts[#parts + 1], at = ".*", at + 2
    else
      parts[#parts + 1] = char == "*" and "[^/]*" or char == "?" and "[^/]" or char:gsub("%W", "%%%0")
      at = at + 1
    end
  end
  return table.concat(parts)
end

--- A test for one pattern. A pattern without a slash is about the last component of a path; one with slashes about the
-- path, beginning at its start or at any folder in it (`masks/*` is true of `COVID/masks/1.png`).
-- @string pattern
-- @treturn function of a path: boolean
function glob.matcher(pattern)
  local whole = "^" .. translate((pattern:gsub("^/+", ""))) .. "$"
  local by_name = not pattern:find("/", 1, true)
  return function(path)
    if by_name then return (path:match("[^/]*$") or path):find(whole) ~= nil end
    local at = 1
    while at do
      if path:find(whole, 1) then return true end
      at = path:find("/", 1, true)
      path = at and path:sub(at + 1) or path
    end
    return false
  end
end

return glob
