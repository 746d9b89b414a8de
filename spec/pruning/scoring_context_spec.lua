local bits = require "support.bits"
local core = require "secateur.core"
local errors = require "support.errors"
local memory_split = require "support.memory_split"
local sc = require "secateur"

local images = sc.randn(7, 3, 8, 8, { seed = 5 })
local labels = { 1, 2, 3, 1, 2, 3, 1 }

local function split_of(opts)
  opts = opts or {}
  return memory_split(images, labels, { classes = { "a", "b", "c" }, unreadable = opts.unreadable })
end

local function small() -- batch norm, so that relevance runs on a folded graph
  return sc.models.vgg { config = { 4, "M", 5, "M" }, hidden = { 6 }, pool = 2, classes = 3, size = 8,
    batch_norm = true, seed = 3 }
end

local chosen = { 6, 2, 3, 5, 1 }

-- Calls f(samples, ctx) inside of `importance`, and gives its scores.
local function within(model, split, opts, f)
  local given = { indices = chosen, batch = 2 }
  for key, value in pairs(opts or {}) do given[key] = value end
  given.method = function(its_model, samples, ctx)
    assert.equal(model, its_model)
    f(samples, ctx)
    return { ["features.0"] = { 1, 2, 3, 4 } }
  end
  return sc.importance(model, split, given)
end

local function same_bits(expected, actual)
  local count = 0
  for name, tensor in pairs(expected) do
    assert.is_true(bits.equal({ tensor }, { actual[name] }), name)
    count = count + 1
  end
  for name in pairs(actual) do assert.is_truthy(expected[name], name) end
  assert.is_true(count > 0)
end

describe("the context of a scoring method of one's own", function()
  it("attributes as importance does, bit for bit", function()
    local model, split = small(), split_of()
    local cases = { { method = "lrp" }, { method = "dlb", mode = "contrastive" }, { method = "ig", steps = 4 },
      { method = "gradient_x_input", reduce = "sum" }, { method = "taylor" }, { method = "activation" },
      { method = "lrp", target = "prediction", reduce = "abs" },
      { method = "lrp", target = { of = "label", against = "runner_up" }, composite = "epsilon_plus" } }
    for _, opts in ipairs(cases) do
      local given = { indices = chosen, batch = 3 }
      for key, value in pairs(opts) do given[key] = value end
      local expected = sc.importance(model, split, given)
      local scores = sc.importance(model, split, { indices = chosen, batch = 2, method = function(_, _, ctx)
        return (ctx:attribute(opts))
      end })
      same_bits(expected, scores)
      assert.same(chosen, scores.provenance.indices)
    end
  end)

  it("explains what importance was told to explain, unless told otherwise", function()
    local model, split = small(), split_of()
    local default
    local function score(_, _, ctx)
      default = ctx:attribute { method = "gradient", target = 3 }
      return (ctx:attribute())
    end
    local scores = sc.importance(model, split, { indices = chosen, target = 2, method = score })
    same_bits(sc.importance(model, split, { indices = chosen, target = 2, method = "lrp" }), scores)
    within(model, split, {}, function(_, ctx)
      same_bits(ctx:attribute { method = "gradient", target = 3, reduce = "abs" }, default)
    end)
  end)

  it("gives a row per sample, in the order of the indices", function()
    local model, split = small(), split_of()
    local x, y = split:batch(chosen)
    within(model, split, {}, function(_, ctx)
      local rows, used = ctx:attribute { per_sample = true }
      assert.same(chosen, used)
      local result = sc.attribute(model, x, { target = y, layers = { "features.0", "features.4", "classifier.0" } })
      for name, values in pairs(result.layers) do
        local sums = values:dtype() and values:reshape(#chosen, values:size(2), -1):sum(3)
        assert.is_true(sums:allclose(rows[name], 1e-5, 1e-6), name)
      end
      local means = ctx:attribute { reduce = "abs" }
      for name, tensor in pairs(rows) do assert.is_true(tensor:abs():mean(1):allclose(means[name], 1e-6, 1e-7)) end
    end)
  end)

  it("gives gradients as finite differences have them", function()
    local model, split = small(), split_of()
    local weights = model:state()
    weights["classifier.3.weight"] = sc.randn(3, 6, { seed = 2 })
    model:load_state(weights)
    within(model, split, { target = "label" }, function(_, ctx)
      local rows = ctx:gradient(2)
      local x = split:batch(chosen)
      local whole = model:gradient(x, { target = 2 })
      for name, tensor in pairs(rows) do
        local expected = whole[name]:reshape(#chosen, tensor:size(2), -1):sum(3)
        assert.is_true(expected:allclose(tensor, 1e-5, 1e-6), name)
      end
      local layer, h, largest = "classifier.0", 1e-3, 0 -- whose bias is added to the unit's value
      local function logit_two(step, unit)
        local moved, state = model:clone(), {}
        for name, value in pairs(model:state()) do state[name] = value:clone() end
        state[layer .. ".bias"]:set(state[layer .. ".bias"]:get(unit) + step, unit)
        moved:load_state(state)
        return moved:forward(x)
      end
      for unit = 1, 6 do
        local up, down = logit_two(h, unit), logit_two(-h, unit)
        for i = 1, #chosen do
          local slope = (up:get(i, 2) - down:get(i, 2)) / (2 * h)
          largest = math.max(largest, math.abs(slope))
          assert.near(slope, rows[layer]:get(i, unit), 1e-3)
        end
      end
      assert.is_true(largest > 0.5)
      local products = ctx:gradient(2, { times_value = true, layers = "features.0" })
      local of = ctx:attribute { method = "gradient_x_input", target = 2, per_sample = true, layers = "features.0" }
      same_bits(of, products)
      same_bits({ rows["features.0"] }, { ctx:gradient(2, { layers = "features.0" })["features.0"] })
    end)
  end)

  it("gives values pooled over positions, of layers and of what their readers get", function()
    local model, split = small(), split_of()
    local x = split:batch(chosen)
    local function values_of(graph, node)
      local plan = core.plan(graph, { batch = #chosen, keep = { node } })
      plan:forward(x)
      return plan:value(node)
    end
    within(model, split, {}, function(_, ctx)
      local means, used = ctx:forward()
      assert.same(chosen, used)
      local names = {}
      for name in pairs(means) do names[#names + 1] = name end
      table.sort(names)
      assert.same({ "classifier.0", "features.0", "features.4" }, names)
      local value = values_of(model.graph, "features.4"):reshape(#chosen, 5, -1)
      assert.is_true(value:mean(3):allclose(means["features.4"], 1e-6, 1e-7))
      for _, pool in ipairs { "max", "sum" } do
        assert.is_true(value[pool](value, 3):allclose(ctx:forward("features.4", { pool = pool })["features.4"], 1e-6,
          1e-7), pool)
      end
      local seen = values_of(core.fold_batch_norm(model.graph), "features.3"):reshape(#chosen, 4, -1)
      assert.is_true(seen:mean(3):allclose(ctx:forward({ "features.0" }, { at = "reader" })["features.0"], 1e-6, 1e-7))
      local pooled = ctx:forward "avgpool"
      assert.same({ #chosen, 5 }, pooled.avgpool:shape())
      assert.is_true(values_of(model.graph, "classifier.0"):allclose(means["classifier.0"], 0, 0))
    end)
  end)

  it("hands out values as they are, batch by batch", function()
    local model, split = small(), split_of()
    local seen, sizes = {}, {}
    within(model, split, { batch = 2 }, function(_, ctx)
      local kept = ctx:forward("features.0", { each = function(values, y, indices)
        sizes[#sizes + 1] = values["features.0"]:size(1)
        for i, index in ipairs(indices) do
          seen[#seen + 1] = index
          assert.equal(labels[index], y:totable()[i])
        end
        assert.same({ #indices, 4, 8, 8 }, values["features.0"]:shape())
      end })
      assert.same({}, kept)
    end)
    assert.same(chosen, seen)
    assert.same({ 2, 2, 1 }, sizes)
  end)

  it("pools tokens over tokens", function()
    local vit = sc.models.vit { size = 8, patch = 4, layers = 1, heads = 2, dim = 8, mlp = 8, classes = 3 }
    local layer = "encoder.layers.encoder_layer_0.mlp.0"
    local split = split_of()
    local plan = core.plan(vit.graph, { batch = #chosen, keep = { layer } })
    plan:forward((split:batch(chosen)))
    local expected = plan:value(layer):mean(2)
    sc.importance(vit, split, { indices = chosen, batch = 2, method = function(_, _, ctx)
      local rows = ctx:forward(layer)
      assert.same({ #chosen, 8 }, rows[layer]:shape())
      assert.is_true(expected:allclose(rows[layer], 1e-6, 1e-7))
      assert.same({ #chosen, 8 }, ctx:gradient("label", { layers = layer })[layer]:shape())
      return { [layer] = rows[layer]:mean(1):abs() }
    end })
  end)

  it("passes over images that cannot be read, the same everywhere", function()
    local model, split = small(), split_of { unreadable = { [2] = true, [1] = true } }
    local scores = within(model, split, {}, function(samples, ctx)
      assert.same(chosen, ctx.indices)
      for _, found in ipairs { table.pack(ctx:forward()), table.pack(ctx:gradient()),
        table.pack(ctx:attribute { per_sample = true }) } do
        assert.same({ 6, 3, 5 }, found[2])
        for name, tensor in pairs(found[1]) do assert.equal(3, tensor:size(1), name) end
      end
      assert.same({ 6, 3, 5 }, select(2, ctx:attribute()))
      assert.equal(3, (samples:batch { 1, 2, 3, 4, 5 }):size(1))
    end)
    assert.same({ 6, 3, 5 }, scores.provenance.indices)
    same_bits(sc.importance(model, split, { method = "lrp", indices = chosen }),
      sc.importance(model, split, { method = function(_, _, ctx) return (ctx:attribute()) end, indices = chosen }))
    local none = split_of { unreadable = { true, true, true, true, true, true, true } }
    assert.equal("ctx:forward: split: expected at least one image that can be read",
      errors.inside(function() within(model, none, {}, function(_, ctx) ctx:forward() end) end))
  end)

  it("weighs means by the samples' weights", function()
    local model, split = small(), split_of()
    local twice = { 6, 2, 2, 2, 3 }
    local weighted = setmetatable({ 6, 2, 3 }, { __index = { weights = { 1, 3, 1 } } })
    local seen
    for _, method in ipairs { "lrp", "activation" } do
      local expected = sc.importance(model, split, { method = method, indices = twice })
      local scores = sc.importance(model, split, { method = method, indices = weighted, batch = 2 })
      for name, tensor in pairs(expected) do assert.is_true(tensor:allclose(scores[name], 1e-6, 1e-9), name) end
      same_bits(scores, sc.importance(model, split, { indices = weighted, method = function(_, _, ctx)
        seen = ctx.weights
        return (ctx:attribute { method = method })
      end }))
      assert.same({ 1, 3, 1 }, seen)
    end
    local function energies(indices)
      return sc.importance(model, split, { indices = indices, redundancy = false, calibration = images,
        calibration_count = 7 })
    end
    local expected = energies(twice)
    for name, tensor in pairs(energies(weighted)) do assert.is_true(expected[name]:allclose(tensor, 1e-6, 1e-9)) end
    assert.is_false(expected["features.0"]:allclose(energies({ 6, 2, 3 })["features.0"], 1e-6, 1e-9))
  end)

  it("has indices and weights that may be sorted, and samples that stay as they are", function()
    local model, split, weights = small(), split_of(), { 1, 2, 3, 4, 5 }
    local given = setmetatable({ 6, 2, 3, 5, 1 }, { __index = { weights = weights } })
    local expected = sc.importance(model, split, { indices = given, method = "lrp" })
    local scores = sc.importance(model, split, { indices = given, method = function(_, _, ctx)
      table.sort(ctx.indices)
      table.sort(ctx.indices.weights, function(a, b) return a > b end)
      table.sort(ctx.weights, function(a, b) return a > b end)
      assert.same({ 1, 2, 3, 5, 6 }, ctx.indices)
      return (ctx:attribute())
    end })
    same_bits(expected, scores)
    assert.same({ 6, 2, 3, 5, 1 }, given)
    assert.same({ 1, 2, 3, 4, 5 }, weights)
  end)

  it("has random numbers that the seed decides", function()
    local model, split = small(), split_of()
    local function draw(seed)
      local drawn
      within(model, split, { seed = seed }, function(_, ctx)
        drawn = { ctx.random:uniform(), ctx.random:integer(1000) }
      end)
      return drawn
    end
    assert.same(draw(1), draw(1))
    assert.is_false(draw(1)[1] == draw(2)[1])
  end)

  it("says which field was meant", function()
    within(small(), split_of(), {}, function(_, ctx)
      assert.is_nil(ctx.weights)
      assert.is_nil(ctx.something_else)
      assert.equal("importance: method: ctx has no field 'indice'; did you mean 'indices'?",
        errors.inside(function() local value = ctx.indice return value end))
    end)
  end)

  it("refuses what is wrong, by the name of its method and at the line of the user", function()
    local model, split = small(), split_of()
    local function refusal(f)
      return errors.inside(function() within(model, split, {}, function(_, ctx) f(ctx) end) end)
    end
    assert.matches("^ctx:attribute: method: expected one of 'lrp', 'dlb', .*, got 'grad_cam'$",
      refusal(function(ctx) ctx:attribute { method = "grad_cam" } end))
    assert.matches("^ctx:attribute: unknown option 'targte', .*; did you mean 'target'%?$",
      refusal(function(ctx) ctx:attribute { targte = 1 } end))
    assert.equal("ctx:forward: layers: expected nodes of the model, got 'feature.0'; did you mean 'features.0'?",
      refusal(function(ctx) ctx:forward "feature.0" end))
    assert.equal("ctx:forward: layers: expected a string or a list, got 3", refusal(function(ctx) ctx:forward(3) end))
    assert.equal("ctx:forward: layers: expected at least one, got none", refusal(function(ctx) ctx:forward {} end))
    assert.equal("ctx:forward: pool: expected one of 'mean', 'max', 'sum', got 'median'",
      refusal(function(ctx) ctx:forward(nil, { pool = "median" }) end))
    assert.equal("ctx:attribute: reduce: expected none with per_sample, whose rows are not reduced",
      refusal(function(ctx) ctx:attribute { reduce = "abs", per_sample = true } end))
    assert.matches('^ctx:gradient: target: expected "label", .*, got \'truth\'$',
      refusal(function(ctx) ctx:gradient "truth" end))
    assert.matches("^forward: self: expected a ScoringContext, got a table; is there a dot in place of a colon%? ",
      refusal(function(ctx) ctx.forward {} end))
    assert.equal("mine", errors.raised(function()
      within(model, split, {}, function(_, ctx) ctx:forward(nil, { each = function() error("mine", 0) end }) end)
    end))
  end)
end)

describe("the samples that a scoring method of one's own gets", function()
  it("are chosen when something of them is looked at, and once", function()
    local model, split, asked = small(), split_of(), 0
    local function sampling(pool)
      asked = asked + 1
      return { pool[#pool] }
    end
    local function run(f)
      asked = 0
      return sc.importance(model, split, { sampling = sampling, per_class = 1, method = function(_, samples, ctx)
        f(samples, ctx)
        return { ["features.0"] = { 1, 2, 3, 4 } }
      end })
    end
    local scores = run(function(samples) assert.is_table(samples) end)
    assert.equal(0, asked)
    assert.same({}, scores.provenance.indices)
    scores = run(function(samples, ctx)
      assert.equal(3, samples:count())
      assert.same({ 1, 2, 3 }, samples.labels)
      assert.same({ 7, 5, 6 }, ctx.indices)
      assert.equal(3, #samples)
    end)
    assert.equal(3, asked)
    assert.same({ 7, 5, 6 }, scores.provenance.indices)
  end)

  it("are a split of a data set, where the whole is one", function()
    local data = sc.data.phantom { count = 40, size = 16, seed = 2 }
    local model = sc.models.vgg { config = { 4, "M" }, hidden = { 6 }, pool = 2, like = data, seed = 3 }
    local indices = { 9, 3, 4 }
    sc.importance(model, data.train, { indices = indices, method = function(_, samples)
      local part = data.train:subset(indices)
      assert.equal(tostring(part), tostring(samples))
      assert.same(part.names, samples.names)
      assert.is_true(bits.equal({ (part:batch { 1, 2, 3 }) }, { (samples:batch { 1, 2, 3 }) }))
      local kept = {}
      for _, y, positions in samples:batches { batch = 2 } do
        assert.equal(#positions, y:numel())
        table.move(positions, 1, #positions, #kept + 1, kept)
      end
      assert.same({ 1, 2, 3 }, kept)
      assert.same({ data.train.names[4], data.train.names[9] }, samples:subset({ 3, 1 }).names)
      assert.equal(3, sc.evaluate(model, samples).count)
      return sc.importance(model, samples, { method = "activation", indices = { 1, 2 } })
    end })
  end)

  it("are as much of a split as one of one's own allows", function()
    local model, whole = small(), split_of { unreadable = { [2] = true } }
    local bare = { batch = function(_, indices) return whole:batch(indices) end, labels = labels }
    within(model, bare, {}, function(samples)
      assert.equal(5, samples:count())
      assert.same({ 3, 2, 3, 2, 1 }, samples.labels)
      local x, y, kept = samples:batch { 2, 5, 3 }
      assert.same({ 2, 3 }, { x:size(1), kept[2] })
      assert.same({ 5, 3 }, kept)
      assert.same({ 1, 3 }, y:totable())
      assert.is_true(bits.equal({ (whole:batch { 1, 3 }) }, { x }))
      local all = {}
      for _, _, positions in samples:batches { batch = 2 } do table.move(positions, 1, #positions, #all + 1, all) end
      assert.same({ 1, 3, 4, 5 }, all)
      assert.same({ 1, 3 }, samples:subset({ 5, 1 }).labels)
      assert.is_nil((samples:batch { 2 }))
    end)
  end)
end)
