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
local errors = require "secateur.util.errors"
local machine = require "secateur.formats.pickle_machine"
local options = require "secateur.util.options"

local pickle = {}

--- Stands for Python's None.
pickle.none = machine.none

local PROTOCOL = 5
local STEP, CONTAINER = 16, 192 -- what the budget is charged, in bytes: about what Lua needs

local push, pop, number = machine.push, machine.pop, machine.number
local unpack = string.unpack

---- numbers as text or as bytes ----

local function long(m, count)
  local digits = machine.bytes(m, count)
  if count == 0 then return 0 end
  if count <= 8 then return (unpack("<i" .. count, digits)) end
  machine.charge(m, CONTAINER)
  return { kind = "long", bytes = digits }
end

local function whole(m, text)
  local digits = text:match("^([+-]?%d+)L?$")
  if not digits then errors.raise("pickle: expected a whole number, got %s", options.describe(text)) end
  machine.charge(m, CONTAINER)
  return math.tointeger(tonumber(digits)) or { kind = "long", text = digits }
end

-- The number of a memo, as text.
local function memo_number(m)
  local value = whole(m, machine.line(m))
  return math.type(value) and value or errors.raise("pickle: memo index of more than 64 bits")
end

local named = { inf = math.huge, ["+inf"] = math.huge, ["-inf"] = -math.huge, nan = 0 / 0, ["-nan"] = 0 / 0 }

local function real(text)
  local value = named[text:lower()] or text:match("^[%d.eE+-]+$") and tonumber(text)
  if not value then errors.raise("pickle: expected a number, got %s", options.describe(text)) end
  return value + 0.0
end

-- A string as Python 2 wrote it: quoted. Escapes stay as they are; no name of a tensor needs one.
local function unquoted(text)
  return text:match("^'(.*)'$") or text:match('^"(.*)"$')
    or errors.raise("pickle: expected a quoted string, got %s", options.describe(text))
end

---- instructions (pickletools.py describes each) ----

local opcodes = {}

opcodes["\x80"] = function(m) -- PROTO
  local protocol = number(m, "B", 1)
  if protocol > PROTOCOL then errors.raise("pickle: protocol %d is not supported", protocol) end
end
opcodes["\x95"] = function(m) number(m, "<I8", 8) end -- FRAME
opcodes["."] = function(m) -- STOP
  m.result, m.done = pop(m), true
end
opcodes["("] = function(m) m.marks[#m.marks + 1] = m.top end -- MARK
opcodes["0"] = function(m) -- POP, which may also take a mark
  if m.top <= machine.floor(m) and #m.marks > 0 then table.remove(m.marks) else pop(m) end
end
opcodes["1"] = function(m) machine.pop_to_mark(m, "tuple") end -- POP_MARK
opcodes["2"] = function(m) push(m, machine.peek(m)) end -- DUP

opcodes["N"] = function(m) push(m, pickle.none) end -- NONE
opcodes["\x88"] = function(m) push(m, true) end -- NEWTRUE
opcodes["\x89"] = function(m) push(m, false) end -- NEWFALSE
opcodes["I"] = function(m) -- INT
  local text = machine.line(m)
  if text == "01" then push(m, true) elseif text == "00" then push(m, false) else push(m, whole(m, text)) end
end
opcodes["L"] = function(m) push(m, whole(m, machine.line(m))) end -- LONG
opcodes["F"] = function(m) push(m, real(machine.line(m))) end -- FLOAT
opcodes["J"] = function(m) push(m, number(m, "<i4", 4)) end -- BININT
opcodes["K"] = function(m) push(m, number(m, "B", 1)) end -- BININT1
opcodes["M"] = function(m) push(m, number(m, "<I2", 2)) end -- BININT2
opcodes["\x8a"] = function(m) push(m, long(m, number(m, "B", 1))) end -- LONG1
opcodes["\x8b"] = function(m) push(m, long(m, number(m, "<i4", 4))) end -- LONG4
opcodes["G"] = function(m) push(m, number(m, ">d", 8)) end -- BINFLOAT

opcodes["S"] = function(m) push(m, unquoted(machine.line(m))) end -- STRING
opcodes["V"] = function(m) push(m, machine.line(m)) end -- UNICODE
opcodes["T"] = function(m) push(m, machine.bytes(m, number(m, "<i4", 4))) end -- BINSTRING
opcodes["U"] = function(m) push(m, machine.bytes(m, number(m, "B", 1))) end -- SHORT_BINSTRING
opcodes["X"] = function(m) push(m, machine.bytes(m, number(m, "<I4", 4))) end -- BINUNICODE
opcodes["B"] = opcodes["X"] -- BINBYTES
opcodes["C"] = opcodes["U"] -- SHORT_BINBYTES
opcodes["\x8c"] = opcodes["U"] -- SHORT_BINUNICODE
opcodes["\x8d"] = function(m) push(m, machine.bytes(m, number(m, "<i8", 8))) end -- BINUNICODE8
opcodes["\x8e"] = opcodes["\x8d"] -- BINBYTES8
opcodes["\x96"] = opcodes["\x8d"] -- BYTEARRAY8

opcodes["]"] = function(m) push(m, machine.new(m, "list")) end -- EMPTY_LIST
opcodes["}"] = function(m) push(m, machine.new_dict(m)) end -- EMPTY_DICT
opcodes[")"] = function(m) push(m, machine.new(m, "tuple")) end -- EMPTY_TUPLE
opcodes["\x8f"] = function(m) push(m, machine.new(m, "set")) end -- EMPTY_SET
opcodes["\x85"] = function(m) push(m, machine.pop_items(m, 1)) end -- TUPLE1
opcodes["\x86"] = function(m) push(m, machine.pop_items(m, 2)) end -- TUPLE2
opcodes["\x87"] = function(m) push(m, machine.pop_items(m, 3)) end -- TUPLE3
opcodes["t"] = function(m) push(m, machine.pop_to_mark(m, "tuple")) end -- TUPLE
opcodes["l"] = function(m) push(m, machine.pop_to_mark(m, "list")) end -- LIST
opcodes["\x91"] = function(m) push(m, machine.pop_to_mark(m, "set")) end -- FROZENSET
opcodes["d"] = function(m) -- DICT
  local items, dict = machine.pop_to_mark(m, "tuple"), machine.new_dict(m)
  machine.set_items(m, dict, items)
  push(m, dict)
end
opcodes["a"] = function(m) -- APPEND
  local items = machine.pop_items(m, 1)
  machine.append(m, machine.peek(m), items)
end
opcodes["e"] = function(m) -- APPENDS
  local items = machine.pop_to_mark(m, "tuple")
  machine.append(m, machine.peek(m), items)
end
opcodes["\x90"] = opcodes["e"] -- ADDITEMS
opcodes["s"] = function(m) -- SETITEM
  local items = machine.pop_items(m, 2)
  machine.set_items(m, machine.peek(m), items)
end
opcodes["u"] = function(m) -- SETITEMS
  local items = machine.pop_to_mark(m, "tuple")
  machine.set_items(m, machine.peek(m), items)
end

opcodes["g"] = function(m) machine.recall(m, memo_number(m)) end -- GET
opcodes["h"] = function(m) machine.recall(m, number(m, "B", 1)) end -- BINGET
opcodes["j"] = function(m) machine.recall(m, number(m, "<I4", 4)) end -- LONG_BINGET
opcodes["p"] = function(m) machine.remember(m, memo_number(m)) end -- PUT
opcodes["q"] = function(m) machine.remember(m, number(m, "B", 1)) end -- BINPUT
opcodes["r"] = function(m) machine.remember(m, number(m, "<I4", 4)) end -- LONG_BINPUT
opcodes["\x94"] = function(m) machine.remember(m, m.remembered) end -- MEMOIZE

opcodes["c"] = function(m) -- GLOBAL
  local module = machine.line(m)
  push(m, machine.find(m, module, machine.line(m)))
end
opcodes["\x93"] = function(m) -- STACK_GLOBAL
  local names = machine.pop_items(m, 2)
  if type(names[1]) ~= "string" or type(names[2]) ~= "string" then errors.raise("pickle: global name is no text") end
  push(m, machine.find(m, names[1], names[2]))
end
opcodes["R"] = function(m) -- REDUCE
  local arguments = pop(m)
  push(m, machine.call(m, pop(m), arguments))
end
opcodes["\x81"] = opcodes["R"] -- NEWOBJ
opcodes["\x92"] = function(m) -- NEWOBJ_EX: class, arguments, named arguments
  local named_arguments, arguments = pop(m), pop(m)
  if type(named_arguments) ~= "table" or named_arguments.kind ~= "dict" or named_arguments.n > 0 then
    errors.raise("pickle: keyword arguments are not supported")
  end
  push(m, machine.call(m, pop(m), arguments))
end
opcodes["i"] = function(m) -- INST
  local module = machine.line(m)
  local class = machine.find(m, module, machine.line(m))
  push(m, machine.call(m, class, machine.pop_to_mark(m, "tuple")))
end
opcodes["o"] = function(m) -- OBJ
  local items = machine.pop_to_mark(m, "tuple")
  local class = items[1]
  table.move(items, 2, items.n + 1, 1)
  items.n = math.max(0, items.n - 1)
  push(m, machine.call(m, class, items))
end
opcodes["b"] = machine.build -- BUILD
opcodes["Q"] = function(m) -- BINPERSID
  machine.charge(m, CONTAINER)
  push(m, m.persistent(pop(m)))
end

local unknown = { P = "persistent names of protocol 0", ["\x82"] = "registered extensions",
  ["\x83"] = "registered extensions", ["\x84"] = "registered extensions", ["\x97"] = "buffers outside of the stream",
  ["\x98"] = "buffers outside of the stream" }

--- Reads one stream. Messages begin with "pickle: ", or what `refuse` and the globals' functions
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
  local m = machine.start(source, known)
  repeat
    machine.need(m, 1)
    local code = m.text:sub(m.at, m.at)
    m.at = m.at + 1
    machine.charge(m, STEP)
    local opcode = opcodes[code]
    if not opcode then
      if unknown[code] then errors.raise("pickle: %s are not supported", unknown[code]) end
      errors.raise("pickle: unknown opcode %s", ("0x%02x"):format(code:byte()))
    end
    opcode(m)
  until m.done
  return m.result, m.offset - (#m.text - m.at + 1)
end

--- Charges a machine's budget for what a global's function builds: a function of the machine and bytes, about.
pickle.charge = machine.charge

--- Describes a value for a message.
pickle.describe = machine.describe

--- The value of a key that is text; the last one where it is there several times.
-- @tab dict a value of kind "dict"
-- @string key
-- @return the value, or nil
function pickle.get(dict, key)
  for i = dict.n, 1, -1 do
    if dict.keys[i] == key then return dict.values[i] end
  end
end

return pickle
