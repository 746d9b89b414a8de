-- Sheets of pictures: sizes, places and what stands in the script, read back.
local core = require "secateur.core"
local errors = require "support.errors"
local files = require "secateur.util.files"
local needs = require "support.needs"
local report = require "secateur.report"
local sheet = require "secateur.report.heatmap_grid"
local temporary = require "support.temporary"

describe("sheet", function()
  local folder

  before_each(function() folder = temporary.folder() end)
  after_each(function() files.remove(folder) end)

  -- A PNG of one colour.
  local function picture(name, height, width, red, green, blue)
    local path, colour = files.join(folder, name), core.zeros(3, height, width)
    for c, value in ipairs { red, green, blue } do colour[c]:fill(value) end
    core.image_save(path, colour)
    return path
  end

  local function samples(rows, columns, size)
    local list = {}
    for i = 1, rows do
      list[i] = { title = "sample " .. i, images = {} }
      for j = 1, columns do
        list[i].images[j] = { label = "method " .. j,
          path = picture(("p%d%d.png"):format(i, j), size, size, i / rows, j / columns, 1) }
      end
    end
    return list
  end

  it("reads the size of a PNG", function()
    local png = files.read_all(picture("a.png", 3, 5, 0, 0, 0))
    assert.same({ 5, 3 }, { sheet.size(png) })
    assert.is_nil(sheet.size("GIF89a"))
    assert.is_nil(sheet.size(png:sub(1, 20)))
  end)

  it("says how large a picture is on paper, with a checksum that decoders accept", function()
    local path = picture("a.png", 3, 5, 0.2, 0.4, 0.6)
    local png = sheet.with_resolution(files.read_all(path), 300)
    -- The chunk that libpng writes for 11811 pixels per metre.
    assert.equal("\0\0\0\9pHYs\0\0\x2e\x23\0\0\x2e\x23\1\x78\xa5\x3f\x76", png:sub(34, 54))
    assert.equal("IDAT", png:sub(59, 62))
    local image = core.image_load(path)
    assert.is_true(core.image_load(temporary.write(folder, "b.png", png)):allclose(image, 0, 0))
  end)

  it("is as wide as wanted, at least as fine as wanted, and panels have whole pixels", function()
    needs.gnuplot(pending)
    for _, case in ipairs { { 1, 4, 40, 180, 300 }, { 2, 3, 64, 100, 150 }, { 3, 6, 32, 180, 100 } } do
      local rows, columns, size, width, dpi = table.unpack(case)
      local _, path = report.heatmaps(samples(rows, columns, size), files.join(folder, "out/grid"),
        { width = width, dpi = dpi })
      local image = core.image_load(path)
      local script = files.read_all(files.join(folder, "out/grid.gp"))
      local pixels = tonumber(script:match("pngcairo size (%d+),"))
      assert.equal(pixels, image:size(3))
      -- Its PDF tells the size in inches: the width wanted, but for rounding to pixels.
      local inches = tonumber(script:match("pdfcairo size ([%d.]+)in"))
      if columns > 4 then assert.near(width, inches * 25.4, 0.6) else assert.is_true(inches * 25.4 < width + 0.6) end
      assert.is_true(pixels / inches >= dpi)
      local per_metre, _, unit = string.unpack(">I4I4B", files.read_all(path), 42)
      assert.near(pixels / inches, per_metre * 0.0254, 0.5)
      assert.equal(1, unit)
      local left, right = script:match("set lmargin at screen ([%d.]+)\nset rmargin at screen ([%d.]+)")
      local panel = (right - left) * pixels
      assert.near(0, panel / size - math.floor(panel / size + 0.5), 1e-4)
    end
  end)

  it("puts every panel where its row and column are", function()
    needs.gnuplot(pending)
    local _, path = report.heatmaps(samples(3, 4, 20), files.join(folder, "out/grid"), { dpi = 72 })
    local image = core.image_load(path)
    local script = files.read_all(files.join(folder, "out/grid.gp")):match("pngcairo.*$")
    local seen = {}
    for l, r, t, b, name in script:gmatch("lmargin at screen ([%d.]+)\nset rmargin at screen ([%d.]+)\nset tmargin at "
      .. "screen ([%d.]+)\nset bmargin at screen ([%d.]+)\nplot '([^']+)'") do
      local x, y = (l + r) / 2 * image:size(3), (1 - (t + b) / 2) * image:size(2)
      local function close(value, c)
        assert.near(value, image:get(c, math.floor(y) + 1, math.floor(x) + 1), 0.01)
      end
      local i, j = name:match("^grid%-(%d)%-(%d)%.png$")
      close(i / 3, 1)
      close(j / 4, 2)
      close(1, 3)
      seen[#seen + 1] = name
    end
    assert.equal(12, #seen)
  end)

  it("keeps the proportions of pictures, and leaves room for lines of text", function()
    needs.gnuplot(pending)
    local tall = { { lines = { "a", "b", "c", "d", "e", "f", "g", "h", "i" }, images = {
      { path = picture("tall.png", 30, 20, 1, 0, 0) }, { path = picture("flat.png", 10, 20, 0, 1, 0) } } } }
    report.heatmaps(tall, files.join(folder, "grid"), { dpi = 72, width = 40 })
    local script = files.read_all(files.join(folder, "grid.gp")):match("pngcairo.*$")
    local width, height = script:match("size (%d+),(%d+)")
    assert.is_true(tonumber(height) >= 9 * 8.6)
    for l, r, t, b, name in script:gmatch("lmargin at screen ([%d.]+)\nset rmargin at screen ([%d.]+)\nset tmargin at "
      .. "screen ([%d.]+)\nset bmargin at screen ([%d.]+)\nplot '([^']+)'") do
      assert.near(name:find("tall") and 1.5 or 0.5, (t - b) * height / ((r - l) * width), 0.02)
    end
    -- Pictures that already lie beside the figure are not copied.
    assert.is_true(script:find("plot 'tall.png'", 1, true) ~= nil)
  end)

  it("draws equal colour bars once, and says what they mean", function()
    needs.gnuplot(pending)
    local list = samples(2, 2, 16)
    local function bar(name, title) return { path = picture(name, 4, 40, 1, 1, 0), low = "− against", middle = "0",
      high = "for +", caption = "what 'it' means", title = title } end
    list[1].bars, list[2].bars = { bar("b1.png") }, { bar("b2.png") }
    report.heatmaps(list, files.join(folder, "one"), { dpi = 72 })
    local script = files.read_all(files.join(folder, "one.gp"))
    assert.equal(3, select(2, script:gsub([["what \047it\047 means"]], "")))
    assert.equal(3, select(2, script:gsub('"− against"', "")))
    list[2].bars = { bar("b3.png", "another") }
    report.heatmaps(list, files.join(folder, "two"), { dpi = 72 })
    script = files.read_all(files.join(folder, "two.gp"))
    assert.equal(3, select(2, script:gsub([["what \047it\047 means"]], "")))
    assert.equal(6, select(2, script:gsub('"− against"', "")))
    assert.equal(3, select(2, script:gsub('"another"', "")))
  end)

  it("is not fooled by names", function()
    needs.gnuplot(pending)
    local odd = files.join(folder, "it's `touch pwned` $(touch pwned) <x> \"y\"")
    assert(files.mkdir_p(odd))
    local path = files.join(odd, "<touch pwned; 'a' \"b\" %d.png")
    core.image_save(path, core.ones(3, 8, 8))
    local label = "`touch pwned` 'x' \"y\" <b> & {/Bold z} @q \\n %s 日本"
    local svg, png, pdf = report.heatmaps({ { title = label, images = { { label = label, path = path } } } },
      files.join(odd, "sheet.png"), { dpi = 72 })
    assert.equal(files.join(odd, "sheet.svg"), svg)
    assert.equal("%PDF", files.read_all(pdf):sub(1, 4))
    assert.truthy(sheet.size(files.read_all(png)))
    local script = files.read_all(files.join(odd, "sheet.gp"))
    assert.truthy(script:find([[\047x\047]], 1, true))
    assert.same({ path:match("[^/]+$"), "sheet-1-1.png", "sheet.gp", "sheet.pdf", "sheet.png", "sheet.svg" },
      files.list(odd))
    assert.is_false(files.is_file("pwned"))
    -- Letters that no font has would cover everything.
    assert.is_true(core.image_load(png):mean() > 0.7)
  end)

  it("says what is wrong", function()
    needs.gnuplot(pending)
    local function wrong(message, ...)
      local got = errors.text(function(...) report.heatmaps(...) end, ...)
      assert.truthy(got:find(message, 1, true), got)
    end
    local text = temporary.write(folder, "text.png", "no picture")
    wrong(text .. ": expected a PNG file, got something else", { text }, files.join(folder, "x"))
    wrong(folder .. "/none.png: No such file or directory", { folder .. "/none.png" }, files.join(folder, "x"))
    local path = picture("a.png", 4, 4, 0, 0, 0)
    wrong("report.heatmaps: heatmaps: expected bars of path, low and high, got 3 at 1",
      { { images = { path }, bars = { 3 } } }, files.join(folder, "x"))
    wrong("report.heatmaps: dpi: expected a number in [36, 2400], got 0", { path }, files.join(folder, "x"),
      { dpi = 0 })
    wrong("report.heatmaps: unknown option 'title'", { path }, files.join(folder, "x"), { title = "x" })
    local many = {}
    for i = 1, 300 do many[i] = path end
    wrong("pixels is too large: 32000 at most each way; draw fewer samples, or with fewer dots per inch", many,
      files.join(folder, "x"))
  end)
end)
