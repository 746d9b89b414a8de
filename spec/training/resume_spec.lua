local data = require "secateur.data"
local errors = require "support.errors"
local files = require "secateur.util.files"
local lfs = require "lfs"
local pictures = require "support.pictures"
local safetensors = require "secateur.formats.safetensors"
local stderr = require "support.stderr"
local temporary = require "support.temporary"
local toy = require "support.toy"
local train = require "secateur.training.train"

describe("a training that goes on", function()
  local root, path

  before_each(function()
    root = temporary.folder()
    path = root .. "/run.safetensors"
    for _, part in ipairs { "train", "val" } do
      for _, class in ipairs { "a", "b", "c" } do
        for i = 1, 3 do
          local image = pictures.save(root, ("data/%s/%s/%d.png"):format(part, class, i), i / 5)
          assert(lfs.touch(image, 1000000000, 1000000000))
        end
      end
    end
  end)
  after_each(function() files.remove(root) end)

  local function set_of()
    return data.folder(root .. "/data", { size = 8, channels = 1, quiet = true, on_duplicate = "ignore",
      cache_bytes = 0 })
  end

  local function go(epochs, changes, set)
    local opts = toy.quietly(epochs, { checkpoint = path, resume = true })
    for key, value in pairs(changes or {}) do opts[key] = value end
    return train(toy.model(), set or set_of(), opts)
  end

  local function message(name, text)
    return ("train: checkpoint '%s': the images of %s are others than before: "):format(path, name) .. text
  end

  it("does so with the same images, and knows them by then", function()
    local before = go(1)
    assert.equal(2, #go(2, { verify = "full" }))
    assert.equal(0, before.skipped)
    local tensors = safetensors.load(path)
    assert.same({ 9, 3 }, tensors["images/train"]:shape())
    assert.same({ 9, 3 }, tensors["images/val"]:shape())
  end)

  it("notices images that were cut short or replaced", function()
    go(1)
    local image = root .. "/data/train/b/2.png"
    local whole = assert(files.read_all(image))
    assert(files.write_all(image, whole .. "more"))
    assert.equal(message("train", ("1 of 9, such as '%s' (%d bytes, %d before)"):format(image, #whole + 4, #whole)),
      errors.raised(go, 2))
    assert(files.write_all(image, whole))
    assert.equal(2, #go(2))
    local other = root .. "/data/val/c/3.png"
    whole = assert(files.read_all(other))
    local at = #whole - 20
    assert(files.write_all(other, whole:sub(1, at - 1) .. string.char(whole:byte(at) ~ 1) .. whole:sub(at + 1)))
    assert(lfs.touch(other, 1000000000, 1000000000))
    assert.equal(message("val", ("1 of 9, such as '%s' (other content than before)"):format(other)),
      errors.raised(go, 3))
  end)

  it("stops where an image is gone, and keeps nothing of it", function()
    local set = set_of()
    local image = set.train.paths[2]
    os.remove(image)
    local ending = ("'%s': No such file or directory"):format(image)
    assert.equal("train: " .. ending, errors.raised(go, 1, nil, set))
    local model = toy.model()
    local before = toy.weights(model)
    local said = errors.raised(train, model, set, toy.quietly(1))
    assert.equal(ending, said:sub(-#ending))
    assert.same(before, toy.weights(model))
    assert.same({}, set.skipped)
    assert.is_nil(lfs.attributes(path, "mode"))
  end)

  it("does not begin anew where the checkpoint cannot be looked at", function()
    for _, target in ipairs { "gone", "run.safetensors" } do -- the second is a link to itself
      assert(lfs.link(target, path, true))
      assert.equal(("train: checkpoint '%s': is a broken link to '%s'"):format(path, target), errors.raised(go, 1))
      assert.equal(target, lfs.symlinkattributes(path, "target"))
      os.remove(path)
    end
  end)

  it("says where a checkpoint does not know its images", function()
    go(1)
    local tensors, meta = safetensors.load(path)
    tensors["images/train"], tensors["images/val"] = nil, nil
    safetensors.save(path, tensors, meta)
    local said = stderr.text(function() go(2, { quiet = false }) end)
    assert.truthy(said:find(("train: checkpoint '%s' does not say what its images were: they are taken for the same")
      :format(path), 1, true), said)
    assert.truthy(safetensors.load(path)["images/train"])
  end)

  it("counts the images that were left out, also those of before", function()
    pictures.truncated(root, "data/train/a/4.png")
    temporary.write(root, "data/val/a/4.png", "no image")
    local history = go(1)
    assert.equal(2, history.skipped)
    assert.truthy(tostring(history):find("\n2 images were left out: they could not be read", 1, true))
    history = go(1) -- nothing is read any more
    assert.equal(2, history.skipped)
    assert.equal(2, go(2).skipped)
  end)
end)
