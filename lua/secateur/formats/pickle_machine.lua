--- The parts of the pickle machine: its stream, its stack with marks, its memo, and the names that it knows. What the
-- instructions do with them is in formats/pickle.lua, where values are described.
-- @module secateur.formats.pickle_machine
local errors = require "secateur.util.errors"
local options = require "secateur.util.options"

local machine = {}

--- Stands for Python's None.
machine.none = setmetatable({}, { __name = "None" })

local CHUNK = 1 << 16 -- bytes fetched at a time
local LONGEST_LINE = 1 << 12 -- of the protocols that write numbers and names as text

-- What the budget is charged, in bytes: about what Lua needs.
local ITEM, CONTAINER, TEXT = 32, 192, 48

local unpack = string.unpack

--- What a value is, for messages.
function machine.describe(value)
  if value == machine.none then return "None" end
  if type(value) ~= "table" then return options.describe(value) end
  return value.kind == "global" and value.name or "a " .. value.kind
end

---- the stream ----

--- Sees to it that the next `count` bytes are in the window.
function machine.need(m, count)
  local missing = m.at + count - 1 - #m.text
  if missing <= 0 then return end
  if missing > m.left then errors.raise("pickle: cut short") end
  local fetched = math.min(m.left, math.max(missing, CHUNK))
  m.text = m.text:sub(m.at) .. m.fetch(m.offset, fetched)
  m.at, m.offset, m.left = 1, m.offset + fetched, m.left - fetched
end

--- Takes bytes off the budget; raises when there are none left.
function machine.charge(m, bytes)
  m.budget = m.budget - bytes
  if m.budget < 0 then errors.raise("pickle: contents exceed twice the size of the file") end
end

--- A number of `size` bytes in string.unpack's format.
function machine.number(m, format, size)
  machine.need(m, size)
  local value = unpack(format, m.text, m.at)
  m.at = m.at + size
  return value
end

--- The next `count` bytes.
function machine.bytes(m, count)
  if count < 0 or count > m.left + #m.text - m.at + 1 then errors.raise("pickle: cut short") end
  machine.charge(m, TEXT + (count > CHUNK and 4 or 1) * count) -- a long one is there several times while it is cut out
  machine.need(m, count)
  local text = m.text:sub(m.at, m.at + count - 1)
  m.at = m.at + count
  return text
end

--- All up to the next line feed, without it.
function machine.line(m)
  local last = m.text:find("\n", m.at, true)
  if not last then
    machine.need(m, math.min(LONGEST_LINE, m.left + #m.text - m.at + 1))
    last = m.text:find("\n", m.at, true)
  end
  if not last and m.left == 0 and #m.text - m.at < LONGEST_LINE then errors.raise("pickle: cut short") end
  if not last or last - m.at > LONGEST_LINE then errors.raise("pickle: expected a line of text") end
  machine.charge(m, TEXT + last - m.at)
  local text = m.text:sub(m.at, last - 1)
  m.at = last + 1
  return text
end

---- stack and memo ----

--- Puts a value on the stack.
function machine.push(m, value)
  m.top = m.top + 1
  m.stack[m.top] = value
end

--- The place on the stack that the values of before the last mark reach.
function machine.floor(m)
  return m.marks[#m.marks] or 0
end

--- Takes the top of the stack off.
function machine.pop(m)
  local top = m.top
  if top <= machine.floor(m) then errors.raise("pickle: stack underflow") end
  local value = m.stack[top]
  m.stack[top], m.top = nil, top - 1
  return value
end

--- The top of the stack.
function machine.peek(m)
  if m.top <= machine.floor(m) then errors.raise("pickle: stack underflow") end
  return m.stack[m.top]
end

--- An empty container.
function machine.new(m, kind)
  machine.charge(m, CONTAINER)
  return { kind = kind, n = 0 }
end

--- An empty dictionary.
function machine.new_dict(m)
  machine.charge(m, 2 * CONTAINER)
  return { kind = "dict", n = 0, keys = {}, values = {} }
end

--- Takes all above the last mark off, as a container.
function machine.pop_to_mark(m, kind)
  local mark = table.remove(m.marks)
  if not mark then errors.raise("pickle: mark not found on the stack") end
  local items = machine.new(m, kind)
  items.n = m.top - mark
  machine.charge(m, ITEM * items.n)
  table.move(m.stack, mark + 1, m.top, 1, items)
  for i = m.top, mark + 1, -1 do m.stack[i] = nil end
  m.top = mark
  return items
end

--- Takes `count` values off, as a tuple.
function machine.pop_items(m, count)
  local items = machine.new(m, "tuple")
  items.n = count
  for i = count, 1, -1 do items[i] = machine.pop(m) end
  return items
end

--- Adds the items to a list or set.
function machine.append(m, list, items)
  local kind = type(list) == "table" and list.kind
  if kind ~= "list" and kind ~= "set" then errors.raise("pickle: append to %s, which is no list",
    machine.describe(list)) end
  machine.charge(m, ITEM * items.n)
  table.move(items, 1, items.n, list.n + 1, list)
  list.n = list.n + items.n
end

--- Adds keys and values by turns to a dictionary.
function machine.set_items(m, dict, items)
  if type(dict) ~= "table" or dict.kind ~= "dict" then
    errors.raise("pickle: item assignment to %s, which is no dictionary", machine.describe(dict))
  end
  if items.n % 2 ~= 0 then errors.raise("pickle: dictionary key without a value") end
  machine.charge(m, ITEM * items.n)
  for i = 1, items.n, 2 do
    dict.n = dict.n + 1
    dict.keys[dict.n], dict.values[dict.n] = items[i], items[i + 1]
  end
end

--- Keeps the top of the stack under a number.
function machine.remember(m, index)
  if index < 0 then errors.raise("pickle: negative memo index") end
  machine.charge(m, 2 * ITEM)
  if m.memo[index] == nil then m.remembered = m.remembered + 1 end
  m.memo[index] = machine.peek(m)
end

--- Puts what is kept under a number on the stack.
function machine.recall(m, index)
  local value = m.memo[index]
  if value == nil then errors.raise("pickle: undefined memo index") end
  machine.push(m, value)
end

---- globals ----

--- What a name stands for; refuses those that are not known.
function machine.find(m, module, name)
  local whole = module .. "." .. name
  local known = m.globals[whole]
  if known == nil then m.refuse(whole) end
  machine.charge(m, CONTAINER)
  return { kind = "global", name = whole, make = known }
end

--- What a global makes of the arguments. One that is not a function only stands for its name.
function machine.call(m, callee, arguments)
  if type(callee) ~= "table" or callee.kind ~= "global" then
    errors.raise("pickle: %s is not callable", machine.describe(callee))
  elseif type(arguments) ~= "table" or arguments.kind ~= "tuple" then
    errors.raise("pickle: call of %s: expected a tuple of arguments, got %s", callee.name, machine.describe(arguments))
  elseif type(callee.make) ~= "function" then
    errors.raise("pickle: %s is not callable", callee.name)
  end
  machine.charge(m, CONTAINER)
  local value = callee.make(arguments, callee.name, m)
  if value == nil then errors.raise("pickle: call of %s: invalid arguments", callee.name) end
  return value
end

local with_state = { dict = true, list = true, set = true, record = true }

--- Takes the state of an object off, its attributes: nothing that is known here has any that matter.
function machine.build(m)
  machine.pop(m)
  local value = machine.peek(m)
  if type(value) ~= "table" or not with_state[value.kind] then
    errors.raise("pickle: state for %s, which is no object", machine.describe(value))
  end
end

--- A machine before its first instruction; the arguments are those of `pickle.load`.
-- @tab source
-- @tab known
-- @treturn table
function machine.start(source, known)
  return { text = "", at = 1, offset = source.offset, left = source.size, fetch = source.fetch, stack = {}, top = 0,
    marks = {}, memo = {}, remembered = 0, globals = known.globals, refuse = known.refuse,
    persistent = known.persistent, budget = known.budget, done = false }
end

return machine
