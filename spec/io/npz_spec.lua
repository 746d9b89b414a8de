local core = require "secateur.core"
local errors = require "support.errors"
local files = require "secateur.util.files"
local temporary = require "support.temporary"

local fixtures = "spec/fixtures/io/"

local message_of = errors.raised

-- Values 0, 1, 2, ... in row-major order, as a nested table.
local function counted(...)
  local shape, at = { ... }, -1
  local function level(d)
    if d > #shape then
      at = at + 1
      return at
    end
    local list = {}
    for i = 1, shape[d] do list[i] = level(d + 1) end
    return list
  end
  return level(1)
end

local function single(x)
  return (string.unpack("<f", string.pack("<f", x)))
end

-- What spec/fixtures/make_io.py wrote: element type and values.
local expected = {
  u1 = { "uint8", { { 0, 1, 2 }, { 3, 4, 5 } } },
  i1 = { "int64", { -128, 127 } },
  i2 = { "int64", { -32768, 32767 } },
  i4 = { "int64", { -2147483648, 2147483647 } },
  i8 = { "int64", { math.mininteger, math.maxinteger } },
  u2 = { "int64", { 0, 65535 } },
  u4 = { "int64", { 0, 4294967295 } },
  u8 = { "int64", { 0, math.maxinteger } },
  f4 = { "float32", { { 1.5, -2.25 }, { single(3e38), single(1e-45) } } },
  f8 = { "float32", { single(0.1), math.huge, 0.0 } },
  b1 = { "int64", { { 1, 0 }, { 0, 1 } } },
  big_f4 = { "float32", counted(2, 3) },
  big_i2 = { "int64", { 1, -2, 300 } },
  big_f8 = { "float32", { 1.5, -2.5 } },
  big_i8 = { "int64", { 1, -2 } },
  fortran2 = { "float32", counted(2, 3) },
  fortran3 = { "int64", counted(2, 3, 4) },
  fortran5 = { "uint8", counted(2, 1, 3, 2, 2) },
  scalar = { "float32", 7.5 },
}

for _, name in ipairs { "stored", "deflated" } do
  describe("npz_load of a " .. name .. " archive", function()
    local arrays = core.npz_load(fixtures .. name .. ".npz")

    it("gives every array its type, shape and exact values", function()
      for key, want in pairs(expected) do
        assert.equal(want[1], arrays[key]:dtype(), key)
        assert.same(want[2], arrays[key]:totable(), key)
      end
      assert.same({}, arrays.scalar:shape())
      assert.same({ 0, 3 }, arrays.empty:shape())
    end)

    it("gives integers as integers and floats as floats", function()
      for key, kind in pairs { b1 = "integer", u1 = "integer", i4 = "integer", f4 = "float" } do
        local value = arrays[key]:totable()[1]
        assert.equal(kind, math.type(type(value) == "table" and value[1] or value), key)
      end
    end)

    it("reads half precision exactly, zeros, subnormals, infinities and all", function()
      local half = arrays.f2:totable()
      assert.same({ 1.5, -0.0, 2.0 ^ -24, 65504.0, math.huge, -math.huge }, { table.unpack(half, 1, 6) })
      assert.equal(-math.huge, 1 / half[2])
      assert.not_equal(half[7], half[7]) -- NaN
      assert.equal(2.0 ^ -14, half[8])
    end)

    it("reads only the arrays asked for", function()
      local some = core.npz_load(fixtures .. name .. ".npz", { "f4", "scalar" })
      local names = {}
      for key in pairs(some) do names[#names + 1] = key end
      table.sort(names)
      assert.same({ "f4", "scalar" }, names)
      assert.same(expected.f4[2], some.f4:totable())
    end)

    it("lists names in the archive's order", function()
      local names = core.npz_names(fixtures .. name .. ".npz")
      assert.equal(name == "stored" and 21 or 22, #names)
      assert.same({ "u1", "i1", "i2" }, { table.unpack(names, 1, 3) })
    end)
  end)
end

describe("npz_load", function()
  it("inflates an array longer than its buffers", function()
    local long = core.npz_load(fixtures .. "deflated.npz", { "long" }).long
    assert.same(counted(100, 50), long:totable())
  end)

  it("reads into the double build too", function()
    local double = require "secateur.core_double"
    assert.same({ 0.1, 1e300, -1e-300 }, double.npz_load(fixtures .. "stored.npz", { "f8" }).f8:totable())
  end)

  it("names what is missing, and the file", function()
    assert.matches("'spec/fixtures/io/stored.npz': no array 'nothing' in it",
      message_of(core.npz_load, fixtures .. "stored.npz", { "nothing" }), 1, true)
    assert.matches("'no such file': No such file or directory", message_of(core.npz_load, "no such file"), 1, true)
    assert.matches("'spec': expected a regular file, got a directory", message_of(core.npz_names, "spec"), 1, true)
    assert.matches("'spec/io/npz_spec.lua': not a zip archive, or cut short: no end record",
      message_of(core.npz_names, "spec/io/npz_spec.lua"), 1, true)
    assert.matches("npz_load: path: expected a string, got 1", message_of(core.npz_load, 1), 1, true)
    assert.matches("npz_load: names: expected a list of names, got 'x'", message_of(core.npz_load, "a", "x"), 1, true)
    assert.matches("npz_load: path: expected a string without zero bytes", message_of(core.npz_load, "a\0b"), 1, true)
  end)

  it("holds no native memory and no file afterwards", function()
    collectgarbage()
    collectgarbage()
    local before = core.memory()
    for _ = 1, 2000 do -- more than there may be open files
      core.npz_names(fixtures .. "stored.npz")
      pcall(core.npz_load, fixtures .. "stored.npz", { "nothing" })
    end
    collectgarbage()
    collectgarbage()
    assert.equal(before, (core.memory()))
  end)
end)

-- A zip archive put together here, so that single fields can be wrong or of a rare kind: `stream` puts the sizes
-- after the data, `zip64` everything that may be there into 64-bit fields.
local function archive(entry)
  local name, data = entry.name or "a.npy", entry.data
  local method, flags = entry.method or 0, entry.flags or 0
  local crc, size = entry.crc or 0, entry.size or #data
  local compressed, offset = entry.compressed or #data, entry.offset or 0
  local function fields(crc32, stored, whole, extra)
    return string.pack("<I2I2I2I4I4I4I4I2I2", 20, flags, method, 0, crc32, stored, whole, #name, extra)
  end
  local local_header = "PK\3\4"
    .. (entry.stream and fields(0, 0, 0, 0) or fields(crc, compressed, math.min(size, 0xffffffff), 0)) .. name
  if entry.stream then data = data .. "PK\7\8" .. string.pack("<I4I4I4", crc, compressed, size) end
  local directory, copies = "PK\1\2" .. string.pack("<I2", 20), entry.copies or 1
  if entry.zip64 then
    local other, extra = "\1\2\3\0xyz", string.pack("<I2I2I8I8I8", 1, 24, size, compressed, offset)
    directory = directory .. fields(crc, 0xffffffff, 0xffffffff, #other + #extra)
      .. string.pack("<I2I2I2I4I4", 0, 0, 0, 0, 0xffffffff) .. name .. other .. extra
  else
    directory = directory .. fields(crc, compressed, size, 0)
      .. string.pack("<I2I2I2I4I4", 0, 0, 0, 0, offset) .. name
  end
  directory = directory:rep(copies)
  local place, comment = entry.directory or #local_header + #data, entry.comment or ""
  local all = local_header .. data .. directory
  if entry.zip64 then
    local record = "PK\6\6" .. string.pack("<I8I2I2I4I4I8I8I8I8", 44, 45, 45, 0, entry.disk or 0, copies, copies,
      #directory, place)
    local locator = "PK\6\7" .. string.pack("<I4I8I4", 0, entry.record or #all, 1)
    all, copies, directory, place = all .. record .. locator, 0xffff, "", 0xffffffff
  end
  return all .. "PK\5\6" .. string.pack("<I2I2I2I2I4I4s2", entry.zip64 and 0 or entry.disk or 0, 0,
    entry.count or copies, entry.count or copies, #directory, place, comment)
end

describe("a zip archive", function()
  local folder
  setup(function() folder = temporary.folder() end)
  teardown(function() files.remove(folder) end)

  local function complaint(entry)
    return message_of(core.npz_load, temporary.write(folder, "x.npz", archive(entry)))
  end

  local data = assert(files.read_all(fixtures .. "version1.npy"))

  it("is read when it is right", function()
    local crc = 0xDEADBEEF -- wrong, and the message says what would be right
    local message = complaint { data = data, crc = crc }
    assert.matches("entry 'a.npy': its checksum is wrong: expected deadbeef, got (%x+)", message)
    local right = tonumber(message:match("got (%x+)"), 16)
    local path = temporary.write(folder, "y.npz", archive { data = data, crc = right })
    assert.same({ { 0, 1 }, { 2, 3 } }, core.npz_load(path).a:totable())
  end)

  it("is read in its rarer forms", function()
    local crc = tonumber(complaint({ data = data }):match("got (%x+)"), 16)
    for _, form in ipairs {
      { comment = "a comment with PK\5\6 in it" },
      { flags = 8, stream = true },
      { zip64 = true },
      { zip64 = true, flags = 8, stream = true, comment = ("x"):rep(65535) },
    } do
      form.data, form.crc = data, crc
      local path = temporary.write(folder, "rare.npz", archive(form))
      assert.same({ { 0, 1 }, { 2, 3 } }, core.npz_load(path).a:totable())
    end
  end)

  it("is refused when a claim of its directory cannot be true", function()
    for _, case in ipairs {
      { "corrupt zip archive: zip64 end record out of bounds", { data = data, zip64 = true, record = 1 << 40 } },
      { "corrupt zip archive: no zip64 end record", { data = data, zip64 = true, record = 1 } },
      { "multi-disk zip archives are not supported", { data = data, zip64 = true, disk = 1 } },
      { "corrupt zip archive: central directory out of bounds", { data = data, zip64 = true, directory = 1 << 62 } },
      { "entry 'a.npy': implausible size: 144 bytes stored for 4611686018427387904",
        { data = data, zip64 = true, size = 1 << 62 } },
      { "entry 'a.npy': it is encrypted", { data = data, flags = 1 } },
      { "entry 'a.npy': expected it stored or deflated, got compression method 12", { data = data, method = 12 } },
      { "entry 'a.npy': implausible size: 144 bytes stored for 145", { data = data, size = 145 } },
      { "entry 'a.npy': implausible size: 144 bytes stored for 4294967294",
        { data = data, method = 8, size = 4294967294 } },
      { "entry 'a.npy': corrupt deflate data", { data = ("\6"):rep(20), method = 8 } },
      { "entry 'a.npy': deflate data cut short", { data = "", method = 8, size = 12 } },
      { "entry 'a.npy': its data overlap the next entry or are out of bounds", { data = data, offset = 1 } },
      { "entry 'a.npy': duplicate name", { data = data, copies = 2 } },
      { "central directory: an entry has no valid name", { data = data, name = "a\0.npy" } },
      { "corrupt zip archive: central directory out of bounds", { data = data, directory = 4294967290 } },
      { "multi-disk zip archives are not supported", { data = data, disk = 1 } },
      { "central directory too short for its number of entries", { data = data, count = 3 } },
    } do
      assert.matches("/x.npz': " .. case[1], complaint(case[2]), 1, true)
    end
  end)

  it("may hold other entries, which are no arrays", function()
    local path = temporary.write(folder, "z.npz", archive { name = "notes.txt", data = "hello" })
    assert.same({}, core.npz_names(path))
    assert.same({}, core.npz_load(path))
  end)
end)
