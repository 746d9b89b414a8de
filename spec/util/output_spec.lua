local errors = require "support.errors"
local files = require "secateur.util.files"
local output = require "secateur.util.output"
local sc = require "secateur"
local temporary = require "support.temporary"

describe("output places", function()
  local root

  before_each(function() root = temporary.folder() end)
  after_each(function() assert(files.remove(root)) end)

  it("of files have their folders made, and nothing else", function()
    local path = files.join(root, "a/b/model.safetensors")
    assert.equal(path, sc.output_file(path))
    assert.same({}, files.list(files.join(root, "a/b"), { hidden = true }))
    local there = temporary.write(root, "there.csv", "kept")
    assert.equal(there, sc.output_file(there))
    assert.equal("kept", files.read_all(there))
  end)

  it("of folders are made", function()
    local path = files.join(root, "a/b")
    assert.equal(path, sc.output_folder(path))
    assert.same({}, files.list(path, { hidden = true }))
    assert(files.mkdir_p(path .. "/secateur"))
    assert.equal(path, sc.output_folder(path))
  end)

  it("that cannot be written are refused", function()
    local file = temporary.write(root, "file", "")
    assert.equal(("output_file: '%s': expected a file to write, got a folder"):format(root),
      errors.text(sc.output_file, root))
    assert.equal(("output_file: '%s/x/': expected a file's name, got a folder's"):format(root),
      errors.text(sc.output_file, root .. "/x/"))
    assert.equal("output_file: '/dev/null': expected a file to write, got a pipe or device",
      errors.text(sc.output_file, "/dev/null"))
    assert.equal("output_file: path: expected a name that ends in .safetensors, got 'm.pth'",
      errors.text(sc.output_file, "m.pth", { extension = "safetensors" }))
    assert.matches("^output_file: " .. file .. ": ", errors.text(sc.output_file, file .. "/below"))
    assert.matches("^output_folder: " .. file .. ": ", errors.text(sc.output_folder, file))
    assert.matches("^output_file: path: missing", errors.text(sc.output_file))
    assert.matches("^output_file: path: expected a path", errors.text(sc.output_file, ""))
    assert.matches("^output_file: /proc/self/x: ", errors.text(sc.output_file, "/proc/self/x"))
  end)

  it("are looked at before the work", function()
    local data = sc.data.phantom { size = 16, count = 24, classes = { "normal", "effusion" } }
    local model = sc.models.vgg { config = { 4, "M" }, hidden = { 4 }, pool = 2, size = 16, classes = 2 }
    local file = temporary.write(root, "file", "")
    local said
    local function started() said = true end
    assert.matches("^train: checkpoint: " .. file .. ": ", errors.text(sc.train, model, data,
      { epochs = 1, checkpoint = file .. "/c", on_epoch = started, quiet = true }))
    assert.is_nil(said)
    assert.matches("^sweep: store: " .. file .. ": ", errors.text(sc.sweep,
      { model = model, data = data, store = file .. "/s.db" }))
    assert.matches("^heatmaps: dir: " .. file .. ": ", errors.text(sc.heatmaps, model, data.test,
      { dir = file .. "/h" }))
    sc.train(model, data, { epochs = 1, checkpoint = files.join(root, "new/c.safetensors"), quiet = true })
    assert.is_true(files.is_file(files.join(root, "new/c.safetensors")))
  end)

  it("have no zero bytes, behind which another folder would be meant", function()
    local good, message = output.prepare_folder(files.join(root, "a\0b"))
    assert.is_nil(good)
    assert.equal("expected a folder's path, got a text with a zero byte", message)
    assert.is_false(files.is_dir(files.join(root, "a")))
    assert.equal("expected a folder's path, got an empty one", select(2, output.prepare_folder ""))
  end)

  it("come back as values where the caller says what they are for", function()
    assert.is_true(output.prepare_file(files.join(root, "x/y")))
    local good, message = output.prepare_file(root)
    assert.is_nil(good)
    assert.matches("expected a file to write", message)
  end)
end)
