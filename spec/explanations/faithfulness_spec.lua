local csv = require "secateur.util.csv"
local errors = require "support.errors"
local files = require "secateur.util.files"
local memory_split = require "support.memory_split"
local sc = require "secateur"
local temporary = require "support.temporary"
local toy = require "support.toy"

-- Logits w . x and 0, of images 4 x 4.
local function linear(w)
  local model = sc.model { input = { 1, 4, 4 }, build = function(net, x)
    return net:linear("head", net:flatten("flat", x), { out = 2 })
  end }
  local weight = sc.zeros(2, 16)
  for i, value in ipairs(w:totable()) do weight:set(value, 1, i) end
  model:load_state { ["head.weight"] = weight, ["head.bias"] = sc.zeros(2) }
  return model
end

local function times_input(w)
  return function(_, x) return x * w:reshape(1, 1, 4, 4) end
end

-- The area under a logit while its terms are taken away in an order: trapezoids of 1/16 each.
local function area(terms, order)
  local left, sum = 0, 0
  for _, term in ipairs(terms) do left = left + term end
  for _, i in ipairs(order) do
    sum = sum + (left + left - terms[i]) / 2 / #terms
    left = left - terms[i]
  end
  return sum
end

local function sorted(terms, ascending)
  local order = {}
  for i in ipairs(terms) do order[i] = i end
  table.sort(order, function(a, b)
    if ascending then return terms[a] < terms[b] end
    return terms[a] > terms[b]
  end)
  return order
end

local curves_alone = { "faithfulness", "morf", "lerf", "deletion", "insertion" }

describe("faithfulness", function()
  local w = sc.randn(16, { seed = 4 })
  local x = sc.randn(5, 1, 4, 4, { seed = 5 })

  it("of a linear model's terms is what the areas by hand are, and no order is better", function()
    local result = sc.faithfulness(linear(w), x, { methods = { terms = times_input(w) }, measures = curves_alone,
      target = 1, output = "logit", steps = 16, insertion_baseline = "zero" })
    for i = 1, 5 do
      local terms = (x[i]:reshape(16) * w):totable()
      local best, worst = area(terms, sorted(terms)), area(terms, sorted(terms, true))
      local values = result.values.terms
      assert.near(best, values.morf[i], 1e-5)
      assert.near(worst, values.lerf[i], 1e-5)
      assert.near(worst - best, values.faithfulness[i], 1e-5)
      assert.near(best, values.deletion[i], 1e-5) -- the patch of so small an image is a pixel
      assert.near(worst, values.insertion[i], 1e-5) -- the most relevant back first: the curve lerf, reversed
      for seed = 1, 50 do
        local order = sc.randn(16, { seed = seed }):argsort(1):totable()
        assert.is_true(area(terms, order) >= values.morf[i] - 1e-6)
        assert.is_true(area(terms, order) <= values.lerf[i] + 1e-6)
      end
      assert.is_true(result.values.random.morf[i] > values.morf[i])
    end
    local curve = result.curves.terms.morf
    assert.equal(17, #curve.fractions)
    assert.near((x:reshape(5, 16) * w):sum() / 5, curve.logit[1], 1e-5)
    assert.near(0, curve.logit[17], 1e-6)
    assert.near(0.5, curve.probability[17], 1e-6)
  end)

  it("replaces patches by the baseline", function()
    local result = sc.faithfulness(linear(w), x, { methods = { terms = times_input(w) }, measures = { "morf" },
      target = 1, output = "logit", patch = 2, baseline = sc.full(1, 4, 4, 0.5) })
    assert.equal(5, #result.curves.terms.morf.fractions)
    for i = 1, 5 do
      -- By patch of 2 x 2: what its relevance is, and what the logit loses when it becomes 0.5.
      local relevance, loss, logit = { 0, 0, 0, 0 }, { 0, 0, 0, 0 }, 0
      for p = 0, 15 do
        local patch, value, weight = 1 + p // 8 * 2 + p % 4 // 2, x[i]:reshape(16)[p + 1], w[p + 1]
        relevance[patch], logit = relevance[patch] + value * weight, logit + value * weight
        loss[patch] = loss[patch] + (value - 0.5) * weight
      end
      local followed = result.curves.terms.morf.samples.logit[i]
      assert.near(logit, followed[1], 1e-5)
      for k, patch in ipairs(sorted(relevance)) do
        logit = logit - loss[patch]
        assert.near(logit, followed[k + 1], 1e-5)
      end
    end
  end)

  it("calls a linear model's gradient insensitive, and the random explanation anything but", function()
    local gradient = function(_, images) return images * 0 + w:reshape(1, 1, 4, 4) end
    local result = sc.faithfulness(linear(w), x, { methods = { gradient = gradient }, measures = { "sensitivity",
      "sparseness", "complexity" } })
    assert.same({ mean = 0, low = 0, high = 0, count = 5 }, result.scores.gradient.sensitivity)
    assert.is_true(result.scores.random.sensitivity.mean > 1)
    assert.is_true(result.scores.gradient.sparseness.mean > 0.2)
    assert.is_true(result.scores.gradient.complexity.mean < math.log(16))
    assert.is_nil(result.scores.gradient.morf)
  end)

  describe("of a network", function()
    local model = toy.model { seed = 2 }
    local images = sc.randn(12, 1, 8, 8, { seed = 1 })
    local split = memory_split(images, { 1, 2, 3, 1, 2, 3, 1, 2, 3, 1, 2, 3 }, { classes = { "a", "b", "c" } })
    local function edges(_, given) return given * given end

    it("flags an explanation that ignores the model, and leaves the model alone", function()
      local before = toy.weights(model)
      local result = sc.faithfulness(model, split, { methods = { "lrp", edges = edges }, per_class = 2,
        measures = { "randomisation" } })
      assert.same({ "lrp", "edges", "random" }, result.methods)
      assert.near(1, result.scores.edges.randomisation.mean, 1e-6)
      assert.equal(1, #result.warnings)
      assert.matches("^edges: nearly unchanged when weights are randomised %(Spearman 1%.00%): "
        .. "independent of the model", result.warnings[1])
      local names = {}
      for i, layer in ipairs(result.randomisation.lrp) do names[i] = layer.layer end
      assert.same({ "classifier.3", "classifier.0", "features.3", "features.0" }, names)
      assert.is_true(result.scores.lrp.randomisation.mean < 0.9)
      assert.is_true(result.scores.random.randomisation.mean < 0.2)
      for i = 1, 6 do
        local sum = 0
        for _, layer in ipairs(result.randomisation.lrp) do sum = sum + math.abs(layer.samples.spearman[i]) end
        assert.near(sum / 4, result.values.lrp.randomisation[i], 1e-9)
      end
      assert.same(before, toy.weights(model))
    end)

    it("does not depend on how many samples go at a time, and is the same again", function()
      local function run(batch)
        return sc.faithfulness(model, split, { methods = { "lrp", ig = { method = "ig", steps = 4 } }, per_class = 3,
          measures = { "faithfulness", "morf", "sparseness", "sensitivity", "randomisation" }, batch = batch, seed = 3,
          draws = 2 })
      end
      local whole, parts, again = run(16), run(4), run(16)
      assert.equal(9, whole.count)
      assert.same(whole.indices, parts.indices)
      assert.same(whole.values, again.values)
      assert.same(whole.scores, again.scores)
      assert.same(whole.values.random, parts.values.random)
      for _, method in ipairs { "lrp", "ig" } do
        for i = 1, 9 do
          assert.near(whole.values[method].morf[i], parts.values[method].morf[i], 1e-5)
          assert.near(whole.values[method].sparseness[i], parts.values[method].sparseness[i], 1e-5)
          assert.near(whole.values[method].sensitivity[i], parts.values[method].sensitivity[i], 1e-3)
        end
      end
    end)

    it("takes methods as heatmaps does", function()
      local result = sc.faithfulness(model, split, { measures = { "sparseness" }, indices = { 1, 2 }, methods = { "ig",
        { name = "ig", label = "few", steps = 2, colormap = "heat" }, plain = { method = "ig", steps = 2 } } })
      assert.same({ "ig", "few", "plain", "random" }, result.methods)
      assert.same(result.values.plain, result.values.few)
      assert.not_same(result.values.ig, result.values.few)
    end)

    it("chooses samples and targets", function()
      local opts = { methods = { edges = edges }, measures = { "sparseness" }, target = "label" }
      opts.indices = { 2, 5, 12 }
      local given = sc.faithfulness(model, split, opts)
      assert.same({ { 2, 5, 12 }, { 2, 2, 3 }, { 2, 2, 3 } }, { given.indices, given.labels, given.targets })
      opts.indices, opts.per_class, opts.seed = nil, 1, 4
      local drawn = sc.faithfulness(model, split, opts)
      local labels = { table.unpack(drawn.labels) }
      table.sort(labels)
      assert.same({ 1, 2, 3 }, labels)
      opts.per_class, opts.samples = nil, 7
      assert.equal(7, sc.faithfulness(model, split, opts).count)
      local targets = {}
      opts.samples, opts.target = nil, { 1, 2, 3, 1, 2, 3, 1, 2, 3, 1, 2, 2 }
      opts.methods = { edges = function(_, given_x, classes)
        table.move(classes, 1, #classes, #targets + 1, targets)
        return given_x:sum(2)
      end }
      opts.batch = 5
      sc.faithfulness(model, images, opts)
      assert.same(opts.target, targets)
      split.unreadable[5] = true
      local rest = sc.faithfulness(model, split, { methods = { edges = edges }, measures = { "sparseness" },
        indices = { 2, 5, 12 } })
      split.unreadable[5] = nil
      assert.same({ 2, 12 }, rest.indices)
    end)

    it("leaves out samples that a measure says nothing about", function()
      local function nothing(_, given) return given * 0 end
      local function half(_, given)
        local out = given:clone()
        out:view(1, 6):fill(0)
        return out
      end
      local result = sc.faithfulness(model, images, { insertion_baseline = "zero", methods = { nothing = nothing,
        half = half } })
      for _, measure in ipairs { "sparseness", "complexity", "sensitivity", "randomisation" } do
        assert.is_nil(result.scores.nothing[measure])
        if measure ~= "sensitivity" then assert.equal(6, result.scores.half[measure].count) end
      end
      assert.equal(0, result.scores.nothing.faithfulness.mean) -- no order at all: both curves are the same
      assert.matches("nothing .-–", tostring(result))
    end)

    it("prints, and writes rows", function()
      local calls = {}
      local result = sc.faithfulness(model, split, { per_class = 1, steps = 2, draws = 1, insertion_baseline = "zero",
        methods = { "lrp" }, on_progress = function(done, total)
          calls[#calls + 1] = ("%d/%d"):format(done, total)
        end })
      assert.equal(("%d/%d"):format(#calls, #calls), calls[#calls])
      local text = tostring(result)
      for _, word in ipairs { "faithfulness ↑", "morf ↓", "randomisation ↓", "\nrandom ", "95 %% bootstrap" } do
        assert.matches(word, text)
      end
      local rows = result:rows()
      assert.equal(2 * 9, #rows)
      assert.same({ "lrp", "faithfulness", "higher", 3 }, { rows[1].method, rows[1].measure, rows[1].better,
        rows[1].count })
      assert.is_true(rows[1].low <= rows[1].mean and rows[1].mean <= rows[1].high)
      local folder = temporary.folder()
      local path = folder .. "/f.csv"
      result:csv(path)
      local records = csv.records(path, { "method", "measure", "mean" })
      assert.equal(18, #records)
      assert.equal(rows[10].mean, tonumber(records[10].mean))
      files.remove(folder)
      assert.equal(2 * 4 * 3, #result:curve_rows())
      assert.same({ "lrp", "morf", 0.5 }, { result:curve_rows()[2].method, result:curve_rows()[2].curve,
        result:curve_rows()[2].fraction })
    end)

    it("keeps its images from functions that change theirs", function()
      local function careful(_, given) return given * 1 end
      local function careless(_, given, classes)
        local found = given * 1
        given:fill(0)
        classes[1] = 3
        return found
      end
      local opts = { samples = 4, measures = { "faithfulness" }, steps = 2, insertion_baseline = "zero" }
      opts.methods = { a = careless, b = careful }
      local result = sc.faithfulness(model, images, opts)
      assert.same(result.values.b, result.values.a)
      opts.methods = { b = careful }
      assert.same(sc.faithfulness(model, images, opts).values.b, result.values.b)
    end)

    it("takes all methods, and names those that are not defined for a model", function()
      local sigmoid = sc.model { input = { 1, 8, 8 }, build = function(net, image)
        local y = net:sigmoid("act", net:conv2d("conv", image, { out = 2, kernel = 3, padding = 1 }))
        return net:linear("head", net:flatten("flat", y), { out = 3 })
      end }
      local known, last = require("secateur.attribution.methods").explaining, nil
      local result = sc.faithfulness(sigmoid, images, { samples = 2, methods = "all", measures = { "sparseness" },
        on_progress = function(done, total) last = { done, total } end })
      assert.equal(#known, #result.methods) -- without one, and with "random"
      assert.equal(last[1], last[2])
      assert.equal(1, #result.warnings)
      assert.matches("^guided_backprop: left out: .*ReLU", result.warnings[1])
      assert.is_falsy(result.warnings[1]:find("attribute:", 1, true))
      assert.is_nil(result.scores.guided_backprop)
      assert.equal("faithfulness: methods: expected one of 'all' or a table, got 'lrp'",
        errors.text(sc.faithfulness, sigmoid, images, { methods = "lrp" }))
    end)

    it("says what is wrong, at the caller's line", function()
      local function wrong(expected, opts, given, of)
        local here = function() local r = sc.faithfulness(of or model, given or split, opts) return r end
        assert.equal("faithfulness: " .. expected, errors.here(here))
      end
      wrong("model: expected a Model, got a table", {}, nil, {})
      wrong("split: expected a split of a dataset, got 3", {}, 3)
      wrong("x: expected a Tensor [N x 1 x 8 x 8], got [2 x 1 x 4 x 4] float32", {}, sc.zeros(2, 1, 4, 4))
      wrong("measures: expected names among faithfulness, morf, lerf, deletion, insertion, sparseness, complexity, "
        .. "sensitivity, randomisation, got 'speed'", { measures = { "speed" } })
      wrong("methods: expected different names, and 'random' for nothing else, got 'random'",
        { methods = { "random" } })
      wrong("methods: expected different names, and 'random' for nothing else, got 'lrp'",
        { methods = { "lrp", "lrp" } })
      local early = {} -- what is wrong with the last method is told before the first has taken its time
      function early.mine() error "called" end
      early.wrong = { method = "ig", stepz = 3 }
      wrong("methods.wrong: unknown option 'stepz', expected one of: baseline, batch, layers, max_steps, method, "
        .. "quadrature, sigma, steps, target, tolerance; did you mean 'steps'?", { methods = early })
      wrong("methods.lrp: composite: entry 1: expected { match = kind, pattern or function, rule = table }",
        { methods = { { name = "lrp", composite = { {} } } } })
      wrong("methods: expected at least one, got none", { methods = {} })
      wrong("methods: expected a string as label, got a table at 1", { methods = { { name = "lrp", label = {} } } })
      wrong("measures: expected a list of at least 1, got a table", { measures = {} })
      wrong("measures: expected a list of at least 1, got { morf = true }", { measures = { morf = true } })
      wrong("methods: expected a method's name or a table with one, got 7 at 2", { methods = { "lrp", 7 } })
      wrong("methods.mine: expected a method's name, options of attribute or a function, got 3",
        { methods = { mine = 3 } })
      wrong("methods.mine: expected no option 'target', which is the measure's to choose",
        { methods = { mine = { method = "lrp", target = 1 } } })
      wrong("indices: expected whole numbers in 1..12, got 13 at 2", { indices = { 1, 13 } })
      wrong("indices: expected at least one", { indices = {} })
      wrong("per_class: a Tensor has no classes; give a split, or samples or indices", { per_class = 2 }, images)
      wrong("target: a Tensor has no labels; give a split, or a list of classes", { target = "label" }, images)
      wrong("target: expected a class in 1..3, got 4", { target = 4 })
      wrong("baseline: expected \"black\", \"zero\", \"blurred\", a Tensor or a split, got 'grey'",
        { baseline = "grey" })
      wrong("insertion_baseline: expected \"black\", \"zero\", \"blurred\", a Tensor or a split, "
        .. "got { 'black', 'zero' }",
        { insertion_baseline = { "black", "zero" } })
      wrong("insertion_baseline: expected finite numbers, got some that are not",
        { insertion_baseline = sc.full(1, 8, 8, 0 / 0), methods = { "gradient" }, measures = { "insertion" } })
      wrong("steps: expected a whole number in [1, 65536], got 0", { steps = 0 })
      wrong("radius: expected a number in (0, 1000000.0], got 0", { radius = 0 })
      wrong("methods.bad: expected relevance like the images, [12 x 1 x 8 x 8] float32, got [3] float32",
        { methods = { bad = function() return sc.zeros(3) end } })
      wrong("methods.bad: expected finite relevance, got some that is not",
        { methods = { bad = function(_, given) return given * (0 / 0) end } })
      local message = errors.text(sc.faithfulness, model, split, { methods = { bad = function() error "boom" end } })
      assert.matches("^faithfulness: methods%.bad: .*faithfulness_spec%.lua:%d+: boom$", message)
      assert.matches("^faithfulness: methods%.lpr: method: expected one of",
        errors.text(sc.faithfulness, model, split, { methods = { "lpr" } }))
    end)
  end)
end)
