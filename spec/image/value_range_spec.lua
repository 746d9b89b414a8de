-- Which stored values are black and white: sBIT of PNG files, given ranges, the range and percentiles of each image.
local core = require "secateur.core"
local files = require "secateur.util.files"
local pictures = require "support.pictures"
local temporary = require "support.temporary"

-- A 12-bit image: values of each row and column below `top`.
local function values(height, width, top, spread)
  local rows = {}
  for y = 1, height do
    rows[y] = {}
    for x = 1, width do rows[y][x] = (core.mix(y, x) >> 8) % (top // (spread or 1)) end
  end
  return rows
end

-- numpy.percentile's linear interpolation.
local function percentile(rows, percent)
  local list = {}
  for _, row in ipairs(rows) do table.move(row, 1, #row, #list + 1, list) end
  table.sort(list)
  local place = percent / 100 * (#list - 1)
  local below = math.floor(place) + 1
  return list[below] + (list[math.min(below + 1, #list)] - list[below]) * (place % 1)
end

describe("the range of values", function()
  local root
  setup(function() root = temporary.folder() end)
  teardown(function() files.remove(root) end)

  local function source_of(rows, significant)
    local path = temporary.write(root, "image.png", pictures.png16(rows, significant))
    return core.image_source { kind = "files", paths = { path }, cache_bytes = 0 }, path
  end

  local function compare(x, rows, wanted, tolerance)
    for y, row in ipairs(rows) do
      for i, value in ipairs(row) do assert.near(wanted(value), x:get(1, 1, y, i), tolerance or 1e-6) end
    end
  end

  it("is that of the format, or of the bits that sBIT names", function()
    local rows = values(9, 9, 65536)
    compare(source_of(rows):batch({ 1 }, { size = 9, channels = 1 }), rows, function(v) return v / 65535 end)
    compare(source_of(rows, { 16 }):batch({ 1 }, { size = 9, channels = 1 }), rows, function(v) return v / 65535 end)
    local source, path = source_of(rows, { 12 })
    compare(source:batch({ 1 }, { size = 9, channels = 1 }), rows, function(v) return (v >> 4) / 4095 end)
    local loaded = core.image_load(path)
    assert.is_true(loaded:allclose(source:pixels(1), 0, 0))
    assert.is_true(loaded:allclose(source:batch({ 1 }, { size = 9, channels = 1 }):reshape(1, 9, 9), 0, 1e-6))
    -- An original of 12 bits that was written as PNG demands, its highest bits again below, comes back exactly.
    local scaled = values(9, 9, 4096)
    for _, row in ipairs(scaled) do
      for i, v in ipairs(row) do row[i] = v << 4 | v >> 8 end
    end
    compare(source_of(scaled, { 12 }):batch({ 1 }, { size = 9, channels = 1 }), scaled,
      function(v) return (v >> 4) / 4095 end, 1e-7)
    -- Nonsense says nothing.
    for _, bits in ipairs { 0, 17, 255 } do
      compare(source_of(rows, { bits }):batch({ 1 }, { size = 9, channels = 1 }), rows,
        function(v) return v / 65535 end)
    end
  end)

  it("of sBIT is one per channel", function()
    local source = source_of({ { { 65535, 43690, 21845 }, { 32768, 1, 16384 } } }, { 5, 16, 3 })
    local x = source:batch({ 1 }, { size = 2, interpolation = "nearest" })
    assert.near(1, x:get(1, 1, 1, 1), 1e-7)
    assert.near(16 / 31, x:get(1, 1, 1, 2), 1e-7)
    assert.near(43690 / 65535, x:get(1, 2, 1, 1), 1e-7)
    assert.near((21845 >> 13) / 7, x:get(1, 3, 1, 1), 1e-7)
    assert.near(2 / 7, x:get(1, 3, 1, 2), 1e-7)
  end)

  it("given in stored units is black to white, whatever sBIT says, and what lies outside is cut off", function()
    local rows = values(9, 9, 4096)
    for _, significant in ipairs { false, { 12 } } do
      local source = source_of(rows, significant or nil)
      compare(source:batch({ 1 }, { size = 9, channels = 1, range = { 0, 4095 } }), rows,
        function(v) return v / 4095 end)
      compare(source:batch({ 1 }, { size = 9, channels = 1, range = { 1000, 3000 } }), rows,
        function(v) return math.max(0, math.min(1, (v - 1000) / 2000)) end)
    end
    local bytes = core.tensor({ { { 0, 50 }, { 150, 255 } } }, "uint8")
    local x = core.image_source { kind = "pixels", pixels = bytes }:batch({ 1 },
      { size = 2, channels = 1, range = { 50, 100 } })
    assert.same({ { { { 0, 0 }, { 1, 1 } } } }, x:totable())
  end)

  it("of each image is from its lowest to its highest value", function()
    local rows = values(9, 9, 900)
    for _, row in ipairs(rows) do
      for i in ipairs(row) do row[i] = row[i] + 300 end
    end
    local low, high = percentile(rows, 0), percentile(rows, 100)
    compare(source_of(rows):batch({ 1 }, { size = 9, channels = 1, range = "full" }), rows,
      function(v) return (v - low) / (high - low) end)
    local flat = source_of({ { 700, 700 }, { 700, 700 } })
    for _, range in ipairs { "full", "percentile" } do
      assert.equal(0, flat:batch({ 1 }, { size = 2, range = range }):abs():max())
    end
  end)

  it("of percentiles leaves half a percent on both sides", function()
    local rows = values(20, 30, 4096)
    rows[3][4], rows[10][10] = 65535, 60000
    local low, high = percentile(rows, 0.5), percentile(rows, 99.5)
    assert.is_true(low > 0 and high < 4096)
    local x = source_of(rows):batch({ 1 }, { size = 20, channels = 1, range = "percentile", resize = "crop",
      interpolation = "nearest" })
    for y = 1, 20 do
      for i = 1, 20 do
        local wanted = (rows[y][i + 5] - low) / (high - low)
        assert.near(math.max(0, math.min(1, wanted)), x:get(1, 1, y, i), 1e-6)
      end
    end
    -- Where nearly all values are one, the image's own range is left.
    local dots = {}
    for y = 1, 30 do
      dots[y] = {}
      for i = 1, 30 do dots[y][i] = 5 end
    end
    dots[7][7] = 105
    assert.equal(1, source_of(dots):batch({ 1 }, { size = 30, channels = 1, range = "percentile" }):max())
  end)

  it("that an image uses can be asked", function()
    local rows = { { 7, 4000 }, { 100, 200 } }
    local path = temporary.write(root, "twelve.png", pictures.png16(rows, { 12 }))
    local bad = temporary.write(root, "bad.png", "no picture")
    local source = core.image_source { kind = "files", paths = { path, bad, "spec/fixtures/images/grey8.png" } }
    local extents = source:extents { 2, 1 }
    assert.same({ false, { low = 7, high = 4000, limit = 65535, bits = 12 } }, extents)
    assert.equal(255, source:extents({ 3 })[1].limit)
    assert.has_error(function() source:extents { 4 } end, "extents: indices: expected a whole number in 1..3, got 4")
  end)
end)
