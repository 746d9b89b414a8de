--- The figures: accuracy against pruning rate (the paper's Figs 2-4), training curves.
-- @module secateur.report.figures
local gnuplot = require "secateur.report.gnuplot"
local results = require "secateur.report.results"
local tables = require "secateur.report.table"

local figures = {}

-- Okabe and Ito's palette, told apart with every kind of colour vision; each colour has its own mark as well.
local colours = { "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9" }
local marks = { 7, 9, 5, 13, 11, 15 }

-- Colour, mark and dashes of the i-th curve; the dashes tell the seventh from the first.
local function style(i)
  local round = (i - 1) // #colours
  i = (i - 1) % #colours + 1
  return colours[i], marks[i], round == 0 and "solid" or ("(%d,4)"):format(12 // round)
end

local axes = [[
set border 3 lw 1 lc rgb '#444444'
set tics nomirror out scale 0.6 textcolor rgb '#222222'
set grid ytics lt 1 dt solid lw 0.7 lc rgb '#dddddd'
set xlabel offset 0,0.4
set key noautotitle
]]

-- Two greys, since gnuplot 5.4's SVG changes the dashes of a line only together with its colour.
local unpruned_look = "lw 1.3 dt (8,4) lc rgb '#555555'"
local margin_look = "lw 1.3 dt (2,3) lc rgb '#565656'"

local function number(value)
  return ("%.9g"):format(value)
end

-- Lines `rate mean low high` of one curve, the unpruned accuracy first; low and high one deviation off.
local function curve(rows, baseline)
  local lines = {}
  local rates = rows:distinct "rate"
  if baseline and rates[1] ~= 0 then lines[1] = ("0 %s %s %s"):format(baseline, baseline, baseline) end
  for _, rate in ipairs(rates) do
    local mean, deviation = results.statistics(rows:where { rate = rate }, "accuracy")
    if mean then
      lines[#lines + 1] = table.concat({ number(rate), number(mean), number(mean - deviation),
        number(mean + deviation) }, " ")
    end
  end
  return lines
end

-- What the key shows: {title, look of the line, look of the mark or nil}.
local function key_entries(rows, margin)
  local entries = {}
  for i, method in ipairs(rows:distinct "method") do
    local colour, mark, dashes = style(i)
    entries[i] = { tables.method_name(method), ("lw 2 dt %s lc rgb '%s'"):format(dashes, colour),
      ("point pt %d ps 0.8 lc rgb '%s'"):format(mark, colour) }
  end
  entries[#entries + 1] = { "unpruned", unpruned_look }
  entries[#entries + 1] = { ("−%g points"):format(100 * margin), margin_look }
  return entries
end

local key_line, key_sample, key_letter = 18, 32, 7.2 -- height of a line, length of a sample, width of a letter

-- The key, laid out here in columns below the panels, since gnuplot's own runs over what is beneath when it is long.
-- Gives a function of the figure's height to commands, and how many lines the key takes.
local function key_layout(rows, margin, width)
  local entries, longest = key_entries(rows, margin), 0
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

-- The range of accuracies that all panels of a figure share: tenths around everything drawn, at least 0.2 of them.
local function accuracy_range(rows, margin)
  local low, high = 1, 0
  for _, row in ipairs(rows) do
    low, high = math.min(low, row.accuracy, row.baseline_accuracy - margin), math.max(high, row.accuracy,
      row.baseline_accuracy)
  end
  low, high = math.floor(low * 20 - 0.5) / 20, math.ceil(high * 20 + 0.2) / 20
  if high - low < 0.2 then low = high - 0.2 end
  return math.max(0, low), math.min(1.01, high)
end

-- The commands of one panel, its data added to `data`. `panel`: dataset, model, sampling, title, id.
local function panel_body(rows, panel, data, margin)
  local subset = results.new(rows:where { dataset = panel.dataset, model = panel.model, sampling = panel.sampling })
  local baseline = rows:baseline(panel.dataset, panel.model)
  local bands, lines, plots = {}, {}, {}
  local many = #subset:distinct "seed" > 1
  for i, method in ipairs(rows:distinct "method") do
    local points = curve(results.new(subset:where { method = method }), baseline)
    local colour, mark, dashes = style(i)
    if #points > 0 then
      local name = ("%s_%d"):format(panel.id, i)
      data[name] = points
      if many then
        bands[#bands + 1] = ("$%s using 1:3:4 with filledcurves fc rgb '%s' fs transparent solid 0.15 noborder notitle")
          :format(name, colour)
      end
      lines[#lines + 1] = ("$%s using 1:2 with linespoints lw 2 dt %s lc rgb '%s' pt %d ps 0.8 notitle"):format(name,
        dashes, colour, mark)
    end
  end
  if baseline then
    plots[1] = ("%s with lines %s notitle"):format(number(baseline), unpruned_look)
    plots[2] = ("%s with lines %s notitle"):format(number(baseline - margin), margin_look)
  end
  table.move(bands, 1, #bands, 1, bands)
  table.move(plots, 1, #plots, #bands + 1, bands)
  table.move(lines, 1, #lines, #bands + 1, bands)
  if #bands == 0 then bands[1] = "NaN notitle" end
  return ("set title %s offset 0,-0.4\nplot %s\n"):format(gnuplot.quote(panel.title), table.concat(bands, ", \\\n  "))
end

-- A figure of `columns` panels per row; the key stands once, below.
local function draw_panels(rows, panels, opts)
  local data, count = {}, #panels
  local columns = math.min(opts.columns or count, count)
  local lines = math.ceil(count / columns)
  local low, high = accuracy_range(rows, opts.margin)
  local rates = rows:distinct "rate"
  local top = rates[#rates] or 1
  local left, upper = 72, 30
  local cell_width, cell_height = opts.cell_width or 300, opts.cell_height or 230
  local width = left + columns * cell_width
  local key, key_lines = key_layout(rows, opts.margin, width)
  local gap = lines > 1 and 42 or 0 -- for the title of the panel below
  local bottom = 67 - gap + key_line * key_lines
  local height = bottom + lines * cell_height + upper
  local body = { axes, ("set xrange [0:%s]\nset yrange [%s:%s]\n"):format(number(math.max(top, 0.05) * 1.02),
    number(low), number(high)) }
  body[#body + 1] = "set multiplot\n" .. rate_tics(rows, cell_width) .. key(height)
  for i, panel in ipairs(panels) do
    local column, line = (i - 1) % columns, (i - 1) // columns
    local inner = 22 -- between panels
    panel.id = "p" .. i
    body[#body + 1] = ("set lmargin at screen %s\nset rmargin at screen %s\nset tmargin at screen %s\n"
      .. "set bmargin at screen %s\n"):format(number((left + column * cell_width) / width),
      number((left + (column + 1) * cell_width - inner) / width),
      number(1 - (upper + line * cell_height) / height),
      number(1 - (upper + (line + 1) * cell_height - gap) / height))
    local lowest = line == lines - 1 or i + columns > count
    body[#body + 1] = column == 0 and "set ylabel 'accuracy' offset 0.5,0\nset format y '%.2f'\n"
      or "unset ylabel\nset format y ''\n"
    body[#body + 1] = lowest and "set xlabel 'pruning rate' offset 0,0.35\nset format x '%g'\n"
      or "unset xlabel\nset format x ''\n"
    body[#body + 1] = panel_body(rows, panel, data, opts.margin)
    if i == 1 then body[#body + 1] = "unset label\nunset arrow\n" end
  end
  body[#body + 1] = "unset multiplot\n"
  return gnuplot.draw { folder = opts.folder, name = opts.name, width = width, height = height, data = data,
    body = table.concat(body), program = opts.gnuplot }
end

-- Draws, or adds what went wrong to the message.
local function add(list, entry, good, message)
  if not good then error(message, 0) end
  list[#list + 1] = entry
end

--- Draws accuracy against rate: a figure per dataset and model with a panel per sampling (and each panel by itself),
-- and where there are several, an overview per sampling with a panel per dataset and model. Several seeds: mean and a
-- band of one standard deviation.
-- @tab rows Results
-- @tab opts `folder`, `margin`, `gnuplot`
-- @treturn list of `{kind = "panel"/"pair"/"overview", name=, dataset=, model=, sampling=, title=}`
function figures.accuracy(rows, opts)
  local list, taken = {}, {}
  local samplings, datasets, models = rows:distinct "sampling", rows:distinct "dataset", rows:distinct "model"
  local function draw(kind, about, panels, columns, size)
    local name = gnuplot.slug("accuracy-" .. table.concat(about, "-"), taken)
    add(list, { kind = kind, name = name, title = table.concat(about, " · ") }, draw_panels(rows, panels,
      { folder = opts.folder, name = name, columns = columns, margin = opts.margin, gnuplot = opts.gnuplot,
        cell_width = size and size[1], cell_height = size and size[2] }))
    return list[#list]
  end
  local overview = {}
  for _, dataset in ipairs(datasets) do
    for _, model in ipairs(models) do
      local together = {}
      for i, sampling in ipairs(samplings) do
        together[i] = { dataset = dataset, model = model, sampling = sampling, title = sampling }
        overview[sampling] = overview[sampling] or {}
        table.insert(overview[sampling], { dataset = dataset, model = model, sampling = sampling,
          title = ("%s · %s"):format(dataset, model) })
        local entry = draw("panel", { dataset, model, sampling }, { together[i] }, 1, { 340, 250 })
        entry.dataset, entry.model, entry.sampling = dataset, model, sampling
      end
      if #samplings > 1 then
        local entry = draw("pair", { dataset, model }, together)
        entry.dataset, entry.model = dataset, model
      end
    end
  end
  if #datasets * #models > 1 then
    for _, sampling in ipairs(samplings) do
      draw("overview", { "all", sampling }, overview[sampling], #models, { 260, 200 }).sampling = sampling
    end
  end
  return list
end

local function series(history, key)
  local lines = {}
  for i, entry in ipairs(history) do
    local value = entry[key]
    if type(value) == "number" and value == value and math.abs(value) < math.huge then
      lines[#lines + 1] = ("%s %s"):format(number(entry.epoch or i), number(value))
    end
  end
  return lines
end

--- Draws the curves of a training: loss and accuracy by epoch, of training and validation, the best validation marked.
-- @tab history list of `{epoch=, train_loss=, train_accuracy=, val_loss=, val_accuracy=, lr=}`
-- @tab opts `folder`, `name` (a slug), `title`, `gnuplot`
-- @treturn[1] boolean true
-- @treturn[2] nil
-- @treturn[2] string
function figures.training(history, opts)
  local data, body = {}, { axes, "set multiplot layout 1,2\nset xlabel 'epoch'\n" }
  if opts.title then
    body[2] = ("set multiplot layout 1,2 title %s\nset xlabel 'epoch'\n"):format(gnuplot.quote(opts.title))
  end
  for i, what in ipairs { "loss", "accuracy" } do
    local plots = {}
    for j, part in ipairs { "train", "val" } do
      local name, lines = part .. "_" .. what, series(history, part .. "_" .. what)
      if #lines > 0 then
        data[name] = lines
        local colour, mark = style(j)
        plots[#plots + 1] = ("$%s using 1:2 with linespoints lw 2 lc rgb '%s' pt %d ps 0.6 title '%s'"):format(name,
          colour, mark, part == "val" and "validation" or "training")
      end
    end
    body[#body + 1] = ("set ylabel '%s' offset 1,0\nset key %s right\nset yrange [%s]\nset xrange [%s]\n"):format(what,
      i == 1 and "top" or "bottom", i == 1 and "0:*" or "*:1.005", #history > 1 and "*:*" or "0:2")
    body[#body + 1] = "plot " .. (#plots > 0 and table.concat(plots, ", \\\n  ") or "NaN notitle") .. "\n"
  end
  body[#body + 1] = "unset multiplot\n"
  return gnuplot.draw { folder = opts.folder, name = opts.name, width = 760, height = 300, data = data,
    body = table.concat(body), program = opts.gnuplot }
end

return figures
