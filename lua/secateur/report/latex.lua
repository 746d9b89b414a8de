--- Tables for LaTeX, with the package booktabs: what pdflatex compiles without any other.
-- @module secateur.report.latex
local visible = require "secateur.util.visible"
local writers = require "secateur.report.table_writers"

local latex = {}

local escapes = { ["\\"] = "\\textbackslash{}", ["{"] = "\\{", ["}"] = "\\}", ["$"] = "\\$", ["&"] = "\\&",
  ["#"] = "\\#", ["%"] = "\\%", ["_"] = "\\_", ["^"] = "\\textasciicircum{}", ["~"] = "\\textasciitilde{}",
  ["<"] = "\\textless{}", [">"] = "\\textgreater{}", ["|"] = "\\textbar{}", ['"'] = "''", -- OT1 has no straight ones
  ["`"] = "\\`{}", ["'"] = "'", ["-"] = "{-}", ["["] = "{[}", ["]"] = "{]}" }

-- Letters that are written out here; of the others, pdflatex knows those of Latin-1.
local letters = { ["–"] = "--", ["—"] = "---", ["−"] = "$-$", ["±"] = "$\\pm$", ["≥"] = "$\\geq$", ["≤"] = "$\\leq$",
  ["Δ"] = "$\\Delta$", ["·"] = "$\\cdot$", ["×"] = "$\\times$", ["…"] = "\\ldots{}", ["“"] = "``", ["”"] = "''",
  ["‘"] = "`", ["’"] = "'", ["\u{A0}"] = "~", ["≠"] = "$\\neq$", ["√"] = "$\\surd$", ["∞"] = "$\\infty$",
  ["α"] = "$\\alpha$", ["β"] = "$\\beta$", ["γ"] = "$\\gamma$", ["δ"] = "$\\delta$", ["ε"] = "$\\varepsilon$",
  ["λ"] = "$\\lambda$", ["μ"] = "$\\mu$", ["σ"] = "$\\sigma$", ["τ"] = "$\\tau$", ["ρ"] = "$\\rho$",
  ["θ"] = "$\\theta$", ["η"] = "$\\eta$", ["π"] = "$\\pi$", ["φ"] = "$\\varphi$", ["ω"] = "$\\omega$" }

-- Letters of Latin-1 that the default font encoding of LaTeX, OT1, has or puts together: all but eth and thorn.
local function is_latin(code)
  return code >= 0xC0 and code <= 0xFF and code ~= 0xD0 and code ~= 0xF0 and code ~= 0xDE and code ~= 0xFE
    and code ~= 0xD7 and code ~= 0xF7
end

--- A text as it may stand in a paragraph, a cell or a caption. What pdflatex has no letter for is named: U+4E2D.
-- @string text
-- @treturn string
function latex.escape(text)
  local out = {}
  for _, code in utf8.codes(visible((text:gsub("[\t\r\n]+", " ")))) do
    local letter = utf8.char(code)
    if code < 128 then
      out[#out + 1] = escapes[letter] or letter
    else
      out[#out + 1] = letters[letter] or is_latin(code) and letter or ("\\texttt{U+%04X}"):format(code)
    end
  end
  return table.concat(out)
end

-- A number with its sign: a hyphen before a digit is a minus.
local function number(text)
  return (latex.escape(text):gsub("{%-}(%d)", "$-$%1"))
end

-- How many letters of \small fit the width of a page of the class article, what stands between two columns, and how
-- wide a name may be before it is broken into lines.
local most_on_page, gap, most_of_name = 74, 3, 22

local function letters_of(cell)
  local text = writers.cell(cell)
  return utf8.len(text) or #text
end

-- The widths of all columns, in letters: names and headings are broken into lines, numbers are not.
local function widths_of(shown)
  local widths = {}
  for i, head in ipairs(shown.heads) do
    widths[i] = math.min(letters_of(head), most_of_name)
    for _, line in ipairs(shown.lines) do
      local size = letters_of(line[i])
      widths[i] = math.max(widths[i], i <= shown.names and math.min(size, most_of_name) or size)
    end
  end
  return widths
end

-- Columns of numbers that fit beside the names: lists of {first, last}, at least one column in each.
local function parts_of(shown, widths)
  local room, parts = most_on_page, {}
  for i = 1, shown.names do room = room - widths[i] - gap end
  local used
  for i = shown.names + 1, #shown.heads do
    local wide = widths[i] + gap
    if not used or used + wide > room then
      parts[#parts + 1], used = { i, i }, 0
    end
    parts[#parts][2], used = i, used + wide
  end
  if #parts == 0 then parts[1] = { 1, 0 } end
  return parts
end

-- Names that are broken may be so behind underscores and hyphens.
local function name(text)
  return (latex.escape(text):gsub("\\_", "%0\\allowbreak{}"):gsub("{%-}", "%0\\allowbreak{}"))
end

-- How a column is set: names at the left, in lines where they are long; numbers at the right, unless a heading is long.
local function column_of(shown, widths, i)
  if widths[i] == most_of_name and (i <= shown.names or letters_of(shown.heads[i]) > most_of_name) then
    return ("p{%.1fem}"):format(most_of_name * 0.46)
  end
  return i > shown.names and "r" or "l"
end

-- One tabular: the names, and the columns of numbers from `first` to `last`.
local function tabular(shown, widths, first, last)
  local count, columns = math.max(0, last - first + 1), {}
  for i = 1, shown.names do columns[i] = column_of(shown, widths, i) end
  for i = first, last do columns[#columns + 1] = column_of(shown, widths, i) end
  local out = { ("\\begin{tabular}{%s}\n\\toprule\n"):format(table.concat(columns)) }
  if shown.span and count > 0 then
    out[#out + 1] = ("%s\\multicolumn{%d}{c}{%s} \\\\\n\\cmidrule(lr){%d-%d}\n"):format((" & "):rep(shown.names), count,
      latex.escape(shown.span), shown.names + 1, shown.names + count)
  end
  local function add(line, write_number)
    local cells = {}
    for i = 1, shown.names do cells[i] = name((writers.cell(line[i]))) end
    for i = first, last do
      local text, best = writers.cell(line[i])
      text = write_number(text)
      cells[#cells + 1] = best and "\\textbf{" .. text .. "}" or text
    end
    out[#out + 1] = table.concat(cells, " & ") .. " \\\\\n"
  end
  add(shown.heads, name)
  out[#out + 1] = "\\midrule\n"
  local previous
  for _, line in ipairs(shown.lines) do
    if previous and line.group and previous ~= line.group then out[#out + 1] = "\\addlinespace\n" end
    add(line, number)
    previous = line.group
  end
  out[#out + 1] = "\\bottomrule\n\\end{tabular}\n"
  return table.concat(out)
end

--- A table as a float of LaTeX, with caption and label. Where it has more columns than fit a page, parts of it follow
-- one below the other.
-- @tab shown as `table_writers` explains, with `label`
-- @treturn string
function latex.table(shown)
  local out = { "% \\usepackage{booktabs}\n\\begin{table}[tbp]\n\\centering\n\\caption{", latex.escape(shown.caption),
    "}\n\\label{tab:", shown.label, "}\n\\small\n" }
  local widths = widths_of(shown)
  for i, part in ipairs(parts_of(shown, widths)) do
    if i > 1 then out[#out + 1] = "\n\\medskip\n\n" end
    out[#out + 1] = tabular(shown, widths, part[1], part[2])
  end
  out[#out + 1] = "\\end{table}\n"
  return table.concat(out)
end

return latex
