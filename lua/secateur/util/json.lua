--- JSON in one canonical spelling: keys sorted, no spaces, numbers with every digit. Equal values give equal text, so
-- that a text can stand for a value when experiments are compared.
-- @module secateur.util.json
local decimal = require "secateur.util.decimal"
local errors = require "secateur.util.errors"

local json = {}

local escapes = { ['"'] = '\\"', ["\\"] = "\\\\", ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t" }

local function quote(text)
  return '"' .. text:gsub('[%c"\\\127]', function(char)
    return escapes[char] or ("\\u%04x"):format(char:byte())
  end) .. '"'
end

local function number(value)
  if value ~= value then return "null" end -- JSON has no word for it
  if value == math.huge then return "1e999" end
  if value == -math.huge then return "-1e999" end
  local whole = math.tointeger(value)
  if whole then return ("%d"):format(whole) end
  local short = decimal("%.15g", value)
  return tonumber(short) == value and short or decimal("%.17g", value)
end

local encode_value

local function encode_table(value, seen)
  if seen[value] then errors.raise("json: a table that holds itself cannot be written") end
  seen[value] = true
  local parts, count = {}, #value
  for _ in pairs(value) do count = count - 1 end
  if count == 0 then
    for i, item in ipairs(value) do parts[i] = encode_value(item, seen) end
    seen[value] = nil
    return "[" .. table.concat(parts, ",") .. "]"
  end
  local keys = {}
  for key in pairs(value) do
    if type(key) ~= "string" then
      errors.raise("json: expected names as keys beside a list's 1..n, got %s", tostring(key))
    end
    keys[#keys + 1] = key
  end
  table.sort(keys)
  for i, key in ipairs(keys) do parts[i] = quote(key) .. ":" .. encode_value(value[key], seen) end
  seen[value] = nil
  return "{" .. table.concat(parts, ",") .. "}"
end

encode_value = function(value, seen)
  local kind = type(value)
  if kind == "table" then return encode_table(value, seen) end
  if kind == "string" then return quote(value) end
  if kind == "number" then return number(value) end
  if kind == "boolean" or kind == "nil" then return value == nil and "null" or tostring(value) end
  errors.raise("json: a %s cannot be written", kind)
end

--- The canonical text of a value. NaN becomes null, infinities overflowing numbers; an empty table is a list.
-- @param value nil, boolean, number, string, or a table of these (a list, or with string keys)
-- @treturn string
-- @raise `json: …` for functions, userdata, mixed keys and cycles
function json.encode(value)
  return encode_value(value, {})
end

---- reading ----

local byte, find, match, sub = string.byte, string.find, string.match, string.sub

local MAX_DEPTH = 200
local unescapes = { b = "\b", f = "\f", n = "\n", r = "\r", t = "\t", ['"'] = '"', ["\\"] = "\\", ["/"] = "/" }

local function skip(text, position)
  local char = byte(text, position)
  if not char or char > 32 then return position end
  return match(text, "^[ \t\r\n]*()", position)
end

-- What \uXXXX at `position` stands for, with the other half of a pair, and where it ends.
local function decode_code(text, position)
  local hex = match(text, "^u(%x%x%x%x)", position + 1)
  if not hex then errors.raise("json: unknown escape at byte %d", position) end
  local code, after = tonumber(hex, 16), position + 6
  if code < 0xD800 or code > 0xDFFF then return utf8.char(code), after end
  local low = code < 0xDC00 and match(text, "^\\u([dD][c-fC-F]%x%x)", after)
  if not low then errors.raise("json: half of a surrogate pair at byte %d", position) end
  return utf8.char(0x10000 + ((code - 0xD800) << 10) + (tonumber(low, 16) - 0xDC00)), after + 6
end

local function decode_string(text, start)
  local plain, after = match(text, '^"([^"\\\0-\31]*)"()', start)
  if plain then return plain, after end
  local parts, count, position = {}, 0, start + 1
  while true do
    local stop = find(text, '["\\\0-\31]', position)
    if not stop then errors.raise("json: unfinished string at byte %d", #text + 1) end
    count = count + 1
    parts[count] = sub(text, position, stop - 1)
    local char = byte(text, stop)
    if char == 34 then return table.concat(parts), stop + 1 end
    if char ~= 92 then errors.raise("json: control character in a string at byte %d", stop) end
    local unescaped = unescapes[sub(text, stop + 1, stop + 1)]
    position = stop + 2
    if not unescaped then unescaped, position = decode_code(text, stop) end
    count = count + 1
    parts[count] = unescaped
  end
end

local function decode_number(text, start)
  local stop = match(text, "^%-?[1-9]%d*()", start) or match(text, "^%-?0()", start)
  if not stop then errors.raise("json: expected a value at byte %d", start) end
  local char = byte(text, stop)
  if char == 46 or char == 69 or char == 101 then
    stop = match(text, "^%.%d+()", stop) or stop
    stop = match(text, "^[eE][+-]?%d+()", stop) or stop
  end
  if find(text, "^[%w.+-]", stop) then errors.raise("json: malformed number at byte %d", start) end
  local value = tonumber(sub(text, start, stop - 1))
  if not value then errors.raise("json: unreadable number at byte %d", start) end -- some locales have limits
  return value, stop
end

local decode_value

local function decode_list(text, position, depth, opts)
  local list, count = {}, 0
  position = skip(text, position + 1)
  if byte(text, position) == 93 then return list, position + 1 end
  while true do
    count = count + 1
    list[count], position = decode_value(text, position, depth, opts)
    position = skip(text, position)
    local char = byte(text, position)
    if char == 93 then return list, position + 1 end
    if char ~= 44 then errors.raise("json: expected , or ] at byte %d", position) end
    position = position + 1
  end
end

-- A name with its colon, and where what follows begins.
local function decode_name(text, position)
  local name, after = match(text, '^[ \t\r\n]*"([^"\\\0-\31]*)"[ \t\r\n]*:()', position)
  if name then return name, after end
  position = skip(text, position)
  if byte(text, position) ~= 34 then errors.raise("json: expected a name at byte %d", position) end
  name, position = decode_string(text, position)
  position = skip(text, position)
  if byte(text, position) ~= 58 then errors.raise("json: expected : at byte %d", position) end
  return name, position + 1
end

local function decode_object(text, position, depth, opts)
  local object, seen = {}, opts.unique and {}
  position = skip(text, position + 1)
  if byte(text, position) == 125 then return object, position + 1 end
  while true do
    local name, after = decode_name(text, position)
    if seen then
      if seen[name] then errors.raise("json: duplicate key %s at byte %d", quote(name), skip(text, position)) end
      seen[name] = true
    end
    object[name], position = decode_value(text, after, depth, opts)
    position = skip(text, position)
    local char = byte(text, position)
    if char == 125 then return object, position + 1 end
    if char ~= 44 then errors.raise("json: expected , or } at byte %d", position) end
    position = position + 1
  end
end

decode_value = function(text, position, depth, opts)
  position = skip(text, position)
  local char = byte(text, position)
  if char == 34 then return decode_string(text, position) end
  if char == 123 or char == 91 then
    if depth >= (opts.depth or MAX_DEPTH) then errors.raise("json: nested too deeply at byte %d", position) end
    return (char == 123 and decode_object or decode_list)(text, position, depth + 1, opts)
  end
  local word, after = match(text, "^(%l+)()", position)
  if word == "null" then return opts.null, after end
  if word == "true" or word == "false" then return word == "true", after end
  return decode_number(text, position)
end

--- Reads JSON as RFC 8259 has it, in time and memory proportional to the text. Null becomes nil, so a list that holds
-- one ends up with a hole, unless `null` says what stands for it. Halves of surrogate pairs are refused. Bytes above
-- 127 are kept as they are: `encode` writes names of files, which may hold any; who reads what others wrote asks for
-- `utf8`.
-- @string text
-- @tparam[opt] table opts
--   * `depth` (200): how many lists and objects may stand in one another
--   * `unique` (false): an object that has a name twice is an error; otherwise the last of its values is taken
--   * `null` (nil): what a null becomes
--   * `utf8` (false): text that is not UTF-8 is an error
-- @return the value
-- @raise `json: … at byte N`
function json.decode(text, opts)
  opts = opts or {}
  local valid, wrong = true, nil
  if opts.utf8 then valid, wrong = utf8.len(text) end
  if not valid then errors.raise("json: expected UTF-8, got another byte at byte %d", wrong) end
  local value, position = decode_value(text, 1, 0, opts)
  position = skip(text, position)
  if position <= #text then errors.raise("json: expected nothing more at byte %d", position) end
  return value
end

return json
