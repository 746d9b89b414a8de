local data = require "secateur.data"
local files = require "secateur.util.files"
local needs = require "support.needs"
local pictures = require "support.pictures"
local temporary = require "support.temporary"

describe("data.cpn", function()
  local root

  before_each(function() root = temporary.folder() end)
  after_each(function() assert(files.remove(root)) end)

  local function fill(covid, normal, pneumonia)
    for i, folder in ipairs { covid, normal, pneumonia } do
      for k = 1, 10 * i do pictures.save(root, ("%s/%02d.png"):format(folder, k)) end
    end
  end

  it("understands how copies spell the classes", function()
    local spellings = {
      { "COVID", "NORMAL", "PNEUMONIA" },
      { "covid19", "Normal", "Pneumonia" },
      { "COVID-19", "normal", "Viral Pneumonia" },
      { "Covid_19 images", "No_findings", "Pneumonia_1" },
    }
    for _, names in ipairs(spellings) do
      fill(table.unpack(names))
      local set = data.cpn(root, { size = 8, quiet = true })
      assert.same({ "COVID", "NORMAL", "PNEUMONIA" }, set.classes)
      assert.same({ 7, 14, 21 }, set.train:class_counts())
      assert.same({ 1, 2, 3 }, set.val:class_counts())
      assert.same({ 2, 4, 6 }, set.test:class_counts())
      for _, name in ipairs(names) do assert(files.remove(files.join(root, name))) end
    end
  end)

  it("looks into the folders that archives wrap around", function()
    local top = "Covid19-Pneumonia-Normal Chest X-Ray Images Dataset/Covid19-Pneumonia-Normal/"
    fill(top .. "COVID/images", top .. "NORMAL/Images", top .. "PNEUMONIA")
    pictures.save(root, top .. "COVID/masks/01.png")
    local set = data.cpn(root, { size = 8, quiet = true })
    assert.same({ 7, 14, 21 }, set.train:class_counts())
  end)

  it("honours split.csv beside the classes", function()
    fill("x/COVID", "x/NORMAL", "x/PNEUMONIA")
    local lines = { "file,label,split" }
    for i, class in ipairs { "Covid-19", "NORMAL", "pneumonia" } do
      local folder = ({ "COVID", "NORMAL", "PNEUMONIA" })[i]
      for k, part in ipairs { "train", "train", "val", "test" } do
        lines[#lines + 1] = ("%s/%02d.png,%s,%s"):format(folder, k, class, part)
      end
    end
    temporary.write(root, "x/split.csv", table.concat(lines, "\n"))
    local set = data.cpn(root, { size = 8, quiet = true })
    assert.same({ 2, 2, 2 }, set.train:class_counts())
    assert.same({ "COVID/03.png", "NORMAL/03.png", "PNEUMONIA/03.png" }, set.val.names)
    assert.same({ 1, 2, 3 }, set.test.labels)
    temporary.write(root, "x/split.csv", "file,label,split\nCOVID/01.png,flu,train\n")
    assert.has_error(function() data.cpn(root) end,
      ("cpn: %s/x/split.csv:2: label: expected one of COVID, NORMAL, PNEUMONIA, got 'flu'"):format(root))
  end)

  it("says what is missing or ambiguous", function()
    fill("COVID", "NORMAL", "abnormal")
    assert.has_error(function() data.cpn(root) end,
      ("cpn: %s: expected folders for the classes COVID, PNEUMONIA and NORMAL, at most 3 levels down"):format(root))
    fill("COVID", "NORMAL", "Bacterial Pneumonia")
    fill("COVID", "NORMAL", "Viral Pneumonia")
    assert.has_error(function() data.cpn(root) end, ("cpn: %s: expected one folder for the class PNEUMONIA, found "
      .. "'Bacterial Pneumonia' and 'Viral Pneumonia'"):format(root))
  end)

  it("does not take one of several folders with all classes for the set", function()
    fill("Training/COVID", "Training/NORMAL", "Training/PNEUMONIA")
    fill("Testing/COVID", "Testing/NORMAL", "Testing/PNEUMONIA")
    assert.has_error(function() data.cpn(root) end, ("cpn: %s: expected one folder that holds the set, found 'Testing' "
      .. "and 'Training'; give one of them (sc.data.folder reads folders train, val and test)"):format(root))
  end)

  it("reads a real copy, where there is one", function()
    local copy = "../shared/data/cpn"
    needs.path(pending, copy, "copy of the X-rays")
    local set = data.cpn(copy, { size = 64, channels = 1 })
    assert.same({ 87, 350, 350 }, set.train:class_counts())
    assert.same({ 12, 50, 50 }, set.val:class_counts())
    assert.same({ 25, 100, 100 }, set.test:class_counts())
    assert.same({}, set.skipped)
    local total = 0
    for x, y in set.test:batches { batch = 50 } do
      assert.same({ y:size(1), 1, 64, 64 }, x:shape())
      total = total + x:sum()
    end
    -- Normalised X-rays are centred near 0.
    assert.is_true(math.abs(total / (225 * 64 * 64)) < 1)
  end)
end)
