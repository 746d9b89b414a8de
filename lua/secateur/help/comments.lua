--- Reads the doc comments (LDoc's form) of a Lua source.
--
-- A doc comment is a run of comment lines whose first starts with three hyphens. What it documents is named by the line
-- of code below it, or by one of the tags `@module`, `@type`, `@table`, `@function`. `@also name, ...` gives a function
-- further names.
-- @module secateur.help.comments
local comments = {}

-- Tag -> the type that it gives its parameter.
local shorthands = { string = "string", int = "int", number = "number", bool = "boolean", tab = "table",
  func = "function" }

local defining = { module = "module", type = "class", table = "class", ["function"] = "function" }

-- A type and what follows it: a table's type is in braces and may hold blanks.
local function split_type(text)
  local braces, rest = text:match("^(%b{}%S*)%s*(.*)$")
  if braces then return braces, rest end
  return text:match("^(%S*)%s*(.*)$")
end

local function split_name(text)
  local name, rest = text:match("^([%w_.]+)%s?(.*)$")
  return name or "", (name and rest or text):gsub("^ +", "")
end

local function read_parameter(entry, type, modifier, text)
  local name, about = split_name(text)
  local optional = modifier:match("^%[opt") ~= nil
  table.insert(entry.params, { name = name, type = type, text = about, optional = optional,
    default = modifier:match("^%[opt=(.*)%]$") })
end

local readers = {}

function readers.param(entry, modifier, text) read_parameter(entry, "", modifier, text) end

function readers.tparam(entry, modifier, text)
  local type, rest = split_type(text)
  read_parameter(entry, type, modifier, rest)
end

readers["return"] = function(entry, modifier, text)
  table.insert(entry.returns, { type = "", text = text, case = modifier:match("^%[(%d+)%]$") })
end

function readers.treturn(entry, modifier, text)
  local type, rest = split_type(text)
  table.insert(entry.returns, { type = type, text = rest, case = modifier:match("^%[(%d+)%]$") })
end

function readers.field(entry, _, text)
  local name, about = split_name(text)
  table.insert(entry.fields, { name = name, text = about })
end

function readers.usage(entry, _, text) table.insert(entry.usage, (text:gsub("^\n", ""))) end

function readers.raise(entry, _, text) table.insert(entry.raises, text) end

function readers.see(entry, _, text) table.insert(entry.see, text) end

function readers.also(entry, _, text)
  for name in text:gmatch("[%w_]+") do table.insert(entry.also, name) end
end

for tag, type in pairs(shorthands) do
  readers[tag] = function(entry, modifier, text) read_parameter(entry, type, modifier, text) end
end

-- "Tensor:get" or "core.zeros" or "zeros" -> owner, ":" or "." or nil, name.
local function set_name(entry, full)
  entry.owner, entry.separator, entry.name = full:match("^([%w_]+)([.:])([%w_]+)$")
  if not entry.name then entry.name = full end
end

-- Names the entry after the line of code that it stands above; says whether there is one.
local function read_definition(entry, line)
  local name = line:match("^%s*function%s+([%w_.:]+)") or line:match("^local%s+function%s+([%w_]+)")
    or line:match("^([%w_]+%.[%w_]+)%s*=")
  entry.kind = "function"
  if name then
    set_name(entry, name)
  elseif line:match("^return%s+function%f[^%w_]") then
    entry.name = "return"
  elseif line:match("^return%s*{") or line:match("^local%s+[%w_]+%s*=") then
    entry.kind, entry.name = "value", line:match("^local%s+([%w_]+)") or "return"
  end
  return entry.name ~= nil
end

local function trim(text)
  return (text:gsub("^%s*\n", ""):gsub("%s+$", ""))
end

-- The lines of a comment as a description and a list of {tag, modifier, text}.
local function split_tags(lines)
  local about, tags = {}, {}
  for _, line in ipairs(lines) do
    local tag, rest = line:match("^@(%a+)(.*)$")
    local last = tags[#tags]
    if tag then
      local modifier, text = rest:match("^(%b[])%s*(.*)$")
      tags[#tags + 1] = { tag, modifier or "", text or rest:gsub("^%s+", "") }
    elseif last then
      last[3] = last[3] .. "\n" .. (last[1] == "usage" and line or line:gsub("^  ", ""))
    else
      about[#about + 1] = line
    end
  end
  return trim(table.concat(about, "\n")), tags
end

local function read_comment(lines, first, code)
  local entry = { line = first, params = {}, returns = {}, fields = {}, usage = {}, raises = {}, see = {}, also = {},
    unknown = {} }
  local tags
  entry.text, tags = split_tags(lines)
  for _, tag in ipairs(tags) do
    local text = trim(tag[3])
    if defining[tag[1]] then
      entry.kind = defining[tag[1]]
      set_name(entry, text:match("^%S*"))
      entry.tagged = true
      if entry.kind == "module" then entry.name, entry.owner, entry.separator = text:match("^%S*"), nil, nil end
    elseif readers[tag[1]] then
      readers[tag[1]](entry, tag[2], text)
    else
      table.insert(entry.unknown, tag[1])
    end
  end
  if not entry.kind and not read_definition(entry, code) then return nil end
  return entry
end

--- The documented things of a source, in its order.
-- @string text the source
-- @treturn {table,...} each `kind` ("module", "class", "function", "value"), `name`, for members `owner` and
--   `separator` (":" or "."), `text`, `line`; lists `params` and `returns` (`name`, `type`, `text`, `optional`,
--   `default`, `case`), `fields`, `usage`, `raises`, `see`, `also`; `unknown`: tags that nobody knows
function comments.read(text)
  local entries, lines, number, first = {}, nil, 0, 0
  for line in (text .. "\n"):gmatch("(.-)\r?\n") do
    number = number + 1
    local start = line:match("^%s*%-%-%-%f[^%-]%s?(.*)$")
    local more = not start and lines and line:match("^%s*%-%-%s?(.*)$")
    if lines and not more then
      entries[#entries + 1] = read_comment(lines, first, line)
      lines = nil
    end
    if start then lines, first = { start }, number end
    if more then lines[#lines + 1] = more end
  end
  if lines then entries[#entries + 1] = read_comment(lines, first, "") end
  return entries
end

return comments
