--- The report as one page of HTML that needs nothing else: styles, figures and pictures are inside, no script.
-- @module secateur.report.html_report
local grid = require "secateur.results.grid"
local html = require "secateur.report.html"
local html_classes = require "secateur.report.html_classes"
local html_settings = require "secateur.report.html_settings"
local lossless = require "secateur.results.lossless"
local metrics = require "secateur.results.metrics"
local names = require "secateur.report.names"
local skipped_note = require "secateur.util.skipped_note"
local style = require "secateur.report.style"
local writers = require "secateur.report.table_writers"

local html_report = {}

local escape = html.escape

local section, wide = html.section, html.wide

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
      complete = complete and cell.is_whole
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
  local list = { names.scoring(each), each.sampling, each.repair ~= "none" and names.repair(each.repair) }
  return table.concat(list, separator, 1, list[3] and 3 or 2)
end

local function capital(text) return (text:gsub("^%l", string.upper)) end

local function percent(value)
  return value and ("%.1f %%"):format(100 * value) or "–"
end

local function card(value, label)
  return ('<div class="card"><b>%s</b><span>%s</span></div>\n'):format(escape(value), escape(label))
end

-- The largest lossless rate, and over what it is lossless.
local function lossless_card(rows, margin, metric_name)
  local largest
  for _, entry in ipairs(lossless(rows, margin, metric_name)) do
    if not largest or entry.rate > largest.rate then largest = entry end
  end
  if not largest then return "" end
  local metric = metrics.of(rows, largest.metric)
  return card((largest.is_open and "≥ " or "") .. names.rate(largest.rate),
    ("largest lossless rate: %s, %s, %s; %s %ss by at most %s for %s, measured up to rate %s"):format(largest.dataset,
    largest.model, combination_text(largest, ", "), metric.title, metric.lost, names.rate(margin), largest.seeds > 1
    and ("each of %d seeds"):format(largest.seeds) or "one seed", names.rate(largest.measured_to)))
end

-- How many pruned models there are, and how many are missing; rate 0 is none.
local function count_card(rows, missing)
  local count, absent = grid.count_pruned(rows), 0
  if #rows < rows.total then
    for _, each in ipairs(missing) do absent = absent + (each.rate > 0 and 1 or 0) end
    if #missing == 0 then absent = rows.total - #rows end
  end
  return card(("%d"):format(count), absent == 0 and (count == 1 and "pruned model measured" or "pruned models measured")
    or ("of %d pruned models measured so far"):format(count + absent))
end

local function summary(rows, parts)
  local cards = {}
  local best = html_report.best(parts.metrics[1].drops)
  if best then
    cards[#cards + 1] = card(combination_text(best, " · "), ("smallest %s of %s, mean over rates"):format(
      parts.metrics[1].metric.lost, parts.metrics[1].metric.title))
  end
  cards[#cards + 1] = lossless_card(rows, parts.margin, parts.metrics[1].lossless_name)
  local shown, lowest, highest = 0, math.huge, -math.huge
  for _, dataset in ipairs(rows:distinct "dataset") do
    for _, model in ipairs(rows:distinct "model") do
      local accuracy = rows:baseline(dataset, model)
      if accuracy then shown, lowest, highest = shown + 1, math.min(lowest, accuracy), math.max(highest, accuracy) end
    end
  end
  if shown == 1 then cards[#cards + 1] = card(percent(lowest), "test accuracy, unpruned") end
  if shown > 1 then
    local range = ("%.1f – %.1f %%"):format(100 * lowest, 100 * highest)
    cards[#cards + 1] = card(percent(lowest) == percent(highest) and percent(lowest) or range,
      ("test accuracy, unpruned, of %d models"):format(shown))
  end
  cards[#cards + 1] = count_card(rows, parts.missing)
  return '<div class="cards">\n' .. table.concat(cards) .. "</div>\n"
end

-- Where there are several models or datasets: the overviews, then each by itself, folded.
local function metric_figures(each, read)
  local out, groups, by_name = {}, {}, {}
  local function element(entry, class)
    return ('<figure class="%s">%s</figure>\n'):format(class, html.svg(read(entry.name .. ".svg"), entry.name,
      ("%s against pruning rate: %s"):format(capital(each.metric.title), entry.title)))
  end
  for _, entry in ipairs(each.drawn) do
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

-- Figures one below the other, each with its title where there are several; folded where there are many.
local function figure_list(drawn, read, about)
  local out, pattern = {}, "%s%s"
  if #drawn > 1 then pattern = "<h3>%s</h3>\n%s" end
  if #drawn > 3 then pattern = "<details><summary>%s</summary>\n%s</details>\n" end
  for i, entry in ipairs(drawn) do
    out[i] = pattern:format(#drawn > 1 and escape(entry.title) or "", wide(('<figure class="overview">%s</figure>\n')
      :format(html.svg(read(entry.name .. ".svg"), entry.name, about(entry) .. ": " .. entry.title))))
  end
  return table.concat(out)
end

-- Strategies of sampling side by side, by one metric; nothing where there is one.
local function strategy_parts(each, read)
  if not each.ranking then return "" end
  local drawn = {}
  for _, entry in ipairs(each.drawn) do
    if entry.kind == "samplings" then drawn[#drawn + 1] = entry end
  end
  return wide(writers.html(each.ranking)) .. wide(writers.html(each.differences)) .. figure_list(drawn, read, function()
    return capital(each.metric.title) .. " against pruning rate, a curve per sampling"
  end)
end

local function strategy_section(parts)
  local first = parts.metrics[1]
  return first.ranking and section("strategies", "Strategies of sampling", strategy_parts(first, parts.read)) or ""
end

-- The other metrics, a section each: table and curves.
local function more_metrics(parts)
  local out = {}
  for i = 2, #parts.metrics do
    local each = parts.metrics[i]
    local why = each.metric.name == "auroc" and each.of_findings and "<p>The accuracy of rare findings is high "
      .. "whatever a model does; the area under the ROC curve is not.</p>\n" or ""
    local title = capital(each.metric.title) .. (each.metric.name == "auroc" and each.of_findings and " of findings"
      or "")
    out[#out + 1] = section(each.metric.name, title, why, wide(writers.html(each.table)),
      strategy_parts(each, parts.read), metric_figures(each, parts.read))
  end
  return table.concat(out)
end

-- What pruned models cost; nothing where it was not measured.
local function cost_section(parts)
  local costs, drawn = parts.costs, parts.drawn_costs
  if not costs and #drawn == 0 then return "" end
  return section("costs", "What pruned models cost", costs and wide(writers.html(costs)) or "",
    figure_list(drawn, parts.read, function(entry)
      return ("%s against %s"):format(capital(parts.metrics[1].metric.title), entry.against)
    end))
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

local function lossless_section(parts)
  local out = {}
  for _, each in ipairs(parts.metrics) do
    if each.lossless then out[#out + 1] = wide(writers.html(each.lossless)) end
  end
  out[#out + 1] = wide(writers.html(parts.models))
  return section("lossless", "Lossless pruning", table.concat(out))
end

--- Makes the page.
-- @tab rows Results
-- @tab parts `title, margin`; `metrics`, a list of `{metric=, drops=, table=, lossless=, lossless_name=, drawn=,
-- ranking=, differences=}` (what `tables.drops`, `drops_table`, `lossless`, `figures.metric` and `strategies` give, the
-- latter nil where there is one sampling), the first of which leads; `costs` (what `tables.costs` gives), `drawn_costs,
-- decisions, agreements` (figures), `models` (a table), `missing` (what `grid.missing` gives), `where`, `heatmaps,
-- trainings`, `formats` (what figures are kept as), and `read`, a function from a figure's file name to its bytes
-- @treturn string
function html_report.make(rows, parts)
  local first, list = parts.metrics[1], {}
  for i, each in ipairs(parts.metrics) do list[i] = each.metric end
  local title = escape(parts.title)
  return table.concat {
    '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n',
    '<meta name="viewport" content="width=device-width, initial-scale=1">\n',
    '<meta name="color-scheme" content="light dark">\n<title>', title, "</title>\n<style>\n", style,
    "</style>\n</head>\n<body>\n<header>\n<h1>", title, "</h1>\n<p>What pruning by relevance costs: neurons are ",
    "scored on samples of the training split, the least relevant are removed, and the ", escape(first.metric.title),
    " is measured on the test split.</p>\n",
    "<p class=\"caveat\">Research software. Not a medical device; not for clinical use.</p>\n</header>\n<main>\n",
    summary(rows, parts), skipped_line(rows.skipped),
    section("drops", ("%s %s"):format(capital(first.metric.title), first.metric.lost), wide(writers.html(first.table))),
    strategy_section(parts),
    section("figures", capital(first.metric.title) .. " against pruning rate", metric_figures(first, parts.read)),
    more_metrics(parts), cost_section(parts), decision_section(parts.decisions, parts.read),
    agreement_section(parts.agreements, parts.read), lossless_section(parts),
    html_classes.section(rows, html_report.best(first.drops), first.metric.lost), heatmap_section(parts.heatmaps,
    parts.read), training_section(parts.trainings, parts.read), html_settings.gaps_section(rows, parts.missing),
    html_settings.section(rows, parts.margin, list, parts.where),
    "</main>\n<footer><p>Made with Secateur. Beside this page, results.csv and per_class.csv hold every number, ",
    "intervals.csv the means over seeds with their intervals, the .tex files the tables for LaTeX (booktabs), the ",
    "folder figures every picture as ", parts.formats, " with the gnuplot script that draws it.</p></footer>\n",
    "</body>\n</html>\n" }
end

return html_report
