--- What the checks in .ci/lint share: listing and reading the files of a tree, and source text without its comments.
local lfs = require "lfs"

local source = {}

--- Every file below root/dir that has one of the extensions, as sorted paths relative to root.
function source.list(root, dir, extensions)
  local found = {}
  local function walk(path)
    for name in lfs.dir(root .. "/" .. path) do
      local inner = path .. "/" .. name
      local mode = name ~= "." and name ~= ".." and lfs.attributes(root .. "/" .. inner, "mode")
      if mode == "directory" then
        walk(inner)
      elseif mode == "file" and extensions[name:match("%.(%w+)$") or ""] then
        found[#found + 1] = inner
      end
    end
  end
  if lfs.attributes(root .. "/" .. dir, "mode") == "directory" then walk(dir) end
  table.sort(found)
  return found
end

--- Whether root/path is a file.
function source.exists(root, path)
  return lfs.attributes(root .. "/" .. path, "mode") == "file"
end

--- The text of root/path.
function source.read(root, path)
  local file = assert(io.open(root .. "/" .. path, "rb"))
  local text = file:read("a")
  file:close()
  return text
end

--- The lines of a text, without their ends.
function source.lines(text)
  local lines = {}
  for line in (text:sub(-1) == "\n" and text or text .. "\n"):gmatch("(.-)\r?\n") do lines[#lines + 1] = line end
  return lines
end

local function blank(text)
  return (text:gsub("[^\n]", " "))
end

-- Walks over the text from token to token. scan(text, position) gives the end of the comment or literal that starts
-- there and whether it is a comment, or nothing.
local function without(text, starts, scan)
  local pieces, position = {}, 1
  while true do
    local at = text:find(starts, position)
    if not at then break end
    pieces[#pieces + 1] = text:sub(position, at - 1)
    local last, comment = scan(text, at)
    last = math.min(last or at, #text)
    local token = text:sub(at, last)
    pieces[#pieces + 1] = comment and blank(token) or token
    position = last + 1
  end
  pieces[#pieces + 1] = text:sub(position)
  return table.concat(pieces)
end

-- The end of the string that starts with the quote at `at`.
local function quoted(text, at)
  local quote, i = text:sub(at, at), at + 1
  while i <= #text do
    local c = text:sub(i, i)
    if c == quote or c == "\n" then return i end
    i = i + (c == "\\" and 2 or 1)
  end
  return #text
end

--- C text with its comments blanked out; lines and columns stay where they were.
function source.without_c_comments(text)
  return without(text, "[/\"']", function(whole, at)
    local two = whole:sub(at, at + 1)
    if two == "/*" then return select(2, whole:find("*/", at + 2, true)) or #whole, true end
    if two == "//" then return (whole:find("\n", at, true) or #whole + 1) - 1, true end
    if two:sub(1, 1) ~= "/" then return quoted(whole, at) end
  end)
end

--- Lua text with its comments blanked out; lines and columns stay where they were.
function source.without_lua_comments(text)
  return without(text, "[-\"'%[]", function(whole, at)
    local c = whole:sub(at, at)
    if c == '"' or c == "'" then return quoted(whole, at) end
    local comment = whole:sub(at, at + 1) == "--"
    local level = whole:match(comment and "^%-%-%[(=*)%[" or "^%[(=*)%[", at)
    if level then return select(2, whole:find("]" .. level .. "]", at, true)) or #whole, comment end
    if comment then return (whole:find("\n", at, true) or #whole + 1) - 1, true end
  end)
end

return source
