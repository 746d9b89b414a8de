--- Curves of a column of the rows against pruning rate, or against another column, a curve per way of scoring, in
-- panels side by side with one key.
-- @module secateur.report.line_plots
local curve_points = require "secateur.report.curve_points"
local decimal = require "secateur.util.decimal"
local gnuplot = require "secateur.report.gnuplot"
local names = require "secateur.report.names"
local results = require "secateur.results"
local text_width = require "secateur.report.text_width"

local line_plots = {}

-- Okabe and Ito's palette, told apart with every kind of colour vision. Each curve has its own mark and dashes as well,
-- for print in black and white; from the seventh on the marks are open, then thin.
local colours = { "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9" }
local marks = { { 7, 9, 5, 13, 11, 15 }, { 6, 8, 4, 12, 10, 14 }, { 1, 2, 3 } }
local dashes = { "solid", "(14,4)", "(3,3)", "(12,4,3,4)", "(7,4)", "(14,3,3,3,3,3)", "(20,6)" }

--- Colour, mark and dashes of the i-th curve; together they differ for more than 42 curves.
-- @int i
-- @treturn string colour
-- @treturn int mark
-- @treturn string dashes
function line_plots.style(i)
  local round = marks[math.min(#marks, (i - 1) // #colours + 1)]
  return colours[(i - 1) % #colours + 1], round[(i - 1) % #round + 1], dashes[(i - 1) % #dashes + 1]
end

--- The look of axes, as commands.
line_plots.axes = [[
set border 3 lw 1 lc rgb '#444444'
set tics nomirror out scale 0.6 textcolor rgb '#222222'
set grid ytics lt 1 dt solid lw 0.7 lc rgb '#dddddd'
set xlabel offset 0,0.4
set key noautotitle
]]

--- A number as scripts and data have it.
-- @number value
-- @treturn string
function line_plots.number(value) return decimal("%.9g", value) end
local number = line_plots.number

-- Height of a line of the key, length of a sample, size of the letters, room above the notes.
local key_line, key_sample, letter, note_gap = 18, 44, 13, 6

-- What has a curve of its own where a figure does not say: each way of scoring.
local function scorings_of(rows)
  local list = {}
  for i, scoring in ipairs(rows:combinations { "method", "redundancy" }) do
    list[i] = { where = scoring, title = names.scoring(scoring) }
  end
  return list
end

-- What the key shows: the curves, then `more`; each {title, look of the line, look of the mark or nil}.
local function key_entries(curves, more, room)
  local entries = {}
  for i, each in ipairs(curves) do
    local colour, mark, dash = line_plots.style(i)
    entries[i] = { each.title, ("lw 2 dt %s lc rgb '%s'"):format(dash, colour),
      ("point pt %d ps 0.8 lc rgb '%s'"):format(mark, colour) }
  end
  table.move(more, 1, #more, #entries + 1, entries)
  for i, entry in ipairs(entries) do
    entries[i] = { text_width.elide(entry[1], room, letter), entry[2], entry[3] }
  end
  return entries
end

-- The key, laid out here in columns below the panels, since gnuplot's own runs over what is beneath when it is long;
-- below it `notes`, lines of text. Gives a function of the figure's height to commands, and how many lines both take.
local function key_layout(curves, more, notes, width)
  local entries, longest = key_entries(curves, more, width - key_sample - 24), 0
  for _, entry in ipairs(entries) do longest = math.max(longest, text_width.width(entry[1], letter)) end
  local cell = key_sample + 8 + longest + 18
  local columns = math.max(1, math.min(#entries, (width - 16) // cell))
  local lines = math.ceil(#entries / columns)
  columns = math.ceil(#entries / lines)
  local left = math.max(8, (width - columns * cell + 18) / 2)
  return function(height)
    local body, below = {}, #notes > 0 and #notes * key_line + note_gap or 0
    for i, entry in ipairs(entries) do
      local x, y = left + (i - 1) // lines * cell, 13 + below + (lines - 1 - (i - 1) % lines) * key_line
      local function at(dx) return ("screen %s,%s"):format(number((x + dx) / width), number(y / height)) end
      body[#body + 1] = ("set arrow %d from %s to %s nohead %s\n"):format(i, at(0), at(key_sample), entry[2])
      if entry[3] then body[#body + 1] = ("set label %d '' at %s %s\n"):format(i, at(key_sample / 2), entry[3]) end
      body[#body + 1] = ("set label %d %s at %s left\n"):format(#entries + i, gnuplot.quote(entry[1]),
        at(key_sample + 8))
    end
    for i, note in ipairs(notes) do
      body[#body + 1] = ("set label %d %s at screen 0.5,%s center textcolor rgb '#222222'\n"):format(2 * #entries + i,
        gnuplot.quote(note), number((13 + (#notes - i) * key_line) / height))
    end
    return table.concat(body)
  end, lines + #notes
end

-- A mark at each rate that was run, unless that would crowd the axis.
local function rate_tics(rows, width)
  local rates = rows:distinct "rate"
  if rates[1] ~= 0 then table.insert(rates, 1, 0) end
  for i = 2, #rates do
    if (rates[i] - rates[i - 1]) / rates[#rates] * width < 32 then return "set xtics autofreq\n" end
  end
  for i, rate in ipairs(rates) do rates[i] = number(rate) end
  return ("set xtics (%s)\n"):format(table.concat(rates, ", "))
end

-- The commands of one panel, its data added to `data`, what its bands are to `spreads`.
local function panel_body(rows, panel, opts, data, spreads)
  local subset = results.new(rows:where(panel.where))
  local bands, lines, plots = {}, {}, {}
  for i, each in ipairs(opts.curves) do
    local points, spread = curve_points.of(results.new(subset:where(each.where)), panel, opts.band, spreads)
    local colour, mark, dash = line_plots.style(i)
    if #points > 0 then
      local name = ("%s_%d"):format(panel.id, i)
      data[name] = points
      if spread and not panel.bars then
        bands[#bands + 1] = ("$%s using 1:3:4 with filledcurves fc rgb '%s' fs transparent solid 0.15 noborder notitle")
          :format(name, colour)
      end
      if spread and panel.bars then
        bands[#bands + 1] = ("$%s using 1:2:3:4 with yerrorbars lw 1 lc rgb '%s' pt -1 notitle"):format(name, colour)
      end
      lines[#lines + 1] = ("$%s using 1:2 with linespoints lw 2 dt %s lc rgb '%s' pt %d ps 0.8 notitle"):format(name,
        dash, colour, mark)
    end
  end
  for i, level in ipairs(panel.levels or {}) do
    plots[i] = ("%s with lines %s notitle"):format(number(level[1]), level[2])
  end
  table.move(plots, 1, #plots, #bands + 1, bands)
  table.move(lines, 1, #lines, #bands + 1, bands)
  if #bands == 0 then bands[1] = "NaN notitle" end
  return ("set title %s offset 0,-0.4\nplot %s\n"):format(gnuplot.quote(text_width.elide(panel.title,
    opts.cell_width - 10, letter)), table.concat(bands, ", \\\n  "))
end

local left, upper, inner = 72, 30, 22 -- of all panels, above each row of them, between two

-- Where the i-th panel stands, and its axes.
local function panel_place(i, count, layout, opts)
  local column, line = (i - 1) % layout.columns, (i - 1) // layout.columns
  local lowest = line == layout.lines - 1 or i + layout.columns > count
  return ("set lmargin at screen %s\nset rmargin at screen %s\nset tmargin at screen %s\n"
    .. "set bmargin at screen %s\n"):format(number((left + column * opts.cell_width) / layout.width),
    number((left + (column + 1) * opts.cell_width - inner) / layout.width),
    number(1 - (upper + line * opts.cell_height) / layout.height),
    number(1 - (upper + (line + 1) * opts.cell_height - layout.gap) / layout.height))
    .. (column == 0 and ("set ylabel %s offset 0.5,0\nset format y '%s'\n"):format(gnuplot.quote(opts.label),
      opts.high - opts.low < 0.1 and "%.3f" or "%.2f") or "unset ylabel\nset format y ''\n")
    .. (lowest and ("set xlabel %s offset 0,0.35\nset format x '%%g'\n"):format(
      gnuplot.quote(opts.x_label or "pruning rate")) or "unset xlabel\nset format x ''\n")
end

--- Draws a figure of panels; all share the axes, and the key stands once, below, with what the bands are. Several rows
-- at one rate of a curve (seeds, or samplings where a panel does not choose one): mean and a band. A single one, of
-- accuracy: the bootstrap interval of its drop, where it has one.
-- @tab rows Results
-- @tab list of panels: `where` (columns and the values that choose its rows), `column` (what is drawn), `title`,
--   `start` (the value at rate 0 where no row has that), `levels` (level lines: {value, look}), `against` (the column
--   along the horizontal axis; the rate by default), `bars` (bars instead of bands, where that axis may go to and fro)
-- @tab opts `folder`, `name` (a slug), `label` (of the vertical axis), `low`, `high` (its range), `curves` (a list of
--   `{where=, title=}`; by default one per way of scoring), `band` ("deviation", "interval" or "range", see
--   `curve_points`), `key` (entries after the curves: {title, look}), `columns` (panels per row), `cell_width`,
--   `cell_height`, `gnuplot`, `pdf` (whether to draw that as well); where panels are drawn against a column: `x_label`,
--   `x_high` (its axis goes from 0 to that)
-- @treturn[1] boolean true
-- @treturn[2] nil
-- @treturn[2] string
function line_plots.draw(rows, list, given)
  local opts = setmetatable({ curves = given.curves or scorings_of(rows), cell_width = given.cell_width or 300,
    cell_height = given.cell_height or 230 }, { __index = given })
  local data, count, spreads, panels = {}, #list, {}, {}
  for i, panel in ipairs(list) do
    panel.id = "p" .. i
    panels[i] = panel_body(rows, panel, opts, data, spreads)
  end
  local columns = math.min(opts.columns or count, count)
  local layout = { columns = columns, lines = math.ceil(count / columns), width = left + columns * opts.cell_width }
  local said = curve_points.describe(spreads, list[1].bars and "bars" or "band", opts.band)
  local notes = said and text_width.wrap(said, layout.width - 16, letter) or {}
  local key, key_lines = key_layout(opts.curves, opts.key or {}, notes, layout.width)
  layout.gap = layout.lines > 1 and 42 or 0 -- for the title of the panel below
  layout.height = 67 - layout.gap + key_line * key_lines + note_gap + layout.lines * opts.cell_height + upper
  local rates = rows:distinct "rate"
  local body = { line_plots.axes, ("set xrange [0:%s]\nset yrange [%s:%s]\n"):format(
    number(opts.x_high or math.max(rates[#rates] or 1, 0.05) * 1.02), number(opts.low), number(opts.high)),
    "set multiplot\n", opts.x_high and "set xtics autofreq\n" or rate_tics(rows, opts.cell_width),
    key(layout.height) }
  for i in ipairs(list) do
    body[#body + 1] = panel_place(i, count, layout, opts) .. panels[i]
    if i == 1 then body[#body + 1] = "unset label\nunset arrow\n" end
  end
  body[#body + 1] = "unset multiplot\n"
  return gnuplot.draw { folder = opts.folder, name = opts.name, width = layout.width, height = layout.height,
    data = data, body = table.concat(body), program = opts.gnuplot, pdf = opts.pdf }
end

return line_plots
