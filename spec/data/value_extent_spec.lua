-- Sets that use little of their format's range: named once, with the way out, and mended by it.
local core = require "secateur.core"
local data = require "secateur.data"
local files = require "secateur.util.files"
local pictures = require "support.pictures"
local stderr = require "support.stderr"
local temporary = require "support.temporary"

local function rows(top, seed)
  local list = {}
  for y = 1, 12 do
    list[y] = {}
    for x = 1, 12 do list[y][x] = core.mix(core.mix(seed, y), x) % (top + 1) end
  end
  return list
end

describe("a data set of dark images", function()
  local root
  before_each(function() root = temporary.folder() end)
  after_each(function() files.remove(root) end)

  local function fill(top, significant, count)
    for c, class in ipairs { "a", "b" } do
      for i = 1, count or 6 do
        temporary.write(root, ("%s/%d.png"):format(class, i), pictures.png16(rows(top, 10 * c + i), significant))
      end
    end
  end

  local function open(opts)
    opts = opts or {}
    opts.size, opts.channels, opts.mean, opts.std = 12, 1, 0, 1
    local set
    local said = stderr.text(function() set = data.folder(root, opts) end)
    return set, said
  end

  it("is named once, with the way out, which mends it", function()
    fill(4000)
    local set, said = open()
    assert.matches("^folder: [^\n]+: the images have no value above %d+, where their format goes to 65535: they are "
      .. "nearly black%. range = {0, 4095} says what is black and white for all, 'percentile' or 'full' find it for "
      .. "each image\n$", said)
    assert.equal(1, #set.notes)
    assert.is_true(set.train:image(1):max() < 1 / 16)
    for _, range in ipairs { { 0, 4095 }, "full", "percentile" } do
      local mended, silent = open { range = range }
      assert.equal("", silent)
      assert.is_true(mended.train:image(1):max() > 0.9)
    end
    assert.equal("", select(2, open { quiet = true }))
  end)

  it("says what sBIT says", function()
    fill(4000, { 12 })
    assert.matches("; their sBIT says that 12 bits count, but they are not scaled up to 16: they are nearly black",
      select(2, open()), 1, true)
  end)

  it("is looked at by 32 images at most, whichever they are", function()
    fill(255, nil, 40)
    assert.matches("32 of 80 images, chosen by the seed, have no value above 255, ", select(2, open()), 1, true)
  end)

  it("is not one where some image is bright", function()
    fill(4000)
    temporary.write(root, "a/bright.png", pictures.png16(rows(30000, 1)))
    assert.equal("", select(2, open()))
  end)

  it("may be of eight bits", function()
    for _, class in ipairs { "a", "b" } do
      for i = 1, 6 do
        local image = core.rand(12, 12, { seed = core.mix(#class, i) + class:byte() }) * (20 / 255)
        assert(files.mkdir_p(files.join(root, class)))
        core.image_save(files.join(root, class, i .. ".png"), image)
      end
    end
    assert.matches("no value above %d+, where their format goes to 255: .* range = {0, 31}", select(2, open()))
  end)

  it("is named where only those of one depth are dark", function()
    fill(4000)
    for i = 1, 6 do core.image_save(files.join(root, "a/bright" .. i .. ".png"), core.rand(12, 12, { seed = i })) end
    local _, said = open()
    assert.matches("12 of 18 images looked at are of 16 bits and have no value above %d+, where their format goes to "
      .. "65535: they are nearly black", said)
    assert.is_nil(said:find("8 bits", 1, true))
    _, said = open { range = { 0, 4095 } }
    assert.matches("6 of 18 images looked at are of 8 bits and have no value above %d+, where range goes from 0 to "
      .. "4095: they are nearly black%. It counts in stored units, of these files 0 %.%. 255; ", said)
    assert.is_nil(said:find("16 bits", 1, true))
    assert.equal("", select(2, open { range = "full" }))
  end)

  it("is named where range makes it so, and so are white ones", function()
    fill(4000)
    assert.matches("folder: [^\n]+: the images have no value above %d+, where range goes from 60000 to 65535: they are "
      .. "black%. It counts in stored units, of these files 0 %.%. 65535; range = 'percentile' or 'full' finds what is "
      .. "black and white for each image\n", select(2, open { range = { 60000, 65535 } }))
    assert.matches("no value below %d+, where range goes from %-100 to 0: they are white",
      select(2, open { range = { -100, 0 } }))
  end)
end)
