local bits = require "support.bits"
local calibration = require "secateur.pruning.calibration"
local core = require "secateur.core"
local errors = require "support.errors"
local memory_split = require "support.memory_split"
local sc = require "secateur"
local scores_class = require "secateur.pruning.scores"

-- Six samples of three classes, as a split gives them.
local images = sc.randn(6, 3, 8, 8, { seed = 5 })
local labels = { 1, 2, 3, 1, 2, 3 }
local split = {
  batch = function(_, indices)
    local x, y = sc.zeros(#indices, 3, 8, 8), {}
    for row, index in ipairs(indices) do
      for at, value in ipairs(images[index]:reshape(-1):totable()) do x:view(row):reshape(-1):set(value, at) end
      y[row] = labels[index]
    end
    return x, sc.tensor(y, "int64")
  end,
}

local function small() -- batch norm, so that relevance runs on a folded graph
  return sc.models.vgg { config = { 4, "M", 5, "M" }, hidden = { 6 }, pool = 2, classes = 3, size = 8,
    batch_norm = true, seed = 3 }
end

local chosen = { 1, 2, 3, 5 }

-- What `attribute` says of the chosen samples, summed over positions, per sample: layer -> list of lists.
local function attributed(model, method, opts)
  local x, y = split:batch(chosen)
  local names = {}
  for i, layer in ipairs(model:layers()) do names[i] = layer.name end
  local given = { method = method, target = y, layers = names }
  for key, value in pairs(opts or {}) do given[key] = value end
  local result = sc.attribute(model, x, given)
  local sums = {}
  for _, layer in ipairs(model:layers()) do
    local values = result.layers[layer.name]
    sums[layer.name] = values:reshape(#chosen, layer.units, -1):sum(3)
  end
  return sums
end

local function close(expected, actual)
  local size = math.max(expected:abs():max(), 1e-12)
  assert.is_true((expected - actual):abs():max() <= 1e-5 * size, tostring(expected) .. " and " .. tostring(actual))
end

describe("importance", function()
  for _, method in ipairs { "lrp", "dlb", "ig", "gradient_x_input" } do
    it("by " .. method .. " is the mean over samples of relevance summed over positions", function()
      local model = small()
      local sums = attributed(model, method)
      -- batches of 3 leave a smaller last one
      local scores = sc.importance(model, split, { method = method, indices = chosen, batch = 3, reduce = "sum" })
      local magnitudes = sc.importance(model, split, { method = method, indices = chosen, reduce = "abs" })
      for name, values in pairs(sums) do
        close(values:mean(1), scores[name])
        close(values:abs():mean(1), magnitudes[name])
      end
    end)
  end

  it("by a function of the user's is what the function gives", function()
    local model, given = small(), {}
    local layers = model:layers()
    for _, layer in ipairs(layers) do given[layer.name] = sc.rand(layer.units, { seed = layer.units }) end
    local seen
    local scores = sc.importance(model, split, { per_class = 2, indices = chosen, seed = 5, method =
      function(its_model, samples, ctx)
        assert.equal(model, its_model)
        assert.equal(split, ctx.split)
        assert.equal(model, ctx.model)
        seen = ctx
        assert.is_nil(rawget(ctx, "indices"))
        assert.equal(#chosen, samples:count())
        assert.same(chosen, ctx.indices)
        return given
      end })
    for _, layer in ipairs(layers) do
      local as_given = given[layer.name]:totable()
      given[layer.name]:copy(given[layer.name] + 1) -- which the function may go on with
      assert.same(as_given, scores[layer.name]:totable())
    end
    assert.same({ 5, 2, #layers }, { seen.seed, seen.per_class, #seen.layers })
    assert.equal("custom", scores.provenance.method)
    assert.same(seen.indices, scores.provenance.indices)
    local first = layers[1]
    local list = {}
    for unit = 1, first.units do list[unit] = unit end
    local some = sc.importance(model, split, { method = function() return { [first.name] = list } end })
    assert.same(list, some[first.name]:totable())
    assert.same({ first.name }, some.provenance.layers)
    assert.same({}, some.provenance.indices) -- nobody asked for samples, which this split could not give
  end)

  it("refuses what a function of the user's gives wrongly", function()
    local model = small()
    local first = model:layers()[1]
    local function refusal(value)
      return errors.here(function() sc.importance(model, split, { method = function() return value end }) end)
    end
    assert.equal("importance: method: expected a table of layer name = scores from the function, got 7", refusal(7))
    assert.equal("importance: method: expected scores from the function, got none", refusal {})
    assert.equal("importance: method: expected names of prunable layers from the function, got 'conv'",
      refusal { conv = {}, [first.name] = sc.ones(first.units) })
    assert.equal(("importance: method: '%s': expected %d scores from the function, got [1]"):format(first.name,
      first.units), refusal { [first.name] = { 1 } })
    local function other(value)
      return refusal({ [first.name] = value }):match "numbers from the function, got (.*)$"
    end
    local holes = {}
    for u = 1, first.units do holes[u] = u ~= 2 and u or nil end
    assert.equal("a table", other(holes))
    assert.equal("a Tensor of int64", other(core.tensor({ 1, 2 }, "int64")))
    assert.equal("importance: method: expected names of prunable layers from the function, got '" .. first.name
      .. "x'; did you mean '" .. first.name .. "'?", refusal { [first.name .. "x"] = { 1 } })
    assert.equal(("importance: method: '%s': expected a Tensor or a list of %d numbers from the function, got true")
      :format(first.name, first.units), refusal { [first.name] = true })
    local message = errors.raised(function()
      sc.importance(model, split, { method = function() error "mine" end })
    end)
    assert.equal("mine", message)
  end)

  it("takes what attribute takes for the method, and targets by label", function()
    local model = small()
    local opts = { indices = chosen, method = "ig", steps = "auto", tolerance = 0.05, quadrature = "gauss_legendre",
      baseline = { "zero", "blurred" }, sigma = 2, target = { of = "label", against = "runner_up" }, reduce = "sum" }
    local scores = sc.importance(model, split, opts)
    local _, y = split:batch(chosen)
    local sums = attributed(model, "ig", { steps = "auto", tolerance = 0.05, quadrature = "gauss_legendre",
      baseline = { "zero", "blurred" }, sigma = 2, target = { of = y, against = "runner_up" } })
    for name, values in pairs(sums) do close(values:mean(1), scores[name]) end
    for _, target in ipairs { "label", "prediction", 2 } do
      local lrp = sc.importance(model, split, { indices = chosen, method = "lrp", target = target })
      local expected = attributed(model, "lrp", { target = target == "label" and y or target })
      for name, values in pairs(expected) do close(values:mean(1), lrp[name]) end
    end
  end)

  it("has baselines by weights, activations, gradients and chance", function()
    local model = small()
    local x, y = split:batch(chosen)
    local weight = model:state()["features.0.weight"]:reshape(4, -1)
    local magnitude = sc.importance(model, split, { method = "magnitude" })["features.0"]
    for unit = 1, 4 do
      assert.near(math.sqrt((weight[unit] * weight[unit]):sum()), magnitude[unit], 1e-5)
    end
    local plan = model:execution_plan(#chosen, { backward = true, keep = { "features.4" },
      keep_grads = { "features.4" } })
    local logits = plan:forward(x)
    local seeds = sc.zeros(#chosen, 3)
    for row, label in ipairs(y:totable()) do seeds:set(1, row, label) end
    plan:backward(seeds)
    local value, grad = plan:value("features.4"), plan:grad("features.4")
    assert.same({ #chosen, 3 }, logits:shape())
    local function per_unit(t) return t:abs():reshape(#chosen, 5, -1):mean(3):mean(1) end
    local opts = { method = "activation", indices = chosen }
    close(per_unit(value), sc.importance(model, split, opts)["features.4"])
    opts.method = "taylor"
    close(per_unit(value * grad), sc.importance(model, split, opts)["features.4"])
    local function chance(seed) return sc.importance(model, split, { method = "random", seed = seed })["features.0"] end
    assert.is_true(chance(1):allclose(chance(1), 0, 0))
    assert.is_false(chance(1):allclose(chance(2)))
  end)

  it("does not depend on how samples are batched", function()
    local model, indices = small(), { 1, 2, 3, 5, 4, 6, 1, 3, 2 }
    for _, method in ipairs { "activation", "taylor", "lrp" } do
      local found = {}
      for batch = 1, 9 do
        local list, scores = {}, sc.importance(model, split, { method = method, indices = indices, batch = batch })
        for i, name in ipairs(scores.provenance.layers) do list[i] = scores[name] end
        found[batch] = list
      end
      for batch = 2, 9 do assert.is_true(bits.equal(found[1], found[batch]), method .. " " .. batch) end
    end
  end)

  it("tells where scores come from, and keeps that out of loops", function()
    local model = small()
    local scores = sc.importance(model, split, { method = "taylor", indices = chosen })
    assert.equal("taylor", scores.provenance.method)
    assert.equal("given", scores.provenance.sampling)
    assert.same(chosen, scores.provenance.indices)
    local names = {}
    for name in pairs(scores) do names[#names + 1] = name end
    table.sort(names)
    assert.same({ "classifier.0", "features.0", "features.4" }, names)
    assert.matches("^Scores by taylor, given sampling, 4 samples\n", tostring(scores))
  end)

  it("says at the caller's line that the split is of another question, whoever chose the samples", function()
    local model = small()
    for _, classes in ipairs { 2, 4 } do
      local names = {}
      for class = 1, classes do names[class] = "class " .. class end
      local of = memory_split(images, { 1, 2, 1, 2, 1, 2 }, { classes = names })
      local wanted = ("importance: split: expected 3 classes, as many as the model has, got %d"):format(classes)
      for _, opts in ipairs { {}, { indices = chosen }, { method = "magnitude" } } do
        assert.equal(wanted, errors.here(function() local s = sc.importance(model, of, opts) return s end))
      end
    end
    local large = memory_split(sc.zeros(3, 3, 9, 9), { 1, 2, 3 }, { classes = { "a", "b", "c" } })
    assert.equal("importance: split: expected images of 3 x 8 x 8, as the model takes, got 3 x 9 x 9",
      errors.here(function() local scores = sc.importance(model, large, { indices = { 1 } }) return scores end))
  end)

  it("says at the caller's line that samples cannot be chosen", function()
    local model, of = small(), memory_split(sc.zeros(0, 3, 8, 8), {}, { classes = { "a", "b", "c" } })
    assert.equal("importance: sample: split: expected at least one sample, found none",
      errors.here(function() local scores = sc.importance(model, of) return scores end))
  end)

  it("refuses to rank by nothing: a new head of a ViT is zero", function()
    local vit = sc.models.vit { size = 8, patch = 4, layers = 1, heads = 2, dim = 8, mlp = 8, classes = 3 }
    local function refusal(opts)
      opts.indices = chosen
      return errors.here(function() local scores = sc.importance(vit, split, opts) return scores end)
    end
    assert.equal("importance: lrp gives all units the score 0; is the model's last layer still zero, as a ViT's new "
      .. "head is until it is trained?", refusal { method = "lrp" })
    for _, redundancy in ipairs { false, true } do
      assert.matches("^importance: sensitivity gives all units the score 0; ", refusal { redundancy = redundancy })
    end
    assert.is_table(sc.importance(vit, split, { method = "activation", indices = chosen }))
  end)

  it("refuses scores that are not finite, and options that do not exist", function()
    local model = small()
    local state = {}
    for name, tensor in pairs(model:state()) do state[name] = tensor:clone() end
    state["features.4.weight"]:set(0 / 0, 1, 1, 1, 1)
    model:load_state(state)
    local function refusal(opts) return errors.inside(function() sc.importance(model, split, opts) end) end
    assert.equal("importance: magnitude gives scores that are not finite at layer 'features.4'; are the weights and "
      .. "images finite?", refusal { method = "magnitude" })
    assert.equal("importance: method: expected one of 'lrp', 'dlb', 'ig', 'gradient_x_input', 'sensitivity', 'random', "
      .. "'magnitude', 'activation', 'taylor' or a function, got 'lpr'", refusal { method = "lpr" })
    assert.equal("importance: steps: expected an option of method 'lrp' (batch_norm, composite, exact, high, low, "
        .. "start), got one of 'ig'",
      refusal { method = "lrp", steps = 4 })
    local words = 'importance: target: expected "label", "prediction", a class or { of =, against = } of these, got '
    assert.equal(words .. "'truth'", refusal { target = "truth" })
    assert.equal(words .. "'runner_up'", refusal { target = "runner_up" }) -- which is a runner-up of something
    assert.equal(words .. "{ against = 1, of = 'truth' }", refusal { target = { of = "truth", against = 1 } })
    assert.equal("importance: target: expected { of =, against = } without a field 'over', got { against = 2, of = 1, "
      .. "over = 3 }",
      refusal { target = { of = 1, against = 2, over = 3 } })
    assert.equal("importance: indices: expected a list of at least 1, got a table", refusal { indices = {} })
    assert.equal("importance: target: expected both of and against, got { of = 1 }", refusal { target = { of = 1 } })
    assert.equal("importance: target: expected a class in 1..3, got 4",
      refusal { method = "ig", indices = chosen, target = 4 })
    assert.equal("importance: per_class: expected a whole number of at least 1, got 0", refusal { per_class = 0 })
    local of = memory_split(images, labels, { classes = { "a", "b", "c" } })
    assert.equal("importance: sampling: expected a function that chooses samples that can be read, got none of any "
      .. "class", errors.here(function() sc.importance(small(), of, { sampling = function() return {} end }) end))
  end)

  describe("with redundancy", function()
    local data = sc.data.phantom { count = 60, size = 16, seed = 2 }

    local function network()
      return sc.models.vgg { config = { 4, "M", 5, "M" }, hidden = { 6 }, pool = 2, classes = 4, size = 16,
        batch_norm = true, seed = 3 }
    end

    -- What the pieces give for one layer, put together by hand: scores in the order of removal.
    local function by_hand(model, node, energies, opts)
      local graph = core.fold_batch_norm(model.graph)
      local walked = calibration.images("f", data.train, { count = opts.count, seed = opts.seed })
      local plan = core.plan(graph, { batch = 16, keep = { node } })
      local units = graph:node(node).shape[1]
      local covariance = core.covariance(units)
      for x in walked:batches() do
        plan:forward(x)
        covariance:add(plan, node)
      end
      local weights, variances = energies(covariance:means()), covariance:variances()
      for u, energy in ipairs(weights) do weights[u] = variances[u] > 0 and energy / variances[u] or 0 end
      local order, costs = covariance:redundancy(weights, 1e-3)
      local found, most, all, before = {}, 0, 0, 0
      for _, cost in ipairs(costs) do all = all + cost end
      for step, u in ipairs(order) do -- what is left of the layer's energy, and of its units
        most = math.max(most, costs[step] / (1 - before / all) / ((units - step + 1) / units))
        found[u], before = most, before + costs[step]
      end
      return core.tensor(found), order
    end

    it("scores by what is lost after others have taken over", function()
      local model, opts = network(), { seed = 5, count = 30 }
      local scores = sc.importance(model, data.train, { seed = 5, calibration_count = 30, method = "lrp",
        redundancy = true, indices = { 1, 2, 9 } })
      local x, y = data.train:batch { 1, 2, 9 }
      local relevance = sc.attribute(model, x, { method = "lrp", target = y, layers = { "features.4" } })
      local sums = relevance.layers["features.4"]:reshape(3, 5, -1):sum(3)
      local expected, order = by_hand(model, "avgpool", function()
        return (sums * sums):mean(1):totable()
      end, opts)
      close(expected, scores["features.4"])
      local ranks = scores["features.4"]:totable()
      for step = 2, 5 do assert.is_true(ranks[order[step]] > ranks[order[step - 1]]) end -- ties have an order, too
      assert.same({ "square", true, 30 }, { scores.provenance.reduce, scores.provenance.redundancy,
        scores.provenance.calibration_count })
    end)

    it("is the default, by sensitivity, and depends on neither batches nor labels", function()
      local model = network()
      local plain = sc.importance(model, data.train, { seed = 1, indices = { 3, 4, 5 }, calibration_count = 20 })
      assert.equal("sensitivity", plain.provenance.method)
      assert.is_true(plain.provenance.redundancy)
      local unlabelled = data.train:subset { 3, 4, 5 }
      for i in ipairs(unlabelled.labels) do unlabelled.labels[i] = 1 end
      local other = sc.importance(model, unlabelled, { seed = 1, indices = { 1, 2, 3 }, batch = 2,
        calibration = data.train, calibration_count = 20 })
      for name, tensor in pairs(plain) do assert.is_true(bits.equal({ tensor }, { other[name] }), name) end
      assert.equal("random", sc.importance(model, data.train, { per_class = 1 }).provenance.sampling)
      assert.equal("clustering", sc.importance(model, data.train, { per_class = 1, redundancy = false })
        .provenance.sampling)
    end)

    it("gives energies where it is off, and squares of scores without samples where it is on", function()
      local model = network()
      local energies = sc.importance(model, data.train, { seed = 1, indices = { 3, 4, 5 }, redundancy = false,
        calibration_count = 24 })
      assert.equal(24, energies.provenance.calibration_count)
      local full = sc.importance(model, data.train, { seed = 1, indices = { 3, 4, 5 }, calibration_count = 24 })
      local found = by_hand(model, "avgpool", function() return energies["features.4"]:totable() end,
        { seed = 1, count = 24 })
      close(found, full["features.4"])
      local magnitude = sc.importance(model, data.train, { method = "magnitude" })["features.4"]:totable()
      for u, value in ipairs(magnitude) do magnitude[u] = value * value end
      found = by_hand(model, "avgpool", function() return magnitude end, { seed = 0, count = 24 })
      close(found, sc.importance(model, data.train, { method = "magnitude", redundancy = true,
        calibration_count = 24 })["features.4"])
    end)

    it("scores what a function of the user's has, and only that", function()
      local model = network()
      local scores = sc.importance(model, data.train, { calibration_count = 20, redundancy = true, method =
        function() return { ["features.4"] = { 1, -2, 3, 0, 1 } } end })
      assert.same({ "features.4" }, scores.provenance.layers)
      assert.same({}, scores.provenance.indices)
      assert.equal(0, scores["features.4"]:totable()[4])
    end)

    it("takes images from the samples where a split cannot be counted", function()
      local scores = sc.importance(small(), split, { indices = chosen })
      assert.equal(#chosen, scores.provenance.calibration_count)
      assert.is_nil(scores_class.calibration_of(scores))
    end)

    it("is remembered with its images, beside what can be saved and compared", function()
      local model, x = network(), sc.rand(20, 3, 16, 16, { seed = 1 })
      local scores = sc.importance(model, data.train, { calibration = x, indices = { 1, 2 } })
      assert.equal(x, scores_class.calibration_of(scores))
      assert.equal(20, scores.provenance.calibration_count)
      assert.equal(data.train, scores_class.calibration_of(sc.importance(model, data.train, { method = "random" })))
      assert.is_nil(scores_class.calibration_of {})
      local wrong = sc.zeros(2, 3, 9, 9)
      assert.equal("importance: calibration: expected a Tensor [N x 3 x 16 x 16], got [2 x 3 x 9 x 9]",
        errors.here(function() local s = sc.importance(model, data.train, { calibration = wrong }) return s end))
    end)
  end)

  it("keeps the signs of relevance where it is conserved, unless told otherwise", function()
    local model = small()
    local vit = sc.models.vit { size = 8, patch = 4, layers = 1, heads = 2, dim = 8, mlp = 8, classes = 3 }
    local state = vit:state()
    state["heads.head.weight"] = sc.randn(3, 8, { seed = 1 })
    vit:load_state(state)
    local function reduction(of, method, reduce)
      return sc.importance(of, split, { method = method, indices = chosen, reduce = reduce, steps = method == "ig" and 2
        or nil }).provenance.reduce
    end
    assert.equal("sum", reduction(model, "lrp"))
    assert.equal("sum", reduction(model, "dlb"))
    assert.equal("abs", reduction(model, "ig"))
    assert.equal("abs", reduction(model, "gradient_x_input"))
    assert.equal("sum", reduction(model, "taylor"))
    assert.equal("abs", reduction(vit, "lrp"))
    assert.equal("sum", reduction(vit, "lrp", "sum"))
    local opts, layer = { method = "lrp", indices = chosen }, "encoder.layers.encoder_layer_0.mlp.0"
    local magnitudes = sc.importance(vit, split, opts)[layer]
    opts.reduce = "sum"
    assert.is_false(magnitudes:allclose(sc.importance(vit, split, opts)[layer]))
  end)
end)
