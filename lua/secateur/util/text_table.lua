--- Text in columns, for values that print as a table.
-- @module secateur.util.text_table
local visible = require "secateur.util.visible"

local text_table = {}

local function width_of(text) return utf8.len(text) or #text end

--- Lines of cells, columns aligned: the first `left` ones (1) at their left, the others at their right. Control
-- characters in cells are made visible.
-- @tab lines list of lists of strings; all as long as the first
-- @int[opt=1] left
-- @treturn string without a line break at the end
function text_table.format(lines, left)
  local widths, cells, out = {}, {}, {}
  for i, line in ipairs(lines) do
    cells[i] = {}
    for j, cell in ipairs(line) do
      cells[i][j] = visible(cell)
      widths[j] = math.max(widths[j] or 0, width_of(cells[i][j]))
    end
  end
  for i, line in ipairs(cells) do
    local parts = {}
    for j, cell in ipairs(line) do
      local pad = (" "):rep(widths[j] - width_of(cell))
      parts[j] = j <= (left or 1) and cell .. pad or pad .. cell
    end
    out[i] = (table.concat(parts, "  "):gsub(" +$", ""))
  end
  return table.concat(out, "\n")
end

local function number_text(value)
  local size = math.abs(value)
  if size >= 1000 then return ("%.3g"):format(value) end
  local text = (size >= 10 and "%.1f" or "%.3f"):format(value)
  return text:find "^%-0%.0+$" and text:sub(2) or text
end

--- A mean with its interval: "0.412 [0.390, 0.433]"; a dash for nil.
-- @tab[opt] interval `mean`, `low`, `high`
-- @treturn string
function text_table.interval(interval)
  if not interval then return "–" end
  return ("%s [%s, %s]"):format(number_text(interval.mean), number_text(interval.low), number_text(interval.high))
end

--- A list that prints as a table; it stays a list otherwise.
-- @tab list
-- @func to_lines the list -> lines of cells, the heading first, and how many columns are aligned at the left (1)
-- @treturn table the same list
function text_table.listing(list, to_lines)
  return setmetatable(list, { __tostring = function(self) return text_table.format(to_lines(self)) end })
end

return text_table
