local child = require "support.child"
local files = require "secateur.util.files"
local store = require "secateur.results.store"

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

  it("gives back what was put in, exactly, after closing", function()
    local row = { name = "ü\0'\"; DROP TABLE rows; --", rate = 0.1, big = 2 ^ 40, loss = math.huge, list = { 1 / 3 } }
    local first <close> = opened()
    assert.same(row, first:put("row", "k", row))
    first:put("scores", "a", { conv = "0.333333343" })
    first:put("scores", "a", { conv = "0.5" })
    first:close()
    first:close()
    local second <close> = opened()
    assert.same(row, second:get("row", "k"))
    assert.same({ conv = "0.5" }, second:get("scores", "a"))
    assert.is_nil(second:get("row", "other"))
  end)

  it("keeps rows in the order they came, and reads them all", function()
    local writer <close> = opened()
    for i = 9, 1, -1 do writer:put("row", "k" .. i, { i = i }) end
    writer:put("samples", "s", { 3, 1 })
    writer:close()
    local whole = store.read(path)
    assert.same(experiment, whole.experiment)
    assert.same({ i = 9 }, whole.rows[1])
    assert.equal(9, #whole.rows)
    assert.same({ samples = { s = { 3, 1 } } }, whole.cache)
  end)

  it("loses nothing that was put before the process is killed", function()
    local good = child.try(([[
      local store = require "secateur.results.store"
      local s = assert(store.open(%q, { a = 1 }))
      for i = 1, 5 do s:put("row", "k" .. i, { i = i }) end
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
    assert.equal("is in use by another process", message)
    local whole, why = store.read(path)
    assert.is_nil(whole)
    assert.equal("is in use by another process", why)
    first:put("row", "still", { works = true })
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
      for i = 1, 30 do writer:put("row", "k" .. i, { text = ("x"):rep(3000) }) end
      writer:close()
      local content = files.read_all(path)
      local middle = #content // 2
      assert.matches("^is damaged: ", message_for(content:sub(1, middle) .. ("\255"):rep(8192)
        .. content:sub(middle + 8193)))
      assert.matches("^is damaged: ", message_for(content:sub(1, middle)))
    end)

    it("says that it is another program's", function()
      local dbi = require "DBI"
      local connection = dbi.Connect("SQLite3", path)
      connection:autocommit(true)
      local statement = connection:prepare("CREATE TABLE patients (name)")
      statement:execute()
      statement:close()
      connection:close()
      local _, message = store.open(path, experiment)
      assert.equal("is not a store: it is another program's SQLite file", message)
    end)

    it("says that there is none", function()
      assert.same({ n = 2, nil, "no such file" }, table.pack(store.read(path)))
      assert.same({ n = 2, nil, "unable to open database file" },
        table.pack(store.open(path .. "/no/such/folder", experiment)))
      assert(files.write_all(path, ""))
      assert.same({ n = 2, nil, "is an empty store" }, table.pack(store.read(path)))
    end)
  end)

  it("does the same in memory", function()
    local memory <close> = store.memory()
    assert.same({ a = 1 }, memory:put("row", "k", { a = 1, b = 0 / 0 }))
    assert.same({ a = 1 }, memory:get("row", "k"))
    assert.is_nil(memory:get("scores", "k"))
  end)
end)
