--- JSON in one canonical spelling: keys sorted, no spaces, numbers with every digit. Equal values give equal text, so
-- that a text can stand for a value when experiments are compared.
-- @module secateur.util.json
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
  local short = ("%.15g"):format(value)
  return tonumber(short) == value and short or ("%.17g"):format(value)
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

local unescapes = { b = "\b", f = "\f", n = "\n", r = "\r", t = "\t" }

local function decode_string(text, start)
  local parts, position = {}, start + 1
  while true do
    local plain, stop = text:match('^([^"\\%c]*)()', position)
    parts[#parts + 1] = plain
    local char = text:sub(stop, stop)
    if char == '"' then return table.concat(parts), stop + 1 end
    if char ~= "\\" then errors.raise("json: unfinished string at byte %d", stop) end
    local hex = text:match("^u(%x%x%x%x)", stop + 1)
    if hex then
      local code, after = tonumber(hex, 16), stop + 6
      local low = code >= 0xD800 and code < 0xDC00 and text:match("^\\u([dD][c-fC-F]%x%x)", after)
      if low then
        code, after = 0x10000 + ((code - 0xD800) << 10) + (tonumber(low, 16) - 0xDC00), after + 6
      end
      parts[#parts + 1], position = utf8.char(code), after
    else
      local letter = text:sub(stop + 1, stop + 1)
      if not letter:find('[bfnrt"\\/]') then errors.raise("json: unknown escape at byte %d", stop) end
      parts[#parts + 1], position = unescapes[letter] or letter, stop + 2
    end
  end
end

local words = { ["true"] = true, ["false"] = false }
local max_depth = 200
local decode_value

local function skip(text, position)
  return text:match("^[ \t\r\n]*()", position)
end

local function decode_list(text, position, depth)
  local list, count = {}, 0
  position = skip(text, position + 1)
  if text:sub(position, position) == "]" then return list, position + 1 end
  while true do
    count = count + 1
    list[count], position = decode_value(text, position, depth + 1)
    position = skip(text, position)
    local char = text:sub(position, position)
    if char == "]" then return list, position + 1 end
    if char ~= "," then errors.raise("json: expected , or ] at byte %d", position) end
    position = position + 1
  end
end

local function decode_object(text, position, depth)
  local object = {}
  position = skip(text, position + 1)
  if text:sub(position, position) == "}" then return object, position + 1 end
  while true do
    position = skip(text, position)
    if text:sub(position, position) ~= '"' then errors.raise("json: expected a name at byte %d", position) end
    local key
    key, position = decode_string(text, position)
    position = skip(text, position)
    if text:sub(position, position) ~= ":" then errors.raise("json: expected : at byte %d", position) end
    object[key], position = decode_value(text, position + 1, depth + 1)
    position = skip(text, position)
    local char = text:sub(position, position)
    if char == "}" then return object, position + 1 end
    if char ~= "," then errors.raise("json: expected , or } at byte %d", position) end
    position = position + 1
  end
end

decode_value = function(text, position, depth)
  if depth > max_depth then errors.raise("json: nested too deeply at byte %d", position) end
  position = skip(text, position)
  local char = text:sub(position, position)
  if char == "{" then return decode_object(text, position, depth) end
  if char == "[" then return decode_list(text, position, depth) end
  if char == '"' then return decode_string(text, position) end
  local word, after = text:match("^(%l+)()", position)
  if word == "null" then return nil, after end
  if words[word] ~= nil then return words[word], after end
  local digits, stop = text:match("^(%-?%d+%.?%d*[eE]?[+-]?%d*)()", position)
  local value = digits and tonumber(digits)
  if not value then errors.raise("json: expected a value at byte %d", position) end
  return value, stop
end

--- Reads JSON. Null becomes nil, so a list that holds one ends up with a hole.
-- @string text
-- @return the value
-- @raise `json: … at byte N`
function json.decode(text)
  local value, position = decode_value(text, 1, 1)
  position = skip(text, position)
  if position <= #text then errors.raise("json: expected nothing more at byte %d", position) end
  return value
end

return json
