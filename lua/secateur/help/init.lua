--- Documentation at the prompt.
-- @module secateur.help
local catalogue = require "secateur.help.catalogue"
local errors = require "secateur.util.errors"
local index = require "secateur.help.index"
local operations = require "secateur.help.operations"
local text = require "secateur.help.text"

local built -- the index, once somebody has asked

local function get_index()
  built = built or index.build()
  return built
end

-- What has to be changed, put in or left out to make one name of another.
local function distance(a, b)
  local row = {}
  for j = 0, #b do row[j] = j end
  for i = 1, #a do
    local diagonal = row[0]
    row[0] = i
    for j = 1, #b do
      local cost = a:byte(i) == b:byte(j) and 0 or 1
      diagonal, row[j] = row[j], math.min(row[j] + 1, row[j - 1] + 1, diagonal + cost)
    end
  end
  return row[#b]
end

local function last_part(name) return name:match("[%w_]+$") or name end

-- Names that somebody may have meant, the likeliest first.
local function suggestions(name)
  local near, wanted = {}, name:lower()
  for public in pairs(get_index().by_name) do
    local known = public:lower()
    local far = math.min(distance(wanted, known), distance(wanted, last_part(known):lower()) + 0.5)
    if #wanted >= 3 and known:find(wanted, 1, true) then far = math.min(far, 1) end
    if far <= (#wanted < 4 and 1 or math.max(2, #wanted // 3)) then near[#near + 1] = { far, public } end
  end
  table.sort(near, function(a, b) return a[1] < b[1] or a[1] == b[1] and a[2] < b[2] end)
  local names = {}
  for i = 1, math.min(5, #near) do names[i] = near[i][2] end
  return names
end

-- The item of that name; a method may stand without its class, where only one has it.
local function find_item(name)
  local by_name = get_index().by_name
  local exact = by_name[name] or by_name[(name:gsub("%.([%w_]+)$", ":%1"))]
  if exact then return exact end
  local found
  for _, item in ipairs(get_index().list) do
    if item.owner and last_part(item.name) == name then
      if found then return nil end
      found = item
    end
  end
  return found
end

-- The public name of a value: of a function, or of the class of an object.
local function name_of(value)
  local meta = getmetatable(value)
  local class = type(meta) == "table" and rawget(meta, "__name")
  if class and get_index().by_name[class] then return class end
  for public, loaded in pairs(package.loaded.secateur or {}) do
    if rawequal(loaded, value) then return public end
  end
end

local function overview()
  local parts = { 'sc.help "name" explains one of these; sc.help "Tensor:matmul" a method.' }
  for _, subject in ipairs(catalogue) do
    local items = {}
    for _, item in ipairs(get_index().list) do
      if item.subject == subject.title and not item.owner then items[#items + 1] = item end
    end
    parts[#parts + 1] = subject.title .. "\n" .. text.list(items)
  end
  return table.concat(parts, "\n\n")
end

local function item_text(item)
  local members = {}
  for _, other in ipairs(get_index().list) do
    if other.owner == item.name then members[#members + 1] = other end
  end
  local page = text.page(item, members)
  return item.topic and item.name == "operations" and page .. "\n\n" .. operations.text() or page
end

-- What is not public, by the name of its module: "models.initial_weights".
local function module_text(name)
  local entries = name:match("^[%w_.]+$") and index.module(name) or {}
  if not entries[1] then return nil end
  local lines = { "secateur." .. name .. " (internal)", entries[1].text }
  for _, entry in ipairs(entries) do
    if entry.kind == "function" then
      local member = { name = (entry.owner and entry.owner .. entry.separator or "") .. entry.name, entry = entry }
      lines[3] = (lines[3] and lines[3] .. "\n" or "") .. text.list { member }
    end
  end
  return table.concat(lines, "\n\n")
end

local function no_such(name)
  local near = suggestions(name)
  if #near == 0 then return ("nothing is known of '%s'; sc.help() lists all names"):format(name) end
  return ("nothing is known of '%s'; did you mean %s?"):format(name, table.concat(near, ", "))
end

--- Prints the documentation of a function, a class, a method or a topic; without a name, the list of all.
-- @param[opt] name "prune", "data.folder", "Tensor", "Tensor:matmul", "models.vgg", "operations"; or a function of
--   Secateur, or a value that one has given
-- @usage
-- sc.help()                    -- everything public, a line each
-- sc.help "prune"
-- sc.help "Tensor:matmul"
-- sc.help(sc.zeros(2, 2))      -- the class of a value
local function help(name)
  if name == nil then
    print(overview())
    return
  end
  local wanted = type(name) == "string" and name or name_of(name)
  if not wanted then errors.refuse("help", "name: expected a name, or a value of Secateur, got a %s", type(name)) end
  wanted = wanted:gsub("^%s*sc%.", ""):gsub("^%s*secateur%.", ""):gsub("%s*%(.*$", "")
  local item = find_item(wanted)
  print(item and item_text(item) or module_text(wanted) or no_such(wanted))
end

return help
