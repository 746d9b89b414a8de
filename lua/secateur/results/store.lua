--- One experiment in one SQLite file: its description, its rows, and what was costly to compute on the way.
-- Every write is a transaction of its own, synced before the call returns, so that a killed process loses at most the
-- row it was working on. The file is locked for as long as it is open.
-- LuaDBI passes on 32-bit integers and text up to the first NUL only, so every value is kept as JSON text.
-- @module secateur.results.store
local differences = require "secateur.util.differences"
local errors = require "secateur.util.errors"
local json = require "secateur.util.json"

local store = {}
local Store = { __name = "Store" }
Store.__index = Store

local format = 1
local renamed = { keep = "min_units" } -- settings that older stores have under another name
local application = 0x53454341 -- "SECA", so that another program's SQLite file is recognised

local schema = {
  "CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL)",
  "CREATE TABLE rows (position INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, row TEXT NOT NULL)",
  "CREATE TABLE cache (kind TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (kind, key))",
  -- For a look with the sqlite3 shell; nothing here reads it.
  [[CREATE VIEW results AS SELECT json_extract(row, '$.dataset') AS dataset, json_extract(row, '$.model') AS model,
    json_extract(row, '$.method') AS method, json_extract(row, '$.sampling') AS sampling,
    json_extract(row, '$.seed') AS seed, json_extract(row, '$.rate') AS rate,
    json_extract(row, '$.accuracy') AS accuracy, json_extract(row, '$.drop') AS "drop" FROM rows ORDER BY position]],
}

local function driver()
  local found, dbi = pcall(require, "DBI")
  if found and pcall(require, "dbd.sqlite3") then return dbi end
  return nil, "needs LuaDBI with SQLite: install lua-dbi-sqlite3 (Debian) or luadbi-sqlite3 (LuaRocks)"
end

local function explain(message)
  message = tostring(message):gsub("^Error preparing statement handle: ", ""):gsub("^Execute failed ", "")
    :gsub("^Failed to connect to database: ", "")
  if message:find("locked", 1, true) then return "is in use by another process" end
  if message:find("not a database", 1, true) then return "is not a store: it is no SQLite file" end
  if message:find("malformed", 1, true) then return "is damaged: " .. message end
  return message
end

-- Runs one statement; gives all its rows as lists. Statements are closed at once: an open one keeps the file locked.
local function run(connection, sql, ...)
  local statement, message = connection:prepare(sql)
  if not statement then return nil, explain(message) end
  local good, failure = statement:execute(...)
  if not good then
    statement:close()
    return nil, explain(failure)
  end
  local rows = {}
  if sql:find("^SELECT") or sql:find("^PRAGMA") then
    local fetched, why = pcall(function()
      for row in statement:rows() do rows[#rows + 1] = { table.unpack(row) } end
    end)
    if not fetched then
      statement:close()
      return nil, explain(why)
    end
  end
  statement:close()
  return rows
end

-- What `read` gives of the cache; scores and logits serve those who go on with the experiment.
local kept_small = "SELECT kind, key, value FROM cache WHERE kind NOT IN ('scores', 'logits')"

local function run_all(connection, statements)
  for _, sql in ipairs(statements) do
    local done, message = run(connection, sql)
    if not done then return nil, message end
  end
  return true
end

local function exists(path)
  local file = io.open(path, "rb")
  return file and file:close() or false
end

-- Opens, takes the lock, and checks that the file is sound and ours (or empty, then `fresh`).
local function connect(path)
  local dbi, missing = driver()
  if not dbi then return nil, missing end
  local connection, message = dbi.Connect("SQLite3", path)
  if not connection then return nil, explain(message) end
  connection:autocommit(true)
  local function give_up(why)
    connection:close()
    return nil, why
  end
  local locked, failure = run_all(connection, { "PRAGMA locking_mode = EXCLUSIVE", "PRAGMA synchronous = FULL",
    "BEGIN EXCLUSIVE", "COMMIT" })
  if not locked then return give_up(failure) end
  local check, unsound = run(connection, "PRAGMA quick_check(1)")
  if not check then return give_up(unsound) end
  if check[1] and check[1][1] ~= "ok" then return give_up("is damaged: " .. check[1][1]) end
  local objects, unreadable = run(connection, "SELECT count(*) FROM sqlite_master")
  if not objects then return give_up(unreadable) end
  local id = run(connection, "PRAGMA application_id")
  local fresh = objects[1][1] == 0
  if not fresh and id[1][1] ~= application then
    return give_up("is not a store: it is another program's SQLite file")
  end
  return connection, nil, fresh
end

local function create(connection, experiment)
  local statements = { "BEGIN EXCLUSIVE", ("PRAGMA application_id = %d"):format(application) }
  table.move(schema, 1, #schema, 3, statements)
  local made, message = run_all(connection, statements)
  if not made then return nil, message end
  for name, value in pairs { format = json.encode(format), experiment = json.encode(experiment) } do
    made, message = run(connection, "INSERT INTO meta VALUES (?, ?)", name, value)
    if not made then return nil, message end
  end
  return run(connection, "COMMIT")
end

local function read_meta(connection)
  local rows, message = run(connection, "SELECT name, value FROM meta")
  if not rows then return nil, message end
  local meta = {}
  for _, row in ipairs(rows) do
    local good, value = errors.try(json.decode, row[2])
    if not good then return nil, "is damaged: " .. value end
    meta[row[1]] = value
  end
  if meta.format ~= format then
    return nil, ("has format %s, this version reads %d"):format(tostring(meta.format), format)
  end
  if type(meta.experiment) ~= "table" then return nil, "is damaged: it describes no experiment" end
  for was, now in pairs(renamed) do
    local value = meta.experiment[was]
    if value ~= nil then meta.experiment[was], meta.experiment[now] = nil, value end
  end
  return meta.experiment
end

local function compare(old, new)
  if json.encode(old) == json.encode(new) then return true end
  local found, lines = differences(old, json.decode(json.encode(new)), 80), {}
  for i = 1, math.min(#found, 5) do
    lines[i] = ("%s: %s in the store, now %s"):format(found[i].name, found[i].old, found[i].new)
  end
  if #found > 5 then lines[6] = ("and %d more"):format(#found - 5) end
  return nil, "holds a different experiment: " .. table.concat(lines, "; ")
end

--- Opens a store for writing, or makes it. The experiment in it must be the one given.
-- @string path
-- @tab experiment what the rows depend on, as plain data; see `secateur.util.json`
-- @func[opt] adapt called with the experiment in a store that is there already, before the two are compared; it may
--   change the one given in place, since an older store describes less
-- @treturn[1] Store
-- @treturn[2] nil
-- @treturn[2] string what is wrong with the file: not a store, damaged, in use, or a different experiment
function store.open(path, experiment, adapt)
  local connection, message, fresh = connect(path)
  if not connection then return nil, message end
  local good
  if fresh then
    good, message = create(connection, experiment)
  else
    local old
    old, message = read_meta(connection)
    if old and adapt then adapt(old) end
    if old then good, message = compare(old, experiment) end
  end
  if not good then
    connection:close()
    return nil, message
  end
  return setmetatable({ path = path, connection = connection }, Store)
end

--- A store that lives in memory: the same methods, nothing kept.
-- @treturn Store
function store.memory()
  return setmetatable({ path = "memory", memory = {} }, Store)
end

--- Reads a whole store and closes it.
-- @string path
-- @treturn[1] table `{experiment = …, rows = {…}, cache = {kind = {key = value}}}`, rows as first written
-- @treturn[2] nil
-- @treturn[2] string what is wrong
function store.read(path)
  if not exists(path) then return nil, "no such file" end
  local connection, message, fresh = connect(path)
  if not connection then return nil, message end
  if fresh then
    connection:close()
    return nil, "is an empty store"
  end
  local whole = { rows = {}, cache = {} }
  local rows, cache
  whole.experiment, message = read_meta(connection)
  if whole.experiment then rows, message = run(connection, "SELECT row FROM rows ORDER BY position") end
  if rows then cache, message = run(connection, kept_small) end
  connection:close()
  if not cache then return nil, message end
  local good, why = pcall(function()
    for i, row in ipairs(rows) do whole.rows[i] = json.decode(row[1]) end
    for _, entry in ipairs(cache) do
      local kind = whole.cache[entry[1]] or {}
      whole.cache[entry[1]], kind[entry[2]] = kind, json.decode(entry[3])
    end
  end)
  if not good then return nil, "is damaged: " .. why end
  return whole
end

-- Runs one statement; its failure is an error that names the store.
function Store:run(sql, ...)
  if not self.connection then errors.raise("store '%s' is closed", self.path) end
  local rows, message = run(self.connection, sql, ...)
  if not rows then errors.raise("store '%s': %s", self.path, message) end
  return rows
end

--- The value kept under a kind and a key, or nil.
-- @string kind
-- @string key
-- @return value
function Store:get(kind, key)
  local text
  if self.memory then
    text = self.memory[kind .. "\0" .. key]
  elseif kind == "row" then
    text = (self:run("SELECT row FROM rows WHERE key = ?", key)[1] or {})[1]
  else
    text = (self:run("SELECT value FROM cache WHERE kind = ? AND key = ?", kind, key)[1] or {})[1]
  end
  if text then return json.decode(text) end
end

--- Keeps a value; it is on the disk when this returns. Kind "row" is for the rows themselves.
-- @string kind
-- @string key without NUL
-- @param value plain data
-- @return the value as it will be read back
function Store:put(kind, key, value)
  local text = json.encode(value)
  if self.memory then
    self.memory[kind .. "\0" .. key] = text
  elseif kind == "row" then
    self:run("INSERT INTO rows (key, row) VALUES (?, ?)", key, text)
  else
    self:run("INSERT OR REPLACE INTO cache VALUES (?, ?, ?)", kind, key, text)
  end
  return json.decode(text)
end

--- Closes the file; may be called again.
function Store:close()
  if self.connection then
    self.connection:close()
    self.connection = nil
  end
end

Store.__close = Store.close
Store.__gc = Store.close

return store
