--- What the values of a store may be. A store is a file like any other: it may have been changed, damaged or made by
-- somebody else, so that whatever is read from it is checked before it is used.
-- @module secateur.results.store_contents
local errors = require "secateur.util.errors"
local fingerprint = require "secateur.util.fingerprint"
local is_list = require "secateur.util.is_list"
local json = require "secateur.util.json"
local options = require "secateur.util.options"

local store_contents = {}

local function is_text(value) return type(value) == "string" end
local function is_name(value) return type(value) == "string" and value ~= "" end
local function is_number(value) return type(value) == "number" end
local function is_finite(value) return type(value) == "number" and value - value == 0 end
local function is_boolean(value) return type(value) == "boolean" end
local function is_integer(value) return math.type(value) == "integer" end
local function is_count(value) return math.type(value) == "integer" and value >= 0 end
local function is_index(value) return math.type(value) == "integer" and value >= 1 end
local function is_share(value) return type(value) == "number" and value >= 0 and value <= 1 end
local function is_rate(value) return type(value) == "number" and value >= 0 and value < 1 end

-- A check of a value: whether it is good, and what is expected.
local name = { is_name, "a name" }
local number, boolean = { is_number, "a number" }, { is_boolean, "true or false" }
local integer, count = { is_integer, "a whole number" }, { is_count, "a whole number of at least 0" }
local finite = { is_finite, "a finite number" }
local rate, share = { is_rate, "a number in [0, 1)" }, { is_share, "a number in [0, 1]" }

local function list_of(is_good, what)
  return { function(value) return is_list(value, is_good) end, "a list of " .. what }
end

-- A table with names as keys, all of whose values are good.
local function is_map(value, is_good)
  if type(value) ~= "table" then return false end
  for key, entry in pairs(value) do
    if type(key) ~= "string" or not is_good(entry) then return false end
  end
  return true
end

local words = { inf = true, ["-inf"] = true, nan = true, ["-nan"] = true }

-- Numbers with spaces between them, as "%.9g" writes them; `finite_only` where they must be.
local function is_numbers(value, finite_only)
  if type(value) ~= "string" then return false end
  for word in value:gmatch "%S+" do
    local found = tonumber(word)
    if not found and (finite_only or not words[word]) then return false end
    if finite_only and found - found ~= 0 then return false end
  end
  return true
end

local function is_finite_numbers(value) return is_numbers(value, true) end

local per_class = { function(value)
  return is_list(value, function(class) return is_map(class, is_number) end)
end, "a list of tables of numbers" }

-- Columns of a row that are measured; whatever is not named here was added by a later version, and is nobody's yet.
local measured = { per_class = per_class, accuracy = share, baseline_accuracy = share, drop = finite,
  drop_low = finite, drop_high = finite }
for _, column in ipairs { "units_pruned", "units_total", "repair_layers", "parameters", "macs", "bytes", "peak_bytes",
  "skipped" } do
  measured[column] = count
end
for _, column in ipairs { "balanced_accuracy", "macro_f1",
  "auroc", "ece", "loss", "decision_agreement", "kl", "exact_match", "average_precision", "brier", "auroc_drop",
  "baseline_auroc", "latency_1", "latency_16", "relative_parameters", "relative_macs", "relative_bytes",
  "relative_latency_1", "relative_latency_16", "agreement_cosine", "agreement_spearman", "agreement_topk",
  "score_seconds", "repair_seconds", "evaluate_seconds", "agreement_seconds", "seconds" } do
  measured[column] = number
end

local row_columns = { dataset = name, model = name, method = name, sampling = name, seed = integer, rate = rate,
  redundancy = boolean, repair = name, scope = name }
for column, rule in pairs(measured) do row_columns[column] = rule end

local function is_plain() return true end
local names_as_keys = { function(value) return is_map(value, is_plain) end, "a table with names as keys" }

-- A data set as an experiment describes it.
local function is_dataset(value)
  return is_map(value, is_plain) and (value.classes == nil or is_list(value.classes, is_text))
    and (value.train == nil or is_count(value.train)) and (value.test == nil or is_count(value.test))
end

local experiment_fields = { methods = list_of(is_name, "names"), rates = list_of(is_rate, "numbers in [0, 1)"),
  seeds = list_of(is_integer, "whole numbers"), repair = list_of(is_name, "names"),
  redundancy = list_of(is_boolean, "true or false"), calibration_count = count, latency = boolean,
  evaluate = { function(value) return value == "compact" or value == "masked" end, "'compact' or 'masked'" },
  samplings = names_as_keys, models = names_as_keys, method_options = names_as_keys,
  datasets = { function(value) return is_map(value, is_dataset) end,
    "what each data set is: classes (names), train and test (counts)" } }

-- Whether nothing is wrong with the fields of a table.
local function is_sound(value, rules, required)
  for _, field in ipairs(required) do
    if value[field] == nil then return false end
  end
  for field, entry in pairs(value) do
    local rule = rules[field]
    if rule and not rule[1](entry) then return false end
  end
  return true
end

-- What is wrong with the fields of a table, or nil: the first by name, so that the message is the same every time.
local function check_fields(value, rules, required)
  if type(value) ~= "table" then return "expected a table, got " .. options.describe(value) end
  if is_sound(value, rules, required) then return end
  local checked = {}
  for _, field in ipairs(required) do checked[field] = true end
  for field in pairs(rules) do checked[field] = checked[field] or value[field] ~= nil or nil end
  for _, field in ipairs(options.sorted_keys(checked)) do
    local rule = rules[field]
    if not rule[1](value[field]) then
      return ("%s: expected %s, got %s"):format(field, rule[2],
        value[field] == nil and "nothing" or options.describe(value[field]))
    end
  end
end

-- The axes that a row's key spells, in its order.
local axes = { "dataset", "model", "method", "sampling", "seed", "rate", "redundancy", "repair" }
local defaults = { redundancy = false, repair = "none" }

--- The key of a row: its axes, and what stands for all else that it depends on.
-- @tab row `dataset`, `model`, `method`, `sampling`, `seed`, `rate`, and where they are not the defaults `redundancy`
--   and `repair`
-- @string hash of its settings, see `hash`
-- @treturn string
function store_contents.row_key(row, hash)
  local parts = {}
  for i, axis in ipairs(axes) do
    parts[i] = row[axis]
    if parts[i] == nil then parts[i] = defaults[axis] end
  end
  return json.encode(parts) .. " " .. hash
end

--- What stands for the settings of rows: kind "settings" has them under it.
-- @tab settings plain data
-- @treturn string 16 hexadecimal digits
function store_contents.hash(settings)
  return fingerprint.text(json.encode(settings))
end

--- The hash of settings that a row's key ends with.
-- @string key
-- @treturn ?string nil where it has none
function store_contents.hash_of(key)
  return key:match " (%x%x%x%x%x%x%x%x%x%x%x%x%x%x%x%x)$"
end

-- A row stands under the key that its own columns make.
local function check_key(row, key)
  local good, parts = errors.try(json.decode, (key:gsub(" %x+$", "")))
  if not good or type(parts) ~= "table" or #parts < 6 then
    return ("key: expected a list of dataset, model, method, sampling, seed and rate, got '%s'"):format(key)
  end
  for i, axis in ipairs(axes) do
    local wanted, value = parts[i], row[axis]
    if wanted == nil then wanted = defaults[axis] end
    if value == nil then value = defaults[axis] end
    if wanted ~= value then
      return ("%s: expected what its key says, %s, got %s"):format(axis, options.describe(wanted),
        options.describe(value))
    end
  end
end

local checks = {}

local required = { "dataset", "model", "method", "sampling", "seed", "rate", "accuracy", "drop" }

function checks.row(row, key)
  return check_fields(row, row_columns, required) or check_key(row, key)
end

-- What rows depend on beside their axes. Whatever is not named here is anything.
local settings_fields = { scope = name, evaluate = experiment_fields.evaluate, latency = boolean,
  calibration_count = count,
  dataset = { is_dataset, "what the data set is: classes (names), train and test (counts)" } }

function checks.settings(settings, key)
  if not is_map(settings, is_plain) then return "expected a table with names as keys" end
  local wrong = check_fields(settings, settings_fields, {})
  if wrong then return wrong end
  local good, message = errors.try(json.encode, settings)
  if not good then return message end
  if store_contents.hash(settings) ~= key then
    return ("expected what its key stands for, got what has the key %s"):format(store_contents.hash(settings))
  end
end

local grid_fields = { methods = list_of(is_name, "names"), samplings = list_of(is_name, "names"),
  models = list_of(is_name, "names"), datasets = list_of(is_name, "names"),
  rates = list_of(is_rate, "numbers in [0, 1)"), seeds = list_of(is_integer, "whole numbers"),
  redundancy = list_of(is_boolean, "true or false"), repair = list_of(is_name, "names") }
local run_fields = { grid = { function(value) return not check_fields(value, grid_fields, {}) end,
    "a table of lists: methods, samplings, models, datasets, rates, seeds, redundancy, repair" },
  settings = list_of(is_name, "names"), version = name, date = name, processor = name, threads = count, ranks = count,
  seconds = number }

function checks.run(run)
  if not is_map(run, is_plain) then return "expected a table with names as keys" end
  return check_fields(run, run_fields, {})
end

local failure_fields = { error = { is_text, "text" }, dataset = name, model = name, method = name, sampling = name,
  seed = integer, rate = rate, redundancy = boolean, repair = name }

function checks.failure(failure)
  if not is_map(failure, is_plain) then return "expected a table with names as keys" end
  return check_fields(failure, failure_fields, { "error" })
end

function checks.baseline(columns)
  return check_fields(columns, measured, { "accuracy" })
end

function checks.samples(indices)
  if is_list(indices, is_index) then return end
  return "expected a list of indices, got " .. options.describe(indices)
end

function checks.weights(weights)
  if is_list(weights, is_finite) then return end
  return "expected a list of finite numbers, got " .. options.describe(weights)
end

function checks.findings(findings)
  if is_list(findings, is_count) then return end
  return "expected a list of whole numbers, got " .. options.describe(findings)
end

function checks.model(value)
  if not is_text(value) then return "expected text, got " .. options.describe(value) end
end

function checks.scores(value)
  local scores = { function(entries)
    return is_map(entries, function(entry) return is_numbers(entry) end)
  end, "numbers by layer" }
  return check_fields(value, { scores = scores, seconds = number }, { "scores", "seconds" })
end

-- As many logits of each image as of the first, and an image of each row.
local function check_logits(rows, indices)
  local width
  for i, row in ipairs(rows) do
    local _, found = row:gsub("%S+", "")
    width = width or found
    if found ~= width or found == 0 then
      return ("logits: expected %d numbers in row %d, got %d"):format(math.max(1, width), i, found)
    end
  end
  if #rows ~= #indices then return ("indices: expected %d, got %d"):format(#rows, #indices) end
end

function checks.logits(value)
  local fields = { logits = list_of(is_finite_numbers, "rows of numbers"), indices = list_of(is_index, "indices") }
  return check_fields(value, fields, { "logits", "indices" }) or check_logits(value.logits, value.indices)
end

--- What is wrong with a value of a store.
-- @string kind "row", "settings", "run", "failure", or a kind of what is kept beside them; others may be anything
-- @param value as decoded
-- @string key
-- @treturn ?string the field, what was expected and what came; nil where nothing is wrong
function store_contents.check(kind, value, key)
  local check = checks[kind]
  return check and check(value, key)
end

--- What is wrong with the description of an experiment.
-- @param experiment as decoded
-- @treturn ?string the field, what was expected and what came; nil where nothing is wrong
function store_contents.check_experiment(experiment)
  if type(experiment) ~= "table" then return "it describes no experiment" end
  if not is_map(experiment, is_plain) then return "experiment: expected names as keys" end
  local wrong = check_fields(experiment, experiment_fields, {})
  if wrong then return "experiment: " .. wrong end
  local good, message = errors.try(json.encode, experiment)
  if not good then return "experiment: " .. message end
end

return store_contents
