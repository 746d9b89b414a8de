-- Data sets of DICOM, TIFF and WebP files: windows, patients and studies as groups, what a model remembers.
local clinic = require "support.clinic"
local core = require "secateur.core"
local data = require "secateur.data"
local errors = require "support.errors"
local files = require "secateur.util.files"
local image = require "secateur.data.image"
local preparation = require "secateur.models.preparation"
local stderr = require "support.stderr"
local temporary = require "support.temporary"

describe("data sets of the clinic", function()
  local root
  before_each(function() root = temporary.folder() end)
  after_each(function() files.remove(root) end)

  local function write(name, bytes) return temporary.write(root, name, bytes) end

  -- Two classes of six files each, of three patients.
  local function write_patients()
    local good = clinic.bytes("ct_explicit.dcm")
    for i, class in ipairs { "a", "b" } do
      for n = 1, 6 do
        write(("%s/%d"):format(class, n), (good:gsub("patient%-17", ("patient-%d%d"):format(i, n % 3))))
      end
    end
  end

  local options = { size = 8, channels = 1, on_duplicate = "ignore", quiet = true,
    splits = { train = 0.4, val = 0.3, test = 0.3 } }

  local function with(more)
    local all = {}
    for key, value in pairs(options) do all[key] = value end
    for key, value in pairs(more) do all[key] = value end
    return all
  end

  it("keep the images of a patient together", function()
    local missing = clinic.missing("DICOM")
    if missing then return pending(missing) end
    write_patients()
    local set, where = data.folder(root, with { group = "patient" }), {}
    for _, name in ipairs { "train", "val", "test" } do
      for i = 1, set[name]:count() do
        local group = set[name].groups[i]
        assert.is_truthy(group:find("^patient%-%d%d$"))
        assert.is_true(where[group] == nil or where[group] == name)
        where[group] = name
      end
    end
    assert.equal("group: expected a function of the path, since there is no table with columns, got 'series'",
      errors.raised(data.folder, root, with { group = "series" }):match("group:.*"))
  end)

  it("say how many images have no patient, and that none has", function()
    local missing = clinic.missing("DICOM")
    if missing then return pending(missing) end
    write_patients()
    files.remove(root .. "/a/1")
    write("a/1.png", io.open("spec/fixtures/images/grey8.png", "rb"):read("a"))
    local set = data.folder(root, with { group = "patient" })
    assert.equal("group = 'patient': images without PatientID, each a group of its own: 1 of 12", set.notes[1])
    write("a/DICOMDIR", "no image")
    assert.equal(set.notes[1], data.folder(root, with { group = "patient" }).notes[1])
    for n = 1, 6 do write("a/" .. n, clinic.bytes("grey8.tif")) write("b/" .. n, clinic.bytes("grey8.tif")) end
    files.remove(root .. "/a/1.png")
    assert.is_truthy(errors.raised(data.folder, root, with { group = "study" }):find(
      "group: expected DICOM files with StudyInstanceUID, found none", 1, true))
  end)

  it("take a column called patient before headers", function()
    local lines = { "file,label,split,patient" }
    for i, split in ipairs { "train", "val", "test" } do
      for _, class in ipairs { "a", "b" } do
        local name = ("%s%d.png"):format(class, i)
        write(name, io.open("spec/fixtures/images/grey8.png", "rb"):read("a"))
        lines[#lines + 1] = ("%s,%s,%s,%s"):format(name, class, split, class .. i)
      end
    end
    write("split.csv", table.concat(lines, "\n"))
    local opts = { size = 8, channels = 1, on_duplicate = "ignore", quiet = true, group = "patient" }
    assert.same({ "a1", "b1" }, data.folder(root, opts).train.groups)
    opts.file = "file"
    assert.same({ "a1", "b1" }, data.csv(root .. "/split.csv", opts).train.groups)
  end)

  it("take a window, which a model remembers", function()
    local missing = clinic.missing("DICOM")
    if missing then return pending(missing) end
    write_patients()
    local window = { -600, 1500 }
    local set = data.folder(root, with { window = window, mean = 0, std = 1 })
    local source <close> = core.image_source { kind = "files", paths = { clinic.folder .. "ct_explicit.dcm" },
      window = window }
    local wanted = source:batch({ 1 }, { size = 8, channels = 1 })
    assert.same(wanted:totable(), set.train:batch({ 1 }):totable())
    assert.same(window, preparation.from(set.train.preparation).window)
    local alone = image(clinic.folder .. "ct_explicit.dcm",
      { size = 8, channels = 1, window = window, mean = 0, std = 1 })
    assert.same(wanted:totable()[1], alone:totable())
    local other = data.folder(root, with { window = "file", mean = 0, std = 1 })
    assert.is_nil(other.train.preparation.window)
    local known = preparation.from(set.train.preparation)
    assert.same({ "window -600 1500, got file" }, preparation.differences(known, other.train.preparation))
    assert.is_truthy(errors.raised(data.folder, root, with { window = { 40, 0 } }):find(
      "window: expected 'file', 'full' or {centre, width}, a width of at least 1", 1, true))
  end)

  it("name what cannot be read, and why", function()
    local missing = clinic.missing("DICOM")
    if missing then return pending(missing) end
    write_patients()
    write("a/frames.dcm", clinic.bytes("refused_frames.dcm"))
    local set
    local said = stderr.text(function() set = data.folder(root, with { quiet = false }) end)
    assert.is_truthy(said:find("skipped 1 of 13 files", 1, true))
    assert.equal("DICOM: it holds 3 frames; single frames are read (split it into one file per frame)",
      set.skipped[1].message)
    assert.is_nil((said .. tostring(set)):find("Nobody", 1, true))
  end)
end)
