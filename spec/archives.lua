--- Writes .npz files (stored, not deflated) for specs.
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

--- Writes arrays: name -> `{shape = {…}, dtype = "u1" or "i8" or "f4", values…}`. Gives the path.
function archives.write(path, arrays)
  local names = {}
  for name in pairs(arrays) do names[#names + 1] = name end
  local body, directory = "", ""
  for _, name in ipairs(files.sort(names)) do
    local content, entry = npy(arrays[name]), name .. ".npy"
    local common = string.pack("<I2I2I2I2I2I4I4I4I2I2", 20, 0, 0, 0, 33, crc32(content), #content, #content, #entry, 0)
    directory = directory .. "PK\1\2" .. string.pack("<I2", 20) .. common
      .. string.pack("<I2I2I2I4I4", 0, 0, 0, 0, #body) .. entry
    body = body .. "PK\3\4" .. common .. entry .. content
  end
  local ending = "PK\5\6" .. string.pack("<I2I2I2I2I4I4I2", 0, 0, #names, #names, #directory, #body, 0)
  assert(files.write_all(path, body .. directory .. ending))
  return path
end

return archives
