--- Puts together pickles and checkpoints of PyTorch for specs, right ones and wrong ones.
local archives = require "support.archives"

local checkpoints = {}

---- pickles: each function gives the instructions that leave one value on the stack ----

local p = {}
checkpoints.p = p

p.none, p.yes, p.no, p.mark = "N", "\x88", "\x89", "("

function p.str(text) return "X" .. string.pack("<s4", text) end

function p.int(value)
  if value >= -2 ^ 31 and value < 2 ^ 31 then return "J" .. string.pack("<i4", value) end
  return "\x8a\8" .. string.pack("<i8", value)
end

function p.float(value) return "G" .. string.pack(">d", value) end

function p.tuple(...) return "(" .. table.concat { ... } .. "t" end

function p.list(...) return "](" .. table.concat { ... } .. "e" end

-- Of keys and values by turns.
function p.dict(...) return "}(" .. table.concat { ... } .. "u" end

function p.global(module, name) return "c" .. module .. "\n" .. name .. "\n" end

function p.call(module, name, ...) return p.global(module, name) .. p.tuple(...) .. "R" end

-- A tuple of whole numbers.
function p.sizes(list)
  local parts = {}
  for i, value in ipairs(list) do parts[i] = p.int(value) end
  return p.tuple(table.unpack(parts))
end

-- A storage: key, count, and "Float" or another type.
function p.storage(key, count, kind)
  return p.tuple(p.str "storage", p.global("torch", (kind or "Float") .. "Storage"), p.str(key), p.str "cpu",
    p.int(count)) .. "Q"
end

-- A tensor: `key`, `count` and `kind` of its storage, `shape`, and where they are not plain, `offset` and `strides`.
function p.tensor(given)
  local strides, step = given.strides, 1
  if not strides then
    strides = {}
    for d = #given.shape, 1, -1 do strides[d], step = step, step * given.shape[d] end
  end
  return p.call("torch._utils", "_rebuild_tensor_v2", p.storage(given.key or "0", given.count or step, given.kind),
    p.int(given.offset or 0), p.sizes(given.shape), p.sizes(strides), p.no,
    p.call("collections", "OrderedDict"))
end

-- A whole stream.
function p.stream(body, protocol) return "\x80" .. string.char(protocol or 2) .. body .. "." end

---- files ----

-- The bytes of floats.
function checkpoints.floats(...)
  local parts = {}
  for i, value in ipairs { ... } do parts[i] = string.pack("<f", value) end
  return table.concat(parts)
end

--- A zip archive: the pickle of a value, and storages, key → bytes.
function checkpoints.zip(body, storages, more)
  local entries = { { name = "archive/data.pkl", data = p.stream(body) } }
  local keys = {}
  for key in pairs(storages or {}) do keys[#keys + 1] = key end
  table.sort(keys)
  for _, key in ipairs(keys) do entries[#entries + 1] = { name = "archive/data/" .. key, data = storages[key] } end
  for _, entry in ipairs(more or {}) do entries[#entries + 1] = entry end
  return archives.zip(entries)
end

--- A stream of before version 1.6: the pickle of a value, and storages, a list of { key, number of elements, bytes }.
function checkpoints.stream(body, storages)
  local keys, data = {}, {}
  for i, storage in ipairs(storages or {}) do
    keys[i], data[i] = p.str(storage[1]), string.pack("<i8", storage[2]) .. storage[3]
  end
  return p.stream("\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19") .. p.stream(p.int(1001))
    .. p.stream(p.dict(p.str "little_endian", p.yes)) .. p.stream(body) .. p.stream(p.list(table.unpack(keys)))
    .. table.concat(data)
end

return checkpoints
