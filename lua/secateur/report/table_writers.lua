--- A table of texts as Markdown and as HTML. A table is plain data:
-- `{caption=, heads = {…}, names =, span =, lines = {…}, kind =, label =}`. The first `names` columns name a line, the
-- others are numbers and are written as they are; a head is a text or `{text, alone}`, `alone` being what stands in
-- Markdown, where `span`, the heading over all numbers, has no place. A cell is a text or
-- `{text =, detail =, best = boolean}`.
-- Line fields: `group`, a text; a rule is drawn where it changes. `row_head` is the column that names the row to who
-- listens to the table (1).
-- @module secateur.report.table_writers
local html = require "secateur.report.html"
local visible = require "secateur.util.visible"

local writers = {}

--- A text as it may stand in Markdown.
-- @string text
-- @treturn string
function writers.escape_markdown(text)
  return (visible((text:gsub("[\r\n]+", " "))):gsub("[\\|`*_%[%]<>&]", "\\%0"))
end

--- Text of a cell or a head, and whether it is the best.
-- @param cell
-- @treturn string
-- @treturn boolean
function writers.cell(cell)
  if type(cell) ~= "table" then return cell, false end
  return (cell.text or cell[1]) .. (cell.detail and " " .. cell.detail or ""), cell.best or false
end

-- The same as HTML, what is a detail below.
local function cell_html(cell)
  local text, best = writers.cell(cell)
  local detail = type(cell) == "table" and cell.detail
  text = html.escape(detail and cell.text or text)
  if best then text = "<strong>" .. text .. "</strong>" end
  return detail and ("%s<br><small>%s</small>"):format(text, html.escape(detail)) or text
end

--- A table as Markdown.
-- @tab shown
-- @treturn string
function writers.markdown(shown)
  local heads, rule, lines = {}, {}, {}
  for i, head in ipairs(shown.heads) do
    heads[i] = writers.escape_markdown(type(head) == "table" and head[2] or head)
    rule[i] = i <= shown.names and "---" or "---:"
  end
  lines[1], lines[2] = heads, rule
  for i, line in ipairs(shown.lines) do
    lines[i + 2] = {}
    for j, each in ipairs(line) do
      local text, best = writers.cell(each)
      if j <= shown.names then text = writers.escape_markdown(text) end
      lines[i + 2][j] = best and "**" .. text .. "**" or text
    end
  end
  for i, line in ipairs(lines) do lines[i] = "| " .. table.concat(line, " | ") .. " |" end
  return table.concat(lines, "\n") .. "\n\n" .. writers.escape_markdown(shown.caption) .. "\n"
end

local function head_html(shown)
  local out = { "<thead>\n<tr>" }
  if not shown.span then
    for i, head in ipairs(shown.heads) do
      out[i + 1] = '<th scope="col">' .. html.escape(writers.cell(head)) .. "</th>"
    end
    return table.concat(out) .. "</tr>\n</thead>\n"
  end
  for i = 1, shown.names do
    out[#out + 1] = '<th rowspan="2" scope="col">' .. html.escape(writers.cell(shown.heads[i])) .. "</th>"
  end
  local count = #shown.heads - shown.names
  if count > 0 then
    out[#out + 1] = ('<th colspan="%d" scope="colgroup">%s</th>'):format(count, html.escape(shown.span))
  end
  out[#out + 1] = "</tr>\n<tr>"
  for i = shown.names + 1, #shown.heads do
    out[#out + 1] = '<th scope="col">' .. html.escape(writers.cell(shown.heads[i])) .. "</th>"
  end
  return table.concat(out) .. "</tr>\n</thead>\n"
end

-- Longer names than this are broken into lines, so that the numbers beside them can be seen.
local MOST_OF_NAME = 32

-- A cell as an element.
local function element(is_head, is_name, cell)
  local text = cell_html(cell)
  if not is_name then return "<td>" .. text .. "</td>" end
  local long = #writers.cell(cell) > MOST_OF_NAME and "long" or nil
  if is_head then return ('<th scope="row"%s>%s</th>'):format(long and ' class="long"' or "", text) end
  return ('<td class="name%s">%s</td>'):format(long and " long" or "", text)
end

--- A table as an HTML table element.
-- @tab shown
-- @treturn string
function writers.html(shown)
  local out = { ('<table class="%s">\n<caption>%s</caption>\n'):format(shown.kind or "drops",
    html.escape(shown.caption)), head_html(shown), "<tbody>\n" }
  local previous
  for _, line in ipairs(shown.lines) do
    out[#out + 1] = previous and line.group and previous ~= line.group and '<tr class="first">' or "<tr>"
    for i, each in ipairs(line) do
      out[#out + 1] = element(i == (shown.row_head or 1), i <= shown.names, each)
    end
    out[#out + 1] = "</tr>\n"
    previous = line.group
  end
  out[#out + 1] = "</tbody>\n</table>\n"
  return table.concat(out)
end

return writers
