local data = require "secateur.data"
local files = require "secateur.util.files"
local pictures = require "support.pictures"
local skipped = require "secateur.data.skipped"
local skipped_note = require "secateur.util.skipped_note"
local temporary = require "support.temporary"
local toy = require "support.toy"

describe("images left out", function()
  local root, set

  before_each(function()
    root = temporary.folder()
    for _, part in ipairs { "train", "val", "test" } do
      for _, class in ipairs { "a", "b" } do
        for i = 1, 4 do pictures.save(root, ("%s/%s/%d.png"):format(part, class, i), i / 5) end
      end
    end
    pictures.truncated(root, "train/a/5.png")
    pictures.truncated(root, "test/b/5.png")
    temporary.write(root, "val/a/6.png", "no image")
    set = data.folder(root, { size = 8, channels = 1, quiet = true, on_duplicate = "ignore" })
  end)
  after_each(function() files.remove(root) end)

  local function read_all(split)
    local indices = {}
    for i = 1, split:count() do indices[i] = i end
    split:batch(indices)
  end

  it("are counted when they are known", function()
    assert.equal(1, skipped.count(set.train))
    read_all(set.train)
    assert.equal(2, skipped.count(set.train))
    assert.equal(1, skipped.count(set.test))
    read_all(set.test)
    read_all(set.test)
    assert.equal(2, skipped.count(set.test))
    assert.equal(1, skipped.count(set.val))
    assert.equal(3, skipped.count(set.train, set.test))
    assert.equal(3, skipped.count(set.train, set.val, set.test, set.test))
    assert.equal(3, #set.skipped)
  end)

  it("of a part are those of that part", function()
    read_all(set.train)
    local bad
    for i, path in ipairs(set.train.paths) do bad = path:find "a/5" and i or bad end
    assert.equal(2, skipped.count(set.train:subset { bad, 1 }))
    assert.equal(1, skipped.count(set.train:subset { bad % set.train:count() + 1 }))
  end)

  it("of somebody's own split are those that it lists", function()
    local split = toy.split(3, 1)
    assert.equal(0, skipped.count(split))
    assert.equal(0, skipped.count())
    split.skipped = { {}, {} }
    assert.equal(2, skipped.count(split))
    assert.equal(3, skipped.count(split, set.val))
  end)

  it("are said in words", function()
    assert.is_nil(skipped_note(0))
    assert.is_nil(skipped_note(nil))
    assert.equal("1 image was left out: it could not be read", skipped_note(1))
    assert.equal("7 images were left out: they could not be read", skipped_note(7))
  end)
end)
