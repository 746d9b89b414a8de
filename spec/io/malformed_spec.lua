-- Damaged files of every kind that is read: each must give an error with a message, or a result that can be used; never
-- a crash, a hang or lost memory. Most telling under the sanitizers.
local core = require "secateur.core"
local csv = require "secateur.util.csv"
local damage = require "support.damage"
local files = require "secateur.util.files"
local safetensors = require "secateur.formats.safetensors"
local temporary = require "support.temporary"

local function settle()
  collectgarbage()
  collectgarbage()
  return (core.memory())
end

-- Touches all that was read.
local function use(value)
  if type(value) == "table" then
    for _, item in pairs(value) do use(item) end
  elseif type(value) == "userdata" then
    local count = 1
    for _, size in ipairs(value:shape()) do count = count * size end
    assert.equal(count, value:numel())
    value:totable()
  end
end

-- Reads `per_kind` damaged copies of each kind. `read` raises, gives nil and a message, or gives a result.
local function survive(name, good, per_kind, read)
  local refused, total = 0, 0
  for which, kind in ipairs(damage.kinds) do
    local draw = damage.draws(core.mix(#good, which))
    for number = 1, per_kind do
      local bytes = damage.ways[kind](good, draw)
      local label = ("%s, %s, number %d"):format(name, kind, number)
      local ok, result, message = pcall(read, bytes)
      if ok and result ~= nil then
        use(result)
      else
        message = ok and message or result
        assert.equal("string", type(message), label)
        assert.is_true(#message > 10, label .. ": " .. message)
        assert.is_nil(message:find("attempt to", 1, true), label .. ": " .. message) -- an accident, not a refusal
        refused = refused + 1
      end
      total = total + 1
    end
  end
  return refused, total
end

describe("damaged files", function()
  local folder, path
  setup(function()
    folder = temporary.folder()
    path = folder .. "/damaged"
  end)
  teardown(function() files.remove(folder) end)

  local function from_file(load)
    return function(bytes)
      local file <close> = assert(io.open(path, "wb")) -- files.write_all waits for the disk
      file:write(bytes)
      file:close()
      return load(path)
    end
  end

  local function check(name, good, per_kind, least_refused, read)
    read(good) -- the undamaged file is read
    local before = settle()
    local refused, total = survive(name, good, per_kind, read)
    assert.equal(before, settle())
    assert.equal(per_kind * #damage.kinds, total)
    assert.is_true(refused >= least_refused * total, ("%s: only %d of %d were refused"):format(name, refused, total))
  end

  local function fixture(name)
    return assert(files.read_all("spec/fixtures/io/" .. name))
  end

  it("of safetensors are survived", function()
    check("safetensors", fixture "types.safetensors", 40, 0.6, from_file(safetensors.load))
    safetensors.save(path, { a = core.randn(3, 4), b = core.tensor({ 1, 2 }, "int64"), c = core.tensor { fill = 1 } },
      { note = "text" })
    check("safetensors of our own", assert(files.read_all(path)), 40, 0.6, from_file(safetensors.load))
  end)

  it("of npy are survived", function()
    check("npy", fixture "version1.npy", 40, 0.6, from_file(core.npy_load))
    check("npy, version 2", fixture "version2.npy", 20, 0.6, from_file(core.npy_load))
  end)

  it("of npz are survived", function()
    check("stored npz", fixture "stored.npz", 40, 0.6, from_file(core.npz_load))
    check("deflated npz", fixture "deflated.npz", 40, 0.6, from_file(core.npz_load))
    check("npz, names only", fixture "stored.npz", 20, 0.1, from_file(core.npz_names))
  end)

  it("of images are survived", function()
    local function load(name) return core.image_load(name, { channels = 3 }) end
    for name, least in pairs { ["colour8.png"] = 0.3, ["grey16.png"] = 0.3, ["palette.png"] = 0.3, ["colour.jpg"] = 0.2,
      ["progressive.jpg"] = 0.2, ["colour.bmp"] = 0.1 } do
      local good = assert(files.read_all("spec/fixtures/images/" .. name))
      check(name, good, 30, least, from_file(load))
      check(name .. ", header only", good, 10, 0, from_file(function(file)
        local width, height = core.image_info(file)
        if width == nil then return nil, height end
        return core.tensor { width, height }
      end))
    end
  end)

  it("of CSV are survived", function()
    local text = 'file,label,split\n"a, b.png",1,train\n"say ""x""",2,test\r\nc.png,3,val\n'
    check("csv", text, 40, 0.05, function(bytes) return csv.parse(bytes) end)
    check("csv records", text, 20, 0.05, from_file(function(name) return csv.records(name, { "file", "label" }) end))
  end)
end)
