local archives = require "support.archives"
local core = require "secateur.core"
local damage = require "support.damage"
local errors = require "support.errors"
local files = require "secateur.util.files"
local interrupt = require "support.interrupt"
local lfs = require "lfs"
local needs = require "support.needs"
local temporary = require "support.temporary"

local message_of = errors.raised

describe("the raw file", function()
  local folder, path
  setup(function()
    folder = temporary.folder()
    path = temporary.write(folder, "x", "abc" .. string.pack("<ffff", 1, 2, 3, 4))
  end)
  teardown(function() files.remove(folder) end)

  it("gives its bytes, and their sum", function()
    local file <close> = core.file_open(path)
    assert.equal(19, file:size())
    assert.equal("bc", file:bytes(1, 2))
    assert.equal("", file:bytes(19, 0))
    assert.equal(0x352441c2, file:crc32(0, 3))
    assert.equal(0, file:crc32(5, 0))
  end)

  it("tells when it was changed", function()
    for _, seconds in ipairs { 1000000000, 0, 1234567890 } do
      assert(lfs.touch(path, seconds, seconds))
      local file <close> = core.file_open(path)
      assert.equal(seconds * 1000000000, file:modified())
    end
  end)

  it("ends soon after Ctrl-C", function()
    needs.proc(pending)
    local handle <close> = assert(io.open(folder .. "/sparse", "wb"))
    handle:seek("set", (1 << 29) - 1)
    handle:write "x"
    handle:close()
    interrupt.check { setup = ("local file = core.file_open %q"):format(folder .. "/sparse"),
      call = "file.tensor, file, 'U8', { 31580641 }, { 17 }, 0, 0, file:size()" }
  end)

  it("gives views of what lies in it", function()
    local file <close> = core.file_open(path)
    assert.same({ 1, 2, 3, 4 }, file:tensor("F32", { 4 }, { 1 }, 0, 3, 16):totable())
    assert.same({ { 1, 3 }, { 2, 4 } }, file:tensor("F32", { 2, 2 }, { 1, 2 }, 0, 3, 16):totable())
    assert.same({ 4, 4 }, file:tensor("F32", { 2 }, { 0 }, 3, 3, 16, false):totable())
    assert.equal(3, file:tensor("F32", {}, {}, 2, 3, 16):get())
    assert.same({ 0, 3 }, file:tensor("F32", { 0, 3 }, { 3, 1 }, 7, 3, 16):shape())
    assert.same({ 0x61626364 }, core.file_open(temporary.write(folder, "big", "abcd"))
      :tensor("I32", { 1 }, { 1 }, 0, 0, 4, true):totable())
  end)

  it("gathers any view as a plain loop does", function()
    local draw, parts, length = damage.draws(5), {}, 40000
    for i = 1, length do parts[i] = string.pack("<I2", i) end
    local file <close> = core.file_open(temporary.write(folder, "storage", table.concat(parts)))
    local strides_of, seen = { 0, 1, 2, 3, 7, 30, 200, 5000 }, 0
    while seen < 300 do
      local shape, strides, offset, last = {}, {}, draw(100), 0
      for d = 1, draw(6) do
        shape[d], strides[d] = draw(6) + 1, strides_of[draw(#strides_of) + 1]
        last = last + (shape[d] - 1) * strides[d]
      end
      if offset + last < length then
        seen = seen + 1
        local flat, numel = file:tensor("U16", shape, strides, offset, 0, 2 * length), 1
        for _, size in ipairs(shape) do numel = numel * size end
        local got = flat:reshape(numel):totable()
        for i = 0, numel - 1 do
          local rest, at = i, offset
          for d = #shape, 1, -1 do
            at, rest = at + rest % shape[d] * strides[d], rest // shape[d]
          end
          assert.equal(at + 1, got[i + 1])
        end
      else
        assert.matches("out of bounds of its storage",
          message_of(file.tensor, file, "U16", shape, strides, offset, 0, 2 * length), 1, true)
      end
    end
  end)

  it("checks the sum of a storage, also where all threads read it", function()
    local parts, block = {}, {}
    for i = 1, 1000 do block[i] = string.pack("<I8", core.mix(1, i)) end
    for i = 1, 33 do parts[i] = string.pack("<I8", i) .. table.concat(block):rep(131) end -- a mebibyte, nearly
    local bytes = table.concat(parts) .. "odd"
    local handle <close> = assert(io.open(folder .. "/large", "wb")) -- files.write_all waits for the disk
    handle:write(bytes)
    handle:close()
    local large <close> = core.file_open(folder .. "/large")
    local crc = large:crc32(0, #bytes)
    local function read(sum) return large:tensor("U8", { #bytes }, { 1 }, 0, 0, #bytes, false, sum) end
    local tensor = read(crc)
    for _, at in ipairs { 1, 1 << 20, (1 << 20) + 1, 5 << 20, (32 << 20) + 1, #bytes } do
      assert.equal(bytes:byte(at), tensor:get(at))
    end
    assert.equal(("'%s/large': its checksum is wrong: expected %08x, got %08x"):format(folder, crc ~ 1, crc),
      errors.text(read, crc ~ 1))
    assert.equal(("'%s/large': a checksum requires a contiguous view of the whole storage"):format(folder),
      message_of(large.tensor, large, "U8", { 2 }, { 5 }, 0, 0, #bytes, false, crc))
  end)

  it("gives an archive's entries", function()
    local zip = temporary.write(folder, "x.zip", archives.zip { { name = "a", data = "one" },
      { name = "b/c", data = "two!", method = 8 }, { name = "", data = "" } })
    local file <close> = core.file_open(zip)
    assert.matches("central directory: an entry has no valid name", message_of(file.zip, file), 1, true)
    temporary.write(folder, "x.zip", archives.zip { { name = "b", data = "one" },
      { name = "a/c", data = "two!", method = 8 } })
    local good <close> = core.file_open(zip)
    assert.equal(2, good:zip())
    assert.equal(2, good:zip())
    assert.equal("a/c", good:name(2))
    local offset, length, crc, plain = good:entry "b"
    assert.equal("one", good:bytes(offset, length))
    assert.equal(crc, good:crc32(offset, length))
    assert.is_true(plain)
    assert.is_false(select(4, good:entry "a/c"))
    assert.is_nil(good:entry "a")
    assert.is_nil(good:entry "")
  end)

  it("checks what it is asked for", function()
    local file = core.file_open(path)
    for message, call in pairs {
      ["file: offset: expected a whole number in 0..19, got 20"] = { file.bytes, file, 20, 0 },
      ["file: length: expected a whole number in 0..18, got 19"] = { file.bytes, file, 1, 19 },
      ["file: length: expected a whole number in 0..19, got -1"] = { file.crc32, file, 0, -1 },
      ["file: entry: expected a whole number in 1..0, got 1"] = { file.name, file, 1 },
      ["file: entry: expected a string, got nil"] = { file.entry, file },
      ["file: dtype: expected one of BOOL U8 I8 U16 I16 U32 I32 U64 I64 F16 BF16 F32 F64, got 'x'"] =
        { file.tensor, file, "x" },
      ["file: shape: expected a list of sizes, got 3"] = { file.tensor, file, "F32", 3 },
      ["file: strides: expected a list of strides, got nil"] = { file.tensor, file, "F32", { 1 } },
      ["file: strides: expected 1, got 2"] = { file.tensor, file, "F32", { 1 }, { 1, 1 } },
      ["file: strides: expected a whole number of at least 0, got -1"] = { file.tensor, file, "F32", { 1 }, { -1 } },
      ["file: length: expected a whole number in 0..9, got 10"] =
        { file.tensor, file, "F32", { 1 }, { 1 }, 0, 10, 10 },
      ["file: crc: expected a whole number in 0..4294967295, got -1"] =
        { file.tensor, file, "F32", { 1 }, { 1 }, 0, 3, 4, false, -1 },
      [("'%s': the view is out of bounds of its storage"):format(path)] =
        { file.tensor, file, "F32", { 1 }, { 1 }, 0, 3, 3 },
      [("'%s': not a zip archive, or cut short: no end record"):format(path)] = { file.zip, file },
      ["file_open: path: expected a string without zero bytes"] = { core.file_open, "a\0b" },
      ["'nowhere': No such file or directory"] = { core.file_open, "nowhere" },
    } do
      assert.equal(message, message_of(table.unpack(call)))
    end
    file:close()
    file:close()
    assert.equal("file: the file is closed", message_of(file.size, file))
  end)
end)
