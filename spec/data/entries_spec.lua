local data = require "secateur.data"
local files = require "secateur.util.files"
local lfs = require "lfs"
local pictures = require "support.pictures"
local stderr = require "support.stderr"
local temporary = require "support.temporary"

-- What lies in a class folder is read, or skipped by name, or known litter.
describe("data: entries of class folders", function()
  local root

  before_each(function() root = temporary.folder() end)
  after_each(function() assert(files.remove(root)) end)

  local function fill(folder, count, ending)
    for i = 1, count do
      local path = pictures.save(root, ("%s/%02d%s.png"):format(folder, i, ending or ""), i / (count + 1))
      if ending then assert(os.rename(path, root .. ("/%s/%02d.%s"):format(folder, i, ending))) end
    end
  end

  local function total(set) return set.train:count() + set.val:count() + set.test:count() end

  local function load(opts)
    local set
    local text = stderr.text(function() set = data.folder(root, opts or { size = 8, on_duplicate = "ignore" }) end)
    return set, text
  end

  it("are read by content, whatever they are called; broken links are skipped by name", function()
    fill("a", 10)
    fill("b", 10)
    fill("a", 4, "jfif")
    assert(lfs.link("nowhere.png", root .. "/b/link.png", true))
    local set, text = load()
    assert.equal(24, total(set))
    assert.same({ { path = root .. "/b/link.png", message = "a broken link to 'nowhere.png'" } }, set.skipped)
    assert.equal(("folder: %s: skipped 1 of 25 files:\n  %s/b/link.png: a broken link to 'nowhere.png'\n"):format(root,
      root), text)
    assert.matches("skipped files: 1 (see .skipped)", tostring(set), 1, true)
  end)

  it("that are no images are skipped by name, one by one", function()
    fill("a", 5)
    fill("b", 5)
    temporary.write(root, "a/list.csv", "file,label\n")
    temporary.write(root, "b/scan.gif", "GIF89a")
    temporary.write(root, "b/empty", "")
    assert(lfs.link("../b", root .. "/b/again", true))
    local set, text = load()
    assert.equal(10, total(set))
    local found = {}
    for _, entry in ipairs(set.skipped) do found[#found + 1] = entry.path:sub(#root + 2) .. ": " .. entry.message end
    local none = ": not a PNG, JPEG, BMP, TIFF, WebP or DICOM file"
    assert.same({ "b/again: a link to a folder that it lies in", "a/list.csv" .. none, "b/empty: an empty file",
      "b/scan.gif" .. none }, found)
    assert.matches("skipped 4 of 14 files", text, 1, true)
  end)

  it("that systems leave behind are passed over", function()
    fill("a", 5)
    fill("b", 5)
    for _, name in ipairs { ".DS_Store", "Thumbs.db", "desktop.ini", "__MACOSX/x.png", "@eaDir/x.png",
      "$RECYCLE.BIN/x.png", "._01.png" } do
      temporary.write(root, name, "x")
      temporary.write(root, "a/" .. name, "x")
    end
    local set, text = load()
    assert.same({ "a", "b" }, set.classes)
    assert.same({}, set.skipped)
    assert.equal("", text)
  end)

  it("and images beside class folders are said, tables there are not", function()
    fill("a", 5)
    fill("b", 5)
    pictures.save(root, "loose.png")
    assert(os.rename(pictures.save(root, "plain.png"), root .. "/plain"))
    temporary.write(root, "README.txt", "x")
    temporary.write(root, "labels.csv", "x")
    assert(lfs.link("gone", root .. "/c", true))
    local set = load()
    assert.same({ { path = root .. "/c", message = "a broken link to 'gone'" },
      { path = root .. "/loose.png", message = "lies beside the folders of the classes, in none of them" },
      { path = root .. "/plain", message = "lies beside the folders of the classes, in none of them" } }, set.skipped)
  end)

  it("are errors where asked for", function()
    fill("a", 5)
    fill("b", 5)
    assert(lfs.link("nowhere.png", root .. "/b/link.png", true))
    assert.has_error(function() data.folder(root, { size = 8, on_error = "stop" }) end,
      ("folder: %s/b/link.png: a broken link to 'nowhere.png'"):format(root))
    local set = data.folder(root, { size = 8, on_error = "stop", skip = "link.*", quiet = true })
    assert.equal(10, total(set))
  end)

  it("may be all of them broken links", function()
    fill("a", 5)
    assert(files.mkdir_p(root .. "/b"))
    assert(lfs.link("/gone/1.png", root .. "/b/1.png", true))
    assert.has_error(load, ("folder: %s/b: expected images, found none ('b/1.png': a broken link to '/gone/1.png')")
      :format(root))
  end)

  it("of the splits' folders are the same, and other folders beside them are said", function()
    for _, split in ipairs { "train", "val", "test" } do
      fill(split .. "/a", 2)
      fill(split .. "/b", 2)
    end
    fill("extra/a", 1)
    pictures.save(root, "test/loose.png")
    local set, text = load()
    assert.equal(12, total(set))
    assert.same({ { path = root .. "/test/loose.png",
      message = "lies beside the folders of the classes, in none of them" } }, set.skipped)
    assert.matches("left out: 'extra', beside the folders of the splits", text, 1, true)
  end)

  it("of other layouts are the same", function()
    fill("COVID/images", 5)
    fill("COVID/masks", 5)
    fill("NORMAL", 5)
    fill("NORMAL", 1, "jfif")
    fill("PNEUMONIA", 5)
    fill("Lung_Opacity", 2)
    local set
    local text = stderr.text(function() set = data.cpn(root, { size = 8, on_duplicate = "ignore" }) end)
    assert.equal(16, total(set))
    assert.equal(("cpn: %s: left out: 'Lung_Opacity', no class of this set (sc.data.folder takes all folders as "
      .. "classes)\ncpn: %s: masks left out: 5 (only = '*' takes them as images)\n"):format(root, root), text)
    assert.matches("masks left out: 5", tostring(set), 1, true)
  end)
end)
