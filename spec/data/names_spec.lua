local data = require "secateur.data"
local errors = require "support.errors"
local files = require "secateur.util.files"
local pictures = require "support.pictures"
local stderr = require "support.stderr"
local temporary = require "support.temporary"
local visible = require "secateur.util.visible"

local OPTS = { size = 8, quiet = true, on_duplicate = "ignore" }
local LATIN1 = { size = 8, quiet = true, on_duplicate = "ignore", encoding = "latin1" }

describe("data: names that are not UTF-8", function()
  local root

  before_each(function() root = temporary.folder() end)
  after_each(function() assert(files.remove(root)) end)

  local function fill(folder, count) pictures.fill(root, folder, count) end

  it("are refused at loading, as classes", function()
    fill("Pneumon\xeda", 5)
    fill("normal", 5)
    assert.equal(("folder: %s/Pneumon\\xEDa: class 'Pneumon\\xEDa': expected UTF-8, got bytes that are none "
      .. "(... 6f 6e ed 61 ...); rename it, or give encoding = 'latin1', which converts"):format(root),
      errors.inside(function() data.folder(root, OPTS) end))
    local set = data.folder(root, LATIN1)
    assert.same({ "Pneumonía", "normal" }, set.classes)
    for _, name in ipairs(set.train.names) do assert.is_truthy(utf8.len(name)) end
    assert.same({ 2, 3, 8, 8 }, set.train:batch { 1, 2 }:shape())
    assert.is_truthy(utf8.len(tostring(set)))
    assert.is_truthy(utf8.len(tostring(set.test)))
  end)

  it("are refused as file names, and in split.csv", function()
    fill("a", 5)
    fill("b", 5)
    pictures.save(root, "b/ni\xf1o.png")
    assert.matches(("folder: %s: file 'b/ni\\xF1o.png': expected UTF-8"):format(root),
      errors.inside(function() data.folder(root, OPTS) end), 1, true)
    local set = data.folder(root, LATIN1)
    assert.equal(11, set.train:count() + set.val:count() + set.test:count())
    temporary.write(root, "split.csv", "file,label,split\na/01.png,x,train\nb/ni\xf1o.png,\xe9,train\n"
      .. "a/02.png,x,val\na/03.png,x,test\n")
    assert.matches(("folder: %s/split.csv:3: class '\\xE9': expected UTF-8"):format(root),
      errors.inside(function() data.folder(root, OPTS) end), 1, true)
    set = data.folder(root, LATIN1)
    assert.same({ "x", "é" }, set.classes)
    assert.same({ "a/01.png", "b/niño.png" }, set.train.names)
    assert.same({ 1, 2 }, (select(3, set.train:batch { 1, 2 })))
  end)

  it("of the folder itself, and names that become equal", function()
    local inner = root .. "/\xe4"
    fill("\xe4/a", 5)
    fill("\xe4/b", 5)
    assert.matches("folder: root: folder '" .. root .. "/\\xE4': expected UTF-8",
      errors.inside(function() data.folder(inner, OPTS) end), 1, true)
    assert.equal(root .. "/ä", data.folder(inner, LATIN1).title)
    fill("\xe4/ü", 5)
    fill("\xe4/\xfc", 5)
    assert.matches("class 'ü' has the name of another one", errors.inside(function() data.folder(inner, LATIN1) end), 1,
      true)
  end)

  it("are printed as their bytes where they are left out", function()
    fill("a", 5)
    fill("b", 5)
    fill("\xe9", 5)
    local set
    local text = stderr.text(function()
      set = data.folder(root, { size = 8, on_duplicate = "ignore", classes = { "a", "b" } })
    end)
    assert.same({ "a", "b" }, set.classes)
    assert.matches("left out by classes: '\\xE9' (5 images)", text, 1, true)
    assert.equal("a\\xFFé", visible "a\xff\u{e9}":gsub("\\xC3\\xA9", "é"))
  end)
end)
