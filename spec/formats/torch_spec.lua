local archives = require "support.archives"
local checkpoints = require "support.checkpoints"
local errors = require "support.errors"
local files = require "secateur.util.files"
local safetensors = require "secateur.formats.safetensors"
local temporary = require "support.temporary"
local weights = require "secateur.formats.weights"

local p = checkpoints.p
local fixtures = "spec/fixtures/checkpoints/"

local types = { f16 = "F16", bf16 = "BF16", f64 = "F64", i64 = "I64", i32 = "I32", i16 = "I16", i8 = "I8", u8 = "U8",
  bool = "BOOL", u16 = "U16", u32 = "U32", u64 = "U64", half_transposed = "F16", int_transposed = "I32" }

local unsupported = { complex = "a tensor of complex64", quantized = "a quantized tensor", sparse = "a sparse tensor",
  float8 = "a tensor of float8_e4m3fn", six = "one of 6 dimensions, more than 5",
  meta = "a meta tensor, which has no values" }

local message_of = errors.raised

-- Compares the tensors of a file with those of whole.safetensors; gives the number of them.
local function compare(path, least)
  local expected = safetensors.load(fixtures .. "whole.safetensors")
  local file <close> = weights.open(path)
  local count = 0
  for _, name in ipairs(file:names()) do
    local info = file:info(name)
    if not unsupported[name] then
      local tensor, want = file:read(name), expected[name]
      local stored = types[name] or "F32"
      assert.equal(stored, info.stored, name)
      assert.equal(stored == "U8" and "uint8" or want:dtype(), info.dtype, name)
      assert.equal(info.dtype, tensor:dtype(), name)
      assert.same(want:shape(), info.shape, name)
      assert.same(want:shape(), tensor:shape(), name)
      assert.same(want:totable(), tensor:totable(), name)
      count = count + 1
    end
  end
  assert.equal(least, count)
end

describe("a checkpoint of PyTorch", function()
  it("gives every type and every view as PyTorch has it, from archives and from streams", function()
    compare(fixtures .. "whole.pth", 31)
    compare(fixtures .. "whole_stream.pth", 31)
  end)

  it("is read in every protocol", function()
    for _, name in ipairs { "1", "3", "4", "5", "1_stream", "3_stream", "4_stream", "5_stream" } do
      compare(fixtures .. "protocol" .. name .. ".pth", 5)
    end
  end)

  it("lists what it holds and cannot give, and refuses it by name when it is asked for", function()
    for _, path in ipairs { fixtures .. "whole.pth", fixtures .. "whole_stream.pth" } do
      local file <close> = weights.open(path)
      for name, what in pairs(unsupported) do
        local info = file:info(name)
        assert.equal(what, info.unsupported)
        assert.equal(name == "six" and "F32" or nil, info.stored)
        assert.equal(("'%s': tensor '%s': expected an ordinary tensor, got %s"):format(path, name, what),
          message_of(file.read, file, name))
      end
      assert.same({ 3 }, file:info("quantized").shape)
      assert.same({ 2 }, file:info("complex").shape)
    end
  end)

  it("gives the same Tensor for the same view", function()
    local file <close> = weights.open(fixtures .. "whole.pth")
    local one = file:read "f32"
    assert.is_true(rawequal(one, file:read "same"))
    assert.is_false(rawequal(one, file:read "transposed"))
    one:close()
    assert.equal(0.25, file:read("same"):get(1, 1, 1)) -- a closed one is read again
  end)

  it("is read without its checksums where it has none", function()
    local file <close> = weights.open(fixtures .. "unsummed.pth")
    assert.same({ { 0, 1, 2 }, { 3, 4, 5 } }, file:read("weight"):totable())
  end)

  it("of a training gives the weights, and skips the rest", function()
    for _, name in ipairs { "training.pth", "training_stream.pth" } do
      local file <close> = weights.open(fixtures .. name)
      local names = file:names()
      assert.equal("pytorch", file.kind)
      assert.same({}, file.metadata)
      assert.equal(9, #names)
      assert.equal("module.0.bias", names[1])
      assert.same({ 2, 1, 3, 3 }, file:read("module.0.weight"):shape())
      assert.equal(1, file:read("module.1.num_batches_tracked"):get())
    end
  end)

  it("that is a whole model is refused by its class, with advice", function()
    assert.equal("'" .. fixtures .. "model.pth': global 'torch.nn.modules.linear.Linear' is not allow-listed; "
      .. "nothing was executed; save the weights alone, in Python: torch.save(model.state_dict(), path)",
      message_of(weights.open, fixtures .. "model.pth"))
  end)
end)

describe("a checkpoint put together", function()
  local folder
  setup(function() folder = temporary.folder() end)
  teardown(function() files.remove(folder) end)

  local floats = checkpoints.floats

  local function open(bytes)
    return weights.open(temporary.write(folder, "x.pth", bytes))
  end

  -- The values of tensor "w".
  local function values(bytes)
    local file <close> = open(bytes)
    return file:read("w"):totable()
  end

  local function complaint(bytes)
    local path = folder .. "/x.pth"
    local message = message_of(values, bytes)
    local lead = ("'%s': "):format(path)
    assert.equal(lead, message:sub(1, #lead))
    return message:sub(#lead + 1)
  end

  local function one(given) return p.dict(p.str "w", p.tensor(given)) end

  it("is read when it is right", function()
    local body = one { shape = { 3 } }
    assert.same({ 1, 2, 3 }, values(checkpoints.zip(body, { ["0"] = floats(1, 2, 3) })))
    assert.same({ 1, 2, 3 }, values(checkpoints.stream(body, { { "0", 3, floats(1, 2, 3) } })))
    -- trailing bytes behind a stream are of no concern
    assert.same({ 1, 2, 3 }, values(checkpoints.stream(body, { { "0", 3, floats(1, 2, 3) } }) .. "more"))
  end)

  it("may be big-endian", function()
    local big = string.pack(">fff", 1, 2, 3)
    local order = { name = "archive/byteorder", data = "big" }
    assert.same({ 1, 2, 3 }, values(checkpoints.zip(one { shape = { 3 } }, { ["0"] = big }, { order })))
    assert.same({ { 1, 3 } }, values(checkpoints.zip(one { shape = { 1, 2 }, strides = { 3, 2 }, count = 3 },
      { ["0"] = big }, { order })))
    order.data = "odd"
    assert.equal("byteorder: expected little or big, got 'odd'",
      complaint(checkpoints.zip(one { shape = { 3 } }, { ["0"] = big }, { order })))
  end)

  it("may hold parts of storages, as old versions wrote them", function()
    local id = p.tuple(p.str "storage", p.global("torch", "FloatStorage"), p.str "0", p.str "cpu", p.int(6),
      p.tuple(p.str "part", p.int(2), p.int(3))) .. "Q"
    local function body(count)
      return p.dict(p.str "w",
        p.call("torch._utils", "_rebuild_tensor", id, p.int(0), p.sizes { count }, p.sizes { 1 }))
    end
    local storages = { { "0", 6, floats(1, 2, 3, 4, 5, 6) } }
    assert.same({ 3, 4, 5 }, values(checkpoints.stream(body(3), storages)))
    assert.equal("tensor 'w': the view is out of bounds of its storage",
      complaint(checkpoints.stream(body(4), storages)))
  end)

  it("gathers views of storages that are larger than its buffers", function()
    local count, list = 70000, {}
    for i = 1, count do list[i] = string.pack("<f", i) end
    local storages = { ["0"] = table.concat(list) }
    local function read(given)
      given.count = count
      local file <close> = open(checkpoints.zip(one(given), storages))
      return file:read("w")
    end
    local transposed = read { shape = { 70, 1000 }, strides = { 1, 70 } }
    assert.equal(1 + 69, transposed:get(70, 1))
    assert.equal(1 + 999 * 70, transposed:get(1, 1000))
    assert.equal(count, transposed:get(70, 1000))
    local sparse = read { shape = { 3 }, strides = { 30000 }, offset = 5 }
    assert.same({ 6, 30006, 60006 }, sparse:totable())
    local deep = read { shape = { 2, 100, 7, 50 }, strides = { 50, 700, 100, 1 } }
    for _, at in ipairs { { 1, 1, 1, 1 }, { 2, 100, 7, 50 }, { 2, 51, 3, 9 }, { 1, 100, 1, 50 } } do
      assert.equal(1 + (at[1] - 1) * 50 + (at[2] - 1) * 700 + (at[3] - 1) * 100 + at[4] - 1,
        deep:get(table.unpack(at)))
    end
    local windows = read { shape = { 2, 40000 }, strides = { 30000, 1 } } -- overlapping, back and forth
    assert.equal(30001, windows:get(2, 1))
    assert.equal(40000, windows:get(1, 40000))
    assert.equal(70000, windows:get(2, 40000))
  end)

  it("is refused when a view does not fit its storage", function()
    local outside = "tensor 'w': the view is out of bounds of its storage"
    for _, case in ipairs {
      { outside, { shape = { 4 }, count = 3 } },
      { outside, { shape = { 3 }, count = 3, offset = 1 } },
      { outside, { shape = { 1 }, count = 3, offset = 3 } },
      { outside, { shape = { 1 }, count = 3, offset = 1 << 62 } },
      { outside, { shape = { 2 }, count = 3, strides = { 3 } } },
      { outside, { shape = { 2, 2 }, count = 3, strides = { 2, 1 } } },
      { outside, { shape = { 2 }, count = 3, strides = { math.maxinteger } } },
      { outside, { shape = { 3, 3, 3 }, count = 3, strides = { 1 << 62, 1 << 62, 1 << 62 } } },
      { "tensor 'w': [9223372036854775807] would take more than twice the file's size",
        { shape = { math.maxinteger }, count = 3, strides = { 0 } } },
      { "tensor 'w': [4294967296 x 4294967296 x 4] would take more than twice the file's size",
        { shape = { 1 << 32, 1 << 32, 4 }, count = 3, strides = { 0, 0, 0 } } },
      { "tensor 'w': expected a storage of 4 elements of 4 bytes, got 12 bytes", { shape = { 3 }, count = 4 } },
      { "tensor 'w': expected a storage of 2 elements of 4 bytes, got 12 bytes", { shape = { 2 }, count = 2 } },
      { "tensor 'w': expected a storage of 3 elements of 8 bytes, got 12 bytes",
        { shape = { 3 }, count = 3, kind = "Double" } },
      { "tensor 'w': expected a storage of 4611686018427387907 elements of 4 bytes, got 12 bytes",
        { shape = { 3 }, count = (1 << 62) + 3 } },
      { "tensor 'w': storage '7' is not in the archive", { shape = { 3 }, count = 3, key = "7" } },
      { "tensor 'w': storage '../version' is not in the archive", { shape = { 3 }, count = 3, key = "../version" } },
    } do
      assert.equal(case[1], complaint(checkpoints.zip(one(case[2]), { ["0"] = floats(1, 2, 3) })))
    end
    local never = "pickle: call of torch._utils._rebuild_tensor_v2: invalid arguments"
    for _, given in ipairs { { shape = { -1 }, count = 3 }, { shape = { 3 }, count = 3, strides = { -1 } },
      { shape = { 3 }, count = 3, offset = -1 }, { shape = { 3 }, count = 3, strides = {} } } do
      assert.equal(never, complaint(checkpoints.zip(one(given), { ["0"] = floats(1, 2, 3) })))
    end
    assert.equal("persistent id is no storage",
      complaint(checkpoints.zip(one { shape = { 3 }, count = -3 }, { ["0"] = floats(1, 2, 3) })))
    assert.equal("tensor 'w': data: expected whole numbers below 2^63, got a larger one", complaint(checkpoints.zip(
      p.dict(p.str "w", p.call("torch._utils", "_rebuild_tensor_v3", p.tuple(p.str "storage",
        p.global("torch.storage", "UntypedStorage"), p.str "0", p.str "cpu", p.int(16)) .. "Q", p.int(0), p.sizes { 2 },
        p.sizes { 1 }, p.no, p.none, p.global("torch", "uint64"))), { ["0"] = ("\255"):rep(16) })))
  end)

  it("is refused when all its views together are too much", function()
    local parts = {}
    for i = 1, 40 do -- 1 MB each, all different, of a storage of 4 bytes
      parts[2 * i - 1] = p.str("w" .. i)
      parts[2 * i] = p.tensor { shape = { 1 << 17, 1, i % 2 + 1 }, strides = { 0, i, 0 }, count = 1 }
    end
    parts[1] = p.str "w"
    assert.matches("^tensor 'w%d*': %[131072 x 1 x %d%] would take more than twice the file's size",
      complaint(checkpoints.zip(p.dict(table.unpack(parts)), { ["0"] = floats(1) })))
  end)

  it("is refused when its archive is not as PyTorch writes it", function()
    local body = one { shape = { 3 } }
    local storages = { ["0"] = floats(1, 2, 3) }
    local function zip(...) return archives.zip { ... } end
    local pickled = { name = "archive/data.pkl", data = p.stream(body) }
    for message, bytes in pairs {
      ["a zip archive, but no checkpoint of PyTorch: no data.pkl in it"] = zip { name = "a.npy", data = "x" },
      ["a TorchScript archive (torch.jit.save), which holds a program; save the weights alone, in Python: "
        .. "torch.save(model.state_dict(), path)"] = zip(pickled, { name = "archive/constants.pkl", data = "" }),
      ["entry 'archive/data.pkl': expected it stored as it is, as PyTorch does, got it compressed"] =
        zip { name = "archive/data.pkl", data = p.stream(body), method = 8 },
      ["tensor 'w': entry 'archive/data/0': expected it stored as it is, as PyTorch does, got it compressed"] =
        zip(pickled, { name = "archive/data/0", data = "x", method = 8, size = 12 }),
      ["entry 'archive/data.pkl': its checksum is wrong: expected 00000001, got "] =
        zip { name = "archive/data.pkl", data = p.stream(body), crc = 1 },
      ["tensor 'w': its checksum is wrong: expected 00000001, got "] =
        zip(pickled, { name = "archive/data/0", data = storages["0"], crc = 1 }),
      ["not a zip archive, or cut short: no end record"] = checkpoints.zip(body, storages):sub(1, -2),
      ["entry 'archive/data/0': duplicate name"] =
        checkpoints.zip(body, storages, { { name = "archive/data/0", data = "x" } }),
    } do
      local got = complaint(bytes)
      assert.equal(message, message:find("got $") and got:gsub("%x+$", "") or got)
    end
    assert.matches("its data overlap the next entry or are out of bounds", complaint(zip(pickled,
      { name = "archive/data/0", data = storages["0"] }, { name = "archive/data/1", data = "x", offset = 1 })), 1, true)
  end)

  it("checks the sum of a storage that is read in parts", function()
    local bytes = checkpoints.zip(one { shape = { 2 }, count = 3 }, nil,
      { { name = "archive/data/0", data = floats(1, 2, 3), crc = 5 } })
    assert.matches("^tensor 'w': its storage: its checksum is wrong: expected 00000005, got ", complaint(bytes))
  end)

  it("is refused when its stream is not as PyTorch writes it", function()
    local body = one { shape = { 3 } }
    local storage = { "0", 3, floats(1, 2, 3) }
    local good = checkpoints.stream(body, { storage })
    local advice = "save the weights alone, in Python: torch.save(model.state_dict(), path)"
    for message, bytes in pairs {
      ["a pickle, but no checkpoint of PyTorch (its first value is a dict)"] = p.stream(p.dict()),
      ["expected version 1001 of the format, got 1002"] = good:gsub("J\xe9\3", "J\xea\3"),
      ["pickle: cut short"] = good:sub(1, 60),
      ["cut short: storage '0' is missing"] = good:sub(1, -15),
      ["cut short: storage '0' ends behind the file"] = good:sub(1, -2),
      ["storage '0': expected 3 elements, got 4"] = checkpoints.stream(body, { { "0", 4, floats(1, 2, 3, 4) } }),
      ["storage '0': expected 3 elements, got -1"] = checkpoints.stream(body, { { "0", -1, "" } }),
      ["the list of storages names one that no tensor uses"] = checkpoints.stream(body, { storage, { "1", 0, "" } }),
      ["tensor 'w': storage '0' is not in the file"] = checkpoints.stream(body, {}),
      ["global 'my.Net' is not allow-listed; nothing was executed; " .. advice] =
        checkpoints.stream(p.tuple(p.str "module", p.global("my", "Net"), p.str "net.py", p.str "code") .. "Q"),
      ["persistent id is no storage"] =
        checkpoints.stream(p.tuple(p.str "module", p.str "Net", p.str "net.py", p.str "code") .. "Q"),
      ["storage '0' is declared with two sizes"] = checkpoints.stream(p.dict(p.str "w", p.tensor { shape = { 3 } },
        p.str "v", p.tensor { shape = { 4 } }), { storage }),
    } do
      assert.equal(message, complaint(bytes))
    end
  end)
end)
