--- The cells of the table of repairs: rows in CSV files that processes side by side append to, and their summary.
local csv = require "secateur.util.csv"
local files = require "secateur.util.files"
local lfs = require "lfs"

local repair_cells = {}

--- The columns. Numbers are of the test images; `drop`s are those of the dense model less those of the pruned one,
-- `agreement` is the share of equal decisions, `kl` the mean of KL(dense || pruned) in nats.
repair_cells.columns = { "model", "set", "family", "seed", "scoring", "rate", "repair", "epochs", "count",
  "dense_accuracy", "accuracy", "drop", "dense_balanced", "balanced", "balanced_drop", "agreement", "kl",
  "relative_macs", "seconds" }

local KEYS = { "model", "scoring", "rate", "repair", "epochs" }

local Cells = {}
Cells.__index = Cells

local function key_of(row)
  local parts = {}
  for i, name in ipairs(KEYS) do parts[i] = name == "rate" and ("%.4f"):format(row[name]) or tostring(row[name]) end
  return table.concat(parts, "\0")
end

-- The rows of one file; a last line that was cut off is left out, and said.
local function read_rows(path)
  local text = assert(files.read_all(path))
  local whole = text:match "^.*\n" or ""
  if #whole < #text then io.stderr:write(("%s: left out a last line that was cut off\n"):format(path)) end
  local rows = assert(csv.parse(whole, { name = path }))
  local list = {}
  for i = 2, #rows do
    local row = {}
    for c, name in ipairs(repair_cells.columns) do
      if rows[1][c] ~= name then error(("%s: expected a column '%s' at %d"):format(path, name, c), 0) end
      row[name] = tonumber(rows[i][c]) or rows[i][c]
    end
    list[#list + 1] = row
  end
  return list, #whole < #text and whole
end

--- Reads all CSV files of a folder.
-- @string folder it is made where there is none
-- @treturn Cells `rows`
function repair_cells.read(folder)
  assert(files.mkdir_p(folder))
  local self, names = setmetatable({ folder = folder, rows = {}, there = {} }, Cells), {}
  for name in lfs.dir(folder) do
    if name:find "%.csv$" then names[#names + 1] = name end
  end
  table.sort(names)
  for _, name in ipairs(names) do
    for _, row in ipairs(read_rows(files.join(folder, name))) do
      if not self.there[key_of(row)] then
        self.there[key_of(row)] = true
        self.rows[#self.rows + 1] = row
      end
    end
  end
  return self
end

--- Opens the file that this process appends to; each process has its own.
-- @string name without the ending
function Cells:open(name)
  local path = files.join(self.folder, name .. ".csv")
  local there = files.is_file(path)
  local cut = there and select(2, read_rows(path))
  if cut then assert(files.write_all(path, cut)) end
  self.file = assert(io.open(path, "a"))
  if not there or cut == "" then self.file:write(csv.encode { repair_cells.columns }) end
  self.file:flush()
end

--- Whether a cell is there already.
-- @tab row with the columns that name a cell: model, scoring, rate, repair, epochs
-- @treturn boolean
function Cells:has(row) return self.there[key_of(row)] or false end

--- Appends a row.
-- @tab row
function Cells:add(row)
  local line = { n = #repair_cells.columns }
  for i, name in ipairs(repair_cells.columns) do
    local value = row[name]
    if math.type(value) == "float" then value = tonumber(("%.6g"):format(value)) end
    line[i] = value
  end
  self.file:write(csv.encode { line })
  self.file:flush()
  self.there[key_of(row)] = true
  self.rows[#self.rows + 1] = row
end

-- ---- the summary ----

local function spread(values)
  local sum, squares = 0, 0
  for _, value in ipairs(values) do sum = sum + value end
  local mean = sum / #values
  for _, value in ipairs(values) do squares = squares + (value - mean) ^ 2 end
  return mean, #values > 1 and math.sqrt(squares / (#values - 1)) or 0
end

-- Values of `keep`'s rows by scoring and repair, then by rate; both lists in order of appearance and size.
local function gather(rows, column, keep)
  local groups, order, seen, rates = {}, {}, {}, {}
  for _, row in ipairs(rows) do
    if keep(row) then
      local repair = row.epochs > 0 and ("%s, %d epochs"):format(row.repair, row.epochs) or row.repair
      local name = row.scoring .. " | " .. repair
      if not groups[name] then
        groups[name], order[#order + 1] = {}, name
      end
      local list = groups[name][row.rate] or {}
      groups[name][row.rate] = list
      list[#list + 1] = row[column]
      if not seen[row.rate] then
        seen[row.rate], rates[#rates + 1] = true, row.rate
      end
    end
  end
  table.sort(rates)
  table.sort(order)
  return groups, order, rates
end

--- A Markdown table of one column: mean ± standard deviation over models, a row per scoring and repair.
-- @string column
-- @func[opt] keep which rows count
-- @treturn string
function Cells:markdown(column, keep)
  local groups, order, rates = gather(self.rows, column, keep or function() return true end)
  local head, rule, lines = { "scoring | repair | models" }, { "---|---|---" }, {}
  for _, rate in ipairs(rates) do
    head[#head + 1], rule[#rule + 1] = ("%g"):format(rate), "---"
  end
  lines[1], lines[2] = "| " .. table.concat(head, " | ") .. " |", "|" .. table.concat(rule, "|") .. "|"
  for _, name in ipairs(order) do
    local cells, most = {}, 0
    for i, rate in ipairs(rates) do
      local values = groups[name][rate]
      cells[i] = values and ("%.4f ± %.4f"):format(spread(values)) or "-"
      most = math.max(most, values and #values or 0)
    end
    lines[#lines + 1] = ("| %s | %d | %s |"):format(name, most, table.concat(cells, " | "))
  end
  return table.concat(lines, "\n")
end

return repair_cells
