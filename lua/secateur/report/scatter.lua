--- Points in a plane, in panels that share their axes: where samples lie, and which of them were chosen.
-- @module secateur.report.scatter
local decimal = require "secateur.util.decimal"
local errors = require "secateur.util.errors"
local gnuplot = require "secateur.report.gnuplot"
local line_plots = require "secateur.report.line_plots"
local options = require "secateur.util.options"
local tensors = require "secateur.util.tensors"

local scatter = {}

local number = line_plots.number

-- Of all panels together, in points of the picture.
local cell, left, upper, lower, key_line = 230, 46, 30, 44, 20

local GREY = "#bdbdbd"

local function is_point(point)
  return type(point) == "table" and #point == 2 and math.type(point[1]) and math.type(point[2])
    and math.abs(point[1]) < math.huge and math.abs(point[2]) < math.huge
end

-- A list of {x, y}, from one or from a Tensor [n x 2].
local function read_points(name, argument, given)
  if tensors.is(given) then
    local shape = given:shape()
    if #shape ~= 2 or shape[2] ~= 2 then
      errors.refuse(name, "%s: expected a Tensor [n x 2], got [%s]", argument, table.concat(shape, "x"))
    end
    given = given:totable()
  end
  if type(given) ~= "table" then
    errors.refuse(name, "%s: expected a list of points { x, y } or a Tensor [n x 2], got %s", argument,
      options.describe(given))
  end
  for i, point in ipairs(given) do
    if not is_point(point) then
      errors.refuse(name, "%s[%d]: expected a point { x, y } of finite numbers, got %s", argument, i,
        options.show(point))
    end
  end
  return given
end

local function read_series(name, place, given)
  local series = options.check(("%s: %s"):format(name, place), given, { name = { type = "string", required = true },
    points = { required = true } })
  return { name = series.name, points = read_points(name, place .. ".points", series.points) }
end

--- Reads what a user gave as panels.
-- @string name the public function
-- @tab given list of `{ title =, series = { { name =, points = }, ... }, background = points }`
-- @param background points of all panels that have none of their own; nil for none
-- @treturn {table,...} the same, points as lists of {x, y}
function scatter.read(name, given, background)
  if type(given) ~= "table" or #given == 0 then
    errors.refuse(name, "panels: expected a list of at least one panel, got " .. options.describe(given))
  end
  background = background ~= nil and read_points(name, "background", background) or {}
  local panels = {}
  for i, panel in ipairs(given) do
    local place = ("panels[%d]"):format(i)
    local checked = options.check(("%s: %s"):format(name, place), panel, { title = { type = "string", default = "" },
      series = { type = "list", default = {} }, background = {} })
    local series = {}
    for j, each in ipairs(checked.series) do series[j] = read_series(name, ("%s.series[%d]"):format(place, j), each) end
    panels[i] = { title = checked.title, series = series, background = checked.background ~= nil
      and read_points(name, place .. ".background", checked.background) or background }
  end
  return panels
end

-- The names of series in the order in which they turn up: what colours and marks go by.
local function names_of(panels)
  local names, place = {}, {}
  for _, panel in ipairs(panels) do
    for _, series in ipairs(panel.series) do
      if not place[series.name] then names[#names + 1], place[series.name] = series.name, #names + 1 end
    end
  end
  return names, place
end

-- The same range for all panels, a little wider than the points.
local function ranges(panels)
  local low, high = { math.huge, math.huge }, { -math.huge, -math.huge }
  local function widen(points)
    for _, point in ipairs(points) do
      for d = 1, 2 do low[d], high[d] = math.min(low[d], point[d]), math.max(high[d], point[d]) end
    end
  end
  for _, panel in ipairs(panels) do
    widen(panel.background)
    for _, series in ipairs(panel.series) do widen(series.points) end
  end
  local body = {}
  for d, axis in ipairs { "x", "y" } do
    if low[d] > high[d] then low[d], high[d] = 0, 1 end
    local room = high[d] > low[d] and 0.06 * (high[d] - low[d]) or 0.5
    body[d] = ("set %srange [%s:%s]\n"):format(axis, number(low[d] - room), number(high[d] + room))
  end
  return table.concat(body)
end

local function lines_of(points)
  local lines = {}
  for i, point in ipairs(points) do lines[i] = number(point[1]) .. " " .. number(point[2]) end
  return lines
end

local function mark(i, size)
  local colour, point = line_plots.style(i)
  return ("pt %d ps %s lc rgb '%s'"):format(point, decimal("%.2g", size), colour)
end

-- The commands of one panel, its data added to `data`.
local function panel_body(panel, id, place, data)
  local plots = {}
  local function add(points, name, look)
    if #points == 0 then return end
    data[name] = lines_of(points)
    plots[#plots + 1] = ("$%s using 1:2 with points %s notitle"):format(name, look)
  end
  add(panel.background, id .. "_0", ("pt 7 ps 0.35 lc rgb '%s'"):format(GREY))
  for i, series in ipairs(panel.series) do
    add(series.points, ("%s_%d"):format(id, i), mark(place[series.name], 0.9))
  end
  if #plots == 0 then plots[1] = "NaN notitle" end
  return ("set title %s offset 0,-0.4\nplot %s\n"):format(gnuplot.quote(panel.title), table.concat(plots, ", \\\n  "))
end

-- What the key shows, and below which lines: names with their marks, in rows as wide as the picture.
local function key_of(names, background, width)
  local entries, longest = {}, 0
  for i, name in ipairs(names) do entries[i] = { name, mark(i, 0.9) } end
  if background then entries[#entries + 1] = { background, ("pt 7 ps 0.5 lc rgb '%s'"):format(GREY) } end
  for _, entry in ipairs(entries) do longest = math.max(longest, utf8.len(entry[1]) or #entry[1]) end
  local step = 22 + longest * 7.2 + 14
  local columns = math.max(1, math.min(#entries, (width - 16) // step))
  local rows = math.ceil(#entries / columns)
  local start = math.max(12, (width - math.min(columns, #entries) * step) / 2)
  return rows, function(height)
    local body = {}
    for i, entry in ipairs(entries) do
      local x, y = start + (i - 1) % columns * step, 14 + (rows - 1 - (i - 1) // columns) * key_line
      body[i] = ("set label %d '' at screen %s,%s point %s\nset label %d %s at screen %s,%s left\n"):format(i,
        number(x / width), number(y / height), entry[2], #entries + i, gnuplot.quote(entry[1]),
        number((x + 12) / width), number(y / height))
    end
    return table.concat(body)
  end
end

--- Draws the panels side by side, with one key below.
-- @tab panels as `scatter.read` gives them
-- @tab opts `folder`, `name` (a slug), `columns` (3), `background_name` ("all"), `x_label`, `y_label`,
-- `gnuplot`, `pdf`
-- @treturn[1] boolean true
-- @treturn[2] nil
-- @treturn[2] string
function scatter.draw(panels, opts)
  local columns, data = math.min(opts.columns or 3, #panels), {}
  local rows = math.ceil(#panels / columns)
  local names, place = names_of(panels)
  local grey = false
  for _, panel in ipairs(panels) do grey = grey or #panel.background > 0 end
  local width = left + columns * cell
  local key_rows, key = key_of(names, grey and (opts.background_name or "all"), width)
  local bottom = 16 + key_line * key_rows
  local height = bottom + rows * (cell + lower)
  local body = { line_plots.axes, "unset grid\nset format x ''\nset format y ''\n", ranges(panels),
    "set multiplot\n", key(height) }
  for i, panel in ipairs(panels) do
    local column, row = (i - 1) % columns, (i - 1) // columns
    local top = rows * (cell + lower) - row * (cell + lower) - upper + bottom
    body[#body + 1] = ("set lmargin at screen %s\nset rmargin at screen %s\nset tmargin at screen %s\n"
      .. "set bmargin at screen %s\n"):format(number((left + column * cell) / width),
      number((left + (column + 1) * cell - 20) / width), number(top / height),
      number((top - cell + lower / 2) / height))
    body[#body + 1] = (row == rows - 1 or i + columns > #panels) and opts.x_label
      and ("set xlabel %s offset 0,0.8\n"):format(gnuplot.quote(opts.x_label)) or "unset xlabel\n"
    body[#body + 1] = column == 0 and opts.y_label
      and ("set ylabel %s offset 1.2,0\n"):format(gnuplot.quote(opts.y_label)) or "unset ylabel\n"
    body[#body + 1] = panel_body(panel, "p" .. i, place, data)
    if i == 1 then body[#body + 1] = "unset label\n" end
  end
  body[#body + 1] = "unset multiplot\n"
  return gnuplot.draw { folder = opts.folder, name = opts.name, width = width, height = height, data = data,
    body = table.concat(body), program = opts.gnuplot, pdf = opts.pdf }
end

return scatter
