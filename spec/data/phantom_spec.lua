local data = require "secateur.data"

describe("data.phantom", function()
  it("makes all classes equally often, and splits them by class", function()
    local set = data.phantom()
    assert.same({ "normal", "nodule", "effusion", "opacity" }, set.classes)
    assert.same({ 70, 70, 70, 70 }, set.train:class_counts())
    assert.same({ 10, 10, 10, 10 }, set.val:class_counts())
    assert.same({ 20, 20, 20, 20 }, set.test:class_counts())
    assert.equal(64, set.size)
    for i, name in ipairs(set.val.names) do
      assert.equal((tonumber(name:match("^phantom (%d+)$")) - 1) % 4 + 1, set.val.labels[i])
    end
  end)

  it("depends on the seed alone, images and splits", function()
    local opts = { count = 40, size = 32, seed = 7, channels = 1 }
    local one, same = data.phantom(opts), data.phantom(opts)
    assert.same(one.test.names, same.test.names)
    local x = one.test:batch { 1, 2, 3 }
    assert.same({ 3, 1, 32, 32 }, x:shape())
    assert.is_true(x:allclose(same.test:batch { 1, 2, 3 }, 0, 0))
    opts.seed = 8
    local other = data.phantom(opts)
    assert.not_same(one.test.names, other.test.names)
    assert.is_false(x:allclose(other.test:batch { 1, 2, 3 }, 0, 0))
  end)

  it("draws a kind alike whatever the other classes are", function()
    local all = data.phantom { count = 16, size = 32, channels = 1 }
    local some = data.phantom { count = 16, size = 32, channels = 1, classes = { "opacity", "normal" } }
    assert.same({ "opacity", "normal" }, some.classes)
    local function find(set, name)
      for _, part in ipairs { "train", "val", "test" } do
        for i, candidate in ipairs(set[part].names) do
          if candidate == name then return set[part]:image(i), set.classes[set[part].labels[i]] end
        end
      end
    end
    -- Sample 2 is a nodule in one set and normal in the other; 6 likewise; 4 is opacity and normal.
    for _, number in ipairs { 2, 4 } do
      local x, of_all = find(all, "phantom " .. number)
      local y, of_some = find(some, "phantom " .. number)
      assert.not_equal(of_all, of_some)
      assert.is_false(x:allclose(y, 0, 0))
    end
    local x, of_all = find(all, "phantom 1")
    local y, of_some = find(data.phantom { count = 16, size = 32, channels = 1, classes = { "normal", "nodule" } },
      "phantom 1")
    assert.equal(of_all, of_some)
    assert.is_true(x:allclose(y, 0, 0))
  end)

  it("says what it expected", function()
    local kinds = "normal, nodule, effusion, opacity"
    local function fails(opts, message)
      assert.has_error(function() data.phantom(opts) end, "phantom: " .. message)
    end
    fails({ classes = { "normal" } }, ("classes: expected at least 2 of %s, got { 'normal' }"):format(kinds))
    fails({ classes = { "normal", "tumour" } },
      ("classes: expected some of %s, each once, got { 'normal', 'tumour' }"):format(kinds))
    fails({ classes = { "normal", "normal" } },
      ("classes: expected some of %s, each once, got { 'normal', 'normal' }"):format(kinds))
    fails({ count = 0 }, "count: expected a whole number in [1, 16777216], got 0")
    fails({ count = 2 }, "seed 0: expected images in the val split, found none")
    fails({ count = 3, classes = { "normal", "nodule" }, size = 15 },
      "size: expected a whole number in [16, 8192], got 15")
  end)
end)

describe("data.phantom with several findings", function()
  it("gives each image a number per finding, as float labels", function()
    local set = data.phantom { multi_label = true, count = 400, size = 16, channels = 1 }
    assert.is_true(set.multi_label and set.train.multi_label)
    assert.same({ "nodule", "effusion", "opacity" }, set.classes)
    local x, y, kept = set.train:batch { 3, 1, 2 }
    assert.same({ 3, 1, 16, 16 }, x:shape())
    assert.same({ "float32", { 3, 3 } }, { y:dtype(), y:shape() })
    for i, index in ipairs(kept) do assert.same(set.train.labels[index], y:totable()[i]) end
    for finding, count in ipairs(set.train:class_counts()) do
      local present = 0
      for _, label in ipairs(set.train.labels) do present = present + label[finding] end
      assert.equal(present, count)
      assert.is_true(count > 0.4 * 280 and count < 0.6 * 280)
    end
    local some = set.train:subset { 5, 6 }
    assert.is_true(some.multi_label)
    assert.same({ set.train.labels[5], set.train.labels[6] }, some.labels)
    assert.truthy(tostring(set):find("^phantom seed 0: 400 images, 3 findings, 1 x 16 x 16\nfinding  +train"))
    assert.truthy(tostring(set):find("\nimages +%d+ +%d+ +%d+  400$"))
  end)

  it("keeps shares of each finding", function()
    local set = data.phantom { multi_label = true, count = 1000, size = 16, prevalence = { 0.5, 0.03, 0.4 } }
    for finding, count in ipairs(set.train:class_counts()) do
      local all = count + set.val:class_counts()[finding] + set.test:class_counts()[finding]
      assert.is_true(math.abs(count - 0.7 * all) <= 4, set.classes[finding])
    end
    assert.is_true(set.train:class_counts()[2] < 50)
  end)

  it("draws findings by themselves: what one is does not depend on which others are asked for", function()
    local opts = { multi_label = true, count = 30, size = 16, seed = 3,
      splits = { train = 0.8, val = 0.1, test = 0.1 } }
    local function by_name(set, class)
      local found = {}
      for k, name in ipairs(set.classes) do
        for _, part in ipairs { "train", "val", "test" } do
          for i, image in ipairs(set[part].names) do
            if name == class then found[image] = set[part].labels[i][k] end
          end
        end
      end
      return found
    end
    local all = by_name(data.phantom(opts), "opacity")
    opts.classes = { "opacity", "nodule" }
    assert.same(all, by_name(data.phantom(opts), "opacity"))
  end)

  it("says what it expected", function()
    local function fails(opts, message)
      opts.multi_label = opts.multi_label == nil or opts.multi_label
      assert.has_error(function() data.phantom(opts) end, "phantom: " .. message)
    end
    fails({ classes = { "normal", "nodule" } },
      "classes: expected some of nodule, effusion, opacity, each once, got { 'normal', 'nodule' }")
    fails({ classes = { "nodule" } }, "classes: expected at least 2 of nodule, effusion, opacity, got { 'nodule' }")
    fails({ prevalence = 1 }, "prevalence: expected a number in (0, 1), or a list of one per finding, got 1")
    fails({ prevalence = { 0.5 } }, "prevalence: expected 3 numbers, one per finding, got 1")
    fails({ prevalence = 0.5, multi_label = false }, "prevalence: expected multi_label to be true")
  end)

  it("renames and merges classes by a table", function()
    local plain = data.phantom { count = 40, size = 16, classes = { "effusion", "opacity", "normal" } }
    local set = data.phantom { count = 40, size = 16, classes = { well = "normal", ill = { "effusion", "opacity" } } }
    assert.same({ "ill", "well" }, set.classes)
    local total = { 0, 0 }
    for _, split in ipairs { "train", "val", "test" } do
      for label, count in ipairs(set[split]:class_counts()) do total[label] = total[label] + count end
    end
    assert.same({ 27, 13 }, total)
    local where = {}
    for i, name in ipairs(plain.train.names) do where[name] = plain.train.labels[i] end
    for i, name in ipairs(set.train.names) do
      assert.is_true(not where[name] or (where[name] == 3) == (set.train.labels[i] == 2))
    end
    set = data.phantom { count = 60, size = 16, multi_label = true, classes = { any = { "nodule", "opacity" },
      fluid = "effusion" } }
    assert.same({ "any", "fluid" }, set.classes)
    assert.equal(2, #set.train.labels[1])
    assert.has_error(function() data.phantom { classes = { all = { "normal", "nodule" } } } end,
      "phantom: classes: expected at least 2 classes, got 1")
    assert.has_error(function() data.phantom { classes = { a = "normal", b = "nodul" } } end,
      "phantom: classes: expected some of normal, nodule, effusion, opacity, each once, got { 'normal', 'nodul' }")
  end)
end)
