local archives = require "support.archives"
local data = require "secateur.data"
local errors = require "support.errors"
local files = require "secateur.util.files"
local needs = require "support.needs"
local stderr = require "support.stderr"
local temporary = require "support.temporary"

describe("data.medmnist", function()
  local root, path

  before_each(function()
    root = temporary.folder()
    path = root .. "/toymnist.npz"
  end)
  after_each(function() assert(files.remove(root)) end)

  -- Arrays of a set with `counts` images per split, size x size[, 3], whose pixels are all 10 * label + 5 * channel.
  local function arrays(counts, classes, size, channels, dtype)
    local all = {}
    for _, split in ipairs { "train", "val", "test" } do
      local count = counts[split]
      local images = { shape = channels and { count, size, size, channels } or { count, size, size } }
      local labels = { shape = { count, 1 }, dtype = dtype }
      for i = 1, count do
        labels[i] = (i - 1) % classes
        for _ = 1, size * size do
          for channel = 1, channels or 1 do images[#images + 1] = 10 * labels[i] + 5 * channel end
        end
      end
      all[split .. "_images"], all[split .. "_labels"] = images, labels
    end
    return all
  end

  local COUNTS = { train = 9, val = 4, test = 5 }

  it("takes the file's own splits, its labels from 1, and the images' size", function()
    for _, dtype in ipairs { "u1", "i8" } do
      archives.write(path, arrays(COUNTS, 3, 6, nil, dtype))
      local set = data.medmnist(path, { quiet = true })
      assert.same({ "0", "1", "2" }, set.classes)
      assert.equal(6, set.size)
      assert.equal(3, set.channels)
      assert.same({ 1, 2, 3, 1, 2, 3, 1, 2, 3 }, set.train.labels)
      assert.same({ 1, 2, 3, 1 }, set.val.labels)
      assert.same({ 1, 2, 3, 1, 2 }, set.test.labels)
      assert.equal("toymnist val 4", set.val.names[4])
      local x, y = set.test:batch { 2, 3 }
      assert.same({ 2, 3, 6, 6 }, x:shape())
      assert.same({ 2, 3 }, y:totable())
      assert.is_true(math.abs(set.test:image(3):get(2, 4, 5) - 25 / 255) < 1e-6)
    end
  end)

  it("says that labels without names are taken as a model's classes by their position", function()
    archives.write(path, arrays(COUNTS, 2, 6))
    local model = { classes = { "COVID", "NORMAL" }, class_count = 2, input_shape = { 1, 6, 6 },
      preparation = function() return { size = 6, channels = 1 } end }
    local set
    local text = stderr.text(function() set = data.medmnist(path, { like = model, on_duplicate = "ignore" }) end)
    local note = "labels are numbers here, taken as the model's classes by their position: 0 = 'COVID', 1 = 'NORMAL'"
    assert.matches(note, text, 1, true)
    assert.matches(note, tostring(set), 1, true)
    local given = { like = model, classes = { "NORMAL", "COVID" }, on_duplicate = "ignore", range = { 0, 255 } }
    assert.equal("", stderr.text(function() set = data.medmnist(path, given) end))
    assert.same({ "NORMAL", "COVID" }, set.classes)
    model.classes, given.classes = { "0", "1" }, nil
    assert.equal("", stderr.text(function() data.medmnist(path, given) end))
  end)

  it("reads colour, at another size, with names for the classes", function()
    archives.write(path, arrays(COUNTS, 2, 4, 3))
    local set = data.medmnist(path, { classes = { "benign", "malignant" }, size = 8, mean = 0, std = 1, quiet = true })
    assert.same({ "benign", "malignant" }, set.classes)
    local x = set.train:batch { 1, 2 }
    assert.same({ 2, 3, 8, 8 }, x:shape())
    for i = 1, 2 do
      for channel = 1, 3 do
        assert.is_true(math.abs(x:get(i, channel, 5, 3) - (10 * (i - 1) + 5 * channel) / 255) < 1e-6)
      end
    end
  end)

  it("renames and merges classes by a table", function()
    archives.write(path, arrays(COUNTS, 3, 6))
    local set = data.medmnist(path, { classes = { well = "0", ill = { 1, 2 } }, quiet = true })
    assert.same({ "ill", "well" }, set.classes)
    assert.same({ 2, 1, 1, 2, 1, 1, 2, 1, 1 }, set.train.labels)
    set = data.medmnist(path, { classes = { a = "2", b = "0" }, quiet = true })
    assert.same({ 2, 1, 2, 1, 2, 1 }, set.train.labels)
    assert.same({ "left out by classes: '1' (6 images)" }, { set.notes[1] })
    assert.equal(25 / 255, math.floor(set.train:image(2):get(1, 1, 1) * 255 + 0.5) / 255)
  end)

  it("splits val off of train, takes val as test, or test alone", function()
    local all = arrays(COUNTS, 3, 6)
    for i = 1, 9 do
      for k = 1, 36 do all.train_images[36 * (i - 1) + k] = 20 * i end
    end
    local val_images, val_labels = all.val_images, all.val_labels
    all.val_images, all.val_labels = nil, nil
    archives.write(path, all)
    local set
    local text = stderr.text(function() set = data.medmnist(path, { mean = 0, std = 1 }) end)
    assert.equal("medmnist: toymnist: toymnist has no val: it is split off of train\n", text)
    assert.same({ 6, 3, 5 }, { set.train:count(), set.val:count(), set.test:count() })
    for i = 1, 3 do
      local number = math.tointeger(set.val.names[i]:match "train (%d)")
      assert.equal((number - 1) % 3 + 1, set.val.labels[i])
      assert.is_true(math.abs(set.val:image(i):get(1, 1, 1) - 20 * number / 255) < 1e-6)
    end
    all.test_images, all.test_labels, all.val_images, all.val_labels = nil, nil, val_images, val_labels
    archives.write(path, all)
    text = stderr.text(function() set = data.medmnist(path, { size = 6 }) end)
    assert.matches("toymnist has no test: test is val", text, 1, true)
    assert.same({ 9, 4, 4 }, { set.train:count(), set.val:count(), set.test:count() })
    archives.write(path, { test_images = val_images, test_labels = val_labels })
    set = data.medmnist(path)
    assert.same({ 0, 0, 4 }, { set.train:count(), set.val:count(), set.test:count() })
    assert.same({ 1, 3, 6, 6 }, set.test:batch({ 4 }):shape())
    archives.write(path, { train_images = val_images, train_labels = val_labels })
    assert.has_error(function() data.medmnist(path) end, ("medmnist: %s: expected arrays train_images and "
      .. "train_labels, and the same of val or test; or of test alone, found only train"):format(path))
  end)

  it("reads several findings per image", function()
    local all = arrays(COUNTS, 2, 4)
    for _, split in ipairs { "train", "val", "test" } do
      local labels = { shape = { COUNTS[split], 3 } }
      for i = 1, COUNTS[split] do
        for k = 1, 3 do labels[#labels + 1] = (i >> (k - 1)) & 1 end
      end
      all[split .. "_labels"] = labels
    end
    archives.write(path, all)
    local set = data.medmnist(path, { classes = { "mass", "nodule", "hernia" }, quiet = true })
    assert.is_true(set.multi_label)
    assert.same({ 1, 1, 0 }, set.train.labels[3])
    local _, y = set.train:batch { 3, 4 }
    assert.same({ { 1, 1, 0 }, { 0, 0, 1 } }, y:totable())
    assert.same({ "0", "1", "2" }, data.medmnist(path, { quiet = true }).classes)
    set = data.medmnist(path, { classes = { large = { "0", "1" }, other = "2" }, quiet = true })
    assert.same({ { 1, 0 }, { 1, 0 }, { 1, 0 }, { 0, 1 } }, { table.unpack(set.train.labels, 1, 4) })
    assert.has_error(function() data.medmnist(path, { classes = { "a", "b" } }) end,
      ("medmnist: classes: expected 3 names, one per finding of %s, got 2"):format(path))
    set = data.medmnist(path, { classes = { any = { "0", "1", "2" } }, quiet = true })
    assert.same({ "no any", "any" }, set.classes)
    assert.same({ 2, 2, 2, 2, 2, 2, 2, 1, 2 }, set.train.labels)
    assert.matches("class 'm\\xE9': expected UTF-8", errors.inside(function()
      data.medmnist(path, { classes = { "m\xe9", "b", "c" } })
    end), 1, true)
    assert.is_nil(table.concat(set.notes, "\n"):find("exactly one", 1, true))
    for _, split in ipairs { "train", "val", "test" } do
      for i = 1, COUNTS[split] do
        for k = 1, 3 do all[split .. "_labels"][3 * i - 3 + k] = k == i % 3 + 1 and 1 or 0 end
      end
    end
    archives.write(path, all)
    assert.same({ "each image has exactly one of these findings: for classes, labels must be [N x 1]" },
      data.medmnist(path, { quiet = true, range = { 0, 255 }, on_duplicate = "ignore" }).notes)
    all.train_labels[2] = 2
    archives.write(path, all)
    assert.has_error(function() data.medmnist(path) end,
      ("medmnist: %s: train_labels: expected 0 or 1 for each finding, got 2 for image 1"):format(path))
  end)

  it("says why it cannot tell whether there is a file", function()
    needs.user(pending)
    local closed = files.join(root, "closed")
    assert(files.mkdir_p(closed))
    os.execute("chmod 000 " .. closed)
    local message = errors.raised(data.medmnist, closed .. "/set.npz")
    os.execute("chmod 755 " .. closed)
    assert.matches("medmnist: path: .*Permission denied", message)
  end)

  it("says what is wrong with the file", function()
    local function fails(message, opts)
      assert.has_error(function() data.medmnist(path, opts) end, "medmnist: " .. message)
    end
    local function with(change, message, opts)
      local all = arrays(COUNTS, 3, 4)
      change(all)
      archives.write(path, all)
      fails(path .. ": " .. message, opts)
    end
    fails(("path: expected an npz file, got '%s' (there is none)"):format(path))
    assert.has_error(function() data.medmnist(root) end,
      ("medmnist: path: expected an npz file, got '%s' (a folder)"):format(root))
    with(function(all) all.val_labels = nil end, "expected an array 'val_labels', found none")
    with(function(all) all.train_images.shape, all.train_images.dtype = { 9, 4, 2, 2 }, "u1" end,
      "train_images: expected [N x H x W] or [N x H x W x 3], got [9x4x2x2] (3-D sets are not supported)")
    with(function(all) all.val_images.dtype = "f4" end, "val_images: expected uint8, got float32")
    with(function(all) all.train_images.shape = { 9, 2, 8 } end,
      "expected square images where no size is given, got [9x2x8]")
    with(function(all)
      all.test_labels.shape = { 5, 14 }
      for i = 1, 70 do all.test_labels[i] = i % 2 end
    end, "test_labels: expected labels as wide as those of train, got [5x14]")
    with(function(all) all.val_labels.shape, all.val_labels[4] = { 3, 1 }, nil end,
      "val_labels: expected [4 x 1], one label per image, or [4 x findings], got [3x1]")
    with(function(all) all.train_labels.dtype, all.train_labels[3] = "i8", -1 end,
      "train_labels: expected whole numbers of at least 0, got -1")
    with(function(all) all.train_labels.dtype, all.train_labels[3] = "f4", 0.5 end,
      "train_labels: expected int64 or uint8, got float32")
    with(function(all) all.test_labels[2] = 7 end,
      "test_labels: expected labels in [0, 2] for 3 classes, got 7", { classes = { "a", "b", "c" } })
    with(function(all) all.test_labels.dtype, all.test_labels[2] = "i8", 1 << 40 end,
      "test_labels: expected labels up to 65535, got 1099511627776")
    archives.write(path, arrays(COUNTS, 3, 4))
    assert.has_error(function() data.medmnist(path, { classes = { "a", "b", "c", "d" } }) end,
      "medmnist: toymnist: class 'd': expected images in the train split, found none")
    local content = assert(files.read_all(path))
    temporary.write(root, "toymnist.npz", content:sub(1, #content // 2))
    local ok, message = pcall(data.medmnist, path)
    assert.is_false(ok)
    assert.matches("^medmnist: '?" .. path:gsub("%p", "%%%0"), errors.bare(message))
  end)

  it("refuses options that make no sense here", function()
    archives.write(path, arrays(COUNTS, 3, 4))
    local function message(opts) return errors.inside(function() data.medmnist(path, opts) end) end
    assert.matches("medmnist: unknown option 'splits', expected one of: ", message { splits = {} }, 1, true)
    archives.write(path, arrays(COUNTS, 1, 4))
    assert.matches("medmnist: classes: expected at least 2 names, got 1", message { classes = { "a" } }, 1, true)
    assert.matches("medmnist: " .. path .. ": expected at least 2 classes, got 1", message {}, 1, true)
    assert.matches("medmnist: classes: expected a list of names, got { 1, 2 }", message { classes = { 1, 2 } }, 1, true)
  end)

  it("reads a real file, where there is one", function()
    local copy = "../shared/data/pneumoniamnist.npz"
    needs.path(pending, copy, "copy of PneumoniaMNIST")
    local set = data.medmnist(copy, { classes = { "normal", "pneumonia" }, channels = 1, quiet = true })
    assert.equal(28, set.size)
    assert.equal(8, #set.duplicates) -- images of val that also occur in train
    assert.same({ 1214, 3494 }, set.train:class_counts())
    assert.same({ 135, 389 }, set.val:class_counts())
    assert.same({ 234, 390 }, set.test:class_counts())
    local x, y = set.test:batch { 1, 624 }
    assert.same({ 2, 1, 28, 28 }, x:shape())
    assert.same({ set.test.labels[1], set.test.labels[624] }, y:totable())
  end)
end)
