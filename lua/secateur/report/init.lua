--- Turns the rows of a sweep into files: the paper's Table 1, its Figs 2-4, and one page that shows everything.
-- Works from the rows alone, without models, images or the native core.
-- @module secateur.report
local csv = require "secateur.util.csv"
local errors = require "secateur.util.errors"
local figures = require "secateur.report.figures"
local files = require "secateur.util.files"
local gnuplot = require "secateur.report.gnuplot"
local options = require "secateur.util.options"
local html_report = require "secateur.report.html_report"
local output = require "secateur.util.output"
local lfs = require "lfs"
local results = require "secateur.results"
local heatmap_grid = require "secateur.report.heatmap_grid"
local scatter = require "secateur.report.scatter"
local staging = require "secateur.util.staging"
local tables = require "secateur.report.tables"
local visible = require "secateur.util.visible"

local report = {}

local rules = {
  title = { type = "string", default = "Pruning report" },
  margin = { type = "number", min = 0, max = 1 },
  bold = { one_of = { "column", "method" }, default = "column" },
  heatmaps = { type = "table", default = {} },
  history = { type = "table", default = {} },
  gnuplot = { type = "string", default = "gnuplot" },
}

local columns = { "dataset", "model", "method", "redundancy", "sampling", "repair", "seed", "rate", "scope",
  "units_pruned", "units_total", "baseline_accuracy", "accuracy", "drop", "balanced_accuracy", "macro_f1", "auroc",
  "ece", "loss", "score_seconds", "evaluate_seconds" }
-- Only there where some row has them.
local more_columns = { "exact_match", "average_precision", "brier", "baseline_auroc", "auroc_drop", "repair_layers",
  "repair_seconds", "drop_low", "drop_high", "decision_agreement", "kl", "parameters", "macs", "bytes", "latency_1",
  "latency_16", "peak_bytes", "relative_parameters", "relative_macs", "relative_bytes", "relative_latency_1",
  "relative_latency_16", "agreement_cosine", "agreement_spearman", "agreement_topk", "agreement_seconds",
  "skipped" }
local class_columns = { "sensitivity", "specificity", "precision", "f1" }
local finding_columns = { "sensitivity", "specificity", "precision", "f1", "auroc", "average_precision" }

-- Names in a table of lines as they can be read: a CSV is shown by terminals and spreadsheets too.
local function readable(lines)
  for _, line in ipairs(lines) do
    for i = 1, line.n or #line do
      if type(line[i]) == "string" then line[i] = visible(line[i]) end
    end
  end
  return lines
end

local function results_lines(rows)
  local names = table.move(columns, 1, #columns, 1, {})
  for _, column in ipairs(more_columns) do
    if #rows:distinct(column) > 0 then names[#names + 1] = column end
  end
  local lines = { names }
  for i, row in ipairs(rows) do
    local line = { n = #names }
    for j, column in ipairs(names) do line[j] = row[column] end
    lines[i + 1] = line
  end
  return lines
end

local function class_lines(rows)
  local lines = { { "dataset", "model", "method", "redundancy", "sampling", "repair", "seed", "rate", "class" } }
  local before, measures = #lines[1], #rows:distinct "exact_match" > 0 and finding_columns or class_columns
  table.move(measures, 1, #measures, before + 1, lines[1])
  for _, row in ipairs(rows) do
    local names = ((rows.experiment.datasets or {})[row.dataset] or {}).classes or {}
    for class, measured in ipairs(row.per_class or {}) do
      local line = { row.dataset, row.model, row.method, row.redundancy, row.sampling, row.repair, row.seed, row.rate,
        names[class] or class, n = before + #measures }
      for j, column in ipairs(measures) do line[before + j] = measured[column] end
      lines[#lines + 1] = line
    end
  end
  return lines
end

-- The world's failures as errors.
local function need(value, message)
  if not value then errors.refuse("report", message) end
  return value
end

local bar_fields = { path = true, low = true, middle = false, high = true, title = false, caption = false }

-- Colour bars as heatmaps makes them.
local function check_bars(name, bars, i)
  for _, bar in ipairs(bars) do
    for field, required in pairs(bar_fields) do
      local value = type(bar) == "table" and bar[field]
      if type(value) ~= "string" and (required or value) then
        errors.refuse(name, "heatmaps: expected bars of path, low and high, got %s at %d", options.describe(bar), i)
      end
    end
  end
  return bars
end

-- Heatmaps as a list of {title=, lines=, images = {{label=, path=}, …}, bars=}; a bare path stands for a sample of
-- one picture.
local function heatmap_samples(name, given)
  local samples = {}
  for i, sample in ipairs(given) do
    if type(sample) == "string" then sample = { images = { sample } } end
    local images = type(sample) == "table" and (sample.images or sample) or {}
    local list = {}
    for j, image in ipairs(images) do
      if type(image) == "string" then image = { path = image } end
      if type(image) ~= "table" or type(image.path) ~= "string" then
        errors.refuse(name, "heatmaps: expected the path of a PNG file, got %s at %d.%d", options.describe(image), i, j)
      end
      list[j] = { path = image.path, label = image.label and tostring(image.label) or "" }
    end
    if #list == 0 then
      errors.refuse(name, "heatmaps: expected {title=, images={…}}, got %s at %d", options.describe(given[i]), i)
    end
    local lines
    if type(sample.lines) == "table" then
      lines = {}
      for j, line in ipairs(sample.lines) do lines[j] = tostring(line) end
    end
    samples[i] = { title = sample.title and tostring(sample.title), lines = lines, images = list,
      bars = type(sample.bars) == "table" and check_bars(name, sample.bars, i) or nil }
  end
  return samples
end

-- Histories as a list of {title, entries}: one history, or several by name.
local function histories(given)
  if #given > 0 then return { { title = "training", entries = given } } end
  local names, list = {}, {}
  for name in pairs(given) do names[#names + 1] = tostring(name) end
  table.sort(names)
  for i, name in ipairs(names) do list[i] = { title = name, entries = given[name] } end
  return list
end

local function draw_trainings(list, folder, program)
  local drawn, taken = {}, {}
  for i, history in ipairs(list) do
    local name = gnuplot.slug("training-" .. history.title, taken)
    need(figures.training(history.entries, { folder = folder, name = name, title = history.title, gnuplot = program }))
    local skipped = history.entries.skipped
    drawn[i] = { name = name, title = history.title, skipped = math.type(skipped) == "integer" and skipped or nil }
  end
  return drawn
end

local function load_rows(given)
  if type(given) == "string" then
    local rows, message = results.read(given)
    if not rows then errors.refuse("report", message) end
    given = rows
  elseif not results.is(given) then
    errors.refuse("report", "results: expected what sweep gives or the path of its store, got "
      .. options.describe(given))
  end
  if #given == 0 then errors.refuse("report", "results: expected at least one row") end
  return given
end

local function write_files(rows, folder, opts)
  local pictures = files.join(folder, "figures")
  need(files.mkdir_p(pictures))
  local function write(name, content) need(files.write_all(files.join(folder, name), content)) end
  need(csv.write(files.join(folder, "results.csv"), readable(results_lines(rows))))
  need(csv.write(files.join(folder, "per_class.csv"), readable(class_lines(rows))))
  local drops, caption = tables.drops(rows, opts), tables.drops_caption(rows)
  write("table1.md", tables.drops_markdown(drops, caption))
  write("table1.html", tables.drops_html(drops, caption))
  local auroc
  if #rows:distinct "auroc_drop" > 0 then
    auroc = { drops = tables.drops(rows, { bold = opts.bold, column = "auroc_drop" }),
      caption = tables.drops_caption(rows, "auroc_drop") }
    write("auroc.md", tables.drops_markdown(auroc.drops, auroc.caption))
    write("auroc.html", tables.drops_html(auroc.drops, auroc.caption))
    auroc.drawn = figures.auroc(rows, { folder = pictures, gnuplot = opts.gnuplot })
  end
  local costs = tables.costs(rows)
  if costs then
    write("costs.md", tables.costs_markdown(costs))
    write("costs.html", tables.costs_html(costs))
  end
  local where = { folder = pictures, margin = opts.margin, gnuplot = opts.gnuplot }
  local drawn, drawn_costs = figures.accuracy(rows, where), figures.costs(rows, where)
  local decisions, agreements = figures.decisions(rows, where), figures.agreement(rows, where)
  if #opts.samples > 0 then
    need(heatmap_grid.draw(opts.samples, { folder = pictures, name = "heatmaps", copy = true, gnuplot = opts.gnuplot }))
  end
  local trainings = draw_trainings(histories(opts.history), pictures, opts.gnuplot)
  write("index.html", html_report.make(rows, { title = opts.title, margin = opts.margin, drops = drops,
    caption = caption, auroc = auroc, costs = costs, drawn = drawn, drawn_costs = drawn_costs, decisions = decisions,
    agreements = agreements, heatmaps = opts.samples, trainings = trainings,
    read = function(name) return need(files.read_all(files.join(pictures, name))) end }))
end

-- The folders of a path that are not there yet, the uppermost first.
local function missing_folders(path)
  local list = {}
  while not files.is_dir(path) do
    table.insert(list, 1, path)
    local parent = files.directory(path)
    if parent == path then break end
    path = parent
  end
  return list
end

-- Writes everything into a stage inside the folder, from where it moves to its place. Where something goes wrong, the
-- folder is as it was, or gone again.
local function write_whole(rows, folder, opts)
  local made = missing_folders(folder)
  local good, problem = output.prepare_folder(folder)
  local stage
  if good then stage, problem = staging.create(folder, "report") end
  if stage then
    good, problem = errors.catch(function()
      write_files(rows, stage.path, opts)
      need(stage:publish("index.html"))
    end)
    stage:remove()
    if good then return end
  end
  for i = #made, 1, -1 do lfs.rmdir(made[i]) end -- only where nothing else is in them
  if stage and errors.is_fault(problem) then problem.message = stage:reword(problem.message) end
  if type(problem) == "string" and not stage then errors.refuse("report", problem) end
  errors.rethrow(problem, "report")
end

local function is_path(path) return path ~= "" and not path:find("\0", 1, true), "a folder's path" end

local folder_rule = { type = "string", required = true, check = is_path }

local function write(rows, folder, opts)
  opts = options.check("report", opts, rules)
  folder = options.value("report", "dir", folder, folder_rule)
  rows = load_rows(rows)
  opts.margin = opts.margin or rows.margin
  opts.samples = heatmap_samples("report", opts.heatmaps)
  local there, message = gnuplot.check(opts.gnuplot)
  if not there then errors.refuse("report", message) end
  write_whole(rows, folder, opts)
  return files.join(folder, "index.html")
end

--- Writes a report: results.csv and per_class.csv (all rows), table1.md and table1.html (mean ± standard deviation of
-- the drop), where images may have several findings auroc.md and auroc.html (the drop of AUROC), costs.md and
-- costs.html (what pruned models keep and cost, where rows say so), figures/*.svg, *.png and the *.gp that draw them,
-- and index.html, one page with all of it; all of them or, where something goes wrong, none. The figures: accuracy
-- against rate, multiply-adds and time, agreement of decisions and of explanations against rate, a panel per repair.
-- Names stand in all files with control characters and the like as escapes (`\n`, `\x1B`).
-- @tparam Results|string rows what `sweep` gives, or the path of its store
-- @string folder made where it is missing; files of the same names are overwritten
-- @tab[opt] opts `title`; `margin` (the sweep's, 0.05); `bold`: "column" (the best of each column) or "method" (the
-- best of each column within each method, as in the paper); `heatmaps`, a list of
-- `{title=, images={{label=, path=}, …}}` with paths of PNG files, as `heatmaps` makes it, of one model or of a dense
-- and a pruned one side by side (`lines`: the title beside a
-- row, by line; `bars`: colour bars, `{path=, low=, middle=, high=, title=, caption=}`); `history`, what
-- `train` returns, or a table of these by name; `gnuplot` (the program)
-- @treturn string the path of index.html
-- @raise `report: …` where gnuplot is missing, the store is none, or a file cannot be written
function report.write(rows, folder, opts)
  return write(rows, folder, opts)
end

local picture_rules = { title = { type = "string" }, gnuplot = { type = "string", default = "gnuplot" } }
local sheet_rules = { gnuplot = picture_rules.gnuplot, width = { type = "number", min = 20, max = 2000, default = 180 },
  dpi = { type = "number", min = 36, max = 2400, default = 300 } }

-- Folder and slug of a path that may end in .svg, .pdf or .png.
local function place(path)
  local base = files.base(path):gsub("%.%a+$", "")
  return files.directory(path), gnuplot.slug(base, {})
end

-- Gives the path without an extension.
local function draw_at(name, path, opts, own_rules, draw)
  opts = options.check(name, opts, own_rules)
  path = options.value(name, "path", path, { type = "string", required = true })
  local there, message = gnuplot.check(opts.gnuplot)
  if not there then errors.refuse(name, message) end
  opts.folder, opts.name = place(path)
  need(files.mkdir_p(opts.folder))
  need(draw(opts))
  return files.join(opts.folder, opts.name)
end

--- Draws the curves of a training as PATH.svg and PATH.png.
-- @tab history list of `{epoch=, train_loss=, train_accuracy=, val_loss=, val_accuracy=, lr=}`
-- @string path with or without an extension
-- @tab[opt] opts `title`, `gnuplot`
-- @treturn string the path of the SVG
-- @treturn string the path of the PNG
function report.training(history, path, opts)
  history = options.value("report.training", "history", history, { type = "table", required = true })
  local stem = draw_at("report.training", path, opts, picture_rules,
    function(where) return figures.training(history, where) end)
  return stem .. ".svg", stem .. ".png"
end

--- Draws a sheet of pictures, a row per sample, as PATH.svg, PATH.png and PATH.pdf.
-- @tab samples as `heatmaps` of `report.write`
-- @string path with or without an extension
-- @tab[opt] opts `width` (180 mm; less where few columns do not fill it, more where many do not fit), `dpi` (300 at
-- least, so that panels keep whole pixels), `gnuplot`
-- @treturn string the path of the SVG
-- @treturn string the path of the PNG
-- @treturn string the path of the PDF
function report.heatmaps(samples, path, opts)
  samples = options.value("report.heatmaps", "samples", samples, { type = "table", required = true })
  samples = heatmap_samples("report.heatmaps", samples)
  local stem = draw_at("report.heatmaps", path, opts, sheet_rules,
    function(where) return heatmap_grid.draw(samples, where) end)
  return stem .. ".svg", stem .. ".png", stem .. ".pdf"
end

local scatter_rules = { gnuplot = picture_rules.gnuplot, background = {}, x_label = { type = "string" },
  background_name = { type = "string", default = "all" }, y_label = { type = "string" },
  columns = { type = "integer", min = 1, max = 12, default = 3 } }

--- Draws points in a plane as PATH.svg and PATH.png, in panels with the same axes and one key: where samples lie, such
-- as the principal components of their features, and which of them each strategy chose.
-- @tab panels list of `{ title =, series = { { name =, points = }, ... }, background = }`; points are a list of
-- `{ x, y }` or a Tensor [n x 2], series of the same name look the same in all panels, the background is grey
-- @string path with or without an extension
-- @tab[opt] opts `background` (points, of panels that have none of their own), `background_name` ("all"), `x_label`,
-- `y_label`, `columns` (3), `gnuplot`
-- @treturn string the path of the SVG
-- @treturn string the path of the PNG
-- @usage
-- local flat = sc.cluster.pca(features, 2)
-- sc.report.scatter({ { title = "margin", series = { { name = "chosen", points = flat:take(1, chosen) } } } }, "picks",
--   { background = flat })
function report.scatter(panels, path, opts)
  opts = options.check("report.scatter", opts, scatter_rules)
  local read = scatter.read("report.scatter", panels, opts.background)
  local stem = draw_at("report.scatter", path, opts, scatter_rules,
    function(where) return scatter.draw(read, where) end)
  return stem .. ".svg", stem .. ".png"
end

--- Raises where reports cannot be drawn, for want of gnuplot: for programs that work long before they draw.
-- @tab[opt] opts `gnuplot` (the program)
-- @usage sc.report.check()
function report.check(opts)
  opts = options.check("report.check", opts, { gnuplot = picture_rules.gnuplot })
  local there, message = gnuplot.check(opts.gnuplot)
  if not there then errors.refuse("report.check", message) end
end

return setmetatable(report, { __call = function(_, rows, folder, opts)
  return write(rows, folder, opts)
end })
