local archives = require "support.archives"
local core = require "secateur.core"
local data = require "secateur.data"
local files = require "secateur.util.files"
local pictures = require "support.pictures"
local stderr = require "support.stderr"
local duplicates = require "secateur.data.duplicates"
local temporary = require "support.temporary"

describe("data: equal images in several splits", function()
  local root

  before_each(function()
    root = temporary.folder()
    for _, split in ipairs { "train", "val", "test" } do
      for _, class in ipairs { "a", "b" } do
        for i = 1, 3 do pictures.save(root, ("%s/%s/%d.png"):format(split, class, i), i / 4) end
      end
    end
  end)
  after_each(function() assert(files.remove(root)) end)

  local function copy(from, to)
    temporary.write(root, to, assert(files.read_all(files.join(root, from))))
  end

  local function load(opts)
    local set
    opts.size = 8
    local text = stderr.text(function() set = data.folder(root, opts) end)
    return set, text
  end

  it("are none, mostly", function()
    local set, text = load {}
    assert.equal("", text)
    assert.same({}, set.duplicates)
    copy("train/a/1.png", "train/a/4.png") -- within a split is no matter
    assert.equal("", select(2, load {}))
  end)

  it("are said within a split where their labels differ", function()
    copy("train/a/1.png", "train/b/4.png")
    copy("val/a/1.png", "val/a/9.png")
    local set, text = load {}
    local note = "equal images under different labels in one split (1): train train/a/1.png = train/b/4.png"
    assert.equal(("folder: %s: %s\n"):format(root, note), text)
    assert.same({}, set.duplicates)
    assert.equal("", select(2, load { on_duplicate = "ignore" }))
  end)

  it("are named: the same bytes, or the same pixels in another file", function()
    copy("test/a/2.png", "train/a/copy.png")
    copy("val/b/1.png", "train/a/wrong.png")
    -- the same pixels, compressed otherwise: a chunk of text more
    local png = assert(files.read_all(root .. "/test/b/3.png"))
    local chunk = "\0\0\0\3tEXta\0b\220\73\162\59"
    temporary.write(root, "train/b/other.png", png:sub(1, 33) .. chunk .. png:sub(34))
    local set, text = load {}
    assert.equal(("folder: %s: equal images in more than one split (3): train train/a/wrong.png = val val/b/1.png "
      .. "(under another label); train train/a/copy.png = test test/a/2.png; train train/b/other.png = test "
      .. "test/b/3.png; on_duplicate = 'drop' keeps each in the last split: test, else val\n"):format(root), text)
    assert.same({ { split = "train", name = "train/a/copy.png" }, { split = "test", name = "test/a/2.png" } },
      set.duplicates[2])
    assert.equal(9, set.train:count())
    assert.matches("\nequal images in more than one split (3): ", tostring(set), 1, true)
  end)

  it("are left out of the earlier split, or errors, where asked for", function()
    copy("test/a/2.png", "train/a/copy.png")
    copy("test/a/2.png", "val/a/copy.png")
    copy("val/b/1.png", "train/b/copy.png")
    local set, text = load { on_duplicate = "drop" }
    assert.matches("images left out of the earlier split: 3\n", text, 1, true)
    assert.same({ 3, 3 }, set.train:class_counts())
    assert.same({ 3, 3 }, set.val:class_counts())
    assert.same({ 3, 3 }, set.test:class_counts())
    for i, name in ipairs(set.train.names) do
      assert.equal(set.classes[set.train.labels[i]], name:match "^train/(%l)/%d.png$")
    end
    assert.has_error(function() load { on_duplicate = "error" } end, ("folder: equal images in more than one split "
      .. "(2): train train/a/copy.png = val val/a/copy.png; train train/b/copy.png = val val/b/1.png"))
    assert.equal("", select(2, load { on_duplicate = "ignore" }))
    assert.equal("", select(2, load { quiet = true }))
  end)

  it("are found in arrays too", function()
    local arrays = {}
    for s, split in ipairs { "train", "val", "test" } do
      local images, labels = { shape = { 4, 2, 2 } }, { shape = { 4, 1 }, 0, 1, 0, 1 }
      for i = 1, 4 do
        for _ = 1, 4 do images[#images + 1] = split == "val" and i == 3 and 11 or 10 * s + i end
      end
      arrays[split .. "_images"], arrays[split .. "_labels"] = images, labels
    end
    archives.write(root .. "/toy.npz", arrays)
    local set
    local text = stderr.text(function() set = data.medmnist(root .. "/toy.npz") end)
    assert.equal("medmnist: toy: equal images in more than one split (1): train toy train 1 = val toy val 3; "
      .. "on_duplicate = 'drop' keeps each in the last split: test, else val\n", text)
    set = data.medmnist(root .. "/toy.npz", { on_duplicate = "drop", quiet = true })
    assert.same({ 3, 4, 4 }, { set.train:count(), set.val:count(), set.test:count() })
    assert.same({ 2, 1, 2 }, set.train.labels)
    assert.is_true(math.abs(core.tensor({ 12 / 255 }):get(1) - set.train:image(1):get(1, 1, 1)) < 1e-6)
  end)

  it("are equal files alone where there are too many to decode", function()
    copy("test/a/2.png", "train/a/copy.png")
    local png = assert(files.read_all(root .. "/test/b/3.png"))
    temporary.write(root, "train/b/longer.png", png .. "\0") -- the same pixels
    temporary.write(root, "train/b/as long.png", png:sub(1, -2) .. "\0")
    local parts = { train = {}, val = {}, test = {} }
    for split, part in pairs(parts) do
      part.rows, part.names, part.paths, part.labels = {}, {}, {}, {}
      for i, name in ipairs(files.walk(files.join(root, split))) do
        part.rows[i], part.names[i], part.labels[i] = i, name, 1
        part.paths[i] = files.join(root, split, name)
      end
    end
    local notes = {}
    local found = duplicates.check(parts, {}, notes, 1)
    assert.same({ { { split = "train", name = "a/copy.png" }, { split = "test", name = "a/2.png" } } }, found)
    assert.same({ "equal images were looked for by the bytes of files alone, as there are many; on_duplicate = 'warn' "
      .. "compares pixels", "equal images in more than one split (1): train a/copy.png = test a/2.png; on_duplicate = "
      .. "'drop' keeps each in the last split: test, else val" }, notes)
    -- All in one: what is asked for is done whatever it takes, with the source's digests.
    local source = { digests = function() return {} end }
    for _, part in pairs(parts) do part.source = source end
    assert.same({}, duplicates.check(parts, { on_duplicate = "warn" }, {}, 1))
  end)
end)
