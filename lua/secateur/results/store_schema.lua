--- The tables of a store, and whether a file has them: a store is a file like any other, and may come from anybody.
-- @module secateur.results.store_schema
local store_schema = {}

--- The format that is written: rows have settings of their own. Format 1, of a single experiment, can be read.
store_schema.format = 2

local application = 0x53454341 -- "SECA", so that another program's SQLite file is recognised

local meta = "CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL)"
local cache = "CREATE TABLE cache (kind TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (kind, key))"

-- Tables by format and name.
local formats = {
  { meta = meta, cache = cache,
    rows = "CREATE TABLE rows (position INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, row TEXT NOT NULL)" },
  { meta = meta, cache = cache,
    rows = "CREATE TABLE rows (position INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, settings TEXT NOT NULL, "
      .. "row TEXT NOT NULL)" },
}

-- For a look with the sqlite3 shell; nothing here reads it.
local view_columns = [[CREATE VIEW results AS SELECT json_extract(row, '$.dataset') AS dataset,
    json_extract(row, '$.model') AS model,
    json_extract(row, '$.method') AS method, json_extract(row, '$.sampling') AS sampling,
    json_extract(row, '$.seed') AS seed, json_extract(row, '$.rate') AS rate,
    json_extract(row, '$.accuracy') AS accuracy, json_extract(row, '$.drop') AS "drop"]]
local views = { view_columns .. " FROM rows ORDER BY position",
  view_columns .. [[, json_extract(row, '$.redundancy') AS redundancy, json_extract(row, '$.repair') AS repair, settings
    FROM rows ORDER BY position]] }

local one_line = function(sql) return (tostring(sql):gsub("%s+", " ")) end

-- Which format a table of ours is of, by its text; nil where it is of none.
local function format_of(name, sql)
  for format = #formats, 1, -1 do
    if formats[format][name] == sql then return format end
  end
end

-- Collects one entry of the schema; gives what is wrong with it.
local function check_object(object, found)
  local kind, name, of, sql = table.unpack(object, 1, 4)
  name, of = tostring(name), tostring(of)
  local tables = formats[1]
  if tables[name:lower()] then
    local format = kind == "table" and of == name and format_of(name, one_line(sql))
    if not format then return ("is damaged: '%s' is not the table that a store has"):format(name) end
    found[name], found.format = true, name == "rows" and format or found.format
  elseif (kind == "trigger" or kind == "index" and sql) and tables[of:lower()] then
    return ("is damaged: it has the %s '%s', which no store has"):format(kind, name)
  else
    sql = sql and one_line(sql)
    found.others = found.others or not (kind == "index" and not sql or sql == one_line(views[1])
      or sql == one_line(views[2]))
  end
end

-- The tables must be those that are made here, to the letter: a view of the same name may go on for ever, a generated
-- column or a trigger may compute anything. Whatever else is in the file is never looked at, nor is it checked.
local function check_schema(run)
  local objects, message = run "SELECT type, name, tbl_name, sql FROM sqlite_master"
  if not objects then return nil, message end
  local found = { others = false }
  for _, object in ipairs(objects) do
    local wrong = check_object(object, found)
    if wrong then return nil, wrong end
  end
  for _, name in ipairs { "cache", "meta", "rows" } do
    if not found[name] then return nil, ("is damaged: it has no table '%s'"):format(name) end
  end
  return found
end

-- Whether the pages are sound; where there are others' tables, those of ours alone.
local function check_pages(run, others)
  local statements = { "PRAGMA quick_check(1)" }
  if others then
    statements = { "PRAGMA quick_check(meta)", "PRAGMA quick_check(rows)", "PRAGMA quick_check(cache)" }
  end
  for _, sql in ipairs(statements) do
    local check, message = run(sql)
    if not check then return nil, message end
    if check[1] and check[1][1] ~= "ok" then
      return nil, "is damaged: " .. tostring(check[1][1]):gsub("^%*%*%* in database main %*%*%*%s*", "")
    end
  end
  return true
end

--- Checks that a file is a store, and sound; from then on its connection trusts it.
-- @param connection
-- @func run (sql, ...) -> rows, or nil and what is wrong
-- @treturn[1] int the format that its tables are of; 0 of an empty file
-- @treturn[2] nil
-- @treturn[2] string what is wrong
function store_schema.inspect(connection, run)
  local objects, message = run "SELECT count(*) FROM sqlite_master"
  if not objects then return nil, message end
  if objects[1][1] == 0 then
    connection:trust()
    return 0
  end
  local id, unreadable = run "PRAGMA application_id"
  if not id then return nil, unreadable end
  if id[1][1] ~= application then return nil, "is not a store: it is another program's SQLite file" end
  local found
  found, message = check_schema(run)
  if not found then return nil, message end
  connection:trust()
  local good
  good, message = check_pages(run, found.others)
  if not good then return nil, message end
  return found.format
end

--- The statements that make a store of an empty file, but its beginning and its end.
-- @treturn list
function store_schema.creation()
  local tables = formats[store_schema.format]
  return { ("PRAGMA application_id = %d"):format(application), tables.meta, tables.rows, tables.cache,
    views[store_schema.format], ("INSERT INTO meta VALUES ('format', '%d')"):format(store_schema.format) }
end

return store_schema
