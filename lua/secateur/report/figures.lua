--- The figures: accuracy against pruning rate (the paper's Figs 2-4), agreement of explanations, training curves.
-- @module secateur.report.figures
local errors = require "secateur.util.errors"
local gnuplot = require "secateur.report.gnuplot"
local line_plots = require "secateur.report.line_plots"

local number = line_plots.number

local figures = {}

-- Two greys, since gnuplot 5.4's SVG changes the dashes of a line only together with its colour.
local unpruned_look = "lw 1.3 dt (8,4) lc rgb '#555555'"
local margin_look = "lw 1.3 dt (2,3) lc rgb '#565656'"

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

-- Draws, or adds what went wrong to the message.
local function add(list, entry, good, message)
  errors.check(good, message)
  list[#list + 1] = entry
end

-- A panel of accuracies, the unpruned one and the margin below it as level lines.
local function accuracy_panel(rows, margin, where, title)
  local baseline = rows:baseline(where.dataset, where.model)
  return { where = where, column = "accuracy", title = title, start = baseline,
    levels = baseline and { { baseline, unpruned_look }, { baseline - margin, margin_look } } }
end

--- Draws accuracy against rate: a figure per dataset and model with a panel per sampling (and each panel by itself),
-- and where there are several, an overview per sampling with a panel per dataset and model. Several seeds: mean and a
-- band of one standard deviation.
-- @tab rows Results
-- @tab opts `folder`, `margin`, `gnuplot`
-- @treturn list of `{kind = "panel"/"pair"/"overview", name=, dataset=, model=, sampling=, title=}`
function figures.accuracy(rows, opts)
  local list, taken, margin = {}, {}, opts.margin
  local samplings, datasets, models = rows:distinct "sampling", rows:distinct "dataset", rows:distinct "model"
  local low, high = accuracy_range(rows, margin)
  local key = { { "unpruned", unpruned_look }, { ("−%g points"):format(100 * margin), margin_look } }
  local function draw(kind, about, drawn, columns, size)
    local name = gnuplot.slug("accuracy-" .. table.concat(about, "-"), taken)
    add(list, { kind = kind, name = name, title = table.concat(about, " · ") }, line_plots.draw(rows, drawn,
      { folder = opts.folder, name = name, label = "accuracy", low = low, high = high, key = key, columns = columns,
        gnuplot = opts.gnuplot, cell_width = size and size[1], cell_height = size and size[2] }))
    return list[#list]
  end
  local overview = {}
  for _, dataset in ipairs(datasets) do
    for _, model in ipairs(models) do
      local together = {}
      for i, sampling in ipairs(samplings) do
        local where = { dataset = dataset, model = model, sampling = sampling }
        together[i] = accuracy_panel(rows, margin, where, sampling)
        overview[sampling] = overview[sampling] or {}
        table.insert(overview[sampling], accuracy_panel(rows, margin, where, ("%s · %s"):format(dataset, model)))
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
-- a panel per measure, over all samplings and seeds (mean and a band of one standard deviation). Nothing where no row
-- has been measured so.
-- @tab rows Results
-- @tab opts `folder`, `gnuplot`
-- @treturn list of `{name=, dataset=, model=, title=}`
function figures.agreement(rows, opts)
  local list, taken = {}, {}
  local low, high = agreement_range(rows)
  for _, dataset in ipairs(rows:distinct "dataset") do
    for _, model in ipairs(rows:distinct "model") do
      local drawn, measured = {}, false
      for i, each in ipairs(agreements) do
        drawn[i] = { where = { dataset = dataset, model = model }, column = each[1], title = each[2],
          start = 1 }
      end
      for _, row in ipairs(rows:where { dataset = dataset, model = model }) do
        for _, each in ipairs(agreements) do measured = measured or row[each[1]] ~= nil end
      end
      if measured then
        local name = gnuplot.slug(("agreement-%s-%s"):format(dataset, model), taken)
        add(list, { name = name, dataset = dataset, model = model, title = ("%s · %s"):format(dataset, model) },
          line_plots.draw(rows, drawn, { folder = opts.folder, name = name, label = "agreement", low = low, high = high,
            gnuplot = opts.gnuplot }))
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

--- Draws the curves of a training: loss and accuracy by epoch, of training and validation, the best validation marked.
-- @tab history list of `{epoch=, train_loss=, train_accuracy=, val_loss=, val_accuracy=, lr=}`
-- @tab opts `folder`, `name` (a slug), `title`, `gnuplot`
-- @treturn[1] boolean true
-- @treturn[2] nil
-- @treturn[2] string
function figures.training(history, opts)
  local data, body = {}, { line_plots.axes, "set multiplot layout 1,2\nset xlabel 'epoch'\n" }
  if opts.title then
    body[2] = ("set multiplot layout 1,2 title %s\nset xlabel 'epoch'\n"):format(gnuplot.quote(opts.title))
  end
  for i, what in ipairs { "loss", "accuracy" } do
    local plots = {}
    for j, part in ipairs { "train", "val" } do
      local name, lines = part .. "_" .. what, series(history, part .. "_" .. what)
      if #lines > 0 then
        data[name] = lines
        local colour, mark = line_plots.style(j)
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
