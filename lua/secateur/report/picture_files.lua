--- Whether a picture that another program wrote is all there. Gnuplot ends well where the disk is full; what it could
-- not write is missing at the end, or in the middle where room came free in between.
-- @module secateur.report.picture_files
local picture_files = {}

-- Chunks one after the other (PNG specification, 5.3), up to the end of the file.
local function is_png(bytes)
  if bytes:sub(1, 8) ~= "\137PNG\r\n\26\n" then return false end
  local at = 9
  while at + 11 <= #bytes do
    local length, kind = string.unpack(">I4c4", bytes, at)
    at = at + 12 + length
    if kind == "IEND" then return length == 0 and at == #bytes + 1 end
    if not kind:find "^%a%a%a%a$" then return false end
  end
  return false
end

-- How often a text stands in another.
local function count(text, wanted)
  local found, from = 0, 1
  while true do
    local _, to = text:find(wanted, from, true)
    if not to then return found end
    found, from = found + 1, to + 1
  end
end

local function is_svg(text)
  if not text:find "^<%?xml.*</svg>%s*$" then return false end
  for _, name in ipairs { "text", "g" } do -- text that begins with a space, or has two, has an attribute
    local opened = count(text, ("<%s>"):format(name)) + count(text, ("<%s "):format(name))
    if opened ~= count(text, ("</%s>"):format(name)) then return false end
  end
  return true
end

-- The offset at the end leads to the table of objects (PDF 32000-1, 7.5.5), unless something is missing.
local function is_pdf(bytes)
  local offset = bytes:sub(1, 5) == "%PDF-" and bytes:sub(-64):match "startxref%s+(%d+)%s+%%%%EOF%s*$"
  offset = offset and math.tointeger(tonumber(offset))
  return offset and (bytes:find("^xref", offset + 1) or bytes:find("^%d+ %d+ obj", offset + 1)) ~= nil or false
end

local checks = { png = is_png, svg = is_svg, pdf = is_pdf }

--- Whether a file is complete.
-- @string extension "svg", "png" or "pdf"
-- @string bytes
-- @treturn boolean
function picture_files.is_complete(extension, bytes) return checks[extension](bytes) end

--- An SVG of gnuplot as XML has it: in text, gnuplot writes ]]> as it is, which only the end of a CDATA section may be.
-- @string svg without CDATA sections
-- @treturn string
function picture_files.well_formed(svg) return (svg:gsub("%]%]>", "]]&gt;")) end

return picture_files
