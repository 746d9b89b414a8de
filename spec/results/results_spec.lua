local old_store = require "support.old_store"
local results = require "secateur.results"
local rows = require "support.rows"
local store = require "secateur.results.store"

describe("results", function()
  it("are the list of rows", function()
    local some = rows.results { { { [0] = 0, [0.5] = 0.2 } }, { { [0.5] = 0.1 }, { method = "ig", seed = 3 } } }
    assert.equal(3, #some)
    assert.equal(0.2, some[2].drop)
    assert.same({ 0, 0.5 }, some:distinct "rate")
    assert.same({ "lrp", "ig" }, some:distinct "method")
    assert.equal(1, #some:where { method = "ig", rate = 0.5 })
    assert.equal(0.9, some:baseline("cpn", "vgg"))
    assert.is_nil(some:baseline("cpn", "vit"))
  end)

  it("average with the population's deviation", function()
    local list = { { drop = 0.1 }, { drop = 0.3 }, { drop = -0.1 }, { drop = 0.5 }, {}, { drop = 0 / 0 } }
    local mean, deviation, count = results.statistics(list, "drop")
    assert.near(0.2, mean, 1e-12)
    assert.near(math.sqrt((0.01 + 0.01 + 0.09 + 0.09) / 4), deviation, 1e-12)
    assert.equal(4, count)
    assert.same({ 0.7, 0, 1 }, { results.statistics({ { drop = 0.7 } }, "drop") })
    assert.is_nil(results.statistics({}, "drop"))
  end)

  it("tell repair and redundancy apart, and take rows without them for plain ones", function()
    local some = rows.results { { { [0.5] = 0.2 } }, { { [0.5] = 0.1 }, { repair = "bias" } },
      { { [0.5] = 0.3 }, { redundancy = true } }, { { [0.5] = 0.4 }, { repair = "bias", seed = 1 } } }
    assert.same({ "none", "bias" }, some:distinct "repair")
    assert.same({ false, true }, some:distinct "redundancy")
    assert.equal(2, #some:where { repair = "bias", redundancy = false })
    assert.same({ { repair = "none", redundancy = false }, { repair = "bias", redundancy = false },
      { repair = "none", redundancy = true } }, some:combinations { "repair", "redundancy" })
    assert.is_true(some:varies "repair")
    assert.is_false(results.new(some:where { repair = "none" }):varies "repair")
    local list = {}
    for i, each in ipairs(some:lossless(0.25)) do list[i] = { each.repair, each.redundancy, each.rate } end
    assert.same({ { "none", false, 0 }, { "bias", false, 0 }, { "none", true, 0 } }, list)
    some[2].relative_macs, some[2].decision_agreement = 0.25, 0.75
    assert.equal([[
dataset  model  method  redundancy  repair  sampling  seed  rate  accuracy   drop  balanced  decisions   MACs
cpn      vgg    lrp     no          none    random       0  0.50     0.700  0.200     0.800          -      -
cpn      vgg    lrp     no          bias    random       0  0.50     0.800  0.100     0.800      0.750  0.250
cpn      vgg    lrp     yes         none    random       0  0.50     0.600  0.300     0.800          -      -
cpn      vgg    lrp     no          bias    random       1  0.50     0.500  0.400     0.800          -      -]],
      tostring(some))
  end)

  it("print as a table", function()
    local text = tostring(rows.results { { { [0] = 0, [0.5] = 0.25 }, { dataset = "Fötal" } } })
    assert.equal([[
dataset  model  method  sampling  seed  rate  accuracy   drop  balanced
Fötal    vgg    lrp     random       0  0.00     0.900      0     0.800
Fötal    vgg    lrp     random       0  0.50     0.650  0.250     0.800]], text)
  end)

  it("count the images that were left out, of each data set once", function()
    local some = rows.results { { { [0] = 0, [0.5] = 0 }, { skipped = 2 } }, { { [0.5] = 0 }, { skipped = 3 } },
      { { [0.5] = 0 }, { dataset = "mura", skipped = 4 } } }
    assert.equal(7, some.skipped)
    assert.truthy(tostring(some):find "\n7 images were left out: they could not be read$")
    assert.equal(0, rows.results({ { { [0.5] = 0 } } }).skipped)
  end)

  describe("lossless rate", function()
    local function rate_of(drops, margin)
      return rows.results({ { drops } }):lossless(margin)[1].rate
    end

    it("is the last one before the first drop above the margin", function()
      assert.equal(0.3, rate_of { [0] = 0, [0.15] = 0.01, [0.3] = 0.04, [0.5] = 0.06, [0.7] = 0.3 })
      assert.equal(0.7, rate_of { [0] = 0, [0.15] = 0.01, [0.7] = 0.02 })
    end)

    it("does not come back after a drop", function()
      assert.equal(0.15, rate_of { [0.15] = 0.01, [0.3] = 0.2, [0.5] = 0.01 })
    end)

    it("is 0 where already the first rate drops too far, with or without a row for 0", function()
      assert.equal(0, rate_of { [0] = 0, [0.15] = 0.2, [0.3] = 0.01 })
      assert.equal(0, rate_of { [0.15] = 0.2 })
    end)

    it("takes a drop equal to the margin as lossless, whatever binary makes of it", function()
      assert.is_true(0.9 - 0.85 > 0.05)
      assert.equal(0.5, rate_of { [0.5] = 0.9 - 0.85 })
      assert.equal(0, rate_of { [0.5] = 0.0501 })
    end)

    it("counts gains as no drop", function()
      assert.equal(0.5, rate_of({ [0.3] = -0.02, [0.5] = -0.1 }, 0))
    end)

    it("depends on the margin", function()
      local drops = { [0.15] = 0.01, [0.3] = 0.08 }
      assert.equal(0.15, rate_of(drops))
      assert.equal(0.3, rate_of(drops, 0.1))
      assert.equal(0, rate_of(drops, 0))
      assert.error_matches(function() rate_of(drops, 2) end, "lossless: margin: expected a number in %[0, 1%], got 2")
    end)

    it("holds for every seed", function()
      local both = rows.results { { { [0.15] = 0.01, [0.3] = 0.02 }, { seed = 0 } },
        { { [0.15] = 0.03, [0.3] = 0.07 }, { seed = 1 } } }
      assert.same({ { dataset = "cpn", model = "vgg", method = "lrp", sampling = "random", redundancy = false,
        repair = "none", rate = 0.15, drop = 0.03, metric = "accuracy", margin = 0.05, seeds = 2, measured_to = 0.3,
        is_open = false } }, both:lossless())
    end)

    it("is of any metric, and tells whether a larger one may be lossless", function()
      local some = rows.results { { { [0] = 0, [0.3] = 0.2, [0.5] = 0.2 } } }
      for i, ece in ipairs { 0.05, 0.06, 0.125 } do some[i].ece = ece end
      local function found(...)
        local entry = some:lossless(...)[1]
        return { entry.metric, entry.rate, entry.measured_to, entry.is_open }
      end
      assert.same({ "accuracy", 0, 0.5, false }, found(0.05))
      assert.same({ "ece", 0.3, 0.5, false }, found(0.05, "ece"))
      assert.same({ "ece", 0.5, 0.5, true }, found(0.1, "ece"))
      assert.error_matches(function() some:lossless(0.05, "speed") end, "lossless: metric: expected one of 'accuracy'")
    end)

    it("is found per combination, and stops at a gap", function()
      local some = rows.results { { { [0.15] = 0, [0.3] = 0, [0.5] = 0 } },
        { { [0.15] = 0, [0.5] = 0 }, { method = "ig" } }, { { [0.15] = 0.3, [0.3] = 0 }, { dataset = "mura" } } }
      local found = {}
      for i, entry in ipairs(some:lossless()) do
        found[i] = { entry.dataset, entry.method, entry.rate, entry.next_missing }
      end
      assert.same({ { "cpn", "lrp", 0.5 }, { "cpn", "ig", 0.15, 0.3 }, { "mura", "lrp", 0 } }, found)
    end)
  end)

  describe("of a store", function()
    local path, writer
    local grid = { methods = { "lrp", "ig" }, rates = { 0, 0.5 }, seeds = { 0 }, samplings = { "random" },
      models = { "vgg" }, datasets = { "cpn" }, redundancy = { false }, repair = { "none" } }

    before_each(function()
      path = os.tmpname()
      os.remove(path)
      writer = assert(store.open(path))
    end)
    after_each(function()
      writer:close()
      os.remove(path)
    end)

    local function drops(read)
      local list = {}
      for i, row in ipairs(read) do list[i] = row.drop end
      return list
    end

    it("are read while a sweep goes on, with what they depend on", function()
      rows.put(writer, rows.row { drop = 0.125 })
      writer:put("samples", "s", { 4, 2 })
      writer:put("run", "1", { version = "1", grid = grid })
      writer:put("failure", "f", { error = "no luck", method = "ig" })
      local read = assert(results.read(path))
      assert.equal(1, #read)
      assert.equal(4, read.total)
      assert.equal(0.125, read[1].drop)
      assert.same({ "a", "b" }, read.experiment.datasets.cpn.classes)
      assert.same({ s = { 4, 2 } }, read.samples)
      assert.same({ { error = "no luck", method = "ig" } }, read.failed)
      assert.same({ { version = "1", grid = grid } }, read.runs)
      assert.equal(0, read.superseded)
      assert.truthy(tostring(read):find "\n1 task failed: see failed$")
      assert.same({ n = 2, nil, ("store '%s' no such file"):format(path .. "x") },
        table.pack(results.read(path .. "x")))
    end)

    it("are those of the last call that is about them", function()
      local old, new = { scope = "layer" }, { scope = "global" }
      rows.put(writer, rows.row { drop = 0.1 }, old)
      rows.put(writer, rows.row { drop = 0.2 }, new)
      rows.put(writer, rows.row { drop = 0.3, rate = 0.7 }, old)
      local read = assert(results.read(path))
      assert.same({ 0.2, 0.3 }, drops(read))
      assert.equal(1, read.superseded)
      assert.truthy(tostring(read):find "\n1 older version of these rows left out$")
      writer:put("run", "1", { settings = { store.hash(old) } })
      assert.same({ 0.1, 0.3 }, drops(assert(results.read(path))))
      writer:put("run", "2", { settings = { store.hash(new) } })
      assert.same({ 0.2, 0.3 }, drops(assert(results.read(path))))
      assert.equal(0, assert(results.read(path, { where = { rate = 0.7 } })).superseded)
    end)

    it("are those of the last call that asked for them, and not for others with the same settings", function()
      local old, new = { scope = "layer" }, { scope = "global" }
      rows.put(writer, rows.row { drop = 0.1 }, old)
      writer:put("run", "1", { settings = { store.hash(old) }, grid = { seeds = { 0 } } })
      rows.put(writer, rows.row { drop = 0.2 }, new)
      writer:put("run", "2", { settings = { store.hash(new) }, grid = { seeds = { 0 } } })
      rows.put(writer, rows.row { drop = 0.3, seed = 1 }, old)
      writer:put("run", "3", { settings = { store.hash(old) }, grid = { seeds = { 1 } } })
      assert.same({ 0.3, 0.2 }, drops(assert(results.read(path)))) -- the last call's seeds come first
      writer:put("run", "4", { settings = { store.hash(old) }, grid = { seeds = { 0, 1 }, rates = { 0.5 } } })
      assert.same({ 0.1, 0.3 }, drops(assert(results.read(path))))
    end)

    it("stand for what failed before, with other settings or in an earlier call", function()
      local broken, mended, row = { scope = "layer" }, { scope = "global" }, rows.row {}
      local function fail(settings, text)
        local failure = { error = text }
        for _, name in ipairs { "dataset", "model", "method", "sampling", "seed", "rate" } do
          failure[name] = row[name]
        end
        writer:put("failure", rows.key(row, settings), failure)
      end
      local function failed()
        local list = {}
        for i, failure in ipairs(assert(results.read(path)).failed) do list[i] = failure.error end
        return list
      end
      fail(broken, "broken")
      writer:put("run", "1", { settings = { store.hash(broken) } })
      assert.same({ "broken" }, failed())
      fail({ scope = "other" }, "broken again")
      writer:put("run", "2", { settings = { store.hash { scope = "other" } } })
      assert.same({ "broken again" }, failed())
      rows.put(writer, row, mended)
      assert.same({ "broken again" }, failed())
      writer:put("run", "3", { settings = { store.hash(mended) } })
      assert.same({}, failed())
      writer:put("run", "4", { settings = { store.hash(broken) } })
      assert.same({ "broken" }, failed())
    end)

    it("are in the order of the calls, whatever was computed first", function()
      for _, each in ipairs { { "ig", 0.5 }, { "lrp", 0.5 }, { "dlb", 0.5 }, { "ig", 0 }, { "lrp", 0 } } do
        rows.put(writer, rows.row { method = each[1], rate = each[2] })
      end
      local function order()
        local list = {}
        for i, row in ipairs(assert(results.read(path))) do list[i] = ("%s %g"):format(row.method, row.rate) end
        return list
      end
      assert.same({ "dlb 0.5", "ig 0", "ig 0.5", "lrp 0", "lrp 0.5" }, order())
      writer:put("run", "1", { grid = grid })
      assert.same({ "lrp 0", "lrp 0.5", "ig 0", "ig 0.5", "dlb 0.5" }, order())
    end)

    it("are those that are asked for", function()
      for i, each in ipairs { { "lrp", 0 }, { "lrp", 0.5 }, { "ig", 0 }, { "ig", 0.5 } } do
        rows.put(writer, rows.row { method = each[1], rate = each[2], drop = i / 10 })
      end
      writer:put("failure", "a", { error = "x", method = "ig" })
      writer:put("failure", "b", { error = "x", method = "lrp", rate = 0 })
      writer:put("run", "1", { grid = { methods = { "lrp", "ig", "dlb" }, rates = { 0, 0.5 }, seeds = { 0 },
        samplings = { "random" }, models = { "vgg" }, datasets = { "cpn" }, redundancy = { false },
        repair = { "none" } } })
      local function read(where) return assert(results.read(path, { where = where })) end
      assert.same({ 0.3, 0.4 }, drops(read { method = "ig" }))
      assert.same({ 0.2 }, drops(read { method = { "lrp", "dlb" }, rate = 0.5, repair = "none", redundancy = false }))
      assert.equal(3, read({ rate = 0.5 }).total)
      assert.equal(6, read({}).total)
      assert.equal(1, #read({ method = "ig" }).failed)
      assert.equal(2, #read({ rate = 0 }).failed)
      assert.same({}, drops(read { method = "dlb" }))
      assert.equal(("store '%s' where: no row has a column 'metod'; did you mean 'method'?"):format(path),
        select(2, results.read(path, { where = { metod = "ig" } })))
      assert.matches("where: expected a table, got 3", select(2, results.read(path, { where = 3 })))
    end)

    it("say in which settings they agree, and in which they do not", function()
      local function settings(changes)
        local copy = {}
        for name, value in pairs(rows.settings) do copy[name] = value end
        for name, value in pairs(changes) do copy[name] = value end
        return copy
      end
      local weighted = settings { per_class = 20, sampling = "f1", method = { options = { epsilon = 1 } } }
      rows.put(writer, rows.row { method = "ig" }, settings { per_class = 20, method = { options = { steps = 8 } } })
      assert.same({ { ig = { steps = 8 } }, 20, {} }, (function(experiment)
        return { experiment.method_options, experiment.per_class, experiment.varies }
      end)(assert(results.read(path)).experiment))
      writer:remove("row", rows.key(rows.row { method = "ig" }, settings { per_class = 20,
        method = { options = { steps = 8 } } }))
      rows.put(writer, rows.row {}, settings { layers = { "a", "b" } })
      rows.put(writer, rows.row { sampling = "mine", rate = 0, seed = 3 }, weighted)
      rows.put(writer, rows.row { model = "vit", redundancy = true, repair = "bias" }, settings { model = "b2",
        calibration_count = 64 })
      local experiment = assert(results.read(path)).experiment
      assert.same({ methods = { "lrp" }, rates = { 0, 0.5 }, seeds = { 0, 3 }, repair = { "bias", "none" },
        redundancy = { false, true }, samplings = { random = "built-in", mine = "f1" },
        method_settings = {}, method_options = {},
        models = { vgg = { cpn = "a1" }, vit = { cpn = "b2" } }, datasets = { cpn = rows.settings.dataset },
        scope = "global", evaluate = "compact", latency = true, calibration_count = 64,
        varies = { "layers", "method", "per_class" } }, experiment)
    end)
  end)

  it("are read from stores of versions before", function()
    local path = os.tmpname()
    os.remove(path)
    old_store.make(path, { methods = { "lrp", "ig" }, rates = { 0, 0.5 } }, { rows.row { drop = 0.125 },
      rows.row { rate = 0 } })
    finally(function() os.remove(path) end)
    local read = assert(results.read(path))
    assert.same({ 0.125, 0, 4 }, { read[1].drop, read[2].drop, read.total })
    assert.same({ methods = { "lrp", "ig" }, rates = { 0, 0.5 } }, read.experiment)
    assert.same({ s = { 4, 2 } }, read.samples)
    assert.same({ {}, {}, 0 }, { read.failed, read.runs, read.superseded })
    assert.equal(1, #assert(results.read(path, { where = { rate = 0 } })))
  end)
end)
