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
    fails({ classes = { "normal" } }, ("classes: expected at least 2 of %s, got a table"):format(kinds))
    fails({ classes = { "normal", "tumour" } }, ("classes: expected some of %s, each once, got a table"):format(kinds))
    fails({ classes = { "normal", "normal" } }, ("classes: expected some of %s, each once, got a table"):format(kinds))
    fails({ count = 0 }, "count: expected a whole number in [1, 16777216], got 0")
    fails({ count = 2 }, "seed 0: expected images in the val split, found none")
    fails({ count = 3, classes = { "normal", "nodule" }, size = 15 },
      "size: expected a whole number in [16, 8192], got 15")
  end)
end)
