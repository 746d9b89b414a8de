--- How wide text is and where it can be broken, near enough to lay out figures: gnuplot tells neither.
-- @module secateur.report.text_width
local visible = require "secateur.util.visible"

local text = {}

-- Widths in ems of a sans serif on the wide side (DejaVu Sans), so that others fit as well.
local narrow, wide = 0.36, 0.95

local function em(code)
  local char = code < 128 and string.char(code) or ""
  if char:find("[ijlftI'|.,:;!()%[%] -]") then return narrow end
  if char:find("[mwMW%%@]") then return wide end
  if char:find("[A-Z0-9+=<>~_&#?]") then return 0.67 end
  if code >= 0x1100 then -- East Asian letters are square; dashes, quotes and arrows are not
    return (code >= 0x2000 and code < 0x2E80) and 0.75 or 1.05
  end
  if code >= 0x300 and code < 0x370 then return 0 end -- accents that combine
  return 0.61
end

--- Text as it will be drawn, every byte of it part of a character that shows; spaces of any kind stay, to be broken
-- at.
-- @string given
-- @treturn string
function text.whole(given) return visible(given, "\t\n\r") end

--- About how wide a line is.
-- @string line
-- @number size of the letters
-- @treturn number in the unit of size
function text.width(line, size)
  local sum = 0
  for _, code in utf8.codes(text.whole(line)) do sum = sum + em(code) end
  return sum * size
end

-- The longest beginning (or end, from the right) of a list of characters that fits.
local function fitting(characters, room, first, step)
  local count, used = 0, 0
  while count < #characters do
    used = used + em(utf8.codepoint(characters[first + step * count]))
    if used > room then break end
    count = count + 1
  end
  return count
end

--- Shortens a line in its middle, where names differ least.
-- @string line
-- @number most width
-- @number size of the letters
-- @treturn string
function text.elide(line, most, size)
  if text.width(line, size) <= most then return line end
  local characters = {}
  for _, code in utf8.codes(text.whole(line)) do characters[#characters + 1] = utf8.char(code) end
  local room = most / size - 0.8
  local front = fitting(characters, room / 2, 1, 1)
  local back = math.min(#characters - front, fitting(characters, room / 2, #characters, -1))
  return table.concat(characters, "", 1, front) .. "…" .. table.concat(characters, "", #characters - back + 1)
end

-- A word that is too long, cut behind hyphens and the like, and where a capital follows a small letter (SmoothGrad).
local function pieces(word)
  return word:gsub("([-_/])([^-_/])", "%1\0%2"):gsub("(%l)(%u)", "%1\0%2"):gmatch "[^\0]+"
end

-- A word in parts that fit; what is still too long is shortened.
local function break_word(word, most, size)
  local parts = {}
  for piece in pieces(word) do
    local longer = (parts[#parts] or "") .. piece
    if #parts > 0 and text.width(longer, size) <= most then
      parts[#parts] = longer
    else
      parts[#parts + 1] = text.elide(piece, most, size)
    end
  end
  return parts
end

--- Breaks a line between words; a word that is too long by itself is broken behind hyphens, underscores and slashes,
-- and before capitals, or shortened.
-- @string line
-- @number most width
-- @number size of the letters
-- @treturn {string,...}
function text.wrap(line, most, size)
  local lines = {}
  for word in text.whole(line):gmatch("%S+") do
    local longer = #lines > 0 and lines[#lines] .. " " .. word
    if longer and text.width(longer, size) <= most then
      lines[#lines] = longer
    else
      for _, part in ipairs(break_word(word, most, size)) do lines[#lines + 1] = part end
    end
  end
  return lines
end

return text
