-- Digests of decoded pixels: the hash against a replica, and which files count as the same image.
local core = require "secateur.core"
local files = require "secateur.util.files"
local interrupt = require "support.interrupt"
local pictures = require "support.pictures"
local temporary = require "support.temporary"

local IMAGES = "spec/fixtures/images/"

-- MurmurHash3_x64_128 as its author publishes it, but for the state that it begins with.
local function murmur3(bytes, a, b)
  local C1, C2 = 0x87c37b91114253d5, 0x4cf5ad432745937f
  local function left(value, by) return value << by | value >> (64 - by) end
  local function final(value)
    value = (value ~ value >> 33) * 0xff51afd7ed558ccd
    value = (value ~ value >> 33) * 0xc4ceb9fe1a85ec53
    return value ~ value >> 33
  end
  local at = 1
  while #bytes - at >= 15 do
    local k1, k2 = ("<I8I8"):unpack(bytes, at)
    a = a ~ left(k1 * C1, 31) * C2
    a = (left(a, 27) + b) * 5 + 0x52dce729
    b = b ~ left(k2 * C2, 33) * C1
    b = (left(b, 31) + a) * 5 + 0x38495ab5
    at = at + 16
  end
  local k1, k2 = ("<I8I8"):unpack(bytes:sub(at) .. ("\0"):rep(16))
  if #bytes - at >= 8 then b = b ~ left(k2 * C2, 33) * C1 end
  if #bytes >= at then a = a ~ left(k1 * C1, 31) * C2 end
  a, b = a ~ #bytes, b ~ #bytes
  a = a + b
  b = b + a
  a, b = final(a), final(b)
  a = a + b
  return ("%016x%016x"):format(a, b + a)
end

local function source_of(paths)
  return core.image_source { kind = "files", paths = paths }
end

describe("digests of images", function()
  it("are MurmurHash3 of the samples, begun from the sizes", function()
    -- The published value of a well-known text tells that the replica is the hash.
    assert.equal("e34bbc7bbc071b6c7a433ca9c49a9347", murmur3("The quick brown fox jumps over the lazy dog", 0, 0))
    for _, size in ipairs { { 1, 1 }, { 2, 4 }, { 3, 3 }, { 5, 7 }, { 4, 4 }, { 31, 2 } } do
      local height, width = size[1], size[2]
      local values, bytes = {}, {}
      for y = 1, height do
        values[y] = {}
        for x = 1, width do
          values[y][x] = (y * 37 + x * 101) % 256
          bytes[#bytes + 1] = string.char(values[y][x])
        end
      end
      local source = core.image_source { kind = "pixels", pixels = core.tensor({ values }, "uint8") }
      assert.same({ murmur3(table.concat(bytes), width << 32 | height, 1 << 8) }, source:digests())
    end
  end)

  it("are equal for the same image in another file, and for grey stored as colour", function()
    local folder = temporary.folder()
    local one, two = pictures.save(folder, "one.png", 0.5), pictures.save(folder, "two.png", 0.25)
    local colour = files.join(folder, "colour.png")
    core.image_save(colour, core.image_load(one, { channels = 3 }))
    local bad = temporary.write(folder, "bad.png", "no picture")
    local copy = temporary.write(folder, "copy.png", assert(files.read_all(one)))
    local digests = source_of({ one, two, colour, bad, copy, IMAGES .. "colour8.png",
      IMAGES .. "colour16.png" }):digests()
    assert.equal(7, #digests)
    assert.equal(digests[1], digests[3])
    assert.equal(digests[1], digests[5])
    assert.is_false(digests[4])
    local seen = {}
    for _, i in ipairs { 1, 2, 6, 7 } do
      assert.matches("^%x+$", digests[i])
      assert.equal(32, #digests[i])
      assert.is_nil(seen[digests[i]])
      seen[digests[i]] = true
    end
    files.remove(folder)
  end)

  it("tell the same bytes apart by their shape", function()
    local function digest(values)
      return core.image_source { kind = "pixels", pixels = core.tensor({ values }, "uint8") }:digests()[1]
    end
    local seen = {}
    for _, values in ipairs { { { 1, 2, 3, 4, 5, 6 } }, { { 1, 2, 3 }, { 4, 5, 6 } }, { { 1, 2 }, { 3, 4 }, { 5, 6 } },
      { { { 1, 2, 3 }, { 4, 5, 6 } } } } do
      local text = digest(values)
      assert.is_nil(seen[text])
      seen[text] = true
    end
  end)

  it("do not depend on the number of threads, and give all memory back", function()
    local paths, threads = {}, core.threads()
    local names = { "grey8", "colour8", "colour16", "one_bit", "bomb" }
    for i = 1, 40 do paths[i] = IMAGES .. names[i % 5 + 1] .. ".png" end
    core.threads(1)
    local expected = source_of(paths):digests()
    core.threads(threads)
    collectgarbage()
    collectgarbage()
    local before = core.memory()
    do
      local source <close> = source_of(paths)
      assert.same(expected, source:digests())
    end
    collectgarbage()
    collectgarbage()
    assert.equal(before, (core.memory()))
  end)

  it("end at Ctrl-C", function()
    interrupt.check {
      setup = [[
        local labels = {}
        for i = 1, 1000000 do labels[i] = 1 end
        local source = core.image_source { kind = "phantom", labels = labels, size = 256, cache_bytes = 0 }]],
      call = "source.digests, source",
    }
  end)
end)
