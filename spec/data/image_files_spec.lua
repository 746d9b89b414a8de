local core = require "secateur.core"
local data = require "secateur.data"
local errors = require "support.errors"
local files = require "secateur.util.files"
local image_files = require "secateur.data.image_files"
local lfs = require "lfs"
local pictures = require "support.pictures"
local temporary = require "support.temporary"
local toy = require "support.toy"

local message_of = errors.raised

-- Gives a file other bytes of the same length, and its time back.
local function replace(path, keeps_time)
  local content, time = assert(files.read_all(path)), lfs.attributes(path, "modification")
  local at = #content // 2
  assert(files.write_all(path, content:sub(1, at) .. string.char(content:byte(at + 1) ~ 1) .. content:sub(at + 2)))
  if keeps_time then assert(lfs.touch(path, time, time)) end
end

-- What is known of images that nothing was known of.
local function known_of(splits, verify) return (image_files.verify(splits, {}, verify)) end

describe("what images are", function()
  local root, set, known, first, last

  before_each(function()
    root = temporary.folder()
    for i = 1, 40 do
      for _, class in ipairs { "a", "b" } do
        local path = pictures.save(root, ("%s/%03d.png"):format(class, i), i / 41)
        assert(lfs.touch(path, 1000000000, 1000000000))
      end
    end
    set = data.folder(root, { size = 8, channels = 1, quiet = true, splits = { train = 0.9, val = 0.1 } })
    known = known_of({ train = set.train, val = set.val }, "quick")
    first, last = set.train.paths[1], set.train.paths[set.train:count()]
  end)
  after_each(function() files.remove(root) end)

  local function verify(how, before)
    return image_files.verify({ train = set.train, val = set.val }, before or known, how or "quick")
  end

  -- The place of a sample whose file is not read by default.
  local function unread()
    for i, row in ipairs(known.train) do
      if row[3] == -1 then return i end
    end
  end

  it("is size, time and for some a checksum", function()
    assert.equal(set.train:count(), #known.train)
    local read = 0
    for i, row in ipairs(known.train) do
      assert.equal(lfs.attributes(set.train.paths[i], "size"), row[1])
      assert.equal(1000000000 * 1000000000, row[2])
      if row[3] ~= -1 then
        read = read + 1
        local file <close> = core.file_open(set.train.paths[i])
        assert.equal(file:crc32(0, file:size()), row[3])
      end
    end
    assert.equal(64, read)
    assert.is_true(known.train[1][3] >= 0 and known.train[#known.train][3] >= 0)
    for _, row in ipairs(known.val) do assert.is_true(row[3] >= 0) end
    for _, rows in pairs(known_of({ train = set.train }, "full")) do
      for _, row in ipairs(rows) do assert.is_true(row[3] >= 0) end
    end
  end)

  it("is the same where nothing changed", function()
    local now, notes = verify()
    assert.same(known, now)
    assert.same({}, notes)
    now, notes = verify "full"
    assert.same({}, notes)
    assert.is_true(now.train[unread()][3] >= 0)
  end)

  it("tells a file that was cut short, whatever its time", function()
    local path = set.train.paths[unread()]
    local size = lfs.attributes(path, "size")
    assert(files.write_all(path, assert(files.read_all(path)):sub(1, size - 5)))
    assert(lfs.touch(path, 1000000000, 1000000000))
    assert.equal(("the images of train are others than before: 1 of 72, such as '%s' (%d bytes, %d before)")
      :format(path, size - 5, size), message_of(verify))
  end)

  it("tells a file of other content, where it is read", function()
    replace(first, true)
    replace(last, true)
    assert.equal(("the images of train are others than before: 2 of 72, such as '%s' (other content than before)")
      :format(first), message_of(verify))
  end)

  it("tells a file of another time, where its content was not read", function()
    local path = set.train.paths[unread()]
    replace(path)
    local message = message_of(verify)
    assert.truthy(message:find(("1 of 72, such as '%s' (changed since, as its time says); what was in it is not known")
      :format(path), 1, true), message)
    assert.equal(message, message_of(verify, "full"))
  end)

  it("is no copy where but the files that were not read have other times", function()
    local count = 0
    for i, row in ipairs(known.train) do
      if row[3] == -1 then
        count = count + 1
        replace(set.train.paths[i])
      end
    end
    assert.equal(8, count)
    assert.matches("8 of 72, such as '.*' %(changed since, as its time says%)", message_of(verify))
  end)

  it("of all files is known after they were all read", function()
    known = known_of({ train = set.train, val = set.val }, "full")
    local path = set.train.paths[#set.train.paths // 2]
    replace(path, true)
    assert.equal(("the images of train are others than before: 1 of 72, such as '%s' (other content than before)")
      :format(path), message_of(verify))
  end)

  it("is the same where files were only touched, or copied all together", function()
    assert(lfs.touch(first, 2000000000, 2000000000))
    local now, notes = verify()
    assert.same({}, notes)
    assert.equal(2000000000 * 1000000000, now.train[1][2])
    for _, path in ipairs(set.train.paths) do assert(lfs.touch(path, 2000000000, 2000000000)) end
    now, notes = verify()
    assert.same({ "all files of train have other times than before; their sizes, and the content of 64 of 72, are the "
      .. "same: taken for a copy" }, notes)
    assert.same({}, select(2, verify("quick", now)))
  end)

  it("cannot be told of a file that is gone", function()
    local path = set.val.paths[3]
    os.remove(path)
    assert.equal(("'%s': No such file or directory"):format(path), message_of(verify))
    assert.equal(("'%s': No such file or directory"):format(path),
      message_of(image_files.verify, { val = set.val }, {}, "quick"))
  end)

  it("is their pixels where they have no files", function()
    local phantom = data.phantom { size = 16, count = 20, seed = 1, quiet = true }
    local other = data.phantom { size = 16, count = 20, seed = 2, quiet = true }
    local pixels = known_of({ train = phantom.train }, "quick")
    assert.same(pixels, (image_files.verify({ train = phantom.train }, pixels, "full")))
    local message = message_of(image_files.verify, { train = other.train }, pixels, "quick")
    assert.truthy(message:find "^the images of train are others than before: 12 of 12, such as '", message)
  end)

  it("is not asked of splits of somebody's own", function()
    assert.same({}, known_of({ train = toy.split(3, 1) }, "full"))
    assert.same({ {}, {} }, { image_files.verify({ train = toy.split(3, 1) }, {}, "quick") })
  end)

  it("is asked of what the splits have no known images of", function()
    local now = image_files.verify({ train = set.train, val = set.val }, { train = known.train }, "quick")
    assert.same(known, now)
    assert.equal("the images of val are others than before: 8, not 3",
      message_of(verify, "quick", { val = { { 1, 2, 3 }, { 1, 2, 3 }, { 1, 2, 3 } } }))
  end)
end)
