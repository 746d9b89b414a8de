--- Curves of a column of the rows against pruning rate, or against another column, a curve per way of scoring, in
-- panels side by side with one key.
-- @module secateur.report.line_plots
local decimal = require "secateur.util.decimal"
local gnuplot = require "secateur.report.gnuplot"
local results = require "secateur.results"
local tables = require "secateur.report.tables"

local line_plots = {}

-- Okabe and Ito's palette, told apart with every kind of colour vision; each colour has its own mark as well.
local colours = { "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9" }
local marks = { 7, 9, 5, 13, 11, 15 }

--- Colour, mark and dashes of the i-th curve; the dashes tell the seventh from the first.
-- @int i
-- @treturn string colour
-- @treturn int mark
-- @treturn string dashes
function line_plots.style(i)
  local round = (i - 1) // #colours
  i = (i - 1) % #colours + 1
  return colours[i], marks[i], round == 0 and "solid" or ("(%d,4)"):format(12 // round)
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

-- What has a curve of its own.
local scorings = { "method", "redundancy" }

-- How far the rows at one rate reach around their mean: a standard deviation where there are several (seeds,
-- samplings), else the paired bootstrap interval of the drop, where it is accuracy that is drawn and the row has one.
local function interval(found, column, mean, deviation)
  local row = found[1]
  if #found == 1 and column == "accuracy" and row.drop_low then
    return row.baseline_accuracy - row.drop_high, row.baseline_accuracy - row.drop_low
  end
  return mean - deviation, mean + deviation
end

-- Lines `x mean low high` of one curve, a line per rate, and whether there is something between low and high. x is
-- the rate, or the mean of the panel's column `against`; at rate 0 what the curve starts from.
local function curve(rows, panel)
  local lines, spread = {}, false
  local rates = rows:distinct "rate"
  for _, rate in ipairs(rates) do
    local found = rows:where { rate = rate }
    local mean, deviation = results.statistics(found, panel.column)
    local x = rate
    if panel.against then x = results.statistics(found, panel.against) end
    if mean and x then
      local low, high = interval(found, panel.column, mean, deviation)
      lines[#lines + 1] = table.concat({ number(x), number(mean), number(low), number(high) }, " ")
      spread = spread or #found > 1 or high > low
    end
  end
  if #lines > 0 and panel.start and rates[1] ~= 0 then
    local start = decimal("%.14g", panel.start)
    table.insert(lines, 1, ("%d %s %s %s"):format(panel.against and 1 or 0, start, start, start))
  end
  return lines, spread
end

-- What the key shows: the ways of scoring, then `more`; each {title, look of the line, look of the mark or nil}.
local function key_entries(rows, more)
  local entries = {}
  for i, scoring in ipairs(rows:combinations(scorings)) do
    local colour, mark, dashes = line_plots.style(i)
    entries[i] = { tables.scoring_name(scoring), ("lw 2 dt %s lc rgb '%s'"):format(dashes, colour),
      ("point pt %d ps 0.8 lc rgb '%s'"):format(mark, colour) }
  end
  return table.move(more, 1, #more, #entries + 1, entries)
end

local key_line, key_sample, key_letter = 18, 32, 7.2 -- height of a line, length of a sample, width of a letter

-- The key, laid out here in columns below the panels, since gnuplot's own runs over what is beneath when it is long.
-- Gives a function of the figure's height to commands, and how many lines the key takes.
local function key_layout(rows, more, width)
  local entries, longest = key_entries(rows, more), 0
  for _, entry in ipairs(entries) do longest = math.max(longest, utf8.len(entry[1]) or #entry[1]) end
  local cell = key_sample + 8 + longest * key_letter + 18
  local columns = math.max(1, math.min(#entries, (width - 16) // cell))
  local lines = math.ceil(#entries / columns)
  columns = math.ceil(#entries / lines)
  local left = math.max(8, (width - columns * cell + 18) / 2)
  return function(height)
    local body = {}
    for i, entry in ipairs(entries) do
      local x, y = left + (i - 1) // lines * cell, 13 + (lines - 1 - (i - 1) % lines) * key_line
      local function at(dx) return ("screen %s,%s"):format(number((x + dx) / width), number(y / height)) end
      body[#body + 1] = ("set arrow %d from %s to %s nohead %s\n"):format(i, at(0), at(key_sample), entry[2])
      if entry[3] then body[#body + 1] = ("set label %d '' at %s %s\n"):format(i, at(key_sample / 2), entry[3]) end
      body[#body + 1] = ("set label %d %s at %s left\n"):format(#entries + i, gnuplot.quote(entry[1]),
        at(key_sample + 8))
    end
    return table.concat(body)
  end, lines
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

-- The commands of one panel, its data added to `data`.
local function panel_body(rows, panel, data)
  local subset = results.new(rows:where(panel.where))
  local bands, lines, plots = {}, {}, {}
  for i, scoring in ipairs(rows:combinations(scorings)) do
    local points, spread = curve(results.new(subset:where(scoring)), panel)
    local colour, mark, dashes = line_plots.style(i)
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
        dashes, colour, mark)
    end
  end
  for i, level in ipairs(panel.levels or {}) do
    plots[i] = ("%s with lines %s notitle"):format(number(level[1]), level[2])
  end
  table.move(plots, 1, #plots, #bands + 1, bands)
  table.move(lines, 1, #lines, #bands + 1, bands)
  if #bands == 0 then bands[1] = "NaN notitle" end
  return ("set title %s offset 0,-0.4\nplot %s\n"):format(gnuplot.quote(panel.title), table.concat(bands, ", \\\n  "))
end

--- Draws a figure of panels; all share the axes, and the key stands once, below. Several rows at one rate of a curve
-- (seeds, or samplings where a panel does not choose one): mean and a band of one standard deviation. A single one, of
-- accuracy: the bootstrap interval of its drop, where it has one.
-- @tab rows Results
-- @tab list of panels: `where` (columns and the values that choose its rows), `column` (what is drawn), `title`,
--   `start` (the value at rate 0 where no row has that), `levels` (level lines: {value, look}), `against` (the column
--   along the horizontal axis; the rate by default), `bars` (bars instead of bands, where that axis may go to and fro)
-- @tab opts `folder`, `name` (a slug), `label` (of the vertical axis), `low`, `high` (its range), `key` (entries after
--   the methods: {title, look}), `columns` (panels per row), `cell_width`, `cell_height`, `gnuplot`; where panels are
--   drawn against a column: `x_label`, `x_high` (its axis goes from 0 to that)
-- @treturn[1] boolean true
-- @treturn[2] nil
-- @treturn[2] string
function line_plots.draw(rows, list, opts)
  local data, count = {}, #list
  local columns = math.min(opts.columns or count, count)
  local lines = math.ceil(count / columns)
  local rates = rows:distinct "rate"
  local top = rates[#rates] or 1
  local left, upper = 72, 30
  local cell_width, cell_height = opts.cell_width or 300, opts.cell_height or 230
  local width = left + columns * cell_width
  local key, key_lines = key_layout(rows, opts.key or {}, width)
  local gap = lines > 1 and 42 or 0 -- for the title of the panel below
  local bottom = 67 - gap + key_line * key_lines
  local height = bottom + lines * cell_height + upper
  local body = { line_plots.axes, ("set xrange [0:%s]\nset yrange [%s:%s]\n"):format(
    number(opts.x_high or math.max(top, 0.05) * 1.02), number(opts.low), number(opts.high)) }
  body[#body + 1] = "set multiplot\n" .. (opts.x_high and "set xtics autofreq\n" or rate_tics(rows, cell_width))
    .. key(height)
  for i, panel in ipairs(list) do
    local column, line = (i - 1) % columns, (i - 1) // columns
    local inner = 22 -- between panels
    panel.id = "p" .. i
    body[#body + 1] = ("set lmargin at screen %s\nset rmargin at screen %s\nset tmargin at screen %s\n"
      .. "set bmargin at screen %s\n"):format(number((left + column * cell_width) / width),
      number((left + (column + 1) * cell_width - inner) / width),
      number(1 - (upper + line * cell_height) / height),
      number(1 - (upper + (line + 1) * cell_height - gap) / height))
    local lowest = line == lines - 1 or i + columns > count
    body[#body + 1] = column == 0 and ("set ylabel %s offset 0.5,0\nset format y '%%.2f'\n"):format(
      gnuplot.quote(opts.label)) or "unset ylabel\nset format y ''\n"
    body[#body + 1] = lowest and ("set xlabel %s offset 0,0.35\nset format x '%%g'\n"):format(
      gnuplot.quote(opts.x_label or "pruning rate")) or "unset xlabel\nset format x ''\n"
    body[#body + 1] = panel_body(rows, panel, data)
    if i == 1 then body[#body + 1] = "unset label\nunset arrow\n" end
  end
  body[#body + 1] = "unset multiplot\n"
  return gnuplot.draw { folder = opts.folder, name = opts.name, width = width, height = height, data = data,
    body = table.concat(body), program = opts.gnuplot }
end

return line_plots
