--- The paper's Table 1: how much worse than the unpruned model each rate is, mean ± standard deviation over models,
-- datasets and seeds, a row per method and sampling (and redundancy and repair, where there are some). The tables of
-- what pruned models cost, and of lossless rates. Each is plain data, as `table_writers` explains.
-- @module secateur.report.tables
local intervals = require "secateur.results.intervals"
local lossless = require "secateur.results.lossless"
local metrics = require "secateur.results.metrics"
local names = require "secateur.report.names"

local tables = {}

-- How many different values of some axes the rows have for which something is known.
local function count_units(rows, axes, known)
  local seen, count = {}, 0
  for _, row in ipairs(rows) do
    if known(row) then
      local words = {}
      for i, axis in ipairs(axes) do words[i] = tostring(row[axis]) end
      local key = table.concat(words, "\0")
      if not seen[key] then seen[key], count = true, count + 1 end
    end
  end
  return count
end

-- What a mean is over where a cell has fewer than the others: never in silence.
local function of_all(count, expected)
  return count < expected and (" (%d of %d)"):format(count, expected) or ""
end

local function cell(values, expected)
  local found = intervals.summary(values)
  if not found then return { text = "–", count = 0 } end
  return { mean = found.mean, deviation = found.count > 1 and found.deviation or nil, count = found.count,
    shown = names.number(found.mean), is_whole = found.count >= expected, note = of_all(found.count, expected) }
end

-- The spelling of the paper: three digits of the mean, two of the deviation, or where two would say of some cell that
-- there is none, three. A single value has no deviation.
local function write_cells(lines)
  local format = "%s ± %.2f%s"
  for _, line in ipairs(lines) do
    for _, each in ipairs(line.cells) do
      local deviation = each.deviation or 0
      if deviation > 0 and deviation < 0.005 then format = "%s ± %.3f%s" end
    end
  end
  for _, line in ipairs(lines) do
    for _, each in ipairs(line.cells) do
      if each.deviation then each.text = format:format(each.shown, each.deviation, each.note) end
      if each.mean and not each.deviation then each.text = each.shown .. each.note end
    end
  end
end

-- Marks the smallest of each group of lines in a column, among those that nothing is missing of. What prints the same
-- is equally good.
local function mark_best(lines, column, group_of)
  local best = {}
  for _, line in ipairs(lines) do
    local each, group = line.cells[column], group_of(line)
    if each.is_whole then best[group] = math.min(best[group] or math.huge, tonumber(each.shown)) end
  end
  for _, line in ipairs(lines) do
    local each = line.cells[column]
    each.best = each.is_whole and tonumber(each.shown) == best[group_of(line)] or false
  end
end

local function pruned_rates(rows)
  local rates = {}
  for _, rate in ipairs(rows:distinct "rate") do
    if rate > 0 then rates[#rates + 1] = rate end
  end
  return rates
end

--- The cells of Table 1. Rate 0 has no column: nothing is lost there by definition.
-- @tab rows Results
-- @tab[opt] opts `bold`: "column" (default; the best of each column) or "method" (the best of each column within a
-- method, as the paper prints it); `metric` (a value of `metrics.of`; accuracy)
-- @treturn table `{metric=, rates = {…}, redundancy = boolean, repair = boolean, lines = {{method=, sampling=,
-- redundancy=, repair=, cells = {…}}, …}}`: whether the table has a column for redundancy and for repair, and a cell
-- being `{mean=, deviation=, count=, is_whole=, text=, best=}`; `is_whole`: no model, dataset or seed is missing
function tables.drops(rows, opts)
  local metric = opts and opts.metric or metrics.of(rows, "accuracy")
  local by_method = opts and opts.bold == "method"
  local drops = { metric = metric, rates = pruned_rates(rows), lines = {}, redundancy = rows:varies "redundancy",
    repair = rows:varies "repair", by_method = by_method }
  local expected = count_units(rows, { "dataset", "model", "seed" }, function(row) return metric:change(row) end)
  for _, scoring in ipairs(rows:combinations { "method", "redundancy" }) do
    for _, sampling in ipairs(rows:distinct "sampling") do
      for _, repair in ipairs(rows:distinct "repair") do
        local where = { method = scoring.method, redundancy = scoring.redundancy, sampling = sampling, repair = repair }
        local line = { method = scoring.method, redundancy = scoring.redundancy, sampling = sampling, repair = repair,
          cells = {} }
        for i, rate in ipairs(drops.rates) do
          where.rate = rate
          line.cells[i] = cell(metric:changes(rows:where(where)), expected)
        end
        drops.lines[#drops.lines + 1] = line
      end
    end
  end
  write_cells(drops.lines)
  for i in ipairs(drops.rates) do
    mark_best(drops.lines, i, function(line) return by_method and line.method or "" end)
  end
  return drops
end

local function capital(text) return (text:gsub("^%l", string.upper)) end

-- What accuracy is of where images may have several findings.
local function findings_note(rows, metric)
  local several, all = 0, #rows
  for _, row in ipairs(rows) do several = several + (row.exact_match ~= nil and 1 or 0) end
  if several == 0 then return "" end
  if metric.name == "auroc" then return " The area is the mean over findings." end
  if metric.name ~= "accuracy" then return "" end
  return (several == all and " Accuracy is" or " Where images may have several findings, accuracy is")
    .. " the share of decisions about a finding of an image that are right."
end

--- What Table 1 shows, in a few sentences.
-- @tab rows Results
-- @tab drops what `drops` gives
-- @treturn string
function tables.drops_caption(rows, drops)
  local metric, counts, most, partial = drops.metric, {}, 0, false
  for i, key in ipairs { "model", "dataset", "seed" } do
    counts[i] = names.count(count_units(rows, { key }, function(row) return metric:change(row) end), key)
  end
  for _, line in ipairs(drops.lines) do
    for _, each in ipairs(line.cells) do
      most = math.max(most, each.count)
      partial = partial or each.count > 0 and not each.is_whole
    end
  end
  local caption = ("%s of %s from the unpruned model at each pruning rate, %s %s%s. Lower is better; negative is a "
    .. "gain."):format(capital(metric.lost), metric.title, most > 1 and "mean ± standard deviation over" or "of",
      names.list(counts), most > 1 and " (population: divided by n)" or "")
  caption = caption .. findings_note(rows, metric)
  if partial then
    caption = caption .. " (n of N): the mean of the n there are of N models, datasets and seeds; never marked as best."
  end
  if #rows < rows.total then
    caption = caption .. (" Incomplete: %d of %d rows are there."):format(#rows, rows.total)
  end
  return caption
end

--- Table 1 to be written.
-- @tab drops what `drops` gives
-- @string caption
-- @treturn table as `table_writers` explains
function tables.drops_table(drops, caption)
  local heads, names_of = names.columns { redundancy = drops.redundancy, sampling = true, repair = drops.repair }
  local shown = { caption = caption, heads = heads, names = #heads, lines = {}, kind = "drops", label = "drops-"
    .. drops.metric.name:gsub("_", "-"), span = ("Δ %s at pruning rate"):format(drops.metric.title) }
  for _, rate in ipairs(drops.rates) do heads[#heads + 1] = { names.rate(rate), "Δ at " .. names.rate(rate) } end
  for i, line in ipairs(drops.lines) do
    local cells = names_of(line)
    cells.group = line.method
    for _, each in ipairs(line.cells) do cells[#cells + 1] = { text = each.text, best = each.best } end
    shown.lines[i] = cells
  end
  return shown
end

local function lossless_text(entry)
  if not entry then return "–" end
  return ((entry.next_missing or entry.is_open) and "≥ " or "") .. names.rate(entry.rate)
end

-- Over what: metric, margin, seeds and rates.
local function lossless_caption(rows, entries, margin)
  local titles, metric, seen = {}, nil, {}
  for _, entry in ipairs(entries) do
    if not seen[entry.metric] then
      seen[entry.metric] = true
      metric = metrics.of(rows, entry.metric)
      titles[#titles + 1] = metric.title .. (entry.metric == "auroc" and entry.of_findings and " of findings" or "")
    end
  end
  table.sort(titles)
  local seeds, rates = rows:distinct "seed", pruned_rates(rows)
  local measured = #rates == 0 and "No rate has been measured." or ("Measured: %s, %s."):format(
    names.count(#rates, "rate"), #rates == 1 and names.rate(rates[1]) or names.rate(rates[1]) .. " to "
      .. names.rate(rates[#rates]))
  return ("Lossless pruning rate: the largest measured rate at which, and at all smaller ones, the %s on the test "
    .. "split %ss by at most %s, %s. %s ≥: nothing larger has been measured, so that more may be lossless.")
    :format(#titles > 1 and table.concat(titles, " or, of images with several findings, ") or titles[1] or "accuracy",
      metric and metric.lost or "drop", names.rate(margin), #seeds > 1 and ("for each of %d seeds"):format(#seeds)
      or "for one seed", measured)
end

--- Lossless rates: a row per dataset, model and method (redundancy and repair, where there are some), a column per
-- sampling.
-- @tab rows Results
-- @number margin
-- @string[opt] name of the metric; by default the one that `Results:lossless` takes
-- @treturn table as `table_writers` explains
function tables.lossless(rows, margin, name)
  local samplings, entries, order = rows:distinct "sampling", {}, {}
  local heads, names_of = names.columns { redundancy = rows:varies "redundancy", repair = rows:varies "repair" }
  local found = lossless(rows, margin, name)
  for _, entry in ipairs(found) do
    local key = table.concat({ entry.dataset, entry.model, entry.method, tostring(entry.redundancy), entry.repair },
      "\0")
    if not entries[key] then entries[key], order[#order + 1] = { first = entry }, key end
    entries[key][entry.sampling] = entry
    entry.of_findings = #rows:distinct "auroc_drop" > 0
  end
  table.insert(heads, 1, "Dataset")
  table.insert(heads, 2, "Model")
  local shown = { kind = "lossless", label = "lossless" .. (name and "-" .. name:gsub("_", "-") or ""),
    caption = lossless_caption(rows, found, margin), heads = heads, names = #heads, row_head = 3, lines = {},
    span = #samplings > 1 and "Samples chosen by" or nil }
  for _, sampling in ipairs(samplings) do heads[#heads + 1] = sampling end
  for i, key in ipairs(order) do
    local first = entries[key].first
    local line = { first.dataset, first.model, group = first.dataset .. "\0" .. first.model }
    for _, text in ipairs(names_of(first)) do line[#line + 1] = text end
    for _, sampling in ipairs(samplings) do line[#line + 1] = lossless_text(entries[key][sampling]) end
    shown.lines[i] = line
  end
  return shown
end

-- Columns of the table of costs: column of the rows, heading.
local cost_columns = { { "drop", "Δ accuracy" }, { "auroc_drop", "Δ AUROC" },
  { "decision_agreement", "Same decisions" }, { "kl", "KL" }, { "relative_macs", "MACs" },
  { "relative_parameters", "Parameters" }, { "relative_bytes", "File" }, { "relative_latency_1", "Time, 1 image" },
  { "relative_latency_16", "Time, 16 images" } }
local drop_columns = { drop = true, auroc_drop = true }

local function share_text(found, expected)
  if not found then return "–" end
  local text = names.number(found.mean)
  if found.deviation >= 0.0005 then text = ("%s ± %.3f"):format(text, found.deviation) end
  return text .. of_all(found.count, expected)
end

local costs_caption = "What pruned models keep and cost: the drop of accuracy, the share of test images whose "
  .. "decision is the dense model's, the mean KL(dense || pruned) in nats, and shares of the dense model's "
  .. "multiply-adds, parameters, file and time. Mean over %s, ± standard deviation where they differ."

--- What pruned models cost and keep: a line per way of scoring, repair and rate, means over models, datasets, samplings
-- and seeds. Nil where no row has been measured so.
-- @tab rows Results
-- @treturn ?table as `table_writers` explains
function tables.costs(rows)
  local columns, costs = {}, 0
  for _, each in ipairs(cost_columns) do
    if #rows:distinct(each[1]) > 0 then
      columns[#columns + 1] = each
      costs = costs + (drop_columns[each[1]] and 0 or 1)
    end
  end
  if costs == 0 then return nil end -- drops alone have a table of their own
  local heads, names_of = names.columns { redundancy = rows:varies "redundancy", repair = rows:varies "repair" }
  heads[#heads + 1] = "Rate"
  local over, axes = {}, { "model", "dataset", "sampling", "seed" }
  for i, axis in ipairs(axes) do over[i] = names.count(#rows:distinct(axis), axis) end
  local shown = { kind = "drops", label = "costs", caption = costs_caption:format(names.list(over)), heads = heads,
    names = #heads, lines = {} }
  local expected = {}
  for i, each in ipairs(columns) do
    heads[#heads + 1] = each[2]
    expected[i] = count_units(rows, axes, function(row) return row[each[1]] ~= nil end)
  end
  for _, group in ipairs(rows:combinations { "method", "redundancy", "repair", "rate" }) do
    local line = names_of(group)
    line.group = table.concat(line, "\0")
    line[#line + 1] = names.rate(group.rate)
    local found = rows:where(group)
    for i, each in ipairs(columns) do line[#line + 1] = share_text(intervals.of(found, each[1]), expected[i]) end
    if group.rate > 0 then shown.lines[#shown.lines + 1] = line end
  end
  return shown
end

return tables
