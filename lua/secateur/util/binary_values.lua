--- Lua values as bytes and back, exactly: numbers keep all their bits, infinities and not-a-number too, which JSON does
-- not. For what processes of one program tell each other; files are written as JSON or safetensors.
-- @module secateur.util.binary_values
local errors = require "secateur.util.errors"

local binary_values = {}

-- Numbers that one call of string.pack takes.
local CHUNK = 200

local formats = {}
for _, kind in ipairs { "d", "i8" } do
  formats[kind] = {}
  for count = 1, CHUNK do formats[kind][count] = "<" .. kind:rep(count) end
end

-- "d" or "i8" where a table is a list of floats, or of integers, and nothing else.
local function numbers_of(value)
  local kind = math.type(value[1])
  if not kind then return nil end
  local count = 0
  for key, item in pairs(value) do
    if math.type(key) ~= "integer" or math.type(item) ~= kind then return nil end
    count = count + 1
  end
  return count == #value and (kind == "float" and "d" or "i8") or nil
end

local encode

local function encode_numbers(parts, value, kind)
  parts[#parts + 1] = string.pack("<c1s1i8", "n", kind, #value)
  for first = 1, #value, CHUNK do
    local last = math.min(first + CHUNK - 1, #value)
    parts[#parts + 1] = string.pack(formats[kind][last - first + 1], table.unpack(value, first, last))
  end
end

local function encode_table(parts, value)
  local kind = numbers_of(value)
  if kind then return encode_numbers(parts, value, kind) end
  local count = 0
  for _ in pairs(value) do count = count + 1 end
  parts[#parts + 1] = string.pack("<c1i8", "t", count)
  for key, item in pairs(value) do
    encode(parts, key)
    encode(parts, item)
  end
end

local encoders = {
  ["nil"] = function(parts) parts[#parts + 1] = "0" end,
  boolean = function(parts, value) parts[#parts + 1] = value and "y" or "f" end,
  integer = function(parts, value) parts[#parts + 1] = string.pack("<c1i8", "i", value) end,
  float = function(parts, value) parts[#parts + 1] = string.pack("<c1d", "d", value) end,
  string = function(parts, value) parts[#parts + 1] = string.pack("<c1s8", "s", value) end,
  table = encode_table,
}

function encode(parts, value)
  local kind = math.type(value) or type(value)
  local encoder = encoders[kind]
  if not encoder then errors.raise("expected numbers, strings, booleans and tables of these, got a %s", kind) end
  encoder(parts, value)
end

--- A value as bytes.
-- @param value nil, a boolean, a number, a string, or a table of these without circles; metatables are not seen
-- @treturn string
function binary_values.encode(value)
  local parts = {}
  encode(parts, value)
  return table.concat(parts)
end

local decode

local decoders = {}

decoders["0"] = function(_, at) return nil, at end
decoders.y = function(_, at) return true, at end
decoders.f = function(_, at) return false, at end
decoders.i = function(text, at) return string.unpack("<i8", text, at) end
decoders.d = function(text, at) return string.unpack("<d", text, at) end
decoders.s = function(text, at) return string.unpack("<s8", text, at) end

function decoders.n(text, at)
  local kind, count
  kind, count, at = string.unpack("<s1i8", text, at)
  local list = {}
  for first = 1, count, CHUNK do
    local last = math.min(first + CHUNK - 1, count)
    local found = table.pack(string.unpack(formats[kind][last - first + 1], text, at))
    at = found[found.n]
    table.move(found, 1, found.n - 1, first, list)
  end
  return list, at
end

function decoders.t(text, at)
  local count, key
  count, at = string.unpack("<i8", text, at)
  local found = {}
  for _ = 1, count do
    key, at = decode(text, at)
    found[key], at = decode(text, at)
  end
  return found, at
end

function decode(text, at)
  return decoders[text:sub(at, at)](text, at + 1)
end

--- The value that `encode` was given.
-- @string text
-- @return the value
function binary_values.decode(text)
  local value = decode(text, 1)
  return value
end

return binary_values
