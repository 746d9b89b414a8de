local calibration = require "secateur.pruning.calibration"
local errors = require "support.errors"
local memory_split = require "support.memory_split"
local sc = require "secateur"

local function collect(images)
  local rows = {}
  for x in images:batches() do
    for i = 1, x:size(1) do rows[#rows + 1] = x:view(i):reshape(-1):totable() end
  end
  return rows
end

local function phantoms(count) return sc.data.phantom { count = count, size = 16, seed = 1 }.train end

describe("calibration images", function()
  it("of a Tensor are as many rows as asked for, chosen by the seed, in batches", function()
    local x = sc.rand(50, 2, 3, 3, { seed = 1 })
    local images = calibration.images("f", x, { count = 20, batch = 6, seed = 4 })
    assert.equal(20, images:count())
    local sizes = {}
    for part in images:batches() do sizes[#sizes + 1] = part:size(1) end
    assert.same({ 6, 6, 6, 2 }, sizes)
    local rows = collect(images)
    assert.same(rows, collect(images))
    assert.same(rows, collect(calibration.images("f", x, { count = 20, batch = 20, seed = 4 })))
    assert.not_same(rows, collect(calibration.images("f", x, { count = 20, seed = 5 })))
    local known, before = {}, 0
    for i = 1, 50 do known[x:view(i):reshape(-1):totable()[1]] = i end
    for _, row in ipairs(rows) do
      assert.is_true(known[row[1]] > before) -- each once, in the order of the Tensor
      before = known[row[1]]
    end
    assert.equal(50, calibration.images("f", x):count()) -- no more than there are
  end)

  it("of a split are chosen by the seed, and the same in whatever batches", function()
    local split = phantoms(60)
    local images = calibration.images("f", split, { count = 24, batch = 5 })
    assert.equal(24, images:count())
    assert.equal(0, images.views)
    local rows = collect(images)
    assert.equal(24, #rows)
    assert.same(rows, collect(images))
    assert.same(rows, collect(calibration.images("f", split, { count = 24, batch = 24 })))
    assert.not_same(rows, collect(calibration.images("f", split, { count = 24, seed = 1 })))
  end)

  it("of a small split are filled up with views, at most 16 of an image", function()
    local split = phantoms(12)
    local own = split:count()
    local images = calibration.images("f", split, { count = 3 * own - 1, batch = 4 })
    assert.equal(3 * own - 1, images:count())
    assert.equal(2 * own - 1, images.views)
    assert.equal(("%d calibration images (%d of them augmented views)"):format(3 * own - 1, 2 * own - 1),
      tostring(images))
    local rows = collect(images)
    assert.equal(3 * own - 1, #rows)
    assert.same(rows, collect(calibration.images("f", split, { count = 3 * own - 1, batch = 7 })))
    local plain = split:batch((function()
      local all = {}
      for i = 1, own do all[i] = i end
      return all
    end)())
    for i = 1, own do
      assert.same(plain:view(i):reshape(-1):totable(), rows[i]) -- the images themselves come first
      assert.not_same(rows[i], rows[own + i])
      assert.is_true(2 * own + i > #rows or rows[own + i][40] ~= rows[2 * own + i][40])
    end
    assert.equal(16 * own, calibration.images("f", split, { count = 1000 }):count())
  end)

  it("of a split of one's own are what it has, without unreadable ones", function()
    local split = memory_split(sc.rand(9, 1, 2, 2, { seed = 2 }), { 1, 1, 1, 1, 2, 2, 2, 2, 2 },
      { classes = { "a", "b" }, unreadable = { [2] = true, [7] = true } })
    local images = calibration.images("f", split, { batch = 2 })
    assert.equal(7, #collect(images))
    assert.equal(7, images:count())
    assert.equal(2, #collect(calibration.images("f", split, { indices = { 1, 2, 3 } })))
    split = memory_split(sc.zeros(1, 1, 2, 2), { 1 }, { classes = { "a" }, unreadable = { true } })
    assert.matches("f: calibration: expected at least one image that can be read",
      errors.raised(collect, calibration.images("f", split)), 1, true)
  end)

  it("can be left in the middle", function()
    local images, seen = calibration.images("f", phantoms(40), { count = 20, batch = 4 }), 0
    for x in images:batches() do
      seen = seen + x:size(1)
      if seen == 8 then break end
    end
    assert.equal(8, seen)
    assert.equal(20, images:count())
  end)

  it("are refused where they are none, or none of this model's", function()
    local model = sc.models.vgg { config = { 4 }, hidden = {}, pool = 2, classes = 3, size = 8 }
    local function refusal(given, opts)
      return errors.here(function() local images = calibration.images("f", given, opts) return images end)
    end
    assert.equal("f: calibration: expected a split of a data set or a Tensor [N x C x H x W], got 3", refusal(3))
    assert.equal("f: calibration: expected a Tensor [N x 3 x 8 x 8], got [2 x 3 x 9 x 8]",
      refusal(sc.zeros(2, 3, 9, 8), { model = model }))
    assert.equal("f: calibration: expected 3 classes, as many as the model has, got 4",
      refusal(phantoms(20), { model = model }))
  end)
end)
