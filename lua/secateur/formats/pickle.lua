--- A restricted pickle machine: Python's pickle streams (protocols 0 to 5), understood as data.
--
-- Nothing is executed. A stream may name only what its reader knows (`globals`), and "calls" of these are plain Lua
-- functions that put values together; every other name is an error. The machine is not recursive, and a budget bounds
-- what it builds, so that a hostile stream can neither run anything nor fill the memory.
--
-- Values: numbers, booleans and strings (also Python's bytes) stand for themselves; None is `pickle.none`; all else is
-- a table with a field `kind`: "list", "tuple" and "set" (items 1..n, field `n`), "dict" (`keys` and `values`, 1..n),
-- "long" (a whole number of more than 64 bits, its little-endian `bytes` or its `text`), "global" (a name not called),
-- and what the functions of the globals give. They may contain themselves.
-- @module secateur.formats.pickle
local options = require "secateur.util.options"

local pickle = {}

--- Stands for Python's None.
pickle.none = setmetatable({}, { __name = "None" })

local CHUNK = 1 << 16 -- bytes fetched at a time
local LONGEST_LINE = 1 << 12 -- of the protocols that write numbers and names as text
local PROTOCOL = 5

-- What the budget is charged, in bytes: about what Lua needs.
local STEP, ITEM, CONTAINER, TEXT = 16, 32, 192, 48

local unpack = string.unpack

local function problem(format, ...)
  error("pickle: " .. format:format(...), 0)
end

-- What a value is, for messages.
local function describe(value)
  if value == pickle.none then return "None" end
  if type(value) ~= "table" then return options.describe(value) end
  return value.kind == "global" and value.name or "a " .. value.kind
end

---- the stream ----

-- Sees to it that the next `count` bytes are in the window.
local function need(m, count)
  local missing = m.at + count - 1 - #m.text
  if missing <= 0 then return end
  if missing > m.left then problem("cut short") end
  local fetched = math.min(m.left, math.max(missing, CHUNK))
  m.text = m.text:sub(m.at) .. m.fetch(m.offset, fetched)
  m.at, m.offset, m.left = 1, m.offset + fetched, m.left - fetched
end

local function charge(m, bytes)
  m.budget = m.budget - bytes
  if m.budget < 0 then problem("it describes more than twice what its file holds") end
end

-- A number of `size` bytes in string.unpack's format.
local function number(m, format, size)
  need(m, size)
  local value = unpack(format, m.text, m.at)
  m.at = m.at + size
  return value
end

local function bytes(m, count)
  if count < 0 or count > m.left + #m.text - m.at + 1 then problem("cut short") end
  charge(m, TEXT + (count > CHUNK and 4 or 1) * count) -- a long one is there several times while it is cut out
  need(m, count)
  local text = m.text:sub(m.at, m.at + count - 1)
  m.at = m.at + count
  return text
end

-- Up to the next line feed, without it.
local function line(m)
  local last = m.text:find("\n", m.at, true)
  if not last then
    need(m, math.min(LONGEST_LINE, m.left + #m.text - m.at + 1))
    last = m.text:find("\n", m.at, true)
  end
  if not last and m.left == 0 and #m.text - m.at < LONGEST_LINE then problem("cut short") end
  if not last or last - m.at > LONGEST_LINE then problem("expected a line of text") end
  charge(m, TEXT + last - m.at)
  local text = m.text:sub(m.at, last - 1)
  m.at = last + 1
  return text
end

---- stack and memo ----

local function push(m, value)
  m.top = m.top + 1
  m.stack[m.top] = value
end

local function floor(m)
  return m.marks[#m.marks] or 0
end

local function pop(m)
  local top = m.top
  if top <= floor(m) then problem("it takes more off its stack than there is") end
  local value = m.stack[top]
  m.stack[top], m.top = nil, top - 1
  return value
end

local function peek(m)
  if m.top <= floor(m) then problem("it takes more off its stack than there is") end
  return m.stack[m.top]
end

local function new(m, kind)
  charge(m, CONTAINER)
  return { kind = kind, n = 0 }
end

local function new_dict(m)
  charge(m, 2 * CONTAINER)
  return { kind = "dict", n = 0, keys = {}, values = {} }
end

-- All above the last mark, as a container.
local function pop_to_mark(m, kind)
  local mark = table.remove(m.marks)
  if not mark then problem("it looks for a mark that is not there") end
  local items = new(m, kind)
  items.n = m.top - mark
  charge(m, ITEM * items.n)
  table.move(m.stack, mark + 1, m.top, 1, items)
  for i = m.top, mark + 1, -1 do m.stack[i] = nil end
  m.top = mark
  return items
end

local function pop_items(m, count)
  local items = new(m, "tuple")
  items.n = count
  for i = count, 1, -1 do items[i] = pop(m) end
  return items
end

local function append(m, list, items)
  local kind = type(list) == "table" and list.kind
  if kind ~= "list" and kind ~= "set" then problem("it appends to %s", describe(list)) end
  charge(m, ITEM * items.n)
  table.move(items, 1, items.n, list.n + 1, list)
  list.n = list.n + items.n
end

local function set_items(m, dict, items)
  if type(dict) ~= "table" or dict.kind ~= "dict" then problem("it sets an item of %s", describe(dict)) end
  if items.n % 2 ~= 0 then problem("a key without a value") end
  charge(m, ITEM * items.n)
  for i = 1, items.n, 2 do
    dict.n = dict.n + 1
    dict.keys[dict.n], dict.values[dict.n] = items[i], items[i + 1]
  end
end

local function remember(m, index)
  if index < 0 then problem("a memo number below zero") end
  charge(m, 2 * ITEM)
  if m.memo[index] == nil then m.remembered = m.remembered + 1 end
  m.memo[index] = peek(m)
end

local function recall(m, index)
  local value = m.memo[index]
  if value == nil then problem("it recalls what it never remembered") end
  push(m, value)
end

---- globals ----

local function find(m, module, name)
  local whole = module .. "." .. name
  local known = m.globals[whole]
  if known == nil then m.refuse(whole) end
  charge(m, CONTAINER)
  return { kind = "global", name = whole, make = known }
end

-- Gives what the global makes of the arguments. A global that is not a function only stands for its name.
local function call(m, callee, arguments)
  if type(callee) ~= "table" or callee.kind ~= "global" then problem("it calls %s", describe(callee)) end
  if type(arguments) ~= "table" or arguments.kind ~= "tuple" then
    problem("it calls %s with %s", callee.name, describe(arguments))
  elseif type(callee.make) ~= "function" then
    problem("it calls %s, which only stands for itself", callee.name)
  end
  charge(m, CONTAINER)
  local value = callee.make(arguments, callee.name, m)
  if value == nil then problem("it calls %s with arguments that do not fit", callee.name) end
  return value
end

local with_state = { dict = true, list = true, set = true, record = true }

-- The state of an object, its attributes: nothing that is known here has any that matter.
local function build(m)
  pop(m)
  local value = peek(m)
  if type(value) ~= "table" or not with_state[value.kind] then problem("it gives a state to %s", describe(value)) end
end

---- numbers as text or as bytes ----

local function long(m, count)
  local digits = bytes(m, count)
  if count == 0 then return 0 end
  if count <= 8 then return (unpack("<i" .. count, digits)) end
  charge(m, CONTAINER)
  return { kind = "long", bytes = digits }
end

local function whole(m, text)
  local digits = text:match("^([+-]?%d+)L?$")
  if not digits then problem("expected a whole number, got %s", options.describe(text)) end
  charge(m, CONTAINER)
  return math.tointeger(tonumber(digits)) or { kind = "long", text = digits }
end

-- The number of a memo, as text.
local function memo_number(m)
  local value = whole(m, line(m))
  return math.type(value) and value or problem("a memo number of more than 64 bits")
end

local named = { inf = math.huge, ["+inf"] = math.huge, ["-inf"] = -math.huge, nan = 0 / 0, ["-nan"] = 0 / 0 }

local function real(text)
  local value = named[text:lower()] or text:match("^[%d.eE+-]+$") and tonumber(text)
  if not value then problem("expected a number, got %s", options.describe(text)) end
  return value + 0.0
end

-- A string as Python 2 wrote it: quoted. Escapes stay as they are; no name of a tensor needs one.
local function unquoted(text)
  return text:match("^'(.*)'$") or text:match('^"(.*)"$')
    or problem("expected a quoted string, got %s", options.describe(text))
end

---- instructions (pickletools.py describes each) ----

local steps = {}

steps["\x80"] = function(m) -- PROTO
  local protocol = number(m, "B", 1)
  if protocol > PROTOCOL then problem("protocol %d is not known", protocol) end
end
steps["\x95"] = function(m) number(m, "<I8", 8) end -- FRAME
steps["."] = function(m) -- STOP
  m.result, m.done = pop(m), true
end
steps["("] = function(m) m.marks[#m.marks + 1] = m.top end -- MARK
steps["0"] = function(m) -- POP, which may also take a mark
  if m.top <= floor(m) and #m.marks > 0 then table.remove(m.marks) else pop(m) end
end
steps["1"] = function(m) pop_to_mark(m, "tuple") end -- POP_MARK
steps["2"] = function(m) push(m, peek(m)) end -- DUP

steps["N"] = function(m) push(m, pickle.none) end -- NONE
steps["\x88"] = function(m) push(m, true) end -- NEWTRUE
steps["\x89"] = function(m) push(m, false) end -- NEWFALSE
steps["I"] = function(m) -- INT
  local text = line(m)
  if text == "01" then push(m, true) elseif text == "00" then push(m, false) else push(m, whole(m, text)) end
end
steps["L"] = function(m) push(m, whole(m, line(m))) end -- LONG
steps["F"] = function(m) push(m, real(line(m))) end -- FLOAT
steps["J"] = function(m) push(m, number(m, "<i4", 4)) end -- BININT
steps["K"] = function(m) push(m, number(m, "B", 1)) end -- BININT1
steps["M"] = function(m) push(m, number(m, "<I2", 2)) end -- BININT2
steps["\x8a"] = function(m) push(m, long(m, number(m, "B", 1))) end -- LONG1
steps["\x8b"] = function(m) push(m, long(m, number(m, "<i4", 4))) end -- LONG4
steps["G"] = function(m) push(m, number(m, ">d", 8)) end -- BINFLOAT

steps["S"] = function(m) push(m, unquoted(line(m))) end -- STRING
steps["V"] = function(m) push(m, line(m)) end -- UNICODE
steps["T"] = function(m) push(m, bytes(m, number(m, "<i4", 4))) end -- BINSTRING
steps["U"] = function(m) push(m, bytes(m, number(m, "B", 1))) end -- SHORT_BINSTRING
steps["X"] = function(m) push(m, bytes(m, number(m, "<I4", 4))) end -- BINUNICODE
steps["B"] = steps["X"] -- BINBYTES
steps["C"] = steps["U"] -- SHORT_BINBYTES
steps["\x8c"] = steps["U"] -- SHORT_BINUNICODE
steps["\x8d"] = function(m) push(m, bytes(m, number(m, "<i8", 8))) end -- BINUNICODE8
steps["\x8e"] = steps["\x8d"] -- BINBYTES8
steps["\x96"] = steps["\x8d"] -- BYTEARRAY8

steps["]"] = function(m) push(m, new(m, "list")) end -- EMPTY_LIST
steps["}"] = function(m) push(m, new_dict(m)) end -- EMPTY_DICT
steps[")"] = function(m) push(m, new(m, "tuple")) end -- EMPTY_TUPLE
steps["\x8f"] = function(m) push(m, new(m, "set")) end -- EMPTY_SET
steps["\x85"] = function(m) push(m, pop_items(m, 1)) end -- TUPLE1
steps["\x86"] = function(m) push(m, pop_items(m, 2)) end -- TUPLE2
steps["\x87"] = function(m) push(m, pop_items(m, 3)) end -- TUPLE3
steps["t"] = function(m) push(m, pop_to_mark(m, "tuple")) end -- TUPLE
steps["l"] = function(m) push(m, pop_to_mark(m, "list")) end -- LIST
steps["\x91"] = function(m) push(m, pop_to_mark(m, "set")) end -- FROZENSET
steps["d"] = function(m) -- DICT
  local items, dict = pop_to_mark(m, "tuple"), new_dict(m)
  set_items(m, dict, items)
  push(m, dict)
end
steps["a"] = function(m) -- APPEND
  local items = pop_items(m, 1)
  append(m, peek(m), items)
end
steps["e"] = function(m) -- APPENDS
  local items = pop_to_mark(m, "tuple")
  append(m, peek(m), items)
end
steps["\x90"] = steps["e"] -- ADDITEMS
steps["s"] = function(m) -- SETITEM
  local items = pop_items(m, 2)
  set_items(m, peek(m), items)
end
steps["u"] = function(m) -- SETITEMS
  local items = pop_to_mark(m, "tuple")
  set_items(m, peek(m), items)
end

steps["g"] = function(m) recall(m, memo_number(m)) end -- GET
steps["h"] = function(m) recall(m, number(m, "B", 1)) end -- BINGET
steps["j"] = function(m) recall(m, number(m, "<I4", 4)) end -- LONG_BINGET
steps["p"] = function(m) remember(m, memo_number(m)) end -- PUT
steps["q"] = function(m) remember(m, number(m, "B", 1)) end -- BINPUT
steps["r"] = function(m) remember(m, number(m, "<I4", 4)) end -- LONG_BINPUT
steps["\x94"] = function(m) remember(m, m.remembered) end -- MEMOIZE

steps["c"] = function(m) -- GLOBAL
  local module = line(m)
  push(m, find(m, module, line(m)))
end
steps["\x93"] = function(m) -- STACK_GLOBAL
  local names = pop_items(m, 2)
  if type(names[1]) ~= "string" or type(names[2]) ~= "string" then problem("a name that is not text") end
  push(m, find(m, names[1], names[2]))
end
steps["R"] = function(m) -- REDUCE
  local arguments = pop(m)
  push(m, call(m, pop(m), arguments))
end
steps["\x81"] = steps["R"] -- NEWOBJ
steps["\x92"] = function(m) -- NEWOBJ_EX: class, arguments, named arguments
  local named_arguments, arguments = pop(m), pop(m)
  if type(named_arguments) ~= "table" or named_arguments.kind ~= "dict" or named_arguments.n > 0 then
    problem("named arguments are not known")
  end
  push(m, call(m, pop(m), arguments))
end
steps["i"] = function(m) -- INST
  local module = line(m)
  local class = find(m, module, line(m))
  push(m, call(m, class, pop_to_mark(m, "tuple")))
end
steps["o"] = function(m) -- OBJ
  local items = pop_to_mark(m, "tuple")
  local class = items[1]
  table.move(items, 2, items.n + 1, 1)
  items.n = math.max(0, items.n - 1)
  push(m, call(m, class, items))
end
steps["b"] = build -- BUILD
steps["Q"] = function(m) -- BINPERSID
  charge(m, CONTAINER)
  push(m, m.persistent(pop(m)))
end

local unknown = { P = "persistent names of protocol 0", ["\x82"] = "registered extensions",
  ["\x83"] = "registered extensions", ["\x84"] = "registered extensions", ["\x97"] = "buffers outside of the stream",
  ["\x98"] = "buffers outside of the stream" }

--- Reads one stream. Raises without a position, beginning with "pickle: ", or what `refuse` and the globals' functions
-- raise.
-- @tab source `fetch(offset, count)`, a function that gives bytes; `offset`, where the stream begins; `size`, how many
-- bytes there are from there
-- @tab known `globals`: whole name ("collections.OrderedDict") → a function of (tuple of arguments, name, machine) that
-- gives a value, or nil when the arguments do not fit; or true for names that are not called. `refuse(name)`: raises
-- because of any other name. `persistent(id)`: gives what a persistent name stands for. `budget`: bytes that the
-- result may need, about.
-- @return the value
-- @treturn int the offset behind the stream
function pickle.load(source, known)
  local m = { text = "", at = 1, offset = source.offset, left = source.size, fetch = source.fetch,
    stack = {}, top = 0, marks = {}, memo = {}, remembered = 0, globals = known.globals, refuse = known.refuse,
    persistent = known.persistent, budget = known.budget, done = false }
  repeat
    need(m, 1)
    local code = m.text:sub(m.at, m.at)
    m.at = m.at + 1
    charge(m, STEP)
    local step = steps[code]
    if not step then
      if unknown[code] then problem("%s are not known", unknown[code]) end
      problem("%s is no instruction", ("byte 0x%02x"):format(code:byte()))
    end
    step(m)
  until m.done
  return m.result, m.offset - (#m.text - m.at + 1)
end

--- Charges a machine's budget for what a global's function builds.
-- @param machine
-- @int size in bytes, about
function pickle.charge(machine, size)
  charge(machine, size)
end

--- The value of a key that is text; the last one where it is there several times.
-- @tab dict a value of kind "dict"
-- @string key
-- @return the value, or nil
function pickle.get(dict, key)
  for i = dict.n, 1, -1 do
    if dict.keys[i] == key then return dict.values[i] end
  end
end

--- Describes a value for a message.
-- @param value
-- @treturn string
function pickle.describe(value)
  return describe(value)
end

return pickle
