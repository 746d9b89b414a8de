-- Malformed files of weights, 500 and more: damaged ones, and ones put together to run something, to fill the memory
-- or to read what is not there. Each gives a clean error that names the file, or tensors of the shapes that it
-- announced; none takes more memory than twice its size and a little. Most telling under the sanitizers.
local archives = require "support.archives"
local checkpoints = require "support.checkpoints"
local core = require "secateur.core"
local damage = require "support.damage"
local files = require "secateur.util.files"
local temporary = require "support.temporary"
local weights = require "secateur.formats.weights"
local errors = require "support.errors"

local p = checkpoints.p
local floats = checkpoints.floats

local NATIVE = 16 << 20 -- bytes beside twice the file's: what small tensors and the zip's directory may take
local LUA = 64 << 20 -- the same for what describes them

local folder, path
local count, refused = 0, 0

-- Reads all that is there.
local function read_all()
  local file <close> = weights.open(path)
  local kept = {}
  for _, name in ipairs(file:names()) do
    local info = file:info(name)
    local ok, tensor = pcall(file.read, file, name)
    if not ok then error(tensor, 0) end
    assert.same(info.shape, tensor:shape())
    assert.equal(info.dtype, tensor:dtype())
    if tensor:numel() > 0 then tensor:totable() end -- not the rows of [4294967296 x 0]
    kept[#kept + 1] = tensor
  end
  return kept
end

-- Holds one file to all that is said above; gives its error, or nil.
local function try(label, bytes)
  local handle <close> = assert(io.open(path, "wb")) -- files.write_all waits for the disk
  handle:write(bytes)
  handle:close()
  label = ("%s, number %d"):format(label, count + 1)
  collectgarbage()
  local live = core.memory(true)
  local used = collectgarbage("count")
  collectgarbage("stop") -- what is garbage already was allocated, too
  local ok, message = pcall(read_all)
  local grown = (collectgarbage("count") - used) * 1024
  collectgarbage("restart")
  local _, peak = core.memory()
  assert.is_true(peak - live <= 2 * #bytes + NATIVE, ("%s: %d native bytes"):format(label, peak - live))
  assert.is_true(grown <= 3 * #bytes + LUA, ("%s: %d bytes of Lua"):format(label, grown))
  count = count + 1
  if ok then return nil end
  refused = refused + 1
  assert.equal("string", type(message), label)
  message = errors.bare(message)
  local lead = ("'%s': "):format(path)
  assert.equal(lead, message:sub(1, #lead), label)
  assert.is_nil(message:find("attempt to", 1, true) or message:find("%.lua:%d") or message:find("memory: "),
    label .. ": " .. message) -- accidents, not refusals
  assert.is_true(#message > #lead + 10 and #message < 1000, label)
  return message:sub(#lead + 1)
end

-- It must be refused, with a message that holds this text.
local function refuse(label, bytes, text)
  local message = try(label, bytes)
  assert.is_string(message, label)
  assert.is_truthy(message:find(text, 1, true), label .. ": " .. message)
end

-- A stream of before version 1.6, with storage "0" of 12 bytes where the value names one.
local function stream(body)
  return checkpoints.stream(body, body:find("FloatStorage", 1, true) and { { "0", 3, floats(1, 2, 3) } } or {})
end

-- Refuses both containers of a pickled value.
local function both(label, body, text)
  refuse(label .. ", archive", checkpoints.zip(body, { ["0"] = floats(1, 2, 3) }), text)
  refuse(label .. ", stream", stream(body), text)
end

local function one(given) return p.dict(p.str "w", p.tensor(given)) end

-- The entries of an archive of PyTorch, as archives.zip takes them.
local function entries_of(name)
  local file <close> = core.file_open(name)
  local entries = {}
  for i = 1, file:zip() do
    local entry = file:name(i)
    local offset, length = file:entry(entry)
    entries[i] = { name = entry, data = file:bytes(offset, length) }
  end
  return entries
end

describe("a malformed file of weights", function()
  setup(function()
    folder = temporary.folder()
    path = folder .. "/malformed"
  end)
  teardown(function() files.remove(folder) end)

  it("that was damaged is refused or read", function()
    local before, seen = refused, 0
    for number, name in ipairs { "whole.pth", "whole_stream.pth", "training.pth", "protocol4_stream.pth",
      "unsummed.pth", "whole.safetensors" } do
      local good = assert(files.read_all("spec/fixtures/checkpoints/" .. name))
      for which, kind in ipairs(damage.kinds) do
        local draw = damage.draws(core.mix(number, which))
        for _ = 1, 6 do
          try(name .. ", " .. kind, damage.ways[kind](good, draw))
          seen = seen + 1
        end
      end
    end
    assert.equal(6 * 6 * #damage.kinds, seen)
    assert.is_true(refused - before > 0.6 * seen, ("only %d of %d were refused"):format(refused - before, seen))
  end)

  it("whose description was damaged is refused or read", function()
    local before, seen = refused, 0
    for number, name in ipairs { "whole.pth", "training.pth", "protocol4.pth" } do
      local entries = entries_of("spec/fixtures/checkpoints/" .. name)
      local good = entries[1].data
      assert.matches("/data%.pkl$", entries[1].name)
      for which, kind in ipairs(damage.kinds) do
        local draw = damage.draws(core.mix(100 + number, which))
        for _ = 1, 6 do
          entries[1].data = damage.ways[kind](good, draw) -- under a checksum that holds
          try(name .. ", described, " .. kind, archives.zip(entries))
          seen = seen + 1
        end
      end
    end
    assert.is_true(refused - before > 0.4 * seen, ("only %d of %d were refused"):format(refused - before, seen))
  end)

  it("that would run something is refused by what it would run", function()
    local marker = folder .. "/ran"
    for _, name in ipairs { "os.system", "posix.system", "nt.system", "subprocess.Popen", "builtins.eval",
      "builtins.exec", "builtins.getattr", "builtins.__import__", "builtins.open", "__builtin__.compile",
      "copyreg._reconstructor", "importlib.import_module", "pickle.loads", "marshal.loads", "types.CodeType",
      "runpy.run_path", "shutil.rmtree", "torch.load", "torch.hub.load", "torch._utils._import_dotted_name",
      "torch.jit._load", "numpy.load", "collections.OrderedDict.__init__", "torchvision.models.vgg.VGG",
      "__main__.Net" } do
      local module, last = name:match("^(.*)%.([^.]+)$")
      both("global " .. name, p.call(module, last, p.str("touch " .. marker)), "global \'" .. name .. "'")
      local text = p.str(module) .. p.str(last) .. "\x93" .. p.tuple(p.str("touch " .. marker)) .. "R"
      refuse("text " .. name, checkpoints.zip(p.dict(p.str "a", p.tensor { shape = { 1 } }, p.str "b", text)),
        "global \'" .. name .. "'")
    end
    for label, body in pairs {
      inst = "(S'true'\nios\nsystem\n", obj = "(cos\nsystem\nS'true'\no", newobj = "cos\nsystem\n)\x81",
      ex = "cos\nsystem\n)}\x92", state = p.tensor { shape = { 3 } } .. "cos\nsystem\nb",
      id = p.tuple(p.str "storage", p.global("os", "system"), p.str "0", p.str "cpu", p.int(3)) .. "Q",
      rebuild = p.call("torch._tensor", "_rebuild_from_type_v2", p.global("os", "system"), p.global("torch", "Tensor"),
        p.tuple(p.str "true"), p.dict()),
    } do
      both(label, body, "global 'os.system'")
    end
    both("called data", p.str "os.system" .. p.tuple(p.str "true") .. "R", "'os.system' is not callable")
    both("a method", p.tensor { shape = { 3 } } .. ")R", "a tensor is not callable")
    both("a type", p.call("torch", "float32", p.int(1)), "torch.float32 is not callable")
    assert.is_nil(files.read_all(marker))
  end)

  it("that is deep, endless or long is refused", function()
    local deep = ("]"):rep(100000) .. ("a"):rep(99999)
    both("lists in lists", deep, "expected a dictionary of tensors")
    both("marks", ("("):rep(100000), "stack underflow")
    both("tuples in tuples", ")" .. ("\x85"):rep(100000), "expected a dictionary of tensors")
    both("dictionaries", p.dict(p.str "state_dict", ("}" .. p.str "model"):rep(20000) .. "N" .. ("s"):rep(20000)),
      "it holds no tensors")
    both("a list of itself", "]q\0h\0a", "expected a dictionary of tensors")
    both("a wrapper of itself", "}q\0" .. p.str "state_dict" .. "h\0s" .. p.str "model" .. "h\0s",
      "it holds no tensors")
    local nested = p.tensor { shape = { 3 } }
    for _ = 1, 2000 do
      nested = p.call("torch._tensor", "_rebuild_from_type_v2", p.global("torch._utils", "_rebuild_parameter"),
        p.global("torch", "Tensor"), p.tuple(nested), p.dict())
    end
    refuse("parameters of parameters", checkpoints.zip(p.dict(p.str "v", nested)), "storage '0' is not in the archive")
    local endless = one({ shape = {}, strides = {}, count = 3 }):gsub("%(t", "(" .. p.int(1):rep(50000) .. "t", 2)
    both("an endless shape", endless, "expected an ordinary tensor, got one of 50000 dimensions")
    both("much of little", ("]"):rep(400000), "contents exceed twice the size of the file")
    both("memory of little", "]" .. ("\x94"):rep(1500000), "contents exceed twice the size of the file")
    both("copies", "](" .. ("N"):rep(2000) .. "eq\0" .. (p.global("builtins", "list") .. "h\0\x85R0"):rep(2000),
      "contents exceed twice the size of the file")
  end)

  it("with lengths and numbers that cannot be is refused", function()
    local cut = "pickle: cut short"
    for label, body in pairs { LONG4 = "\x8b\xff\xff\xff\x7f", below = "\x8b\xff\xff\xff\xff", X = "X\xff\xff\xff\xff",
      T = "T\xff\xff\xff\xff", unicode8 = "\x8d\xff\xff\xff\xff\xff\xff\xff\x7f", bytes8 = "\x8e\0\0\0\0\0\0\0\x80",
      array8 = "\x96\0\0\0\x40\0\0\0\0", B = "B\xfe\xff\xff\xff" } do
      both(label, body, cut)
    end
    both("a far memo", "Nr\xff\xff\xff\xffj\xfe\xff\xff\xff", "undefined memo index")
    both("a far memo, kept", "Nr\xff\xff\xff\xff", "expected a dictionary of tensors")
    both("no memo", "j\xff\xff\xff\xff", "undefined memo index")
    both("a long of text", "L" .. ("9"):rep(4000) .. "L\n", "expected a dictionary of tensors")
    both("a longer one", "L" .. ("9"):rep(5000) .. "L\n", "expected a line of text")
    both("an extension", "\x82\1", "registered extensions are not supported")
    both("no instruction", "\xee", "unknown opcode 0xee")
  end)

  it("with shapes, strides and offsets that cannot be is refused", function()
    local draw = damage.draws(7)
    local numbers = { 0, 1, 2, 3, 4, 255, 1 << 31, (1 << 32) - 1, 1 << 32, 1 << 61, (1 << 62) + 1, math.maxinteger, -1,
      math.mininteger }
    local function any() return numbers[draw(#numbers) + 1] end
    for _ = 1, 60 do
      local given = { shape = {}, strides = {}, offset = draw(2) == 0 and 0 or any(),
        count = draw(3) > 0 and 3 or any(), kind = ({ "Float", "Double", "Char", "Half", "Bool" })[draw(5) + 1] }
      for d = 1, draw(6) do given.shape[d], given.strides[d] = any(), any() end
      try("drawn, archive", checkpoints.zip(one(given), { ["0"] = floats(1, 2, 3) }))
      try("drawn, stream", stream(one(given)))
    end
    both("a wide one", one { shape = { 1 << 40 }, strides = { 0 }, count = 3 }, "would take more than twice")
    both("an overflow", one { shape = { 1 << 32, 1 << 32 }, strides = { 1 << 32, 1 }, count = 3 },
      "would take more than twice")
    both("one behind its storage", one { shape = { 3 }, offset = 1, count = 3 }, "out of bounds of its storage")
    both("a far one", one { shape = { 2 }, strides = { 1 << 62 }, count = 3 }, "out of bounds of its storage")
    both("a larger storage", one { shape = { 3 }, count = 300 }, "expected")
  end)

  it("that is an archive with false claims is refused", function()
    local pickled = { name = "archive/data.pkl", data = p.stream(one { shape = { 3 } }) }
    local function storage(fields)
      fields.name, fields.data = "archive/data/0", fields.data or floats(1, 2, 3)
      return archives.zip { pickled, fields }
    end
    refuse("a bomb", storage { method = 8, size = 0xfffffffe }, "got it compressed")
    refuse("a bomb of 12 bytes", storage { method = 8 }, "got it compressed")
    refuse("another method", storage { method = 99 }, "got it compressed")
    refuse("a size", storage { size = 0xfffffff0 }, "got it compressed")
    refuse("another size", storage { size = 11 }, "got it compressed")
    refuse("an offset", storage { offset = 0 }, "overlap the next entry")
    refuse("an offset inside", storage { offset = 10 }, "overlap the next entry")
    refuse("an offset outside", storage { offset = 0xfffffff0 }, "overlap the next entry")
    refuse("a wrong sum", storage { crc = 1 }, "its checksum is wrong")
    refuse("a smaller storage", storage { data = floats(1, 2) },
      "expected a storage of 3 elements of 4 bytes, got 8 bytes")
    refuse("the pickle is compressed", archives.zip { { name = "archive/data.pkl", data = "x", method = 8 } },
      "got it compressed")
    refuse("no folder", archives.zip { { name = "data.pkl", data = pickled.data } }, "no data.pkl in it")
    refuse("nothing", archives.zip {}, "something else")
    refuse("a long byte order", archives.zip { pickled, { name = "archive/byteorder", data = ("x"):rep(1000) } },
      "byteorder: expected little or big")
    local many = { pickled }
    for i = 2, 3000 do many[i] = { name = "archive/data/" .. i, data = "" } end
    refuse("many entries", archives.zip(many), "storage '0' is not in the archive")
    for i = 1, #many do many[i].offset = 0 end
    refuse("many entries in one place", archives.zip(many), "overlap the next entry")
  end)

  it("that is a safetensors file with false claims is refused", function()
    local function tensors(header, bytes) return string.pack("<s8", header) .. (bytes or ("x"):rep(8)) end
    local function entry(shape, first, last, dtype)
      return ('{"dtype":"%s","shape":%s,"data_offsets":[%s,%s]}'):format(dtype or "F32", shape, first, last)
    end
    refuse("overlap", tensors('{"a":' .. entry("[2]", 0, 8) .. ',"b":' .. entry("[1]", 4, 8) .. "}"),
      "expected it to begin at 8")
    refuse("the same twice", tensors('{"a":' .. entry("[2]", 0, 8) .. ',"b":' .. entry("[2]", 0, 8) .. "}"),
      "expected it to begin at 8")
    refuse("a hole", tensors('{"a":' .. entry("[1]", 4, 8) .. "}"), "expected it to begin at 0")
    refuse("outside", tensors('{"a":' .. entry("[4]", 0, 16) .. "}"), "within 0..8")
    refuse("backwards", tensors('{"a":' .. entry("[2]", 8, 0) .. "}"), "in order")
    refuse("far", tensors('{"a":' .. entry("[2]", "9007199254740992", "9007199254740993") .. "}"), "data_offsets")
    refuse("below zero", tensors('{"a":' .. entry("[2]", -8, 0) .. "}"), "two whole numbers")
    refuse("a wide one", tensors('{"a":' .. entry("[4294967296,4294967296,4]", 0, 8) .. "}"), "do not make the shape")
    refuse("wider", tensors('{"a":' .. entry("[1e308]", 0, 8) .. "}"), "expected a list of whole numbers")
    refuse("deep", tensors('{"a":' .. ("["):rep(5000) .. ("]"):rep(5000) .. "}"), "nested")
    refuse("much of little", tensors('{"a":[' .. ("[],"):rep(600000) .. "1]}"), "contents exceed twice")
    refuse("a long header", string.pack("<I8", 1 << 62) .. "{}", "something else")
    refuse("a header to the end", string.pack("<I8", 10) .. "{         " .. "}", "header")
    refuse("twice a name", tensors('{"a":' .. entry("[2]", 0, 8) .. ',"a":' .. entry("[2]", 0, 8) .. "}"),
      "duplicate key")
    refuse("another type", tensors('{"a":' .. entry("[2]", 0, 8, "F8_E4M3") .. "}"), "do not make the shape")
    refuse("a program", tensors('{"a":' .. entry("[2]", 0, 8, "__import__") .. "}"), "unknown dtype")
  end)

  it("was tried 500 times and more", function()
    assert.is_true(count >= 500, count .. " files")
    assert.is_true(refused >= 0.7 * count, ("only %d of %d were refused"):format(refused, count))
  end)
end)
