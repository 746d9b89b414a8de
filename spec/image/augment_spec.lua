-- Random changes: each one alone does what its name says, as often and as strongly as it was told to.
local core = require "secateur.core"

local SIZE = 8

-- One uint8 picture [1,H,W] or [1,H,W,3] as a source, repeated so that each copy is changed in its own way.
local function repeated(rows, copies)
  local list = {}
  for i = 1, copies do list[i] = rows end
  return core.image_source { kind = "pixels", pixels = core.tensor(list, "uint8") }
end

local function picture(height, width, value)
  local rows = {}
  for y = 1, height do
    rows[y] = {}
    for x = 1, width do rows[y][x] = value(x, y) end
  end
  return rows
end

local function speckled(height, width)
  return picture(height, width, function(x, y) return core.mix(x, y) % 256 end)
end

local function range(n)
  local list = {}
  for i = 1, n do list[i] = i end
  return list
end

local function batch(source, augment, options)
  local all = { size = SIZE, channels = 1, augment = augment, seed = 5 }
  for key, value in pairs(options or {}) do all[key] = value end
  return (source:batch(range(source:count()), all))
end

local function mirrored(rows)
  local out = {}
  for y, row in ipairs(rows) do
    out[y] = {}
    for x = 1, #row do out[y][x] = row[#row + 1 - x] end
  end
  return out
end

local function upside_down(rows)
  local out = {}
  for y = 1, #rows do out[y] = rows[#rows + 1 - y] end
  return out
end

describe("augmentation", function()
  it("changes nothing when every key is off", function()
    local source = repeated(speckled(11, 9), 4)
    assert.same(batch(source):totable(), batch(source, {}):totable())
  end)

  it("mirrors", function()
    local source = repeated(speckled(SIZE, SIZE), 3)
    local plain = batch(source):totable()[1][1]
    for _, image in ipairs(batch(source, { hflip = 1 }):totable()) do assert.same(mirrored(plain), image[1]) end
    for _, image in ipairs(batch(source, { vflip = 1 }):totable()) do assert.same(upside_down(plain), image[1]) end
    for _, image in ipairs(batch(source, { hflip = 1, vflip = 1 }):totable()) do
      assert.same(upside_down(mirrored(plain)), image[1])
    end
  end)

  it("mirrors as often as asked", function()
    local source = repeated(speckled(SIZE, SIZE), 600)
    local plain = batch(source):totable()[1][1][1]
    local seen = 0
    for _, image in ipairs(batch(source, { hflip = 0.3 }):totable()) do
      if image[1][1][1] ~= plain[1] then seen = seen + 1 end
    end
    assert.is_true(seen > 140 and seen < 220, "mirrored " .. seen .. " of 600, expected about 180")
  end)

  -- A picture that is its own column number (or row number) shows where a crop was taken.
  it("crops parts of the area and ratios that were allowed", function()
    local width, height = 60, 40
    local across = batch(repeated(picture(height, width, function(x) return x end), 300),
      { scale = { 0.3, 0.6 }, ratio = { 0.75, 1.33 } }, { size = 16 }):totable()
    local down = batch(repeated(picture(height, width, function(_, y) return y end), 300),
      { scale = { 0.3, 0.6 }, ratio = { 0.75, 1.33 } }, { size = 16 }):totable()
    local least, most, narrow, wide, left, right = 1, 0, 9, 0, 99, 0
    for i = 1, 300 do
      -- the interior of a resized ramp is linear: its slope gives the crop's width, exactly
      local w = (across[i][1][1][12] - across[i][1][1][5]) * 255 / 7 * 16
      local h = (down[i][1][12][1] - down[i][1][5][1]) * 255 / 7 * 16
      local area = w * h / (width * height)
      least, most = math.min(least, area), math.max(most, area)
      narrow, wide = math.min(narrow, w / h), math.max(wide, w / h)
      left, right = math.min(left, across[i][1][1][1] * 255), math.max(right, across[i][1][1][16] * 255)
    end
    assert.is_true(least > 0.28 and least < 0.34 and most < 0.62 and most > 0.56, least .. " .. " .. most)
    assert.is_true(narrow > 0.7 and narrow < 0.82 and wide < 1.4 and wide > 1.2, narrow .. " .. " .. wide)
    assert.is_true(left < 3 and right > 58, left .. " .. " .. right)
  end)

  it("takes the middle when no crop fits", function()
    local source = repeated(picture(10, 100, function(x) return x end), 2)
    local image = batch(source, { scale = { 1, 1 }, ratio = { 1, 2 } }, { size = 20 }):totable()[1][1]
    assert.near(41, image[1][1] * 255, 0.6) -- 20 of 100 columns: 41 .. 60
    assert.near(60, image[1][20] * 255, 0.6)
  end)

  it("keeps the picture's ratio when only the scale is given", function()
    local source = repeated(picture(20, 80, function(x) return x end), 50)
    for _, image in ipairs(batch(source, { scale = { 0.25, 0.25 } }, { size = 8 }):totable()) do
      assert.near(40, (image[1][1][6] - image[1][1][3]) * 255 / 3 * 8, 0.1)
    end
  end)

  it("turns by at most the angle, to both sides, and fills with black", function()
    local n = 33
    -- a bright spot at 12 columns right of the middle
    local source = repeated(picture(n, n, function(x, y) return x == 29 and y == 17 and 255 or 0 end), 200)
    local least, most = 99, -99
    for _, image in ipairs(batch(source, { rotation = 30 }, { size = n }):totable()) do
      local sum, mx, my = 0, 0, 0
      for y, row in ipairs(image[1]) do
        for x, value in ipairs(row) do
          sum, mx, my = sum + value, mx + value * x, my + value * y
        end
      end
      local dx, dy = mx / sum - 17, my / sum - 17
      assert.near(12, math.sqrt(dx * dx + dy * dy), 0.4)
      local angle = math.deg(math.atan(-dy, dx))
      least, most = math.min(least, angle), math.max(most, angle)
    end
    assert.is_true(least > -32 and least < -27 and most < 32 and most > 27, least .. " .. " .. most)
    local white = repeated(picture(n, n, function() return 255 end), 20)
    local dark = 0
    for _, image in ipairs(batch(white, { rotation = 30 }, { size = n }):totable()) do
      assert.near(1, image[1][17][17], 1e-6)
      dark = math.max(dark, 1 - image[1][1][1])
    end
    assert.near(1, dark, 1e-6)
  end)

  it("changes brightness by a factor", function()
    local least, most = 9, 0
    for _, image in ipairs(batch(repeated(picture(2, 2, function() return 100 end), 300),
      { brightness = 0.2 }):totable()) do
      local factor = image[1][1][1] / (100 / 255)
      assert.near(image[1][1][1], image[1][SIZE][SIZE], 1e-6)
      least, most = math.min(least, factor), math.max(most, factor)
    end
    assert.is_true(least > 0.799 and least < 0.81 and most < 1.201 and most > 1.19, least .. " .. " .. most)
  end)

  it("changes contrast about the mean", function()
    local rows = picture(SIZE, SIZE, function(x) return x <= 4 and 80 or 160 end)
    local least, most = 9, 0
    for _, image in ipairs(batch(repeated(rows, 300), { contrast = 0.2 }):totable()) do
      local low, high = image[1][1][1] * 255, image[1][1][SIZE] * 255
      assert.near(120, (low + high) / 2, 1e-3)
      least, most = math.min(least, (high - low) / 80), math.max(most, (high - low) / 80)
    end
    assert.is_true(least > 0.799 and least < 0.81 and most < 1.201 and most > 1.19, least .. " .. " .. most)
  end)

  it("changes saturation about the brightness, in colour only", function()
    local colour = { { { 200, 100, 50 } } }
    local grey = (0.299 * 200 + 0.587 * 100 + 0.114 * 50) / 255
    local least, most = 9, 0
    for _, image in ipairs(batch(repeated(colour, 200), { saturation = 0.2 }, { channels = 3 }):totable()) do
      local factor = (image[1][1][1] - grey) / (200 / 255 - grey)
      assert.near(grey + factor * (50 / 255 - grey), image[3][1][1], 1e-5)
      least, most = math.min(least, factor), math.max(most, factor)
    end
    assert.is_true(least > 0.799 and least < 0.81 and most < 1.201 and most > 1.19, least .. " .. " .. most)
    local source = repeated({ { 77 } }, 5)
    assert.same(batch(source):totable(), batch(source, { saturation = 0.2 }):totable())
  end)

  it("keeps values in 0..1 before normalisation", function()
    local x = batch(repeated(speckled(SIZE, SIZE), 100), { brightness = 2, contrast = 2 })
    assert.equal(1, x:max())
    assert.equal(0, (x * -1):max())
  end)

  it("normalises last, each channel with its own numbers", function()
    local source = repeated({ { { 51, 102, 204 } } }, 1)
    local x = batch(source, nil, { channels = 3, mean = { 0.1, 0.2, 0.3 }, std = { 0.5, 0.25, 0.1 }, size = 1 })
    assert.is_true(x:reshape(3):allclose(core.tensor { 0.2, 0.8, 5 }, 1e-5, 1e-6))
    local one = batch(source, nil, { channels = 1, mean = 0.5, std = 0.5, size = 1 }):reshape(1):get(1)
    assert.near((0.299 * 0.2 + 0.587 * 0.4 + 0.114 * 0.8 - 0.5) / 0.5, one, 1e-5)
  end)

  it("is decided by seed, epoch and index, not by company or order", function()
    local source = repeated(speckled(24, 24), 20)
    local augment = { scale = { 0.4, 1 }, ratio = { 0.75, 1.33 }, hflip = 0.5, rotation = 30, brightness = 0.2 }
    local options = { size = SIZE, channels = 1, augment = augment, seed = 3, epoch = 2 }
    local all = source:batch(range(20), options)
    local some = source:batch({ 17, 4 }, options)
    assert.same(all:view(17):totable(), some:view(1):totable())
    assert.same(all:view(4):totable(), some:view(2):totable())
    assert.is_false(all:view(4):allclose(all:view(17)))
    options.epoch = 3
    assert.is_false((source:batch({ 4 }, options)):allclose(some:view(2)))
    options.epoch, options.seed = 2, 4
    assert.is_false((source:batch({ 4 }, options)):allclose(some:view(2)))
  end)

  it("refuses what it does not know", function()
    local source = repeated({ { 1 } }, 1)
    local function fails(augment, message)
      assert.has_error(function() batch(source, augment) end, "batch: augment: " .. message)
    end
    fails({ flip = 1 }, "unknown option 'flip', expected one of: scale, ratio, hflip, vflip, rotation, brightness, "
      .. "contrast, saturation")
    fails({ scale = { 0.7, 1.1 } }, "scale: expected {min, max} in (0, 1], got {0.7, 1.1}")
    fails({ scale = 0.7 }, "scale: expected a list of two numbers, got 0.7")
    fails({ hflip = 2 }, "hflip: expected a number in [0, 1], got 2")
    fails({ rotation = math.huge }, "rotation: expected a number in [0, 180], got inf")
    assert.has_error(function() batch(source, nil, { std = { 0 } }) end,
      "batch: std: expected finite numbers above 0, got 0")
    assert.has_error(function() batch(source, nil, { mean = { 1, 2, 3 } }) end,
      "batch: mean: expected a number or a list of one number, got a table")
    assert.has_error(function() batch(source, nil, { channels = 2 }) end, "batch: channels: expected 1 or 3, got 2")
  end)
end)
