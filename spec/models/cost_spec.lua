local core = require "secateur.core"
local cost = require "secateur.models.cost"
local custom = require "secateur.models.custom"
local errors = require "support.errors"
local families = require "support.families"
local files = require "secateur.util.files"
local prune = require "secateur.pruning.prune"
local temporary = require "support.temporary"

-- A convolution with its norm, and a linear layer.
local function network()
  return custom { input = { 3, 8, 8 }, build = function(net, x)
    local a = net:relu("act", net:batch_norm2d("norm", net:conv2d("a", x, { out = 4, kernel = 3, padding = 1 })))
    return net:linear("head", net:flatten("flat", net:max_pool2d("pool", a, { kernel = 2 })), { out = 5 })
  end }
end

local function size_of(path)
  local file <close> = assert(io.open(path, "rb"))
  return file:seek "end"
end

describe("cost", function()
  it("counts what a network holds and computes", function()
    local found = cost(network(), { latency = false })
    assert.equal(4 * 27 + 4 + 4 + 4 + 64 * 5 + 5, found.parameters)
    assert.equal(64 * 4 * 27 + 64 * 5, found.macs)
    assert.is_nil(found.latency)
    assert.equal(core.threads(), found.threads)
  end)

  it("knows how large the file is that save writes", function()
    local folder = temporary.folder()
    local path = files.join(folder, "model")
    for name, model in pairs(families.all()) do
      local scores = {}
      for _, layer in ipairs(model:layers()) do scores[layer.name] = core.randn(layer.units, { seed = 3 }) end
      model.info.classes = { "one", "two", "drei – drüben" }
      for _, each in ipairs { model, prune(model, scores, { rate = 0.4, repair = "none" }) } do
        each:save(path)
        assert.equal(size_of(path), cost(each, { batches = { 1 }, latency = false }).bytes, name)
      end
    end
    files.remove(folder)
  end)

  it("counts the memory of a run from nothing: parameters, arena, scratch, packed weights, logits", function()
    local model, held = families.all().bottleneck, 0
    for _, tensor in pairs(model:state()) do held = held + tensor:numel() * (tensor:dtype() == "int64" and 8 or 4) end
    collectgarbage()
    collectgarbage()
    local before = core.memory()
    local first = cost(model, { latency = false, batches = { 1, 5 } })
    collectgarbage()
    collectgarbage()
    assert.equal(before, (core.memory())) -- and nothing of it stays
    for batch, peak in pairs(first.peak_bytes) do
      local plan = core.plan(model.graph, { batch = batch })
      local arena, scratch = plan:memory()
      plan:close()
      assert.is_true(peak >= held + arena + scratch, batch)
      assert.is_true(peak <= 2 * held + arena + scratch + 65536, batch) -- weights are packed once at most
    end
    assert.is_true(first.peak_bytes[5] > first.peak_bytes[1])
    model:forward(core.zeros(7, 1, 32, 32)) -- a plan that is there already does not count
    assert.same(first, cost(model, { latency = false, batches = { 5, 1 } }))
  end)

  it("is that of as many threads as it is told, whatever their number else", function()
    local before, model, seen = core.threads(), network(), {}
    for threads = 1, 3 do
      core.threads(threads)
      local found = cost(model, { latency = false, threads = 1 })
      seen[threads] = { found.peak_bytes, found.threads, core.threads() }
    end
    local clock = core.clock
    core.clock = function() error "out of time" end -- luacheck: ignore
    local ok = pcall(cost, model, { threads = 2 })
    core.clock = clock -- luacheck: ignore
    local after = core.threads()
    core.threads(before)
    assert.is_false(ok)
    for threads = 1, 3 do assert.same({ seen[1][1], 1, threads }, seen[threads]) end
    assert.equal(3, after)
  end)

  it("takes the median of as many runs as it is told", function()
    local clock, now = core.clock, 0
    local lengths = { 9, 1, 2, 30, 4 } -- seconds of runs
    local reads = 0
    core.clock = function() -- luacheck: ignore
      reads = reads + 1
      if reads % 2 == 0 then now = now + lengths[(reads // 2 - 1) % 5 + 1] end
      return now
    end
    local ok, found = pcall(cost, network(), { batches = { 2 }, repeats = 5 })
    local runs = reads
    local again, even = pcall(cost, network(), { batches = { 2 }, repeats = 2 })
    core.clock = clock -- luacheck: ignore
    assert.is_true(ok, found)
    assert.is_true(again, even)
    assert.equal(10, runs)
    assert.near(4000, found.latency[2], 1e-6)
    assert.near(5000, even.latency[2], 1e-6) -- of 9 and 1
  end)

  it("measures at least five runs of its own accord", function()
    local clock, reads = core.clock, 0
    core.clock = function() -- luacheck: ignore
      reads = reads + 1
      return reads -- a second for each run
    end
    local ok, found = pcall(cost, network(), { batches = { 1 } })
    core.clock = clock -- luacheck: ignore
    assert.is_true(ok, found)
    assert.equal(10, reads)
    assert.near(1000, found.latency[1], 1e-6)
  end)

  it("is divided by another, and prints", function()
    local a = cost(network(), { repeats = 1, batches = { 1, 4 } })
    local b = cost(network(), { repeats = 1, batches = { 4 } })
    a.macs, b.macs, a.bytes, b.bytes, a.latency[4], b.latency[4] = 500, 2000, 123456, 493824, 2.5, 5
    local shares = a:relative(b)
    assert.equal(0.25, shares.macs)
    assert.equal(0.25, shares.bytes)
    assert.equal(1, shares.parameters)
    assert.same({ [4] = 0.5 }, shares.latency)
    assert.equal(1, shares.peak_bytes[4])
    local text = tostring(shares)
    assert.matches("^ +before +after +share\nparameters +445 +445 +100%.0%%\nmultiply%-adds +2 k +500 +25%.0%%\n", text)
    assert.matches("\nfile +493%.8 kB +123%.5 kB +25%.0%%\n", text)
    assert.matches("\ntime, batch 1 +%- +[%d.e-]+ ms +%-\ntime, batch 4 +5 ms +2%.5 ms +50%.0%%$", text)
    assert.matches("^ +dense +pruned +share\n", tostring(a:relative(b, { "dense", "pruned" })))
    assert.matches("^parameters +445\n" .. "multiply%-adds +500\nfile +123%.5 kB\nmemory, batch 1 +[%d.]+ [kM]B\n",
      tostring(a))
    assert.is_nil(cost(network(), { latency = false, batches = { 4 } }):relative(b).latency)
  end)

  it("refuses what it cannot measure, at the caller's line", function()
    local model = network()
    assert.equal("cost: model: expected a Model, got a table", errors.here(function() cost({}) end))
    assert.equal("cost: batches: expected whole numbers of at least 1, got { 1, 0 }",
      errors.here(function() cost(model, { batches = { 1, 0 } }) end))
    assert.equal("cost: repeats: expected a whole number of at least 1, got 0",
      errors.here(function() cost(model, { repeats = 0 }) end))
    assert.equal("cost: unknown option 'batch', expected one of: batches, latency, repeats, threads",
      errors.here(function() cost(model, { batch = 1 }) end))
    local found = cost(model, { latency = false })
    assert.equal("relative: dense: expected a Cost, got a table", errors.here(function() found:relative({}) end))
    assert.equal("relative: dense: missing", errors.here(function() found:relative() end))
  end)
end)
