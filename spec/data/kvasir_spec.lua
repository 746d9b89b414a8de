local data = require "secateur.data"
local files = require "secateur.util.files"
local pictures = require "support.pictures"

local CLASSES = { "dyed-lifted-polyps", "dyed-resection-margins", "esophagitis", "normal-cecum", "normal-pylorus",
  "normal-z-line", "polyps", "ulcerative-colitis" }

describe("data.kvasir", function()
  local root
  local temporary = require "support.temporary"

  before_each(function() root = temporary.folder() end)
  after_each(function() assert(files.remove(root)) end)

  local function fill(top, count)
    for _, class in ipairs(CLASSES) do
      for i = 1, count do pictures.save(root, files.join(top, class, ("%02d.jpg.png"):format(i))) end
    end
  end

  it("reads version 1 from the folder of the classes", function()
    fill("", 10)
    local set = data.kvasir(root, { size = 8 })
    assert.same(CLASSES, set.classes)
    assert.same({ 7, 7, 7, 7, 7, 7, 7, 7 }, set.train:class_counts())
    assert.same({ 1, 1, 1, 1, 1, 1, 1, 1 }, set.val:class_counts())
    assert.same({ 2, 2, 2, 2, 2, 2, 2, 2 }, set.test:class_counts())
    for i, name in ipairs(set.train.names) do assert.equal(CLASSES[set.train.labels[i]], name:match("^[^/]+")) end
  end)

  it("reads version 2 from its folder and from the one above", function()
    fill("kvasir-dataset-v2", 4)
    local above = data.kvasir(root, { size = 8 })
    local inside = data.kvasir(root .. "/kvasir-dataset-v2", { size = 8 })
    assert.equal("kvasir-dataset-v2/" .. inside.train.names[1], above.train.names[1])
    assert.same(inside.train.labels, above.train.labels)
    assert.equal(16, above.train:count())
  end)

  it("says what is missing, and which of two is meant", function()
    assert.has_error(function() data.kvasir(root) end,
      ("kvasir: %s: expected Kvasir's class folders (%s), found none"):format(root, table.concat(CLASSES, ", ")))
    fill("kvasir-dataset", 1)
    assert(files.remove(root .. "/kvasir-dataset/polyps"))
    assert.has_error(function() data.kvasir(root) end,
      ("kvasir: %s/kvasir-dataset: expected a folder 'polyps'"):format(root))
    assert(files.mkdir_p(root .. "/kvasir-dataset/polyps"))
    assert.has_error(function() data.kvasir(root) end,
      ("kvasir: %s/kvasir-dataset/polyps: expected images, found none "
        .. "(classes = { … }, a list of those to use, leaves it out)"):format(root))
    fill("kvasir-dataset-v2", 1)
    assert.has_error(function() data.kvasir(root) end, ("kvasir: %s: expected one version of Kvasir, found "
      .. "'kvasir-dataset' and 'kvasir-dataset-v2'; give the folder of one"):format(root))
  end)
end)
