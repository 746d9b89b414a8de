--- Which rows a grid of experiments would have, and which of them are not there.
-- @module secateur.results.grid
local versions = require "secateur.results.versions"

local grid = {}

--- What a row is of, from the outermost axis to the innermost.
grid.axes = { "dataset", "model", "method", "redundancy", "sampling", "repair", "seed", "rate" }

--- Where an experiment names the values of an axis: a list, or a table by name.
grid.named = versions.grid_names

local function sorted(values)
  table.sort(values, function(a, b)
    if type(a) == type(b) and type(a) ~= "boolean" then return a < b end
    return tostring(a) < tostring(b)
  end)
  return values
end

-- The values of an axis: what the last call of sweep asked for; of rows without calls their own, and those that the
-- experiment names besides.
local function values_of(rows, axis)
  local runs = rows.runs or {}
  local asked = ((runs[#runs] or {}).grid or {})[grid.named[axis]]
  if type(asked) == "table" and #asked > 0 then return asked end
  local values, seen = rows:distinct(axis), {}
  for _, value in ipairs(values) do seen[value] = true end
  local said, more = (rows.experiment or {})[grid.named[axis]], {}
  for key, value in pairs(type(said) == "table" and said or {}) do
    if math.type(key) ~= "integer" then value = key end
    if not seen[value] and type(value) ~= "table" then
      seen[value] = true
      more[#more + 1] = value
    end
  end
  return table.move(sorted(more), 1, #more, #values + 1, values)
end

local function key_of(row)
  local words = {}
  for i, axis in ipairs(grid.axes) do
    local value = row[axis]
    words[i] = type(value) == "number" and ("%.9g"):format(value) or tostring(value)
  end
  return table.concat(words, "\0")
end

-- More combinations than anybody waits for: a store may say anything.
local TOO_MANY = 1e6

--- The rows that are missing from the full grid: every combination of the values of the axes without a row. The grid is
-- that of the last call of sweep, where rows know of calls; else of all the values there are.
-- @tab rows Results
-- @tab[opt] where column → a value or a list of values: the rows that are wanted
-- @treturn {table,...} axis → value each, in the grid's order
function grid.missing(rows, where)
  local there = {}
  for _, row in ipairs(rows) do there[key_of(row)] = true end
  local found, at, values, wanted = {}, {}, {}, {}
  for _, axis in ipairs(grid.axes) do wanted[axis] = (where or {})[axis] end
  local size = 1
  for i, axis in ipairs(grid.axes) do
    values[i] = values_of(rows, axis)
    size = size * #values[i]
  end
  if size > TOO_MANY then return {} end
  local function visit(depth)
    if depth > #grid.axes then
      if not there[key_of(at)] and versions.matches(at, wanted) then
        local copy = {}
        for _, axis in ipairs(grid.axes) do copy[axis] = at[axis] end
        found[#found + 1] = copy
      end
      return
    end
    for _, value in ipairs(values[depth]) do
      at[grid.axes[depth]] = value
      visit(depth + 1)
    end
  end
  visit(1)
  return found
end

--- How many rows are of pruned models: rate 0 is the unpruned one.
-- @tab rows
-- @treturn int
function grid.count_pruned(rows)
  local count = 0
  for _, row in ipairs(rows) do count = count + (row.rate > 0 and 1 or 0) end
  return count
end

return grid
