--- Documentation as plain text.
-- @module secateur.help.text
local text = {}

local function indent(lines, by)
  return (by .. lines:gsub("\n", "\n" .. by)):gsub("[ \t]+\n", "\n")
end

--- The first sentence of a description, on one line.
-- @string about
-- @treturn string
function text.summary(about)
  local paragraph = (about .. "\n\n"):match("^(.-)\n%s*\n"):gsub("%s*\n%s*", " ")
  local sentence = paragraph:match("^(.-%.)%s+%u") or paragraph
  return (sentence:gsub("[.:]$", ""))
end

--- How a thing is called: "sc.prune(model, scores [, opts])".
-- @tab item see secateur.help.index
-- @treturn string
function text.signature(item)
  local entry, name = item.entry, item.name
  if entry.kind ~= "function" or item.topic then return name end
  if name:find(":", 1, true) then
    name = name:sub(1, 1):lower() .. name:sub(2)
  else
    name = "sc." .. name
  end
  if entry.value then return name end
  local list, closing = "", ""
  for i, parameter in ipairs(entry.params) do
    local comma = i > 1 and ", " or ""
    if parameter.optional then
      list, closing = list .. (i > 1 and " [" or "[") .. comma .. parameter.name, closing .. "]"
    else
      list = list .. comma .. parameter.name
    end
  end
  return name .. "(" .. list .. closing .. ")"
end

local function parameter_text(parameter)
  local notes = {}
  if parameter.type ~= "" then notes[1] = parameter.type end
  if parameter.default then
    notes[#notes + 1] = "default " .. parameter.default
  elseif parameter.optional then
    notes[#notes + 1] = "optional"
  end
  local head = parameter.name .. (#notes > 0 and " (" .. table.concat(notes, ", ") .. ")" or "")
  return indent(parameter.text == "" and head or head .. ": " .. parameter.text, "  ")
end

local function return_text(value)
  return indent((value.type .. " " .. value.text):gsub("^%s+", ""):gsub("%s+$", ""), "  ")
end

local function add_list(parts, title, list, render)
  if #list == 0 then return end
  local lines = { title }
  for i, one in ipairs(list) do lines[i + 1] = render(one) end
  parts[#parts + 1] = table.concat(lines, "\n")
end

--- The whole documentation of an item.
-- @tab item see secateur.help.index
-- @tab[opt] members items that belong to it
-- @treturn string
function text.page(item, members)
  local entry = item.entry
  local parts = { text.signature(item) }
  if entry.text ~= "" then parts[2] = entry.text end
  add_list(parts, "Fields:", entry.fields, parameter_text)
  add_list(parts, "Parameters:", entry.params, parameter_text)
  add_list(parts, "Returns:", entry.returns, return_text)
  add_list(parts, "Raises:", entry.raises, function(one) return indent(one, "  ") end)
  add_list(parts, "Example:", entry.usage, function(one) return indent(one, "  ") end)
  add_list(parts, "See also:", entry.see, function(one) return indent(one, "  ") end)
  if members and #members > 0 then parts[#parts + 1] = text.list(members) end
  return table.concat(parts, "\n\n")
end

--- Items as a list, a line each.
-- @tab items
-- @treturn string
function text.list(items)
  local width, lines = 0, {}
  for _, item in ipairs(items) do width = math.max(width, #item.name) end
  for i, item in ipairs(items) do
    local line = ("  %-" .. width .. "s  %s"):format(item.name, text.summary(item.entry.text))
    lines[i] = #line > 118 and line:sub(1, 116):gsub("%s+%S*$", "") .. " …" or line
  end
  return table.concat(lines, "\n")
end

return text
