local child = require "support.child"
local files = require "secateur.util.files"
local rows = require "support.rows"
local sqlite = require "secateur.sqlite"
local store = require "secateur.results.store"
local temporary = require "support.temporary"

-- Runs statements on a SQLite file, which is made where it is missing.
local function execute(path, ...)
  local connection <close> = assert(sqlite.open(path, "write"))
  for _, sql in ipairs { ... } do assert(connection:run(sql)) end
end

describe("store", function()
  local path
  before_each(function()
    path = os.tmpname()
    os.remove(path)
  end)
  after_each(function()
    for _, beside in ipairs { "", "-journal", "-wal", "-shm", "-lock" } do os.remove(path .. beside) end
  end)

  local function opened()
    return assert(store.open(path))
  end

  local function put_row(writer, seed, changes)
    local row = rows.row(changes or {})
    row.seed = seed
    rows.put(writer, row)
  end

  it("gives back what was put in, exactly, after closing", function()
    local row = rows.row { model = "ü\0'\"; DROP TABLE rows; --", rate = 0.1, big = 2 ^ 40, loss = math.huge,
      list = { 1 / 3 } }
    local key = rows.key(row)
    local first <close> = opened()
    assert.same(row, rows.put(first, row))
    first:put("scores", "a", { scores = { conv = "0.333333343" }, seconds = 1 })
    first:put("scores", "a", { scores = { conv = "0.5 -inf nan" }, seconds = 2 })
    first:close()
    first:close()
    local second <close> = opened()
    assert.same(row, second:get("row", key))
    assert.same({ scores = { conv = "0.5 -inf nan" }, seconds = 2 }, second:get("scores", "a"))
    assert.is_nil(second:get("row", "other"))
  end)

  it("keeps rows in the order they came, and reads them all, with their settings", function()
    local writer <close> = opened()
    for i = 9, 1, -1 do put_row(writer, i) end
    rows.put(writer, rows.row {}, { scope = "layer" })
    put_row(writer, 5, { drop = 0.5 }) -- in its place
    writer:put("samples", "s", { 3, 1 })
    writer:put("run", "1", { seconds = 1 })
    writer:put("run", "2", { seconds = 2 })
    writer:put("run", "1", { seconds = 3 })
    writer:put("failure", "f", { error = "no luck", method = "ig" })
    writer:close()
    local whole = store.read(path)
    assert.same(rows.row { seed = 9 }, whole.rows[1])
    assert.same(rows.row { seed = 5, drop = 0.5 }, whole.rows[5])
    assert.equal(10, #whole.rows)
    local plain, other = store.hash(rows.settings), store.hash { scope = "layer" }
    assert.same({ plain, other }, { whole.hashes[9], whole.hashes[10] })
    assert.same({ [plain] = rows.settings, [other] = { scope = "layer" } }, whole.cache.settings)
    assert.same({ s = { 3, 1 } }, whole.cache.samples)
    assert.same({ { seconds = 3 }, { seconds = 2 } }, whole.runs)
    assert.same({ { error = "no luck", method = "ig" } }, whole.failures)
  end)

  it("has a key for every row, which says what it depends on", function()
    assert.equal('["cpn","vgg","lrp","random",0,0.5,false,"none"] 0123456789abcdef',
      store.row_key(rows.row {}, "0123456789abcdef"))
    assert.equal('["cpn","vgg","lrp","random",0,0.5,true,"bias"] 0123456789abcdef',
      store.row_key(rows.row { redundancy = true, repair = "bias" }, "0123456789abcdef"))
    assert.equal("0123456789abcdef", store.hash_of "[] 0123456789abcdef")
    assert.equal(store.hash { a = 1, b = { 2 } }, store.hash { b = { 2 }, a = 1 })
    assert.not_equal(store.hash { a = 1 }, store.hash { a = 2 })
  end)

  for name, make in pairs { file = function() return store.open(path) end, memory = store.memory } do
    it("tells what it has, and forgets, in a " .. name, function()
      local writer <close> = assert(make())
      local row, hash = rows.row {}, store.hash(rows.settings)
      local key = rows.key(row)
      local expected = "expected a key that ends with the hash of settings that are in the store"
      assert.error_matches(function() writer:put("row", key, row) end, expected, 1, true)
      assert.error_matches(function() writer:put("row", store.row_key(row, ""), row) end, expected, 1, true)
      rows.put(writer, row)
      for _, each in ipairs { "b", "a", "c" } do writer:put("other", each, each) end
      writer:put("other", "b", 1)
      assert.same({ "b", "a", "c" }, writer:keys "other")
      assert.same({ key }, writer:keys "row")
      assert.same({}, writer:keys "samples")
      assert.is_true(writer:has("row", key) and writer:has("other", "a") and writer:has("settings", hash))
      assert.is_false(writer:has("row", "a") or writer:has("other", "d") or writer:has("samples", "a"))
      writer:remove("other", "a")
      writer:remove("other", "a")
      writer:remove("row", key)
      assert.same({ "b", "c" }, writer:keys "other")
      assert.is_nil(writer:get("other", "a"))
      assert.is_false(writer:has("row", key))
      writer:put("row", key, row)
      writer:remove("settings", hash)
      assert.error_matches(function() writer:put("row", key, row) end, expected, 1, true)
    end)
  end

  it("loses nothing that was put before the process is killed", function()
    local good = child.try(([[
      local store = require "secateur.results.store"
      local s = assert(store.open(%q))
      local hash = store.hash { scope = "global" }
      s:put("settings", hash, { scope = "global" })
      for i = 1, 5 do
        local row = { dataset = "d", model = "m", method = "lrp", sampling = "random", seed = i, rate = 0.5,
          accuracy = 1, drop = 0 }
        s:put("row", store.row_key(row, hash), row)
      end
      os.execute("kill -9 $PPID")
    ]]):format(path))
    assert.is_false(good)
    assert.equal(5, #assert(store.read(path)).rows)
    opened():close() -- the lock of the dead holds nothing
  end)

  describe("of a bad file", function()
    local function message_for(content)
      assert(files.write_all(path, content))
      local none, message = store.open(path)
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
      local _, message = store.open(path)
      assert.equal("is not a store: it is another program's SQLite file", message)
    end)

    it("says that there is none", function()
      assert.same({ n = 2, nil, "no such file" }, table.pack(store.read(path)))
      assert.same({ n = 2, nil, "cannot be opened: unable to open database file: No such file or directory" },
        table.pack(store.open(path .. "/no/such/folder")))
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
