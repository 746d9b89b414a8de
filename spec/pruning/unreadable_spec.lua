-- Images whose headers are good and whose bodies are not: what was not used must not stand anywhere as used.
local calibration = require "secateur.pruning.calibration"
local files = require "secateur.util.files"
local image_subset = require "secateur.explanations.image_subset"
local memory_split = require "support.memory_split"
local pictures = require "support.pictures"
local readable = require "secateur.data.readable"
local sc = require "secateur"
local temporary = require "support.temporary"

local function per_class_of(split, indices)
  local counts = {}
  for label in ipairs(split.classes) do counts[label] = 0 end
  for _, index in ipairs(indices) do counts[split.labels[index]] = counts[split.labels[index]] + 1 end
  return counts
end

describe("images that break when they are decoded", function()
  local root, split, bad, model

  -- Of each class 12 images in train, of which in class "a" every second is cut off behind its header.
  setup(function()
    root, bad = temporary.folder(), {}
    for _, class in ipairs { "a", "b" } do
      for i = 1, 12 do
        local name = ("train/%s/%02d.png"):format(class, i)
        local broken = class == "a" and i % 2 == 0
        if broken then pictures.truncated(root, name) else pictures.save(root, name, i / 13) end
      end
    end
    for _, class in ipairs { "a", "b" } do
      pictures.save(root, ("test/%s/01.png"):format(class), 0.5)
      pictures.save(root, ("val/%s/01.png"):format(class), 0.5)
    end
    model = sc.models.vgg { config = { 4, "M" }, hidden = { 6 }, pool = 2, classes = 2, size = 8, seed = 3 }
  end)
  teardown(function() assert(files.remove(root)) end)
  before_each(function()
    split = sc.data.folder(root, { size = 8, quiet = true }).train
    for i, name in ipairs(split.names) do
      bad[i] = split.labels[i] == 1 and tonumber(name:match "(%d+)%.png$") % 2 == 0 or nil
    end
    assert.equal(24, split:count())
  end)

  local function check(indices, expected)
    for _, index in ipairs(indices) do assert.is_nil(bad[index]) end
    assert.same(expected, per_class_of(split, indices))
  end

  for _, way in ipairs { "random", "clustering", "confidence" } do
    it("are replaced by " .. way .. " sampling, whatever the seed, and provenance holds what was scored", function()
      for seed = 0, 9 do
        local scores = sc.importance(model, split, { method = "lrp", sampling = way, per_class = 2, batch = 2,
          seed = seed })
        check(scores.provenance.indices, { 2, 2 })
      end
    end)
  end

  it("are left out of given indices, and of provenance", function()
    local given, whole = { 2, 4, 1, 6, 13, 8, 10, 12, 14 }, {}
    for _, index in ipairs(given) do
      if not bad[index] then whole[#whole + 1] = index end
    end
    for _, method in ipairs { "lrp", "activation", "sensitivity" } do
      for _, batch in ipairs { 1, 2, 16 } do -- batches without any image end nothing
        local scores = sc.importance(model, split, { method = method, indices = given, batch = batch,
          calibration_count = 8 })
        assert.same(whole, scores.provenance.indices)
        local clean = sc.importance(model, split, { method = method, indices = whole, batch = batch,
          calibration_count = 8 })
        for name, tensor in pairs(clean) do assert.same(tensor:totable(), scores[name]:totable()) end
      end
    end
    assert.has_error(function()
      sc.importance(model, split, { method = "lrp", indices = { 2, 4 } })
    end, "importance: split: expected at least one image that can be read")
  end)

  it("are replaced among calibration images, of which each is there once", function()
    for seed = 0, 5 do
      for _, batch in ipairs { 1, 5, 32 } do
        local images = calibration.images("f", split, { count = 14, batch = batch, seed = seed })
        for _ = 1, 2 do
          local count, values = 0, {}
          for x in images:batches() do
            count = count + x:size(1)
            for i = 1, x:size(1) do values[#values + 1] = table.concat(x:view(i):reshape(-1):totable(), " ") end
          end
          assert.same({ 14, 14, 0 }, { count, images:count(), images.views })
          assert.equal(14, #values)
          check(images.indices, per_class_of(split, images.indices))
          local each = {}
          for _, index in ipairs(images.indices) do
            assert.is_nil(each[index])
            each[index] = true
          end
        end
      end
    end
  end)

  it("are made up for by views where there are too few others", function()
    local images = calibration.images("f", split, { count = 40, batch = 7 })
    local first, second = {}, {}
    for _, list in ipairs { first, second } do
      for x in images:batches() do
        for i = 1, x:size(1) do list[#list + 1] = x:view(i):reshape(-1):totable() end
      end
      assert.equal(40, #list)
    end
    assert.same({ 18, 22, 40 }, { images.images, images.views, images:count() })
    assert.same(first, second)
  end)

  it("are replaced among the images that explanations are measured on", function()
    for seed = 0, 5 do
      local opts = { per_class = 4, batch = 3, seed = seed, target = "prediction" }
      local parts = image_subset.collect("faithfulness", model, split, opts)
      check(parts.indices, { 4, 4 })
      opts.per_class, opts.samples = nil, 9
      parts = image_subset.collect("faithfulness", model, split, opts)
      assert.equal(9, parts.count)
      check(parts.indices, per_class_of(split, parts.indices))
    end
    local parts = image_subset.collect("agreement", model, split, { indices = { 1, 2, 3, 4, 14 }, batch = 2,
      target = { 1, 1, 2, 2, 1 } })
    assert.same({ 1, 3, 14 }, parts.indices)
    assert.same({ 1, 2, 1 }, parts.targets) -- each class stays with its image
    assert.has_error(function()
      image_subset.collect("faithfulness", model, split, { indices = { 2, 4 }, batch = 1, target = "prediction" })
    end, "faithfulness: split: expected at least one image that can be read")
  end)

  it("are replaced in sheets of heatmaps", function()
    local sheet = sc.heatmaps(model, split, { dir = root .. "/sheet", methods = { "gradient" }, per_class = 3,
      sheet = false })
    local indices = {}
    for i, sample in ipairs(sheet) do indices[i] = sample.index end
    check(indices, { 3, 3 })
  end)

  it("are nil by split:read, where split:batch raises", function()
    assert.is_nil(split:read { 2, 4 })
    local x, y, kept = split:read { 2, 3 }
    assert.same({ 1, 3, 8, 8 }, x:shape())
    assert.same({ 1 }, y:totable())
    assert.same({ 3 }, kept)
    assert.has_error(function() split:batch { 2, 4 } end)
  end)
end)

describe("readable.first", function()
  it("gives the first that can be read, and decodes no more than that takes", function()
    local unreadable = { [2] = true, [3] = true, [5] = true, [6] = true, [7] = true }
    for batch = 1, 5 do
      local split = memory_split(sc.zeros(10, 1, 2, 2), { 1, 1, 1, 1, 1, 1, 1, 1, 1, 1 },
        { classes = { "a" }, unreadable = unreadable })
      local known = {}
      local taken, failed = readable.first(split, { 5, 1, 2, 9, 3, 10, 4 }, 3, batch, known)
      assert.same({ 1, 9, 10 }, taken)
      assert.same({ 5, 2, 3 }, failed)
      assert.is_nil(known[4])
      assert.equal(3, split.counter.images)
      taken, failed = readable.first(split, { 3, 9, 2 }, 3, batch, known)
      assert.same({ { 9 }, { 3, 2 } }, { taken, failed })
      assert.equal(3, split.counter.images)
    end
  end)

  it("finds out which are left where a split does not say it", function()
    local split = { batch = function(_, indices)
      local count = 0
      for _, index in ipairs(indices) do count = count + index % 2 end
      return count > 0 and sc.zeros(count, 1, 2, 2) or nil
    end }
    assert.same({ 1, 3, 5 }, (readable.first(split, { 2, 1, 4, 3, 6, 5, 7 }, 3, 4)))
    assert.same({ 1, 3 }, select(3, readable.batch(split, { 1, 2, 3 })))
  end)
end)
