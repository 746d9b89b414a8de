--- A checksum of bits: FNV-1a in 64 bits over words instead of bytes.
local digest = {}
digest.__index = digest

local PRIME, CHUNK, GROUP = 0x100000001b3, 128, 8

-- Letters of string.pack for one element, and how many words of 32 bits it is; none for uint8, which packs in fours.
local formats = { float32 = "<f", int64 = "<i8", uint8 = "<I4" }

--- An empty checksum.
function digest.new() return setmetatable({ hash = 0xcbf29ce484222325 }, digest) end

-- Words of 32 bits, little-endian; a last part of one is filled up with zeros.
local function add_words(self, bytes)
  bytes = bytes .. ("\0"):rep(-#bytes % (4 * GROUP))
  local hash = self.hash
  for at = 1, #bytes, 4 * GROUP do
    local a, b, c, d, e, f, g, h = string.unpack("<I4I4I4I4I4I4I4I4", bytes, at)
    hash = (hash ~ a) * PRIME
    hash = (hash ~ b) * PRIME
    hash = (hash ~ c) * PRIME
    hash = (hash ~ d) * PRIME
    hash = (hash ~ e) * PRIME
    hash = (hash ~ f) * PRIME
    hash = (hash ~ g) * PRIME
    hash = (hash ~ h) * PRIME
  end
  self.hash = hash
end

--- Adds a text.
-- @string text
-- @return self
function digest:text(text)
  add_words(self, string.pack("<s4", text))
  return self
end

--- Adds the elements of a Tensor, row by row, so that what comes in parts adds up to the same. NaN, whose bits mean
-- nothing, is an error.
-- @tparam Tensor tensor
-- @return self
function digest:tensor(tensor)
  local format = formats[tensor:dtype()]
  if #tensor:shape() == 0 then tensor = tensor:reshape(1) end
  for i = 1, tensor:size(1) do
    local row = tensor:view(i):reshape(-1):totable()
    for first = 1, #row, CHUNK do
      local last = math.min(first + CHUNK - 1, #row)
      for k = first, last do
        if row[k] ~= row[k] then error("not-a-number among the results", 0) end
      end
      add_words(self, string.pack(format:rep(last - first + 1), table.unpack(row, first, last)))
    end
  end
  return self
end

-- Numbers as hexadecimal, which has every bit; keys in order.
local function spell(value, parts)
  if type(value) == "table" then
    local keys = {}
    for key in pairs(value) do keys[#keys + 1] = key end
    table.sort(keys, function(a, b)
      if type(a) == type(b) then return a < b end
      return type(a) < type(b)
    end)
    for _, key in ipairs(keys) do
      parts[#parts + 1] = tostring(key)
      spell(value[key], parts)
    end
  else
    parts[#parts + 1] = math.type(value) and ("%a"):format(value) or tostring(value)
  end
end

--- Adds plain data: numbers, texts, booleans and tables of these.
-- @param value
-- @return self
function digest:plain(value)
  local parts = {}
  spell(value, parts)
  return self:text(table.concat(parts, "\n"))
end

--- The checksum, as 16 hexadecimal digits.
function digest:__tostring() return ("%016x"):format(self.hash) end

return digest
