--- Writes zip archives and .npz files (stored, not deflated) for specs.
local files = require "secateur.util.files"

local archives = {}

local function crc32(text)
  local crc = 0xffffffff
  for i = 1, #text do
    crc = crc ~ text:byte(i)
    for _ = 1, 8 do crc = (crc >> 1) ~ (0xedb88320 & -(crc & 1)) end
  end
  return crc ~ 0xffffffff
end

local formats = { u1 = "B", i8 = "<i8", f4 = "<f" }

-- The .npy file of a list of numbers.
local function npy(array)
  local kind, values = array.dtype or "u1", {}
  for i, value in ipairs(array) do values[i] = string.pack(formats[kind], value) end
  local header = ("{'descr': '%s%s', 'fortran_order': False, 'shape': (%s,), }"):format(kind == "u1" and "|" or "<",
    kind, table.concat(array.shape, ", "))
  header = header .. (" "):rep((-(#header + 11)) % 64) .. "\n"
  return "\147NUMPY\1\0" .. string.pack("<s2", header) .. table.concat(values)
end

--- The bytes of a zip archive. Entries are written in order: `name` and `data`, stored; `crc`, `size` (inflated) and
-- `offset` as the directory states them, and `method`, where they are to be others than they are.
-- @tab entries
-- @treturn string
function archives.zip(entries)
  local body, directory, at = {}, {}, 0
  for i, entry in ipairs(entries) do
    local name, data = entry.name, entry.data
    local common = string.pack("<I2I2I2I2I2I4I4I4I2I2", 20, 0, entry.method or 0, 0, 33, entry.crc or crc32(data),
      #data, entry.size or #data, #name, 0)
    directory[i] = "PK\1\2" .. string.pack("<I2", 20) .. common
      .. string.pack("<I2I2I2I4I4", 0, 0, 0, 0, entry.offset or at) .. name
    body[i] = "PK\3\4" .. common .. name .. data
    at = at + #body[i]
  end
  local list = table.concat(directory)
  return table.concat(body) .. list .. "PK\5\6"
    .. string.pack("<I2I2I2I2I4I4I2", 0, 0, #entries, #entries, #list, at, 0)
end

--- Writes arrays: name -> `{shape = {…}, dtype = "u1" or "i8" or "f4", values…}`. Gives the path.
function archives.write(path, arrays)
  local names, entries = {}, {}
  for name in pairs(arrays) do names[#names + 1] = name end
  for i, name in ipairs(files.sort(names)) do entries[i] = { name = name .. ".npy", data = npy(arrays[name]) } end
  assert(files.write_all(path, archives.zip(entries)))
  return path
end

return archives
