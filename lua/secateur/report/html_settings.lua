--- The parts of the page that say what was run: settings, sizes, runs, and what failed or is not there.
-- @module secateur.report.html_settings
local grid = require "secateur.results.grid"
local html = require "secateur.report.html"
local intervals = require "secateur.results.intervals"
local names = require "secateur.report.names"

local html_settings = {}

local escape = html.escape

-- More of a list than this is in the files.
local MOST = 50

local function value_text(value)
  if math.type(value) == "float" then return ("%.6g"):format(value) end
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

-- A count in groups of three digits: 19,580,000.
local function count_text(value)
  return (("%.0f"):format(value):reverse():gsub("(%d%d%d)", "%1,"):reverse():gsub("^,", ""))
end

-- A size of the unpruned model: of a row of rate 0, or of any row and its share.
local function dense_size(rows, column)
  for _, row in ipairs(rows) do
    local size, share = row[column], row["relative_" .. column]
    if size and row.rate == 0 then return size end
    if size and share and share > 0 then return math.floor(size / share + 0.5) end
  end
end

local function image_counts(rows, name)
  local data = (rows.experiment.datasets or {})[name]
  data = type(data) == "table" and data or {}
  return data, data.train and data.test and ("%d training and %d test images"):format(data.train, data.test)
end

--- The unpruned models: what each has of the metrics, and how large it is.
-- @tab rows Results
-- @tab list of values of `metrics.of`
-- @treturn table as `table_writers` explains
function html_settings.models_table(rows, list)
  local heads, shown = { "Dataset", "Model" }, {}
  for _, metric in ipairs(list) do heads[#heads + 1] = (metric.title:gsub("^%l", string.upper)) end
  local sizes = {}
  for _, column in ipairs { "parameters", "macs" } do
    if #rows:distinct(column) > 0 then
      sizes[#sizes + 1] = column
      heads[#heads + 1] = column == "macs" and "Multiply-adds of an image" or "Parameters"
    end
  end
  for _, pair in ipairs(rows:combinations { "dataset", "model" }) do
    local found = rows:where(pair)
    local line = { pair.dataset, pair.model, group = pair.dataset }
    for _, metric in ipairs(list) do
      local values = {}
      for _, row in ipairs(found) do values[#values + 1] = metric:baseline(row) end
      local summary = intervals.summary(values)
      line[#line + 1] = summary and names.number(summary.mean) or "–"
    end
    for _, column in ipairs(sizes) do
      local size = dense_size(found, column)
      line[#line + 1] = size and count_text(size) or "–"
    end
    shown[#shown + 1] = line
  end
  return { kind = "models", caption = "The unpruned models on the test split.", label = "models", heads = heads,
    names = 2, row_head = 2, lines = shown }
end

local function line_html(name, value)
  return ("<tr><th scope=\"row\">%s</th><td>%s</td></tr>\n"):format(escape(name), escape(value_text(value)))
end

-- Lines about the data sets: how many images and which classes.
local function dataset_lines(rows, add)
  for _, name in ipairs(rows:distinct "dataset") do
    local data, counted = image_counts(rows, name)
    local about = { counted }
    if data.classes then about[#about + 1] = "classes: " .. value_text(data.classes) end
    if #about > 0 then add("Dataset " .. name, table.concat(about, "; ")) end
  end
end

local function experiment_lines(rows, add)
  local experiment = rows.experiment
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
  if experiment.varies and #experiment.varies > 0 then
    add("Settings in which rows differ", experiment.varies)
  end
  if experiment.about and (type(experiment.about) ~= "table" or next(experiment.about)) then
    add("About", experiment.about)
  end
end

local run_heads = { "date", "version", "processor", "level", "threads", "ranks", "rows", "failed", "missing",
  "seconds", "finished" }

local run_titles = { rows = "Rows computed", failed = "Tasks failed", missing = "Rows missing before" }

-- Each call of sweep that the rows come from: when, with what, where.
local function runs_html(runs)
  if #runs == 0 then return "" end
  local heads, seen = {}, {}
  for _, key in ipairs(run_heads) do seen[key] = true end
  local more = {}
  for _, run in ipairs(runs) do
    for key, value in pairs(run) do
      if not seen[key] and type(value) ~= "table" then seen[key], more[#more + 1] = true, key end
    end
  end
  table.sort(more)
  for _, key in ipairs(table.move(more, 1, #more, #run_heads + 1, table.move(run_heads, 1, #run_heads, 1, {}))) do
    for _, run in ipairs(runs) do
      if run[key] ~= nil then
        heads[#heads + 1] = key
        break
      end
    end
  end
  local out = { "<table class=\"runs\">\n<caption>The calls of sweep that wrote to the store",
    #runs > MOST and (", the last %d of %d"):format(MOST, #runs) or "", ".</caption>\n<thead><tr>" }
  for _, key in ipairs(heads) do
    out[#out + 1] = '<th scope="col">' .. escape(run_titles[key]
      or key:gsub("^%l", string.upper):gsub("_", " ")) .. "</th>"
  end
  out[#out + 1] = "</tr></thead>\n<tbody>\n"
  for i = math.max(1, #runs - MOST + 1), #runs do
    out[#out + 1] = "<tr>"
    for _, key in ipairs(heads) do
      local value = runs[i][key]
      if key == "seconds" and type(value) == "number" then value = ("%.1f"):format(value) end
      out[#out + 1] = "<td>" .. (value == nil and "–" or escape(value_text(value))) .. "</td>"
    end
    out[#out + 1] = "</tr>\n"
  end
  return html.wide(table.concat(out) .. "</tbody>\n</table>\n")
end

--- The section of settings.
-- @tab rows Results
-- @number margin
-- @tab list of values of `metrics.of`
-- @tab[opt] where what chose the rows
-- @treturn string
function html_settings.section(rows, margin, list, where)
  local lines = {}
  local function add(name, value)
    if value ~= nil then lines[#lines + 1] = line_html(name, value) end
  end
  if where and next(where) then add("Rows chosen", where) end
  for _, each in ipairs { { "Methods", "method" }, { "Samplings", "sampling" }, { "Redundancy", "redundancy" },
    { "Repair", "repair" }, { "Rates", "rate" }, { "Seeds", "seed" }, { "Models", "model" } } do
    add(each[1], rows:distinct(each[2]))
  end
  dataset_lines(rows, add)
  experiment_lines(rows, add)
  add("Lossless margin", margin)
  local titles = {}
  for i, metric in ipairs(list) do titles[i] = metric.title end
  add("Metrics", titles)
  return html.section("settings", "Settings", html.wide("<table class=\"settings\">\n<tbody>\n" .. table.concat(lines)
    .. "</tbody>\n</table>\n"), runs_html(rows.runs or {}))
end

-- What a row is of, in a few words.
local function axes_text(each)
  local parts = {}
  for _, axis in ipairs(grid.axes) do
    local value = each[axis]
    if value ~= nil and not (axis == "redundancy" and value == false) and not (axis == "repair" and value == "none")
      then
      if axis == "method" then
        parts[#parts + 1] = names.method(tostring(value))
      elseif axis == "rate" and type(value) == "number" then
        parts[#parts + 1] = "rate " .. names.rate(value)
      elseif axis == "seed" then
        parts[#parts + 1] = "seed " .. value_text(value)
      else
        parts[#parts + 1] = axis == "redundancy" and "with redundancy" or tostring(value)
      end
    end
  end
  return table.concat(parts, " · ")
end

local function item_list(list, text_of)
  local out = { "<ul>\n" }
  for i = 1, math.min(#list, MOST) do out[#out + 1] = "<li>" .. escape(text_of(list[i])) .. "</li>\n" end
  if #list > MOST then out[#out + 1] = ("<li>and %d more</li>\n"):format(#list - MOST) end
  return table.concat(out) .. "</ul>\n"
end

--- The section of what is not there: tasks that failed, rows that are missing, rows of other settings. Empty where
-- there is nothing of it.
-- @tab rows Results
-- @tab missing what `grid.missing` gives
-- @treturn string
function html_settings.gaps_section(rows, missing)
  local failed, out = rows.failed or {}, {}
  if #failed > 0 then
    out[#out + 1] = ("<p class=\"caveat\">%s failed.</p>\n"):format(names.count(#failed, "task"))
      .. item_list(failed, function(each) return axes_text(each) .. ": " .. tostring(each.error) end)
  end
  if #missing > 0 then
    out[#out + 1] = ("<details><summary>%s of the grid; missing.csv lists all of them</summary>\n%s"
      .. "</details>\n"):format(#missing == 1 and "1 row is missing" or #missing .. " rows are missing",
      item_list(missing, axes_text))
  end
  local superseded = tonumber(rows.superseded) or 0
  if superseded > 0 then
    out[#out + 1] = ("<p>%s left out: others have the same dataset, model, method, sampling, seed and rate, and were "
      .. "asked for later, with other settings.</p>\n"):format(superseded == 1 and "1 row of the store is"
      or superseded .. " rows of the store are")
  end
  if #out == 0 then return "" end
  return html.section("gaps", "What is not there", table.concat(out))
end

return html_settings
