-- Stores that were made or changed by somebody else: an error that says where, never another result, and never a hang.
local child = require "support.child"
local files = require "secateur.util.files"
local json = require "secateur.util.json"
local lfs = require "lfs"
local needs = require "support.needs"
local old_store = require "support.old_store"
local results = require "secateur.results"
local rows = require "support.rows"
local sqlite = require "secateur.sqlite"
local store = require "secateur.results.store"
local temporary = require "support.temporary"

-- The pages of a store, with a schema that goes on almost for ever: after the honest leaf come interior pages, each
-- with many links to the next, and in the end a leaf that repeats one entry.
local function with_endless_schema(bytes)
  local size = string.unpack(">I2", bytes, 17)
  local count, first = #bytes // size, bytes:sub(1, size)
  local kind, cells = string.unpack(">Bxx I2", first, 101)
  assert(kind == 13, "expected a leaf")
  local header = first:sub(101, 108 + 2 * cells)
  local honest = header .. ("\0"):rep(100) .. first:sub(#header + 101)
  local repeated
  for i = 1, cells do
    local at, behind = string.unpack(">I2", first, 107 + 2 * i), size
    for j = 1, cells do
      local other = string.unpack(">I2", first, 107 + 2 * j)
      if other > at then behind = math.min(behind, other) end
    end
    if first:sub(at + 1, behind):find("sqlite_autoindex_rows_1", 1, true) then
      repeated = ("\13\0\0" .. string.pack(">I2I2B", 1, at, 0) .. string.pack(">I2", at))
      repeated = repeated .. first:sub(#repeated + 1)
    end
  end
  local function interior(left, links, right, start)
    local pointers, content = {}, {}
    for i = 1, links do
      pointers[i], content[i] = string.pack(">I2", size - 5 * i), string.pack(">I4B", left, 1)
    end
    local head = "\5\0\0" .. string.pack(">I2I2BI4", links, size - 5 * links, 0, right) .. table.concat(pointers)
    return head .. ("\0"):rep(size - start - #head - 5 * links) .. table.concat(content)
  end
  local depth, pages = 15, {}
  pages[1] = first:sub(1, 28) .. string.pack(">I4", count + depth + 2) .. first:sub(33, 100)
    .. interior(count + 1, 1, count + 3, 100)
  pages[2] = bytes:sub(size + 1)
  pages[3], pages[4] = honest, repeated
  for i = 1, depth do
    local next_page = i < depth and count + 3 + i or count + 2
    pages[4 + i] = interior(next_page, 100, next_page, 0)
  end
  return table.concat(pages)
end

describe("store from elsewhere", function()
  local folder, path

  before_each(function()
    folder = temporary.folder()
    path = files.join(folder, "runs.db")
  end)
  after_each(function() assert(files.remove(folder)) end)

  local function execute(...)
    local connection <close> = assert(sqlite.open(path, "write"))
    for _, sql in ipairs { ... } do assert(connection:run(sql)) end
  end

  local function make(changes)
    local writer <close> = assert(store.open(path))
    rows.put(writer, rows.row {})
    writer:close()
    local row = rows.row {}
    for name, value in pairs(changes or {}) do row[name] = value end
    execute(("UPDATE rows SET row = '%s'"):format(json.encode(row)))
  end

  -- Neither reading nor opening takes it.
  local function refused()
    local whole, message = store.read(path)
    assert.is_nil(whole)
    local opened, same = store.open(path)
    assert.is_nil(opened)
    assert.equal(message, same)
    return message
  end

  local endless = "WITH RECURSIVE t (name, value) AS (SELECT 'x', '1' UNION ALL SELECT name, value FROM t) "

  it("has tables, not views", function()
    make()
    execute("DROP TABLE meta", "CREATE VIEW meta AS " .. endless .. "SELECT name, value FROM t WHERE value = '2'")
    assert.equal("is damaged: 'meta' is not the table that a store has", refused())
  end)

  it("has a schema that can be read", function()
    make()
    assert(files.write_all(path, with_endless_schema(files.read_all(path))))
    assert.equal("is damaged: its schema takes too long to read", refused())
  end)

  it("has no tables of another shape, no triggers and no indexes of its own", function()
    make()
    execute("DROP TABLE cache", "CREATE TABLE cache (kind TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL, "
      .. "more AS (hex(zeroblob(9))), PRIMARY KEY (kind, key))")
    assert.equal("is damaged: 'cache' is not the table that a store has", refused())
    os.remove(path)
    make()
    execute "CREATE TRIGGER more AFTER INSERT ON rows BEGIN DELETE FROM rows; END"
    assert.equal("is damaged: it has the trigger 'more', which no store has", refused())
    os.remove(path)
    make()
    execute "CREATE INDEX more ON rows (length(row))"
    assert.equal("is damaged: it has the index 'more', which no store has", refused())
    os.remove(path)
    make()
    execute "DROP TABLE cache"
    assert.equal("is damaged: it has no table 'cache'", refused())
  end)

  it("may have tables and views beside it, which are not looked at", function()
    make()
    execute("CREATE TABLE notes (text)",
      "CREATE VIEW forever AS " .. endless .. "SELECT count(*) FROM t", "DROP VIEW results",
      "CREATE VIEW results AS " .. endless .. "SELECT count(*) FROM t")
    assert.equal(1, #assert(store.read(path)).rows)
    assert(store.open(path)):close()
  end)

  it("is checked row by row", function()
    local function message_of(changes)
      os.remove(path)
      make(changes)
      local whole, message = store.read(path)
      assert.is_nil(whole)
      local none, named = results.read(path)
      assert.is_nil(none)
      assert.equal(("store '%s' %s"):format(path, message), named)
      assert.same({ n = 2, nil, message }, table.pack(store.open(path)))
      return message
    end
    assert.equal("is damaged: row 1: accuracy: expected a number in [0, 1], got 'high'",
      message_of { accuracy = "high" })
    assert.equal("is damaged: row 1: accuracy: expected a number in [0, 1], got 7", message_of { accuracy = 7 })
    assert.equal("is damaged: row 1: drop: expected a finite number, got nothing", message_of { drop = 0 / 0 })
    assert.equal("is damaged: row 1: rate: expected a number in [0, 1), got 2", message_of { rate = 2 })
    assert.equal("is damaged: row 1: seed: expected a whole number, got 0.5", message_of { seed = 0.5 })
    assert.equal("is damaged: row 1: units_pruned: expected a whole number of at least 0, got -1",
      message_of { units_pruned = -1 })
    assert.equal("is damaged: row 1: per_class: expected a list of tables of numbers, got a table",
      message_of { per_class = { { f1 = "x" } } })
    assert.equal("is damaged: row 1: dataset: expected what its key says, 'cpn', got 'mura'",
      message_of { dataset = "mura" })
    assert.equal("is damaged: row 1: redundancy: expected what its key says, false, got true",
      message_of { redundancy = true })
  end)

  it("is checked where a column is no text, or no JSON", function()
    make()
    for value, expected in pairs { ["x'00ff'"] = "expected text", ["12"] = "expected a table, got 12",
      ["'{'"] = "json: expected a name at byte 2", ["'[]'"] = "accuracy: expected a number in [0, 1], got nothing" } do
      execute("UPDATE rows SET row = " .. value)
      local _, message = store.read(path)
      assert.equal("is damaged: row 1: " .. expected, message)
    end
    local infinite = json.encode(rows.row { drop = 0.25 }):gsub('"drop":0.25', '"drop":1e999')
    execute("UPDATE rows SET row = '" .. infinite .. "'")
    assert.equal("is damaged: row 1: drop: expected a finite number, got inf", select(2, store.read(path)))
    execute("UPDATE rows SET key = x'00'")
    assert.equal("is damaged: row 1: key: expected text", select(2, store.read(path)))
    execute("UPDATE rows SET key = 'x', row = '" .. json.encode(rows.row {}) .. "'")
    assert.equal("is damaged: row 1: key: expected a list of dataset, model, method, sampling, seed and rate, got 'x'",
      select(2, store.read(path)))
  end)

  it("is checked in what it says about its rows", function()
    make()
    local hash = store.hash(rows.settings)
    execute("UPDATE rows SET settings = 'x'")
    assert.equal("is damaged: row 1: settings: expected those that its key ends with", refused())
    execute(("UPDATE rows SET settings = '%s'"):format(hash),
      [[UPDATE cache SET value = json_set(value, '$.scope', 'layer')]])
    assert.matches("^is damaged: settings " .. hash .. ": expected what its key stands for, got what has the key %x+$",
      refused())
    execute [[UPDATE cache SET value = json_set(value, '$.scope', 3)]]
    assert.equal("is damaged: settings " .. hash .. ": scope: expected a name, got 3", refused())
    execute "UPDATE cache SET value = '[1]'"
    assert.equal("is damaged: settings " .. hash .. ": expected a table with names as keys", refused())
    execute "DELETE FROM cache"
    assert.equal("is damaged: row 1: settings: expected those that its key ends with", refused())
  end)

  it("is checked in what it says about the experiment, where it was begun by the versions before", function()
    local function message_of(experiment)
      os.remove(path)
      old_store.make(path, experiment, { rows.row {} })
      local none, message = store.read(path)
      assert.is_nil(none)
      return message
    end
    assert.equal("is damaged: it describes no experiment", message_of(3))
    assert.equal("is damaged: experiment: expected names as keys", message_of { 1, 2 })
    assert.equal("is damaged: experiment: rates: expected a list of numbers in [0, 1), got a table",
      message_of { rates = { "a" } })
    assert.equal("is damaged: experiment: methods: expected a list of names, got 3", message_of { methods = 3 })
    assert.equal("is damaged: experiment: evaluate: expected 'compact' or 'masked', got a table",
      message_of { evaluate = {} })
    assert.equal("is damaged: experiment: datasets: expected what each data set is: classes (names), train and test "
      .. "(counts), got a table", message_of { datasets = { cpn = { classes = { {} } } } })
  end)

  it("has the format that its tables are of", function()
    make()
    execute "UPDATE meta SET value = '1' WHERE name = 'format'"
    assert.equal("has format 1, this version reads 1 to 2", refused())
    execute "DELETE FROM meta WHERE name = 'format'"
    assert.equal("has format nil, this version reads 1 to 2", refused())
    os.remove(path)
    old_store.make(path, {}, { rows.row {} })
    execute "UPDATE meta SET value = '2' WHERE name = 'format'"
    assert.equal("has format 2, this version reads 1 to 2", select(2, store.read(path)))
  end)

  it("is checked in what it keeps beside the rows", function()
    make()
    local writer = assert(store.open(path))
    finally(function() writer:close() end)
    local function message_of(kind, value)
      assert.error_matches(function() writer:put(kind, "k", value) end, "store '.*': " .. kind .. " k: ")
      writer:close()
      execute("DELETE FROM cache WHERE kind != 'settings'",
        ("INSERT INTO cache VALUES ('%s', 'k', '%s')"):format(kind, json.encode(value)))
      local none, message = store.open(path)
      assert.is_nil(none)
      execute "DELETE FROM cache WHERE kind != 'settings'"
      writer = assert(store.open(path))
      return message:match "is damaged: (.*)$"
    end
    assert.equal("samples k: expected a list of indices, got a table", message_of("samples", { 1, 0 }))
    assert.equal("weights k: expected a list of finite numbers, got a table", message_of("weights", { 1, "x" }))
    assert.equal("findings k: expected a list of whole numbers, got 'x'", message_of("findings", "x"))
    assert.equal("model k: expected text, got 3", message_of("model", 3))
    assert.equal("run k: seconds: expected a number, got 'x'", message_of("run", { seconds = "x" }))
    assert.equal("run k: grid: expected a table of lists: methods, samplings, models, datasets, rates, seeds, "
      .. "redundancy, repair, got a table", message_of("run", { grid = { rates = { 2 } } }))
    assert.equal("run k: expected a table with names as keys", message_of("run", { 1 }))
    assert.equal("failure k: error: expected text, got nothing", message_of("failure", { seed = 1 }))
    assert.equal("failure k: rate: expected a number in [0, 1), got 7", message_of("failure", { error = "", rate = 7 }))
    assert.equal("baseline k: accuracy: expected a number in [0, 1], got nothing", message_of("baseline", { drop = 1 }))
    assert.equal("scores k: scores: expected numbers by layer, got a table",
      message_of("scores", { scores = { conv = "1 two" }, seconds = 1 }))
    assert.equal("scores k: seconds: expected a number, got nothing", message_of("scores", { scores = {} }))
    assert.equal("logits k: logits: expected 2 numbers in row 2, got 1",
      message_of("logits", { logits = { "1 2", "3" }, indices = { 1, 2 } }))
    assert.equal("logits k: logits: expected a list of rows of numbers, got a table",
      message_of("logits", { logits = { "1 nan" }, indices = { 1 } }))
    assert.equal("logits k: indices: expected 1, got 2", message_of("logits", { logits = { "1" }, indices = { 1, 2 } }))
  end)

  it("may have been begun by the versions before, and is then read, but not gone on with", function()
    old_store.make(path, { methods = { "lrp" }, rates = { 0.5 }, keep = 2 }, { rows.row {},
      rows.row { redundancy = true, repair = "bias" } })
    local before = files.read_all(path)
    local whole = assert(store.read(path))
    assert.same({ rows.row {}, rows.row { redundancy = true, repair = "bias" } }, whole.rows)
    assert.same({ methods = { "lrp" }, rates = { 0.5 }, min_units = 2 }, whole.experiment)
    assert.same({ s = { 4, 2 } }, whole.cache.samples)
    assert.same({ n = 2, nil, "was begun by an earlier version: its rows can be reported; name another store" },
      table.pack(store.open(path)))
    assert.equal(before, files.read_all(path))
    assert.same({ "runs.db" }, files.list(folder, { hidden = true }))
  end)

  it("has a journal that undoes what was done to the store, and touches nothing else", function()
    local s = assert(store.open(path))
    s:close()
    local bytes, victim = assert(files.read_all(path)), files.join(folder, "victim")
    assert(files.write_all(victim, "precious"))
    -- A journal of one page, as it was, that ends with the name of the file that joins several journals (SQLite's
    -- Database File Format, 3): that file would be removed.
    local size, magic = string.unpack(">I2", bytes, 17), "\xd9\xd5\x05\xf9\x20\xa1\x63\xd7"
    local function sum(text, first, last, step)
      local total = 0
      for i = first, last, step do total = total + text:byte(i) end
      return total
    end
    local page = bytes:sub(1, size)
    local journal = (magic .. string.pack(">I4I4I4I4I4", 1, 0, #bytes // size, 512, size) .. ("\0"):rep(484))
      .. string.pack(">I4", 1) .. page .. string.pack(">I4", sum(page, size - 199, 2, -200))
      .. string.pack(">I4", (1 << 30) // size + 1) .. victim
      .. string.pack(">I4I4", #victim, sum(victim, 1, #victim, 1)) .. magic
    assert(files.write_all(path .. "-journal", journal))
    local message = "is damaged: its journal names another file, which would be removed; move the journal away"
    assert.same({ n = 2, nil, message }, table.pack(store.read(path)))
    assert.same({ n = 2, nil, message }, table.pack(store.open(path)))
    assert.equal("precious", files.read_all(victim))
    assert(os.remove(path .. "-journal"))
    assert(store.read(path))
  end)

  it("has nothing beside it that leads elsewhere, or waits", function()
    make()
    local victim = files.join(folder, "victim")
    assert(files.write_all(victim, ("precious"):rep(10000)))
    for what, beside in pairs { journal = "-journal", ["-wal"] = "-wal", ["-shm"] = "-shm" } do
      for problem, plant in pairs {
        ["is a link"] = function(at) assert(lfs.link(victim, at, true)) end,
        ["is another file, too"] = function(at) assert(lfs.link(victim, at)) end,
        ["is no file"] = function(at) assert(os.execute(("mkfifo '%s'"):format(at))) end, -- who reads it waits for ever
      } do
        plant(path .. beside)
        assert.equal(("is damaged: its %s %s; move the %s away"):format(what, problem, what), refused())
        assert(os.remove(path .. beside))
      end
    end
    assert.equal(("precious"):rep(10000), files.read_all(victim))
    assert(store.open(path)):close()
  end)

  it("is locked by nothing but a lock", function()
    make()
    local at = path .. "-lock"
    local function locked()
      local none, message = store.open(path)
      assert.is_nil(none)
      assert.equal(("cannot be locked: '%s' is not the file of a lock; move it away"):format(at), message)
      assert(store.read(path)) -- which needs none
    end
    local victim = files.join(folder, "victim")
    for _, content in ipairs { "precious", "" } do
      assert(files.write_all(victim, content))
      assert(lfs.link(victim, at, true))
      locked()
      assert(os.remove(at))
      assert(lfs.link(victim, at))
      locked()
      assert(os.remove(at))
      assert.equal(content, files.read_all(victim))
    end
    assert(os.execute(("mkfifo '%s'"):format(at)))
    locked()
    assert(os.remove(at))
    assert(lfs.mkdir(at))
    locked()
    assert(lfs.rmdir(at))
    assert(files.write_all(at, "somebody's notes"))
    locked()
    assert.equal("somebody's notes", files.read_all(at))
    assert(files.write_all(at, "secateur lock 99 of somebody who was killed"))
    assert(store.open(path)):close()
    assert.is_false(files.is_file(at))
  end)

  it("has a log that is its own, whatever it says", function()
    make()
    local plain = files.read_all(path)
    -- A writer that is killed leaves its log behind.
    assert.is_false((child.try(([[
      local s = assert(require "secateur.results.store".open(%q))
      s:put("other", "k", 1)
      os.execute("kill -9 $PPID")]]):format(path))))
    local begun, log = files.read_all(path), assert(files.read_all(path .. "-wal"))
    assert.is_true(#log > 0)
    local function with(content)
      for _, beside in ipairs { "-wal", "-shm" } do os.remove(path .. beside) end
      assert(files.write_all(path, begun))
      assert(files.write_all(path .. "-wal", content))
    end
    with(log)
    assert.same({ k = 1 }, assert(store.read(path)).cache.other)
    -- Its header alone, for the terabyte that follows: no frame of it is one.
    with(log:sub(1, 32))
    local file = assert(io.open(path .. "-wal", "r+"))
    if file:seek("set", 1 << 40) and file:write "x" then
      file:close()
      assert.is_nil(assert(store.read(path)).cache.other)
    end
    with(("x"):rep(100000))
    assert.is_nil(assert(store.read(path)).cache.other)
    -- Pages of another program's file, with sums that are right.
    local other = files.join(folder, "other.db")
    assert.is_false((child.try(([[
      local connection = assert(require "secateur.sqlite".open(%q, "write"))
      connection:run "PRAGMA journal_mode = WAL"
      connection:run "CREATE TABLE patients (name)"
      for i = 1, 100 do connection:run("INSERT INTO patients VALUES (?)", ("x"):rep(1000)) end
      os.execute("kill -9 $PPID")]]):format(other))))
    with(assert(files.read_all(other .. "-wal")))
    assert.equal("is not a store: it is another program's SQLite file", refused())
    assert(files.write_all(path, plain))
    for _, beside in ipairs { "-wal", "-shm" } do os.remove(path .. beside) end
    assert(store.read(path))
  end)

  it("is not changed by reading", function()
    make()
    local before = files.read_all(path)
    assert(store.read(path))
    assert.equal(before, files.read_all(path))
    assert.same({ "runs.db" }, files.list(folder, { hidden = true }))
  end)

  it("can be read, but not gone on with, where it cannot be written", function()
    needs.user(pending)
    make()
    assert.is_true(os.execute(("chmod 444 '%s'"):format(path)))
    assert.equal(1, #assert(store.read(path)).rows)
    local none, message = store.open(path)
    assert.is_nil(none)
    assert.equal("cannot be written: attempt to write a readonly database", message)
  end)

  it("is not called missing where it must not be looked at", function()
    needs.user(pending)
    make()
    assert.is_true(os.execute(("chmod 000 '%s'"):format(folder)))
    local none, message = store.read(path)
    assert.is_true(os.execute(("chmod 700 '%s'"):format(folder)))
    assert.is_nil(none)
    assert.matches("^cannot be looked at: .*Permission denied$", message)
  end)

  it("may be read by several at a time", function()
    make()
    local other <close> = assert(sqlite.open(path, "read"))
    assert(other:run "BEGIN")
    assert(other:run "SELECT * FROM rows")
    assert.equal(1, #assert(store.read(path)).rows)
  end)

  it("stands at the path of a file", function()
    for given, expected in pairs {
      [""] = "expected the path of a file, got an empty one; without a store nothing is kept",
      [":memory:"] = "expected the path of a file, got ':memory:', which keeps nothing, as no store does; "
        .. "'./:memory:' is a file of this name",
      ["file:x.db?mode=memory"] = "expected a path, got a URI, 'file:x.db?mode=memory'; './file:x.db?mode=memory' is a "
        .. "file of this name",
      ["a\0b"] = "expected a path without zero bytes" } do
      assert.same({ n = 2, nil, expected }, table.pack(store.read(given)))
      assert.same({ n = 2, nil, expected }, table.pack(store.open(given)))
    end
    local odd = files.join(folder, "file:x.db?mode=memory")
    assert(store.open(odd)):close()
    assert.is_true(files.is_file(odd))
  end)

  it("is released when its sweep's coroutine is held by nobody", function()
    local dropped = coroutine.wrap(function()
      local writer <close> = assert(store.open(path))
      coroutine.yield(writer.path)
    end)
    assert.equal(path, dropped())
    local none, message = store.open(path)
    assert.is_nil(none)
    assert.matches("^is in use by another sweep of this process, since %d+", message)
    dropped = nil -- luacheck: ignore 311
    assert(store.open(path)):close()
  end)

  it("says why it cannot be begun where there is no room for it", function()
    local good, output = child.try(([[print(require("secateur.results.store").open(%q))]]):format(path),
      "ulimit -f 6; %s")
    assert.is_true(good)
    assert.matches("^nil\tcannot be used: disk I/O error: File too large\n$", output)
  end)

  it("is whole when there was no room for a row", function()
    local good, output = child.try(([[
      local store = require "secateur.results.store"
      local s = assert(store.open(%q))
      s:put("other", "small", 1)
      print(pcall(s.put, s, "other", "large", ("x"):rep(1 << 20)))
      s:put("other", "again", 2)
      s:close()
      print "done"
    ]]):format(path), "ulimit -f 128; %s")
    assert.is_true(good)
    assert.matches("^false\t.*store '.*' cannot be used: disk I/O error: File too large\ndone\n$", output)
    assert.same({ small = 1, again = 2 }, assert(store.read(path)).cache.other)
  end)
end)
