--- The report as one page of HTML that needs nothing else: styles, figures and pictures are inside, no script.
-- @module secateur.report.html_report
local html = require "secateur.report.html"
local results = require "secateur.results"
local skipped_note = require "secateur.util.skipped_note"
local style = require "secateur.report.style"
local tables = require "secateur.report.tables"

local html_report = {}

local escape = html.escape

local function section(id, title, ...)
  return ('<section id="%s">\n<h2>%s</h2>\n%s</section>\n'):format(id, escape(title), table.concat { ... })
end

local function wide(element)
  return '<div class="wide" tabindex="0">' .. element .. "</div>\n"
end

--- The combination of method, sampling, redundancy and repair with the smallest drop, averaged over the rates of
-- Table 1.
-- @tab drops what `table.drops` gives
-- @treturn[1] table `method`, `sampling`, `redundancy`, `repair`
-- @treturn[1] number its mean drop
-- @treturn[2] nil where no combination has all rates
function html_report.best(drops)
  local best, smallest
  for _, line in ipairs(drops.lines) do
    local sum, complete = 0, #line.cells > 0
    for _, cell in ipairs(line.cells) do
      complete = complete and cell.mean ~= nil
      sum = sum + (cell.mean or 0)
    end
    if complete and (not smallest or sum / #line.cells < smallest) then best, smallest = line, sum / #line.cells end
  end
  if best then
    return { method = best.method, sampling = best.sampling, redundancy = best.redundancy, repair = best.repair },
      smallest
  end
end

-- A combination in a few words: "LRP with redundancy, random, least squares".
local function combination_text(each, separator)
  local list = { tables.scoring_name(each), each.sampling, each.repair ~= "none" and tables.repair_name(each.repair) }
  return table.concat(list, separator, 1, list[3] and 3 or 2)
end

local function percent(value)
  return value and ("%.1f %%"):format(100 * value) or "–"
end

local function card(value, label)
  return ('<div class="card"><b>%s</b><span>%s</span></div>\n'):format(escape(value), escape(label))
end

local function summary(rows, drops, margin)
  local cards = {}
  local best = html_report.best(drops)
  if best then
    cards[#cards + 1] = card(combination_text(best, " · "),
      "smallest drop, mean over rates")
  end
  local largest
  for _, entry in ipairs(rows:lossless(margin)) do
    if not largest or entry.rate > largest.rate then largest = entry end
  end
  if largest then
    cards[#cards + 1] = card(tables.rate_text(largest.rate), ("largest lossless rate: %s, %s, %s"):format(
      largest.dataset, largest.model, combination_text(largest, ", ")))
  end
  local shown, lowest, highest = 0, math.huge, -math.huge
  for _, dataset in ipairs(rows:distinct "dataset") do
    for _, model in ipairs(rows:distinct "model") do
      local accuracy = rows:baseline(dataset, model)
      if accuracy then shown, lowest, highest = shown + 1, math.min(lowest, accuracy), math.max(highest, accuracy) end
    end
  end
  if shown == 1 then cards[#cards + 1] = card(percent(lowest), "test accuracy, unpruned") end
  if shown > 1 then
    cards[#cards + 1] = card(("%.1f – %.1f %%"):format(100 * lowest, 100 * highest),
      ("test accuracy, unpruned, of %d models"):format(shown))
  end
  cards[#cards + 1] = card(("%d"):format(#rows), #rows == rows.total and "pruned models measured"
    or ("of %d pruned models measured so far"):format(rows.total))
  return '<div class="cards">\n' .. table.concat(cards) .. "</div>\n"
end

local function baseline_table(rows)
  local out = { '<table>\n<caption>The unpruned models on the test split.</caption>\n<thead><tr><th scope="col">Dataset'
    .. '</th><th scope="col">Model</th><th scope="col">Accuracy</th></tr></thead>\n<tbody>\n' }
  for _, dataset in ipairs(rows:distinct "dataset") do
    for _, model in ipairs(rows:distinct "model") do
      local accuracy = rows:baseline(dataset, model)
      if accuracy then
        out[#out + 1] = ('<tr><td>%s</td><th scope="row">%s</th><td>%.3f</td></tr>\n'):format(escape(dataset),
          escape(model), accuracy)
      end
    end
  end
  return wide(table.concat(out) .. "</tbody>\n</table>\n")
end

-- Where there are several models or datasets: the overviews, then each by itself, folded.
local function accuracy_figures(drawn, read)
  local out, groups, by_name = {}, {}, {}
  local function element(entry, class)
    return ('<figure class="%s">%s</figure>\n'):format(class, html.svg(read(entry.name .. ".svg"), entry.name,
      "Accuracy against pruning rate: " .. entry.title))
  end
  for _, entry in ipairs(drawn) do
    if entry.kind == "overview" then
      out[#out + 1] = ("<h3>%s sampling%s</h3>\n"):format(escape(entry.sampling),
        entry.repair and ", " .. escape(entry.repair) or "") .. wide(element(entry, "overview"))
    elseif entry.kind == "panel" then
      local name = entry.dataset .. " · " .. entry.model
      if not by_name[name] then by_name[name], groups[#groups + 1] = {}, name end
      table.insert(by_name[name], element(entry, "panel"))
    end
  end
  local pattern = #groups > 1 and '<details><summary>%s</summary>\n<div class="panels">\n%s</div></details>\n'
    or '<h3>%s</h3>\n<div class="panels">\n%s</div>\n'
  for _, name in ipairs(groups) do
    out[#out + 1] = pattern:format(escape(name), table.concat(by_name[name]))
  end
  return table.concat(out)
end

-- Figures one below the other, each with its title where there are several.
local function figure_list(drawn, read, about)
  local out = {}
  for _, entry in ipairs(drawn) do
    if #drawn > 1 then out[#out + 1] = ("<h3>%s</h3>\n"):format(escape(entry.title)) end
    out[#out + 1] = wide(('<figure class="overview">%s</figure>\n'):format(html.svg(read(entry.name .. ".svg"),
      entry.name, about(entry) .. ": " .. entry.title)))
  end
  return table.concat(out)
end

-- What pruned models cost; nothing where it was not measured.
local function cost_section(costs, drawn, read)
  if not costs and #drawn == 0 then return "" end
  return section("costs", "What pruned models cost", costs and wide(tables.costs_html(costs)) or "",
    figure_list(drawn, read, function(entry) return "Accuracy against " .. entry.against end))
end

-- The areas under the ROC curves of findings; nothing where images have one class each.
local function auroc_section(auroc, read)
  if not auroc then return "" end
  return section("auroc", "AUROC of findings", "<p>The accuracy of rare findings is high whatever a model does; the "
    .. "area under the ROC curve is not.</p>\n", wide(tables.drops_html(auroc.drops, auroc.caption)),
    figure_list(auroc.drawn, read, function() return "AUROC against pruning rate" end))
end

-- How many decisions stay; nothing where it was not measured.
local function decision_section(drawn, read)
  if #drawn == 0 then return "" end
  return section("decisions", "Agreement of decisions", "<p>The share of test images whose decision is the dense "
    .. "model's, right or wrong. Means over samplings and seeds.</p>\n", figure_list(drawn, read, function()
      return "Agreement of decisions against pruning rate"
    end))
end

-- How much of the explanations pruning leaves; nothing where it was not measured.
local function agreement_section(drawn, read)
  if #drawn == 0 then return "" end
  return section("agreement", "Agreement of explanations", "<p>Heatmaps of each pruned model against those of the "
    .. "unpruned one, for the same images and the same class: cosine, rank correlation, and overlap of the most "
    .. "relevant pixels; 1 is the same. Means over samplings and seeds.</p>\n", figure_list(drawn, read, function()
      return "Agreement of explanations against pruning rate"
    end))
end

local class_measures = { "sensitivity", "specificity", "precision", "f1" }
local finding_measures = { "auroc", "average_precision", "sensitivity", "specificity", "precision", "f1" }
local measure_names = { sensitivity = "Sensitivity", specificity = "Specificity", precision = "Precision", f1 = "F1",
  auroc = "AUROC", average_precision = "Average precision" }

-- Means over seeds of a class's measures at a rate: rows with the measures of that class as columns.
local function class_cells(rows, class, measures)
  local flat = {}
  for i, row in ipairs(rows) do flat[i] = row.per_class and row.per_class[class] or {} end
  local cells = {}
  for i, measure in ipairs(measures) do
    local mean = results.statistics(flat, measure)
    cells[i] = ("<td>%s</td>"):format(mean and ("%.3f"):format(mean) or "–")
  end
  return table.concat(cells)
end

local function class_table(rows, dataset, model, combination)
  local found = results.new(results.new(rows:where(combination)):where { dataset = dataset, model = model })
  local described = (rows.experiment.datasets or {})[dataset] or {}
  local names = described.classes or {}
  local out = { "<table>\n<thead><tr>" }
  local findings = #found:distinct "exact_match" > 0
  local measures = findings and finding_measures or class_measures
  local columns = { "Rate", findings and "Finding" or "Class" }
  for i, measure in ipairs(measures) do columns[i + 2] = measure_names[measure] end
  for _, head in ipairs(columns) do out[#out + 1] = ('<th scope="col">%s</th>'):format(head) end
  out[#out + 1] = "</tr></thead>\n<tbody>\n"
  local heads = #out
  for i, rate in ipairs(found:distinct "rate") do
    local at_rate = found:where { rate = rate }
    local count = #(at_rate[1].per_class or {})
    for class = 1, count do
      local rate_cell = ('<td class="rate" rowspan="%d">%s</td>'):format(count, tables.rate_text(rate))
      out[#out + 1] = ('<tr%s>%s<th class="class" scope="row">%s</th>%s</tr>\n'):format(
        class == 1 and i > 1 and ' class="first"' or "", class == 1 and rate_cell or "",
        escape(names[class] or class), class_cells(at_rate, class, measures))
    end
  end
  return #out > heads and wide(table.concat(out) .. "</tbody>\n</table>\n") or nil
end

local function per_class(rows, drops)
  local best = html_report.best(drops)
  if not best then return "" end
  local out, several = {}, #rows:distinct "dataset" * #rows:distinct "model" > 1
  for _, dataset in ipairs(rows:distinct "dataset") do
    for _, model in ipairs(rows:distinct "model") do
      local element = class_table(rows, dataset, model, best)
      if element then
        out[#out + 1] = ("<details%s><summary>%s · %s</summary>\n%s</details>\n"):format(several and "" or " open",
          escape(dataset), escape(model), element)
      end
    end
  end
  if #out == 0 then return "" end
  local what = ("%s with %s sampling%s%s"):format(tables.method_name(best.method), best.sampling,
    best.redundancy and ", redundancy counted" or "",
    best.repair ~= "none" and ", repair: " .. tables.repair_name(best.repair) or "")
  local about = ("<p>%s, the combination with the smallest mean drop%s.</p>\n"):format(escape(what),
    #rows:distinct "seed" > 1 and "; means over the seeds" or "")
  return section("classes", "Per class", about, table.concat(out))
end

-- The sheet, and folded below it each picture by itself.
local function heatmap_section(samples, read)
  if #samples == 0 then return "" end
  local out = { wide(('<figure class="overview">%s</figure>\n'):format(html.svg(read("heatmaps.svg"), "sheet",
    "Pictures of samples, a row each; the same pictures follow one by one"))),
    "<details><summary>Picture by picture</summary>\n" }
  for i, sample in ipairs(samples) do
    out[#out + 1] = ('<h3>%s</h3>\n<div class="heatmaps">\n'):format(escape(sample.title or ("Sample %d"):format(i)))
    for j, image in ipairs(sample.images) do
      local label = image.label or ""
      out[#out + 1] = ("<figure>%s<figcaption>%s</figcaption></figure>\n"):format(
        html.image(read(("heatmaps-%d-%d.png"):format(i, j)), label), escape(label))
    end
    out[#out + 1] = "</div>\n"
  end
  out[#out + 1] = "</details>\n"
  return section("heatmaps", "Where the models look", table.concat(out))
end

-- Says how many images were left out; nothing where there were none.
local function skipped_line(count)
  local note = skipped_note(count)
  return note and ('<p class="caveat">%s.</p>\n'):format(escape(note)) or ""
end

local function training_section(trainings, read)
  if #trainings == 0 then return "" end
  local out = {}
  for _, training in ipairs(trainings) do
    out[#out + 1] = wide(('<figure class="overview">%s</figure>\n'):format(html.svg(read(training.name .. ".svg"),
      training.name, "Loss and accuracy by epoch: " .. training.title))) .. skipped_line(training.skipped)
  end
  return section("training", "Training", table.concat(out))
end

local function value_text(value)
  if type(value) == "number" then return ("%.14g"):format(value) end
  if type(value) == "boolean" then return value and "yes" or "no" end
  if type(value) ~= "table" then return tostring(value) end
  local parts = {}
  if #value > 0 then
    for i, item in ipairs(value) do parts[i] = value_text(item) end
  else
    for key, item in pairs(value) do parts[#parts + 1] = ("%s = %s"):format(key, value_text(item)) end
    table.sort(parts)
  end
  return #parts > 0 and table.concat(parts, ", ") or "none"
end

local function settings(rows, margin)
  local experiment, lines = rows.experiment, {}
  local function add(name, value)
    if value ~= nil then
      lines[#lines + 1] = ("<tr><th scope=\"row\">%s</th><td>%s</td></tr>\n"):format(escape(name),
        escape(value_text(value)))
    end
  end
  for _, each in ipairs { { "Methods", "method" }, { "Samplings", "sampling" }, { "Redundancy", "redundancy" },
    { "Repair", "repair" }, { "Rates", "rate" }, { "Seeds", "seed" }, { "Models", "model" } } do
    add(each[1], rows:distinct(each[2]))
  end
  local names = rows:distinct "dataset"
  for _, name in ipairs(names) do
    local data = (experiment.datasets or {})[name] or {}
    local about = {}
    if data.train and data.test then about[1] = ("%d training and %d test images"):format(data.train, data.test) end
    if data.classes then about[#about + 1] = "classes: " .. value_text(data.classes) end
    add("Dataset " .. name, table.concat(about, "; "))
  end
  add("Samples per class", experiment.per_class)
  if rows:varies "repair" or rows:varies "redundancy" then
    add("Calibration images", experiment.calibration_count)
  end
  if experiment.evaluate then
    add("Models evaluated", experiment.evaluate == "compact" and "compact: what is pruned is gone"
      or "masked: what is pruned is zero")
  end
  add("Units ranked", experiment.scope == "layer" and "within each layer" or experiment.scope and "all together")
  add("Units kept per layer, at least", experiment.min_units)
  add("Reduction of relevance", experiment.reduce)
  add("Layers", experiment.layers)
  add("Agreement of explanations", experiment.agreement)
  if experiment.method_options and next(experiment.method_options) then
    add("Options of the methods", experiment.method_options)
  end
  add("Lossless margin", margin)
  return section("settings", "Settings", wide("<table class=\"settings\">\n<tbody>\n" .. table.concat(lines)
    .. "</tbody>\n</table>\n"))
end

--- Makes the page.
-- @tab rows Results
-- @tab parts `title, margin, drops, caption`, `auroc` (`drops`, `caption`, `drawn`, or nil), `costs` (what
--   `tables.costs` gives), `drawn, drawn_costs, decisions,
-- agreements` (figures of `figures.accuracy`, `costs`, `decisions` and `agreement`), `heatmaps, trainings`, and `read`,
-- a function from a figure's file name to its bytes
-- @treturn string
function html_report.make(rows, parts)
  local several = #rows:distinct "dataset" * #rows:distinct "model" > 1
  local title = escape(parts.title)
  return table.concat {
    '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n',
    '<meta name="viewport" content="width=device-width, initial-scale=1">\n',
    '<meta name="color-scheme" content="light dark">\n<title>', title, "</title>\n<style>\n", style,
    "</style>\n</head>\n<body>\n<header>\n<h1>", title, "</h1>\n<p>What pruning by relevance costs: neurons are ",
    "scored on samples of the training split, the least relevant are removed, and the accuracy is measured on the ",
    "test split.</p>\n",
    "<p class=\"caveat\">Research software. Not a medical device; not for clinical use.</p>\n</header>\n<main>\n",
    summary(rows, parts.drops, parts.margin), skipped_line(rows.skipped),
    section("drops", "Accuracy drop", wide(tables.drops_html(parts.drops, parts.caption))),
    section("figures", "Accuracy against pruning rate", accuracy_figures(parts.drawn, parts.read)),
    auroc_section(parts.auroc, parts.read),
    cost_section(parts.costs, parts.drawn_costs, parts.read), decision_section(parts.decisions, parts.read),
    agreement_section(parts.agreements, parts.read),
    section("lossless", "Lossless pruning", wide(tables.lossless_html(rows, parts.margin)),
      several and baseline_table(rows) or ""),
    per_class(rows, parts.drops), heatmap_section(parts.heatmaps, parts.read),
    training_section(parts.trainings, parts.read), settings(rows, parts.margin),
    "</main>\n<footer><p>Made with Secateur from the rows of one sweep. Beside this page, results.csv and ",
    "per_class.csv hold every number, the folder figures every picture with the gnuplot script that draws it.",
    "</p></footer>\n",
    "</body>\n</html>\n" }
end

return html_report
