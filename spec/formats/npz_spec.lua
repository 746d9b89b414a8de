-- sc.npz and sc.save_npz: what is written is read again, by NumPy, too, where there is one.
local archives = require "support.archives"
local core = require "secateur.core"
local errors = require "support.errors"
local files = require "secateur.util.files"
local sc = require "secateur"
local temporary = require "support.temporary"

describe("archives of arrays", function()
  local root, path
  setup(function()
    root = temporary.folder()
    path = files.join(root, "arrays.npz")
  end)
  teardown(function() files.remove(root) end)

  local function arrays()
    return { x = sc.randn(2, 3, 4, { seed = 1 }), ["block.0/weight"] = core.tensor({ 1.5, -0.25 }),
      labels = core.tensor({ { 1, -2 }, { math.maxinteger, math.mininteger } }, "int64"),
      image = core.tensor({ { { 0, 255 }, { 7, 8 } } }, "uint8"), ["Größe"] = core.tensor { 3 },
      none = core.zeros(0, 5) }
  end

  it("come back as they were", function()
    local given = arrays()
    sc.save_npz(path, given)
    local read = sc.npz(path)
    local count = 0
    for name, tensor in pairs(read) do
      count = count + 1
      assert.equal(given[name]:dtype(), tensor:dtype())
      assert.same(given[name]:shape(), tensor:shape())
      assert.same(given[name]:totable(), tensor:totable())
    end
    assert.equal(6, count)
    local some = sc.npz(path, { "labels" })
    assert.same(given.labels:totable(), some.labels:totable())
    assert.is_nil(some.x)
  end)

  it("are equal files where the tensors are equal", function()
    local again = files.join(root, "again.npz")
    sc.save_npz(path, arrays())
    sc.save_npz(again, arrays())
    assert.equal(files.read_all(path), files.read_all(again))
    -- an archive with the checksums and the alignment that others expect
    local file <close> = core.file_open(path)
    assert.equal(6, file:zip())
    for i = 1, 6 do
      local offset, length, crc, plain = file:entry(file:name(i))
      assert.is_true(plain)
      assert.equal(crc, file:crc32(offset, length))
      assert.equal(0, (10 + string.unpack("<I2", file:bytes(offset + 8, 2))) % 64)
    end
  end)

  it("hold many arrays", function()
    local many = {}
    for i = 1, 700 do many["a" .. i] = core.tensor { i } end
    sc.save_npz(path, many)
    local read = sc.npz(path)
    for i = 1, 700 do assert.equal(i, read["a" .. i]:get(1)) end
  end)

  it("are read by NumPy", function()
    local python = os.getenv "SECATEUR_PYTHON" or "python3"
    local probe = io.popen(python .. " -c 'import numpy; print(1)' 2>/dev/null")
    local there = probe:read "l" == "1"
    probe:close()
    if not there then return pending "no NumPy here (SECATEUR_PYTHON names a Python that has it)" end
    sc.save_npz(path, arrays())
    local script = [[
import numpy, sys
a = numpy.load(sys.argv[1], allow_pickle=False)
for name in sorted(a.files):
    print(name, a[name].dtype, a[name].shape, a[name].astype(object).reshape(-1).tolist()[:2])
]]
    local file = temporary.write(root, "read.py", script)
    local pipe = io.popen(("PYTHONIOENCODING=utf8 %s %s %s 2>&1"):format(python, file, path))
    local said = pipe:read "a"
    pipe:close()
    assert.equal("Größe float32 (1,) [3.0]\nblock.0/weight float32 (2,) [1.5, -0.25]\nimage uint8 (1, 2, 2) [0, 255]\n"
      .. "labels int64 (2, 2) [1, -2]\nnone float32 (0, 5) []\nx float32 (2, 3, 4) [?]\n",
      (said:gsub("(x float32 %(2, 3, 4%) )%b[]", "%1[?]")))
  end)

  it("unpack to no more than they may", function()
    sc.save_npz(path, { x = core.zeros(10), y = core.zeros(5, 4) })
    local whole = sc.npz(path, nil, { max_bytes = 120 })
    assert.same({ 5, 4 }, whole.y:shape())
    assert.same({ 10 }, sc.npz(path, { "x" }, { max_bytes = 40 }).x:shape())
    assert.has_error(function() sc.npz(path, nil, { max_bytes = 119 }) end, ("npz: '%s': entry 'y.npy': it unpacks to "
      .. "80 bytes, 120 with those before it: more than max_bytes = 119"):format(path))
    assert.matches("npz: max_bytes: expected a whole number", errors.raised(sc.npz, path, nil, { max_bytes = 0 }))
  end)

  it("are refused where few bytes unpack to very many, unless that is wanted", function()
    -- 40 Mi booleans, which become 320 MiB of int64
    local count = 40 << 20
    local header = ("{'descr': '|b1', 'fortran_order': False, 'shape': (%d,), }"):format(count)
    header = header .. (" "):rep((-(#header + 11)) % 64) .. "\n"
    local start = "\147NUMPY\1\0" .. string.pack("<s2", header)
    local file = temporary.write(root, "start", start)
    local packed = files.join(root, "packed")
    local command = "{ cat %s; head -c %d /dev/zero; } | gzip -1 -n > %s 2>/dev/null"
    if not os.execute(command:format(file, count, packed)) then return pending "no gzip here to make it with" end
    local bytes = assert(files.read_all(packed))
    local crc = string.unpack("<I4", bytes, -8)
    temporary.write(root, "bomb.npz", archives.zip { { name = "x.npy", data = bytes:sub(11, -9), method = 8,
      size = #start + count, crc = crc } })
    local bomb = files.join(root, "bomb.npz")
    assert.matches("npz: '[^']+': entry 'x.npy': it unpacks to 335544320 bytes, 335544320 with those before it: more "
      .. "than max_bytes = %d+$", errors.raised(sc.npz, bomb))
    assert.same({ count }, sc.npz(bomb, nil, { max_bytes = 8 * count }).x:shape())
  end)

  it("leave what was there where writing fails, and give all memory back", function()
    sc.save_npz(path, { x = core.tensor { 1 } })
    collectgarbage()
    collectgarbage()
    local before = core.memory()
    assert.is_false(pcall(sc.save_npz, files.join(root, "gone/arrays.npz"), { x = core.tensor { 2 } }))
    sc.save_npz(path, { x = core.tensor { 3 } })
    sc.npz(path)
    collectgarbage()
    collectgarbage()
    assert.equal(before, (core.memory()))
  end)

  it("are checked", function()
    local refusal = errors.raised
    assert.matches("save_npz: path: expected a name for a NumPy file", refusal(sc.save_npz, "x.pth", arrays()), 1, true)
    assert.matches("save_npz: path: expected a name for an archive of arrays (.npz), got 'x.npy'",
      refusal(sc.save_npz, "x.npy", arrays()), 1, true)
    assert.matches("save_npz: tensors: x: expected a Tensor, got 3", refusal(sc.save_npz, path, { x = 3 }), 1, true)
    assert.matches("save_npz: tensors: expected names as keys (UTF-8, not empty), got 1",
      refusal(sc.save_npz, path, { core.tensor { 1 } }), 1, true)
    assert.matches("save_npz: tensors: expected at least one, got none", refusal(sc.save_npz, path, {}), 1, true)
    assert.matches("npz: '[^']+': No such file or directory", refusal(sc.npz, root .. "/none.npz"))
    sc.save_npz(path, { x = core.tensor { 1 } })
    assert.matches("npz: '[^']+': no array 'y' in it", refusal(sc.npz, path, { "y" }))
    assert.matches("npz: '[^']+': not a zip archive", refusal(sc.npz, temporary.write(root, "no.npz", "nothing")))
  end)
end)
