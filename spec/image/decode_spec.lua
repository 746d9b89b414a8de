-- Files to pixels and back: exact values of every format, and the name of what is wrong with a file.
local core = require "secateur.core"
local errors = require "support.errors"
local files = require "secateur.util.files"
local temporary = require "support.temporary"

local IMAGES = "spec/fixtures/images/"

-- The formulas of spec/fixtures/make_images.py.
local function noise(x, y, c, top) return (3797 * x + 5939 * y + 8329 * c + 11) % (top + 1) end
local function ramp(x, y, c) return 40 + 8 * x + 4 * y + 20 * c end

-- Compares t [C,H,W] with value(x, y, c) / top.
local function compare(t, shape, value, top, tolerance)
  assert.same(shape, t:shape())
  local list = t:totable()
  for c = 1, shape[1] do
    for y = 1, shape[2] do
      for x = 1, shape[3] do
        local expected = value(x - 1, y - 1, c - 1) / top
        if math.abs(list[c][y][x] - expected) > tolerance then
          error(("channel %d, row %d, column %d: expected %.7f, got %.7f"):format(c, y, x, expected, list[c][y][x]))
        end
      end
    end
  end
end

describe("decoding", function()
  local root
  setup(function() root = temporary.folder() end)
  teardown(function() files.remove(root) end)

  local function write(path, bytes)
    os.remove(path) -- some file systems flush a file that is cut to nothing and written anew
    local file <close> = assert(io.open(path, "wb"))
    file:write(bytes)
  end

  local function fails(path, message, options)
    assert.equal("image_load: '" .. path .. "': " .. message, errors.raised(core.image_load, path, options))
  end

  for _, depth in ipairs { 8, 16 } do
    local top = 2 ^ depth - 1
    local function value(x, y, c) return noise(x, y, c, top) end

    it(("reads every sample of %d-bit PNGs, and drops alpha"):format(depth), function()
      compare(core.image_load(IMAGES .. "grey" .. depth .. ".png"), { 1, 5, 7 }, value, top, 1e-7)
      compare(core.image_load(IMAGES .. "grey_alpha" .. depth .. ".png"), { 1, 5, 7 }, value, top, 1e-7)
      compare(core.image_load(IMAGES .. "colour" .. depth .. ".png"), { 3, 5, 7 }, value, top, 1e-7)
      compare(core.image_load(IMAGES .. "colour_alpha" .. depth .. ".png"), { 3, 5, 7 }, value, top, 1e-7)
    end)

    it(("turns %d-bit grey into colour and colour into brightness"):format(depth), function()
      local three = core.image_load(IMAGES .. "grey" .. depth .. ".png", { channels = 3 })
      compare(three, { 3, 5, 7 }, function(x, y) return value(x, y, 0) end, top, 1e-7)
      local one = core.image_load(IMAGES .. "colour" .. depth .. ".png", { channels = 1 })
      compare(one, { 1, 5, 7 }, function(x, y)
        return 0.299 * value(x, y, 0) + 0.587 * value(x, y, 1) + 0.114 * value(x, y, 2)
      end, top, 1e-6)
    end)

    it(("tells the header of a %d-bit PNG"):format(depth), function()
      assert.same({ 7, 5, 1, depth }, { core.image_info(IMAGES .. "grey" .. depth .. ".png") })
      assert.same({ 7, 5, 4, depth }, { core.image_info(IMAGES .. "colour_alpha" .. depth .. ".png") })
    end)
  end

  it("reads palettes and single bits", function()
    compare(core.image_load(IMAGES .. "palette.png"), { 3, 5, 7 }, function(x, y, c)
      return noise((x + y) % 16, 0, c, 255)
    end, 255, 1e-7)
    compare(core.image_load(IMAGES .. "one_bit.png"), { 1, 5, 7 }, function(x, y) return (x + y) % 2 end, 1, 0)
  end)

  it("reads BMP exactly and JPEG closely, baseline and progressive", function()
    local function value(x, y, c) return noise(x, y, c, 255) end
    compare(core.image_load(IMAGES .. "grey.bmp", { channels = 1 }), { 1, 5, 7 }, value, 255, 1e-6)
    compare(core.image_load(IMAGES .. "colour.bmp"), { 3, 5, 7 }, value, 255, 1e-7)
    compare(core.image_load(IMAGES .. "grey.jpg"), { 1, 12, 16 }, ramp, 255, 0.02)
    compare(core.image_load(IMAGES .. "colour.jpg"), { 3, 12, 16 }, ramp, 255, 0.02)
    compare(core.image_load(IMAGES .. "progressive.jpg"), { 3, 12, 16 }, ramp, 255, 0.03)
    assert.same({ 16, 12, 3, 8 }, { core.image_info(IMAGES .. "progressive.jpg") })
  end)

  it("says what is wrong with a file", function()
    local path = temporary.write(root, "empty.png", "")
    fails(path, "an empty file")
    assert.same({ nil, "'" .. path .. "': an empty file" }, { core.image_info(path) })
    fails(temporary.write(root, "notes.png", "patient,label\n"), "not a PNG, JPEG, BMP, TIFF, WebP or DICOM file")
    fails(root .. "/missing.png", "No such file or directory")
    fails(root, "expected a regular file, got a directory")
    fails(IMAGES .. "absurd.png", "65535 x 65535 pixels are more than max_pixels = 67108864")
    fails(IMAGES .. "grey8.png", "7 x 5 pixels are more than max_pixels = 34", { max_pixels = 34 })
    assert.same({ 1, 5, 7 }, core.image_load(IMAGES .. "grey8.png", { max_pixels = 35 }):shape())
    fails(IMAGES .. "bomb.png", "a damaged PNG file: it decompresses to more than its header declares")
  end)

  it("notices every file that was cut short", function()
    local path = root .. "/cut"
    for _, name in ipairs { "colour16.png", "palette.png", "colour.jpg", "grey.jpg", "progressive.jpg", "grey.bmp",
      "colour.bmp" } do
      local bytes = assert(files.read_all(IMAGES .. name))
      for length = 3, #bytes - 1 do
        write(path, bytes:sub(1, length))
        local ok, raised = pcall(core.image_load, path)
        local problem = errors.bare(raised)
        if ok or problem:sub(1, #path + 16) ~= "image_load: '" .. path .. "': " then
          error(("%s, %d of %d bytes: %s"):format(name, length, #bytes, ok and "read" or problem))
        end
      end
    end
  end)

  it("says what kind of JPEG is not supported, and what to do", function()
    local bytes = assert(files.read_all(IMAGES .. "colour.jpg"))
    local at = bytes:find("\255\192", 1, true)
    local lossless = bytes:sub(1, at) .. "\195" .. bytes:sub(at + 2)
    fails(temporary.write(root, "lossless.jpg", lossless), "a lossless, hierarchical or arithmetic-coded JPEG, which "
      .. "is not supported: save it as PNG or as baseline JPEG")
    local twelve = bytes:sub(1, at + 3) .. "\12" .. bytes:sub(at + 5)
    fails(temporary.write(root, "twelve.jpg", twelve), "a JPEG of 12 bits per sample, of which 8 are supported: save "
      .. "it as PNG")
  end)

  it("says of a PNG without its end that it is cut short", function()
    local bytes = assert(files.read_all(IMAGES .. "grey8.png"))
    local path = temporary.write(root, "endless.png", bytes:sub(1, #bytes - 12))
    fails(path, ("a damaged PNG file: truncated: it is cut short after %d bytes, before its end (IEND)"):format(
      #bytes - 12))
  end)

  it("survives flipped bytes without losing memory", function()
    collectgarbage()
    local path, before = root .. "/flipped", core.memory()
    for _, name in ipairs { "colour16.png", "palette.png", "colour.jpg", "progressive.jpg", "grey.bmp" } do
      local bytes = assert(files.read_all(IMAGES .. name))
      for round = 1, 60 do
        local at = core.mix(round, #bytes) % #bytes + 1
        write(path, bytes:sub(1, at - 1) .. string.char(core.mix(round, 7) % 256) .. bytes:sub(at + 1))
        local ok, result = pcall(core.image_load, path, { max_pixels = 1 << 20 })
        assert.is_true(ok or type(result) == "string")
      end
    end
    collectgarbage()
    collectgarbage()
    assert.equal(before, (core.memory()))
  end)

  it("writes PNGs that read back the same", function()
    local path = root .. "/out.png"
    for _, name in ipairs { "grey8.png", "colour8.png" } do
      local image = core.image_load(IMAGES .. name)
      core.image_save(path, image)
      assert.same(image:totable(), core.image_load(path):totable())
    end
    core.image_save(path, core.tensor({ { 0, 128, 255 }, { 1, 2, 3 } }, "uint8"))
    compare(core.image_load(path), { 1, 2, 3 }, function(x, y)
      return ({ { 0, 128, 255 }, { 1, 2, 3 } })[y + 1][x + 1]
    end, 255, 1e-7)
    core.image_save(path, core.tensor { { -3, 0.5, 7 } })
    assert.same({ { { 0, 128 / 255, 1 } } }, (function(t)
      return { { { t[1][1][1], math.floor(t[1][1][2] * 255 + 0.5) / 255, t[1][1][3] } } }
    end)(core.image_load(path):totable()))
  end)

  it("refuses to write what is no picture", function()
    local path = root .. "/never.png"
    assert.has_error(function() core.image_save(path, core.tensor { { 0, 0 / 0 } }) end,
      "image_save: expected numbers, got NaN at [2] of channel 1")
    assert.has_error(function() core.image_save(path, core.zeros(2, 3, 4)) end,
      "image_save: expected a real or uint8 tensor [H,W], [1,H,W] or [3,H,W], got [2x3x4] of float32")
    assert.has_error(function() core.image_save(root .. "/no/where.png", core.zeros(2, 2)) end,
      "image_save: '" .. root .. "/no/where.png': No such file or directory")
    assert.is_nil(io.open(path))
  end)

  it("checks its arguments", function()
    assert.has_error(function() core.image_load(7) end, "image_load: path: expected a string, got 7")
    assert.has_error(function() core.image_load("a\0b") end, "image_load: path: expected a string without zero bytes")
    assert.has_error(function() core.image_load("a", { channels = 2 }) end,
      "image_load: channels: expected 1 or 3, got 2")
    assert.has_error(function() core.image_load("a", { chanels = 1 }) end,
      "image_load: unknown option 'chanels', expected one of: channels, max_pixels, max_bytes, window")
  end)
end)
