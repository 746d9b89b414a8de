--- Public name -> documentation, from the doc comments of the sources.
-- @module secateur.help.index
local catalogue = require "secateur.help.catalogue"
local comments = require "secateur.help.comments"

local index = {}

-- Modules of the native core -> the file that documents their functions.
local native = { core = "help.native.tensor", cpu = "help.native.tensor" }

--- The text of a module's source, as Lua would find it.
-- @string module without "secateur.", "" for secateur itself
-- @treturn ?string
function index.read_installed(module)
  local name = module == "" and "secateur" or "secateur." .. module
  local path = package.searchpath(name, package.path)
  local file = path and io.open(path, "rb")
  if not file then return nil end
  local text = file:read("a")
  file:close()
  return text
end

-- Sources and their comments, each read once.
local function new_reader(read)
  local texts, parsed = {}, {}
  local reader = {}
  function reader.text(module)
    if texts[module] == nil then texts[module] = read(module) or false end
    return texts[module] or ""
  end
  function reader.entries(module)
    if not parsed[module] then parsed[module] = comments.read(reader.text(module)) end
    return parsed[module]
  end
  return reader
end

local function find(entries, test)
  for _, entry in ipairs(entries) do
    if test(entry) then return entry end
  end
end

local function named(entries, name)
  return find(entries, function(entry) return entry.kind == "function" and entry.name == name end)
end

-- What a module returns: the name of its local, or "return" for a function without one.
local function returned(text)
  local code = text:match(".*\nreturn%f[^%w_]%s*([^\n]*)") or ""
  if code:match("^function") then return "return" end
  return code:match("^setmetatable%s*%(%s*([%w_]+)") or code:match("^([%w_]+)") or "return"
end

-- The documentation of what a module returns: of the function, else of the module.
local function main_entry(reader, module)
  local entries = reader.entries(module)
  local name = returned(reader.text(module))
  return find(entries, function(entry) return entry.kind == "function" and not entry.owner and entry.name == name end)
    or find(entries, function(entry) return entry.kind == "module" end), name
end

-- Adds an entry under its public name, and under the others that it has.
local function add(found, subject, public, entry, owner)
  local item = { name = public, subject = subject.title, entry = entry, owner = owner }
  if not found.by_name[public] then
    found.by_name[public] = item
    table.insert(found.list, item)
  end
  for _, also in ipairs(entry.also) do
    found.by_name[public:gsub("[%w_]+$", also)] = item
  end
end

-- The functions of a table that a module returns: its own, and modules that it takes in.
local function add_members(found, reader, subject, name, module, main, own)
  for _, entry in ipairs(reader.entries(module)) do
    local member = entry.kind == "function" and entry.separator ~= ":" and entry ~= main
      and (entry.owner == own or not entry.owner and entry.tagged)
    if member then add(found, subject, name .. "." .. entry.name, entry, name) end
  end
  if not main or main.kind ~= "module" then return end -- a function: modules that it uses are its own business
  -- "[r]": the check of requires is not to take this pattern for one
  for member, other in reader.text(module):gmatch('\n%s+([%w_]+) = [r]equire "secateur%.([%w_.]+)"') do
    local entry = main_entry(reader, other)
    if entry then add(found, subject, name .. "." .. member, entry, name) end
  end
end

local function add_name(found, reader, subject, name, where)
  local module, key = where:match("^([^:]+):?(.*)$")
  if native[module] then
    local entry = named(reader.entries(native[module]), key == "level" and "cpu" or key)
    if entry then add(found, subject, name, entry) end
  elseif key ~= "" then
    local entry = named(reader.entries(module), key)
    if entry then add(found, subject, name, entry) end
  else
    local entry, own = main_entry(reader, module)
    if entry then add(found, subject, name, entry) end
    add_members(found, reader, subject, name, module, entry, own)
  end
end

local function add_class(found, reader, subject, name, module)
  local entries = reader.entries(module)
  local class = find(entries, function(entry) return entry.kind == "class" and entry.name == name end)
    or find(entries, function(entry) return entry.kind == "class" end)
  if class then add(found, subject, name, class) end
  local own = find(entries, function(entry) return entry.separator == ":" and entry.owner == name end)
  for _, entry in ipairs(entries) do
    if entry.separator == ":" and not entry.name:match("^__") and (not own or entry.owner == name) then
      add(found, subject, name .. ":" .. entry.name, entry, name)
    end
  end
end

--- Public name -> module, as lua/secateur/init.lua has it.
-- @string text of lua/secateur/init.lua
-- @treturn table
function index.names(text)
  local names = {}
  for name, where in text:gmatch('\n  ([%w_]+) = "([%w_.:]+)",') do names[name] = where end
  return names
end

--- Everything public that is documented.
-- @func[opt] read module (without "secateur.") -> text of its source or nil; by default the installed ones
-- @treturn table `by_name`: public name ("prune", "data.folder", "Tensor", "Tensor:get") -> item; `list`: all items in
--   order. An item: `name`, `subject`, `entry` (see secateur.help.comments), `owner` of a member
function index.build(read)
  local reader = new_reader(read or index.read_installed)
  local found = { by_name = {}, list = {} }
  local names = index.names(reader.text(""))
  for _, subject in ipairs(catalogue) do
    for _, name in ipairs(subject.names) do
      if names[name] then add_name(found, reader, subject, name, names[name]) end
    end
    for _, class in ipairs(subject.classes) do add_class(found, reader, subject, class[1], class[2]) end
    for _, name in ipairs(subject.topics) do
      local topic = named(reader.entries("help.topics"), name)
      if topic then
        add(found, subject, name, topic)
        found.by_name[name].topic = true
      end
    end
  end
  return found
end

--- The documentation of a module that is not public.
-- @string module without "secateur."
-- @func[opt] read as for `build`
-- @treturn ?{table,...} its entries, see secateur.help.comments
function index.module(module, read)
  local text = (read or index.read_installed)(module)
  return text and comments.read(text)
end

return index
