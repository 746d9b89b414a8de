-- Descriptors, threads and child processes are given back when a loop or a function is left, however it is left; the
-- collector is stopped meanwhile.
local archives = require "support.archives"
local core = require "secateur.core"
local data = require "secateur.data"
local files = require "secateur.util.files"
local gnuplot = require "secateur.report.gnuplot"
local held = require "support.held"
local models = require "secateur.models"
local needs = require "support.needs"
local safetensors = require "secateur.formats.safetensors"
local temporary = require "support.temporary"
local weights = require "secateur.formats.weights"

describe("what was opened or started", function()
  local folder
  setup(function() folder = temporary.folder() end)
  teardown(function() files.remove(folder) end)
  it("is counted", function()
    needs.proc(pending)
    local kept
    assert.error_matches(function()
      held.check(function() kept = assert(io.open("/proc/self/stat")) end)
    end, "descriptors")
    kept:close()
    local loader
    assert.error_matches(function()
      held.check(function()
        loader = core.image_loader(core.image_source { kind = "phantom", labels = { 1, 1, 1 }, size = 16 },
          { indices = { 1, 2, 3 }, batch = 1, size = 16, prefetch = 1 })
      end)
    end, "threads")
    loader:close()
  end)

  it("ends with a loop over batches, at its end, by break, return or error, and with a <close> variable", function()
    needs.proc(pending)
    local set = data.phantom { count = 60, size = 16 }
    local ways = {
      function() for _ in set.train:batches { batch = 4, workers = 3 } do end end, -- luacheck: ignore 542
      function() for _ in set.train:batches { batch = 4, workers = 3 } do break end end, -- luacheck: ignore 512
      function() for x in set.train:batches { batch = 4, workers = 3 } do return x end end, -- luacheck: ignore 512
      function() for _ in set.train:batches { batch = 4, workers = 3 } do error "mine" end end, -- luacheck: ignore 512
      function()
        local batches <close> = set.train:batches { batch = 4, workers = 3 }
        batches()
      end,
    }
    for i, way in ipairs(ways) do assert.equal(i ~= 4, (held.check(way))) end
  end)

  it("ends with an archive of arrays that cannot all be read", function()
    needs.proc(pending)
    local good, path = files.join(folder, "good.npz"), files.join(folder, "bad.npz")
    core.npz_write(good, { "a" }, { core.zeros(2) })
    assert.is_true((held.check(function() return core.npz_load(good) end)))
    assert.is_true((held.check(function() return core.npz_names(good) end)))
    assert.is_false((held.check(function() return core.npz_load(good, { "b" }) end)))
    assert.is_false((held.check(function() return core.npz_load(good, { {} }) end)))
    temporary.write(folder, "bad.npz", archives.zip { { name = "a.npy", data = "no array" } })
    assert.is_false((held.check(function() return core.npz_load(path) end)))
  end)

  it("ends with a file of weights that is damaged", function()
    needs.proc(pending)
    local path = files.join(folder, "x.safetensors")
    for _, bytes in ipairs { "", "12", ("<I8"):pack(2) .. "{}", ("<I8"):pack(2) .. "[]", ("<I8"):pack(9) .. "{}",
      ("<I8"):pack(6) .. '{"a":1', "\128\2.", archives.zip { { name = "a", data = "x" } } } do
      temporary.write(folder, "x.safetensors", bytes)
      for _, read in ipairs { safetensors.load, weights.load } do held.check(function() return read(path) end) end
    end
    models.vgg({ config = { 4, "M" }, hidden = {}, classes = 2, channels = 1, size = 8 }):save(path)
    local whole = assert(files.read_all(path))
    temporary.write(folder, "x.safetensors", whole:sub(1, -9))
    assert.is_false((held.check(function() return weights.load(path) end)))
  end)

  it("ends with an open file whose header cannot be kept for want of memory", function()
    needs.proc(pending)
    local open, closed = core.safetensors_open, 0
    finally(function() core.safetensors_open = open end) -- luacheck: ignore
    local stub = { bytes = function() return 0 end, close = function() closed = closed + 1 end }
    core.safetensors_open = function() return stub end -- luacheck: ignore
    for _, problem in ipairs { "not enough memory", { "anything" } } do
      stub.header = function() error(problem, 0) end
      local ok, message = pcall(safetensors.open, "x")
      assert.is_false(ok)
      assert.equal(problem, message)
    end
    assert.equal(2, closed)
  end)

  it("ends with a figure that could not be drawn", function()
    needs.proc(pending)
    held.check(function()
      assert.is_nil((gnuplot.draw { folder = folder, name = "x", width = 100, height = 100, body = "plot 1",
        program = "false" }))
    end)
  end)
end)
