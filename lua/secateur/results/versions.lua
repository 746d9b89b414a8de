--- Which rows of a store are meant: a store may hold several versions of a row (the same axes, other settings), and
-- rows of many calls.
-- @module secateur.results.versions
local contents = require "secateur.results.store_contents"
local options = require "secateur.util.options"

local versions = {}

--- Axis of a row -> the name of its values in the grid of a run, and in a description.
versions.grid_names = { dataset = "datasets", model = "models", method = "methods", sampling = "samplings",
  seed = "seeds", rate = "rates", redundancy = "redundancy", repair = "repair" }

-- The order of rows: what changes slowest first.
local order = { "dataset", "model", "seed", "sampling", "method", "redundancy", "repair", "rate" }
local defaults = { redundancy = false, repair = "none" }

local function axis(row, name)
  if row[name] == nil then return defaults[name] end
  return row[name]
end

local function axes_key(row) return contents.row_key(row, "") end

-- What a run asked for, as a set for each axis that it names.
local function sets_of(run)
  local sets = {}
  for name, of_grid in pairs(versions.grid_names) do
    local list = (run.grid or {})[of_grid]
    sets[name] = list and {}
    for _, value in ipairs(list or {}) do sets[name][value] = true end
  end
  return sets
end

local function has_row(sets, row)
  for name, set in pairs(sets) do
    if not set[axis(row, name)] then return false end
  end
  return true
end

-- A function of a row and the hash of its settings: which run was the last to ask for it, 0 where none did.
local function last_asked(runs)
  local naming, sets = {}, {} -- hash -> runs, the last one first
  for i = #runs, 1, -1 do
    sets[i] = sets_of(runs[i])
    for _, hash in ipairs(runs[i].settings or {}) do
      naming[hash] = naming[hash] or {}
      table.insert(naming[hash], i)
    end
  end
  return function(row, hash)
    for _, i in ipairs(naming[hash] or {}) do
      if has_row(sets[i], row) then return i end
    end
    return 0
  end
end

--- The last version of every row: of those that runs asked for, by its settings and its axes, the one of the latest;
-- of what none asked for the one that was written last.
-- @tab rows
-- @tab hashes of their settings
-- @tab runs in order
-- @treturn list of positions in `rows`, ascending
-- @treturn int how many rows are superseded
function versions.latest(rows, hashes, runs)
  local rank_of = last_asked(runs)
  local best, ranks, keys, list = {}, {}, {}, {}
  for i, row in ipairs(rows) do
    local key, rank = axes_key(row), rank_of(row, hashes[i])
    if not best[key] or rank >= ranks[key] then best[key], ranks[key] = i, rank end
    keys[i] = key
  end
  for i, key in ipairs(keys) do
    if best[key] == i then list[#list + 1] = i end
  end
  return list, #rows - #list
end

local function is_whole(failure)
  for _, name in ipairs(order) do
    if axis(failure, name) == nil then return false end
  end
  return true
end

--- The failures that still stand: of rows that are not there as the same run, or a later one, asked for them, and that
-- failed no later time.
-- @tab whole `failures` and `failure_hashes` (false where there is none), `rows`, `hashes`, `runs`
-- @treturn list of failures
function versions.standing(whole)
  local rank_of = last_asked(whole.runs)
  local done, failed, ranks = {}, {}, {} -- by axes, the latest run; of each failure its own
  for i, row in ipairs(whole.rows) do
    local key = axes_key(row)
    done[key] = math.max(done[key] or 0, rank_of(row, whole.hashes[i]))
  end
  for i, failure in ipairs(whole.failures) do
    local hash = whole.failure_hashes[i]
    if hash and is_whole(failure) then
      local key = axes_key(failure)
      ranks[i] = rank_of(failure, hash)
      failed[key] = math.max(failed[key] or 0, ranks[i])
    end
  end
  local standing = {}
  for i, failure in ipairs(whole.failures) do
    local key = ranks[i] and axes_key(failure)
    if not key or ranks[i] == failed[key] and ranks[i] > (done[key] or -1) then standing[#standing + 1] = failure end
  end
  return standing
end

-- Places of the values of an axis, by the lists of the runs, the last one first; what none has comes after them.
local function places(runs, name)
  local place, count = {}, 0
  for i = #runs, 1, -1 do
    for _, value in ipairs((runs[i].grid or {})[versions.grid_names[name]] or {}) do
      if place[value] == nil then count, place[value] = count + 1, count + 1 end
    end
  end
  return place
end

local function is_before(a, b, place)
  if place[a] ~= place[b] then return (place[a] or math.huge) < (place[b] or math.huge) end
  if type(a) == "boolean" then return not a end
  return a < b
end

--- Sorts rows as a sweep gives them, whatever the order in which they were computed: by dataset, model, seed, sampling,
-- method, redundancy, repair and rate. Names and seeds are in the order in which calls named them, rates and whatever
-- no call names in their own.
-- @tab list of positions in `rows`, sorted in place
-- @tab rows
-- @tab runs in order
function versions.sort(list, rows, runs)
  local place = {}
  for _, name in ipairs(order) do place[name] = name == "rate" and {} or places(runs, name) end
  table.sort(list, function(i, j)
    for _, name in ipairs(order) do
      local a, b = axis(rows[i], name), axis(rows[j], name)
      if a ~= b then return is_before(a, b, place[name]) end
    end
    return i < j
  end)
end

local function is_wanted(value, wanted)
  if type(wanted) ~= "table" then return value == wanted end
  for _, each in ipairs(wanted) do
    if value == each then return true end
  end
  return false
end

local function column_value(row, column)
  if defaults[column] ~= nil then return axis(row, column) end
  return row[column]
end

--- Whether a row has the values that are wanted.
-- @tab row
-- @tab where column -> a value, or a list of values
-- @treturn boolean
function versions.matches(row, where)
  for column, wanted in pairs(where) do
    if not is_wanted(column_value(row, column), wanted) then return false end
  end
  return true
end

--- Whether what failed concerns rows that are wanted: what it does not say may be anything.
-- @tab failure
-- @tab where as of `matches`
-- @treturn boolean
function versions.concerns(failure, where)
  for column, wanted in pairs(where) do
    if failure[column] ~= nil and not is_wanted(failure[column], wanted) then return false end
  end
  return true
end

--- What is wrong with a choice of rows: columns that no row has.
-- @param where
-- @tab rows
-- @treturn ?string nil where nothing is
function versions.check_where(where, rows)
  if type(where) ~= "table" then return "where: expected a table, got " .. options.describe(where) end
  local known = { redundancy = true, repair = true }
  for _, row in ipairs(rows) do
    for column in pairs(row) do known[column] = true end
  end
  for column in pairs(where) do
    if not known[column] then
      return ("where: no row has a column %s%s"):format(options.show(column),
        options.suggest(tostring(column), options.sorted_keys(known)))
    end
  end
end

return versions
