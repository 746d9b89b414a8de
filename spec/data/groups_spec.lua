local data = require "secateur.data"
local errors = require "support.errors"
local files = require "secateur.util.files"
local groups = require "secateur.data.groups"
local pictures = require "support.pictures"
local stderr = require "support.stderr"
local temporary = require "support.temporary"

local function with(more)
  local opts = { size = 8, quiet = true, on_duplicate = "ignore" }
  for key, value in pairs(more) do opts[key] = value end
  return opts
end

local SPLITS = { "train", "val", "test" }

describe("data: groups", function()
  local root

  before_each(function() root = temporary.folder() end)
  after_each(function() assert(files.remove(root)) end)

  local function patient(name) return name:match "p%d+" end

  -- 12 patients with 1 to 4 images in each of two classes.
  local function fill()
    for p = 1, 12 do
      for i = 1, 1 + p % 4 do
        for _, class in ipairs { "a", "b" } do pictures.save(root, ("%s/p%02d_%d.png"):format(class, p, i), i / 9) end
      end
    end
  end

  -- Patient -> its split; fails where one has two.
  local function split_of(set)
    local where, count = {}, 0
    for _, split in ipairs(SPLITS) do
      for i, name in ipairs(set[split].names) do
        local p = patient(name)
        assert.is_true(where[p] == nil or where[p] == split)
        where[p], count = split, count + 1
        assert.equal(p, set[split].groups[i])
      end
    end
    return where, count
  end

  it("by a function of the path never lie in two splits", function()
    fill()
    for seed = 0, 5 do
      local set = data.folder(root, with { group = patient, seed = seed })
      local _, count = split_of(set)
      assert.equal(60, count)
      for _, split in ipairs(SPLITS) do assert.is_true(set[split]:count() > 0) end
    end
    local whole
    data.folder(root, with { group = function(name, path)
      whole = whole or path
      return patient(name)
    end })
    assert.equal(root .. "/a/p01_1.png", whole)
    local set = data.folder(root, with { group = patient })
    local some = set.train:subset { 3, 1 }
    assert.same({ set.train.groups[3], set.train.groups[1] }, some.groups)
    assert.is_nil(data.folder(root, with {}).train.groups)
  end)

  it("may be a column of split.csv, by which val is split off", function()
    fill()
    local lines = { "file,label,split,patient" }
    for p = 1, 12 do
      for i = 1, 1 + p % 4 do
        for _, class in ipairs { "a", "b" } do
          local split = p > 9 and "test" or "train"
          lines[#lines + 1] = ("%s\\p%02d_%d.png,%s,%s,p%02d"):format(class, p, i, class, split, p)
        end
      end
    end
    temporary.write(root, "split.csv", table.concat(lines, "\n"))
    local set
    local text = stderr.text(function() set = data.folder(root, with { group = "patient", quiet = false }) end)
    assert.equal(("folder: %s: split.csv has no val: it is split off of train\n"):format(root), text)
    local where = split_of(set)
    assert.equal("test", where.p10)
    assert.equal("a/p01_1.png", set.train.names[1]) -- a backslash is a slash
    assert.is_true(set.val:count() > 0)
    assert.same({}, set.skipped)
    assert.has_error(function() data.folder(root, with { group = "pateint" }) end,
      ("folder: %s/split.csv: no column 'pateint'; its columns are: 'file', 'label', 'split', 'patient'"):format(root))
  end)

  it("that a set's own splits divide are named, kept apart, or an error", function()
    for _, split in ipairs(SPLITS) do
      for _, class in ipairs { "a", "b" } do
        for i = 1, 3 do pictures.save(root, ("%s/%s/%s%d.png"):format(split, class, split, i), i / 4) end
      end
    end
    pictures.save(root, "train/a/p7_1.png")
    pictures.save(root, "train/b/p7_2.png")
    pictures.save(root, "test/a/p7_3.png")
    local set
    local opts = with { group = patient, quiet = false, on_duplicate = "warn" }
    local text = stderr.text(function() set = data.folder(root, opts) end)
    assert.equal(("folder: %s: group = function: images without one, each a group of its own: 18 of 21\n"
      .. "folder: %s: groups in more than one split (1): 'p7' in train (train/a/p7_1.png) and test "
      .. "(test/a/p7_3.png); on_duplicate = 'drop' keeps each in the last split: test, else val\n"):format(root, root),
      text)
    assert.equal(8, set.train:count())
    -- "ignore" looks for nothing, and the tiny images are all alike: duplicates are pictures' own matter here.
    local found = errors.inside(function() groups.check({ { name = "1", group = "p", split = "train" },
      { name = "2", group = "p", split = "test" } }, "error") end)
    assert.equal("groups in more than one split (1): 'p' in train (1) and test (2)", found)
    local samples = { { name = "1", group = "p", split = "train" }, { name = "2", group = "p", split = "val" },
      { name = "3", group = "p", split = "val" }, { name = "4", group = "q", split = "train" },
      { name = "5", split = "train" } }
    local kept, note = groups.check(samples, "drop")
    assert.same({ samples[2], samples[3], samples[4], samples[5] }, kept)
    assert.equal("groups in more than one split (1): 'p' in train (1) and val (2); images left out of the earlier "
      .. "split: 1", note)
    assert.same({ samples }, { groups.check(samples, "ignore") })
  end)

  it("given wrongly are errors", function()
    fill()
    assert.has_error(function() data.folder(root, with { group = "scanner" }) end,
      "folder: group: expected a function of the path, since there is no table with columns, got 'scanner'")
    assert.has_error(function() data.folder(root, with { group = function() return {} end }) end,
      "folder: group: expected the function to give a string, a number or nil, got a table for 'a/p01_1.png'")
    local message = errors.inside(function() data.folder(root, with { group = function() error "mine" end }) end)
    assert.matches("mine", message)
  end)
end)

describe("data: splits that a set brings", function()
  local root

  before_each(function() root = temporary.folder() end)
  after_each(function() assert(files.remove(root)) end)

  local function fill(folder, count) pictures.fill(root, folder, count) end

  it("may be train and val alone: test is val, said aloud", function()
    for _, class in ipairs { "x", "y" } do
      fill("train/" .. class, 4)
      fill("val/" .. class, 3)
    end
    local set
    local function load(way) return function() set = data.folder(root, { size = 8, on_duplicate = way }) end end
    local text = stderr.text(load "error")
    assert.equal(("folder: %s: %s has no test: test is val, the same images (what is chosen by val looks better on "
      .. "them than on new ones)\n"):format(root, root), text)
    assert.same(set.val.names, set.test.names)
    assert.is_true(set.test_is_val)
    assert.matches("14 images, 2 classes", tostring(set), 1, true)
    assert.matches("x          4    3     3    7", tostring(set), 1, true)
    assert.matches("has no test: test is val", tostring(set), 1, true)
    temporary.write(root, "split.csv", "file,label,split\ntrain/x/01.png,x,train\ntrain/y/01.png,y,train\n"
      .. "val/x/01.png,x,val\n")
    text = stderr.text(function() set = data.folder(root, { size = 8, on_duplicate = "ignore" }) end)
    assert.matches("split.csv has no test: test is val", text, 1, true)
    assert.matches("images that split.csv does not list: 11 ('train/x/02.png', ...)", text, 1, true)
    assert.same({ "val/x/01.png" }, set.test.names)
  end)

  it("are no classes", function()
    for _, class in ipairs { "x", "y" } do
      fill("Testing/" .. class, 4)
      fill("val/" .. class, 3)
    end
    assert.has_error(function() data.folder(root, with {}) end, ("folder: %s: expected a folder 'train' beside 'val' "
      .. "and 'Testing' (as an external test set, give one of them, with splits = { test = 1 })"):format(root))
    assert.equal(8, data.folder(root .. "/Testing", with { splits = { test = 1 } }).test:count())
  end)

  it("may leave shares out: an external test set", function()
    fill("a", 5)
    fill("b", 7)
    local set = data.folder(root, with { splits = { test = 1 } })
    assert.same({ 0, 0, 12 }, { set.train:count(), set.val:count(), set.test:count() })
    assert.same({ 5, 7 }, set.test:class_counts())
    assert.matches("all        0    0    12   12", tostring(set), 1, true)
    set = data.folder(root, with { splits = { train = 0.5, test = 0.5, val = 0 } })
    assert.equal(0, set.val:count())
    set = data.folder(root, with { splits = { test = 1 }, group = function(name) return name:sub(1, 3) end })
    assert.equal(12, set.test:count())
    temporary.write(root, "split.csv", "file,label,split\na/01.png,a,test\nb/01.png,b,test\n")
    set = data.folder(root, with { splits = { test = 1 } })
    assert.equal(2, set.test:count())
    assert.same({ "images that split.csv does not list: 10 ('a/02.png', ...)" }, set.notes)
    temporary.write(root, "split.csv", "file,label,split\na/01.png,a,test\nb/01.png,b,train\na/02.png,a,train\n"
      .. "a/03.png,a,val\n")
    set = data.folder(root, with { splits = { test = 1 } })
    assert.same({ 2, 1, 1 }, { set.train:count(), set.val:count(), set.test:count() })
    assert.equal("splits has no part: the set brings its own", set.notes[2])
  end)
end)
