local child = require "support.child"
local files = require "secateur.util.files"
local rows = require "support.rows"
local sqlite = require "secateur.sqlite"
local store = require "secateur.results.store"
local temporary = require "support.temporary"

-- Runs statements on a SQLite file, which is made where it is missing.
local function execute(path, ...)
  local connection <close> = assert(sqlite.open(path, true))
  for _, sql in ipairs { ... } do assert(connection:run(sql)) end
end

describe("store", function()
  local path
  local experiment = { methods = { "ig", "lrp" }, rates = { 0, 0.5 }, models = { vgg = { cpn = "a1" } } }

  before_each(function()
    path = os.tmpname()
    os.remove(path)
  end)
  after_each(function()
    os.remove(path)
    os.remove(path .. "-journal")
  end)

  local function opened(what)
    return assert(store.open(path, what or experiment))
  end

  local function put_row(writer, seed, changes)
    local row = rows.row(changes or {})
    row.seed = seed
    writer:put("row", rows.key(row), row)
  end

  it("gives back what was put in, exactly, after closing", function()
    local row = rows.row { model = "ü\0'\"; DROP TABLE rows; --", rate = 0.1, big = 2 ^ 40, loss = math.huge,
      list = { 1 / 3 } }
    local key = rows.key(row)
    local first <close> = opened()
    assert.same(row, first:put("row", key, row))
    first:put("scores", "a", { scores = { conv = "0.333333343" }, seconds = 1 })
    first:put("scores", "a", { scores = { conv = "0.5 -inf nan" }, seconds = 2 })
    first:close()
    first:close()
    local second <close> = opened()
    assert.same(row, second:get("row", key))
    assert.same({ scores = { conv = "0.5 -inf nan" }, seconds = 2 }, second:get("scores", "a"))
    assert.is_nil(second:get("row", "other"))
  end)

  it("keeps rows in the order they came, and reads them all", function()
    local writer <close> = opened()
    for i = 9, 1, -1 do put_row(writer, i) end
    writer:put("samples", "s", { 3, 1 })
    writer:close()
    local whole = store.read(path)
    assert.same(experiment, whole.experiment)
    assert.same(rows.row { seed = 9 }, whole.rows[1])
    assert.equal(9, #whole.rows)
    assert.same({ samples = { s = { 3, 1 } } }, whole.cache)
  end)

  it("loses nothing that was put before the process is killed", function()
    local good = child.try(([[
      local store = require "secateur.results.store"
      local s = assert(store.open(%q, { a = 1 }))
      for i = 1, 5 do
        s:put("row", ('["d","m","lrp","random",%%d,0.5]'):format(i), { dataset = "d", model = "m", method = "lrp",
          sampling = "random", seed = i, rate = 0.5, accuracy = 1, drop = 0 })
      end
      os.execute("kill -9 $PPID")
    ]]):format(path))
    assert.is_false(good)
    assert.equal(5, #assert(store.read(path)).rows)
  end)

  it("belongs to one experiment", function()
    opened():close()
    local function refused(changes)
      local other = {}
      for key, value in pairs(experiment) do other[key] = value end
      for key, value in pairs(changes) do other[key] = value end
      local none, message = store.open(path, other)
      assert.is_nil(none)
      return message
    end
    assert.equal("holds a different experiment: rates: [0,0.5] in the store, now [0,0.3]",
      refused { rates = { 0, 0.3 } })
    assert.equal('holds a different experiment: models.vgg.cpn: "a1" in the store, now "b2"',
      refused { models = { vgg = { cpn = "b2" } } })
    assert.equal('holds a different experiment: min_units: nothing in the store, now 2', refused { min_units = 2 })
    assert.matches("; and 2 more$", refused { a = 1, b = 1, c = 1, d = 1, e = 1, f = 1, g = 1 })
  end)

  it("may have a setting under the name that it had before", function()
    local old, new = { keep = 2 }, { min_units = 2 }
    for key, value in pairs(experiment) do old[key], new[key] = value, value end
    assert(store.open(path, old)):close()
    assert(store.open(path, new)):close()
    assert.equal(2, store.read(path).experiment.min_units)
  end)

  it("is one process's at a time", function()
    local first <close> = opened()
    local second, message = store.open(path, experiment)
    assert.is_nil(second)
    assert.equal("is in use by another process, or by another sweep of this one", message)
    local whole, why = store.read(path)
    assert.is_nil(whole)
    assert.equal("is in use by another process, or by another sweep of this one", why)
    put_row(first, 1)
  end)

  describe("of a bad file", function()
    local function message_for(content)
      assert(files.write_all(path, content))
      local none, message = store.open(path, experiment)
      assert.is_nil(none)
      assert.equal(content, files.read_all(path)) -- whatever it is, it is somebody's
      return message
    end

    it("says that it is no store", function()
      assert.equal("is not a store: it is no SQLite file", message_for(("rate,accuracy\n"):rep(500)))
    end)

    it("says that it is damaged", function()
      local writer <close> = opened()
      for i = 1, 30 do put_row(writer, i, { note = ("x"):rep(3000) }) end
      writer:close()
      local content = files.read_all(path)
      local middle = #content // 2
      assert.matches("^is damaged: ", message_for(content:sub(1, middle) .. ("\255"):rep(8192)
        .. content:sub(middle + 8193)))
      assert.matches("^is damaged: ", message_for(content:sub(1, middle)))
    end)

    it("says that it is another program's", function()
      execute(path, "CREATE TABLE patients (name)")
      local _, message = store.open(path, experiment)
      assert.equal("is not a store: it is another program's SQLite file", message)
    end)

    it("says that there is none", function()
      assert.same({ n = 2, nil, "no such file" }, table.pack(store.read(path)))
      assert.same({ n = 2, nil, "cannot be opened: unable to open database file: No such file or directory" },
        table.pack(store.open(path .. "/no/such/folder", experiment)))
      local folder = temporary.folder()
      assert.same({ n = 2, nil, "is no file: a directory, not a file" }, table.pack(store.read(folder)))
      assert(files.remove(folder))
      assert(files.write_all(path, ""))
      assert.same({ n = 2, nil, "is an empty store" }, table.pack(store.read(path)))
    end)
  end)

  it("does the same in memory", function()
    local memory <close> = store.memory()
    assert.same({ a = 1 }, memory:put("other", "k", { a = 1, b = 0 / 0 }))
    assert.same({ a = 1 }, memory:get("other", "k"))
    assert.is_nil(memory:get("scores", "k"))
  end)
end)
