--- The paper's Table 1: the drop of accuracy at each rate, mean ± standard deviation over models, datasets and seeds,
-- a row per method and sampling (and redundancy and repair, where there are some). The tables of what pruned models
-- cost, and of lossless rates.
-- @module secateur.report.tables
local html = require "secateur.report.html"
local results = require "secateur.results"
local visible = require "secateur.util.visible"

local tables = {}

-- The spelling of the paper: three digits of the mean, two of the deviation; never a minus before zero.
local function mean_text(mean)
  local text = ("%.3f"):format(mean)
  return text == "-0.000" and "0.000" or text
end

local function cell(rows, column)
  local mean, deviation, count = results.statistics(rows, column)
  if not mean then return { text = "–", count = 0 } end
  return { mean = mean, deviation = deviation, count = count, shown = mean_text(mean),
    text = ("%s ± %.2f"):format(mean_text(mean), deviation) }
end

-- Marks the smallest drop of each group of lines in a column. What prints the same is equally good.
local function mark_best(lines, column, group_of)
  local best = {}
  for _, line in ipairs(lines) do
    local each, group = line.cells[column], group_of(line)
    if each.mean then best[group] = math.min(best[group] or math.huge, tonumber(each.shown)) end
  end
  for _, line in ipairs(lines) do
    local each = line.cells[column]
    each.best = each.mean ~= nil and tonumber(each.shown) == best[group_of(line)]
  end
end

--- The cells of Table 1. Rate 0 has no column: its drop is 0 by definition.
-- @tab rows Results
-- @tab[opt] opts `bold`: "column" (default; the best of each column) or "method" (the best of each column within a
-- method, as the paper prints it); `column`: "drop" (of accuracy), or "auroc_drop"
-- @treturn table `{rates = {…}, redundancy = boolean, repair = boolean, lines = {{method=, sampling=, redundancy=,
-- repair=, cells = {…}}, …}}`: whether the table has a column for redundancy and for repair, and a cell being
-- `{mean=, deviation=, count=, text=, best=}`
function tables.drops(rows, opts)
  local by_method = opts and opts.bold == "method"
  local drops = { rates = {}, lines = {}, column = opts and opts.column or "drop",
    redundancy = rows:varies "redundancy", repair = rows:varies "repair" }
  for _, rate in ipairs(rows:distinct "rate") do
    if rate > 0 then drops.rates[#drops.rates + 1] = rate end
  end
  for _, scoring in ipairs(rows:combinations { "method", "redundancy" }) do
    for _, sampling in ipairs(rows:distinct "sampling") do
      for _, repair in ipairs(rows:distinct "repair") do
        local where = { method = scoring.method, redundancy = scoring.redundancy, sampling = sampling, repair = repair }
        local line = { method = scoring.method, redundancy = scoring.redundancy, sampling = sampling, repair = repair,
          cells = {} }
        for i, rate in ipairs(drops.rates) do
          where.rate = rate
          line.cells[i] = cell(rows:where(where), drops.column)
        end
        drops.lines[#drops.lines + 1] = line
      end
    end
  end
  for i in ipairs(drops.rates) do
    mark_best(drops.lines, i, function(line) return by_method and line.method or "" end)
  end
  return drops
end

local repair_names = { none = "none", bias = "bias", batch_norm = "batch-norm statistics",
  least_squares = "least squares" }

--- A repair as it is written: "least squares".
-- @string repair
-- @treturn string
function tables.repair_name(repair) return repair_names[repair] or repair end

--- A way of scoring as it is written: the method, and whether redundancy counts.
-- @tab scoring `method`, `redundancy`
-- @treturn string
function tables.scoring_name(scoring)
  return tables.method_name(scoring.method) .. (scoring.redundancy and " with redundancy" or "")
end

-- What names a line of a table, as heads and cells: its method and sampling, and the axes that vary.
local function heads_of(drops, with_sampling)
  local heads = { "Method" }
  if drops.redundancy then heads[#heads + 1] = "Redundancy" end
  if with_sampling then heads[#heads + 1] = "Sampling" end
  if drops.repair then heads[#heads + 1] = "Repair" end
  return heads
end

local function names_of(drops, line, with_sampling)
  local names = { tables.method_name(line.method) }
  if drops.redundancy then names[#names + 1] = line.redundancy and "yes" or "no" end
  if with_sampling then names[#names + 1] = line.sampling end
  if drops.repair then names[#names + 1] = tables.repair_name(line.repair) end
  return names
end

--- A method as it is written in the paper: short names in capitals.
-- @string method
-- @treturn string
function tables.method_name(method)
  return #method <= 3 and method:upper() or method
end

--- A rate as text: 0.15, 0.5, 0.125.
-- @number rate
-- @treturn string
function tables.rate_text(rate)
  local text = ("%.4f"):format(rate):gsub("0+$", "")
  return #text < 4 and ("%.2f"):format(rate) or text
end

-- What is lost, by column.
local lost = { drop = "accuracy", auroc_drop = "AUROC" }

-- How many rows have a column, and how many values a key has among these.
local function count_where(rows, column, key)
  local seen, values, count = {}, 0, 0
  for _, row in ipairs(rows) do
    if row[column] ~= nil then
      count = count + 1
      if not seen[row[key]] then seen[row[key]], values = true, values + 1 end
    end
  end
  return count, values
end

--- What Table 1 shows, in a sentence.
-- @tab rows Results
-- @string[opt="drop"] column
-- @treturn string
function tables.drops_caption(rows, column)
  local counts = {}
  for i, key in ipairs { "model", "dataset", "seed" } do
    local _, count = count_where(rows, column or "drop", key)
    counts[i] = ("%d %s%s"):format(count, key, count == 1 and "" or "s")
  end
  local caption = ("Drop of %s from the unpruned model at each pruning rate, mean ± standard deviation over %s, "
    .. "%s and %s (population: divided by n). Lower is better; negative is a gain."):format(lost[column or "drop"],
    table.unpack(counts))
  local several = count_where(rows, "exact_match", "dataset")
  if several > 0 then
    local accuracy = several == #rows and " Accuracy is" or " Where images may have several findings, accuracy is"
    caption = caption .. (column == "auroc_drop" and " The area is the mean over findings."
      or accuracy .. " the share of decisions about a finding of an image that are right.")
  end
  if #rows < rows.total then
    caption = caption .. (" Incomplete: %d of %d rows are there."):format(#rows, rows.total)
  end
  return caption
end

local function escape_markdown(text)
  return (visible((text:gsub("[\r\n]+", " "))):gsub("[\\|`*_%[%]<>&]", "\\%0"))
end

--- Table 1 as Markdown.
-- @tab drops what `drops` gives
-- @string caption
-- @treturn string
function tables.drops_markdown(drops, caption)
  local heads, rule = heads_of(drops, true), {}
  for i in ipairs(heads) do rule[i] = "---" end
  for _, rate in ipairs(drops.rates) do
    heads[#heads + 1], rule[#rule + 1] = "Δ at " .. tables.rate_text(rate), "---:"
  end
  local lines = { "| " .. table.concat(heads, " | ") .. " |", "| " .. table.concat(rule, " | ") .. " |" }
  for _, line in ipairs(drops.lines) do
    local parts = names_of(drops, line, true)
    for i, name in ipairs(parts) do parts[i] = escape_markdown(name) end
    for _, each in ipairs(line.cells) do parts[#parts + 1] = each.best and "**" .. each.text .. "**" or each.text end
    lines[#lines + 1] = "| " .. table.concat(parts, " | ") .. " |"
  end
  return table.concat(lines, "\n") .. "\n\n" .. caption .. "\n"
end

--- Table 1 as an HTML table element.
-- @tab drops what `drops` gives
-- @string caption
-- @treturn string
function tables.drops_html(drops, caption)
  local out = { "<table class=\"drops\">\n<caption>" .. html.escape(caption) .. "</caption>\n<thead>\n<tr>" }
  for _, head in ipairs(heads_of(drops, true)) do
    out[#out + 1] = '<th rowspan="2" scope="col">' .. head .. "</th>"
  end
  out[#out + 1] = (#drops.rates == 0 and "" or ('<th colspan="%d" scope="colgroup">Δ %s at pruning rate</th>')
    :format(#drops.rates, lost[drops.column or "drop"])) .. "</tr>\n<tr>"
  for _, rate in ipairs(drops.rates) do out[#out + 1] = ('<th scope="col">%s</th>'):format(tables.rate_text(rate)) end
  out[#out + 1] = "</tr>\n</thead>\n<tbody>\n"
  local previous
  for _, line in ipairs(drops.lines) do
    out[#out + 1] = '<tr' .. (previous and previous ~= line.method and ' class="first">' or ">")
    for i, name in ipairs(names_of(drops, line, true)) do
      out[#out + 1] = (i == 1 and '<th scope="row">%s</th>' or "<td>%s</td>"):format(html.escape(name))
    end
    for _, each in ipairs(line.cells) do
      out[#out + 1] = each.best and "<td><strong>" .. each.text .. "</strong></td>" or "<td>" .. each.text .. "</td>"
    end
    out[#out + 1] = "</tr>\n"
    previous = line.method
  end
  out[#out + 1] = "</tbody>\n</table>\n"
  return table.concat(out)
end

local function lossless_text(entry)
  if not entry then return "–" end
  return (entry.next_missing and "≥ " or "") .. tables.rate_text(entry.rate)
end

--- Lossless rates as an HTML table: a row per dataset, model and method (redundancy and repair, where there are some),
-- a column per sampling.
-- @tab rows Results
-- @number margin
-- @treturn string
function tables.lossless_html(rows, margin)
  local samplings, entries, order = rows:distinct "sampling", {}, {}
  local axes = { redundancy = rows:varies "redundancy", repair = rows:varies "repair" }
  for _, entry in ipairs(rows:lossless(margin)) do
    local key = table.concat({ entry.dataset, entry.model, entry.method, tostring(entry.redundancy), entry.repair },
      "\0")
    if not entries[key] then entries[key], order[#order + 1] = { first = entry }, key end
    entries[key][entry.sampling] = entry
  end
  local out = { ('<table class="lossless">\n<caption>Lossless pruning rate: the largest rate of the sweep up to which '
    .. 'the %s never drops by more than %s.</caption>\n<thead><tr><th scope="col">Dataset</th>'
    .. '<th scope="col">Model</th>'):format(#rows:distinct "auroc_drop" > 0 and "AUROC of findings" or "accuracy",
    tables.rate_text(margin)) }
  local heads = heads_of(axes)
  for _, head in ipairs(table.move(samplings, 1, #samplings, #heads + 1, heads)) do
    out[#out + 1] = '<th scope="col">' .. html.escape(head) .. "</th>"
  end
  out[#out + 1] = "</tr></thead>\n<tbody>\n"
  local previous
  for _, key in ipairs(order) do
    local first = entries[key].first
    local group = first.dataset .. "\0" .. first.model
    out[#out + 1] = ('<tr%s><td>%s</td><td>%s</td>'):format(previous and previous ~= group and ' class="first"' or "",
      html.escape(first.dataset), html.escape(first.model))
    for i, name in ipairs(names_of(axes, first)) do
      out[#out + 1] = (i == 1 and '<th scope="row">%s</th>' or "<td>%s</td>"):format(html.escape(name))
    end
    for _, sampling in ipairs(samplings) do
      out[#out + 1] = "<td>" .. lossless_text(entries[key][sampling]) .. "</td>"
    end
    out[#out + 1] = "</tr>\n"
    previous = group
  end
  out[#out + 1] = "</tbody>\n</table>\n"
  return table.concat(out)
end

local function share_text(mean, deviation)
  return deviation >= 0.0005 and ("%s ± %.3f"):format(mean_text(mean), deviation) or mean_text(mean)
end

-- Columns of the table of costs: column of the rows, heading.
local cost_columns = { { "drop", "Δ accuracy" }, { "auroc_drop", "Δ AUROC" },
  { "decision_agreement", "Same decisions" }, { "kl", "KL" }, { "relative_macs", "MACs" },
  { "relative_parameters", "Parameters" }, { "relative_bytes", "File" }, { "relative_latency_1", "Time, 1 image" },
  { "relative_latency_16", "Time, 16 images" } }

--- What pruned models cost and keep: a line per way of scoring, repair and rate, means over models, datasets, samplings
-- and seeds. Nil where no row has been measured so.
-- @tab rows Results
-- @treturn ?table `{heads = {…}, lines = {{…}, …}}`, texts; `names`, how many of the columns are names
function tables.costs(rows)
  local shown, table_of = {}, { lines = {} }
  for _, each in ipairs(cost_columns) do
    if #rows:distinct(each[1]) > 0 then shown[#shown + 1] = each end
  end
  local costs = 0
  for _, each in ipairs(shown) do costs = costs + (lost[each[1]] and 0 or 1) end
  if costs == 0 then return nil end -- drops alone have a table of their own
  local axes = { redundancy = rows:varies "redundancy", repair = rows:varies "repair" }
  table_of.heads = heads_of(axes)
  table_of.heads[#table_of.heads + 1] = "Rate"
  table_of.names = #table_of.heads
  for _, each in ipairs(shown) do table.insert(table_of.heads, each[2]) end
  for _, group in ipairs(rows:combinations { "method", "redundancy", "repair", "rate" }) do
    local line = names_of(axes, group)
    line[#line + 1] = tables.rate_text(group.rate)
    for _, each in ipairs(shown) do
      local mean, deviation = results.statistics(rows:where(group), each[1])
      line[#line + 1] = mean and share_text(mean, deviation) or "–"
    end
    if group.rate > 0 then table_of.lines[#table_of.lines + 1] = line end
  end
  return table_of
end

tables.costs_caption = "What pruned models keep and cost: the drop of accuracy, the share of test images whose "
  .. "decision is the dense model's, the mean KL(dense || pruned) in nats, and shares of the dense model's "
  .. "multiply-adds, parameters, file and time. Mean ± standard deviation over models, datasets, samplings and seeds."

--- The table of costs as Markdown.
-- @tab costs what `costs` gives
-- @treturn string
function tables.costs_markdown(costs)
  local rule, lines = {}, {}
  for i in ipairs(costs.heads) do rule[i] = i < costs.names and "---" or "---:" end
  for i, line in ipairs(costs.lines) do
    lines[i] = {}
    for j, text in ipairs(line) do lines[i][j] = escape_markdown(text) end
  end
  table.insert(lines, 1, rule)
  table.insert(lines, 1, costs.heads)
  for i, line in ipairs(lines) do lines[i] = "| " .. table.concat(line, " | ") .. " |" end
  return table.concat(lines, "\n") .. "\n\n" .. escape_markdown(tables.costs_caption) .. "\n"
end

--- The table of costs as an HTML table element.
-- @tab costs what `costs` gives
-- @treturn string
function tables.costs_html(costs)
  local out = { "<table class=\"drops\">\n<caption>", html.escape(tables.costs_caption), "</caption>\n<thead><tr>" }
  for _, head in ipairs(costs.heads) do out[#out + 1] = '<th scope="col">' .. html.escape(head) .. "</th>" end
  out[#out + 1] = "</tr></thead>\n<tbody>\n"
  local previous
  for _, line in ipairs(costs.lines) do
    local group = table.concat(line, "\0", 1, costs.names - 1)
    out[#out + 1] = previous and previous ~= group and '<tr class="first">' or "<tr>"
    for j, text in ipairs(line) do
      out[#out + 1] = (j == 1 and '<th scope="row">%s</th>' or "<td>%s</td>"):format(html.escape(text))
    end
    out[#out + 1] = "</tr>\n"
    previous = group
  end
  out[#out + 1] = "</tbody>\n</table>\n"
  return table.concat(out)
end

return tables
