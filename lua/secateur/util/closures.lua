--- A text for a value with functions in it: equal for what is made again by the same lines from the same values,
-- another for what is not, in every process. A function is its lines in the source and all that it refers to: its
-- upvalues, the globals that it looks up, and what they refer to in turn. What is of Lua's own library or of this
-- package stands by its name.
-- @module secateur.util.closures
local errors = require "secateur.util.errors"
local files = require "secateur.util.files"
local lfs = require "lfs"
local options = require "secateur.util.options"

local closures = {}

-- "@…/secateur/": what the sources of the package's files begin with.
local package_root = debug.getinfo(1, "S").source:match("^(.*[/\\])util[/\\]closures%.lua$") or "@"

local function is_own(f)
  local source = debug.getinfo(f, "S").source
  return source:sub(1, #package_root) == package_root
end

-- The text that a function was compiled from; nil where it has a name alone, or that of no file. One that is there and
-- cannot be read is an error: what would stand for the function then would be something else.
local function source_of(info)
  if info.source:sub(1, 1) == "=" then return nil end
  if info.source:sub(1, 1) ~= "@" then return info.source end
  local path = info.source:sub(2)
  if not lfs.attributes(path, "mode") then return nil end
  return errors.check(files.read_all(path))
end

-- The lines of a function in its source, wherever they stand there; and what stands for it: these. Compiled code, which
-- holds line numbers, only where the source cannot be had, and beside it where another function may begin and end on
-- the same lines.
local function lines_of(value)
  local info = debug.getinfo(value, "S")
  local source = source_of(info)
  local lines, number = {}, 0
  for line in (source or ""):gmatch("([^\n]*)\n?") do
    number = number + 1
    if number >= info.linedefined and number <= info.lastlinedefined then lines[#lines + 1] = line end
  end
  local text = table.concat(lines, "\n")
  local _, begun = (lines[1] or ""):gsub("%f[%w_]function%f[^%w_]", "")
  if begun ~= 1 then lines[#lines + 1] = string.dump(value, true) end
  return text, table.concat(lines, "\n")
end

local libraries = { _G = 1, string = 1, table = 1, math = 1, io = 1, os = 1, coroutine = 1, utf8 = 1, debug = 1,
  package = 1 }

-- Names of Lua itself, which stand for themselves whatever they stand for.
local standard = { _VERSION = true, _ENV = true }
for name in pairs(libraries) do standard[name] = true end
for name in ([[assert collectgarbage dofile error getmetatable ipairs load loadfile next pairs pcall print rawequal
  rawget rawlen rawset select setmetatable tonumber tostring type warn xpcall require]]):gmatch "%a+" do
  standard[name] = true
end

-- Which modules give their names first: those of Lua, of this package (the one of public names, which has what was used
-- of the others, last), others'.
local function rank_of(name)
  return libraries[name] or name:find "^secateur%." and 2 or name == "secateur" and 3 or 4
end

local function sorted_modules()
  local modules = {}
  for name in next, package.loaded do
    if type(name) == "string" then modules[#modules + 1] = name end
  end
  table.sort(modules, function(a, b)
    if rank_of(a) ~= rank_of(b) then return rank_of(a) < rank_of(b) end
    return a < b
  end)
  return modules
end

local function text_keys(module)
  local keys = {}
  for key in next, module do
    if type(key) == "string" then keys[#keys + 1] = key end
  end
  table.sort(keys)
  return keys
end

-- What stands for itself by name: modules of Lua and of this package, what is in them, and functions of C that other
-- modules have. A function in Lua that stands among those of Lua's library, as any global does, is its author's.
local function names_of_libraries()
  local names, modules = { [_G] = "_G" }, sorted_modules()
  for _, name in ipairs(modules) do
    local module = package.loaded[name]
    local is_value = type(module) == "table" or type(module) == "function"
    if rank_of(name) < 4 and is_value and not names[module] then names[module] = name end
  end
  for _, name in ipairs(modules) do
    local module, rank = package.loaded[name], rank_of(name)
    for _, key in ipairs(type(module) == "table" and text_keys(module) or {}) do
      local value = rawget(module, key)
      local kind = type(value)
      local is_c = kind == "function" and debug.getinfo(value, "S").what == "C"
      local is_ours = kind == "userdata" and rank < 4 or kind == "function" and (rank == 2 or rank == 3)
      if (is_c or is_ours) and not names[value] then
        names[value] = name == "_G" and key or name .. "." .. key
      end
    end
  end
  return names
end

local kinds = { userdata = "a value of C", thread = "a coroutine", ["function"] = "a function of C" }

-- "upvalue 'cache.handle'", "global 'log'", and where functions are met on the way, one upvalue after another.
local function describe_place(path)
  local parts = {}
  for _, step in ipairs(path) do
    if step.kind ~= "field" or #parts == 0 then
      parts[#parts + 1] = { step.kind, step.name }
    else
      parts[#parts][2] = parts[#parts][2] .. "." .. step.name
    end
  end
  local texts = {}
  for i, part in ipairs(parts) do texts[#parts + 1 - i] = ("%s '%s'"):format(part[1], part[2]) end
  return table.concat(texts, " of ")
end

local function put(state, text) state.parts[#state.parts + 1] = text end

-- Raises; but what this package keeps to itself stands for nothing.
local function refuse(state, value, what)
  if state.own then return put(state, "state") end
  local path = describe_place(state.path)
  what = what or io.type(value) and "a file" or kinds[type(value)]
  errors.raise("%s%s is %s, which nothing can stand for: give version = ...", state.place and state.place .. ": " or "",
    path ~= "" and path or "the value", what)
end

local write

-- Writes what is below a value, with the step that leads there: an "upvalue", a "global" or a "field".
local function write_below(state, value, name, kind)
  state.path[#state.path + 1] = { name = name, kind = kind }
  write(state, value)
  state.path[#state.path] = nil
end

-- Whether an object was met before; then its number stands for it.
local function is_known(state, object)
  local number = state.numbers[object]
  if number then
    put(state, "see " .. number)
    return true
  end
  state.count = state.count + 1
  state.numbers[object] = state.count
  return false
end

-- Whether a word stands in a source by itself, and not as the name of a field.
local function stands_alone(source, word)
  for place in source:gmatch("()%f[%w_]" .. word .. "%f[^%w_]") do
    local before = source:sub(math.max(1, place - 2), place - 1)
    if not before:find "[.:]$" or before == ".." then return true end
  end
  return false
end

-- The words of a function that may be names of globals, sorted: those among its constants, which compiled code has as
-- text, that stand alone in its source. So a local variable of a global's name passes for it where a field or a text is
-- called so as well, which is too much; what is looked up as a field of _G is not seen.
local function global_words(value, source)
  local words = {}
  for word in string.dump(value, true):gmatch "[%a_][%w_]*" do
    words[word] = not standard[word] and (source == "" or stands_alone(source, word)) or nil
  end
  return options.sorted_keys(words)
end

local function look_up(environment, name) return environment[name] end

local function write_globals(state, value, source, environment)
  if state.own or type(environment) ~= "table" then return end
  for _, word in ipairs(global_words(value, source)) do
    local good, held = pcall(look_up, environment, word) -- an environment may raise where it has no such name
    if good and held ~= nil then
      put(state, ("global %q"):format(word))
      write_below(state, held, word, "global")
    end
  end
end

local function write_function(state, value)
  if debug.getinfo(value, "S").what == "C" then return refuse(state, value) end
  if is_known(state, value) then return end
  local was_own = state.own
  state.own = is_own(value)
  local source, text = lines_of(value)
  put(state, ("function %q"):format(text))
  for i = 1, 255 do
    local name, held = debug.getupvalue(value, i)
    if not name then break end
    put(state, ("upvalue %q"):format(name))
    if name == "_ENV" or held == _G then write_globals(state, value, source, held) end
    -- Functions that share a variable see each other's changes.
    if name ~= "_ENV" and not is_known(state, debug.upvalueid(value, i)) then
      write_below(state, held, name == "(no name)" and "number " .. i or name, "upvalue")
    end
  end
  state.own = was_own
  put(state, "end")
end

local ranks = { boolean = 1, number = 2, string = 3 }

local function is_before(a, b)
  local kind = type(a)
  if kind ~= type(b) then return ranks[kind] < ranks[type(b)] end
  if kind == "boolean" then return not a and b end
  return a < b
end

-- Whether a metatable is one of this package: all functions in it are.
local function is_own_class(class)
  local count = 0
  for _, value in next, class do
    if type(value) == "function" then
      if not is_own(value) then return false end
      count = count + 1
    end
  end
  return count > 0
end

local function write_table(state, value)
  if is_known(state, value) then return end
  local keys = {}
  for key in next, value do
    if not ranks[type(key)] then return refuse(state, value, ("a table with %s as a key"):format(type(key))) end
    keys[#keys + 1] = key
  end
  table.sort(keys, is_before)
  put(state, "table")
  for _, key in ipairs(keys) do
    put(state, ("%q"):format(key))
    write_below(state, rawget(value, key), tostring(key), "field")
  end
  local class = debug.getmetatable(value)
  if class and is_own_class(class) then
    put(state, "class " .. tostring(class.__name))
  elseif class then
    put(state, "metatable")
    write_below(state, class, "metatable", "field")
  end
  put(state, "end")
end

write = function(state, value)
  local kind = type(value)
  if kind == "number" or kind == "string" or kind == "boolean" or kind == "nil" then
    return put(state, ("%q"):format(math.tointeger(kind == "number" and value) or value))
  end
  local name = state.names[value]
  if name then return put(state, "named " .. name) end
  local text = state.object(value)
  if text then return put(state, text) end
  if kind == "function" then return write_function(state, value) end
  if kind == "table" then return write_table(state, value) end
  refuse(state, value)
end

--- Writes a value as text.
-- @param value
-- @func object what stands for a value that knows by itself what tells it from others, as a Tensor or a model does; nil
--   for others
-- @string[opt] place what messages call the value
-- @treturn string
-- @raise where something cannot be told from others: what, and where it was met
function closures.text(value, object, place)
  local state = { parts = {}, numbers = {}, count = 0, path = {}, names = names_of_libraries(), object = object,
    place = place }
  write(state, value)
  return table.concat(state.parts, "\n")
end

return closures
