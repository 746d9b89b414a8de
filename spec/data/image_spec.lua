-- sc.image: one file, prepared as a data set prepares it.
local core = require "secateur.core"
local errors = require "support.errors"
local files = require "secateur.util.files"
local sc = require "secateur"
local temporary = require "support.temporary"

describe("sc.image", function()
  local root
  setup(function()
    root = temporary.folder()
    for c, class in ipairs { "a", "b" } do
      assert(files.mkdir_p(files.join(root, class)))
      for i = 1, 4 do
        core.image_save(files.join(root, class, i .. ".png"), core.rand(3, 11, 23, { seed = 10 * c + i }))
      end
    end
  end)
  teardown(function() files.remove(root) end)

  it("is the image as a data set has it", function()
    for _, opts in ipairs { { size = 8 }, { resize = 10, crop = 8, interpolation = "bicubic" },
      { size = 9, resize = "pad", channels = 1, mean = 0.5, std = 0.25, range = { 10, 200 } } } do
      local set = sc.data.folder(root, opts)
      local name = files.join(root, set.train.names[1])
      local x = sc.image(set.train.paths[1], opts)
      assert.same({ opts.channels or 3, set.size, set.size }, x:shape())
      assert.is_true(x:allclose(set.train:batch { 1 }[1], 0, 0), name)
    end
  end)

  it("is like the images of a model", function()
    local model = sc.models.vgg { config = { 4, "M" }, hidden = {}, pool = 1, classes = 2, size = 8, channels = 1 }
    model.info.preparation = { mean = { 0.5 }, std = { 0.2 }, resize = 12, crop = 8, interpolation = "nearest",
      range = "full" }
    local path = files.join(root, "a/1.png")
    assert.same(sc.image(path, { channels = 1, mean = 0.5, std = 0.2, resize = 12, crop = 8, interpolation = "nearest",
      range = "full" }):totable(), sc.image(path, { like = model }):totable())
  end)

  it("says what cannot be read", function()
    assert.matches("image: '[^']+': No such file or directory", errors.raised(sc.image, root .. "/none.png"))
    local bad = temporary.write(root, "bad.png", "no picture")
    assert.matches("image: '[^']+': not a PNG, JPEG", errors.raised(sc.image, bad))
    assert.matches("image: path: missing", errors.raised(sc.image), 1, true)
    assert.matches("image: unknown option 'seed'", errors.raised(sc.image, bad, { seed = 1 }), 1, true)
    assert.matches("pixels are more than max_pixels = 5",
      errors.raised(sc.image, files.join(root, "a/1.png"), { max_pixels = 5 }), 1, true)
  end)
end)
