--- One experiment in one SQLite file: its description, its rows, and what was costly to compute on the way.
-- Every write is a transaction of its own, synced before the call returns, so that a killed process loses at most the
-- row it was working on. Who writes has the file locked for as long as it is open. Every value is kept as JSON text,
-- and checked when it is read (`secateur.results.store_contents`): a store is a file like any other.
-- @module secateur.results.store
local contents = require "secateur.results.store_contents"
local differences = require "secateur.util.differences"
local errors = require "secateur.util.errors"
local files = require "secateur.util.files"
local json = require "secateur.util.json"
local options = require "secateur.util.options"

local store = {}
local Store = { __name = "Store" }
Store.__index = Store

-- Closes a store on the way out of a function, unless it was taken out of the guard.
local Guard = {}

function Guard:__close()
  if self.store then self.store:close() end
end

-- `connection` is there from the beginning, so that it can be set without memory.
local function unopened(path)
  return setmetatable({ path = path, connection = false }, Store)
end

local format = 1
local renamed = { keep = "min_units" } -- settings that older stores have under another name
local application = 0x53454341 -- "SECA", so that another program's SQLite file is recognised

local tables = {
  meta = "CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL)",
  rows = "CREATE TABLE rows (position INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, row TEXT NOT NULL)",
  cache = "CREATE TABLE cache (kind TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (kind, key))",
}

-- For a look with the sqlite3 shell; nothing here reads it.
local view = [[CREATE VIEW results AS SELECT json_extract(row, '$.dataset') AS dataset,
    json_extract(row, '$.model') AS model,
    json_extract(row, '$.method') AS method, json_extract(row, '$.sampling') AS sampling,
    json_extract(row, '$.seed') AS seed, json_extract(row, '$.rate') AS rate,
    json_extract(row, '$.accuracy') AS accuracy, json_extract(row, '$.drop') AS "drop" FROM rows ORDER BY position]]

local explanations = {
  busy = "is in use by another process, or by another sweep of this one",
  format = "is not a store: it is no SQLite file",
  corrupt = "is damaged: %s",
  full = "cannot be written: %s",
  readonly = "cannot be written: %s",
  open = "cannot be opened: %s",
}

-- Ctrl-C is nobody's to reword, and ends everything.
local function explain(message, kind)
  if kind == "interrupt" then errors.rethrow "interrupted" end
  return ((explanations[kind] or "cannot be used: %s"):gsub("%%s", function() return message end))
end

-- Runs one statement; gives all its rows as lists.
local function run(connection, sql, ...)
  local rows, message, kind = connection:run(sql, ...)
  if not rows then return nil, explain(message, kind), kind end
  return rows
end

-- What `read` gives of the cache; scores, logits and what images are serve those who go on with the experiment.
local kept_small = "SELECT kind, key, value FROM cache WHERE kind NOT IN ('scores', 'logits', 'images') "
  .. "ORDER BY kind, key"

local function run_all(connection, statements)
  for _, sql in ipairs(statements) do
    local done, message, kind = run(connection, sql)
    if not done then return nil, message, kind end
  end
  return true
end

--- What is wrong with a path as the place of a store: SQLite takes some names for something else than a file.
-- @string path
-- @treturn ?string what is wrong, and the way out; nil where nothing is
function store.check_path(path)
  if path == "" then return "expected the path of a file, got an empty one; without a store nothing is kept" end
  if path:find("\0", 1, true) then return "expected a path without zero bytes" end
  if path == ":memory:" then
    return "expected the path of a file, got ':memory:', which keeps nothing, as no store does; "
      .. "'./:memory:' is a file of this name"
  end
  if path:lower():find "^file:" then
    return ("expected a path, got a URI, '%s'; './%s' is a file of this name"):format(path, path)
  end
end

local one_line = function(sql) return (tostring(sql):gsub("%s+", " ")) end

-- The tables must be those that are made here, to the letter: a view of the same name may go on for ever, a generated
-- column or a trigger may compute anything. Whatever else is in the file is never looked at, nor is it checked.
local function check_schema(connection)
  local objects, message = run(connection, "SELECT type, name, tbl_name, sql FROM sqlite_master")
  if not objects then return nil, message end
  local found, others = {}, false
  for _, object in ipairs(objects) do
    local kind, name, of, sql = table.unpack(object, 1, 4)
    name, of = tostring(name), tostring(of)
    local own = tables[name:lower()]
    if own and (kind ~= "table" or of ~= name or one_line(sql) ~= own) then
      return nil, ("is damaged: '%s' is not the table that a store has"):format(name)
    elseif (kind == "trigger" or kind == "index" and sql) and tables[of:lower()] then
      return nil, ("is damaged: it has the %s '%s', which no store has"):format(kind, name)
    end
    if own then found[name] = true end
    others = others or not own and not (kind == "index" and not sql) and one_line(sql) ~= one_line(view)
  end
  for _, name in ipairs { "cache", "meta", "rows" } do
    if not found[name] then return nil, ("is damaged: it has no table '%s'"):format(name) end
  end
  return true, others
end

-- Whether the pages are sound; where there are others' tables, those of ours alone.
local function check_pages(connection, others)
  local statements = { "PRAGMA quick_check(1)" }
  if others then
    statements = { "PRAGMA quick_check(meta)", "PRAGMA quick_check(rows)", "PRAGMA quick_check(cache)" }
  end
  for _, sql in ipairs(statements) do
    local check, message = run(connection, sql)
    if not check then return nil, message end
    if check[1] and check[1][1] ~= "ok" then
      return nil, "is damaged: " .. tostring(check[1][1]):gsub("^%*%*%* in database main %*%*%*%s*", "")
    end
  end
  return true
end

-- Checks that the file is ours and sound. Gives also whether it is empty.
local function inspect(connection)
  local objects, message = run(connection, "SELECT count(*) FROM sqlite_master")
  if not objects then return nil, message end
  if objects[1][1] == 0 then
    connection:trust()
    return true, true
  end
  local id, unreadable = run(connection, "PRAGMA application_id")
  if not id then return nil, unreadable end
  if id[1][1] ~= application then return nil, "is not a store: it is another program's SQLite file" end
  local good, others = check_schema(connection)
  if not good then return nil, others end
  connection:trust()
  good, message = check_pages(connection, others)
  if not good then return nil, message end
  return true, false
end

-- Writers lock the file until they close it. Readers see it as it was when they began, and change nothing, but that
-- what a killed writer left half done is undone.
local beginnings = {
  write = { "PRAGMA locking_mode = EXCLUSIVE", "PRAGMA synchronous = FULL", "BEGIN EXCLUSIVE", "COMMIT" },
  read = { "PRAGMA query_only = ON", "BEGIN", "SELECT count(*) FROM sqlite_master" }, -- with the first look
}

-- Opens and takes the lock. The connection is the Store's from the first moment on: it is closed whatever fails.
local function begin(self, mode)
  local sqlite = require "secateur.sqlite" -- here, so that who keeps no store needs no SQLite
  local message, kind
  self.connection, message, kind = sqlite.open(self.path, mode == "write")
  if not self.connection then return nil, explain(message, kind), kind end
  local done
  done, message, kind = run_all(self.connection, beginnings[mode])
  if not done then self:close() end
  return done, message, kind
end

-- Opens, takes the lock, and checks that the file is sound and ours (or empty, which is told too). A sweep in a
-- coroutine that nobody holds any more has its store locked until it is collected: it is, and the lock is tried again.
local function connect(self, mode)
  local opened, message, kind = begin(self, mode)
  if not opened and kind == "busy" then
    collectgarbage()
    collectgarbage()
    opened, message = begin(self, mode)
  end
  if not opened then return nil, message end
  return inspect(self.connection)
end

local function create(connection, experiment)
  local made, message = run_all(connection, { "BEGIN EXCLUSIVE", ("PRAGMA application_id = %d"):format(application),
    tables.meta, tables.rows, tables.cache, view })
  if not made then return nil, message end
  for name, value in pairs { format = json.encode(format), experiment = json.encode(experiment) } do
    made, message = run(connection, "INSERT INTO meta VALUES (?, ?)", name, value)
    if not made then return nil, message end
  end
  return run(connection, "COMMIT")
end

-- A value of the file: text, and JSON.
local function decode(text)
  if type(text) ~= "string" then return nil, "expected text" end
  local good, value = errors.try(json.decode, text)
  if not good then return nil, value end
  return value
end

local function read_meta(connection)
  local rows, message = run(connection, "SELECT name, value FROM meta")
  if not rows then return nil, message end
  local meta = {}
  for _, row in ipairs(rows) do
    local value, wrong = decode(row[2])
    if wrong then return nil, ("is damaged: %s: %s"):format(tostring(row[1]), wrong) end
    meta[tostring(row[1])] = value
  end
  if meta.format ~= format then
    return nil, ("has format %s, this version reads %d"):format(options.describe(meta.format), format)
  end
  local wrong = contents.check_experiment(meta.experiment)
  if wrong then return nil, "is damaged: " .. wrong end
  for was, now in pairs(renamed) do
    local value = meta.experiment[was]
    if value ~= nil then meta.experiment[was], meta.experiment[now] = nil, value end
  end
  return meta.experiment
end

local function compare(old, new)
  if json.encode(old) == json.encode(new) then return true end
  local text = differences.text(old, json.decode(json.encode(new)), 80, "%s: %s in the store, now %s")
  return nil, "holds a different experiment: " .. (text or "")
end

-- What an entry says, checked.
local function decode_entry(kind, key, text)
  if type(key) ~= "string" then return nil, "key: expected text" end
  local value, wrong = decode(text)
  wrong = wrong or contents.check(kind, value, key)
  if wrong then return nil, wrong end
  return value
end

-- The same of what is kept beside the rows; the message says which entry it is of.
local function decode_cached(kind, key, text)
  kind = tostring(kind)
  local value, wrong = decode_entry(kind, key, text)
  if wrong then return nil, ("is damaged: %s %s: %s"):format(kind, tostring(key), wrong) end
  return value
end

local function read_rows(connection)
  local found, message = run(connection, "SELECT key, row FROM rows ORDER BY position")
  if not found then return nil, message end
  local rows = {}
  for i, entry in ipairs(found) do
    local row, wrong = decode_entry("row", entry[1], entry[2])
    if wrong then return nil, ("is damaged: row %d: %s"):format(i, wrong) end
    rows[i] = row
  end
  return rows
end

-- Checks all that a sweep may take of a store later, before it takes any; one by one, for scores and outputs are many.
local function check_entries(connection)
  local found, message = read_rows(connection)
  if not found then return nil, message end
  local places
  places, message = run(connection, "SELECT rowid FROM cache")
  if not places then return nil, message end
  for _, place in ipairs(places) do
    local entry
    entry, message = run(connection, "SELECT kind, key, value FROM cache WHERE rowid = ?", place[1])
    if not entry then return nil, message end
    local _, wrong = decode_cached(table.unpack(entry[1] or {}, 1, 3))
    if wrong then return nil, wrong end
  end
  return true
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
  local wrong = store.check_path(path)
  if wrong then return nil, wrong end
  local self = unopened(path)
  local guard <close> = setmetatable({ store = self }, Guard)
  local opened, fresh = connect(self, "write")
  if not opened then return nil, fresh end
  local good, message
  if fresh then
    good, message = create(self.connection, experiment)
  else
    local old
    old, message = read_meta(self.connection)
    if old and adapt then adapt(old) end
    if old then good, message = compare(old, experiment) end
    if good then good, message = check_entries(self.connection) end
  end
  if not good then return nil, message end
  guard.store = nil
  return self
end

--- A store that lives in memory: the same methods, nothing kept.
-- @treturn Store
function store.memory()
  return setmetatable({ path = "memory", memory = {} }, Store)
end

local function read_cache(connection)
  local found, message = run(connection, kept_small)
  if not found then return nil, message end
  local cache = {}
  for _, entry in ipairs(found) do
    local kind, key = tostring(entry[1]), entry[2]
    local value, wrong = decode_cached(kind, key, entry[3])
    if wrong then return nil, wrong end
    local of_kind = cache[kind] or {}
    cache[kind], of_kind[key] = of_kind, value
  end
  return cache
end

--- Reads a whole store and closes it. The file is not changed.
-- @string path
-- @treturn[1] table `{experiment = …, rows = {…}, cache = {kind = {key = value}}}`, rows as first written
-- @treturn[2] nil
-- @treturn[2] string what is wrong; of an entry that is not what it should be, which one and which field
function store.read(path)
  local misnamed = store.check_path(path)
  if misnamed then return nil, misnamed end
  local mode, why = files.mode(path)
  if mode ~= "file" then
    if why then return nil, "cannot be looked at: " .. why end
    return nil, mode and "is no file: " .. files.describe(path) or "no such file"
  end
  local self <close> = unopened(path)
  local opened, fresh = connect(self, "read")
  if not opened then return nil, fresh end
  if fresh then return nil, "is an empty store" end
  local connection, whole = self.connection, {}
  local message
  whole.experiment, message = read_meta(connection)
  if whole.experiment then whole.rows, message = read_rows(connection) end
  if whole.rows then whole.cache, message = read_cache(connection) end
  if not whole.cache then return nil, message end
  return whole
end

-- Runs one statement; its failure is an error that names the store.
function Store:run(sql, ...)
  if not self.connection then errors.raise("store '%s' is closed", self.path) end
  local rows, message = run(self.connection, sql, ...)
  if not rows then errors.raise("store '%s' %s", self.path, message) end
  return rows
end

--- The value kept under a kind and a key, or nil.
-- @string kind
-- @string key
-- @return value
-- @raise where it is not what it should be: the store, the entry, the field
function Store:get(kind, key)
  local text
  if self.memory then
    text = self.memory[kind .. "\0" .. key]
  elseif kind == "row" then
    text = (self:run("SELECT row FROM rows WHERE key = ?", key)[1] or {})[1]
  else
    text = (self:run("SELECT value FROM cache WHERE kind = ? AND key = ?", kind, key)[1] or {})[1]
  end
  if text == nil then return nil end
  if self.memory then return json.decode(text) end
  local value, wrong = decode_entry(kind, key, text)
  if wrong then errors.raise("store '%s' is damaged: %s %s: %s", self.path, kind, key, wrong) end
  return value
end

--- Keeps a value; it is on the disk when this returns. Kind "row" is for the rows themselves.
-- @string kind
-- @string key without NUL
-- @param value plain data
-- @return the value as it will be read back
-- @raise where it is not what it should be, or cannot be written
function Store:put(kind, key, value)
  local text = json.encode(value)
  local kept = json.decode(text)
  local wrong = contents.check(kind, kept, key)
  if wrong then errors.raise("store '%s': %s %s: %s", self.path, kind, key, wrong) end
  if self.memory then
    self.memory[kind .. "\0" .. key] = text
  elseif kind == "row" then
    self:run("INSERT INTO rows (key, row) VALUES (?, ?)", key, text)
  else
    self:run("INSERT OR REPLACE INTO cache VALUES (?, ?, ?)", kind, key, text)
  end
  return kept
end

--- Closes the file; may be called again.
function Store:close()
  if self.connection then
    self.connection:close()
    self.connection = false
  end
end

Store.__close = Store.close
Store.__gc = Store.close

return store
