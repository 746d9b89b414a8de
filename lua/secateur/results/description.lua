--- What rows of a store depend on, together: the settings in which all of them agree, and which differ.
-- @module secateur.results.description
local json = require "secateur.util.json"
local options = require "secateur.util.options"

local description = {}

-- Settings that belong to one value of an axis, and are put together by its names; and these names.
local of_axes = { dataset = true, model = true, method = true, sampling = true, names = true }

-- The distinct values of a column, sorted.
local function distinct(rows, column, default)
  local seen = {}
  for _, row in ipairs(rows) do
    local value = row[column]
    if value == nil then value = default end
    if value ~= nil then seen[value] = true end
  end
  if seen[true] ~= nil or seen[false] ~= nil then
    local list = {}
    for _, value in ipairs { false, true } do
      if seen[value] then list[#list + 1] = value end
    end
    return list
  end
  local list = {}
  for value in pairs(seen) do list[#list + 1] = value end
  table.sort(list)
  return list
end

-- Puts a value under a name; another one, or none, that is there already makes the setting one that differs.
local function merge(into, name, value, varies, setting)
  local seen, text = into.seen, json.encode(value)
  if seen[name] == nil then
    seen[name], into.values[name] = text, value
  elseif seen[name] ~= text then
    varies[setting] = true
  end
end

local function merger() return { seen = {}, values = {} } end

-- Settings that rows are without where nothing goes by them.
local where_used = { calibration_count = true }

-- The settings of the sweep that all of several descriptions have, and have the same.
local function common(list, varies)
  local shared, texts = merger(), {}
  for _, settings in ipairs(list) do
    for name in pairs(settings) do texts[name] = not of_axes[name] or nil end
  end
  for name in pairs(texts) do
    for _, settings in ipairs(list) do
      if settings[name] ~= nil or not where_used[name] then merge(shared, name, settings[name], varies, name) end
    end
    if varies[name] then shared.values[name] = nil end
  end
  return shared.values
end

-- Every combination of a row's names and its settings once, in order.
local function each_use(rows, hashes, visit)
  local seen = {}
  for i, row in ipairs(rows) do
    local key = table.concat({ hashes[i], row.dataset, row.model, row.method, row.sampling }, "\0")
    if not seen[key] then
      seen[key] = true
      visit(row, hashes[i])
    end
  end
end

--- Describes rows.
-- @tab rows
-- @tab hashes of their settings, in the same order
-- @tab known hash -> settings
-- @treturn table `methods`, `rates`, `seeds`, `repair`, `redundancy` (lists); `samplings` (name -> what stands for it),
--   `method_settings` (name -> the same), `models` (name -> data set -> what stands for it), `datasets` (name ->
--   `{fingerprint=, classes=, train=, test=}`), `method_options` (name -> options); every other setting in which all
--   rows agree, under its name; `varies`, the names of those in which they do not
function description.of(rows, hashes, known)
  local varies, used, list = {}, {}, {}
  local whole = { methods = distinct(rows, "method"), rates = distinct(rows, "rate"), seeds = distinct(rows, "seed"),
    repair = distinct(rows, "repair", "none"), redundancy = distinct(rows, "redundancy", false), models = {},
    method_options = {} }
  local samplings, methods, datasets, models = merger(), merger(), merger(), {}
  each_use(rows, hashes, function(row, hash)
    local settings = known[hash]
    if not used[hash] then used[hash], list[#list + 1] = true, settings end
    models[row.model] = models[row.model] or merger()
    merge(models[row.model], row.dataset, settings.model, varies, "model")
    merge(samplings, row.sampling, settings.sampling, varies, "sampling")
    merge(methods, row.method, settings.method, varies, "method")
    merge(datasets, row.dataset, settings.dataset, varies, "dataset")
  end)
  whole.samplings, whole.method_settings, whole.datasets = samplings.values, methods.values, datasets.values
  for name, of_model in pairs(models) do whole.models[name] = of_model.values end
  for name, settings in pairs(methods.values) do
    local given = type(settings) == "table" and settings.options
    if type(given) == "table" and next(given) then whole.method_options[name] = given end
  end
  for name, value in pairs(common(list, varies)) do
    if whole[name] == nil then whole[name] = value end
  end
  whole.varies = options.sorted_keys(varies)
  return whole
end

return description
