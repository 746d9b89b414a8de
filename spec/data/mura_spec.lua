local data = require "secateur.data"
local files = require "secateur.util.files"
local pictures = require "support.pictures"
local temporary = require "support.temporary"

describe("data.mura", function()
  local root

  -- A list of images: patients of two studies, those whose number 3 divides with a positive one, too.
  local function list(official, first, last)
    local lines = {}
    for patient = first, last do
      for _, study in ipairs { "XR_ELBOW", "XR_WRIST" } do
        for visit = 1, patient % 3 == 0 and 2 or 1 do
          for image = 1, 1 + patient % 2 do
            lines[#lines + 1] = ("MURA-v1.1/%s/%s/patient%05d/study%d_%s/image%d.png"):format(official, study, patient,
              visit, visit == 2 and "positive" or "negative", image)
          end
        end
      end
    end
    return lines
  end

  before_each(function()
    root = temporary.folder()
    for official, lines in pairs { train = list("train", 1, 30), valid = list("valid", 31, 36) } do
      for _, path in ipairs(lines) do pictures.save(root, path) end
      temporary.write(root, ("MURA-v1.1/%s_image_paths.csv"):format(official), table.concat(lines, "\n") .. "\n")
    end
  end)
  after_each(function() assert(files.remove(root)) end)

  local function patients(split)
    local set, count = {}, 0
    for _, name in ipairs(split.names) do
      local patient = name:match("patient%d+")
      count = count + (set[patient] and 0 or 1)
      set[patient] = true
    end
    return set, count
  end

  it("takes the official valid as test, and labels from the studies", function()
    local set = data.mura(root, { size = 8 })
    assert.same({ "negative", "positive" }, set.classes)
    local expected = {}
    for i, path in ipairs(list("valid", 31, 36)) do expected[i] = path:gsub("^MURA%-v1.1/", "") end
    assert.same(expected, set.test.names)
    for _, part in ipairs { "train", "val", "test" } do
      for i, name in ipairs(set[part].names) do
        assert.equal(name:find("_positive/", 1, true) and 2 or 1, set[part].labels[i])
      end
    end
    assert.equal(#list("train", 1, 30), set.train:count() + set.val:count())
  end)

  it("never puts a patient into two splits, and keeps the classes' shares", function()
    for seed = 0, 3 do
      local set = data.mura(root, { size = 8, seed = seed })
      local train, val = patients(set.train), patients(set.val)
      for patient in pairs(val) do assert.is_nil(train[patient]) end
      local of_train, of_val = set.train:class_counts(), set.val:class_counts()
      for label = 1, 2 do
        local share = of_val[label] / (of_val[label] + of_train[label])
        assert.is_true(share > 0.05 and share < 0.25, share)
      end
    end
  end)

  it("depends on the seed alone", function()
    local one = data.mura(root, { size = 8, seed = 5 })
    assert.same(one.val.names, data.mura(root .. "/MURA-v1.1", { size = 8, seed = 5 }).val.names)
    assert.not_same(one.val.names, data.mura(root, { size = 8, seed = 6 }).val.names)
    assert.same(one.val.names, data.mura(root, { size = 8, seed = 5, group = "patient" }).val.names) -- as it is anyway
  end)

  it("picks studies", function()
    for _, study in ipairs { "XR_WRIST", { "XR_WRIST" } } do
      local set = data.mura(root, { size = 8, study = study })
      for _, part in ipairs { "train", "val", "test" } do
        for _, name in ipairs(set[part].names) do assert.matches("/XR_WRIST/", name, 1, true) end
      end
      assert.equal(#list("train", 1, 30) // 2, set.train:count() + set.val:count())
    end
    local both = data.mura(root, { size = 8, study = { "XR_WRIST", "XR_ELBOW" } })
    assert.same(data.mura(root, { size = 8 }).train.names, both.train.names)
  end)

  it("leaves listed files out that are not there", function()
    local first = list("train", 1, 30)[1]
    assert(os.remove(files.join(root, first)))
    local set = data.mura(root, { size = 8, quiet = true })
    assert.equal(1, #set.skipped)
    assert.equal(files.join(root, first), set.skipped[1].path)
    assert.equal(#list("train", 1, 30) - 1, set.train:count() + set.val:count())
  end)

  it("says what is wrong", function()
    local function fails(message, opts)
      assert.has_error(function() data.mura(root, opts) end, "mura: " .. message)
    end
    fails("study: expected some of XR_ELBOW, XR_WRIST, got 'XR_FOOT'", { study = "XR_FOOT" })
    fails("study: expected at least one, got an empty list", { study = {} })
    local path = temporary.write(root, "MURA-v1.1/valid_image_paths.csv",
      "MURA-v1.1/valid/XR_ELBOW/patient1/image1.png\n")
    fails(path .. ":1: expected a path such as MURA-v1.1/train/XR_ELBOW/patient00011/study1_negative/image1.png, "
      .. "got 'MURA-v1.1/valid/XR_ELBOW/patient1/image1.png'")
    assert(os.remove(path))
    fails(path .. ": No such file or directory")
    assert(os.remove(root .. "/MURA-v1.1/train_image_paths.csv"))
    fails(root .. ": expected train_image_paths.csv there or in its folder MURA-v1.1")
  end)
end)
