local core = require "secateur.core"
local errors = require "support.errors"
local files = require "secateur.util.files"
local lfs = require "lfs"
local safetensors = require "secateur.formats.safetensors"
local stderr = require "support.stderr"
local temporary = require "support.temporary"

local fixtures = "spec/fixtures/io/"

local message_of = errors.raised

local function single(x)
  return (string.unpack("<f", string.pack("<f", x)))
end

describe("safetensors.load", function()
  it("is public", function()
    assert.equal(safetensors, require "secateur".safetensors)
  end)

  it("reads every element type exactly", function()
    local tensors, meta = safetensors.load(fixtures .. "types.safetensors")
    local found = {}
    for name, tensor in pairs(tensors) do found[name] = { tensor:dtype(), tensor:totable() } end
    assert.same({
      bf16 = { "float32", { 1.5, -2.0, math.huge } },
      f16 = { "float32", { { 1.5 }, { -65504.0 } } },
      bool = { "int64", { 0, 1, 1 } },
      f32 = { "float32", { { single(0.1), -2.0 } } },
      f64 = { "float32", { single(0.1) } },
      i8 = { "int64", { -128, 127 } },
      i16 = { "int64", { -300 } },
      i32 = { "int64", { -70000 } },
      i64 = { "int64", { -(1 << 62) } },
      u8 = { "uint8", { { 0, 1 }, { 2, 255 } } },
      u16 = { "int64", { 65535 } },
      u32 = { "int64", { 4294967295 } },
      u64 = { "int64", { math.maxinteger } },
      scalar = { "float32", 2.5 },
      empty = { "float32", {} },
      ['layer.0/wéight "x"'] = { "float32", { 1.0 } },
    }, found)
    assert.same({}, tensors.scalar:shape())
    assert.same({ 0, 4 }, tensors.empty:shape())
    assert.same({ model = "tiny", note = 'äß "quoted"' }, meta)
  end)
end)

describe("safetensors.save", function()
  local folder, path
  setup(function()
    folder = temporary.folder()
    path = folder .. "/x.safetensors"
  end)
  teardown(function() files.remove(folder) end)

  it("writes what load reads back, of every type and of no dimensions", function()
    local tensors = {
      floats = core.tensor { { 1.5, -0.0 }, { 3e-45, 1e38 } },
      ["integers/\"ü\\"] = core.tensor({ math.mininteger, math.maxinteger }, "int64"),
      pixels = core.tensor({ { { 0 }, { 255 }, { 7 } } }, "uint8"),
      scalar = core.tensor { fill = 2.5 },
      empty = core.zeros(0, 3),
    }
    local meta = { note = "line\nbreak", ["a/b"] = "" }
    safetensors.save(path, tensors, meta)
    local back, meta_back = safetensors.load(path)
    assert.same(meta, meta_back)
    for name, tensor in pairs(tensors) do
      assert.equal(tensor:dtype(), back[name]:dtype())
      assert.same(tensor:shape(), back[name]:shape())
      assert.same(tensor:totable(), back[name]:totable())
      back[name] = nil
    end
    assert.is_nil(next(back))
    assert.same({ "x.safetensors" }, files.list(folder)) -- nothing temporary is left
  end)

  it("writes rows of a larger tensor as their own elements", function()
    local whole = core.tensor { { 1, 2 }, { 3, 4 }, { 5, 6 } }
    safetensors.save(path, { rows = whole:view(2, 3) })
    assert.same({ { 3, 4 }, { 5, 6 } }, safetensors.load(path).rows:totable())
  end)

  it("sorts by width and name, aligns the data, and gives the same bytes each time", function()
    local function tensors()
      return { b = core.tensor { 1 }, a = core.tensor { 2 }, c = core.tensor({ 3 }, "int64"),
        d = core.tensor({ 4 }, "uint8") }
    end
    safetensors.save(path, tensors(), { y = "1", x = "2" })
    local bytes = files.read_all(path)
    local length = string.unpack("<I8", bytes)
    local header = bytes:sub(9, 8 + length)
    assert.equal(0, length % 8)
    assert.equal('{"__metadata__":{"x":"2","y":"1"},"c":{"dtype":"I64","shape":[1],"data_offsets":[0,8]},'
      .. '"a":{"dtype":"F32","shape":[1],"data_offsets":[8,12]},"b":{"dtype":"F32","shape":[1],"data_offsets":[12,16]},'
      .. '"d":{"dtype":"U8","shape":[1],"data_offsets":[16,17]}}', (header:gsub(" *$", "")))
    assert.equal(string.pack("<i8ffB", 3, 2, 1, 4), bytes:sub(9 + length))
    safetensors.save(path, tensors(), { x = "2", y = "1" })
    assert.equal(bytes, files.read_all(path))
  end)

  it("writes an empty file of nothing", function()
    safetensors.save(path, {})
    local tensors, meta = safetensors.load(path)
    assert.same({}, tensors)
    assert.same({}, meta)
  end)

  it("keeps float64 in the double build", function()
    local double = require "secateur.core_double"
    double.safetensors_write(path, '{"x":{"dtype":"F64","shape":[1],"data_offsets":[0,8]}}', { double.tensor { 0.1 } })
    local file <close> = double.safetensors_open(path)
    assert.same({ 0.1 }, file:tensor("F64", { 1 }, 0, 8):totable())
    assert.same({ single(0.1) }, safetensors.load(path).x:totable())
  end)

  it("refuses what the format cannot say, and leaves the old file alone", function()
    safetensors.save(path, { old = core.tensor { 1 } })
    local x = core.tensor { 1 }
    for _, case in ipairs {
      { "tensors: 'x': expected a Tensor, got 1", { x = 1 } },
      { "tensors: name: expected a string, got 1", { x } },
      { "tensors: name: expected UTF-8, got other bytes", { ["\255"] = x } },
      { "tensors: the name '__metadata__' is reserved", { __metadata__ = x } },
      { "meta: 'k': expected a string, got 1", { x = x }, { k = 1 } },
      { "meta: key: expected a string, got 1", { x = x }, { "v" } },
      { "meta: 'k': expected UTF-8, got other bytes", { x = x }, { k = "\xC3" } },
      { "tensors: missing" },
      { "tensors: expected a table, got 'x'", "x" },
      { "meta: expected a table, got 'x'", {}, "x" },
    } do
      assert.equal("safetensors.save: " .. case[1], message_of(safetensors.save, path, case[2], case[3]))
    end
    assert.same({ 1 }, safetensors.load(path).old:totable())
  end)

  it("keeps the permissions of the file that it replaces", function()
    safetensors.save(path, {})
    assert(os.execute("chmod 600 '" .. path .. "'"))
    safetensors.save(path, {})
    assert.equal("rw-------", lfs.attributes(path, "permissions"))
  end)

  it("says why a file cannot be written", function()
    assert.equal(("safetensors.save: '%s': expected a regular file to replace, got a directory"):format(folder),
      message_of(safetensors.save, folder, {}))
    assert.equal("safetensors.save: '/dev/null': expected a regular file to replace, got a pipe or device",
      message_of(safetensors.save, "/dev/null", {}))
    local nowhere = folder .. "/none/x"
    assert.equal(("safetensors.save: '%s': No such file or directory"):format(nowhere),
      message_of(safetensors.save, nowhere, {}))
    assert.equal("safetensors.save: path: missing", message_of(safetensors.save))
  end)

  it("raises at its caller's level", function()
    local _, message = pcall(function() safetensors.save(path, { x = 1 }) end)
    assert.matches("^spec/io/safetensors_spec.lua:%d+: safetensors.save: tensors", message)
    _, message = pcall(function() safetensors.load("nowhere") end)
    assert.matches("^spec/io/safetensors_spec.lua:%d+: safetensors.load: 'nowhere': No such file", message)
  end)
end)

describe("a damaged safetensors file", function()
  local folder, path
  setup(function() folder = temporary.folder() end)
  teardown(function() files.remove(folder) end)

  local function complaint(content)
    path = temporary.write(folder, "x.safetensors", content)
    local message = message_of(safetensors.load, path)
    local lead = ("safetensors.load: '%s': "):format(path)
    assert.equal(lead, message:sub(1, #lead))
    return message:sub(#lead + 1)
  end

  local function file(header, data)
    return string.pack("<s8", header) .. (data or "")
  end

  local good = '{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}'

  it("is refused by its container", function()
    assert.equal("not a safetensors file: only 3 bytes", complaint("abc"))
    assert.equal("header: expected a length of at most 4 bytes, got 9", complaint(string.pack("<I8", 9) .. "abcd"))
    assert.equal("header: expected a length of at most 0 bytes, got 18446744073709551615", complaint(("\255"):rep(8)))
    assert.equal("expected 8 bytes of data after the header, got 9", complaint(file(good, ("x"):rep(9))))
    assert.equal("expected 0 bytes of data after the header, got 1", complaint(file("{}", "x")))
  end)

  it("is refused by its JSON", function()
    assert.equal("header: expected a JSON object", complaint(file("[]")))
    assert.equal("header: expected a JSON object", complaint(file("")))
    assert.equal("header: expected a value at byte 6", complaint(file('{"a":')))
    assert.equal("header: nested too deeply at byte 13",
      complaint(file('{"a":' .. ("["):rep(100) .. ("]"):rep(100) .. "}")))
    assert.equal("header: expected a value at byte 30",
      complaint(file((good:gsub("%[2%]", "[NaN]")), ("x"):rep(8))))
    assert.equal("header: expected nothing more at byte 55", complaint(file(good .. '\0"', ("x"):rep(8))))
    assert.equal('header: duplicate key "a" at byte 9', complaint(file('{"a":{},"\\u0061":{}}')))
    assert.equal('header: duplicate key "dtype" at byte 57',
      complaint(file('{"a\\"}":{"dtype":"F32","shape":[2],"data_offsets":[0,8],"dtype":"F32"}}', ("x"):rep(8))))
  end)

  it("is read but for what no Tensor can hold, which is said", function()
    local entries = {}
    for i, dtype in ipairs { "F32", "F8_E4M3", "F8_E5M2", "C64", "F4", "X9" } do
      local bytes = ({ 8, 2, 2, 16, 1, 5 })[i]
      entries[i] = ('"%s":{"dtype":"%s","shape":[2],"data_offsets":[%d,%d]}'):format(dtype, dtype,
        ({ 0, 8, 10, 12, 28, 29 })[i], ({ 0, 8, 10, 12, 28, 29 })[i] + bytes)
    end
    path = temporary.write(folder, "x.safetensors", file("{" .. table.concat(entries, ",") .. "}", ("\0"):rep(34)))
    local tensors
    local said = stderr.text(function() tensors = safetensors.load(path) end)
    assert.same({ 0, 0 }, tensors.F32:totable())
    assert.is_nil(next(tensors, (next(tensors))))
    for _, dtype in ipairs { "F8_E4M3", "F8_E5M2", "C64", "F4", "X9" } do
      assert.is_truthy(said:find(("left out '%s' (a tensor of %s)"):format(dtype, dtype), 1, true), dtype)
    end
    path = temporary.write(folder, "y.safetensors",
      file('{"a":{"dtype":"F32","shape":[1,1,1,1,1,2],"data_offsets":[0,8]}}', ("\0"):rep(8)))
    said = stderr.text(function() assert.same({}, safetensors.load(path)) end)
    assert.is_truthy(said:find("left out 'a' (a tensor of 6 dimensions, more than 5)", 1, true))
  end)

  it("is refused by its entries", function()
    local function entry(from, to)
      return complaint(file((good:gsub(from, to)), ("x"):rep(8)))
    end
    for _, case in ipairs {
      { "tensor 'a': missing field 'dtype'", '"dtype":"F32",', "" },
      { "tensor 'a': missing field 'shape'", '"shape":%[2%],', "" },
      { "tensor 'a': missing field 'data_offsets'", ',"data_offsets":%[0,8%]', "" },
      { "tensor 'a': expected an object, got 1", "{.*}", '{"a":1}' },
      { "tensor 'a': data_offsets: 8 bytes do not make the shape [2] of F8_E4M3", "F32", "F8_E4M3" },
      { "tensor 'a': unknown dtype 'float32'", "F32", "float32" },
      { "tensor 'a': unknown dtype 32", '"F32"', "32" },
      { "tensor 'a': shape: expected a list of whole numbers", "%[2%]", "[-2]" },
      { "tensor 'a': shape: expected a list of whole numbers", "%[2%]", "[2.5]" },
      { "tensor 'a': shape: expected a list of whole numbers", "%[2%]", "[1e300]" },
      { "tensor 'a': shape: expected a list of whole numbers", "%[2%]", "[\"2\"]" },
      { "tensor 'a': shape: expected a list of whole numbers", "%[2%]", "[null]" },
      { "tensor 'a': shape: expected a list of whole numbers", "%[2%]", '{"x":2}' },
      { "tensor 'a': shape: expected a list of whole numbers", "%[2%]", "2" },
      { "tensor 'a': data_offsets: 8 bytes do not make the shape [3] of F32", "%[2%]", "[3]" },
      { "tensor 'a': data_offsets: 8 bytes do not make the shape [] of F32", "%[2%]", "[]" },
      { "tensor 'a': data_offsets: 8 bytes do not make the shape [4294967296x4294967298] of F32", "%[2%]",
        "[4294967296,4294967298]" },
      { "tensor 'a': data_offsets: expected two whole numbers", "%[0,8%]", "[0]" },
      { "tensor 'a': data_offsets: expected two whole numbers", "%[0,8%]", "[-1,7]" },
      { "tensor 'a': data_offsets: expected them in order within 0..8, got 8 and 0", "%[0,8%]", "[8,0]" },
      { "tensor 'a': data_offsets: expected them in order within 0..8, got 4 and 12", "%[0,8%]", "[4,12]" },
      { "__metadata__: expected an object, got 'x'", "^{", '{"__metadata__":"x",' },
      { "__metadata__: k: expected a string, got 1", "^{", '{"__metadata__":{"k":1},' },
      { "__metadata__: k: expected a string, got null", "^{", '{"__metadata__":{"k":null},' },
      { "__metadata__: expected an object, got null", "^{", '{"__metadata__":null,' },
      { "tensor 'b': expected an object, got null", "^{", '{"b":null,' },
      { "tensor 'a': shape: expected a list of whole numbers", "%[2%]", "null" },
      { "tensor 'a': shape: expected a list of whole numbers", "%[2%]", "[2,null]" },
      { "tensor 'a': unknown dtype null", '"F32"', "null" },
    } do
      assert.equal(case[1], entry(case[2], case[3]))
    end
  end)

  it("is refused when tensors overlap or leave holes", function()
    local function two(first, last)
      return complaint(file(('{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},'
        .. '"b":{"dtype":"U8","shape":[%d],"data_offsets":[%d,%d]}}'):format(last - first, first, last), "12345678"))
    end
    assert.equal("tensor 'b': data_offsets: expected it to begin at 4, where the one before ends, got 3", two(3, 8))
    assert.equal("tensor 'b': data_offsets: expected it to begin at 4, where the one before ends, got 5", two(5, 8))
    assert.equal("expected 7 bytes of data after the header, got 8", two(4, 7))
  end)
end)

describe("the raw safetensors file", function()
  it("checks what it is asked for", function()
    local file = core.safetensors_open(fixtures .. "types.safetensors")
    assert.equal("{", file:header():sub(1, 1))
    assert.matches("data_offsets: expected them within 0..%d+, got 0..99999",
      message_of(file.tensor, file, "F32", {}, 0, 99999))
    assert.matches("data: expected 4 bytes for the shape %[%], got 8",
      message_of(file.tensor, file, "F32", {}, 0, 8))
    assert.matches("dtype: expected one of BOOL U8 I8 .*, got 'x'", message_of(file.tensor, file, "x", {}, 0, 8))
    assert.matches("shape: expected at most 5 dimensions, got 6",
      message_of(file.tensor, file, "F32", { 1, 1, 1, 1, 1, 1 }, 0, 8))
    file:close()
    file:close()
    assert.matches("safetensors: the file is closed", message_of(file.header, file))
  end)
end)
