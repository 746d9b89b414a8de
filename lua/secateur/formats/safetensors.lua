--- Files of named tensors in the safetensors format (https://github.com/huggingface/safetensors).
--
-- The core moves the bytes; the JSON header is understood, and distrusted, here.
-- @module secateur.formats.safetensors
local core = require "secateur.core"
local errors = require "secateur.util.errors"
local file_kind = require "secateur.util.file_kind"
local files = require "secateur.util.files"
local json = require "secateur.util.json"
local options = require "secateur.util.options"
local element_bytes = require("secateur.util.tensors").element_bytes

local safetensors = {}

local MAX_DIMS = 5
local SLACK = 64 << 20 -- bytes that the header may take beside twice the file, once it is decoded
local MAX_WHOLE = 2 ^ 53 -- beyond it a JSON number no longer stands for itself

local sizes = { BOOL = 1, U8 = 1, I8 = 1, U16 = 2, I16 = 2, F16 = 2, BF16 = 2, U32 = 4, I32 = 4, F32 = 4, U64 = 8,
  I64 = 8, F64 = 8 }

-- Bits per element of types that no Tensor holds.
local other_bits = { F8_E4M3 = 8, F8_E5M2 = 8, F8_E8M0 = 8, F8_E4M3FNUZ = 8, F8_E5M2FNUZ = 8, F6_E2M3 = 6, F6_E3M2 = 6,
  F4 = 4, C64 = 64, C128 = 128 }

local stored_as = { float32 = "F32", float64 = "F64", int64 = "I64", uint8 = "U8" }

local DEPTH = 8 -- of lists and objects in the header; three are needed

-- Stands for null: of no type that anything here may have.
local function null() end

local function describe(value) return value == null and "null" or options.describe(value) end

-- What the decoder would make of the text, in bytes, about: tables of a few bytes of text take a hundred.
local function decoded_size(text)
  local _, tables = text:gsub("[{%[]", "")
  local _, items = text:gsub(",", "")
  return 120 * tables + 56 * items + #text
end

local function decode(text, room)
  if text:byte(1) ~= 123 then errors.raise("header: expected a JSON object") end
  if decoded_size(text) > room then errors.raise("header: contents exceed twice the size of the file") end
  local ok, header = errors.try(json.decode, text, { depth = DEPTH, unique = true, null = null, utf8 = true })
  if not ok then errors.raise("header: %s", (header:gsub("^json: ", ""))) end
  return header
end

-- The list as integers, or nil unless it is a list of whole numbers from 0 to 2^53.
local function whole_numbers(list)
  if type(list) ~= "table" then return nil end
  local whole, count = {}, 0
  for key in pairs(list) do
    if math.type(key) == nil then return nil end
    count = count + 1
  end
  for i = 1, count do
    local value = list[i]
    local integer = math.type(value) and math.tointeger(value)
    if not integer or integer < 0 or integer > MAX_WHOLE then return nil end
    whole[i] = integer
  end
  return whole
end

-- The number of bytes, or nil when it is over the limit.
local function byte_count(shape, size, limit)
  local bytes = size
  for _, extent in ipairs(shape) do
    if extent == 0 then return 0 end
  end
  for _, extent in ipairs(shape) do
    if extent > limit // bytes then return nil end
    bytes = bytes * extent
  end
  return bytes
end

-- Why a tensor cannot be read, or nil.
local function unsupported(dtype, shape)
  if #shape > MAX_DIMS then return ("a tensor of %d dimensions, more than %d"):format(#shape, MAX_DIMS) end
  if not sizes[dtype] then return "a tensor of " .. dtype end
  return nil
end

-- Whether the bytes are those of the shape; of types that are not known here, anything is.
local function fits(dtype, shape, bytes, limit)
  local bits = other_bits[dtype]
  if sizes[dtype] then return byte_count(shape, sizes[dtype], limit) == bytes end
  if not bits then return true end
  local count = byte_count(shape, 1, 8 * limit + 8)
  return count ~= nil and (count * bits + 7) // 8 == bytes
end

-- One entry of the header, checked: { name=, dtype=, shape=, first=, last= }, and `unsupported`, what it is, where it
-- cannot be read.
local function check_entry(name, given, bytes)
  local where = "tensor " .. options.describe(name)
  if type(given) ~= "table" then
    errors.raise("%s: expected an object, got %s", where, describe(given))
  end
  for _, field in ipairs { "dtype", "shape", "data_offsets" } do
    if given[field] == nil then errors.raise("%s: missing field '%s'", where, field) end
  end
  local dtype, shape, offsets = given.dtype, whole_numbers(given.shape), whole_numbers(given.data_offsets)
  if type(dtype) ~= "string" or #dtype > 16 or not dtype:find "^%u[%u%d_]*$" then
    errors.raise("%s: unknown dtype %s", where, describe(dtype))
  end
  if not shape then errors.raise("%s: shape: expected a list of whole numbers", where) end
  if not offsets or #offsets ~= 2 then errors.raise("%s: data_offsets: expected two whole numbers", where) end
  local first, last = offsets[1], offsets[2]
  if first > last or last > bytes then
    errors.raise("%s: data_offsets: expected them in order within 0..%d, got %d and %d", where, bytes, first, last)
  end
  if not fits(dtype, shape, last - first, bytes) then
    errors.raise("%s: data_offsets: %d bytes do not make the shape [%s] of %s", where, last - first,
      table.concat(shape, "x"), dtype)
  end
  return { name = name, dtype = dtype, shape = shape, first = first, last = last,
    unsupported = unsupported(dtype, shape) }
end

local function check_metadata(meta)
  if meta == nil then return {} end
  if type(meta) ~= "table" then errors.raise("__metadata__: expected an object, got %s", describe(meta)) end
  for key, value in pairs(meta) do
    if type(key) ~= "string" or type(value) ~= "string" then
      errors.raise("__metadata__: %s: expected a string, got %s", key, describe(value))
    end
  end
  return meta
end

-- All entries in the order of their bytes, which must follow one another without gaps to the end of the file.
local function check_header(header, bytes)
  local entries = {}
  for name, given in pairs(header) do
    if name ~= "__metadata__" then entries[#entries + 1] = check_entry(name, given, bytes) end
  end
  table.sort(entries, function(a, b)
    if a.first ~= b.first then return a.first < b.first end
    if a.last ~= b.last then return a.last < b.last end
    return a.name < b.name
  end)
  local reached = 0
  for _, entry in ipairs(entries) do
    if entry.first ~= reached then
      errors.raise("tensor %s: data_offsets: expected it to begin at %d, where the one before ends, got %d",
        options.describe(entry.name), reached, entry.first)
    end
    reached = entry.last
  end
  if reached ~= bytes then errors.raise("expected %d bytes of data after the header, got %d", reached, bytes) end
  return entries
end

local function parse(text, bytes)
  local header = decode(text, 2 * (#text + bytes) + SLACK)
  return check_header(header, bytes), check_metadata(header.__metadata__)
end

---- reading ----

local held = { U8 = "uint8", F16 = "float32", BF16 = "float32", F32 = "float32", F64 = "float32" }

local Weights = {}
Weights.__index = Weights
Weights.__name = "Weights"

-- Sorted names of all tensors.
function Weights:names()
  return options.sorted_keys(self.entries)
end

local function entry_of(self, name)
  return self.entries[name] or errors.raise("'%s': no tensor %s in it", self.path, options.describe(name))
end

-- Shape and types of one.
function Weights:info(name)
  local entry = entry_of(self, name)
  return { shape = table.move(entry.shape, 1, #entry.shape, 1, {}), stored = entry.dtype,
    dtype = not entry.unsupported and safetensors.held_as(entry.dtype) or nil, unsupported = entry.unsupported }
end

-- A new Tensor of it.
function Weights:read(name)
  local entry = entry_of(self, name)
  if entry.unsupported then
    errors.raise("'%s': tensor '%s': expected an ordinary tensor, got %s", self.path, name, entry.unsupported)
  end
  return self.file:tensor(entry.dtype, entry.shape, entry.first, entry.last)
end

-- Closes the file.
function Weights:close()
  self.file:close()
end

Weights.__close = Weights.close

--- The element type of tensors that hold what is stored as `dtype`.
-- @string dtype in the format's words, e.g. "BF16"
-- @treturn string "uint8", "int64" or "float32"
function safetensors.held_as(dtype)
  return held[dtype] or "int64"
end

--- Opens a file whose tensors are read one by one; see `formats/weights.lua` for what is given. Messages begin
-- with the path.
-- @string path
-- @treturn Weights
function safetensors.open(path)
  local file = core.safetensors_open(path)
  local good, header = errors.catch(file.header, file)
  local found, entries, meta
  if good then found, entries, meta = errors.catch(parse, header, file:bytes()) end
  if not found then
    file:close() -- whatever it was, memory that ran out included: a descriptor does not wait for the collector
    if not good then errors.rethrow(header) end
    if not errors.is_fault(entries) then errors.rethrow(entries) end
    errors.raise("'%s': %s", path, entries.message)
  end
  local by_name = {}
  for _, entry in ipairs(entries) do by_name[entry.name] = entry end
  return setmetatable({ kind = "safetensors", metadata = meta, path = path, file = file, entries = by_name }, Weights)
end

--- All tensors of an open file of any kind, but those that cannot be read.
-- @param file what `open` here or in `formats/weights.lua` gives
-- @treturn {[string]=Tensor} name → tensor
-- @treturn {string,...} a sentence on each that was left out
function safetensors.read_all(file)
  local tensors, left_out = {}, {}
  for _, name in ipairs(file:names()) do
    local unreadable = file:info(name).unsupported
    if unreadable then
      left_out[#left_out + 1] = ("left out '%s' (%s)"):format(name, unreadable)
    else
      tensors[name] = file:read(name)
    end
  end
  return tensors, left_out
end

local function load(path)
  local file <close> = safetensors.open(path)
  local tensors, left_out = safetensors.read_all(file)
  for _, note in ipairs(left_out) do errors.warn("safetensors.load: '%s': %s", path, note) end
  return tensors, file.metadata
end

--- Reads all tensors of a file. U8 stays uint8; other integers and booleans become int64; floats of 16 bits and
-- more float32. What no Tensor can hold (floats of eight bits, complex numbers) is left out, and that is said on
-- stderr.
-- @string path
-- @treturn {[string]=Tensor} name → tensor
-- @treturn {[string]=string} the file's metadata, empty when it has none
-- @raise when the file is damaged or of another kind
function safetensors.load(path)
  options.value("safetensors.load", "path", path, { type = "string", required = true })
  return errors.within("safetensors.load", load, path)
end

---- writing ----

local function check_text(what, text)
  if type(text) ~= "string" then
    errors.raise("%s: expected a string, got %s", what, options.describe(text))
  elseif not utf8.len(text) then
    errors.raise("%s: expected UTF-8, got other bytes", what)
  end
  return text
end

local function sorted_keys(map, what)
  local keys = {}
  for key in pairs(map) do keys[#keys + 1] = check_text(what, key) end
  return files.sort(keys)
end

local function encode_metadata(meta)
  local parts = {}
  for i, key in ipairs(sorted_keys(meta, "meta: key")) do
    parts[i] = json.encode(key) .. ":" .. json.encode(check_text("meta: '" .. key .. "'", meta[key]))
  end
  return '"__metadata__":{' .. table.concat(parts, ",") .. "}"
end

-- name → the format's word for its element type.
local function check_tensors(tensors, names)
  local dtypes = {}
  for _, name in ipairs(names) do
    local tensor = tensors[name]
    local known, dtype = pcall(function() return stored_as[tensor:dtype()] end)
    if not known or not dtype then
      errors.raise("tensors: '%s': expected a Tensor, got %s", name, options.describe(tensor))
    elseif name == "__metadata__" then
      errors.raise("tensors: the name '__metadata__' is reserved")
    end
    dtypes[name] = dtype
  end
  return dtypes
end

-- Header and list of tensors in the order of their bytes: wide elements first, so that all are aligned, then by name.
local function lay_out(tensors, meta)
  local names = sorted_keys(tensors, "tensors: name")
  local dtypes = check_tensors(tensors, names)
  local parts, list, at = {}, {}, 0
  if next(meta) then parts[1] = encode_metadata(meta) end
  for _, width in ipairs { 8, 4, 1 } do
    for _, name in ipairs(names) do
      local tensor, dtype = tensors[name], dtypes[name]
      if sizes[dtype] == width then
        local last = at + tensor:numel() * width
        parts[#parts + 1] = ('%s:{"dtype":"%s","shape":[%s],"data_offsets":[%d,%d]}'):format(json.encode(name), dtype,
          table.concat(tensor:shape(), ","), at, last)
        list[#list + 1], at = tensor, last
      end
    end
  end
  return "{" .. table.concat(parts, ",") .. "}", list
end

--- How many bytes a file of these tensors has, without writing it.
-- @tparam {[string]=Tensor} tensors as `save` takes them
-- @tparam[opt] {[string]=string} meta
-- @treturn int
function safetensors.file_size(tensors, meta)
  local header, list = lay_out(tensors, meta or {})
  local bytes = 8 + #header + -#header % 8 -- the header's length, and spaces that align what follows
  for _, tensor in ipairs(list) do bytes = bytes + tensor:numel() * element_bytes[tensor:dtype()] end
  return bytes
end

--- Writes tensors to a file: float32 as F32, int64 as I64, uint8 as U8. The file appears, or an old one is replaced,
-- only when all of it is on disk.
-- @string path
-- @tparam {[string]=Tensor} tensors name → tensor
-- @tparam[opt] {[string]=string} meta text to keep with them
-- @raise when a name or a piece of metadata is not a UTF-8 string, or the file cannot be written
function safetensors.save(path, tensors, meta)
  options.value("safetensors.save", "path", path, { type = "string", required = true })
  file_kind.check("safetensors.save", path, "safetensors")
  options.value("safetensors.save", "tensors", tensors, { type = "table", required = true })
  meta = options.value("safetensors.save", "meta", meta, { type = "table", default = {} })
  errors.within("safetensors.save", function() core.safetensors_write(path, lay_out(tensors, meta)) end)
end

return safetensors
