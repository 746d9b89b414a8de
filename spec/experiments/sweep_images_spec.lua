local data = require "secateur.data"
local errors = require "support.errors"
local files = require "secateur.util.files"
local lfs = require "lfs"
local pictures = require "support.pictures"
local store = require "secateur.results.store"
local stderr = require "support.stderr"
local sweep = require "secateur.experiments.sweep"
local temporary = require "support.temporary"
local toy = require "support.toy"

describe("a sweep with a store", function()
  local root, path, model

  before_each(function()
    root = temporary.folder()
    path, model = root .. "/runs.db", toy.model()
    for _, part in ipairs { "train", "val", "test" } do
      for _, class in ipairs { "a", "b", "c" } do
        for i = 1, 10 do pictures.save(root, ("set/%s/%s/%02d.png"):format(part, class, i), i / 11) end
      end
    end
  end)
  after_each(function() files.remove(root) end)

  local function run(changes, without)
    local set = data.folder(root .. "/set", { size = 8, channels = 1, quiet = true, on_duplicate = "ignore" })
    local opts = { model = model, datasets = { set = set }, methods = { "magnitude" }, sampling = { "random" },
      per_class = 1, rates = { 0, 0.3 }, latency = false, agreement = false, progress = false,
      store = not without and path or nil }
    for key, value in pairs(changes or {}) do opts[key] = value end
    return sweep(opts)
  end

  -- An image in the middle of test: not among the few that the experiment's fingerprint looks at.
  local function replace(name)
    local image = root .. "/set/" .. name
    local content, time = assert(files.read_all(image)), lfs.attributes(image, "modification")
    local at = #content - 20
    assert(files.write_all(image, content:sub(1, at - 1) .. string.char(content:byte(at) ~ 1) .. content:sub(at + 1)))
    assert(lfs.touch(image, time, time))
    return image
  end

  -- The key under which a store keeps what its images were.
  local function images_key(opened) return opened:keys("images")[1] end

  it("goes on with the same images", function()
    local before = run()
    assert.equal(#before, #run { verify = "full" })
    local opened <close> = assert(store.open(path))
    local kept = opened:get("images", images_key(opened))
    for _, name in ipairs { "train", "test" } do
      local _, lines = kept[name]:gsub("%d+ %d+ %d+\n?", "")
      assert.equal(30, lines)
    end
    assert.is_nil(kept.val)
  end)

  it("is refused where images were replaced, with the file", function()
    run()
    local image = replace "test/a/06.png"
    assert.equal(("sweep: datasets.set: the images of test are others than before: 1 of 30, such as '%s' (other "
      .. "content than before); give the data set another name, or name another store"):format(image),
      errors.raised(run))
    local set = data.folder(root .. "/set", { size = 8, channels = 1, quiet = true, on_duplicate = "ignore" })
    assert.equal(2, #run { datasets = { again = set } })
    assert.equal(2, #run(nil, true)) -- rows of its own
    replace "test/a/06.png"
    assert.equal(2, #run())
  end)

  it("stops where an image is gone, and keeps no row", function()
    local set = data.folder(root .. "/set", { size = 8, channels = 1, quiet = true, on_duplicate = "ignore",
      cache_bytes = 0 })
    local image = set.test.paths[7]
    os.remove(image)
    local ending = ("'%s': No such file or directory"):format(image)
    for _, without in ipairs { false, true } do
      local message = errors.raised(run, { datasets = { set = set } }, without)
      assert.equal(ending, message:sub(-#ending))
    end
    assert.same({}, assert(store.read(path)).rows)
    assert.same({}, set.skipped)
  end)

  it("says where the store does not know its images", function()
    run()
    local opened = assert(store.open(path))
    opened:remove("images", images_key(opened))
    opened:close()
    local said = stderr.text(run)
    assert.equal(("sweep: store '%s': datasets.set: it does not say what the images were: they are taken for the "
      .. "same\n"):format(path), said)
    assert.equal("", stderr.text(run))
  end)

  it("is refused where the store was changed", function()
    run()
    local prefix = "sweep: datasets.set: the store is damaged: images of test: expected size, time and checksum of each"
    for _, text in ipairs { "1 2", "1 2 x", "1 2 3 4", "\n", "99999999999999999999 1 1" } do
      local opened = assert(store.open(path))
      opened:put("images", images_key(opened), { test = text })
      opened:close()
      local message = errors.raised(run)
      assert.equal(prefix, message:sub(1, #prefix))
    end
    local opened = assert(store.open(path))
    opened:put("images", images_key(opened), { test = "1 2 3\n1 2 3" })
    opened:close()
    assert.equal("sweep: datasets.set: the images of test are others than before: 30, not 2; "
      .. "give the data set another name, or name another store", errors.raised(run))
  end)
end)
