-- Sources: the three kinds, what they keep, and the names of what cannot be read.
local core = require "secateur.core"
local files = require "secateur.util.files"
local temporary = require "support.temporary"

local IMAGES = "spec/fixtures/images/"

local function settled()
  collectgarbage()
  collectgarbage()
  return (core.memory())
end

describe("a source of files", function()
  local root, bad
  setup(function()
    root = temporary.folder()
    bad = temporary.write(root, "bad.png", "no picture")
  end)
  teardown(function() files.remove(root) end)

  local function mixed(options)
    local all = { kind = "files", paths = { IMAGES .. "grey8.png", bad, IMAGES .. "colour.jpg",
      IMAGES .. "absurd.png", root .. "/gone.png", IMAGES .. "grey16.png" } }
    for key, value in pairs(options or {}) do all[key] = value end
    return core.image_source(all)
  end

  local expected

  before_each(function()
    expected = {
      { index = 2, message = "'" .. bad .. "': not a PNG, JPEG, BMP, TIFF, WebP or DICOM file" },
      { index = 4, message = "'" .. IMAGES .. "absurd.png': 65535 x 65535 pixels are more than max_pixels = 67108864" },
      { index = 5, message = "'" .. root .. "/gone.png': No such file or directory" },
    }
  end)

  it("counts and checks its files by their headers", function()
    local source = mixed()
    assert.equal(6, source:count())
    assert.same(expected, source:check())
    assert.same({}, core.image_source { kind = "files", paths = {} }:check())
    local small = core.image_source { kind = "files", paths = { IMAGES .. "grey8.png" }, max_pixels = 34 }
    assert.same({ { index = 1, message = "'" .. IMAGES .. "grey8.png': 7 x 5 pixels are more than max_pixels = 34" } },
      small:check())
  end)

  it("gives a batch of what could be read, and names the rest", function()
    local source = mixed()
    local x, positions, failures = source:batch({ 6, 4, 3, 2, 1, 1 }, { size = 6, channels = 1 })
    assert.same({ 4, 1, 6, 6 }, x:shape())
    assert.same({ 1, 3, 5, 6 }, positions)
    assert.same({ expected[2], expected[1] }, failures)
    for row, index in ipairs { 6, 3, 1, 1 } do
      local alone = source:batch({ index }, { size = 6, channels = 1 })
      assert.same(alone:view(1):totable(), x:view(row):totable())
    end
    local none, no_positions, all = source:batch({ 2, 4 }, { size = 6 })
    assert.same({ 0, 3, 6, 6 }, none:shape())
    assert.same({}, no_positions)
    assert.equal(2, #all)
  end)

  it("resizes like image_resize and replicates grey", function()
    local source = mixed()
    local x = source:batch({ 1, 6 }, { size = 4 })
    for row, name in ipairs { "grey8.png", "grey16.png" } do
      local small = core.image_resize(core.image_load(IMAGES .. name, { channels = 3 }), 4, 4)
      assert.is_true(x:view(row):reshape(3, 4, 4):allclose(small, 1e-6, 1e-6))
    end
  end)

  it("gives the pixels of one image", function()
    local source = mixed()
    assert.same(core.image_load(IMAGES .. "colour.jpg"):totable(), source:pixels(3):totable())
    assert.has_error(function() source:pixels(2) end,
      "pixels: '" .. bad .. "': not a PNG, JPEG, BMP, TIFF, WebP or DICOM file")
    assert.has_error(function() source:pixels(7) end, "pixels: index: expected a whole number in 1..6, got 7")
  end)

  it("keeps decoded pictures up to a limit", function()
    local path = temporary.write(root, "kept.png", assert(files.read_all(IMAGES .. "colour8.png")))
    local function reads_after_removal(cache_bytes)
      temporary.write(root, "kept.png", assert(files.read_all(IMAGES .. "colour8.png")))
      local source = core.image_source { kind = "files", paths = { path }, cache_bytes = cache_bytes }
      source:pixels(1)
      os.remove(path)
      return (pcall(source.pixels, source, 1))
    end
    assert.is_true(reads_after_removal(nil))
    assert.is_true(reads_after_removal(7 * 5 * 3))
    assert.is_false(reads_after_removal(7 * 5 * 3 - 1))
    assert.is_false(reads_after_removal(0))
  end)

  it("gives all memory back", function()
    local before = settled()
    do
      local source = mixed()
      for _ = 1, 5 do source:batch({ 1, 2, 3, 6 }, { size = 9 }) end
      source:pixels(1)
      source:close()
      source:close()
      assert.has_error(function() source:count() end, "count: source: expected an ImageSource, got a closed one")
      mixed():check()
    end
    assert.equal(before, settled())
  end)

  it("checks its arguments", function()
    assert.has_error(function() core.image_source {} end,
      "image_source: kind: expected 'files', 'pixels' or 'phantom', got nil")
    assert.has_error(function() core.image_source { kind = "files", paths = { "a", 2 } } end,
      "image_source: paths: expected a string, got 2")
    assert.has_error(function() core.image_source { kind = "files", paths = {}, seed = 1 } end,
      "image_source: unknown option 'seed', expected one of: kind, paths, max_pixels, max_bytes, window, cache_bytes")
    assert.has_error(function() mixed():batch({ 7 }, { size = 4 }) end,
      "batch: indices: expected a whole number in 1..6, got 7")
    assert.has_error(function() mixed():batch({ 1 }, { channels = 1 }) end,
      "batch: size: expected a whole number in 1..16384, got nil")
  end)
end)

describe("a source of pixels", function()
  it("shares the tensor", function()
    local pixels = core.tensor({ { { 0, 51 }, { 102, 255 } }, { { 1, 2 }, { 3, 4 } } }, "uint8")
    local source = core.image_source { kind = "pixels", pixels = pixels }
    assert.equal(2, source:count())
    assert.same({}, source:check())
    local expected = core.tensor { { 0, 0.2 }, { 0.4, 1 } }
    assert.is_true(source:pixels(1)[1]:allclose(expected, 0, 1e-7))
    pixels:set(255, 1, 1, 1)
    assert.equal(1, source:pixels(1)[1][1][1])
    pixels = nil -- luacheck: ignore
    collectgarbage()
    assert.near(4 / 255, source:pixels(2)[1][2][2], 1e-7)
  end)

  it("reads colour with the channels last", function()
    local source = core.image_source { kind = "pixels", pixels = core.tensor({ { { { 51, 102, 255 } } } }, "uint8") }
    assert.is_true(source:pixels(1):reshape(3):allclose(core.tensor { 0.2, 0.4, 1 }, 0, 1e-6))
  end)

  it("refuses other tensors", function()
    assert.has_error(function() core.image_source { kind = "pixels", pixels = core.zeros(2, 3, 3) } end,
      "image_source: pixels: expected a uint8 tensor [N,H,W], [N,H,W,1] or [N,H,W,3], got [2x3x3] of float32")
  end)
end)

describe("a source of phantoms", function()
  local function phantoms(labels, size, seed)
    return core.image_source { kind = "phantom", labels = labels, size = size, seed = seed }
  end

  it("draws the same picture for the same seed and index", function()
    local a, b = phantoms({ 1, 2, 3, 4 }, 32, 7), phantoms({ 1, 2, 3, 4 }, 32, 7)
    for i = 1, 4 do assert.same(a:pixels(i):totable(), b:pixels(i):totable()) end
    assert.is_false(a:pixels(1):allclose(phantoms({ 1 }, 32, 8):pixels(1)))
    assert.is_false(a:pixels(1):allclose(phantoms({ 1, 1 }, 32, 7):pixels(2)))
    assert.same({ 1, 16, 16 }, phantoms({ 4 }, 16, 1):pixels(1):shape())
  end)

  it("adds the finding to the same anatomy, and only that", function()
    -- seed and index equal, class different: what differs is the finding (the grain is drawn alike)
    for i = 1, 10 do
      local labels = {}
      for k = 1, 10 do labels[k] = 1 end
      local normal = phantoms(labels, 64, 3):pixels(i)
      for class = 2, 4 do
        labels[i] = class
        local difference = phantoms(labels, 64, 3):pixels(i) - normal
        local changed = difference:abs():sum() / 4096
        assert.is_true(difference:max() > 0.03, "class " .. class .. " cannot be seen in picture " .. i)
        assert.is_true(changed > 0.0005 and changed < 0.2)
      end
    end
  end)

  it("draws sets of findings; that of one finding, or of none, has the bytes of its class", function()
    local function sets(findings)
      return core.image_source { kind = "phantom", findings = findings, size = 48, seed = 3 }
    end
    local classes = phantoms({ 1, 2, 3, 4 }, 48, 3)
    local single = sets { 0, 1, 2, 4 }
    for i = 1, 4 do assert.same(classes:pixels(i):totable(), single:pixels(i):totable()) end
    -- Each finding more can be seen: in the first image, an effusion, with a nodule, with an opacity as well.
    local before = sets { 2 }:pixels(1)
    for _, set in ipairs { 3, 7 } do
      local image = sets { set }:pixels(1)
      assert.is_true((image - before):abs():max() > 0.1)
      before = image
    end
    assert.has_error(function() sets { 8 } end, "image_source: findings: expected a whole number in 0..7, got 8")
  end)

  it("draws classes with the bytes that it always did", function()
    local labels, texts = {}, {}
    for i = 1, 40 do labels[i] = i * 7 % 4 + 1 end
    local source = phantoms(labels, 16, 5)
    for i = 1, 40 do texts[i] = table.concat(source:pixels(i):reshape(-1):totable(), ",") end
    assert.equal("f7f951a5861b73dd", require "secateur.util.fingerprint".text(table.concat(texts)))
  end)

  it("cannot be told apart by brightness alone", function()
    local labels, means = {}, {}
    for i = 1, 400 do labels[i] = (i - 1) % 4 + 1 end
    local source = phantoms(labels, 32, 1)
    for i = 1, 400 do means[i] = { source:pixels(i):mean(), labels[i] } end
    table.sort(means, function(a, b) return a[1] < b[1] end)
    -- the best threshold between normal and any other class
    for class = 2, 4 do
      local below, best = 0, 0
      for _, entry in ipairs(means) do
        if entry[2] == 1 then below = below + 1 elseif entry[2] == class then below = below - 1 end
        best = math.max(best, math.abs(below))
      end
      assert.is_true(0.5 + best / 200 < 0.8, ("class %d: %.2f by brightness"):format(class, 0.5 + best / 200))
    end
  end)

  it("checks its arguments", function()
    assert.has_error(function() phantoms({ 5 }, 32, 1) end,
      "image_source: labels: expected a whole number in 1..4, got 5")
    assert.has_error(function() phantoms({ 1 }, 15, 1) end,
      "image_source: size: expected a whole number in 16..4096, got 15")
  end)
end)
