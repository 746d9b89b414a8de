local core = require "secateur.core"
local errors = require "support.errors"
local files = require "secateur.util.files"
local fingerprint = require "secateur.util.fingerprint"
local temporary = require "support.temporary"

local function model(changes)
  local state = { ["conv.weight"] = core.tensor { { 1, 2 }, { 3, 4 } }, ["conv.bias"] = core.tensor { 5, 6 } }
  for name, tensor in pairs(changes or {}) do state[name] = tensor end
  return { state = function() return state end }
end

local function dataset(changes)
  local split = { labels = { 1, 2, 1 }, names = { "a.png", "b.png", "c.png" }, count = function() return 3 end,
    batch = function(_, indices)
      assert.same({ 1, 2, 3 }, indices)
      return core.tensor { { 1, 2 }, { 3, 4 }, { 5, changes and changes.pixel or 6 } }, core.tensor { 1, 2, 1 }
    end }
  local set = { classes = { "x", "y" }, train = split, test = split }
  for key, value in pairs(changes or {}) do
    if split[key] then split[key] = value else set[key] = value end
  end
  return set
end

describe("fingerprint", function()
  it("is FNV-1a of a text", function()
    -- The test vectors of its authors (Fowler, Noll and Vo).
    assert.equal("cbf29ce484222325", fingerprint.text(""))
    assert.equal("af63dc4c8601ec8c", fingerprint.text("a"))
    assert.equal("85944171f73967e8", fingerprint.text("foobar"))
  end)

  it("tells models apart by names, shapes and values", function()
    local plain = fingerprint.model(model())
    assert.equal(plain, fingerprint.model(model()))
    assert.not_equal(plain, fingerprint.model(model { ["conv.bias"] = core.tensor { 5, 6.0001 } }))
    assert.not_equal(plain, fingerprint.model(model { ["conv.weight"] = core.tensor { 1, 2, 3, 4 } }))
    assert.not_equal(plain, fingerprint.model(model { extra = core.tensor { 0 } }))
    local large = core.zeros(100, 100)
    local before = fingerprint.model(model { ["conv.weight"] = large })
    large:set(1, 100, 100)
    assert.not_equal(before, fingerprint.model(model { ["conv.weight"] = large }))
    assert.equal("mine", fingerprint.model { fingerprint = function() return "mine" end })
  end)

  it("tells datasets apart by classes, labels, files and pixels", function()
    local plain = fingerprint.dataset(dataset())
    assert.equal(plain, fingerprint.dataset(dataset()))
    for key, value in pairs { classes = { "x", "z" }, labels = { 1, 2, 2 }, names = { "a.png", "b.png", "d.png" },
      pixel = 7 } do
      assert.not_equal(plain, fingerprint.dataset(dataset { [key] = value }), key)
    end
  end)

  it("makes options plain data", function()
    local text = "return function(pool) return pool[1] end"
    local first, moved, other = load(text)(), load("local x\n\n" .. text)(), load((text:gsub("1", "2")))()
    assert.equal(fingerprint.options(first), fingerprint.options(moved))
    assert.not_equal(fingerprint.options(first), fingerprint.options(other))
    local function here() return 1 end
    local function there() return 2 end
    assert.not_equal(fingerprint.options(here), fingerprint.options(there))
    assert.matches("^function %x+$", fingerprint.options(print))
    assert.not_equal(fingerprint.options(print), fingerprint.options(type))
    assert.same({ "a", { b = 1 } }, fingerprint.options { "a", { b = 1 } })
    assert.same({ ["1"] = "a", b = 2 }, fingerprint.options { "a", b = 2 })
    assert.matches("^tensor %x+$", fingerprint.options(core.tensor { 1, 2 }))
    local train = dataset().train
    assert.equal(fingerprint.options { baseline = train }.baseline, fingerprint.options(dataset().train))
    assert.matches("^split %x+$", fingerprint.options(train))
    assert.not_equal(fingerprint.options(train), fingerprint.options(dataset { pixel = 7 }.train))
    assert.matches("^userdata %x+$", fingerprint.options(io.stderr))
    assert.equal("mine.a: the value is a coroutine, which nothing can stand for: give version = ...",
      errors.raised(function() fingerprint.options({ a = coroutine.create(print) }, "mine") end))
    assert.is_nil(fingerprint.options(nil))
  end)

  it("do not end in tables that hold themselves, but may hold one twice", function()
    local ring, shared = { list = { {} } }, { 1 }
    ring.list[1].back = ring
    assert.equal("about.list.1.back: a table that holds itself, which nothing can stand for",
      errors.raised(fingerprint.options, ring, "about"))
    assert.same({ a = { 1 }, b = { 1 } }, fingerprint.options { a = shared, b = shared })
  end)

  it("take no function for another because its source cannot be read", function()
    local folder = temporary.folder()
    local mine = load("return function() return 1 end", "@" .. folder)()
    local message = errors.raised(function() fingerprint.options(mine) end)
    files.remove(folder)
    assert.equal(folder .. ": expected a file, got a folder", message)
    assert.matches("^function %x+$", fingerprint.options(mine)) -- there is none now
  end)

  it("stand for models, data sets and options together", function()
    local sc = require "secateur"
    local function data(opts)
      opts.size, opts.count, opts.channels = 16, 40, 1
      return sc.data.phantom(opts)
    end
    local plain = sc.fingerprint(data {}, { epochs = 3 })
    assert.matches("^%x+$", plain)
    assert.equal(16, #plain)
    assert.equal(plain, sc.fingerprint(data {}, { epochs = 3 }))
    for _, other in ipairs { { data {}, { epochs = 4 } }, { data { seed = 1 }, { epochs = 3 } },
      { data { mean = 0.5 }, { epochs = 3 } }, { data {} }, { { epochs = 3 }, data {} } } do
      assert.not_equal(plain, sc.fingerprint(table.unpack(other)))
    end
    local set = data {}
    local val = sc.fingerprint(set)
    set.val.labels[1] = set.val.labels[1] % 4 + 1 -- decides which epoch is kept
    assert.not_equal(val, sc.fingerprint(set))
    assert.not_equal(sc.fingerprint(nil, 1), sc.fingerprint(1))
    local function network(seed)
      return sc.models.vgg { config = { 4, "M" }, hidden = {}, pool = 1, like = set, seed = seed }
    end
    assert.equal(sc.fingerprint(network(1)), sc.fingerprint(network(1)))
    assert.not_equal(sc.fingerprint(network(1)), sc.fingerprint(network(2)))
  end)
end)
