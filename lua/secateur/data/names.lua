--- Names that are text: what a file system or a table gives are bytes, and models, JSON and reports hold UTF-8.
-- @module secateur.data.names
local errors = require "secateur.util.errors"
local visible = require "secateur.util.visible"

local names = {}

--- Bytes that are not UTF-8, taken as Latin-1 (ISO 8859-1: a byte is a character).
-- @string bytes
-- @treturn string UTF-8; the same where it already is
function names.from_latin1(bytes)
  if utf8.len(bytes) then return bytes end
  return (bytes:gsub("[\128-\255]", function(byte) return utf8.char(byte:byte()) end))
end

-- The bytes of a name around what is not UTF-8, in hexadecimal.
local function bytes_text(name)
  local _, at = utf8.len(name)
  local hex = {}
  for i = math.max(1, at - 2), math.min(#name, at + 2) do hex[#hex + 1] = ("%02x"):format(name:byte(i)) end
  return table.concat(hex, " ")
end

local function refuse(what, name, place)
  errors.raise("%s: %s '%s': expected UTF-8, got bytes that are none (... %s ...); rename it, or give encoding = "
    .. "'latin1', which converts", visible(place), what, visible(name), bytes_text(name))
end

--- Converts the names of a listing's classes and samples, where asked for; paths stay as they are.
-- @tab listing
-- @string[opt] encoding "latin1"
function names.convert(listing, encoding)
  if encoding ~= "latin1" then return end
  local seen = {}
  for i, class in ipairs(listing.classes) do
    local text = names.from_latin1(class)
    if seen[text] then
      errors.raise("%s: class '%s' has the name of another one, %s", listing.places[i] or listing.title, text,
        seen[text])
    end
    listing.classes[i], seen[text] = text, listing.places[i] or listing.title
  end
  for _, sample in ipairs(listing.samples) do
    sample.name = names.from_latin1(sample.name)
    sample.group = sample.group and names.from_latin1(sample.group)
  end
  listing.title = names.from_latin1(listing.title)
end

--- Says which classes differ in nothing but capitals or spaces: one class, perhaps, in two spellings.
-- @tab classes
-- @treturn ?string
function names.note_alike(classes)
  local first, pairs_of = {}, {}
  for _, class in ipairs(classes) do
    local key = class:lower():gsub("%s+", " "):gsub("^ ", ""):gsub(" $", "")
    if first[key] then pairs_of[#pairs_of + 1] = ("'%s' and '%s'"):format(first[key], class) end
    first[key] = first[key] or class
  end
  if #pairs_of == 0 then return nil end
  return ("classes that differ in capitals or spaces alone: %s (classes = { NAME = { … } } merges them)"):format(
    table.concat(pairs_of, ", "))
end

--- Refuses names that are not UTF-8: a model or a report with such a name could not be written after all the work.
-- @tab listing
function names.check(listing)
  for i, class in ipairs(listing.classes) do
    if not utf8.len(class) then refuse("class", class, listing.places[i] or listing.title) end
  end
  for _, sample in ipairs(listing.samples) do
    if not utf8.len(sample.name) then refuse("file", sample.name, listing.title) end
  end
  if not utf8.len(listing.title) then refuse("folder", listing.title, "root") end
end

return names
