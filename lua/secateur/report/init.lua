--- Turns the rows of a sweep into files: the paper's Table 1, its Figs 2-4, and one page that shows everything.
-- Works from the rows alone, without models, images or the native core.
-- @module secateur.report
local csv = require "secateur.util.csv"
local errors = require "secateur.util.errors"
local figures = require "secateur.report.figures"
local files = require "secateur.util.files"
local gnuplot = require "secateur.report.gnuplot"
local grid = require "secateur.results.grid"
local heatmap_grid = require "secateur.report.heatmap_grid"
local html_report = require "secateur.report.html_report"
local html_settings = require "secateur.report.html_settings"
local interval_rows = require "secateur.report.interval_rows"
local latex = require "secateur.report.latex"
local lfs = require "lfs"
local metrics = require "secateur.results.metrics"
local options = require "secateur.util.options"
local output = require "secateur.util.output"
local results = require "secateur.results"
local row_lines = require "secateur.report.row_lines"
local scatter = require "secateur.report.scatter"
local staging = require "secateur.util.staging"
local strategies = require "secateur.report.strategies"
local tables = require "secateur.report.tables"
local versions = require "secateur.results.versions"
local writers = require "secateur.report.table_writers"

local report = {}

local rules = {
  title = { type = "string", default = "Pruning report" },
  margin = { type = "number", min = 0, max = 1 },
  bold = { one_of = { "column", "method" }, default = "column" },
  metric = { type = { "string", "table" } },
  band = { one_of = { "deviation", "interval", "range" }, default = "deviation" },
  reference = { type = "string" },
  where = { type = "table", default = {} },
  heatmaps = { type = "table", default = {} },
  history = { type = "table", default = {} },
  gnuplot = { type = "string", default = "gnuplot" },
}

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

-- The experiment of a part of the rows: what was chosen away is not missing.
local function narrow(experiment, where)
  local made = {}
  for key, value in pairs(experiment) do made[key] = value end
  for axis, key in pairs(grid.named) do
    local said = made[key]
    if where[axis] ~= nil and type(said) == "table" then
      made[key] = {}
      for name, value in pairs(said) do
        if math.type(name) == "integer" then
          if versions.matches({ [axis] = value }, { [axis] = where[axis] }) then table.insert(made[key], value) end
        elseif versions.matches({ [axis] = name }, { [axis] = where[axis] }) then
          made[key][name] = value
        end
      end
    end
  end
  return made
end

-- The rows whose columns have the values, or one of the values, that are asked for; all else as it was.
local function choose(rows, where)
  if not next(where) then return rows end
  local wrong, kept = versions.check_where(where, rows), {}
  if wrong then errors.refuse("report", wrong) end
  for _, row in ipairs(rows) do
    if versions.matches(row, where) then kept[#kept + 1] = row end
  end
  if #kept == 0 then
    errors.refuse("report", "where: expected columns and their values in some of the %d rows, got none with %s", #rows,
      options.show(where))
  end
  if #kept == #rows then return rows end
  local made = results.new(kept, { experiment = narrow(rows.experiment, where), samples = rows.samples,
    margin = rows.margin })
  for _, field in ipairs { "runs", "superseded", "is_copy" } do made[field] = rows[field] end
  for _, failure in ipairs(rows.failed or {}) do
    if versions.concerns(failure, where) then table.insert(made.failed, failure) end
  end
  return made
end

local function load_rows(given, where)
  if type(given) == "string" then
    local rows, message = results.read(given, { where = where })
    if not rows then errors.refuse("report", message) end
    given = rows
  elseif not results.is(given) then
    errors.refuse("report", "results: expected what sweep gives or the path of its store, got "
      .. options.describe(given))
  end
  if #given == 0 then
    errors.refuse("report", "results: expected at least one row%s", next(where) and " with what where asks for" or "")
  end
  return choose(given, where)
end

-- The metrics shown, the leading one first: those asked for; else accuracy, and where images may have several findings
-- their AUROC.
local function metrics_of(rows, given)
  local asked = given
  if not asked then
    asked = #rows:distinct "auroc_drop" > 0 and { "accuracy", "auroc" } or { "accuracy" }
  end
  local list = {}
  for i, name in ipairs(asked) do
    local metric = metrics.of(rows, name)
    local known, compared = false, false
    for _, row in ipairs(rows) do
      known = known or metric:value(row) ~= nil
      compared = compared or metric:change(row) ~= nil
    end
    if given and not known then errors.refuse("report", "metric: expected one that rows have, got '%s'", name) end
    if given and not compared then
      errors.refuse("report", "metric: the %s of the unpruned models is not known: expected rows of rate 0, got none; "
        .. "add 0 to the rates of the sweep", metric.title)
    end
    list[i] = { metric = metric, lossless_name = given and name or nil, of_findings = #rows:distinct "auroc_drop" > 0 }
  end
  return list
end

-- A table as Markdown, HTML and LaTeX.
local function write_table(write, name, shown)
  write(name .. ".md", writers.markdown(shown))
  write(name .. ".html", writers.html(shown))
  write(name .. ".tex", latex.table(shown))
end

-- Tables and figures of each metric.
local function write_metrics(rows, list, write, look, opts)
  for i, each in ipairs(list) do
    each.drops = tables.drops(rows, { bold = opts.bold, metric = each.metric })
    each.table = tables.drops_table(each.drops, tables.drops_caption(rows, each.drops))
    write_table(write, i == 1 and "table1" or each.metric.name, each.table)
    if i == 1 or each.lossless_name then
      each.lossless = tables.lossless(rows, opts.margin, each.lossless_name)
      write_table(write, i == 1 and "lossless" or "lossless-" .. each.metric.name, each.lossless)
    end
    look.metric = each.metric
    each.drawn = figures.metric(rows, look)
  end
  look.metric = list[1].metric
end

-- Strategies side by side by each metric, where there are several.
local function write_strategies(rows, list, write, reference)
  for i, each in ipairs(list) do
    local compared = strategies.compare(rows, each.metric, reference)
    if not compared then return end
    each.ranking, each.differences = strategies.ranking(compared), strategies.differences(compared)
    for _, name in ipairs { "ranking", "differences" } do
      local shown = each[name]
      if i > 1 then shown.label = shown.label .. "-" .. each.metric.name:gsub("_", "-") end
      local file = name == "ranking" and "strategies" or name
      write_table(write, i > 1 and ("%s-%s"):format(file, each.metric.name) or file, shown)
    end
  end
end

local function write_files(rows, folder, opts)
  local pictures = files.join(folder, "figures")
  need(files.mkdir_p(pictures))
  local function write(name, content) need(files.write_all(files.join(folder, name), content)) end
  local function write_lines(name, lines)
    need(csv.write(files.join(folder, name), row_lines.readable(lines)))
  end
  local list, missing, measured = metrics_of(rows, opts.metrics), grid.missing(rows, opts.where), {}
  for i, each in ipairs(list) do measured[i] = each.metric end
  write_lines("results.csv", row_lines.results(rows))
  write_lines("per_class.csv", row_lines.classes(rows))
  write_lines("intervals.csv", interval_rows.lines(rows, measured))
  if #missing > 0 then write_lines("missing.csv", row_lines.missing(missing)) end
  local look = { folder = pictures, margin = opts.margin, gnuplot = opts.gnuplot, band = opts.band, pdf = opts.pdf }
  write_metrics(rows, list, write, look, opts)
  write_strategies(rows, list, write, opts.reference)
  local costs = tables.costs(rows)
  if costs then write_table(write, "costs", costs) end
  local drawn_costs, decisions = figures.costs(rows, look), figures.decisions(rows, look)
  local agreements = figures.agreement(rows, look)
  if #opts.samples > 0 then
    need(heatmap_grid.draw(opts.samples, { folder = pictures, name = "heatmaps", copy = true, gnuplot = opts.gnuplot }))
  end
  local trainings = draw_trainings(histories(opts.history), pictures, opts.gnuplot)
  write("index.html", html_report.make(rows, { title = opts.title, margin = opts.margin, metrics = list,
    costs = costs, drawn_costs = drawn_costs, decisions = decisions,
    agreements = agreements, models = html_settings.models_table(rows, measured), missing = missing,
    where = opts.where, formats = opts.pdf and "SVG, PNG and PDF" or "SVG and PNG", heatmaps = opts.samples,
    trainings = trainings, read = function(name) return need(files.read_all(files.join(pictures, name))) end }))
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

local metric_rule = { one_of = metrics.names }

-- One metric, or a list of them; nil where none is asked for.
local function read_metrics(name, given)
  if given == nil then return nil end
  if type(given) ~= "table" then return { options.value(name, "metric", given, metric_rule) } end
  return options.entries(name, "metric", given, metric_rule)
end

local function read_reference(rows, reference)
  if reference ~= nil then
    options.value("report", "reference", reference, { one_of = rows:distinct "sampling" })
  end
  return reference
end

-- Whether figures are drawn as PDF too; where gnuplot was built without, that is said.
local function has_pdf(program)
  if gnuplot.has_terminal(program, "pdfcairo") then return true end
  errors.warn("report: '%s' has no terminal pdfcairo: figures are SVG and PNG alone", program)
  return false
end

local function write(rows, folder, opts)
  opts = options.check("report", opts, rules)
  folder = options.value("report", "dir", folder, folder_rule)
  opts.metrics = read_metrics("report", opts.metric)
  rows = load_rows(rows, opts.where)
  opts.reference = read_reference(rows, opts.reference)
  opts.margin = opts.margin or rows.margin
  opts.samples = heatmap_samples("report", opts.heatmaps)
  if rows.is_copy then return files.join(folder, "index.html") end -- process 0 writes it
  local there, message = gnuplot.check(opts.gnuplot)
  if not there then errors.refuse("report", message) end
  opts.pdf = has_pdf(opts.gnuplot)
  write_whole(rows, folder, opts)
  return files.join(folder, "index.html")
end

--- Writes a report: results.csv and per_class.csv (all rows), intervals.csv (means over seeds with 95 % intervals),
-- table1 (mean ± standard deviation of what each rate loses), lossless (the largest rates within the margin),
-- strategies and differences (samplings in order, and against one of them, paired by seed; where there are several),
-- the same for each further metric (its name in the names of the files), costs (what pruned models keep and cost,
-- where rows say so), each as Markdown, HTML and LaTeX (.md, .html, .tex; the last wants the package booktabs),
-- missing.csv (the rows of the grid that are not there), figures/*.svg, *.png, *.pdf (where gnuplot can) and the *.gp
-- that draw them, and index.html, one page with all of it; all of them or, where something goes wrong, none. The
-- figures: metrics against rate, a curve per method and a panel per sampling and repair, and the other way round a
-- curve per sampling; against multiply-adds and time; agreement of decisions and of explanations. What is missing is
-- named: a mean of fewer rows than others says so and is never the best. Names stand in all files with control
-- characters and the like as escapes (`\n`, `\x1B`).
-- @tparam Results|string rows what `sweep` gives, or the path of its store, which may be being written; of Results that
-- are a copy on a process of MPI other than 0 nothing is written
-- @string folder made where it is missing; files of the same names are overwritten
-- @tab[opt] opts `title`; `metric`, one of or a list of "accuracy", "balanced_accuracy", "macro_f1", "auroc",
-- "average_precision", "exact_match", "ece", "brier", "loss", "decision_agreement", "kl", "agreement_cosine",
-- "agreement_spearman", "agreement_topk" (by default accuracy, and where images may have several findings auroc), the
-- first of which leads the page; `margin` (of lossless; the sweep's, 0.05); `band`, what lies around a curve that is a
-- mean of several rows: "deviation" (one standard deviation, divided by n), "interval" (Student's 95 % interval of the
-- mean over seeds) or "range" (smallest to largest); of a single row it is the bootstrap interval over test images,
-- where rows have it; `reference`, the sampling that others are compared to ("random" where it is there, else the
-- first); `where`, column → value or list of values: which rows (`{ sampling = { "random", "mine" } }`); `bold`:
-- "column" (the best of each column) or "method" (the best of each column within each method, as in the paper);
-- `heatmaps`, a list of
-- `{title=, images={{label=, path=}, …}}` with paths of PNG files, as `heatmaps` makes it, of one model or of a dense
-- and a pruned one side by side (`lines`: the title beside a
-- row, by line; `bars`: colour bars, `{path=, low=, middle=, high=, title=, caption=}`); `history`, what
-- `train` returns, or a table of these by name; `gnuplot` (the program)
-- @treturn string the path of index.html
-- @raise `report: …` where gnuplot is missing, the store is none, or a file cannot be written
-- @usage sc.report("runs.db", "report", { metric = { "balanced_accuracy", "ece" }, where = { model = "vgg" } })
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

--- Draws points in a plane as PATH.svg, PATH.png and PATH.pdf, in panels with the same axes and one key: where samples
-- lie, such as the principal components of their features, and which of them each strategy chose.
-- @tab panels list of `{ title =, series = { { name =, points = }, ... }, background = }`; points are a list of
-- `{ x, y }` or a Tensor [n x 2], series of the same name look the same in all panels, the background is grey
-- @string path with or without an extension
-- @tab[opt] opts `background` (points, of panels that have none of their own), `background_name` ("all"), `x_label`,
-- `y_label`, `columns` (3), `gnuplot`
-- @treturn string the path of the SVG
-- @treturn string the path of the PNG
-- @treturn ?string the path of the PDF; nil where gnuplot has no pdfcairo
-- @usage
-- local flat = sc.cluster.pca(features, 2)
-- sc.report.scatter({ { title = "margin", series = { { name = "chosen", points = flat:take(1, chosen) } } } }, "picks",
--   { background = flat })
function report.scatter(panels, path, opts)
  opts = options.check("report.scatter", opts, scatter_rules)
  local read = scatter.read("report.scatter", panels, opts.background)
  local pdf
  local stem = draw_at("report.scatter", path, opts, scatter_rules, function(where)
    pdf = has_pdf(where.gnuplot)
    where.pdf = pdf
    return scatter.draw(read, where)
  end)
  return stem .. ".svg", stem .. ".png", pdf and stem .. ".pdf" or nil
end

--- Raises where reports cannot be drawn, for want of gnuplot, or do not know a metric: for programs that work long
-- before they draw.
-- @tab[opt] opts `gnuplot` (the program), `metric` (as of `report`)
-- @usage sc.report.check { metric = "ece" }
function report.check(opts)
  opts = options.check("report.check", opts, { gnuplot = picture_rules.gnuplot, metric = rules.metric })
  read_metrics("report.check", opts.metric)
  local there, message = gnuplot.check(opts.gnuplot)
  if not there then errors.refuse("report.check", message) end
end

return setmetatable(report, { __call = function(_, rows, folder, opts)
  return write(rows, folder, opts)
end })
