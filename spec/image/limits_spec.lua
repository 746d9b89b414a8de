-- What a small file may make the decoder do: how many scans, how many bytes, and for how long after Ctrl-C.
local child = require "support.child"
local clinic = require "support.clinic"
local core = require "secateur.core"
local data = require "secateur.data"
local files = require "secateur.util.files"
local interrupt = require "support.interrupt"
local needs = require "support.needs"
local pictures = require "support.pictures"
local temporary = require "support.temporary"

local function segment(marker, content)
  return "\xff" .. string.char(marker) .. string.pack(">s2", ("\0"):rep(2) .. content):sub(1, 2) .. content
end

-- A grey progressive JPEG of size x size zeros: one scan of DC coefficients, then scans of AC coefficients that end all
-- blocks by runs of 2^15 - 1 at a time, a code bit and 14 bits of length each.
local function many_scans(size, scans)
  local blocks = ((size + 7) // 8) ^ 2 // 1 | 0
  local function table_of(class, symbol) return segment(0xc4, string.char(class, 1) .. ("\0"):rep(15) .. symbol) end
  local function scan(from, to, bits)
    local bytes = bits:gsub("........", function(byte) return string.char(tonumber(byte, 2)) end)
    return segment(0xda, string.char(1, 1, 0, from, to, 0)) .. bytes:gsub("\xff", "\xff\0")
  end
  local runs = (blocks + 32766) // 32767
  local ends = ("0" .. ("1"):rep(14)):rep(runs)
  local ac = scan(1, 1, ends .. ("1"):rep(-#ends % 8))
  return "\xff\xd8" .. segment(0xdb, "\0" .. ("\1"):rep(64))
    .. segment(0xc2, string.pack(">BI2I2B", 8, size, size, 1) .. "\1\x11\0")
    .. table_of(0, "\0") .. table_of(16, "\xe0")
    .. scan(0, 0, ("0"):rep((blocks + 7) // 8 * 8)) .. ac:rep(scans - 1) .. "\xff\xd9"
end

describe("limits of decoding", function()
  local root
  setup(function() root = temporary.folder() end)
  teardown(function() files.remove(root) end)

  it("are 500 scans of a JPEG", function()
    local good = temporary.write(root, "good.jpg", many_scans(64, 500))
    local bad = temporary.write(root, "bad.jpg", many_scans(64, 501))
    assert.same({ 1, 64, 64 }, core.image_load(good):shape())
    assert.has_error(function() core.image_load(bad) end,
      "image_load: '" .. bad .. "': a damaged JPEG file: it has more than 500 scans")
  end)

  describe("of DICOM files", function()
    local missing = clinic.missing "DICOM"
    if missing then
      pending(missing)
      return
    end

    local function element(group, number, kind, value)
      value = #value % 2 == 1 and value .. (kind == "UI" and "\0" or " ") or value
      return string.pack("<I2I2", group, number) .. kind .. string.pack("<s2", value)
    end

    -- A file of a transfer syntax, all that stands before the data set.
    local function preamble(uid)
      local syntax = element(2, 0x10, "UI", uid)
      return ("\0"):rep(128) .. "DICM" .. element(2, 0, "UL", string.pack("<I4", #syntax)) .. syntax
    end

    -- The start of an element of bytes that claims a length.
    local function bytes_of(group, number, length)
      return string.pack("<I2I2", group, number) .. "OB\0\0" .. string.pack("<I4", length)
    end

    -- What tells of 64 x 64 grey pixels of 8 bits.
    local function pixel_module()
      local function short(number, value) return element(0x28, number, "US", string.pack("<I2", value)) end
      return short(2, 1) .. element(0x28, 4, "CS", "MONOCHROME2") .. short(0x10, 64) .. short(0x11, 64)
        .. short(0x100, 8) .. short(0x101, 8) .. short(0x102, 7) .. short(0x103, 0)
    end

    local function refuses(path, message)
      assert.has_error(function() core.image_load(path) end, "image_load: '" .. path .. "': a damaged DICOM file: "
        .. message)
    end

    it("are 100 scans of a JPEG", function()
      local function dicom(scans, size)
        local stream = many_scans(size or 64, scans)
        if #stream % 2 == 1 then stream = stream .. "\0" end
        local function item(content) return string.pack("<I2I2s4", 0xfffe, 0xe000, content) end
        return preamble "1.2.840.10008.1.2.4.50" .. pixel_module() .. bytes_of(0x7fe0, 0x10, 0xffffffff) .. item ""
          .. item(stream) .. string.pack("<I2I2I4", 0xfffe, 0xe0dd, 0)
      end
      assert.same({ 1, 64, 64 }, core.image_load(temporary.write(root, "good.dcm", dicom(100))):shape())
      refuses(temporary.write(root, "bad.dcm", dicom(101)), "its JPEG stream has more than 100 scans")
      -- Of a smaller picture the library would leave pixels as they were.
      for _, size in ipairs { 8, 128 } do
        refuses(temporary.write(root, "bad.dcm", dicom(2, size)),
          "its JPEG stream is of another size than its Rows and Columns")
      end
    end)

    it("are all pixels, of which run lengths must tell", function()
      local function dicom(runs)
        local stream = string.pack("<I4I4", 1, 64) .. ("\0"):rep(56) .. ("\x81\x40"):rep(runs)
        local function item(content) return string.pack("<I2I2s4", 0xfffe, 0xe000, content) end
        return preamble "1.2.840.10008.1.2.5" .. pixel_module() .. bytes_of(0x7fe0, 0x10, 0xffffffff) .. item ""
          .. item(stream) .. string.pack("<I2I2I4", 0xfffe, 0xe0dd, 0)
      end
      assert.same({ 1, 64, 64 }, core.image_load(temporary.write(root, "good.dcm", dicom(32))):shape())
      -- The library would leave what is missing as memory had it.
      refuses(temporary.write(root, "bad.dcm", dicom(31)), "its run lengths end before its pixels do")
    end)

    it("are the bytes that there are, whatever an element claims", function()
      local explicit = preamble "1.2.840.10008.1.2.1"
      for _, text in ipairs { bytes_of(9, 0x1001, 0xf0000000) .. "abc",
        pixel_module() .. bytes_of(0x7fe0, 0x10, 0xfffffffe) .. "abc" } do
        local path = temporary.write(root, "claim.dcm", explicit .. text)
        -- nothing is allocated for it: a limit on memory changes no verdict
        refuses(path, "truncated")
      end
    end)

    it("are a hundred times their size where they are deflated", function()
      local count = 128 << 20
      local start = temporary.write(root, "start", bytes_of(9, 0x1001, count))
      local pixels = temporary.write(root, "pixels", pixel_module() .. bytes_of(0x7fe0, 0x10, 4096) .. ("x"):rep(4096))
      local function deflated(name, zeros)
        local packed = files.join(root, "packed")
        local command = ("{ %s cat %s; } | gzip -1 -n > %s 2>/dev/null"):format(
          zeros and ("cat %s; head -c %d /dev/zero;"):format(start, count) or "", pixels, packed)
        if not os.execute(command) then return nil end
        return temporary.write(root, name, preamble "1.2.840.10008.1.2.1.99"
          .. assert(files.read_all(packed)):sub(11, -9))
      end
      local plain = deflated "plain.dcm"
      if not plain then return pending "no gzip here to make it with" end
      assert.same({ 1, 64, 64 }, core.image_load(plain):shape())
      refuses(deflated("bomb.dcm", true), "its deflated data unpack to more than a hundred times its size")
    end)

    it("are levels of sequences and numbers of elements, deflated or not", function()
      local function written(name, text)
        local plain = temporary.write(root, name, preamble "1.2.840.10008.1.2.1" .. text)
        local unpacked, packed = temporary.write(root, "unpacked", text), files.join(root, "packed")
        if not os.execute(("gzip -1 -n < %s > %s 2>/dev/null"):format(unpacked, packed)) then return plain end
        return plain, temporary.write(root, "deflated_" .. name, preamble "1.2.840.10008.1.2.1.99"
          .. assert(files.read_all(packed)):sub(11, -9))
      end
      local level = "\33\0\16\16SQ\0\0\255\255\255\255\254\255\0\224\255\255\255\255"
      for _, path in ipairs { written("deep.dcm", level:rep(200000)) } do
        refuses(path, "its sequences lie in each other too deep")
      end
      for _, path in ipairs { written("many.dcm", ("\33\0\16\16LO\0\0"):rep(1 << 20)) } do
        refuses(path, "it has more elements than any picture needs")
      end
    end)
  end)

  it("are bytes: by default 4 for each pixel that is allowed", function()
    local path = "spec/fixtures/images/colour16.png" -- 7 x 5 pixels of 6 bytes
    local function refusal(most)
      return ("'%s': 7 x 5 pixels of 3 samples of 16 bits unpack to more than max_bytes = %d"):format(path, most)
    end
    assert.same({ 3, 5, 7 }, core.image_load(path, { max_bytes = 210 }):shape())
    assert.has_error(function() core.image_load(path, { max_bytes = 209 }) end, "image_load: " .. refusal(209))
    assert.same({ 3, 5, 7 }, core.image_load(path, { max_pixels = 53 }):shape())
    assert.has_error(function() core.image_load(path, { max_pixels = 52 }) end, "image_load: " .. refusal(208))
    -- at the scan, by the header alone; grey and 8 bits are as small as they are
    local source = core.image_source { kind = "files", paths = { path, "spec/fixtures/images/grey16.png",
      "spec/fixtures/images/grey8.png" }, max_bytes = 70 }
    assert.same({ { index = 1, message = refusal(70) } }, source:check())
  end)

  it("are options of data sets", function()
    for _, class in ipairs { "a", "b" } do
      for i = 1, 4 do pictures.save(root, ("set/%s/%d.png"):format(class, i), i / 5) end
    end
    assert.equal(0, #data.folder(root .. "/set", { size = 8, quiet = true, max_bytes = 120 }).skipped)
    assert.has_error(function() data.folder(root .. "/set", { size = 8, quiet = true, max_bytes = 119 }) end,
      ("folder: %s/set: class 'a': none of its 4 images can be read"):format(root))
  end)

  it("end with the loader, in the midst of an image", function()
    needs.native(pending, "a fence of processor time")
    local path = temporary.write(root, "closed.jpg", many_scans(8192, 500))
    -- Whole, the images that are begun would take ten times what the system allows the process.
    local good, output = child.try(([[
      local core = require "secateur.core"
      local source = core.image_source { kind = "files", paths = { %q }, cache_bytes = 0 }
      for _ = 1, 500 do core.image_loader(source, { indices = { 1, 1, 1 }, size = 8, workers = 2 }):close() end
    ]]):format(path), "ulimit -t 100; %s")
    assert.is_true(good, output)
  end)

  it("end the largest JPEG at Ctrl-C, in the midst of its scans", function()
    needs.proc(pending)
    local path = temporary.write(root, "large.jpg", many_scans(8192, 500))
    for _, call in ipairs { "core.image_load, path", "source.batch, source, { 1 }, { size = 8 }",
      "source.pixels, source, 1", "loader.next, loader" } do
      interrupt.check {
        setup = ([[
          local path = %q
          local source = core.image_source { kind = "files", paths = { path }, cache_bytes = 0 }
          local loader = core.image_loader(source, { indices = { 1 }, size = 8 })]]):format(path),
        call = call,
      }
    end
  end)
end)
