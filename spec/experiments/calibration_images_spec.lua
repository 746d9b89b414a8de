local calibration_images = require "secateur.experiments.calibration_images"
local sc = require "secateur"
local stderr = require "support.stderr"
local toy = require "support.toy"

describe("the calibration images of a sweep", function()
  local data = sc.data.phantom { size = 16, count = 60, channels = 1, classes = { "normal", "effusion" } }
  local model = toy.model { seed = 2, size = 16, classes = 2 }

  -- Few enough to choose from, and so many that views are needed.
  for _, count in ipairs { 8, 70 } do
    it(("are those that would be chosen otherwise, %d of them"):format(count), function()
      local images = calibration_images.get(data.train, { count = count, seed = 3 })
      assert.equal(count, images:size(1))
      local function scores(calibration)
        return sc.importance(model, data.train, { method = "magnitude", redundancy = true, per_class = 2, seed = 3,
          calibration = calibration, calibration_count = count })
      end
      local ours, theirs = scores(images), scores(data.train)
      local function pruned(calibration)
        return sc.prune(model, theirs, { rate = 0.4, repair = "least_squares", seed = 3, calibration = calibration,
          calibration_count = count }):state()
      end
      local repaired, expected = pruned(images), pruned(data.train)
      for name, tensor in pairs(theirs) do assert.same(tensor:totable(), ours[name]:totable(), name) end
      for name, tensor in pairs(expected) do assert.same(tensor:totable(), repaired[name]:totable(), name) end
    end)
  end

  it("of a split of one's own are the split", function()
    local split = { batch = function() end, count = function() return 3 end }
    assert.equal(split, calibration_images.get(split, { count = 2, seed = 0 }))
  end)
end)

describe("a sweep with repair", function()
  it("is what importance, prune and compact do one after the other, and resumes", function()
    local data = sc.data.phantom { size = 16, count = 80, channels = 1, classes = { "normal", "effusion" } }
    local model = toy.model { seed = 2, size = 16, classes = 2 }
    local path = os.tmpname()
    os.remove(path)
    finally(function() os.remove(path) end)
    local function run(repair)
      return sc.sweep { model = model, data = data, methods = { "sensitivity", "magnitude" }, sampling = "random",
        rates = { 0.5 }, redundancy = { false, true }, repair = repair, calibration_count = 30, seed = 4,
        latency = false, agreement = false, progress = false, store = path }
    end
    local rows = run { "none", "least_squares" }
    assert.equal(8, #rows)
    for _, row in ipairs(rows) do
      local scores = sc.importance(model, data.train, { method = row.method, sampling = "random", seed = 4,
        redundancy = row.redundancy, calibration_count = 30 })
      local pruned = sc.prune(model, scores, { rate = 0.5, repair = row.repair, seed = 4, calibration_count = 30 })
      local compact = sc.compact(pruned)
      assert.near(sc.evaluate(compact, data.test).loss, row.loss, 1e-9)
      local cost = sc.cost(compact, { latency = false })
      assert.same({ cost.macs, cost.parameters, cost.bytes }, { row.macs, row.parameters, row.bytes })
      assert.is_true(row.relative_macs < 1 and row.peak_bytes > 0 and row.latency_1 == nil)
      assert.equal(row.repair == "none", row.repair_seconds == 0)
      assert.equal(row.repair == "none", row.repair_layers == 0)
    end
    local again = run { "least_squares", "none" }
    assert.same({ "least_squares", "none" }, again:distinct "repair")
    assert.equal(rows[2].kl, again[1].kl)
  end)

  it("takes rows that batch norms would repair for unrepaired ones where there are none, and says so", function()
    local data = sc.data.phantom { size = 16, count = 60, channels = 1, classes = { "normal", "effusion" } }
    local model, rows = sc.models.vgg { config = { 4, "M" }, hidden = { 4 }, pool = 2, size = 16, channels = 1,
      classes = 2 }, nil
    local said = stderr.calls(function()
      rows = sc.sweep { model = model, data = data, methods = "magnitude", sampling = "random", rates = { 0.3, 0.5 },
        repair = { "none", "batch_norm" }, latency = false, agreement = false, progress = false }
    end)
    assert.same({ "sweep: phantom, vgg: no batch norms, so that rows with repair 'batch_norm' are those without\n" },
      said)
    assert.same({ rows[1].kl, rows[2].kl }, { rows[3].kl, rows[4].kl })
    assert.equal(0, rows[3].repair_layers)
  end)
end)
