--- Which letters the installed fonts have. Where none has a letter, gnuplot 5.4's Cairo terminals fill the whole
-- picture with the box that stands for it, so such letters must not get there.
-- @module secateur.report.fonts
local fonts = {}

local drawable = {}

-- Whether one font has all of a list of code points; true as well where fontconfig cannot be asked.
local function have(codes)
  local hex = {}
  for i, code in ipairs(codes) do hex[i] = ("%x"):format(code) end
  local command = ("fc-list ':charset=%s' family 2>/dev/null || echo unknown"):format(table.concat(hex, " "))
  local pipe <close> = io.popen(command)
  local said = pipe and pipe:read("a") or "unknown"
  return said ~= ""
end

--- A text with question marks for the letters that no font has.
-- @string text UTF-8
-- @treturn string
function fonts.drawable(text)
  local open, seen = {}, {}
  for _, code in utf8.codes(text) do
    if code >= 0x100 and not seen[code] and drawable[code] == nil then open[#open + 1] = code end
    seen[code] = true
  end
  if #open > 0 then
    local all = have(open)
    for _, code in ipairs(open) do drawable[code] = all or have { code } end
  end
  return (text:gsub(utf8.charpattern, function(letter)
    if drawable[utf8.codepoint(letter)] == false then return "?" end
  end))
end

return fonts
