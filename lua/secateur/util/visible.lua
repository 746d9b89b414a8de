--- Names as they may be printed: what a terminal, a table or a reader would obey or not see is written out. A file's or
-- a class's name can hold any bytes, and a terminal that gets them raw changes its colours, its title or lines that
-- stand there already; an override of direction makes one name look like another.
-- @module secateur.util.visible
local valid_utf8 = require "secateur.util.valid_utf8"

local named = { ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t" }

local function escape_byte(byte) return named[byte] or ("\\x%02X"):format(byte:byte()) end

local function escape_letter(letter) return ("\\u{%X}"):format(utf8.codepoint(letter)) end

-- Letters of several bytes, by their encoding: U+0080..009F (C1 controls), U+2028..202E (ends of lines and paragraphs,
-- directions), U+2066..2069 (directions), U+FFFE and U+FFFF (none, and XML refuses them). A byte that begins a letter
-- occurs in no other place, so that these match whole letters.
local letters = { "\xC2[\x80-\x9F]", "\xE2\x80[\xA8-\xAE]", "\xE2\x81[\xA6-\xA9]", "\xEF\xBF[\xBE\xBF]" }

--- A text on one line without anything that acts: control characters as `\n`, `\t`, `\r` or `\x1B`, C1 controls,
-- overrides of direction, and separators of lines and paragraphs as `\u{202E}`, bytes that are not UTF-8 as `\xFF`.
-- What is visible already stays as it is, so that doing it twice is doing it once. Time is proportional to the length.
-- @string text
-- @string[opt=""] keep control characters that stay, such as "\n" for text of several lines
-- @string[opt] substitute what stands for each of them in place of its escape
-- @treturn string
return function(text, keep, substitute)
  if not text:find "[\0-\31\127-\255]" then return text end
  text = valid_utf8(text, substitute or escape_byte)
  text = text:gsub("[\0-\31\127]", function(byte)
    if keep and keep:find(byte, 1, true) then return byte end
    return substitute or escape_byte(byte)
  end)
  if not text:find "[\xC2\xE2\xEF]" then return text end
  for _, pattern in ipairs(letters) do text = text:gsub(pattern, substitute or escape_letter) end
  return text
end
