--- The figures: a metric against pruning rate (the paper's Figs 2-4) and against what pruned models cost, agreement of
-- decisions and of explanations, training curves.
-- @module secateur.report.figures
local errors = require "secateur.util.errors"
local gnuplot = require "secateur.report.gnuplot"
local line_plots = require "secateur.report.line_plots"
local names = require "secateur.report.names"

local number = line_plots.number

local figures = {}

-- Two greys, since gnuplot 5.4's SVG changes the dashes of a line only together with its colour.
local unpruned_look = "lw 1.3 dt (8,4) lc rgb '#555555'"
local margin_look = "lw 1.3 dt (2,3) lc rgb '#565656'"

-- The lowest and the highest value drawn: of the rows, of the unpruned models, and the margin from these.
local function extent(rows, metric, margin)
  local low, high = math.huge, -math.huge
  local function include(value)
    if value then low, high = math.min(low, value), math.max(high, value) end
  end
  for _, row in ipairs(rows) do
    local baseline = metric:baseline(row)
    include(metric:value(row))
    include(baseline)
    if baseline then include(baseline + (metric.lower and margin or -margin)) end
  end
  if low > high then return 0, 1 end
  return low, high
end

-- The range of values that all panels of a figure share, around everything drawn: in twentieths, at least four of them;
-- of what had better be small, from 0.
local function value_range(rows, metric, margin)
  local low, high = extent(rows, metric, margin)
  if metric.lower then return 0, math.max(high * 1.06, 0.02) end
  local negative = low < 0
  low, high = math.floor(low * 20 - 0.5) / 20, math.ceil(high * 20 + 0.2) / 20
  if high - low < 0.2 then low = high - 0.2 end
  return negative and low or math.max(0, low), math.min(1.01, high)
end

-- Draws, or adds what went wrong to the message.
local function add(list, entry, good, message)
  errors.check(good, message)
  list[#list + 1] = entry
end

-- What the unpruned model of a panel has; nil where that is not known.
local function baseline_of(rows, metric, where)
  for _, row in ipairs(rows:where { dataset = where.dataset, model = where.model }) do
    local value = metric:baseline(row)
    if value then return value end
  end
end

-- A panel of a metric, the unpruned model's and the margin from it as level lines.
local function metric_panel(rows, metric, margin, where, title)
  local baseline = baseline_of(rows, metric, where)
  return { where = where, column = metric.column, title = title, start = baseline,
    levels = baseline and { { baseline, unpruned_look },
      { metric.lower and baseline + margin or baseline - margin, margin_look } } }
end

-- What the key says of the level lines.
local function level_key(metric, margin)
  return { { "unpruned", unpruned_look }, { ("%s%s"):format(metric.lower and "+" or "−", metric.lower and
    ("%g"):format(margin) or ("%g points"):format(100 * margin)), margin_look } }
end

-- The values of an axis that have a panel each: a list of {value, title}; one without a title where none varies.
local function repairs_of(rows)
  local list = {}
  for i, repair in ipairs(rows:distinct "repair") do
    local name = repair == "none" and "not repaired" or "repair: " .. names.repair(repair)
    list[i] = { repair, rows:varies "repair" and name or nil }
  end
  return list
end

local function join(...)
  local parts = {}
  for _, part in ipairs { ... } do
    if part ~= "" then parts[#parts + 1] = part end
  end
  return table.concat(parts, " · ")
end

-- How many panels stand side by side, at most four, and in all rows about as many.
local function columns_for(count) return math.ceil(count / math.ceil(count / 4)) end

-- What draws figures of one metric, and adds them to a list.
local function drawer(rows, opts, list)
  local metric, taken = opts.metric, opts.taken or {}
  local low, high = value_range(rows, metric, opts.margin)
  return function(entry, stem, about, panels, look)
    look = look or {}
    entry.name, entry.title = gnuplot.slug(stem .. "-" .. table.concat(about, "-"), taken), table.concat(about, " · ")
    add(list, entry, line_plots.draw(rows, panels, { folder = opts.folder, name = entry.name, label = metric.title,
      low = low, high = high, key = level_key(metric, opts.margin), columns = look.columns, curves = look.curves,
      band = opts.band, pdf = opts.pdf, gnuplot = opts.gnuplot, cell_width = look.width, cell_height = look.height }))
  end
end

-- A panel by itself for each sampling and repair, and all together.
local function draw_pair(rows, opts, draw, dataset, model, overviews)
  local metric, together = opts.metric, {}
  local samplings, repairs = rows:distinct "sampling", repairs_of(rows)
  for s, sampling in ipairs(samplings) do
    for r, repair in ipairs(repairs) do
      local where = { dataset = dataset, model = model, sampling = sampling, repair = repair[1] }
      local panel = metric_panel(rows, metric, opts.margin, where, join(sampling, repair[2] or ""))
      together[#together + 1] = panel
      local overview = overviews[(s - 1) * #repairs + r] or { sampling = sampling, repair = repair }
      overviews[(s - 1) * #repairs + r] = overview
      table.insert(overview, metric_panel(rows, metric, opts.margin, where, ("%s · %s"):format(dataset, model)))
      draw({ kind = "panel", dataset = dataset, model = model, sampling = sampling, repair = repair[2] }, metric.name,
        { dataset, model, sampling, repair[2] and repair[1] }, { panel }, { columns = 1, width = 340, height = 250 })
    end
  end
  if #together > 1 then
    draw({ kind = "pair", dataset = dataset, model = model }, metric.name, { dataset, model }, together,
      { columns = #repairs > 1 and #repairs or columns_for(#together) })
  end
end

-- The samplings side by side: a panel per way of scoring and repair, a curve per sampling.
local function draw_samplings(rows, opts, draw, dataset, model)
  local panels, curves = {}, {}
  for i, sampling in ipairs(rows:distinct "sampling") do
    curves[i] = { where = { sampling = sampling }, title = sampling }
  end
  if #curves < 2 then return end
  local scorings, repairs = rows:combinations { "method", "redundancy" }, repairs_of(rows)
  for _, scoring in ipairs(scorings) do
    for _, repair in ipairs(repairs) do
      panels[#panels + 1] = metric_panel(rows, opts.metric, opts.margin, { dataset = dataset, model = model,
        method = scoring.method, redundancy = scoring.redundancy, repair = repair[1] },
        join(names.scoring(scoring), repair[2] or ""))
    end
  end
  draw({ kind = "samplings", dataset = dataset, model = model }, "samplings-" .. opts.metric.name, { dataset, model },
    panels, { curves = curves, columns = #repairs > 1 and #repairs or columns_for(#panels),
      width = #panels == 1 and 440 or nil, height = #panels == 1 and 300 or nil })
end

--- Draws a metric against rate: a figure per dataset and model with a panel per sampling and repair (and each panel by
-- itself), where there are several samplings one with a curve per sampling, and where there are several datasets or
-- models, an overview per sampling and repair with a panel for each.
-- @tab rows Results
-- @tab opts `metric` (a value of `metrics.of`), `folder`, `margin`, `gnuplot`, `band`, `pdf`
-- @treturn list of `{kind = "panel"/"pair"/"samplings"/"overview", name=, dataset=, model=, sampling=, repair=,
-- title=}`
function figures.metric(rows, opts)
  local list, overviews = {}, {}
  local draw = drawer(rows, opts, list)
  local datasets, models = rows:distinct "dataset", rows:distinct "model"
  for _, dataset in ipairs(datasets) do
    for _, model in ipairs(models) do
      draw_pair(rows, opts, draw, dataset, model, overviews)
      draw_samplings(rows, opts, draw, dataset, model)
    end
  end
  if #datasets * #models > 1 then
    for _, overview in ipairs(overviews) do
      draw({ kind = "overview", sampling = overview.sampling, repair = overview.repair[2] }, opts.metric.name,
        { "all", overview.sampling, overview.repair[2] and overview.repair[1] }, overview,
        { columns = math.min(#models, 6), width = 260, height = 200 })
    end
  end
  return list
end

-- Calls a function with each dataset and model whose rows have a column.
local function each_measured(rows, column, visit)
  for _, pair in ipairs(rows:combinations { "dataset", "model" }) do
    for _, row in ipairs(rows:where(pair)) do
      if row[column] ~= nil then
        visit(pair.dataset, pair.model)
        break
      end
    end
  end
end

-- What accuracy is drawn against: column, beginning of the file's name, label of the axis.
local costs = {
  { "relative_macs", "macs", "relative multiply-adds" },
  { "relative_latency_1", "latency-1", "relative time, 1 image" },
  { "relative_latency_16", "latency-16", "relative time, 16 images" },
}

--- Draws a metric against what pruned models cost: figures per dataset and model, against multiply-adds and times,
-- with a panel per repair, over all samplings and seeds. Nothing where no row has been measured so.
-- @tab rows Results
-- @tab opts `metric`, `folder`, `margin`, `gnuplot`, `band`, `pdf`
-- @treturn list of `{name=, dataset=, model=, title=, against=}`
function figures.costs(rows, opts)
  local list, taken, metric = {}, {}, opts.metric
  local low, high = value_range(rows, metric, opts.margin)
  for _, each in ipairs(costs) do
    local column, stem, label = table.unpack(each)
    each_measured(rows, column, function(dataset, model)
      local drawn, most = {}, 1
      for _, row in ipairs(rows:where { dataset = dataset, model = model }) do
        most = math.max(most, row[column] or 0)
      end
      for i, repair in ipairs(repairs_of(rows)) do
        drawn[i] = metric_panel(rows, metric, opts.margin, { dataset = dataset, model = model, repair = repair[1] },
          repair[2] or join(dataset, model))
        drawn[i].against, drawn[i].bars = column, column ~= "relative_macs"
      end
      local name = gnuplot.slug(("%s-%s-%s"):format(stem, dataset, model), taken)
      add(list, { name = name, dataset = dataset, model = model, against = label, title = join(dataset, model) },
        line_plots.draw(rows, drawn, { folder = opts.folder, name = name, label = metric.title, low = low, high = high,
          key = level_key(metric, opts.margin), x_label = label, x_high = most * 1.02,
          cell_width = #drawn == 1 and 400 or nil, band = opts.band, pdf = opts.pdf, gnuplot = opts.gnuplot }))
    end)
  end
  return list
end

--- Draws the share of decisions that are the dense model's against rate: a figure per dataset and model with a panel
-- per repair, over all samplings and seeds. Nothing where no row has been measured so.
-- @tab rows Results
-- @tab opts `folder`, `gnuplot`, `band`, `pdf`
-- @treturn list of `{name=, dataset=, model=, title=}`
function figures.decisions(rows, opts)
  local list, taken, low = {}, {}, 0.8
  for _, row in ipairs(rows) do low = math.min(low, row.decision_agreement or 1) end
  low = math.max(0, math.floor(low * 10 - 0.5) / 10)
  each_measured(rows, "decision_agreement", function(dataset, model)
    local drawn = {}
    for i, repair in ipairs(repairs_of(rows)) do
      drawn[i] = { where = { dataset = dataset, model = model, repair = repair[1] }, column = "decision_agreement",
        title = repair[2] or join(dataset, model), start = 1 }
    end
    local name = gnuplot.slug(("decisions-%s-%s"):format(dataset, model), taken)
    add(list, { name = name, dataset = dataset, model = model, title = join(dataset, model) }, line_plots.draw(rows,
      drawn, { folder = opts.folder, name = name, label = "same decisions", low = low, high = 1.01,
        cell_width = #drawn == 1 and 400 or nil, band = opts.band, pdf = opts.pdf, gnuplot = opts.gnuplot }))
  end)
  return list
end

local agreements = { { "agreement_cosine", "cosine" }, { "agreement_spearman", "Spearman" },
  { "agreement_topk", "top-k overlap" } }

-- The range of all agreements drawn: tenths around them, up to 1.
local function agreement_range(rows)
  local low = 0.8
  for _, row in ipairs(rows) do
    for _, each in ipairs(agreements) do low = math.min(low, row[each[1]] or 1) end
  end
  return math.floor(low * 10) / 10, 1.02
end

--- Draws how far explanations agree with those of the unpruned model against rate: a figure per dataset and model with
-- a panel per measure and repair, over all samplings and seeds. Nothing
-- where no row has been measured so.
-- @tab rows Results
-- @tab opts `folder`, `gnuplot`, `band`, `pdf`
-- @treturn list of `{name=, dataset=, model=, title=}`
function figures.agreement(rows, opts)
  local list, taken, repairs = {}, {}, repairs_of(rows)
  local low, high = agreement_range(rows)
  for _, dataset in ipairs(rows:distinct "dataset") do
    for _, model in ipairs(rows:distinct "model") do
      local drawn, measured = {}, false
      for _, repair in ipairs(repairs) do
        for _, each in ipairs(agreements) do
          drawn[#drawn + 1] = { where = { dataset = dataset, model = model, repair = repair[1] }, column = each[1],
            title = join(each[2], repair[2] or ""), start = 1 }
        end
      end
      for _, row in ipairs(rows:where { dataset = dataset, model = model }) do
        for _, each in ipairs(agreements) do measured = measured or row[each[1]] ~= nil end
      end
      if measured then
        local name = gnuplot.slug(("agreement-%s-%s"):format(dataset, model), taken)
        add(list, { name = name, dataset = dataset, model = model, title = ("%s · %s"):format(dataset, model) },
          line_plots.draw(rows, drawn, { folder = opts.folder, name = name, label = "agreement", low = low, high = high,
            columns = #agreements, band = opts.band, pdf = opts.pdf, gnuplot = opts.gnuplot }))
      end
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

-- The curves of loss or accuracy, as data and what plots it.
local function training_curves(history, what, data)
  local plots = {}
  local function add_curve(name, style, title)
    local lines = series(history, name)
    if #lines == 0 then return end
    local colour, mark = line_plots.style(style)
    data[name] = lines
    plots[#plots + 1] = ("$%s using 1:2 with linespoints lw 2 lc rgb '%s' pt %d ps 0.6 title '%s'"):format(name, colour,
      mark, title)
  end
  add_curve("train_" .. what, 1, "training")
  add_curve("val_" .. what, 2, "validation")
  if what == "accuracy" then add_curve("val_auroc", 3, "validation, AUROC") end
  return plots
end

--- Draws the curves of a training: loss and accuracy by epoch, of training and validation, and validation's AUROC where
-- it is there; where the history has no accuracy, loss alone.
-- @tab history list of `{epoch=, train_loss=, train_accuracy=, val_loss=, val_accuracy=, val_auroc=, lr=}`
-- @tab opts `folder`, `name` (a slug), `title`, `gnuplot`
-- @treturn[1] boolean true
-- @treturn[2] nil
-- @treturn[2] string
function figures.training(history, opts)
  local data, panels = {}, {}
  for i, what in ipairs { "loss", "accuracy" } do
    local plots = training_curves(history, what, data)
    if #plots > 0 then
      panels[#panels + 1] = ("set ylabel '%s' offset 1,0\nset key %s right\nset yrange [%s]\nset xrange [%s]\n"
        .. "plot %s\n"):format(what, i == 1 and "top" or "bottom", i == 1 and "0:*" or "*:1.005",
        #history > 1 and "*:*" or "0:2", table.concat(plots, ", \\\n  "))
    end
  end
  if #panels == 0 then panels[1] = "set xrange [0:2]\nset yrange [0:1]\nplot NaN notitle\n" end -- nothing to draw
  local title = opts.title and " title " .. gnuplot.quote(opts.title) or ""
  local body = { line_plots.axes, ("set multiplot layout 1,%d%s\nset xlabel 'epoch'\n"):format(#panels, title),
    table.concat(panels), "unset multiplot\n" }
  return gnuplot.draw { folder = opts.folder, name = opts.name, width = 380 * #panels, height = 300, data = data,
    body = table.concat(body), program = opts.gnuplot }
end

return figures
