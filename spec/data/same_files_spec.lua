local data = require "secateur.data"
local errors = require "support.errors"
local files = require "secateur.util.files"
local lfs = require "lfs"
local pictures = require "support.pictures"
local stderr = require "support.stderr"
local temporary = require "support.temporary"
local unlabelled = require "secateur.data.unlabelled"

-- A file that has several names is one image.
describe("data: files with several names", function()
  local root

  before_each(function() root = temporary.folder() end)
  after_each(function() assert(files.remove(root)) end)

  local function fill(folder, count) pictures.fill(root, folder, count) end

  local function link(target, path) assert(lfs.link(target, files.join(root, path), true)) end

  -- All names, by split.
  local function names(set)
    local found = {}
    for _, split in ipairs { "train", "val", "test" } do
      found[split] = files.sort(table.move(set[split].names, 1, set[split]:count(), 1, {}))
    end
    return found
  end

  local function all(set)
    local list = {}
    for _, part in pairs(names(set)) do table.move(part, 1, #part, #list + 1, list) end
    return files.sort(list)
  end

  local function load(reader, opts)
    opts = opts or {}
    opts.size, opts.on_duplicate = 8, opts.on_duplicate or "ignore"
    local set
    local text = stderr.text(function() set = reader(root, opts) end)
    return set, text
  end

  it("are read once, where folders are linked to each other", function()
    for i = 1, 8 do
      pictures.save(root, ("a/d%d/1.png"):format(i), i / 9)
      for k = 1, 8 do
        if k ~= i then link(("../d%d"):format(k), ("a/d%d/l%d"):format(i, k)) end
      end
    end
    fill("b", 5)
    local set, text = load(data.folder)
    assert.equal(13, #all(set))
    local note = "links to folders that are read under another name: 56 ('a/d1/l2' is 'a/d2')"
    assert.equal(("folder: %s: %s\n"):format(root, note), text)
    assert.same({ note }, set.notes)
    assert.same({}, set.skipped)
  end)

  it("are looked for once in each folder", function()
    for i = 1, 12 do
      assert(files.mkdir_p(("%s/d%d"):format(root, i)))
      for k = 1, 12 do link(("../d%d"):format(k), ("d%d/l%d"):format(i, k)) end
    end
    local list, listed = files.list, 0
    finally(function() files.list = list end)
    files.list = function(...)
      listed = listed + 1
      return list(...)
    end
    assert.matches("expected folders for the classes COVID", errors.inside(function() data.cpn(root) end))
    assert.equal(13, listed)
  end)

  it("keep the class that they lie in, not those that link to them", function()
    fill("a", 5)
    fill("b", 5)
    link("../b", "a/all")
    link("../b/01.png", "a/one.png")
    assert(lfs.link(root .. "/a/01.png", root .. "/b/hard.png"))
    local set, text = load(data.folder)
    assert.same({ "a/01.png", "a/02.png", "a/03.png", "a/04.png", "a/05.png", "b/01.png", "b/02.png", "b/03.png",
      "b/04.png", "b/05.png" }, all(set))
    for _, split in ipairs { "train", "val", "test" } do
      for i, name in ipairs(set[split].names) do assert.equal(name:sub(1, 1), set.classes[set[split].labels[i]]) end
    end
    assert.matches("names of files that are read under another name: 8 ('a/all/hard.png' is 'a/01.png'); with "
      .. "another label: 6", text, 1, true)
  end)

  it("lie in one split, the one of their own name or the last", function()
    for _, split in ipairs { "train", "test" } do
      fill(split .. "/a", 4)
      fill(split .. "/b", 4)
    end
    temporary.write(root, "val/a/x", "")
    assert(files.remove(root .. "/val/a/x"))
    link("../../train/b", "val/b")
    assert(lfs.link(root .. "/test/a/01.png", root .. "/train/a/99.png"))
    pictures.save(root, "val/a/1.png", 0.1)
    link("../../test/a/02.png", "val/a/2.png")
    pictures.save(root, "pool/1.png", 0.2)
    link("../../pool/1.png", "train/b/pool.png")
    link("../../pool/1.png", "test/b/pool.png")
    local found = names(load(data.folder))
    assert.same({ "train/a/01.png", "train/a/02.png", "train/a/03.png", "train/a/04.png", "train/b/01.png",
      "train/b/02.png", "train/b/03.png", "train/b/04.png" }, found.train)
    assert.same({ "val/a/1.png" }, found.val)
    assert.same({ "test/a/01.png", "test/a/02.png", "test/a/03.png", "test/a/04.png", "test/b/01.png", "test/b/02.png",
      "test/b/03.png", "test/b/04.png", "test/b/pool.png" }, found.test)
  end)

  it("cannot be all that a class or a split has", function()
    fill("a", 5)
    link("a", "b")
    assert.equal(("folder: %s: class 'b': its files are those of other classes, by links ('b/01.png' is 'a/01.png')")
      :format(root), errors.inside(function() data.folder(root, { size = 8, quiet = true }) end))
    for _, split in ipairs { "train", "test" } do
      fill(split .. "/a", 2)
      fill(split .. "/b", 2)
    end
    link("test", "val")
    local message = errors.inside(function() data.folder(root, { size = 8, quiet = true }) end)
    assert.matches("^folder: " .. root .. ": expected images in the val split, found none %(left out", message)
    assert.matches("; names of files that are read under another name: 4 ('val/a/01.png' is 'test/a/01.png'))",
      message, 1, true)
  end)

  it("are one line's of a table", function()
    for i = 1, 4 do pictures.save(root, i .. ".png", i / 5) end
    link("1.png", "link.png")
    temporary.write(root, "split.csv",
      "file,label,split\n1.png,a,train\n2.png,b,train\nlink.png,a,test\n3.png,a,val\n4.png,b,test\n")
    local set, text = load(data.folder)
    assert.same({ train = { "1.png", "2.png" }, val = { "3.png" }, test = { "4.png" } }, names(set))
    assert.matches("names of files that are read under another name: 1 ('link.png' is '1.png')\n", text, 1, true)
    assert.is_nil(text:find("does not list", 1, true))
    set = load(function(_, opts) return data.csv(root .. "/split.csv", opts) end)
    assert.same({ "1.png", "2.png" }, names(set).train)
  end)

  it("may be links, each to a file elsewhere", function()
    fill("pool", 10)
    for i = 1, 10 do
      temporary.write(root, ("set/%s/x"):format(i % 2 == 0 and "a" or "b"), "")
      link(("../../pool/%02d.png"):format(i), ("set/%s/%d.png"):format(i % 2 == 0 and "a" or "b", i))
    end
    os.remove(root .. "/set/a/x")
    os.remove(root .. "/set/b/x")
    local set, text = load(function(folder, opts) return data.folder(folder .. "/set", opts) end)
    assert.equal(10, #all(set))
    assert.equal("", text)
  end)

  it("are listed once where nobody has labelled them", function()
    fill("x", 2)
    link("01.png", "x/again.png")
    link("x", "y")
    local paths, others = unlabelled.list(root)
    assert.same({ root .. "/x/01.png", root .. "/x/02.png" }, paths)
    assert.same({ { path = root .. "/x/again.png", message = "the same file as 'x/01.png'" },
      { path = root .. "/y", message = "the same folder as 'x'" } }, others)
  end)
end)
