local core = require "secateur.core"
local csv = require "secateur.util.csv"
local custom = require "secateur.models.custom"
local errors = require "support.errors"
local families = require "support.families"
local files = require "secateur.util.files"
local temporary = require "support.temporary"

-- A convolution with norm and activation, a residual sum, and a linear layer.
local function network()
  return custom { input = { 3, 8, 8 }, build = function(net, x)
    local a = net:relu("a.act", net:batch_norm2d("a.norm", net:conv2d("a", x, { out = 4, kernel = 3, padding = 1 })))
    local b = net:add("sum", { net:conv2d("b", a, { out = 4, kernel = 1, bias = false }), a })
    return net:linear("head", net:flatten("flat", b), { out = 5 })
  end }
end

describe("a profile", function()
  it("has a row for each step, with its operations, arithmetic and traffic", function()
    local rows = network():profile(core.randn(2, 3, 8, 8, { seed = 1 })).rows
    local expected = {
      { "a", "conv2d + batch_norm2d + relu", 2 * 64 * 4 * 27, 2 * 64 * (3 + 4) + 4 * 27 + 4 + 4 * 4 },
      { "b", "conv2d + add", 2 * 64 * 4 * 4, 2 * 64 * (4 + 4) + 4 * 4 }, -- the value added is the one convolved
      { "flat", "flatten", 0, 2 * 2 * 256 },
      { "head", "linear", 2 * 256 * 5, 2 * (256 + 5) + 5 * 257 },
    }
    assert.equal(#expected, #rows)
    for i, row in ipairs(rows) do
      local name, op, macs, numbers = table.unpack(expected[i])
      assert.same({ name = name, op = op, ms = row.ms, gflops = 2 * macs / 1e9, bytes = 4 * numbers }, row)
      assert.is_true(row.ms >= 0)
    end
  end)

  it("covers every step of every family", function()
    for name, model in pairs(families.all()) do
      local profile = model:profile(families.batch(model, 3), { repeats = 1 })
      local ops, macs = {}, 0
      for _, row in ipairs(profile.rows) do
        for op in row.op:gmatch "[%w_]+" do ops[#ops + 1] = op end
      end
      for _, node in ipairs(model.graph:nodes()) do macs = macs + node.macs end
      assert.equal(#model.graph:nodes() - 1, #ops, name)
      assert.near(3 * 2 * macs / 1e9, profile.gflops, 1e-12)
      assert.equal(3, profile.batch)
      assert.equal(1, profile.repeats)
    end
  end)

  it("has times that add up to that of a run", function()
    local model = families.all().bottleneck
    local x = families.batch(model, 64)
    local profile, total = model:profile(x, { repeats = 3 }), 0
    for _, row in ipairs(profile.rows) do total = total + row.ms end
    assert.near(total, profile.ms, 1e-9)
    local plan = core.plan(model.graph, { batch = 64 })
    local start, sum = core.clock(), 0
    local seconds = plan:profile(x)
    for _, each in ipairs(seconds) do
      assert.is_true(each >= 0)
      sum = sum + each
    end
    assert.is_true(sum > 0 and sum <= core.clock() - start)
  end)

  it("prints as a table, and writes one", function()
    local profile = network():profile(core.randn(2, 3, 8, 8, { seed = 1 }), { repeats = 2 })
    local text = tostring(profile)
    assert.matches("^step +operations +ms +time +GFLOP +GFLOP/s +MB\na +conv2d %+ batch_norm2d %+ relu +%d", text)
    assert.matches("\ntotal +%d+%.%d+ +%d+%.%d%% ", text)
    assert.matches("\nbatch of 2, median of 2 runs: %d+%.%d+ ms per image, [%d.]+ images/s$", text)
    local folder = temporary.folder()
    profile:csv(folder .. "/profile.csv")
    local records = csv.records(folder .. "/profile.csv", { "name", "op", "ms", "gflops", "bytes" })
    assert.equal(#profile.rows, #records)
    assert.equal("conv2d + add", records[2].op)
    assert.equal(profile.rows[2].bytes, tonumber(records[2].bytes))
    assert.equal(profile.rows[2].ms, tonumber(records[2].ms))
    files.remove(folder)
    assert.equal("csv: path: missing", errors.here(function() profile:csv() end))
  end)

  it("refuses what it cannot measure, at the caller's line", function()
    local model = network()
    local x = core.zeros(1, 3, 8, 8)
    assert.equal("profile: x: expected a Tensor [N x 3 x 8 x 8], got nil", errors.here(function() model:profile() end))
    assert.equal("profile: repeats: expected a whole number of at least 1, got 0",
      errors.here(function() model:profile(x, { repeats = 0 }) end))
    assert.equal("profile: unknown option 'runs', expected one of: repeats",
      errors.here(function() model:profile(x, { runs = 3 }) end))
    local plan = core.plan(model.graph, {})
    assert.equal("profile: x: expected a tensor of float32, got one of int64",
      errors.text(plan.profile, plan, core.zeros(1, 3, 8, 8, { dtype = "int64" })))
    assert.equal(5, #plan:profile(x)) -- the input's step among them
  end)
end)
