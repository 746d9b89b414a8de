--- The paper's Table 1: the drop of accuracy at each rate, mean ± standard deviation over models, datasets and seeds,
-- a row per method and sampling. And the table of lossless rates.
-- @module secateur.report.tables
local html = require "secateur.report.html"
local results = require "secateur.results"

local tables = {}

-- The spelling of the paper: three digits of the mean, two of the deviation; never a minus before zero.
local function mean_text(mean)
  local text = ("%.3f"):format(mean)
  return text == "-0.000" and "0.000" or text
end

local function cell(rows)
  local mean, deviation, count = results.statistics(rows, "drop")
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
-- method, as the paper prints it)
-- @treturn table `{rates = {…}, lines = {{method=, sampling=, cells = {…}}, …}}`, a cell being
-- `{mean=, deviation=, count=, text=, best=}`
function tables.drops(rows, opts)
  local by_method = opts and opts.bold == "method"
  local drops = { rates = {}, lines = {} }
  for _, rate in ipairs(rows:distinct "rate") do
    if rate > 0 then drops.rates[#drops.rates + 1] = rate end
  end
  for _, method in ipairs(rows:distinct "method") do
    for _, sampling in ipairs(rows:distinct "sampling") do
      local line = { method = method, sampling = sampling, cells = {} }
      for i, rate in ipairs(drops.rates) do
        line.cells[i] = cell(rows:where { method = method, sampling = sampling, rate = rate })
      end
      drops.lines[#drops.lines + 1] = line
    end
  end
  for i in ipairs(drops.rates) do
    mark_best(drops.lines, i, function(line) return by_method and line.method or "" end)
  end
  return drops
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

--- What Table 1 shows, in a sentence.
-- @tab rows Results
-- @treturn string
function tables.drops_caption(rows)
  local counts = {}
  for i, each in ipairs { { "model", "model" }, { "dataset", "dataset" }, { "seed", "seed" } } do
    local count = #rows:distinct(each[1])
    counts[i] = ("%d %s%s"):format(count, each[2], count == 1 and "" or "s")
  end
  local caption = ("Drop of accuracy from the unpruned model at each pruning rate, mean ± standard deviation over %s, "
    .. "%s and %s (population: divided by n). Lower is better; negative is a gain."):format(table.unpack(counts))
  if #rows < rows.total then
    caption = caption .. (" Incomplete: %d of %d rows are there."):format(#rows, rows.total)
  end
  return caption
end

local function escape_markdown(text)
  return (text:gsub("[\r\n]+", " "):gsub("[\\|`*_%[%]<>&]", "\\%0"))
end

--- Table 1 as Markdown.
-- @tab drops what `drops` gives
-- @string caption
-- @treturn string
function tables.drops_markdown(drops, caption)
  local heads, rule = { "Method", "Sampling" }, { "---", "---" }
  for _, rate in ipairs(drops.rates) do
    heads[#heads + 1], rule[#rule + 1] = "Δ at " .. tables.rate_text(rate), "---:"
  end
  local lines = { "| " .. table.concat(heads, " | ") .. " |", "| " .. table.concat(rule, " | ") .. " |" }
  for _, line in ipairs(drops.lines) do
    local parts = { escape_markdown(tables.method_name(line.method)), escape_markdown(line.sampling) }
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
  local out = { "<table class=\"drops\">\n<caption>" .. html.escape(caption) .. "</caption>\n<thead>\n<tr>"
    .. '<th rowspan="2" scope="col">Method</th><th rowspan="2" scope="col">Sampling</th>'
    .. (#drops.rates == 0 and "" or ('<th colspan="%d" scope="colgroup">Δ accuracy at pruning rate</th>')
      :format(#drops.rates)) .. "</tr>\n<tr>" }
  for _, rate in ipairs(drops.rates) do out[#out + 1] = ('<th scope="col">%s</th>'):format(tables.rate_text(rate)) end
  out[#out + 1] = "</tr>\n</thead>\n<tbody>\n"
  local previous
  for _, line in ipairs(drops.lines) do
    out[#out + 1] = ('<tr%s><th scope="row">%s</th><td>%s</td>'):format(
      previous and previous ~= line.method and ' class="first"' or "",
      html.escape(tables.method_name(line.method)), html.escape(line.sampling))
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

--- Lossless rates as an HTML table: a row per dataset, model and method, a column per sampling.
-- @tab rows Results
-- @number margin
-- @treturn string
function tables.lossless_html(rows, margin)
  local samplings, entries, order = rows:distinct "sampling", {}, {}
  for _, entry in ipairs(rows:lossless(margin)) do
    local key = table.concat({ entry.dataset, entry.model, entry.method }, "\0")
    if not entries[key] then entries[key], order[#order + 1] = { first = entry }, key end
    entries[key][entry.sampling] = entry
  end
  local out = { ('<table class="lossless">\n<caption>Lossless pruning rate: the largest rate of the sweep up to which '
    .. 'the accuracy never drops by more than %s.</caption>\n<thead><tr><th scope="col">Dataset</th>'
    .. '<th scope="col">Model</th><th scope="col">Method</th>'):format(tables.rate_text(margin)) }
  for _, sampling in ipairs(samplings) do out[#out + 1] = '<th scope="col">' .. html.escape(sampling) .. "</th>" end
  out[#out + 1] = "</tr></thead>\n<tbody>\n"
  local previous
  for _, key in ipairs(order) do
    local first = entries[key].first
    local group = first.dataset .. "\0" .. first.model
    out[#out + 1] = ('<tr%s><td>%s</td><td>%s</td><th scope="row">%s</th>'):format(
      previous and previous ~= group and ' class="first"' or "", html.escape(first.dataset), html.escape(first.model),
      html.escape(tables.method_name(first.method)))
    for _, sampling in ipairs(samplings) do
      out[#out + 1] = "<td>" .. lossless_text(entries[key][sampling]) .. "</td>"
    end
    out[#out + 1] = "</tr>\n"
    previous = group
  end
  out[#out + 1] = "</tbody>\n</table>\n"
  return table.concat(out)
end

return tables
