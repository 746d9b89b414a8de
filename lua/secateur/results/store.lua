--- Rows of sweeps in one SQLite file, each with all that it depends on, and what was costly to compute on the way.
--
-- A store is of no single experiment: a row's key is its axes (data set, model, method, sampling, seed, rate,
-- redundancy, repair) and a hash of its settings, which are kept once under that hash. Who asks for rows that are not
-- there adds them, and those that are there stay. One process writes at a time; any number read beside it (see
-- `secateur.results.store_file`). Every write is a transaction of its own, on the disk before the call returns, so that
-- a killed process loses at most the row it was working on. Every value is kept as JSON text, and checked when it is
-- read (`secateur.results.store_contents`): a store is a file like any other.
--
-- Kinds: "row" (key: `store.row_key`); "settings" (key: `store.hash`; what rows depend on, readable: `dataset`
-- `{fingerprint=, classes=, train=, test=}`, `model`, `method`, `sampling`, the options of the sweep by name, and
-- `names`, what the first four are called);
-- "failure" (what could not be computed: `error`, and the axes that are known); "run" (a call: `version`, `date`,
-- `processor`, `threads`, `ranks`, `seconds`; `settings`, the hashes of its rows, which say which of several versions
-- of a row it is about; `grid`, lists of `datasets`, `models`, `methods`, `samplings`, `seeds`, `rates`, `redundancy`,
-- `repair` in the order asked for); and caches, whose keys are whoever's they are: "samples", "findings", "weights",
-- "scores", "baseline", "logits", "model", "images".
-- @module secateur.results.store
local contents = require "secateur.results.store_contents"
local errors = require "secateur.util.errors"
local files = require "secateur.util.files"
local json = require "secateur.util.json"
local options = require "secateur.util.options"
local schema = require "secateur.results.store_schema"
local store_file = require "secateur.results.store_file"

local store = { row_key = contents.row_key, hash = contents.hash, hash_of = contents.hash_of }
local Store = { __name = "Store" }
Store.__index = Store

-- Closes a store on the way out of a function, unless it was taken out of the guard.
local Guard = {}

function Guard:__close()
  if self.store then self.store:close() end
end

local renamed = { keep = "min_units" } -- settings that stores of format 1 may have under another name

-- What `read` gives of the cache; scores, logits and what images are serve those who go on with a sweep.
local kept_small = "SELECT kind, key, value FROM cache WHERE kind NOT IN ('scores', 'logits', 'images') ORDER BY rowid"

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

-- A value of the file: text, and JSON.
local function decode(text)
  if type(text) ~= "string" then return nil, "expected text" end
  local good, value = errors.try(json.decode, text)
  if not good then return nil, value end
  return value
end

-- The file's format must be that of its tables. Of format 1, gives its experiment.
local function read_meta(file, format)
  local rows, message = file:run "SELECT name, value FROM meta"
  if not rows then return nil, message end
  local meta = {}
  for _, row in ipairs(rows) do
    local value, wrong = decode(row[2])
    if wrong then return nil, ("is damaged: %s: %s"):format(tostring(row[1]), wrong) end
    meta[tostring(row[1])] = value
  end
  if meta.format ~= format then
    return nil, ("has format %s, this version reads 1 to %d"):format(options.describe(meta.format), schema.format)
  end
  if format > 1 then return {} end
  local wrong = contents.check_experiment(meta.experiment)
  if wrong then return nil, "is damaged: " .. wrong end
  for was, now in pairs(renamed) do
    local value = meta.experiment[was]
    if value ~= nil then meta.experiment[was], meta.experiment[now] = nil, value end
  end
  return meta.experiment
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

local row_columns = { "key, NULL, row", "key, settings, row" } -- by format

local function fetch_rows(file, format)
  return file:run(("SELECT %s FROM rows ORDER BY position"):format(row_columns[format]))
end

-- The rows, and in the same order their hashes, which must be those of settings that are there.
local function decode_rows(found, format, settings)
  local rows, hashes = {}, {}
  for i, entry in ipairs(found) do
    local key, hash = entry[1], entry[2]
    local row, wrong = decode_entry("row", key, entry[3])
    if not wrong and format > 1 and (not settings[hash] or contents.hash_of(key) ~= hash) then
      wrong = "settings: expected those that its key ends with"
    end
    if wrong then return nil, ("is damaged: row %d: %s"):format(i, wrong) end
    rows[i], hashes[i], found[i] = row, hash, false
  end
  return rows, hashes
end

local function decode_cache(found)
  local cache = { settings = {} }
  local ordered = { failure = {}, run = {}, hashes = {} }
  for _, entry in ipairs(found) do
    local kind, key = tostring(entry[1]), entry[2]
    local value, wrong = decode_cached(kind, key, entry[3])
    if wrong then return nil, wrong end
    local of_kind = cache[kind] or {}
    cache[kind], of_kind[key] = of_kind, value
    if ordered[kind] then table.insert(ordered[kind], value) end
    if kind == "failure" then table.insert(ordered.hashes, contents.hash_of(key) or false) end
  end
  return cache, ordered
end

-- Checks all that a sweep may take of a store later, before it takes any; one by one, for scores and outputs are many.
local function check_entries(file)
  local places, message = file:run "SELECT rowid FROM cache"
  if not places then return nil, message end
  local settings = {}
  for _, place in ipairs(places) do
    local entry
    entry, message = file:run("SELECT kind, key, value FROM cache WHERE rowid = ?", place[1])
    if not entry then return nil, message end
    local _, wrong = decode_cached(table.unpack(entry[1] or {}, 1, 3))
    if wrong then return nil, wrong end
    if entry[1] and entry[1][1] == "settings" then settings[entry[1][2]] = true end
  end
  local found
  found, message = fetch_rows(file, schema.format)
  if not found then return nil, message end
  return decode_rows(found, schema.format, settings)
end

--- Opens a store for writing, or makes it.
-- @string path
-- @tab[opt] opts `wait` (0): so many seconds another process may still have it; `shared`: whether the file system is
--   shared by several machines (by default as the system says)
-- @treturn[1] Store
-- @treturn[2] nil
-- @treturn[2] string what is wrong with the file: not a store, damaged, of an earlier version, in use, and by whom
function store.open(path, opts)
  local wrong = store.check_path(path)
  if wrong then return nil, wrong end
  local file, message = store_file.open(path, opts or {})
  if not file then return nil, message end
  local self = setmetatable({ path = path, file = file }, Store)
  local guard <close> = setmetatable({ store = self }, Guard)
  local good
  good, message = read_meta(file, schema.format)
  if good then good, message = check_entries(file) end
  if not good then return nil, message end
  guard.store = nil
  return self
end

--- A store that lives in memory: the same methods, nothing kept.
-- @treturn Store
function store.memory()
  return setmetatable({ path = "memory", memory = {} }, Store)
end

--- Reads a whole store and closes it, as it was at one moment, also while a sweep writes. The file is not changed.
-- @string path
-- @tab[opt] opts `wait` (5): so many seconds others may have it locked
-- @treturn[1] table `{format = …, rows = {…}, hashes = {…}, cache = {kind = {key = value}}, failures = {…},
--   failure_hashes = {…}, runs = {…}}`: rows in the order they were first written, of each the hash of its settings,
--   which `cache.settings` has; failures, of each the hash that its key ends with or false, and runs in order;
--   of format 1 `experiment`, and no hashes
-- @treturn[2] nil
-- @treturn[2] string what is wrong; of an entry that is not what it should be, which one and which field
function store.read(path, opts)
  local misnamed = store.check_path(path)
  if misnamed then return nil, misnamed end
  local mode, why = files.mode(path)
  if mode ~= "file" then
    if why then return nil, "cannot be looked at: " .. why end
    return nil, mode and "is no file: " .. files.describe(path) or "no such file"
  end
  local file <close>, format = store_file.read(path, opts and opts.wait)
  if not file then return nil, format end
  if format == 0 then return nil, "is an empty store" end
  local experiment, message = read_meta(file, format)
  local kept, found
  if experiment then kept, message = file:run(kept_small) end
  if kept then found, message = fetch_rows(file, format) end
  if not found then return nil, message end
  file:close() -- whoever writes does not wait for what follows
  local cache, ordered = decode_cache(kept)
  if not cache then return nil, ordered end
  local rows, hashes = decode_rows(found, format, cache.settings)
  if not rows then return nil, hashes end
  return { format = format, rows = rows, hashes = hashes, cache = cache, failures = ordered.failure,
    failure_hashes = ordered.hashes, runs = ordered.run, experiment = format == 1 and experiment or nil }
end

-- Runs one statement; its failure is an error that names the store.
function Store:run(sql, ...)
  if not self.file then errors.raise("store '%s' is closed", self.path) end
  local rows, message = self.file:write(sql, ...)
  if not rows then errors.raise("store '%s' %s", self.path, message) end
  return rows
end

local function text_of(self, kind, key)
  if self.memory then
    return (self.memory[kind] or {})[key]
  elseif kind == "row" then
    return (self:run("SELECT row FROM rows WHERE key = ?", key)[1] or {})[1]
  end
  return (self:run("SELECT value FROM cache WHERE kind = ? AND key = ?", kind, key)[1] or {})[1]
end

--- The value kept under a kind and a key, or nil.
-- @string kind
-- @string key
-- @return value
-- @raise where it is not what it should be: the store, the entry, the field
function Store:get(kind, key)
  local text = text_of(self, kind, key)
  if text == nil then return nil end
  if self.memory then return json.decode(text) end
  local value, wrong = decode_entry(kind, key, text)
  if wrong then errors.raise("store '%s' is damaged: %s %s: %s", self.path, kind, key, wrong) end
  return value
end

--- Whether there is a value under a kind and a key; reads none.
-- @string kind
-- @string key
-- @treturn boolean
function Store:has(kind, key)
  if self.memory then return (self.memory[kind] or {})[key] ~= nil end
  if kind == "row" then return #self:run("SELECT 1 FROM rows WHERE key = ?", key) > 0 end
  return #self:run("SELECT 1 FROM cache WHERE kind = ? AND key = ?", kind, key) > 0
end

--- The keys of a kind, in the order they were first written.
-- @string kind
-- @treturn list
function Store:keys(kind)
  local keys = {}
  if self.memory then
    for i, key in ipairs(self.memory[kind] or {}) do keys[i] = key end
    return keys
  end
  local found = kind == "row" and self:run "SELECT key FROM rows ORDER BY position"
    or self:run("SELECT key FROM cache WHERE kind = ? ORDER BY rowid", kind)
  for i, entry in ipairs(found) do keys[i] = entry[1] end
  return keys
end

-- Memory has the texts of a kind by key, and its keys as a list beside them; keys are no numbers.
local function put_in_memory(self, kind, key, text)
  local of_kind = self.memory[kind] or {}
  if of_kind[key] == nil then of_kind[#of_kind + 1] = key end
  self.memory[kind], of_kind[key] = of_kind, text
end

local put_row = "INSERT INTO rows (key, settings, row) VALUES (?, ?, ?) "
  .. "ON CONFLICT (key) DO UPDATE SET row = excluded.row"
local put_value = "INSERT INTO cache VALUES (?, ?, ?) ON CONFLICT (kind, key) DO UPDATE SET value = excluded.value"

--- Keeps a value; it is on the disk when this returns. A value under the same key is replaced, in its place.
-- @string kind
-- @string key without NUL; of a row, what `store.row_key` gives, whose settings must be there
-- @param value plain data
-- @return the value as it will be read back
-- @raise where it is not what it should be, or cannot be written
function Store:put(kind, key, value)
  local text = json.encode(value)
  local kept = json.decode(text)
  local wrong, hash = contents.check(kind, kept, key), nil
  if kind == "row" and not wrong then
    hash = contents.hash_of(key)
    if not hash or self.known ~= hash and not self:has("settings", hash) then
      wrong = "expected a key that ends with the hash of settings that are in the store"
    end
  end
  if wrong then errors.raise("store '%s': %s %s: %s", self.path, kind, key, wrong) end
  self.known = hash or self.known
  if self.memory then
    put_in_memory(self, kind, key, text)
  elseif kind == "row" then
    self:run(put_row, key, hash, text)
  else
    self:run(put_value, kind, key, text)
  end
  return kept
end

--- Forgets a value; nothing happens where there is none.
-- @string kind
-- @string key
function Store:remove(kind, key)
  if kind == "settings" then self.known = nil end
  if self.memory then
    local of_kind = self.memory[kind] or {}
    of_kind[key] = nil
    for i, other in ipairs(of_kind) do
      if other == key then return table.remove(of_kind, i) and nil end
    end
  elseif kind == "row" then
    self:run("DELETE FROM rows WHERE key = ?", key)
  else
    self:run("DELETE FROM cache WHERE kind = ? AND key = ?", kind, key)
  end
end

--- Closes the file; may be called again.
function Store:close()
  if self.file then
    self.file:close()
    self.file = false
  end
end

Store.__close = Store.close
Store.__gc = Store.close

return store
