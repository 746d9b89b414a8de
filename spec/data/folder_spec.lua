local data = require "secateur.data"
local errors = require "support.errors"
local files = require "secateur.util.files"
local options = require "secateur.util.options"
local pictures = require "support.pictures"
local stderr = require "support.stderr"
local temporary = require "support.temporary"

local OPTS = { size = 8, quiet = true }

-- Names of all three splits, sorted, and where each is.
local function where(set)
  local split_of, names = {}, {}
  for _, part in ipairs { "train", "val", "test" } do
    for _, name in ipairs(set[part].names) do
      assert.is_nil(split_of[name])
      split_of[name], names[#names + 1] = part, name
    end
  end
  return split_of, files.sort(names)
end

describe("data.folder", function()
  local root

  before_each(function() root = temporary.folder() end)
  after_each(function() assert(files.remove(root)) end)

  local function fails(message, opts)
    assert.has_error(function() data.folder(root, opts or OPTS) end, message)
  end

  local function fill(folder, count) pictures.fill(root, folder, count) end

  it("takes a folder per class and splits the images by class", function()
    fill("b", 20)
    fill("a", 10)
    local set = data.folder(root, OPTS)
    assert.same({ "a", "b" }, set.classes)
    assert.same({ 7, 14 }, set.train:class_counts())
    assert.same({ 1, 2 }, set.val:class_counts())
    assert.same({ 2, 4 }, set.test:class_counts())
    local split_of, names = where(set)
    assert.equal(30, #names)
    assert.equal("a/01.png", names[1])
    for i, name in ipairs(set.train.names) do
      assert.equal(name:sub(1, 1) == "a" and 1 or 2, set.train.labels[i])
    end
    assert.same(split_of, (where(data.folder(root, OPTS))))
    assert.not_same(split_of, (where(data.folder(root, { size = 8, seed = 1 }))))
    set = data.folder(root, { size = 8, splits = { train = 0.5, val = 0.2, test = 0.3 } })
    assert.same({ 5, 10 }, set.train:class_counts())
    assert.same({ 2, 4 }, set.val:class_counts())
  end)

  it("finds images of all kinds in nested folders, passes over litter and names other files", function()
    fill("a", 8)
    fill("b", 8)
    for i, name in ipairs { "b/x/y/1.PNG", "b/x/2.Jpg", "b/3.jpeg", "b/4.bmp" } do
      pictures.save(root, ("b/t%d.png"):format(i))
      assert(files.mkdir_p(files.directory(files.join(root, name))))
      assert(os.rename(files.join(root, ("b/t%d.png"):format(i)), files.join(root, name)))
    end
    for _, name in ipairs { ".hidden/1.png", "b/._1.png", "b/notes.txt", "b/.x/1.png", "__MACOSX/b/1.png", "a.png" } do
      temporary.write(root, name, "no image")
    end
    local set = data.folder(root, OPTS)
    assert.same({ "a", "b" }, set.classes)
    assert.same({ { path = root .. "/a.png", message = "lies beside the folders of the classes, in none of them" },
      { path = root .. "/b/notes.txt", message = "not a PNG, JPEG, BMP, TIFF, WebP or DICOM file" } }, set.skipped)
    local _, names = where(set)
    assert.equal(20, #names)
  end)

  it("honours train, val and test folders, however they are spelled", function()
    local spellings = { { "train", "val", "test" }, { "Training", "validation", "TEST" }, { "train", "valid", "test" } }
    for _, words in ipairs(spellings) do
      for i, word in ipairs(words) do
        fill(word .. "/x", 3 + i)
        fill(word .. "/y", 1 + i)
      end
      local set = data.folder(root, OPTS)
      assert.same({ "x", "y" }, set.classes)
      assert.same({ 4, 2 }, set.train:class_counts())
      assert.same({ 5, 3 }, set.val:class_counts())
      assert.same({ 6, 4 }, set.test:class_counts())
      for i, part in ipairs { "train", "val", "test" } do
        assert.equal(words[i], set[part].names[1]:match("^[^/]+"))
      end
      for _, word in ipairs(words) do assert(files.remove(files.join(root, word))) end
    end
  end)

  it("splits val off train where only train and test are given", function()
    fill("train/x", 16)
    fill("train/y", 8)
    fill("test/x", 3)
    fill("test/y", 2)
    local set = data.folder(root, OPTS)
    -- 0.1 of 0.7 + 0.1
    assert.same({ 14, 7 }, set.train:class_counts())
    assert.same({ 2, 1 }, set.val:class_counts())
    assert.same({ 3, 2 }, set.test:class_counts())
    assert.equal("train", set.val.names[1]:match("^[^/]+"))
  end)

  it("honours split.csv, its columns in any order and its names quoted", function()
    fill("some where", 6)
    temporary.write(root, "split.csv", 'label,"split",file,extra\r\n'
      .. '"b, really",train,./some where//01.png,\r\na,Train,some where/02.png,\r\n'
      .. '"b, really",valid,"some where/03.png",\r\n'
      .. "a,test,some where/05.png,\r\na,VAL,some where/04.png,\r\n")
    local set = data.folder(root, OPTS)
    assert.same({ "a", "b, really" }, set.classes)
    assert.same({ "some where/01.png", "some where/02.png" }, set.train.names)
    assert.same({ 2, 1 }, set.train.labels)
    assert.same({ "some where/03.png", "some where/04.png" }, set.val.names)
    assert.same({ 2, 1 }, set.val.labels)
    assert.same({ "some where/05.png" }, set.test.names)
  end)

  it("sorts labels that are numbers as numbers", function()
    fill("x", 14)
    local lines = { "file,label,split" }
    for i = 1, 12 do
      lines[i + 1] = ("x/%02d.png,%d,%s"):format(i, i % 6 * 2, i <= 6 and "train" or i % 2 == 0 and "val" or "test")
    end
    temporary.write(root, "split.csv", table.concat(lines, "\n"))
    assert.same({ "0", "2", "4", "6", "8", "10" }, data.folder(root, OPTS).classes)
    lines[14], lines[15] = "x/13.png,002,train", "x/14.png,02,train"
    temporary.write(root, "split.csv", table.concat(lines, "\n"))
    assert.same({ "0", "2", "02", "002", "4", "6", "8", "10" }, data.folder(root, OPTS).classes)
  end)

  it("reads split.csv with semicolons, and tells who takes tables of other columns", function()
    fill("x", 6)
    local lines = {}
    for i = 1, 6 do
      lines[i] = ("x/%02d.png;%s;%s"):format(i, i % 2 == 0 and "a" or "b", i < 3 and "train" or i < 5 and "val"
        or "test")
    end
    local text = table.concat(lines, "\n")
    temporary.write(root, "split.csv", "file;label;split\n" .. text)
    assert.same({ "a", "b" }, data.folder(root, { size = 8, quiet = true }).classes)
    temporary.write(root, "split.csv", "file;label;part\n" .. text)
    fails("folder: " .. root .. "/split.csv: no column 'split'; its columns are: 'file', 'label', 'part' "
      .. "(sc.data.csv takes columns of any names, and assigns splits where there are none)")
  end)

  it("says which classes nobody has in val or test", function()
    for class, counts in pairs { a = { 3, 1, 2 }, b = { 3, 0, 2 }, c = { 3, 0, 0 } } do
      for part, split in ipairs { "train", "val", "test" } do
        if counts[part] > 0 then fill(split .. "/" .. class, counts[part]) end
      end
    end
    local set
    local text = stderr.text(function() set = data.folder(root, { size = 8, on_duplicate = "ignore" }) end)
    local note = "classes without images in val ('b', 'c') or test ('c'): "
      .. "their sensitivity and AUROC are not known there"
    assert.equal(("folder: %s: %s\n"):format(root, note), text)
    assert.matches(note, tostring(set), 1, true)
    assert(files.remove(root .. "/test"))
    text = stderr.text(function() data.folder(root, { size = 8, on_duplicate = "ignore" }) end)
    assert.matches("classes without images in val ('b', 'c'): ", text, 1, true)
    for i = 1, 6 do fill("train/d" .. i, 1) end
    text = stderr.text(function() data.folder(root, { size = 8, on_duplicate = "ignore" }) end)
    assert.matches("classes without images in val ('b', 'c', 'd1', 'd2', 'd3' and 3 more): ", text, 1, true)
  end)

  it("says what of splits has no part, and of which classes the names are alike", function()
    for _, split in ipairs { "train", "test" } do
      for _, class in ipairs { "Normal", "normal", "pneumonia" } do fill(split .. "/" .. class, 6) end
    end
    local opts = { size = 8, on_duplicate = "ignore", splits = { train = 0.5, val = 0.25, test = 0.25 } }
    local text = stderr.text(function() data.folder(root, opts) end)
    assert.matches("of splits, val and train say how train is divided: the set brings its own test", text, 1, true)
    assert.matches("classes that differ in capitals or spaces alone: 'Normal' and 'normal' (classes = ", text, 1, true)
    opts.classes = { normal = { "Normal", "normal" }, pneumonia = "pneumonia" }
    assert.is_nil(stderr.text(function() data.folder(root, opts) end):find("differ in capitals", 1, true))
  end)

  it("tells of folders in the only one, and how an empty class is left out", function()
    fill("set/a", 3)
    fill("set/b", 3)
    fails("folder: " .. root .. ": expected at least 2 classes, a folder each (or a split.csv), found only 'set'; "
      .. "folders are in it ('a', 'b'): is that the root?")
    for _, split in ipairs { "train", "valid" } do fill(split .. "/a", 3) end
    fails("folder: " .. root .. ": expected at least 2 classes, a folder each (or a split.csv), found only 'a'")
    for _, name in ipairs { "train", "valid", "set" } do assert(files.remove(root .. "/" .. name)) end
    fill("b", 3)
    fill("c", 3)
    assert(files.mkdir_p(root .. "/empty"))
    fails("folder: " .. root .. "/empty: expected images, found none (classes = { … }, a list of those to use, leaves "
      .. "it out)")
  end)

  it("prints names with control characters in one line", function()
    fill("a\nb", 6)
    fill("c\27[31m", 6)
    local text = tostring(data.folder(root, { size = 8, quiet = true }))
    assert.matches("a\\nb", text, 1, true)
    assert.matches("c\\x1B[31m", text, 1, true)
  end)

  it("says what is wrong with split.csv", function()
    fill("x", 3)
    local path = root .. "/split.csv"
    local function with(text, message)
      temporary.write(root, "split.csv", text)
      fails("folder: " .. message)
    end
    with("file,class,split\n", path .. ": no column 'label'; its columns are: 'file', 'class', 'split' "
      .. "(sc.data.csv takes columns of any names, and assigns splits where there are none)")
    with("file,label,split\nx/01.png,a,dev\n", path .. ":2: split: expected train, val or test, got 'dev'")
    with("file,label,split\nx/01.png,,val\n", path .. ":2: label: expected a class, got ''")
    with("file,label,split\n\n,a,val\n", path .. ":3: file: expected a file's name, got ''")
    with("file,label,split\nx/01.png,a,val\nx/01.png,b,val\n", path .. ":3: file 'x/01.png' is already in line 2")
    with("file,label,split\nx/01.png,a\n", path .. ":2: expected 3 fields, got 2")
    with('file,label,split\nx/01.png,a,"val\n', path .. ":2: a quoted field has no closing quote")
    with("file,label,split\nx/01.png,a,train\n", root
      .. ": expected at least 2 classes, a folder each (or a split.csv), found only 'a'")
    with("file,label,split\nx/01.png,a,train\nx/02.png,b,train\n", root
      .. ": expected images in the val split, found none (images that split.csv does not list: 1 ('x/03.png', ...))")
    with("file,label,split\nx/01.png,a,train\nx/02.png,b,val\nx/03.png,b,test\n", root
      .. ": class 'b': expected images in the train split, found none")
  end)

  it("says what is wrong with the folders", function()
    assert.has_error(function() data.folder() end, "folder: root: missing")
    assert.has_error(function() data.folder(root .. "/none") end,
      ("folder: root: expected a folder, got '%s/none' (there is none)"):format(root))
    local file = temporary.write(root, "f", "")
    assert.has_error(function() data.folder(file) end,
      ("folder: root: expected a folder, got '%s' (a file)"):format(file))
    fails("folder: " .. root .. ": expected at least 2 classes, a folder each (or a split.csv), found none")
    fill("a", 1)
    fails("folder: " .. root .. ": expected at least 2 classes, a folder each (or a split.csv), found only 'a'")
    assert(files.mkdir_p(root .. "/b"))
    fails("folder: " .. root .. "/b: expected images, found none")
    fill("b", 1)
    fails("folder: " .. root .. ": expected images in the val split, found none")
    assert(os.rename(root .. "/a", root .. "/train"))
    assert(os.rename(root .. "/b", root .. "/valid"))
    fails("folder: " .. root .. ": expected at least 2 classes, a folder each (or a split.csv), found none")
    assert(os.rename(root .. "/valid", root .. "/training"))
    fails("folder: " .. root .. ": expected one folder for the train split, got 'train' and 'training'")
    assert(os.rename(root .. "/training", root .. "/test"))
    fill("train/x", 2)
    fill("train/y", 2)
    fill("test/z", 2)
    fails("folder: " .. root .. "/test/z: a class that 'train' does not have")
  end)

  it("checks its options at the caller's level", function()
    fill("a", 1)
    local function message(opts) return errors.inside(function() data.folder(root, opts) end) end
    assert.matches("^folder: unknown option 'sise', expected one of: cache_bytes, channels, ", message { sise = 3 })
    assert.equal("folder: size: expected a whole number in [1, 8192], got 0", message { size = 0 })
    assert.equal("folder: channels: expected one of 1, 3, got 2", message { channels = 2 })
    assert.equal("folder: on_error: expected one of 'skip', 'stop', got 'ignore'", message { on_error = "ignore" })
    assert.equal("folder: mean: expected 3 numbers, one per channel, got 2", message { mean = { 0, 0 } })
    assert.equal("folder: std: expected numbers above 0, got 0", message { std = 0 })
    for _, shares in ipairs { { train = 0.8, val = 0.1 }, { train = 0.8, val = 0.1, test = 0.2 },
      { train = 1.1, val = -0.2, test = 0.1 }, { train = 0.7, val = 0.1, test = 0.2, more = 0 } } do
      assert.equal("folder: splits: expected shares of train, val and test, none below 0, that add up to 1, "
        .. "got " .. options.show(shares), message { splits = shares })
    end
  end)
end)
