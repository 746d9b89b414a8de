local data = require "secateur.data"
local files = require "secateur.util.files"
local pictures = require "support.pictures"
local temporary = require "support.temporary"

local PLANES = { "Fetal abdomen", "Fetal brain", "Fetal femur", "Fetal thorax", "Maternal cervix", "Other" }
local HEADER = "Image_name;Patient_num;Plane;Brain_plane;Operator;US_Machine;Train "

describe("data.fetal", function()
  local root

  -- 40 patients with an image of each plane; every fourth is for testing.
  local function rows()
    local lines = { HEADER }
    for patient = 1, 40 do
      for plane, name in ipairs(PLANES) do
        lines[#lines + 1] = ("Patient%05d_Plane%d_1_of_1;%d;%s;Not A Brain;Op. 1;Aloka;%d "):format(patient, plane,
          patient, name, patient % 4 == 0 and 0 or 1)
      end
    end
    return lines
  end

  before_each(function()
    root = temporary.folder()
    local lines = rows()
    for i = 2, #lines do pictures.save(root, ("Images/%s.png"):format(lines[i]:match("^[^;]+"))) end
    temporary.write(root, "FETAL_PLANES_DB_data.csv", table.concat(lines, "\r\n") .. "\r\n")
  end)
  after_each(function() assert(files.remove(root)) end)

  local function patients(split)
    local set = {}
    for _, name in ipairs(split.names) do set[name:match("Patient%d+")] = true end
    return set
  end

  it("takes the planes as classes and the column Train as the official split", function()
    local set = data.fetal(root, { size = 8 })
    assert.same(PLANES, set.classes)
    assert.same({ 10, 10, 10, 10, 10, 10 }, set.test:class_counts())
    assert.equal("Images/Patient00004_Plane1_1_of_1.png", set.test.names[1])
    for _, part in ipairs { "train", "val", "test" } do
      for i, name in ipairs(set[part].names) do
        assert.equal(tonumber(name:match("Plane(%d)")), set[part].labels[i])
        assert.equal(part == "test", tonumber(name:match("Patient(%d+)")) % 4 == 0)
      end
    end
  end)

  it("splits val off by patient", function()
    local set = data.fetal(root, { size = 8 })
    -- 30 patients, 1 in 8: 3.75
    assert.same({ 26, 26, 26, 26, 26, 26 }, set.train:class_counts())
    assert.same({ 4, 4, 4, 4, 4, 4 }, set.val:class_counts())
    local train, val, test = patients(set.train), patients(set.val), patients(set.test)
    for patient in pairs(val) do assert.is_nil(train[patient] or test[patient]) end
    assert.same(set.val.names, data.fetal(root, { size = 8 }).val.names)
    assert.not_same(set.val.names, data.fetal(root, { size = 8, seed = 9 }).val.names)
    assert.same(set.val.names, data.fetal(root, { size = 8, group = "patient" }).val.names) -- as it is anyway
  end)

  it("may be given the folder above", function()
    local above = temporary.folder()
    finally(function() assert(files.remove(above)) end)
    assert(os.rename(root, above .. "/FETAL_PLANES_DB"))
    local set = data.fetal(above, { size = 8 })
    assert(os.rename(above .. "/FETAL_PLANES_DB", root))
    assert.equal(60, set.test:count())
  end)

  it("says what is wrong", function()
    local path = root .. "/FETAL_PLANES_DB_data.csv"
    local function with(lines, message)
      temporary.write(root, "FETAL_PLANES_DB_data.csv", table.concat(lines, "\n"))
      assert.has_error(function() data.fetal(root) end, "fetal: " .. message)
    end
    with({ "Image_name;Patient_num;Plane;Train" , "a;1;Fetal brain;2" }, path .. ":2: Train: expected 1 or 0, got '2'")
    with({ HEADER, "a;1;Knee;x;x;x;1" }, path .. ":2: Plane: expected one of " .. table.concat(PLANES, ", ")
      .. ", got 'Knee'")
    with({ HEADER, "a;;Other;x;x;x;1" }, path .. ":2: expected an Image_name and a Patient_num")
    with({ "Image_name;Patient_num;Train", "a;1;1" },
      path .. ": no column 'Plane'; its columns are: 'Image_name', 'Patient_num', 'Train'")
    with({ "Image_name,Patient_num,Plane,Train", "a,1,Other,1" },
      path .. ": no column 'Image_name'; its columns are: 'Image_name,Patient_num,Plane,Train'")
    with({ HEADER, "Patient00001_Plane1_1_of_1;1;Fetal abdomen;x;x;x;1" }, root .. ": class 'Fetal brain' has no image")
    with({ HEADER }, root .. ": expected images, found none")
    assert(os.rename(root .. "/Images", root .. "/Pictures"))
    with({ HEADER }, root .. ": expected the images in a folder 'Images' beside FETAL_PLANES_DB_data.csv")
    assert(os.remove(path))
    assert.has_error(function() data.fetal(root) end,
      ("fetal: %s: expected FETAL_PLANES_DB_data.csv there or in a folder of it"):format(root))
  end)
end)
