-- Options of image preparation through sc.data: checked, carried by splits, the same for training and for drawing.
local core = require "secateur.core"
local data = require "secateur.data"
local files = require "secateur.util.files"
local models = require "secateur.models"
local temporary = require "support.temporary"

describe("image options of data sets", function()
  local root
  setup(function()
    root = temporary.folder()
    for c, class in ipairs { "a", "b" } do
      assert(files.mkdir_p(files.join(root, class)))
      for i = 1, 6 do
        local image = core.rand(10, 21, { seed = 10 * c + i })
        core.image_save(files.join(root, class, i .. ".png"), image)
      end
    end
  end)
  teardown(function() files.remove(root) end)

  local function open(opts)
    opts.channels = opts.channels or 1
    return data.folder(root, opts)
  end

  it("stand in the split's preparation, and travel to a model", function()
    local set = open { resize = 12, crop = 8, interpolation = "bicubic", range = { 10, 200 } }
    assert.equal(8, set.size)
    local wanted = { size = 8, channels = 1, mean = set.train.preparation.mean, std = set.train.preparation.std,
      resize = 12, crop = 8, interpolation = "bicubic", range = { 10, 200 } }
    assert.same(wanted, set.train.preparation)
    assert.same(wanted, set.test:subset({ 1 }).preparation)
    local model = models.vgg { config = { 4, "M" }, hidden = {}, pool = 1, classes = 2, size = 8, channels = 1 }
    model.info.preparation = { resize = 12, crop = 8, interpolation = "bicubic", range = { 10, 200 } }
    local like = data.folder(root, { like = model })
    assert.same({ 12, 8, 8, "bicubic", { 10, 200 } }, { like.train.preparation.resize, like.train.preparation.crop,
      like.size, like.train.preparation.interpolation, like.train.preparation.range })
    assert.same(set.train:batch({ 1 }):totable(),
      data.folder(root, { like = model, mean = set.train.preparation.mean, std = set.train.preparation.std })
      .train:batch({ 1 }):totable())
  end)

  it("give batches, background batches and single images the same geometry", function()
    for _, opts in ipairs { { resize = "crop", size = 8 }, { resize = "pad", size = 9 }, { resize = 11, size = 8 },
      { resize = "pad", size = 16, interpolation = "nearest", range = "percentile" } } do
      opts.mean, opts.std = 0, 1
      local set = open(opts)
      local x = set.train:batch { 2 }
      assert.same(x:totable(), set.train:image(2):reshape(1, 1, set.size, set.size):totable())
      local batches <close> = set.train:batches { batch = 2 }
      assert.is_true(batches()[2]:allclose(x[1], 0, 0))
      local squashed = data.folder(root, { channels = 1, size = set.size, mean = 0, std = 1 }).train:batch { 2 }
      assert.is_false(x:allclose(squashed))
    end
  end)

  it("are checked", function()
    local function refusal(opts) return (select(2, pcall(open, opts)):gsub("^[^ ]+: ", "")) end
    assert.equal("folder: crop: expected at most the 20 of resize, got 30", refusal { resize = 20, crop = 30 })
    assert.equal("folder: crop: expected at most the 20 of resize, got 224, the size where none is given (crop = n "
      .. "takes a smaller middle)", refusal { resize = 20 })
    assert.matches("folder: crop: expected nothing where resize is 'pad', got 8", refusal { resize = "pad", crop = 8 },
      1, true)
    assert.matches("folder: crop: expected nothing where resize is 'squash', got 8", refusal { crop = 8 }, 1, true)
    assert.equal("folder: size: expected 8, what crop leaves, or nothing, got 9",
      refusal { resize = 20, crop = 8, size = 9 })
    assert.matches("folder: resize: expected 'squash', 'crop', 'pad' or the length of the shorter side, got 'fit'",
      refusal { resize = "fit" }, 1, true)
    assert.matches("folder: interpolation: expected one of 'bilinear', 'bicubic', 'nearest', got 'lanczos'",
      refusal { interpolation = "lanczos" }, 1, true)
    for _, range in ipairs { "auto", { 1 }, { 5, 5 }, { "a", "b" }, { -1e300, 1e300 } } do
      assert.matches("folder: range: expected 'full', 'percentile' or {low, high} in stored units, low below high",
        refusal { range = range }, 1, true)
    end
  end)
end)
