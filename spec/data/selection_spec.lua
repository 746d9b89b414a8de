local data = require "secateur.data"
local errors = require "support.errors"
local files = require "secateur.util.files"
local options = require "secateur.util.options"
local pictures = require "support.pictures"
local stderr = require "support.stderr"
local temporary = require "support.temporary"

local OPTS = { size = 8, quiet = true, on_duplicate = "ignore" }

local function with(more)
  local opts = {}
  for key, value in pairs(OPTS) do opts[key] = value end
  for key, value in pairs(more) do opts[key] = value end
  return opts
end

describe("data: classes", function()
  local root

  before_each(function() root = temporary.folder() end)
  after_each(function() assert(files.remove(root)) end)

  local function fill(folder, count) pictures.fill(root, folder, count) end

  -- How many images of all splits have each label, and that names go with labels.
  local function counts(set)
    local found = {}
    for _, split in ipairs { "train", "val", "test" } do
      for _, label in ipairs(set[split].labels) do
        local class = set.classes[label]
        found[class] = (found[class] or 0) + 1
      end
    end
    return found
  end

  it("come in one natural order from folders and from split.csv", function()
    local lines = { "file,label,split" }
    for class = 0, 11 do
      fill("x/" .. class, 4)
      for i = 1, 4 do
        lines[#lines + 1] = ("%d/%02d.png,%d,%s"):format(class, i, class, ({ "train", "train", "val", "test" })[i])
      end
    end
    local expected = { "0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11" }
    assert.same(expected, data.folder(root .. "/x", OPTS).classes)
    temporary.write(root, "x/split.csv", table.concat(lines, "\n"))
    assert.same(expected, data.folder(root .. "/x", OPTS).classes)
    for _, name in ipairs { "grade10", "grade2", "grade1", "Grade3", "grade", "grade02" } do fill("y/" .. name, 4) end
    expected = { "Grade3", "grade", "grade1", "grade2", "grade02", "grade10" }
    assert.same(expected, data.folder(root .. "/y", OPTS).classes)
  end)

  it("renamed for a model are in its order, the others behind", function()
    for _, name in ipairs { "a", "b", "c", "d" } do fill(name, 4) end
    local model = { preparation = function() return { size = 8 } end, input_shape = { 3, 8, 8 },
      classes = { "normal", "covid" }, class_count = 2 }
    local set = data.folder(root, with { like = model, classes = { aa = "a", covid = "b", normal = "c", a9 = "d" } })
    assert.same({ "normal", "covid", "a9", "aa" }, set.classes)
    assert.same({ normal = 4, covid = 4, a9 = 4, aa = 4 }, counts(set))
    for i, name in ipairs(set.train.names) do
      local expected = ({ a = "aa", b = "covid", c = "normal", d = "a9" })[name:sub(1, 1)]
      assert.equal(expected, set.classes[set.train.labels[i]])
    end
  end)

  it("are ordered and selected by a list", function()
    fill("a_normal", 10)
    fill("b_covid", 20)
    fill("c_viral", 5)
    local set
    local text = stderr.text(function()
      set = data.folder(root, with { classes = { "b_covid", "a_normal" }, quiet = false })
    end)
    assert.same({ "b_covid", "a_normal" }, set.classes)
    assert.same({ b_covid = 20, a_normal = 10 }, counts(set))
    assert.equal(("folder: %s: left out by classes: 'c_viral' (5 images)\n"):format(root), text)
    assert.matches("\nleft out by classes: 'c_viral' %(5 images%)$", tostring(set))
    for i, label in ipairs(set.train.labels) do
      assert.equal(set.classes[label], set.train.names[i]:match "^[^/]+")
    end
  end)

  it("are renamed and merged by a table", function()
    fill("a_normal", 10)
    fill("b_covid", 20)
    fill("c_viral", 5)
    local set = data.folder(root, with { classes = { SICK = { "b_covid", "c_viral" }, NORMAL = "a_normal" } })
    assert.same({ "NORMAL", "SICK" }, set.classes)
    assert.same({ NORMAL = 10, SICK = 25 }, counts(set))
    set = data.folder(root, with { classes = { COVID = "b_covid", NORMAL = "a_normal" } })
    assert.same({ COVID = 20, NORMAL = 10 }, counts(set))
  end)

  it("that are not chosen need no images, nor a place in train", function()
    for _, split in ipairs { "train", "val", "test" } do
      fill(split .. "/a", 2)
      fill(split .. "/b", 2)
    end
    fill("test/z", 2)
    assert(files.mkdir_p(root .. "/train/empty"))
    local set = data.folder(root, with { classes = { "b", "a" } })
    assert.same({ "b", "a" }, set.classes)
    assert.same({ 2, 2 }, set.test:class_counts())
  end)

  it("of a set with classes of its own can be chosen too", function()
    for _, class in ipairs { "COVID", "NORMAL", "PNEUMONIA" } do fill(class, 5) end
    local set = data.cpn(root, with { classes = { "NORMAL", "COVID" } })
    assert.same({ "NORMAL", "COVID" }, set.classes)
    set = data.cpn(root, with { classes = { healthy = "NORMAL", ill = { "COVID", "PNEUMONIA" } } })
    assert.same({ healthy = 5, ill = 10 }, counts(set))
  end)

  it("that do not exist, or are meant twice, are errors", function()
    fill("a", 3)
    fill("b", 3)
    local function message(classes)
      return errors.inside(function() data.folder(root, with { classes = classes }) end)
    end
    assert.equal("folder: classes: there is no class 'c' here, expected some of 'a', 'b' (classes = { ['c'] = "
      .. "'its name here', ... } renames)", message { "a", "c" })
    assert.equal("folder: classes: 'a' is named twice", message { "a", "a", "b" })
    assert.equal("folder: classes: 'a' is named twice", message { x = { "a", "b" }, y = "a" })
    assert.equal("folder: classes: expected at least 2 classes, got 1", message { x = { "a", "b" } })
    for _, wrong in ipairs { {}, { true }, { "a", x = "b" }, { x = true }, { x = {} }, { [1.5] = "a" } } do
      assert.equal("folder: classes: expected a list of class names, or a table of new name = 'old name' or "
        .. "{ 'old', 'names' }, got " .. options.show(wrong), message(wrong))
    end
  end)
end)

describe("data: only, skip and masks", function()
  local root

  before_each(function()
    root = temporary.folder()
    for _, class in ipairs { "benign", "malignant" } do
      for i = 1, 6 do
        pictures.save(root, ("%s/%s (%d).png"):format(class, class, i), i / 7)
        pictures.save(root, ("%s/%s (%d)_mask.png"):format(class, class, i), i / 8)
      end
      pictures.save(root, ("%s/%s (1)_mask_1.png"):format(class, class), 0.9)
    end
  end)
  after_each(function() assert(files.remove(root)) end)

  local function load(opts)
    local set
    local text = stderr.text(function() set = data.folder(root, with(opts)) end)
    return set.train:count() + set.val:count() + set.test:count(), text, set
  end

  it("leave out the masks beside images, and say so", function()
    local count, text, set = load { quiet = false }
    assert.equal(12, count)
    assert.equal(("folder: %s: masks left out: 14 (only = '*' takes them as images)\n"):format(root), text)
    assert.same({ "masks left out: 14 (only = '*' takes them as images)" }, set.notes)
    assert.equal(26, (load { only = "*" }))
    pictures.save(root, "benign/other_mask.png")
    assert.equal(13, (load {}))
  end)

  it("take a folder of masks for none of the classes, but a class called mask for one", function()
    pictures.save(root, "masks/1.png")
    local count, text, set = load { quiet = false }
    assert.equal(12, count)
    assert.matches(("left out: 'masks' in %s, masks and no class"):format(root), text, 1, true)
    assert.same({ "benign", "malignant" }, set.classes)
    for i = 2, 5 do pictures.save(root, ("masks/%d.png"):format(i)) end
    assert.same({ "masks", "benign" }, select(3, load { classes = { "masks", "benign" } }).classes)
    assert(os.rename(root .. "/masks", root .. "/mask"))
    assert.same({ "benign", "malignant", "mask" }, select(3, load {}).classes)
    assert(os.rename(root .. "/malignant", root .. "/images"))
    assert.same({ "benign", "images" }, select(3, load {}).classes)
  end)

  it("leave out folders of masks of several kinds, and segmentations", function()
    for _, class in ipairs { "benign", "malignant" } do
      for _, kind in ipairs { "lung masks", "Infection_Mask" } do
        for i = 1, 6 do pictures.save(root, ("%s/%s/%d.png"):format(class, kind, i), i / 9) end
      end
      pictures.save(root, ("%s/%s (2)_segmentation.png"):format(class, class), 0.4)
      pictures.save(root, ("%s/unmasked/%s.png"):format(class, class), 0.3)
    end
    local count, text = load { quiet = false }
    assert.equal(14, count)
    assert.matches("masks left out: 40 ", text, 1, true)
  end)

  it("take patterns of names and paths", function()
    assert.equal(12, (load { only = "*_mask.png" }))
    local count, text = load { only = { "* (?).png" }, skip = { "* (1).png", "malignant/* (2).png" }, quiet = false }
    assert.equal(9, count)
    assert.equal(("folder: %s: files left out by only and skip: 17\n"):format(root), text)
    count, text = load { skip = "*.gif", quiet = false }
    assert.equal(12, count)
    assert.matches("skip = '*.gif' matches no file", text, 1, true)
  end)

  it("that leave a class without any are errors", function()
    assert.has_error(function() data.folder(root, with { only = "benign*" }) end,
      ("folder: %s: class 'malignant': its 13 files are all left out (only, skip, or masks)"):format(root))
    assert.has_error(function() data.folder(root, with { only = {} }) end,
      "folder: only: expected a pattern such as '*_mask.png', or a list of these, got a table")
  end)
end)
