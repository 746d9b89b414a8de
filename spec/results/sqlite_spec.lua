local child = require "support.child"
local files = require "secateur.util.files"
local interrupt = require "support.interrupt"
local lfs = require "lfs"
local needs = require "support.needs"
local sqlite = require "secateur.sqlite"
local temporary = require "support.temporary"

describe("sqlite", function()
  local folder, path, connection

  before_each(function()
    folder = temporary.folder()
    path = files.join(folder, "some.db")
    connection = assert(sqlite.open(path, "write"))
  end)
  after_each(function()
    connection:close()
    assert(files.remove(folder))
  end)

  it("gives rows as lists, whatever their columns hold", function()
    assert.same({}, connection:run "CREATE TABLE t (a, b)")
    assert.same({}, connection:run("INSERT INTO t VALUES (?, ?)", "ü\0'; --", math.mininteger))
    assert.same({ { "ü\0'; --", math.mininteger } }, connection:run "SELECT a, b FROM t")
    assert.same({ { nil, 0.5, false, "" } }, connection:run "SELECT NULL, 0.5, x'00', ''")
    assert.equal("float", math.type(connection:run("SELECT 1.0")[1][1]))
  end)

  it("gives failures as values, with their kind", function()
    assert.same({ n = 3, nil, 'near "SELEC": syntax error', "error" }, table.pack(connection:run "SELEC 1"))
    assert.same({ n = 3, nil, "unable to open database file: No such file or directory", "open" },
      table.pack(sqlite.open(folder .. "/no/such", "write")))
    assert.same({ n = 3, nil, "unable to open database file: No such file or directory", "open" },
      table.pack(sqlite.open(path .. "-other", "read")))
    assert(files.write_all(path .. "-other", ("no database "):rep(100)))
    local other <close> = assert(sqlite.open(path .. "-other", "read"))
    assert.same({ n = 3, nil, "file is not a database", "format" },
      table.pack(other:run "SELECT count(*) FROM sqlite_master"))
    assert(connection:run "BEGIN EXCLUSIVE")
    local second <close> = assert(sqlite.open(path, "write"))
    assert.same({ n = 3, nil, "database is locked", "busy" }, table.pack(second:run "BEGIN EXCLUSIVE"))
    assert.error_matches(function() sqlite.open(path, "somehow") end, "invalid option 'somehow'")
  end)

  it("waits as long as it is told for who has the file locked", function()
    needs.proc(pending)
    assert(connection:run "CREATE TABLE t (a)")
    local other <close> = assert(sqlite.open(path, "write"))
    assert(other:run "BEGIN EXCLUSIVE")
    local pipe, finish = child.start(([[
      local connection = assert(require "secateur.sqlite".open(%q, "write"))
      connection:patience(1000)
      io.write "begun\n":flush()
      print(connection:run "INSERT INTO t VALUES (1)")]]):format(path))
    assert.equal("begun", pipe:read "l")
    assert(other:run "COMMIT")
    assert.matches("^table", pipe:read "a")
    assert.is_true(finish())
    assert.same({ { 1 } }, other:run "SELECT a FROM t")
  end)

  it("waits no longer than until Ctrl-C", function()
    needs.proc(pending)
    local other <close> = assert(sqlite.open(path, "write"))
    assert(other:run "BEGIN EXCLUSIVE")
    interrupt.check { setup = ([[
        local connection = assert(require "secateur.sqlite".open(%q, "write"))
        connection:patience(1e9)
        os.remove(%q)
        local function work()
          io.open(%q, "w"):close()
          connection:run "BEGIN"
          connection:run "CREATE TABLE t (a)"
        end]]):format(path, path .. "-begun", path .. "-begun"), call = "work", message = "interrupted!$",
      begun = function() return lfs.attributes(path .. "-begun", "mode") ~= nil end }
  end)

  it("puts the log into the file when it closes, where it is told to and nobody reads", function()
    assert(connection:run "PRAGMA journal_mode = WAL")
    assert(connection:run "CREATE TABLE t (a)")
    local reader = assert(sqlite.open(path, "read"))
    assert(reader:run "SELECT * FROM t")
    connection:to_one_file()
    connection:close()
    assert.is_true(files.is_file(path .. "-wal"))
    reader:close()
    connection = assert(sqlite.open(path, "write"))
    assert(connection:run "INSERT INTO t VALUES (1)")
    connection:to_one_file()
    connection:close()
    assert.same({ "some.db" }, files.list(folder))
    assert.equal(1, files.read_all(path):byte(19)) -- the file says so (SQLite's Database File Format, 1.3)
  end)

  it("reads a file that nobody changes without looking for a journal, whatever its name", function()
    local odd = files.join(folder, "a?b%41#.db")
    local writer <close> = assert(sqlite.open(odd, "write"))
    assert(writer:run "CREATE TABLE t (a)")
    assert(writer:run "PRAGMA journal_mode = WAL")
    writer:close()
    local reader <close> = assert(sqlite.open(odd, "immutable"))
    assert.same({}, reader:run "SELECT a FROM t")
    assert.equal(odd, reader:path())
    assert.same({ "a?b%41#.db", "some.db" }, files.sort(files.list(folder)))
    assert.is_nil((reader:run "CREATE TABLE u (a)"))
  end)

  it("closes when told, also twice, and is closed afterwards", function()
    connection:close()
    connection:close()
    assert.error_matches(function() connection:run "SELECT 1" end, "the connection is closed")
    assert.error_matches(function() connection.run({}, "SELECT 1") end, "Connection expected")
    assert.error_matches(function() sqlite.open("", "write") end, "expected a path")
    assert.error_matches(function() sqlite.open("a\0b", "write") end, "expected a path")
  end)

  it("trusts nothing that a file says", function()
    assert(connection:run "CREATE TABLE t (a)")
    assert(connection:run "CREATE TRIGGER more AFTER INSERT ON t BEGIN INSERT INTO t VALUES (2); END")
    assert(connection:run "INSERT INTO t VALUES (1)")
    assert.same({ { 1 } }, connection:run "SELECT a FROM t")
    assert(connection:run "CREATE VIEW v AS SELECT a FROM t")
    assert.equal('access to view "v" prohibited', select(2, connection:run "SELECT a FROM v"))
    assert.is_nil(connection:run "ATTACH ':memory:' AS other")
    assert.is_nil((connection:run "SELECT load_extension('x')"))
    assert(connection:run "PRAGMA writable_schema = ON")
    assert.is_nil((connection:run "UPDATE sqlite_master SET sql = ''"))
  end)

  it("ends what takes too long before the file is trusted", function()
    local long = "WITH RECURSIVE t (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM t LIMIT 1000000) SELECT count(*) FROM t"
    assert.same({ n = 3, nil, "its schema takes too long to read", "corrupt" }, table.pack(connection:run(long)))
    connection:trust()
    assert.same({ { 1000000 } }, connection:run(long))
  end)

  it("ends a long query at Ctrl-C", function()
    needs.proc(pending)
    assert(connection:run "CREATE TABLE t (x)")
    -- The first row is written, and so the journal begun, before the second is looked for.
    interrupt.check { setup = ([[
        local connection = assert(require "secateur.sqlite".open(%q, "read"))
        connection:trust()
        local function work()
          connection:run("INSERT INTO t SELECT 1 UNION ALL SELECT count(*) FROM (WITH RECURSIVE e (x) AS "
            .. "(SELECT 1 UNION ALL SELECT x FROM e) SELECT x FROM e)")
        end]]):format(path), call = "work", message = "interrupted!$",
      begun = function() return lfs.attributes(path .. "-journal", "mode") ~= nil end }
    assert.same({}, connection:run "SELECT x FROM t")
  end)
end)
