-- Several processes and one store: one writes, the others wait or are told who it is, and all may read meanwhile.
local child = require "support.child"
local draws = require "support.draws"
local files = require "secateur.util.files"
local interrupt = require "support.interrupt"
local lfs = require "lfs"
local needs = require "support.needs"
local results = require "secateur.results"
local rows = require "support.rows"
local sqlite = require "secateur.sqlite"
local store = require "secateur.results.store"
local temporary = require "support.temporary"

-- Both ways to keep what is not in the file yet: a log on a disk of this machine, a journal on one that several share.
local ways = { ["of one machine"] = false, ["of several machines"] = true }

describe("a store", function()
  local folder, path

  before_each(function()
    folder = temporary.folder()
    path = files.join(folder, "runs.db")
  end)
  after_each(function() assert(files.remove(folder)) end)

  local function script(text, ...)
    return ([[
      local store = require "secateur.results.store"
      local path = %q
      %s]]):format(path, text:format(...))
  end

  -- A process that has the store until its input ends.
  local function holder(shared)
    assert(os.execute(("mkfifo '%s.go'"):format(path)))
    local pipe, finish = child.start(script([[
      local writer = assert(store.open(path, { shared = %s }))
      print(io.open "/proc/self/stat":read "n")
      io.stdout:flush()
      local fifo = io.open(path .. ".go")
      fifo:read "a"
      writer:close()]], shared))
    local process = assert(tonumber(pipe:read "l"))
    return process, function()
      io.open(path .. ".go", "w"):close()
      assert(finish())
    end
  end

  for disk, shared in pairs(ways) do
    describe("on a disk " .. disk, function()
      it("is one process's to write, and another is told whose", function()
        needs.proc(pending)
        local process, finish = holder(shared)
        local none, message = store.open(path, { shared = shared })
        assert.is_nil(none)
        assert.matches(("^is in use by process %d on %%S+, since %%d+%%-%%d+%%-%%d+T%%d+:%%d+:%%d+Z$"):format(process),
          message)
        finish()
        assert(store.open(path, { shared = shared })):close()
        assert.same({ "runs.db", "runs.db.go" }, files.sort(files.list(folder, { hidden = true })))
      end)

      it("is waited for", function()
        local writer <close> = assert(store.open(path, { shared = shared }))
        local pipe, finish = child.start(script([[
          local writer = assert(store.open(path, { shared = %s, wait = 1000 }))
          print "has it"
          writer:put("other", "k", 1)
          writer:close()]], shared))
        assert.matches("^store '.*runs.db' is in use by process %d+ on %S+, since %S+: waiting for up to 1000 s$",
          pipe:read "l")
        writer:close()
        assert.equal("has it", pipe:read "l")
        assert.is_true(finish())
        assert.same({ k = 1 }, store.read(path).cache.other)
      end)

      it("is read while it is written, as it was at one moment", function()
        local writer <close> = assert(store.open(path, { shared = shared }))
        rows.put(writer, rows.row {})
        local reader <close> = assert(sqlite.open(path, "read"))
        if not shared then -- a journal has one state alone
          assert(reader:run "BEGIN")
          assert.same({ { 1 } }, reader:run "SELECT count(*) FROM rows")
        end
        rows.put(writer, rows.row { seed = 2 })
        if not shared then assert.same({ { 1 } }, reader:run "SELECT count(*) FROM rows") end
        assert.equal(2, #assert(results.read(path)))
        assert.equal("2", child.run(script "print(#assert(store.read(path)).rows)"):match "%d+")
        rows.put(writer, rows.row { seed = 3 })
        assert.equal(3, #assert(results.read(path)))
      end)

      it("is looked at by the sqlite3 shell while it is written", function()
        if not os.execute "command -v sqlite3 >/dev/null" then pending "no sqlite3 shell" end
        local writer <close> = assert(store.open(path, { shared = shared }))
        for seed = 1, 3 do
          rows.put(writer, rows.row { seed = seed, drop = seed / 8 })
          local pipe <close> = assert(io.popen(("sqlite3 -readonly '%s' 'SELECT seed, \"drop\", settings FROM results'")
            :format(path)))
          local last
          for line in pipe:lines() do last = line end
          assert.equal(("%d|%g|%s"):format(seed, seed / 8, store.hash(rows.settings)), last)
        end
      end)

      it("is whole after every kill", function()
        local draw = draws(77)
        local written = 0
        for _ = 1, 8 do
          local pipe, finish = child.start(script([[
            local rows = require "support.rows"
            local writer = assert(store.open(path, { shared = %s }))
            print(io.open "/proc/self/stat":read "n")
            local n = #writer:keys "row"
            while true do
              n = n + 1
              rows.put(writer, rows.row { seed = n })
              writer:put("scores", "s" .. n, { scores = { conv = ("1 "):rep(2000) }, seconds = 1 })
              io.write(n, "\n"):flush()
            end]], shared))
          local process = pipe:read "l"
          local last
          for _ = 0, draw(0, 12) do last = tonumber(pipe:read "l") end
          os.execute("kill -9 " .. process)
          last = tonumber(pipe:read("a"):match "(%d+)\n%d*$") or last
          finish()
          local whole = assert(store.read(path))
          assert.is_true(#whole.rows >= last and #whole.rows <= last + 1)
          assert.is_true(#whole.rows >= written)
          for i, row in ipairs(whole.rows) do assert.equal(i, row.seed) end
          written = #whole.rows
        end
        assert(store.open(path, { shared = shared })):close()
        assert.same({ "runs.db" }, files.list(folder, { hidden = true }))
        assert.equal(1, files.read_all(path):byte(19)) -- one plain file, and it says so
      end)

      it("is made by one of those who race for it", function()
        assert(os.execute(("mkfifo '%s.go'"):format(path)))
        local racers = {}
        for i = 1, 8 do
          local pipe, finish = child.start(script([[
            io.write "ready\n":flush()
            io.stdin:read "a"
            local writer, message = store.open(path, { shared = %s, wait = %d })
            if not writer then return print(message) end
            print("made it " .. #writer:keys "other")
            writer:put("other", tostring(%d), 1)
            writer:close()]], shared, i > 4 and 1000 or 0, i), ("exec 0<'%s'; %%s"):format(path .. ".go"))
          racers[i] = { pipe = pipe, finish = finish }
        end
        local go = assert(io.open(path .. ".go", "w")) -- all who read it see its end
        for _, racer in ipairs(racers) do assert.equal("ready", racer.pipe:read "l") end
        go:close()
        local order, refused = {}, 0
        for _, racer in ipairs(racers) do
          local output = racer.pipe:read "a"
          racer.finish()
          local place = output:match "made it (%d)"
          if place then
            assert.is_nil(order[place + 0]) -- each has found what all before it have written
            order[place + 0] = true
          else
            assert.matches("is in use by process", output)
            refused = refused + 1
          end
        end
        assert.is_true(order[0] and refused <= 4)
        local count = 0
        for _ in pairs(store.read(path).cache.other) do count = count + 1 end
        assert.equal(8 - refused, count)
      end)
    end)
  end

  describe("by the system's word for its disk", function()
    -- What a script says of a store there, whose writer keeps what is not in the file yet as it chooses.
    local function try(disk, locks)
      needs.no_preload(pending)
      local library = assert(package.searchpath("spec.network_disk", package.cpath))
      return child.run(script [[
        local writer, message = store.open(path)
        if not writer then return print(message) end
        writer:put("other", "k", 1)
        print(io.open(path .. "-wal") and "a log" or "a journal")]],
        ("export LD_PRELOAD='%s' NETWORK_DISK=%s NETWORK_LOCKS=%s; %%s"):format(library, disk, locks))
    end

    it("keeps a log or a journal", function()
      needs.linux(pending)
      assert.equal("a log\n", try("0xef53", "yes")) -- ext4
      for _, number in ipairs { "0x6969", "0xff534d42", "0x0bd00bd0", "0x47504653", "0x19830326" } do
        assert.equal("a journal\n", try(number, "yes"))
      end
    end)

    it("is refused where there are no locks, with the way out", function()
      needs.linux(pending)
      assert.equal("cannot be locked: its file system has no locks (No locks available); name a store on another one, "
        .. "or mount it with locks\n", try("0x6969", "no"))
      assert.same({ "runs.db" }, files.list(folder, { hidden = true }))
      assert.equal(0, #files.read_all(path))
    end)
  end)

  it("goes from a disk of one machine to one of several, and back, also where its writer was killed", function()
    for i, shared in ipairs { false, true, false, true } do
      assert.is_false((child.try(script([[
        local rows = require "support.rows"
        rows.put(assert(store.open(path, { shared = %s })), rows.row { seed = %d })
        os.execute("kill -9 $PPID")]], shared, i))))
    end
    assert.equal(4, #assert(store.read(path)).rows)
  end)

  it("has no journal left that a killed writer had hardly begun", function()
    for _, shared in ipairs { true, false } do
      assert(store.open(path, { shared = shared })):close()
      assert(files.write_all(path .. "-journal", ("\0"):rep(512)))
      assert(store.read(path))
      assert(store.open(path, { shared = shared })):close()
      assert.same({ "runs.db" }, files.list(folder, { hidden = true }))
    end
  end)

  it("is waited for no longer than until Ctrl-C", function()
    needs.proc(pending)
    local writer <close> = assert(store.open(path))
    interrupt.check { setup = ([[
        local store = require "secateur.results.store"
        io.stderr = { write = function() end } -- says that it waits
        os.remove(%q)
        local function work()
          io.open(%q, "w"):close()
          store.open(%q, { wait = 1e9 })
        end]]):format(path .. "-begun", path .. "-begun", path), call = "work", message = "interrupted!$",
      begun = function() return lfs.attributes(path .. "-begun", "mode") ~= nil end }
    writer:close()
  end)

  it("goes on when another program lets go of it, and says what it waits for", function()
    local other = assert(store.open(path))
    other:close()
    local connection <close> = assert(sqlite.open(path, "write"))
    assert(os.execute(("mkfifo '%s.go'"):format(path)))
    local pipe, finish = child.start(script [[
      local writer = assert(store.open(path))
      io.write "open\n":flush()
      io.stdin:read "l"
      writer:put("other", "k", 1)
      writer:close()]], ("exec 0<'%s'; %%s"):format(path .. ".go"))
    local go <close> = assert(io.open(path .. ".go", "w"))
    assert.equal("open", pipe:read "l")
    assert(connection:run "BEGIN IMMEDIATE")
    go:write "\n":flush()
    assert.equal(("store '%s' is locked by another program that has it open: waiting for it"):format(path),
      pipe:read "l")
    assert(connection:run "COMMIT")
    assert.equal("", pipe:read "a")
    assert.is_true(finish())
    connection:close()
    assert.same({ k = 1 }, store.read(path).cache.other)
  end)

  it("is not taken while another program writes", function()
    assert(store.open(path)):close()
    local connection <close> = assert(sqlite.open(path, "write"))
    assert(connection:run "BEGIN EXCLUSIVE")
    assert.same({ n = 2, nil, "is locked by another program that has it open" },
      table.pack(store.read(path, { wait = 0 })))
  end)

  it("is two sweeps' of a process no more than two processes'", function()
    local first <close> = assert(store.open(path))
    local none, message = store.open(path)
    assert.is_nil(none)
    assert.matches("^is in use by another sweep of this process, since %d", message)
    first:close()
    assert(store.open(path)):close()
  end)

  it("is one Lua state's of a process, too", function()
    local code = ([[
      meet()
      local store = require "secateur.results.store"
      io.stderr = { write = function() end } -- says that it waits
      local writer, message = store.open(%q, { wait = %%d })
      if not writer then return message:match "^.*process" end
      local count = #writer:keys "other"
      writer:put("other", tostring(count), 1)
      writer:close()
      return "number " .. count]]):format(path)
    local output = child.run(script([==[
      local run = require "spec.lua_threads".run
      local function say(code)
        local lines = {}
        for i, one in ipairs((run(code, 3, package.path, package.cpath))) do lines[i] = one.message end
        table.sort(lines)
        print(table.concat(lines, ", "))
      end
      local writer = assert(store.open(path))
      say [=[%s]=]
      writer:close()
      say [=[%s]=] ]==], code:format(0), code:format(1000)))
    local refused = "is in use by another sweep of this process"
    assert.equal(("%s, %s, %s\nnumber 0, number 1, number 2\n"):format(refused, refused, refused), output)
  end)

  it("has one lock, whatever name leads to it", function()
    local _ <close> = assert(store.open(path))
    local link = files.join(folder, "link.db")
    assert(lfs.link("runs.db", link, true))
    assert.matches("^is in use by another sweep of this process", select(2, store.open(link)))
    local again = files.join(folder, "again.db")
    assert(lfs.link(path, again))
    assert.equal("cannot be written: the file has another name, too, by which others would not see what is written; "
      .. "name a copy of it", select(2, store.open(again)))
  end)

  it("stays as it is where somebody reads when its writer closes, until the next", function()
    local writer <close> = assert(store.open(path))
    rows.put(writer, rows.row {})
    local reader <close> = assert(sqlite.open(path, "read"))
    assert(reader:run "BEGIN")
    assert(reader:run "SELECT * FROM rows")
    writer:close()
    assert.equal(1, #assert(store.read(path)).rows)
    reader:close()
    assert(store.open(path)):close()
    assert.same({ "runs.db" }, files.list(folder, { hidden = true }))
  end)

  describe("in a folder that cannot be written", function()
    local function leave(how)
      child.try(script([[
        local rows = require "support.rows"
        local writer = assert(store.open(path))
        rows.put(writer, rows.row {})
        %s]], how))
      assert(os.execute(("chmod 444 '%s'*; chmod 555 '%s'"):format(path, folder)))
      finally(function() os.execute(("chmod 755 '%s'; chmod 644 '%s'/*"):format(folder, folder)) end)
    end

    it("is read where it is finished", function()
      needs.user(pending)
      leave "writer:close()"
      assert.equal(1, #assert(store.read(path)).rows)
    end)

    it("is read where it says that it had a log, and has none", function()
      needs.user(pending)
      leave [[writer:close()
        local connection = assert(require "secateur.sqlite".open(path, "write"))
        connection:run "PRAGMA journal_mode = WAL"]]
      assert.equal(2, files.read_all(path):byte(19))
      assert.equal(1, #assert(store.read(path)).rows)
    end)

    it("says what is needed where its writer was killed", function()
      needs.user(pending)
      leave "os.execute('kill -9 $PPID')"
      assert(os.execute(("chmod 755 '%s'; rm '%s-shm'; chmod 555 '%s'"):format(folder, path, folder)))
      assert.same({ n = 2, nil, ("was not closed by who wrote it, and '%s-wal', which has the last of it, can only be "
        .. "read where both and their folder can be written; copy both into such a folder"):format(path) },
        table.pack(store.read(path)))
    end)
  end)
end)
