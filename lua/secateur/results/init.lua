--- The rows of a sweep, and what they say: drops averaged over models, datasets and seeds, and lossless rates.
-- Plain data, read from a store or handed over by `sweep`; nothing here needs a model.
-- @module secateur.results
local description = require "secateur.results.description"
local lossless = require "secateur.results.lossless"
local grid = require "secateur.results.grid"
local intervals = require "secateur.results.intervals"
local methods = require "secateur.util.methods"
local metrics = require "secateur.results.metrics"
local options = require "secateur.util.options"
local skipped_note = require "secateur.util.skipped_note"
local store = require "secateur.results.store"
local text_table = require "secateur.util.text_table"
local versions = require "secateur.results.versions"

local results = {}

--- The rows of a sweep, a list of tables, as `sweep` gives them. Printed, they are a table.
-- @type Results
-- @field skipped how many images of the test splits, and of no split, were left out because they could not be read
-- @field failed what could not be computed: a list of tables with `error` and the axes that are known
-- @field runs the calls that a store was written by, in order
-- @field is_copy true on ranks other than 0, where several processes share a sweep: what is written of it is rank 0's
-- @field superseded how many older versions of rows a store has beside these
local Results = { __name = "Results" }
Results.__index = Results

-- How many images of all data sets were left out, as far as rows say.
local function count_skipped(rows)
  local of_dataset, total = {}, 0
  for _, row in ipairs(rows) do
    local name, count = row.dataset or "", row.skipped or 0
    local before = of_dataset[name] or 0
    if count > before then of_dataset[name], total = count, total + count - before end
  end
  return total
end

--- Wraps rows. The result is the list of rows itself (`#results`, `results[i]`, `ipairs`), with methods. Rows from
-- before there was repair are told so: `repair` "none", `redundancy` false.
-- @tab rows list of rows, see `sweep`
-- @tab[opt] context `experiment` (settings), `samples`, `margin` (0.05), `total` (how many rows the sweep has),
--   `failed`, `runs` (lists), `superseded` (0), see `read`
-- @treturn Results
function results.new(rows, context)
  context = context or {}
  local self = {}
  for i, row in ipairs(rows) do
    if row.repair == nil then row.repair = "none" end
    if row.redundancy == nil then row.redundancy = false end
    self[i] = row
  end
  self.experiment = context.experiment or {}
  self.samples = context.samples or {}
  self.margin = context.margin or 0.05
  self.total = context.total or #rows
  self.skipped = count_skipped(rows)
  self.failed = context.failed or {}
  self.runs = context.runs or {}
  self.superseded = context.superseded or 0
  return setmetatable(self, Results)
end

--- Whether a value is what `results.new` gives.
-- @param value
-- @treturn boolean
function results.is(value)
  return getmetatable(value) == Results
end

local function count_keys(value)
  local count = 0
  for _ in pairs(value or {}) do count = count + 1 end
  return count
end

local function expected_rows(experiment)
  local total = 1
  for _, key in ipairs { "methods", "rates", "seeds", "repair", "redundancy" } do
    total = total * math.max(1, #(experiment[key] or {}))
  end
  for _, key in ipairs { "samplings", "models", "datasets" } do
    total = total * math.max(1, count_keys(experiment[key]))
  end
  return total
end

local function all_positions(count)
  local list = {}
  for i = 1, count do list[i] = i end
  return list
end

local function keep(rows, positions, where)
  local kept = {}
  for _, i in ipairs(positions) do
    if versions.matches(rows[i], where) then kept[#kept + 1] = i end
  end
  return kept
end

local function pick(list, positions)
  local picked = {}
  for i, position in ipairs(positions) do picked[i] = list[position] end
  return picked
end

local function failures_of(whole, where)
  local failed = {}
  for _, failure in ipairs(versions.standing(whole)) do
    if versions.concerns(failure, where) then failed[#failed + 1] = failure end
  end
  return failed
end

-- What a store of rows with their own settings holds: the last version of every row that is wanted.
local function from_rows(whole, where)
  local positions, superseded = versions.latest(whole.rows, whole.hashes, whole.runs)
  local latest = #positions
  positions = keep(whole.rows, positions, where)
  if latest ~= #positions then -- of those that are wanted
    superseded = #keep(whole.rows, all_positions(#whole.rows), where) - #positions
  end
  versions.sort(positions, whole.rows, whole.runs)
  local rows, hashes = pick(whole.rows, positions), pick(whole.hashes, positions)
  local read = results.new(rows, { experiment = description.of(rows, hashes, whole.cache.settings),
    samples = whole.cache.samples, failed = failures_of(whole, where), runs = whole.runs, superseded = superseded })
  read.total = #rows + #grid.missing(read, where)
  return read
end

--- Reads the rows of a store, also of a sweep that was stopped half-way, and while one writes. Where a store has
-- several versions of a row (the same axes, other settings) the last is taken: that of the latest call about it.
-- @string path
-- @tab[opt] opts `where` (column -> a value, or a list of values: the rows that have them)
-- @treturn[1] Results with `experiment` (what the rows depend on together, see `secateur.results.description`),
--   `superseded` (how many older versions were left out), `failed` (list of `{error=, …axes}`) and `runs` (list)
-- @treturn[2] nil
-- @treturn[2] string what is wrong with the file
function results.read(path, opts)
  local where = opts and opts.where or {}
  local whole, message = store.read(path)
  local wrong = whole and versions.check_where(where, whole.rows)
  if not whole or wrong then return nil, ("store '%s' %s"):format(path, message or wrong) end
  if whole.format > 1 then return from_rows(whole, where) end
  local rows = pick(whole.rows, keep(whole.rows, all_positions(#whole.rows), where))
  return results.new(rows, { experiment = whole.experiment, samples = whole.cache.samples,
    total = next(where) and #rows or expected_rows(whole.experiment) })
end

--- The distinct values of a column, in the order they first occur; numbers sorted.
-- @string column
-- @treturn list
function Results:distinct(column)
  local values, seen, numeric = {}, {}, true
  for _, row in ipairs(self) do
    local value = row[column]
    if value ~= nil and not seen[value] then
      seen[value], values[#values + 1] = true, value
      numeric = numeric and type(value) == "number"
    end
  end
  if numeric then table.sort(values) end
  return values
end

--- The distinct combinations of several columns, in the order they first occur.
-- @tab columns list of names
-- @treturn list of tables, column name → value, as `where` takes them
function Results:combinations(columns)
  local found, seen = {}, {}
  for _, row in ipairs(self) do
    local each, words = {}, {}
    for i, column in ipairs(columns) do
      each[column], words[i] = row[column], tostring(row[column])
    end
    local key = table.concat(words, "\0")
    if not seen[key] then seen[key], found[#found + 1] = true, each end
  end
  return found
end

--- Whether some row was repaired, or scored with redundancy: what tables and figures then have to say.
-- @string column "repair" or "redundancy"
-- @treturn boolean
function Results:varies(column)
  local default = column == "repair" and "none" or false
  for _, row in ipairs(self) do
    if row[column] ~= default then return true end
  end
  return false
end

--- The rows whose columns have the given values, in order.
-- @tab wanted column name → value
-- @treturn list of rows
function Results:where(wanted)
  local found = {}
  for _, row in ipairs(self) do
    local same = true
    for column, value in pairs(wanted) do same = same and row[column] == value end
    if same then found[#found + 1] = row end
  end
  return found
end

--- Mean and standard deviation of the numbers in a column. The deviation is the population's (divided by n): the rows
-- are the whole grid that was run, and a single one has deviation 0.
-- @tab rows
-- @string column
-- @treturn[1] number mean
-- @treturn[1] number standard deviation
-- @treturn[1] integer how many rows had a number
-- @treturn[2] nil where none had one
function results.statistics(rows, column)
  local found = intervals.of(rows, column)
  if found then return found.mean, found.deviation, found.count end
end

--- The lossless rate of every combination: the largest rate of the sweep up to which it gets worse by no more than the
-- margin, for any seed; 0 where the first one does.
-- @number[opt] margin the sweep's, by default 0.05
-- @string[opt] metric a column of the rows, such as "balanced_accuracy"; by default accuracy, where images may have
-- several findings AUROC
-- @treturn list of `{dataset=, model=, method=, sampling=, redundancy=, repair=, metric=, margin=, seeds=, rate=,
--   drop=, measured_to=, is_open=, next_missing=}`: `drop` is the largest change for the worse at that rate,
-- `measured_to` the largest rate that is there for all `seeds`, `is_open` whether that is the lossless one, so that a
-- larger one may be lossless as well; `next_missing` the rate whose rows are missing where that is why the search ended
function Results:lossless(margin, metric)
  margin = options.value("lossless", "margin", margin, { type = "number", min = 0, max = 1, default = self.margin })
  metric = options.value("lossless", "metric", metric, { one_of = metrics.names })
  return lossless(self, margin, metric)
end

--- The unpruned accuracy of a model on a dataset, or nil.
-- @string dataset
-- @string model
-- @treturn ?number
function Results:baseline(dataset, model)
  local row = self:where({ dataset = dataset, model = model })[1]
  return row and row.baseline_accuracy
end

local function format_cell(value)
  if type(value) == "boolean" then return value and "yes" or "no" end
  if type(value) ~= "number" then return tostring(value or "-") end
  return math.type(value) == "integer" and ("%d"):format(value) or ("%.3f"):format(value)
end

local columns = { "dataset", "model", "method", "sampling", "seed", "rate", "accuracy", "drop", "balanced_accuracy" }
-- Shown where some row has the last of them.
local finding_columns = { "auroc", "average_precision", "exact_match" }
-- Shown where some row has them.
local more_columns = { "decision_agreement", "relative_macs", "relative_parameters", "relative_latency_1",
  "agreement_cosine", "agreement_spearman", "agreement_topk" }
local headings = { balanced_accuracy = "balanced", auroc = "AUROC", average_precision = "AP", exact_match = "exact",
  decision_agreement = "decisions", relative_macs = "MACs", relative_parameters = "parameters",
  relative_latency_1 = "time", agreement_cosine = "cosine", agreement_spearman = "Spearman", agreement_topk = "top-k"
  }

local function count_note(count, what, rest)
  return ("%d %s%s %s"):format(count, what, count == 1 and "" or "s", rest)
end

--- A readable table of the rows, and below it what is missing from them.
-- @treturn string
function Results:__tostring()
  local lines, shown, left = { {} }, table.move(columns, 1, #columns, 1, {}), 4
  for _, column in ipairs { "repair", "redundancy" } do
    if self:varies(column) then
      table.insert(shown, 4, column)
      left = left + 1
    end
  end
  for _, column in ipairs(#self:distinct "exact_match" > 0 and finding_columns or {}) do shown[#shown + 1] = column end
  for _, column in ipairs(more_columns) do
    if #self:distinct(column) > 0 then shown[#shown + 1] = column end
  end
  for j, column in ipairs(shown) do lines[1][j] = headings[column] or column end
  for i, row in ipairs(self) do
    lines[i + 1] = {}
    for j, column in ipairs(shown) do
      local value = row[column]
      if column == "rate" and value then value = ("%.2f"):format(value) end
      lines[i + 1][j] = format_cell(value)
    end
  end
  local notes = { skipped_note(self.skipped) }
  if #self.failed > 0 then notes[#notes + 1] = count_note(#self.failed, "task", "failed: see failed") end
  if self.superseded > 0 then
    notes[#notes + 1] = count_note(self.superseded, "older version", "of these rows left out")
  end
  return table.concat({ text_table.format(lines, left), table.unpack(notes) }, "\n")
end

methods.guard(Results)

return results
