-- How an image becomes a square: squash, crop, pad, and the three filters, against torchvision and Pillow.
local core = require "secateur.core"

local reference = core.npz_load "spec/fixtures/resize.npz"

local function source_of(image)
  local shape = image:shape()
  return core.image_source { kind = "pixels", pixels = image:reshape(1, shape[1], shape[2], shape[3]) }
end

-- Reference bytes [H x W x 3] as numbers [3 x H x W] in 0..1.
local function planes_of(bytes)
  local shape, planes = bytes:shape(), core.zeros(3, bytes:size(1), bytes:size(2))
  for y = 1, shape[1] do
    for x = 1, shape[2] do
      for c = 1, 3 do planes:set(bytes:get(y, x, c) / 255, c, y, x) end
    end
  end
  return planes
end

local function prepared(image, opts)
  local x = source_of(image):batch({ 1 }, opts)
  return x:reshape(x:size(2), x:size(3), x:size(4))
end

-- Pillow rounds to bytes after each of its two passes, and clips there, which cubics feel most.
local PILLOW = { bilinear = 1.3 / 255, bicubic = 5.5 / 255, nearest = 1e-6 }

local function check_pillow(got, bytes, interpolation)
  local difference = (got - planes_of(bytes)):abs()
  assert.is_true(difference:max() <= PILLOW[interpolation])
  assert.is_true(difference:mean() <= 0.35 / 255)
end

describe("the geometry of images", function()
  for name in pairs(reference) do
    local which, interpolation, shorter, crop = name:match "^(%a+)%.(%a+)%.(%d+)%.(%d+)%.torch$"
    if which then
      local title = "is torchvision's Resize(%s) and CenterCrop(%s): %s, %s"
      it(title:format(shorter, crop, which, interpolation), function()
        local opts = { size = math.tointeger(crop), resize = math.tointeger(shorter), interpolation = interpolation }
        local got = prepared(reference[which .. ".image"], opts)
        if interpolation ~= "nearest" then
          assert.is_true((got - reference[name]):abs():max() < 2e-6)
        end
        check_pillow(got, reference[name:gsub("torch$", "pillow")], interpolation)
      end)
    end
    local padded, filter, size = name:match "^(%a+)%.(%a+)%.pad%.(%d+)$"
    if padded then
      it(("is Pillow's ImageOps.pad to %s: %s, %s"):format(size, padded, filter), function()
        local opts = { size = math.tointeger(size), resize = "pad", interpolation = filter }
        local got = prepared(reference[padded .. ".image"], opts)
        check_pillow(got, reference[name], filter)
      end)
    end
  end

  it("of 'crop' is that of the shorter side without a margin", function()
    for _, which in ipairs { "wide", "tall", "square" } do
      local image = reference[which .. ".image"]
      assert.same(prepared(image, { size = 19, resize = 19 }):totable(),
        prepared(image, { size = 19, resize = "crop" }):totable())
    end
    local square = reference["square.image"]
    for _, resize in ipairs { "crop", "pad", 19 } do
      assert.same(prepared(square, { size = 19 }):totable(), prepared(square, { size = 19, resize = resize }):totable())
    end
  end)

  it("of 'nearest' is Pillow's where the middle lies between two pixels", function()
    -- Its middles are added up; the products of doubles round otherwise at 224 / 24, and so do whole numbers.
    for _, case in ipairs { { 224, 24 }, { 244, 7 }, { 230, 7 }, { 164, 10 }, { 244, 61 }, { 5, 244 }, { 33, 13 } } do
      local length, size, columns = case[1], case[2], {}
      for x = 1, length do columns[x] = x - 1 end
      local row = core.tensor({ columns }, "uint8"):reshape(1, length, 1)
      local x = prepared(row, { size = size, channels = 1, interpolation = "nearest" })
      local middle = length / size * 0.5
      for o = 1, size do
        assert.equal(math.floor(middle), math.floor(x:get(1, 1, o) * 255 + 0.5))
        middle = middle + length / size
      end
    end
  end)

  it("survives images of one pixel's width", function()
    local image = core.tensor({ { { 255, 0, 51 } } }, "uint8")
    for _, resize in ipairs { "squash", "crop", "pad", 9 } do
      for _, interpolation in ipairs { "bilinear", "bicubic", "nearest" } do
        local x = prepared(image, { size = 4, resize = resize, interpolation = interpolation })
        assert.near(1, x:get(1, 2, 2), 1e-6)
        assert.near(0.2, x:get(3, 4, 4), 1e-6)
      end
    end
    local line = {}
    for i = 1, 300 do line[i] = { 100, 100, 100 } end
    local padded = prepared(core.tensor({ line }, "uint8"), { size = 8, resize = "pad" })
    assert.near(100 / 255 * 8, padded[1]:sum(), 1e-5) -- one row of eight
  end)
end)

describe("the box of a padded image", function()
  it("is what is not border", function()
    for _, which in ipairs { "wide", "tall", "square" } do
      local shape = reference[which .. ".image"]:shape()
      local white = core.tensor({ 1, shape[1], shape[2], fill = 255 }, "uint8")
      local source = core.image_source { kind = "pixels", pixels = white }
      for _, size in ipairs { 1, 2, 17, 44 } do
        local opts = { size = size, channels = 1, resize = "pad" }
        local left, top, width, height = source:content(1, opts)
        local x = source:batch({ 1 }, opts):reshape(1, size, size)
        assert.near(width * height, x:sum(), 1e-3)
        assert.near(width * height, core.image_crop(x, left, top, width, height):sum(), 1e-3)
        assert.same({ 0, 0, size, size }, { source:content(1, { size = size, resize = "crop" }) })
      end
    end
  end)

  it("is cut out by image_crop", function()
    local x = core.tensor { { { 1, 2, 3 }, { 4, 5, 6 } }, { { 7, 8, 9 }, { 10, 11, 12 } } }
    assert.same({ { { 2, 3 } }, { { 8, 9 } } }, core.image_crop(x, 1, 0, 2, 1):totable())
    assert.same(x:totable(), core.image_crop(x, 0, 0, 3, 2):totable())
    assert.has_error(function() core.image_crop(x, 1, 0, 3, 1) end,
      "image_crop: width: expected a whole number in 1..2, got 3")
    assert.has_error(function() core.image_crop(x[1], 0, 0, 1, 1) end,
      "image_crop: tensor: expected [C,H,W], got [2x3]")
  end)
end)

describe("a random crop", function()
  local image = reference["wide.image"]
  local whole = { scale = { 1, 1 }, ratio = { 37 / 23, 37 / 23 } }

  local function augmented(resize, augment, epoch)
    return prepared(image, { size = 16, resize = resize, augment = augment, seed = 4, epoch = epoch })
  end

  it("is one of the image, whatever the fixed geometry cuts away", function()
    for _, resize in ipairs { "squash", "crop", 20 } do
      assert.is_true(augmented(resize, whole):allclose(prepared(image, { size = 16 }), 0, 1e-6))
      for epoch = 1, 5 do
        local augment = { scale = { 0.2, 0.9 }, ratio = { 0.75, 1.3 } }
        assert.same(augmented("squash", augment, epoch):totable(), augmented(resize, augment, epoch):totable())
      end
    end
  end)

  it("is one of the padded canvas where images are padded", function()
    -- The whole canvas, 37 x 37, resized to itself, is the image between black rows.
    local x = prepared(image, { size = 37, resize = "pad", augment = { scale = { 1, 1 } } })
    assert.is_true(x:allclose(prepared(image, { size = 37, resize = "pad" }), 0, 1e-6))
    assert.equal(0, x[1][7]:abs():max())
    assert.is_true(x[1][8]:abs():max() > 0)
    assert.is_true(x[1][30]:abs():max() > 0)
    assert.equal(0, x[1][31]:abs():max())
    -- Crops of a white image: as bright as the share of it that is not border; never the same.
    local white, means = core.tensor({ 8, 24, 3, fill = 255 }, "uint8"), {}
    for epoch = 1, 40 do
      local crop = prepared(white, { size = 12, resize = "pad", augment = { scale = { 0.02, 0.3 } }, epoch = epoch })
      assert.is_true((-crop):max() <= 0 and crop:max() <= 1 + 1e-6)
      means[epoch] = crop:mean()
    end
    table.sort(means)
    assert.equal(0, means[1])
    assert.is_true(means[40] > 0.5)
  end)

  it("leaves the fixed geometry where only other changes are asked for", function()
    for _, resize in ipairs { "squash", "crop", "pad", 20 } do
      assert.same(prepared(image, { size = 16, resize = resize }):totable(), augmented(resize, { hflip = 0 }):totable())
    end
  end)

  it("does not depend on threads", function()
    local opts = { indices = { 1, 1, 1, 1, 1, 1, 1 }, batch = 7, size = 16, resize = "pad", interpolation = "bicubic",
      range = "percentile", augment = { scale = { 0.1, 1 }, ratio = { 0.5, 2 }, rotation = 10 }, seed = 3 }
    local results = {}
    for _, workers in ipairs { 1, 3 } do
      opts.workers = workers
      local loader <close> = core.image_loader(source_of(image), opts)
      results[#results + 1] = (loader:next()):totable()
    end
    assert.same(results[1], results[2])
  end)
end)

describe("preparation of images", function()
  it("checks its options", function()
    local image = reference["square.image"]
    local function refusal(opts) return select(2, pcall(prepared, image, opts)) end
    assert.matches("batch: resize: expected 'squash', 'crop', 'pad' or a size, got 'fit'",
      refusal { size = 8, resize = "fit" }, 1, true)
    assert.matches("batch: resize: expected a whole number in 8..16384, got 7", refusal { size = 8, resize = 7 }, 1,
      true)
    assert.matches("batch: interpolation: expected 'bilinear', 'bicubic' or 'nearest', got 'box'",
      refusal { size = 8, interpolation = "box" }, 1, true)
    for _, range in ipairs { "auto", { 1 }, { 2, 2 }, { 3, 1 }, { 0 / 0, 1 }, { -1e300, 1e300 }, { 0, 1e10 } } do
      assert.matches("batch: range: expected 'full', 'percentile' or {low, high}, low below high",
        refusal { size = 8, range = range }, 1, true)
    end
    -- What is finite and above 0 must be so in single precision.
    assert.matches("batch: std: expected finite numbers above 0, got 9.99", refusal { size = 8, std = 1e-320 }, 1, true)
  end)
end)
