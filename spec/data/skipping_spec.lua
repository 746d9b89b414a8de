local data = require "secateur.data"
local files = require "secateur.util.files"
local pictures = require "support.pictures"
local stderr = require "support.stderr"
local temporary = require "support.temporary"

describe("data: images that cannot be read", function()
  local root

  before_each(function()
    root = temporary.folder()
    for _, class in ipairs { "a", "b" } do
      for i = 1, 10 do pictures.save(root, ("%s/%02d.png"):format(class, i), i / 11) end
    end
  end)
  after_each(function() assert(files.remove(root)) end)

  it("are left out before the rest is split, and listed", function()
    temporary.write(root, "a/00.png", "not an image")
    temporary.write(root, "b/99.jpg", "")
    local set = data.folder(root, { size = 8, quiet = true })
    assert.same({ 7, 7 }, set.train:class_counts())
    assert.equal(2, #set.skipped)
    assert.equal(root .. "/a/00.png", set.skipped[1].path)
    assert.equal(root .. "/b/99.jpg", set.skipped[2].path)
    for _, failure in ipairs(set.skipped) do
      assert.is_true(#failure.message > 0)
      assert.is_nil(failure.message:find(root, 1, true))
    end
    assert.matches("skipped files: 2 (see .skipped)", tostring(set), 1, true)
  end)

  it("are named on stderr, the first few of them, unless told to be quiet", function()
    for i = 1, 5 do temporary.write(root, ("a/z%d.png"):format(i), "not an image") end
    local text = stderr.text(function() data.folder(root, { size = 8 }) end)
    assert.matches(("folder: %s: skipped 5 of 25 files:\n"):format(root), text, 1, true)
    for i = 1, 3 do assert.matches(("\n  %s/a/z%d.png: "):format(root, i), text, 1, true) end
    assert.is_nil(text:find("z4.png", 1, true))
    assert.matches("\n  and 2 more\n$", text)
    assert.equal("", stderr.text(function() data.folder(root, { size = 8, quiet = true }) end))
  end)

  it("are errors where asked for", function()
    local path = temporary.write(root, "b/bad.png", "not an image")
    local ok, message = pcall(data.folder, root, { size = 8, on_error = "stop" })
    assert.is_false(ok)
    assert.matches(("folder: %s: "):format(path), message, 1, true)
  end)

  it("leave a class without any: an error", function()
    for i = 1, 10 do temporary.write(root, ("b/%02d.png"):format(i), "not an image") end
    assert.has_error(function() data.folder(root, { size = 8, quiet = true }) end,
      ("folder: %s: class 'b': none of its 10 images can be read"):format(root))
  end)

  it("may be too large", function()
    assert.has_error(function() data.folder(root, { size = 8, quiet = true, max_pixels = 119 }) end,
      ("folder: %s: class 'a': none of its 10 images can be read"):format(root))
    assert.equal(0, #data.folder(root, { size = 8, max_pixels = 120 }).skipped)
  end)

  describe("in spite of a sound header", function()
    local path

    before_each(function()
      path = pictures.truncated(root, "a/05.png")
      local lines = { "file,label,split" }
      for i = 1, 10 do
        for _, class in ipairs { "a", "b" } do
          local part = i < 8 and "train" or i < 9 and "val" or "test"
          lines[#lines + 1] = ("%s/%02d.png,%s,%s"):format(class, i, class, part)
        end
      end
      temporary.write(root, "split.csv", table.concat(lines, "\n"))
    end)

    it("drop out of their batch, are recorded and named once", function()
      local set
      local text = stderr.text(function()
        set = data.folder(root, { size = 8 })
        assert.equal(0, #set.skipped)
        assert.equal(14, set.train:count())
        for _ = 1, 2 do
          -- a/05.png is the ninth line
          local x, y, kept = set.train:batch { 8, 9, 10 }
          assert.same({ 8, 10 }, kept)
          assert.same({ 2, 2 }, y:totable())
          assert.same({ 2, 3, 8, 8 }, x:shape())
          local seen = {}
          for images, labels, indices in set.train:batches { batch = 4 } do
            assert.equal(#indices, images:size(1))
            assert.equal(#indices, labels:size(1))
            for i, index in ipairs(indices) do
              seen[#seen + 1] = index
              assert.equal(set.train.labels[index], labels:get(i))
            end
          end
          assert.same({ 1, 2, 3, 4, 5, 6, 7, 8, 10, 11, 12, 13, 14 }, seen)
        end
      end)
      assert.equal(1, #set.skipped)
      assert.equal(path, set.skipped[1].path)
      local _, count = text:gsub("\n", "")
      assert.equal(1, count)
      assert.matches(("^folder: skipped %s: "):format(path:gsub("%p", "%%%0")), text)
    end)

    it("let batches without any image pass", function()
      local set = data.folder(root, { size = 8, quiet = true })
      local count = 0
      for _, _, indices in set.train:batches { batch = 1 } do count = count + #indices end
      assert.equal(13, count)
      assert.has_error(function() set.train:batch { 9, 9 } end,
        ("batch: none of the 2 images could be decoded: %s: %s"):format(path, set.skipped[1].message))
      assert.has_error(function() set.train:image(9) end,
        ("image: none of the 1 images could be decoded: %s: %s"):format(path, set.skipped[1].message))
    end)

    it("are errors where asked for", function()
      local set = data.folder(root, { size = 8, on_error = "stop" })
      local ok, message = pcall(function() set.train:batch { 9 } end)
      assert.is_false(ok)
      assert.matches(("skipping_spec.lua:%%d+: batch: %s: "):format(path:gsub("%p", "%%%0")), message)
      ok, message = pcall(function() for _ in set.train:batches() do end end)
      assert.is_false(ok)
      assert.matches(("batches: %s: "):format(path), message, 1, true)
    end)
  end)
end)
