--- Small image files for specs.
local core = require "secateur.core"
local files = require "secateur.util.files"
local fingerprint = require "secateur.util.fingerprint"
local temporary = require "support.temporary"

local pictures = {}

--- Writes a PNG of one grey value (0..1), 12 x 10 pixels, with the folders above it; gives its path. Some pixels in a
-- corner follow from the path, so that no two pictures are equal.
function pictures.save(root, path, grey)
  local whole = files.join(root, path)
  assert(files.mkdir_p(files.directory(whole)))
  local image, mark = core.tensor({ 1, 10, 12, fill = grey or 0.5 }), fingerprint.text(path)
  for i = 1, 8 do image:set(tonumber(mark:sub(2 * i - 1, 2 * i), 16) / 255, 1, 1, i) end
  core.image_save(whole, image)
  return whole
end

--- Writes 01.png, 02.png and so on into a folder below `root`.
function pictures.fill(root, folder, count)
  for i = 1, count do pictures.save(root, ("%s/%02d.png"):format(folder, i), i / (count + 1)) end
end

--- Writes many: `names` is a list of paths.
function pictures.save_all(root, names)
  for i, name in ipairs(names) do pictures.save(root, name, i / (#names + 1)) end
end

--- Writes a PNG whose header is sound and whose pixels end too early.
function pictures.truncated(root, path)
  local content = assert(files.read_all(pictures.save(root, path, 0.3)))
  return temporary.write(root, path, content:sub(1, #content - 20))
end

-- The checksum of a PNG chunk (ISO 3309's CRC 32).
local function checksum(bytes)
  local crc = 0xFFFFFFFF
  for i = 1, #bytes do
    crc = crc ~ bytes:byte(i)
    for _ = 1, 8 do crc = crc & 1 == 1 and crc >> 1 ~ 0xEDB88320 or crc >> 1 end
  end
  return crc ~ 0xFFFFFFFF
end

local function chunk(kind, data)
  return (">s4"):pack(data):sub(1, 4) .. kind .. data .. (">I4"):pack(checksum(kind .. data))
end

-- What zlib calls a stream, uncompressed.
local function deflate(bytes)
  local a, b = 1, 0
  for i = 1, #bytes do
    a = (a + bytes:byte(i)) % 65521
    b = (b + a) % 65521
  end
  return "\x78\1\1" .. ("<I2I2"):pack(#bytes, ~#bytes & 0xFFFF) .. bytes .. (">I4"):pack(b << 16 | a)
end

--- The bytes of a PNG of 16 bits per sample, less than 64 KiB of them.
-- @tab rows list of lists of stored values (grey), or of lists of three (colour)
-- @tab[opt] significant the numbers of an sBIT chunk
function pictures.png16(rows, significant)
  local lines, colour = {}, type(rows[1][1]) == "table"
  for y, row in ipairs(rows) do
    local cells = {}
    for x, value in ipairs(row) do
      cells[x] = colour and (">I2I2I2"):pack(table.unpack(value)) or (">I2"):pack(value)
    end
    lines[y] = "\0" .. table.concat(cells)
  end
  return "\137PNG\r\n\26\n" .. chunk("IHDR", (">I4I4BBBBB"):pack(#rows[1], #rows, 16, colour and 2 or 0, 0, 0, 0))
    .. (significant and chunk("sBIT", string.char(table.unpack(significant))) or "")
    .. chunk("IDAT", deflate(table.concat(lines))) .. chunk("IEND", "")
end

return pictures
