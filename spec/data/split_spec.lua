local core = require "secateur.core"
local data = require "secateur.data"

describe("data: a split", function()
  local set = data.phantom { count = 60, size = 16 }
  local train = set.train

  -- All that an iterator gives: list of indices, list of labels, list of batch sizes.
  local function drain(opts)
    local indices, labels, sizes = {}, {}, {}
    for x, y, part in train:batches(opts) do
      sizes[#sizes + 1] = x:size(1)
      table.move(part, 1, #part, #indices + 1, indices)
      table.move(y:totable(), 1, #part, #labels + 1, labels)
    end
    return indices, labels, sizes
  end

  it("counts, and prints itself", function()
    assert.equal(44, train:count())
    assert.equal(44, #train)
    assert.equal("test split of phantom seed 0: 12 images (normal 3, nodule 3, effusion 3, opacity 3), 3 x 16 x 16",
      tostring(set.test))
  end)

  it("gives batches of images and labels", function()
    local x, y, kept = train:batch { 5, 1, 5 }
    assert.same({ 3, 3, 16, 16 }, x:shape())
    assert.equal("int64", y:dtype())
    assert.same({ train.labels[5], train.labels[1], train.labels[5] }, y:totable())
    assert.same({ 5, 1, 5 }, kept)
    assert.is_true(x:view(1):allclose(x:view(3), 0, 0))
    assert.is_false(x:view(1):allclose(x:view(2), 0, 0))
  end)

  it("gives images for drawing, not normalised", function()
    local image = train:image(4)
    assert.same({ 3, 16, 16 }, image:shape())
    local x = train:batch { 4 }
    local mean, std = { 0.485, 0.456, 0.406 }, { 0.229, 0.224, 0.225 }
    for channel = 1, 3 do
      local value = image:get(channel, 9, 7)
      assert.is_true(value >= 0 and value <= 1)
      assert.is_true(math.abs((value - mean[channel]) / std[channel] - x:get(1, channel, 9, 7)) < 1e-4)
    end
  end)

  it("normalises as told, grey images with the mean of ImageNet's channels", function()
    local grey = data.phantom { count = 60, size = 16, channels = 1 }
    local x, image = grey.train:batch { 3 }, grey.train:image(3)
    assert.same({ 1, 1, 16, 16 }, x:shape())
    assert.is_true(math.abs((image:get(1, 5, 5) - 0.449) / 0.226 - x:get(1, 1, 5, 5)) < 1e-4)
    local own = data.phantom { count = 60, size = 16, channels = 1, mean = 0.5, std = { 0.25 } }
    assert.is_true(math.abs((image:get(1, 5, 5) - 0.5) * 4 - own.train:batch({ 3 }):get(1, 1, 5, 5)) < 1e-4)
  end)

  it("goes through all samples once, in order", function()
    local indices, labels, sizes = drain { batch = 16 }
    local expected = {}
    for i = 1, train:count() do expected[i] = i end
    assert.same(expected, indices)
    assert.same(train.labels, labels)
    for i = 1, #sizes - 1 do assert.equal(16, sizes[i]) end
    assert.equal((train:count() - 1) % 16 + 1, sizes[#sizes])
  end)

  it("gives the same images in batches as one by one", function()
    for x, _, indices in train:batches { batch = 10, shuffle = true } do
      assert.is_true(x:allclose(train:batch(indices), 0, 0))
    end
  end)

  it("shuffles by seed and epoch", function()
    local function order(seed, epoch, workers)
      return (drain { batch = 7, shuffle = true, seed = seed, epoch = epoch, workers = workers })
    end
    local first = order(1, 1)
    assert.same(first, order(1, 1))
    assert.same(first, order(1, 1, 3))
    assert.not_same(first, order(2, 1))
    assert.not_same(first, order(1, 2))
    local sorted = table.move(first, 1, #first, 1, {})
    table.sort(sorted)
    assert.same((drain()), sorted)
  end)

  it("augments by seed, epoch and sample, not by batch or worker", function()
    local recipe = { scale = { 0.7, 1 }, ratio = { 0.75, 1.33 }, hflip = 0.5, vflip = 0.5, rotation = 30,
      brightness = 0.2, contrast = 0.2, saturation = 0.2 }
    -- Sum of the pixels of each sample.
    local function sums(opts)
      local list = {}
      opts.augment = recipe
      for x, _, indices in train:batches(opts) do
        for i, index in ipairs(indices) do list[index] = x:view(i):sum() end
      end
      return list
    end
    local one = sums { batch = 7 }
    assert.same(one, sums { batch = 10, workers = 3, shuffle = true })
    assert.not_same(one, sums { batch = 7, epoch = 2 })
    assert.not_same(one, sums { batch = 7, seed = 1 })
  end)

  it("stops early, and closes", function()
    local function first(opts)
      for _, _, indices in train:batches(opts) do return indices end -- luacheck: ignore 512
    end
    assert.same({ 1 }, first { batch = 1 })
    local iterator <close> = train:batches { batch = 4 }
    assert.equal(4, #select(3, iterator()))
    iterator:close()
    iterator:close()
    assert.is_nil(iterator())
    local live
    for _ = 1, 3 do
      assert.equal(8, #first { batch = 8, workers = 2 })
      collectgarbage()
      collectgarbage()
      live = live or core.memory()
      assert.is_true(core.memory() <= live)
    end
  end)

  it("has subsets, which count from 1", function()
    local some = train:subset { 9, 3, 4 }
    assert.equal(3, some:count())
    assert.same({ train.labels[9], train.labels[3], train.labels[4] }, some.labels)
    assert.same({ train.names[9], train.names[3], train.names[4] }, some.names)
    local x, y, kept = some:batch { 1, 3 }
    assert.is_true(x:allclose(train:batch { 9, 4 }, 0, 0))
    assert.same({ train.labels[9], train.labels[4] }, y:totable())
    assert.same({ 1, 3 }, kept)
    assert.equal(some.names[2], some:subset({ 2 }).names[1])
  end)

  it("gives places in an order, each image as it is in the whole", function()
    local order = core.permutation(train:count(), 5)
    order[#order + 1], order[#order + 2] = order[1], order[2] -- which come again, augmented otherwise
    local opts = { order = order, batch = 8, seed = 3, epoch = 2, workers = 2,
      augment = { hflip = 0.5, rotation = 30, brightness = 0.2 } }
    local whole = {}
    for x, y, kept in train:batches(opts) do
      for i, image in ipairs(x:totable()) do whole[#whole + 1] = { image, y:get(i), kept[i] } end
    end
    opts.places = { { 2, 3 }, { #order }, { 9, 10, 11 }, { 1 } }
    local seen = {}
    for x, y, kept, places in train:batches(opts) do
      seen[#seen + 1] = places
      for i, image in ipairs(x:totable()) do assert.same(whole[places[i]], { image, y:get(i), kept[i] }) end
    end
    assert.same(opts.places, seen)
    assert.not_same(whole[1][1], whole[#order - 1][1])
    for message, places in pairs {
      ["batches: places: 2: expected a list of places in the order, got a table"] = { { 1 }, {} },
      [("batches: places: 1: 2: expected a whole number in [1, %d], got 0"):format(#order)] = { { 1, 0 } },
      ["batches: places: expected a list of at least 1, got a table"] = {},
    } do assert.has_error(function() train:batches { order = order, places = places } end, message) end
  end)

  it("says what it was given wrongly", function()
    local function fails(body, message) assert.has_error(body, message) end
    local count = train:count()
    fails(function() train:batch(3) end, "batch: indices: expected a list, got 3")
    fails(function() train:batch {} end, "batch: indices: expected at least one, got none")
    fails(function() train:batch { 1, count + 1 } end,
      ("batch: indices[2]: expected a whole number in [1, %d], got %d"):format(count, count + 1))
    fails(function() train:batch { 0 } end,
      ("batch: indices[1]: expected a whole number in [1, %d], got 0"):format(count))
    fails(function() train:subset { 1.5 } end,
      ("subset: indices[1]: expected a whole number in [1, %d], got 1.5"):format(count))
    fails(function() train:image(0) end, ("image: index: expected a whole number in [1, %d], got 0"):format(count))
    fails(function() train:batches { batch = 0 } end, "batches: batch: expected a whole number of at least 1, got 0")
    fails(function() train:batches { size = 3 } end, "batches: unknown option 'size', expected one of: augment, batch, "
      .. "epoch, order, places, prefetch, seed, shuffle, workers")
    fails(function() train:batches { augment = { scale = { 0.5, 1.5 } } } end,
      "batches: augment: scale: expected two growing numbers above 0 and at most 1, got { 0.5, 1.5 }")
    fails(function() train:batches { augment = { hflip = 2 } } end,
      "batches: augment: hflip: expected a number in [0, 1], got 2")
    fails(function() train:batches { augment = { flip = 1 } } end, "batches: augment: unknown option 'flip', "
      .. "expected one of: brightness, contrast, hflip, ratio, rotation, saturation, scale, vflip; "
      .. "did you mean 'hflip'?")
    local _, text = pcall(function() train:batches { augment = { rotation = -1 } } end)
    assert.matches("split_spec.lua:%d+: batches: ", text)
    _, text = pcall(function() train:batch { "x" } end)
    assert.matches("split_spec.lua:%d+: batch: ", text)
  end)
end)

describe("data: a data set", function()
  it("prints images per class and split", function()
    assert.equal(table.concat({
      "phantom seed 0: 200 images, 2 classes, 1 x 16 x 16",
      "class   train  val  test  all",
      "nodule     70   10    20  100",
      "normal     70   10    20  100",
      "all       140   20    40  200",
    }, "\n"), tostring(data.phantom { count = 200, size = 16, channels = 1, classes = { "nodule", "normal" } }))
  end)
end)
