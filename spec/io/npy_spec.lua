local core = require "secateur.core"
local errors = require "support.errors"
local files = require "secateur.util.files"
local temporary = require "support.temporary"

local fixtures = "spec/fixtures/io/"

local message_of = errors.raised

local function npy(header, data)
  return "\x93NUMPY\1\0" .. string.pack("<s2", header) .. data
end

describe("npy_load", function()
  local folder
  setup(function() folder = temporary.folder() end)
  teardown(function() files.remove(folder) end)

  local function load(content)
    return core.npy_load(temporary.write(folder, "x.npy", content))
  end

  it("reads the three versions of the format", function()
    for version = 1, 3 do
      local array = core.npy_load(fixtures .. "version" .. version .. ".npy")
      assert.same({ { 0, 1 }, { 2, 3 } }, array:totable())
    end
  end)

  it("takes the header's fields in any order and spacing", function()
    local bytes = string.pack("<i2i2", 5, -6)
    for _, header in ipairs {
      "{'descr': '<i2', 'fortran_order': False, 'shape': (2,), }          \n",
      '{"shape":(2,),"fortran_order":True,"descr":"<i2"}',
      "{ 'shape' : ( 2L , ) , 'descr' : '=i2' , 'fortran_order' : False }",
      "{'descr': '<i2', 'fortran_order': False, 'shape': (2)}",
    } do
      assert.same({ 5, -6 }, load(npy(header, bytes)):totable())
    end
  end)

  it("refuses what it cannot hold", function()
    for name, wanted in pairs {
      text = "descr: expected one of b1 u1 i1 u2 i2 u4 i4 u8 i8 f2 f4 f8, got '<U1'",
      structured = "descr: expected a plain element type, got a structured one",
      six = "shape: expected at most 5 dimensions",
      huge = "data: expected whole numbers below 2^63, got a larger one",
    } do
      assert.matches(("'%s%s.npy': %s"):format(fixtures, name, wanted),
        message_of(core.npy_load, fixtures .. name .. ".npy"), 1, true)
    end
  end)

  it("says what is wrong with a file", function()
    local good = "{'descr': '<i2', 'fortran_order': False, 'shape': (2,)}"
    local function with(from, to)
      return npy((good:gsub(from, to)), "abcd")
    end
    for _, case in ipairs {
      { "", "not a .npy array: only 0 bytes" },
      { ("x"):rep(20), "not a .npy array: wrong first bytes" },
      { "\x93NUMPY\4\0" .. ("x"):rep(20), "expected .npy version 1.0, 2.0 or 3.0, got 4.0" },
      { "\x93NUMPY\2\0\255\255\255\255", "header: expected at most 10000 bytes, got 4294967295" },
      { "\x93NUMPY\1\0\200\0{", "cut short: expected 200 more bytes, got 1" },
      { npy(good, "abc"), "data: expected 4 bytes for the shape [2], got 3" },
      { npy(good, "abcde"), "data: expected 4 bytes for the shape [2], got 5" },
      { with("i2", "i3"), "descr: expected one of b1 u1 i1 u2 i2 u4 i4 u8 i8 f2 f4 f8, got '<i3'" },
      { with("<i2", "|i2"), "descr: expected one of b1 u1 i1 u2 i2 u4 i4 u8 i8 f2 f4 f8, got '|i2'" },
      { with("False", "false"), "header: expected True or False, got 'false, 'shape': (2,)}'" },
      { with("%(2,%)", "(-2,)"), "header: expected a whole number, got '-2,)}'" },
      { with("%(2,%)", "(2 2)"), "header: expected ',' or ')', got '2)}'" },
      { with("%(2,%)", "(2.0,)"), "header: expected ',' or ')', got '.0,)}'" },
      { with("%(2,%)", "[2]"), "header: expected a tuple, got '[2]}'" },
      { with("%(2,%)", "(99999999999999999999,)"), "shape: too many elements" },
      { with("%(2,%)", "(4294967296, 4294967296)"), "shape: too many elements" },
      { with("%(2,%)", "(0, 4294967296, 4294967296)"), "shape: too many elements" },
      { with("'shape'", "'descr'"), "header: repeated field 'descr'" },
      { with("'shape'", "'size'"), "header: unknown field 'size'" },
      { npy("{'descr': '<i2'}", ""), "header: missing field 'fortran_order'" },
      { with("}", "} x"), "header: expected nothing after '}', got 'x'" },
      { with("}", "\0}"), "header: contains zero bytes" },
      { npy("[]", ""), "header: expected '{', got '[]'" },
      { npy("{'descr", ""), "header: expected a quoted string, got ''descr'" },
    } do
      assert.matches("/x.npy': " .. case[2], message_of(load, case[1]), 1, true)
    end
  end)

  it("does not wait on a pipe", function()
    local pipe = folder .. "/pipe"
    assert(os.execute("mkfifo '" .. pipe .. "'"))
    assert.matches("/pipe': expected a regular file, got a pipe or device", message_of(core.npy_load, pipe), 1, true)
  end)
end)
