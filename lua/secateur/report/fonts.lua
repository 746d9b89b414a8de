--- Which letters the installed fonts have. Where none has a letter, gnuplot 5.4's Cairo terminals fill the whole
-- picture with the box that stands for it, so such letters must not get there.
-- @module secateur.report.fonts
local fonts = {}

-- Where the letters of all fonts begin and end, ascending and apart; "any" where fontconfig cannot be asked. Asked
-- once, when first needed: a name may have thousands of letters, and each question is a process.
local ranges

local function ask()
  local pipe <close> = io.popen "fc-list : charset 2>/dev/null || echo unknown"
  local said = pipe and pipe:read "a" or "unknown"
  if said:find "^unknown" then return "any" end
  local all = {}
  for line in said:gmatch "charset=([^\n:]*)" do
    for first, last in line:gmatch "(%x+)%-?(%x*)" do
      first = tonumber(first, 16)
      all[#all + 1] = { first, last ~= "" and tonumber(last, 16) or first }
    end
  end
  table.sort(all, function(x, y) return x[1] < y[1] end)
  local merged = {}
  for _, range in ipairs(all) do
    local before = merged[#merged]
    if before and range[1] <= before[2] + 1 then
      before[2] = math.max(before[2], range[2])
    else
      merged[#merged + 1] = range
    end
  end
  return merged
end

-- Whether some font has a letter.
local function has(code)
  if code < 0x100 then return true end
  ranges = ranges or ask()
  if ranges == "any" then return true end
  local low, high = 1, #ranges
  while low <= high do
    local middle = (low + high) // 2
    local range = ranges[middle]
    if code < range[1] then
      high = middle - 1
    elseif code > range[2] then
      low = middle + 1
    else
      return true
    end
  end
  return false
end

--- A text with question marks for the letters that no font has.
-- @string text UTF-8
-- @treturn string
function fonts.drawable(text)
  return (text:gsub("[\xC2-\xF4][\x80-\xBF]*", function(letter)
    if not has(utf8.codepoint(letter)) then return "?" end
  end))
end

return fonts
