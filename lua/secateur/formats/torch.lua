--- PyTorch's checkpoints (`torch.save`): the zip archive, and the stream of before version 1.6.
--
-- Gives the object that was saved, as data (`formats/pickle.lua`), and where its storages lie in the file.
-- @module secateur.formats.torch
local errors = require "secateur.util.errors"
local pickle = require "secateur.formats.pickle"
local torch_globals = require "secateur.formats.torch_globals"

local torch = {}

-- 0x1950a86a20f9469cfc6c as formats/pickle.lua gives it.
local MAGIC_BYTES, MAGIC_TEXT = "\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19", "119547037146038801333356"
local PROTOCOL_VERSION = 1001
local SLACK = 64 << 20 -- bytes that the description of the tensors may need beside twice the file
local SAVE = "save the weights alone, in Python: torch.save(model.state_dict(), path)"

local function refuse(name)
  errors.raise("global '%s' is not allow-listed; nothing was executed; %s",
    #name <= 200 and name or name:sub(1, 200) .. "...", SAVE)
end

-- The persistent name ("storage", type, key, device, count[, view]) as a storage; a view is (key, first, count).
local function storage(id)
  local fits = type(id) == "table" and id.kind == "tuple" and id[1] == "storage"
  local type_of = fits and torch_globals.type_of(id[2])
  local key, count, view = fits and id[3], fits and id[5], fits and id[6]
  if not type_of or type(key) ~= "string" or math.type(count) ~= "integer" or count < 0 then
    errors.raise("persistent id is no storage")
  end
  local made = { kind = "storage", type = type_of, key = key, count = count }
  if view ~= nil and view ~= pickle.none then
    local good = type(view) == "table" and view.kind == "tuple" and math.type(view[2]) == "integer"
      and math.type(view[3]) == "integer" and view[2] >= 0 and view[3] >= 0 and view[2] <= count
      and view[3] <= count - view[2]
    if not good then errors.raise("storage '%s': a view that is not within it", key) end
    made.shift, made.viewed = view[2], view[3]
  end
  return made
end

-- A function that reads the pickle at an offset.
local function reader(file, persistent)
  local known = { globals = torch_globals.known, refuse = refuse, persistent = persistent or storage,
    budget = 2 * file:size() + SLACK }
  local function fetch(offset, count) return file:bytes(offset, count) end
  return function(offset, size)
    return pickle.load({ fetch = fetch, offset = offset, size = size }, known)
  end
end

---- the zip archive ----

local function plain_entry(file, name)
  local offset, length, crc, plain = file:entry(name)
  if not offset then return nil end
  if not plain then errors.raise("entry '%s': expected it stored as it is, as PyTorch does, got it compressed",
    name) end
  -- PyTorch writes 0 where it was told not to compute checksums
  return { first = offset, length = length, crc = crc ~= 0 and crc or nil }
end

-- Raises unless the checksum of an entry holds.
local function check(file, place, what)
  if not place.crc then return end
  local crc = file:crc32(place.first, place.length)
  if crc ~= place.crc then errors.raise("%s: its checksum is wrong: expected %08x, got %08x", what, place.crc, crc) end
  place.crc = nil
end

local function find_pickle(file)
  local folder = file:zip() > 0 and file:name(1):match("^([^/]+/)")
  if folder and file:entry(folder .. "constants.pkl") then
    errors.raise("a TorchScript archive (torch.jit.save), which holds a program; %s", SAVE)
  end
  local place = folder and plain_entry(file, folder .. "data.pkl")
  if not place then errors.raise("a zip archive, but no checkpoint of PyTorch: no data.pkl in it") end
  check(file, place, "entry '" .. folder .. "data.pkl'")
  return folder, place
end

local function byte_order(file, folder)
  local place = plain_entry(file, folder .. "byteorder")
  if not place then return "little" end
  local text = place.length <= 16 and file:bytes(place.first, place.length) or ""
  if text ~= "little" and text ~= "big" then errors.raise("byteorder: expected little or big, got '%s'", text) end
  return text
end

local function open_zip(file)
  local folder, pickled = find_pickle(file)
  local big_endian = byte_order(file, folder) == "big"
  local root = reader(file)(pickled.first, pickled.length)
  local places = {}
  local function place_of(wanted)
    local place = places[wanted.key]
    if not place then
      place = plain_entry(file, folder .. "data/" .. wanted.key)
      if not place and wanted.count == 0 then place = { first = 0, length = 0 } end
      if not place then errors.raise("storage '%s' is not in the archive", wanted.key) end
      places[wanted.key] = place
    end
    return place
  end
  return { root = root, place_of = place_of, big_endian = big_endian }
end

---- the stream of before version 1.6 ----

-- key → bytes per element and number of elements, from all storages that the object names.
local function note_storages(into)
  return function(id)
    local made = storage(id)
    local known = into[made.key]
    if known and (known.count ~= made.count or known.type.size ~= made.type.size) then
      errors.raise("storage '%s' is declared with two sizes", made.key)
    end
    into[made.key] = known or made
    return made
  end
end

-- The storages' bytes follow one another, each after the number of its elements.
local function place_storages(file, keys, noted, offset)
  local places = {}
  if type(keys) ~= "table" or keys.kind ~= "list" then errors.raise("expected a list of storages") end
  for i = 1, keys.n do
    local key = keys[i]
    local made = type(key) == "string" and noted[key]
    if not made then errors.raise("the list of storages names one that no tensor uses") end
    if file:size() - offset < 8 then errors.raise("cut short: storage '%s' is missing", key) end
    local count = string.unpack("<i8", file:bytes(offset, 8))
    offset = offset + 8
    if count ~= made.count then
      errors.raise("storage '%s': expected %d elements, got %d", key, made.count, count)
    elseif count > (file:size() - offset) // made.type.size then
      errors.raise("cut short: storage '%s' ends behind the file", key)
    end
    places[key] = { first = offset, length = count * made.type.size }
    offset = offset + count * made.type.size
  end
  return places
end

local function open_stream(file)
  local noted = {}
  local read, offset = reader(file), 0
  local function next_value()
    local value
    value, offset = read(offset, file:size() - offset)
    return value
  end
  local magic = next_value()
  if type(magic) ~= "table" or magic.bytes ~= MAGIC_BYTES and magic.text ~= MAGIC_TEXT then
    errors.raise("a pickle, but no checkpoint of PyTorch (its first value is %s)", pickle.describe(magic))
  end
  local version = next_value()
  if version ~= PROTOCOL_VERSION then
    errors.raise("expected version %d of the format, got %s", PROTOCOL_VERSION, pickle.describe(version))
  end
  next_value() -- sizes of C's types where it was written; storages are always little-endian
  read = reader(file, note_storages(noted))
  local root = next_value()
  local places = place_storages(file, next_value(), noted, offset)
  local function place_of(wanted)
    return places[wanted.key] or errors.raise("storage '%s' is not in the file", wanted.key)
  end
  return { root = root, place_of = place_of, big_endian = false }
end

--- Reads what a file holds, apart from the storages. Messages may begin with the path.
-- @param file a File of the core
-- @bool zip whether it is a zip archive
-- @treturn table `root`: the object; `place_of(storage)`: a table with `first` and `length`, in bytes, and `crc` where
-- one is known and was not yet checked; `big_endian`
function torch.open(file, zip)
  return (zip and open_zip or open_stream)(file)
end

--- Raises unless the checksum of a place holds; afterwards it counts as checked.
-- @param file a File of the core
-- @tab place as `place_of` gives it
-- @string what it is, for the message
torch.check = check

return torch
