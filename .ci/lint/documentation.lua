-- Every public function says what it is for. Lua: what a module returns has a comment that starts with ---; methods of
-- classes have a comment (--- when users call them, so that sc.help and `make doc` show them). C: what a header
-- declares has a comment above it, above the run of declarations that it stands in, or behind it. What is public (the
-- names of lua/secateur/init.lua, the methods of classes) has an entry in what `make doc` and sc.help show.
local catalogue = require "secateur.help.catalogue"
local index = require "secateur.help.index"

-- The first line of the comment that ends on the line before `number`, or nil.
local function comment_above(lines, number)
  local i = number
  while i > 1 and lines[i - 1]:match("^%s*%-%-") do i = i - 1 end
  return i < number and lines[i] or nil
end

-- The names whose functions are public: what the module returns (a table, a constructor's values, a function) map to
-- "---", classes (tables with an __index) to "--".
local function public_names(code)
  local public = {}
  for class in code:gmatch("([%a_][%w_]*)%.__index%s*=") do public[class] = "--" end
  local returned = code:match("%f[%w_]return%s+([^\n].*)$", (code:match(".*()\nreturn%f[^%w_]")) or 1) or ""
  local list = returned:match("^setmetatable%s*%(%s*(.*)$") or returned
  public[list:match("^([%a_][%w_]*)") or ""] = "---"
  for name in (list:match("^(%b{})") or ""):gmatch("=%s*([%a_][%w_]*)%s*%f[,;}]") do public[name] = "---" end
  return public
end

local function check_lua(path, text, report, source)
  local lines = source.lines(text)
  local code = source.without_lua_comments(text)
  local public = public_names(code)
  if not (lines[1] or ""):match("^%-%-%-") then report(path, 1, "starts with no --- comment on the module") end
  for number, line in ipairs(source.lines(code)) do
    local owner, name = line:match("^function%s+([%w_]+)[.:]([%w_.:]+)")
    if not owner then owner, name = line:match("^([%w_]+)%.([%w_]+)%s*=%s*function%f[^%w_]") end
    local alone = line:match("^local%s+function%s+([%w_]+)") or line:match("^local%s+([%w_]+)%s*=%s*function%f[^%w_]")
    local wanted = not (name or ""):find("^__") and public[owner or alone]
    local comment = wanted and comment_above(lines, number) or ""
    if wanted and not comment:find("^%s*" .. wanted:gsub("%-", "%%-")) then
      report(path, number, ("%s has no %s comment"):format(owner and owner .. "." .. name or alone, wanted))
    end
  end
end

-- Text with the insides of braces and all preprocessor lines blanked out: what is left are declarations.
local function declarations_only(code)
  code = ("\n" .. code):gsub("\n[ \t]*#[^\n]*", function(line)
    return (line:gsub("[^\n]", " "))
  end):sub(2)
  return (code:gsub("%b{}", function(block)
    return "{" .. block:sub(2, -2):gsub("[^\n]", " ") .. "}"
  end))
end

-- Whether the line has a comment behind it, or a comment ends right above the run of lines that it stands in.
local function explained(lines, plain, number)
  if #lines[number]:gsub("%s", "") > #plain[number]:gsub("%s", "") then return true end
  for i = number - 1, 1, -1 do
    if lines[i]:match("^%s*$") then return false end
    if plain[i]:match("^%s*$") then return true end -- a line that is all comment
  end
  return false
end

local function check_header(path, text, report, source)
  local lines = source.lines(text)
  local code = source.without_c_comments(text)
  local plain = source.lines(code)
  local position = 1
  local bare = declarations_only(code)
  for statement, stop in bare:gmatch("([^;{}]*)([;{}])") do
    local skipped = #statement:match("^%s*")
    local name = statement:match("([%a_][%w_]*)%s*%(")
    local declares = name and name ~= "__attribute__" and not statement:match("^%s*typedef%f[^%w_]")
      and not statement:match("^%s*}") and not statement:match("=")
    if declares and stop ~= "}" then
      local _, newlines = bare:sub(1, position + skipped - 1):gsub("\n", "")
      if not explained(lines, plain, newlines + 1) then
        report(path, newlines + 1, name .. " has no comment, nor has its group")
      end
    end
    position = position + #statement + 1
  end
end

-- The methods that a binding file gives a class: its name, and a list of {name, line}.
local function native_methods(code)
  local class = code:match('sc_lua_new_class%s*%(%s*L,%s*SC_LUA_CLASS%s*%(%s*"(%w+)"')
    or code:match("void%s+sc_lua_add_tensor_%w+%s*%(") and "Tensor"
  local at, block = code:match("luaL_Reg%s+methods%[%]%s*=%s*()(%b{})")
  local methods = {}
  for position, name in (block or ""):gmatch('{%s*()"([%w_]+)"') do
    local _, newlines = code:sub(1, at + position):gsub("\n", "")
    if not name:find("^__") then methods[#methods + 1] = { name, newlines + 1 } end
  end
  return class, methods
end

local function check_native(root, report, source, found)
  local there = {}
  for _, path in ipairs(source.list(root, "csrc/lua", { c = true })) do
    local class, methods = native_methods(source.read(root, path))
    for _, method in ipairs(class and methods or {}) do
      local name = class .. ":" .. method[1]
      there[name], there[class] = true, true
      if not found.by_name[name] then report(path, method[2], name .. " has no entry in lua/secateur/help/native") end
    end
  end
  for name in pairs(found.by_name) do
    if there[name:match("^(%w+):")] and not there[name] then
      report("lua/secateur/help/catalogue.lua", 1, name .. " is documented, but there is no such method")
    end
  end
end

-- Public methods of the classes that are written in Lua.
local function check_classes(report, source, read, found)
  for _, subject in ipairs(catalogue) do
    for _, class in ipairs(subject.classes) do
      local text, path = read(class[2])
      for number, line in ipairs(text and source.lines(source.without_lua_comments(text)) or {}) do
        local method = line:match("^function%s+[%w_]+:([%w_]+)")
        if method and not method:find("^__") and not found.by_name[class[1] .. ":" .. method] then
          report(path, number, class[1] .. ":" .. method .. " has no --- comment, so that sc.help does not know it")
        end
      end
    end
  end
end

local function check_public(root, report, source)
  local function read(module)
    local stem = "lua/secateur" .. (module == "" and "" or "/" .. module:gsub("%.", "/"))
    for _, path in ipairs { stem .. ".lua", stem .. "/init.lua" } do
      if source.exists(root, path) then return source.read(root, path), path end
    end
  end
  local text, path = read ""
  local found = index.build(read)
  local names = {}
  for name in pairs(index.names(text or "")) do names[#names + 1] = name end
  table.sort(names)
  for _, name in ipairs(names) do
    local message = "'%s' has no documentation, or stands in no subject of lua/secateur/help/catalogue.lua"
    if not found.by_name[name] then report(path, 1, message:format(name)) end
  end
  check_classes(report, source, read, found)
  check_native(root, report, source, found)
  for _, item in ipairs(found.list) do
    for _, tag in ipairs(item.entry.unknown) do
      report("lua/secateur/init.lua", 1, ("%s has an unknown tag @%s"):format(item.name, tag))
    end
  end
end

return function(root, report, source)
  for _, path in ipairs(source.list(root, "lua", { lua = true })) do
    check_lua(path, source.read(root, path), report, source)
  end
  for _, path in ipairs(source.list(root, "csrc", { h = true })) do
    check_header(path, source.read(root, path), report, source)
  end
  check_public(root, report, source)
end
