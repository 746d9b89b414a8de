local attribute = require "secateur.attribution.attribute"
local captum = require "support.captum"
local child = require "support.child"
local core = require "secateur.core"
local custom = require "secateur.models.custom"
local double = require "secateur.core_double"
local families = require "support.families"
local here = require("support.errors").here
local quadrature = require "secateur.attribution.quadrature"

local reference, close, classes = captum.reference, captum.close, captum.classes

local function merged(...)
  local all = {}
  for _, opts in ipairs { ... } do
    for key, value in pairs(opts) do all[key] = value end
  end
  return all
end

describe("Integrated Gradients and conductance", function()
  local model = captum.model()
  local x, target, against = reference.x, classes(reference.target), classes(reference.against)
  local cut = { "features.0", "features.3", "classifier.0", "classifier.3" }

  local function of(...)
    return attribute(model, x, merged({ method = "ig", target = target, baseline = reference.baseline, steps = 7,
      layers = {} }, ...))
  end

  -- f(x) - f(x0) per sample, f being the sum of weights * logits.
  local function change(weights, from)
    return ((model:forward(x) - model:forward(from or reference.baseline)) * weights):sum(2)
  end

  it("are captum's, by midpoints, by Gauss-Legendre and for contrasts", function()
    close(of().input, reference["ig/riemann_middle"])
    close(of({ quadrature = "gauss_legendre" }).input, reference["ig/gausslegendre"])
    close(of({ target = { of = target, against = against } }).input, reference.ig_contrast)
    local layers = of({ steps = 5, layers = cut }).layers
    for _, name in ipairs(cut) do close(layers[name], reference["conductance/" .. name]) end
  end)

  it("are one walk: the same whether asked for together or apart", function()
    for _, rule in ipairs(quadrature.names) do
      local both = of({ quadrature = rule, layers = cut })
      close(both.input, of({ quadrature = rule }).input)
      for _, name in ipairs(cut) do close(both.layers[name], of({ layers = name }).layers[name]) end
    end
  end)

  it("by the trapezoid is the mean of the gradients, half of those at the ends", function()
    local sum
    for k = 0, 4 do
      local point = reference.baseline + (x - reference.baseline) * (k / 4)
      local part = model:gradient(point, { target = target }).input * ((k == 0 or k == 4) and 0.125 or 0.25)
      sum = sum and sum + part or part
    end
    close(of({ quadrature = "trapezoid", steps = 4 }).input, sum * (x - reference.baseline))
  end)

  it("do not depend on how the walk is cut into batches", function()
    for _, rule in ipairs(quadrature.names) do
      local whole = of({ quadrature = rule, layers = cut, batch = 64 })
      for _, batch in ipairs { 1, 2, 3, 5, 15, 16 } do
        local parts = of({ quadrature = rule, layers = cut, batch = batch })
        close(parts.input, whole.input)
        for _, name in ipairs(cut) do close(parts.layers[name], whole.layers[name]) end
      end
    end
  end)

  it("are in double what their definitions say, for whole nodes and for units", function()
    local graph = double.graph()
    graph:add("input", "input", {}, { shape = { 2, 5, 4 } })
    graph:add("conv2d", "c", { "input" }, { out = 3, kernel = 3 })
    graph:add("gelu", "g", { "c" })
    graph:add("tokens", "t", { "g" })
    graph:add("linear", "q", { "t" }, { out = 4 })
    graph:add("tanh", "h", { "q" })
    graph:add("flatten", "f", { "h" })
    graph:add("linear", "l", { "f" }, { out = 2 })
    for at, name in ipairs { "c.weight", "c.bias", "q.weight", "q.bias", "l.weight", "l.bias" } do
      local shape = graph:parameter(name):shape()
      shape[#shape + 1] = { seed = at, std = 0.5 }
      graph:set_parameter(name, double.randn(table.unpack(shape)))
    end
    local n, steps = 3, 4
    local input, start = double.randn(n, 2, 5, 4, { seed = 20 }), double.randn(n, 2, 5, 4, { seed = 21 })
    local seeds = double.randn(n, 2, { seed = 22 })
    local names = { "input", "c", "t", "q", "l" }
    local plan = double.plan(graph, { batch = n, backward = true, keep = names, keep_grads = names })
    local expected, before = {}, {}
    for k = 0, steps do
      plan:forward(start + (input - start) * (k / steps))
      for _, name in ipairs(names) do
        local value = plan:value(name)
        if k > 0 then
          local term = before[name].grad * (value - before[name].value)
          expected[name] = expected[name] and expected[name] + term or term
        end
        before[name] = { value = value }
      end
      plan:backward(seeds)
      for _, name in ipairs(names) do before[name].grad = plan:grad(name) end
    end
    local points = quadrature.schedule("midpoint", steps, false, true)
    for _, batch in ipairs { 1, 2, 4, 7, 15 } do
      local opts = { batch = batch, nodes = names, quantity = "conductance" }
      local nothing, whole = double.gradients(graph, opts):along(input, start, seeds, points, false)
      opts.units = true
      local _, units = double.gradients(graph, opts):along(input, start, seeds, points, false)
      assert.is_nil(nothing)
      for _, name in ipairs(names) do
        assert.is_true(whole[name]:allclose(expected[name], 1e-10, 1e-12), name)
        local shape = expected[name]:shape()
        local sums = expected[name]
        if #shape == 4 then sums = sums:sum(4):sum(3) elseif #shape == 3 then sums = sums:sum(2) end
        assert.is_true(units[name]:allclose(sums, 1e-10, 1e-12), name)
      end
    end
  end)

  it("add up to what the output changed by, for contrasts and weights, at input and at every cut", function()
    for _, goal in ipairs { 2, { of = target, against = "runner_up" }, core.tensor { { 1, -2, 0.5 }, { 0, 1, 1 },
      { -1, 0, 0 } } } do
      local result = of({ target = goal, steps = 600, quadrature = "trapezoid", batch = 64, layers = cut })
      local changes = change(result.weights)
      for i = 1, 3 do
        local size = 0.02 * math.max(math.abs(changes:get(i)), 0.5)
        assert.near(changes:get(i), result.input[i]:sum(), size)
        assert.near(math.abs(result.input[i]:sum() - changes:get(i)), result.gap[i], 1e-5)
        assert.near(changes:get(i), result.layers["classifier.3"][i]:sum(), 1e-4)
        for _, name in ipairs(cut) do assert.near(changes:get(i), result.layers[name][i]:sum(), size) end
      end
    end
  end)

  it("refine the steps of those samples that need it", function()
    local opts, most = { steps = "auto", tolerance = 0.05, max_steps = 1024, layers = cut, batch = 64 }, 0
    for _, rule in ipairs(quadrature.names) do
      local result = of(opts, { quadrature = rule })
      local changes = change(result.weights)
      for i = 1, 3 do
        assert.is_true(result.gap[i] <= 0.05 * math.max(math.abs(changes:get(i)), 0.01))
        local alone = attribute(model, x:view(i, i), { method = "ig", target = target[i], quadrature = rule,
          baseline = reference.baseline[i], steps = result.steps[i], layers = cut })
        close(result.input:view(i, i), alone.input)
        for _, name in ipairs(cut) do close(result.layers[name]:view(i, i), alone.layers[name]) end
        most = math.max(most, result.steps[i])
        if result.steps[i] > 16 then -- half of them were not enough
          local fewer = attribute(model, x:view(i, i), { method = "ig", target = target[i], quadrature = rule,
            baseline = reference.baseline[i], steps = result.steps[i] // 2, layers = {} })
          assert.is_true(fewer.gap[1] > 0.05 * math.max(math.abs(changes:get(i)), 0.01))
        end
      end
    end
    assert.is_true(most > 16)
  end)

  it("stop refining at max_steps, and say by the gap that it was not enough", function()
    local result = of({ steps = "auto", tolerance = 1e-7, max_steps = 24 })
    assert.same({ 24, 24, 24 }, result.steps)
    close(result.input, of({ steps = 24 }).input)
    assert.is_true(math.max(table.unpack(result.gap)) > 1e-5)
    assert.same({ 3, 3, 3 }, of({ steps = "auto", tolerance = 1e-7, max_steps = 3 }).steps)
  end)

  it("are averaged over baselines", function()
    local starts = { "zero", reference.baseline, "blurred" }
    local result, input, layer, from = of({ baseline = starts, layers = cut }), nil, nil, nil
    for _, start in ipairs(starts) do
      local one = of({ baseline = start, layers = cut })
      input = input and input + one.input or one.input
      layer = layer and layer + one.layers["features.3"] or one.layers["features.3"]
      local point = start == "zero" and x * 0 or start == "blurred" and core.gaussian_blur(x, 8 / 15) or start
      from = from and from + model:forward(point) or model:forward(point)
    end
    close(result.input, input / 3)
    close(result.layers["features.3"], layer / 3)
    local changes = ((model:forward(x) - from / 3) * result.weights):sum(2)
    for i = 1, 3 do assert.near(math.abs(result.input[i]:sum() - changes:get(i)), result.gap[i], 1e-5) end
    local auto = of({ baseline = starts, steps = "auto" })
    assert.equal(3, #auto.steps)
    close(auto.input, of({ baseline = { "zero", reference.baseline, "blurred" }, steps = "auto", batch = 2 }).input)
  end)

  it("start from the mean image of a split, and from a row per sample however x is cut", function()
    local split = { batches = function()
      local at = 0
      return function()
        at = at + 1
        if at <= 3 then return x:view(at, at) end
      end
    end }
    close(of({ baseline = split }).input, of({ baseline = x:mean(1) }).input)
    close(of({ baseline = { reference.baseline, split }, batch = 2 }).input,
      of({ baseline = { reference.baseline, x:mean(1) } }).input)
  end)

  it("are nothing where the image is the baseline, and need one step for a linear model", function()
    local still = of({ baseline = x, layers = cut, steps = "auto" })
    assert.equal(0, still.input:abs():sum())
    for _, name in ipairs(cut) do assert.equal(0, still.layers[name]:abs():sum()) end
    assert.same({ 0, 0, 0 }, still.gap)
    assert.same({ 16, 16, 16 }, still.steps)
    local linear = custom { input = { 1, 2, 2 }, build = function(net, input)
      return net:linear("l", net:flatten("f", input), { out = 2 })
    end }
    local image = core.randn(1, 1, 2, 2, { seed = 3 })
    for _, rule in ipairs(quadrature.names) do
      local result = attribute(linear, image, { method = "ig", steps = 1, quadrature = rule, baseline = "zero",
        target = 2, layers = { "l", "f" } })
      close(result.input, image * linear:state()["l.weight"]:view(2):reshape(1, 1, 2, 2))
      assert.near(result.input:sum(), result.layers.f:sum(), 1e-6)
    end
  end)

  it("refuse what makes no sense", function()
    local function refused(opts)
      local given = merged({ method = "ig", target = target, layers = {} }, opts)
      return (here(function() attribute(model, x, given) end):gsub("^attribute: ", ""))
    end
    local expected = '"auto" or a whole number in [1, 1048576]'
    assert.equal("steps: expected " .. expected .. ", got 'many'", refused { steps = "many" })
    assert.equal("steps: expected " .. expected .. ", got 1.5", refused { steps = 1.5 })
    assert.equal("steps: expected " .. expected .. ", got -3", refused { steps = -3 })
    assert.equal("tolerance: expected a number above 0, got 0", refused { steps = "auto", tolerance = 0 })
    assert.equal("quadrature: expected one of 'midpoint', 'trapezoid', 'gauss_legendre', got 'simpson'",
      refused { quadrature = "simpson" })
    assert.equal('steps: expected at most 4096 for "gauss_legendre", got 5000',
      refused { quadrature = "gauss_legendre", steps = 5000 })
    assert.equal('max_steps: expected at most 4096 for "gauss_legendre", got 5000',
      refused { quadrature = "gauss_legendre", steps = "auto", max_steps = 5000 })
    assert.equal("sigma: expected a number in (0, 1000], got 0", refused { baseline = "blurred", sigma = 0 })
    assert.equal("baseline: expected a Tensor that fits [3 x 3 x 8 x 8], got [2 x 3 x 8 x 8]",
      refused { baseline = core.zeros(2, 3, 8, 8) })
    assert.equal("baseline: expected a baseline that gives finite logits, got one that does not",
      refused { baseline = core.full(3, 8, 8, 0 / 0) })
    assert.equal("target: expected two classes to contrast, got 2 twice for sample 3",
      refused { target = { of = { 1, 3, 2 }, against = 2 }, batch = 2 })
  end)

  it("need no more memory for more steps, nor for more samples than their results take", function()
    local output = child.run [[
      local core = require "secateur.core"
      local sc = require "secateur"
      local model = sc.models.vgg { config = { 8, 8, "M", 8, "M" }, hidden = { 8 }, pool = 2, classes = 3, size = 48 }
      local names = { "features.0", "features.2" }
      local function peak(n, steps, layers)
        local x = core.randn(n, 3, 48, 48)
        local result = sc.attribute(model, x, { method = "ig", steps = steps, batch = 4, layers = layers })
        local bytes = 4 * (result.input:numel() + x:numel())
        for _, tensor in pairs(result.layers) do bytes = bytes + 4 * tensor:numel() end
        result, x = nil, nil
        collectgarbage()
        return select(2, core.memory()), bytes
      end
      local few, small = peak(4, 4, names)
      local many = peak(4, 64, names)
      local large, bytes = peak(40, 2, names)
      print(few, many, large, bytes - small)
    ]]
    local few, many, large, results = output:match "(%d+)\t(%d+)\t(%d+)\t(%d+)"
    assert.is_true(tonumber(many) <= tonumber(few) * 1.02, output)
    assert.is_true(tonumber(large) <= tonumber(few) + 1.1 * tonumber(results) + 2e6, output)
  end)

  it("are the same at a layer and at the norm behind it, whether norms are folded or not", function()
    local net = families.all().basic
    local images, names = families.batch(net, 2), {}
    for _, node in ipairs(net.graph:nodes()) do
      if node.op == "conv2d" or node.op == "batch_norm2d" then names[#names + 1] = node.name end
    end
    local result = attribute(net, images, { method = "ig", steps = 4, layers = names, target = 2, baseline = "zero" })
    local plain = core.gradients(net.graph, { batch = 2, nodes = names, quantity = "conductance" })
    local seeds = core.zeros(2, 3)
    for i = 1, 2 do seeds:set(1, i, 2) end
    local input, found = plain:along(images, core.zeros(table.unpack(images:shape())), seeds,
      quadrature.schedule("midpoint", 4, true, true), true)
    close(result.input, input)
    for _, name in ipairs(names) do close(result.layers[name], found[name], 2e-5) end
    result.layers.conv1:fill(0) -- no two names share their numbers
    assert.is_true(result.layers.bn1:abs():max() > 0)
  end)

  it("of units keep sums alone", function()
    local net = families.all().basic
    local gradients = core.gradients(net.graph, { batch = 4, nodes = { "fc" }, quantity = "conductance", units = true })
    local image = families.batch(net, 2)
    local points = quadrature.schedule("midpoint", 3, false, true)
    local _, layers = gradients:along(image, image * 0, core.ones(2, 3), points)
    assert.same({ 2, 3 }, layers.fc:shape())
  end)
end)

describe("the native Gradients", function()
  local errors = require "support.errors"
  local net = families.all().basic
  local gradients = core.gradients(net.graph, { batch = 2, nodes = { "fc", "fc" }, quantity = "conductance" })
  local x, seeds = families.batch(net, 2), core.ones(2, 3)

  local function refused(...) return errors.text(gradients.along, gradients, ...) end

  it("check what they are given", function()
    local points = { 0, 0, 1, 1, 0, 1 }
    assert.equal("along: x: expected a batch of [3x32x32], got [2x3]", refused(seeds, seeds, seeds, points))
    assert.equal("along: output_grad: expected [2x3], got [2x3x32x32]", refused(x, x, x, points))
    assert.equal("along: baseline: expected [2x3x32x32], got [1x3x32x32]",
      refused(x, x:view(1, 1), seeds, points))
    assert.equal("along: points: expected a list of threes of numbers, got a table", refused(x, x, seeds, { 0, 1 }))
    assert.equal("along: points: expected a list of threes of numbers, got a table", refused(x, x, seeds, {}))
    assert.matches("^along: points: expected a number", refused(x, x, seeds, { 0, 0, "x" }))
    assert.matches("^along: points: expected rising alphas in 0..1", refused(x, x, seeds, { 1, 0, 1, 0.5, 0, 1 }))
    assert.matches("^along: points: expected rising alphas in 0..1", refused(x, x, seeds, { 0 / 0, 0, 1 }))
    assert.matches("^gradients: unknown option 'node'", errors.text(core.gradients, net.graph, { node = {} }))
    assert.matches("^gradients: .*'fd'", errors.text(core.gradients, net.graph, { nodes = { "fd" } }))
    assert.equal("gradients: quantity: expected 'gradient', 'product' or 'conductance', got 'all'",
      errors.text(core.gradients, net.graph, { quantity = "all" }))
    assert.equal("gradients: graph: expected one with an input",
      errors.text(core.gradients, core.graph(), { batch = 1 }))
    local closed = core.gradients(net.graph, { batch = 1 })
    closed:close()
    closed:close()
    assert.equal("around: self: expected a Gradients, got a closed one", errors.text(closed.around, closed, x, seeds))
    assert.matches("^around: samples: expected", errors.text(gradients.around, gradients, x, seeds, { samples = 0 }))
  end)
end)
