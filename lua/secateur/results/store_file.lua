--- A store's file while it is open: one writer, who has a lock of its own, and any number of readers beside it.
--
-- On a disk of this machine the writer keeps a write-ahead log (`-wal`, with its index `-shm`), so that readers see the
-- store as it was when they began and stop nobody; where nobody reads when the writer closes, all is in the one file
-- again. On a file system that several machines share, which gives them no common memory, it keeps a rollback journal
-- (`-journal`): transactions are short, and who finds the file locked by one waits.
-- @module secateur.results.store_file
local errors = require "secateur.util.errors"
local lfs = require "lfs"
local schema = require "secateur.results.store_schema"

local store_file = {}
local File = { __name = "StoreFile" }
File.__index = File

local PATIENCE = 5 -- seconds that a look at a file waits for others that have it locked
local ROUND = 2 -- seconds after which a writer says what it waits for

local explanations = {
  busy = "is locked by another program that has it open",
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

--- Runs one statement.
-- @string sql
-- @param ... text and whole numbers, which stand for its question marks
-- @treturn[1] list rows, each a list of columns
-- @treturn[2] nil
-- @treturn[2] string what is wrong
-- @treturn[2] string its kind
function File:run(sql, ...)
  local rows, message, kind = self.connection:run(sql, ...)
  if not rows then return nil, explain(message, kind), kind end
  return rows
end

--- Runs one statement that may write: waits for as long as another program has the file locked, and says so.
-- @string sql
-- @param ... as of `run`
-- @return as of `run`
function File:write(sql, ...)
  local rows, message, kind = self:run(sql, ...)
  if kind == "busy" then errors.warn("store '%s' %s: waiting for it", self.path, message) end
  while kind == "busy" do rows, message, kind = self:run(sql, ...) end
  return rows, message, kind
end

local function run_all(self, statements)
  for _, sql in ipairs(statements) do
    local done, message = self:run(sql)
    if not done then return nil, message end
  end
  return true
end

-- Who has the store, as a message says it.
local function describe_holder(holder)
  if holder.own then return "is in use by another sweep of this process, since " .. holder.since end
  if not holder.process then return "is in use by another process" end
  local text = ("is in use by process %d on %s, since %s"):format(holder.process, holder.host, holder.since)
  if holder.here then return text end
  return text .. "; if that machine is gone, the file system gives its lock free after a while"
end

local function explain_lock(path, message, kind, holder)
  if kind == "busy" then return describe_holder(holder) end
  if kind == "foreign" then return ("cannot be locked: '%s' is not the file of a lock; move it away"):format(path) end
  if kind == "lockless" then
    return ("cannot be locked: its file system has no locks (%s); name a store on another one, or mount it with locks")
      :format(message)
  end
  return explain(("%s: %s"):format(path, message), kind)
end

-- Takes the lock of who writes. One that is held by a sweep in a coroutine that nobody holds any more is let go when it
-- is collected.
local function take_lock(self, wait)
  local sqlite = require "secateur.sqlite"
  local path = self.connection:path() .. "-lock"
  local message, kind, holder
  self.lock, message, kind, holder = sqlite.lock(path)
  if kind == "busy" and holder.own then
    collectgarbage()
    collectgarbage()
    self.lock, message, kind, holder = sqlite.lock(path)
  end
  if kind == "busy" and (wait or 0) > 0 then
    errors.warn("store '%s' %s: waiting for up to %g s", self.path, describe_holder(holder), wait)
    self.lock, message, kind, holder = sqlite.lock(path, wait)
  end
  if self.lock then return true end
  return nil, explain_lock(path, message, kind, holder)
end

-- Opens; the connection is the File's from the first moment on.
local function connect(path, how)
  local sqlite = require "secateur.sqlite" -- here, so that who keeps no store needs no SQLite
  local self = setmetatable({ path = path, connection = false, lock = false }, File)
  local message, kind
  self.connection, message, kind = sqlite.open(path, how)
  if not self.connection then return nil, explain(message, kind), kind end
  return self
end

local function inspect(self)
  return schema.inspect(self.connection, function(...) return self:run(...) end)
end

-- How a writer keeps what is not in the file yet. Where a file system is shared, the log of a file that was written on
-- a disk of one machine is taken in first, without memory in common; and a journal that a killed writer had hardly
-- begun goes when the mode is changed.
local function choose_journal(self, shared)
  if not shared then return self:run "PRAGMA journal_mode = WAL" end
  return run_all(self, { "PRAGMA journal_mode = DELETE", "PRAGMA locking_mode = NORMAL",
    "SELECT count(*) FROM sqlite_master", "PRAGMA journal_mode = TRUNCATE", "PRAGMA journal_mode = DELETE" })
end

local function create(self)
  local statements = schema.creation()
  table.insert(statements, 1, "BEGIN IMMEDIATE")
  table.insert(statements, "COMMIT")
  return run_all(self, statements)
end

-- Does one thing after another, until one gives nil and what is wrong.
local function in_turn(...)
  for _, step in ipairs { ... } do
    local done, message = step()
    if not done then return nil, message end
  end
  return true
end

local function begin_writing(self, opts)
  local shared, format, message = opts.shared, nil, nil
  if shared == nil then shared = require "secateur.sqlite".shared_file_system(self.path) ~= nil end
  self.connection:patience(math.max(PATIENCE, opts.wait or 0))
  return in_turn(
    function() return take_lock(self, opts.wait) end,
    function()
      return run_all(self, { "PRAGMA synchronous = FULL",
        shared and "PRAGMA locking_mode = EXCLUSIVE" or "PRAGMA journal_size_limit = 67108864" })
    end,
    function()
      format, message = inspect(self)
      if format and format ~= 0 and format ~= schema.format then
        return nil, "was begun by an earlier version: its rows can be reported; name another store"
      end
      return format, message
    end,
    function() return choose_journal(self, shared) end,
    function()
      if format ~= 0 then return true end
      return create(self)
    end,
    function()
      self.connection:to_one_file()
      self.connection:patience(ROUND)
      return true
    end)
end

--- Opens a store's file for writing, or makes it: its lock is taken, and it is sound and ours.
-- @string path
-- @tab opts `wait` (seconds, for another writer), `shared` (whether the file system is shared by several machines; by
--   default as the system says)
-- @treturn[1] StoreFile
-- @treturn[2] nil
-- @treturn[2] string what is wrong
function store_file.open(path, opts)
  local self, message = connect(path, "write")
  if not self then return nil, message end
  local guard <close> = setmetatable({ file = self }, { __close = function(guard)
    if guard.file then guard.file:close() end
  end })
  local done, wrong = begin_writing(self, opts)
  if not done then return nil, wrong end
  guard.file = nil
  return self
end

-- The first look: from here on the store is as it was then.
local function begin_reading(self, wait)
  self.connection:patience(wait or PATIENCE)
  for _, sql in ipairs { "PRAGMA query_only = ON", "BEGIN", "SELECT count(*) FROM sqlite_master" } do
    local done, message, kind = self:run(sql)
    if not done then return nil, message, kind end
  end
  return true
end

-- What cannot be opened for want of a right to write beside it: without a log there is nothing that is not in the file.
local function reopen(self, message)
  local whole = self.connection:path()
  self:close()
  if (lfs.attributes(whole .. "-wal", "size") or 0) > 0 then
    return nil, ("was not closed by who wrote it, and '%s-wal', which has the last of it, can only be read where both "
      .. "and their folder can be written; copy both into such a folder"):format(whole)
  end
  local again = connect(whole, "immutable")
  if not again then return nil, message end
  again.path = self.path
  local done, problem = begin_reading(again)
  if not done then
    again:close()
    return nil, problem
  end
  return again
end

--- Opens a store's file for reading: what is read is as it was at this moment. The file is not changed, but that what a
-- killed writer left half done is undone, or done.
-- @string path
-- @number[opt=5] wait seconds for others that have it locked
-- @treturn[1] StoreFile
-- @treturn[1] int the format of its tables; 0 of an empty file
-- @treturn[2] nil
-- @treturn[2] string what is wrong
function store_file.read(path, wait)
  local self, message = connect(path, "read")
  if not self then return nil, message end
  local done, problem, kind = begin_reading(self, wait)
  if not done and (kind == "open" or kind == "readonly") then
    self, problem = reopen(self, problem)
    done = self ~= nil
  end
  if not self then return nil, problem end
  local format
  if done then format, problem = inspect(self) end
  if format then return self, format end
  self:close()
  return nil, problem
end

--- Closes the file, and lets go of its lock; may be called again.
function File:close()
  if self.connection then
    self.connection:close()
    self.connection = false
  end
  if self.lock then
    self.lock:close()
    self.lock = false
  end
end

File.__close = File.close
File.__gc = File.close

return store_file
