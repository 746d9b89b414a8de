local bits = require "support.bits"
local errors = require "support.errors"
local memory_split = require "support.memory_split"
local sc = require "secateur"

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
      function(its_model, its_split, ctx)
        assert.equal(model, its_model)
        assert.equal(split, its_split)
        seen = ctx
        assert.is_nil(rawget(ctx, "indices"))
        assert.same(chosen, ctx.indices)
        return given
      end })
    for _, layer in ipairs(layers) do assert.equal(given[layer.name], scores[layer.name]) end
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
    assert.equal("importance: steps: expected an option of method 'lrp' (composite, exact, start), got one of 'ig'",
      refusal { method = "lrp", steps = 4 })
    local words = 'importance: target: expected "label", "prediction", a class or { of =, against = } of these, got '
    assert.equal(words .. "'truth'", refusal { target = "truth" })
    assert.equal(words .. "a table", refusal { target = { of = "truth", against = 1 } })
    assert.equal("importance: target: expected { of =, against = } without a field 'over', got a table",
      refusal { target = { of = 1, against = 2, over = 3 } })
    assert.equal("importance: indices: expected a list of at least 1, got a table", refusal { indices = {} })
    assert.equal("importance: target: expected both of and against, got a table", refusal { target = { of = 1 } })
    assert.equal("importance: target: expected a class in 1..3, got 4",
      refusal { method = "ig", indices = chosen, target = 4 })
    assert.equal("importance: per_class: expected a whole number of at least 1, got 0", refusal { per_class = 0 })
    local of = memory_split(images, labels, { classes = { "a", "b", "c" } })
    assert.equal("importance: sampling: expected a function that chooses samples that can be read, got none of any "
      .. "class", errors.here(function() sc.importance(small(), of, { sampling = function() return {} end }) end))
  end)
end)
