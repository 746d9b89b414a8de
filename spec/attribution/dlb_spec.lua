local attribute = require "secateur.attribution.attribute"
local composites = require "secateur.attribution.composites"
local core = require "secateur.core"
local custom = require "secateur.models.custom"
local dlb = require "support.dlb"
local double = require "secateur.core_double"
local errors = require "support.errors"
local families = require "support.families"
local relevance = require "secateur.attribution.relevance"
local random_net = require "support.random_net"
local rules = require "secateur.attribution.rules"
local single = require "support.single"
local terms = require "support.terms"
local needs = require "support.needs"

local function close(what, got, expected, tolerance)
  assert.is_true(single.compare(what, got, expected, tolerance))
end

describe("DL-Backtrace as the package dl_backtrace has it", function()
  for _, case in ipairs(dlb.cases "contrastive/") do
    it("gives both signals of " .. case.name, function()
      for _, build in ipairs { core, double } do
        local positive, negative = dlb.run(build, case, "contrastive")
        close("positive", positive, single.flat(case.tensors.positive_in), 2e-6)
        close("negative", negative, single.flat(case.tensors.negative_in), 2e-6)
      end
    end)
  end

  for _, case in ipairs(dlb.cases "compat/") do
    it("gives with its quirks " .. case.name, function()
      for _, build in ipairs { core, double } do
        close("relevance", (dlb.run(build, case, "compat")), single.flat(case.tensors.relevance_in), 2e-6)
      end
    end)
  end

  it("gives without them what the method means", function()
    for _, activation in ipairs { "tanh", "sigmoid" } do
      local case = dlb.case("compat/conv2d/odd-" .. activation)
      local got = dlb.run(double, case, "compat", rules.dlb())
      local off = 0
      for i, value in ipairs(single.flat(case.tensors.relevance_in)) do
        off = math.max(off, math.abs(value - got[i]))
      end
      assert.is_true(off > 0.1)
      local linear = dlb.case("compat/linear/plain-" .. activation)
      assert.same(dlb.run(double, linear, "compat"), (dlb.run(double, linear, "compat", rules.dlb())))
    end
  end)

  it("explains a whole network in contrastive mode", function()
    local case = dlb.case "contrastive/net"
    local model = custom { input = { 2, 9, 7 }, build = function(net, x)
      local a = net:relu("relu1", net:conv2d("conv1", x, { out = 3, kernel = 3, stride = 2, padding = 1 }))
      local b = net:add("sum", { net:conv2d("conv2", a, { out = 3, kernel = 3, padding = 1 }), a })
      b = net:flatten("flat", net:max_pool2d("pool", b, { kernel = 2 }))
      return net:linear("fc2", net:relu("relu2", net:linear("fc1", b, { out = 8 })), { out = 4 })
    end }:load_state(case.tensors, { prefix = "weight/" })
    local result = attribute(model, case.tensors.x, { method = "dlb", mode = "contrastive", start = "logit",
      target = case.tensors.target, layers = "all" })
    assert.is_true(result.logits:allclose(case.tensors.logits, 1e-5, 1e-5))
    for _, sign in ipairs { "positive", "negative" } do
      for name, expected in pairs(case.tensors) do
        local node = name:match("^" .. sign .. "/(.*)$")
        if node then
          local got = node == "input" and result[sign].input or result[sign].layers[node]
          close(name, single.flat(got), single.flat(expected), 1e-5)
        end
      end
    end
    close("difference", single.flat(result.input), single.flat(result.positive.input - result.negative.input), 0)
    close("difference", single.flat(result.layers.conv1),
      single.flat(case.tensors["positive/conv1"] - case.tensors["negative/conv1"]), 1e-5)
  end)

  it("explains a whole network with its quirks: gates of convolutions, norms that pass", function()
    local case = dlb.case "compat/net"
    local model = custom { input = { 2, 9, 7 }, build = function(net, x)
      x = net:batch_norm2d("bn1", net:conv2d("conv1", x, { out = 3, kernel = 3, padding = 1 }))
      x = net:avg_pool2d("pool", net:tanh("tanh1", x), { kernel = 2 })
      x = net:conv2d("conv2", x, { out = 4, kernel = { 3, 2 }, stride = { 2, 1 }, padding = { 1, 0 } })
      x = net:linear("fc1", net:flatten("flat", net:sigmoid("sigmoid2", x)), { out = 6 })
      return net:linear("fc2", net:tanh("tanh3", x), { out = 4 })
    end }
    case.tensors["weight/bn1.num_batches_tracked"] = core.tensor({ 0 }, "int64"):reshape()
    model:load_state(case.tensors, { prefix = "weight/" })
    local opts = { method = "dlb", compat = "dl-backtrace", target = case.tensors.target, layers = "all" }
    local result = attribute(model, case.tensors.x, opts)
    local seen = 0
    for name, expected in pairs(case.tensors) do
      local node = name:match "^relevance/(.*)$"
      if node then
        local got = node == "input" and result.input or result.layers[node]
        close(name, single.flat(got), single.flat(expected), 1e-5)
        seen = seen + 1
      end
    end
    assert.equal(7, seen)
    local named = attribute(model, case.tensors.x, { method = "dlb", composite = "dlb_compat", target = opts.target })
    assert.same(result.input:totable(), named.input:totable())
    opts.compat = nil
    assert.is_false(attribute(model, case.tensors.x, opts).input:allclose(result.input, 1e-2, 1e-3))
  end)

  it("passes nothing on where the package divides by zero", function()
    local graph = double.graph()
    graph:add("input", "x", {}, { shape = { 1, 2, 4 } })
    graph:add("conv2d", "n", { "x" }, { out = 1, kernel = { 2, 2 }, stride = { 1, 2 }, bias = false })
    graph:add("tanh", "a", { "n" })
    graph:set_parameter("n.weight", double.tensor { { { { 1, -2 }, { 3, 1 } } } })
    for _, mode in ipairs { "package", "default" } do
      local walker = double.relevance(graph, { rules = { n = rules.dlb(mode), a = rules.pass() } })
      walker:forward(double.tensor { { { { 0, 0, 0.25, 0 }, { 0, 0, 0, 0.25 } } } })
      walker:backward(double.tensor { { { { 7, 1 } } } })
      close(mode, single.flat(walker:relevance "x"), { 0, 0, 0.5, 0, 0, 0, 0, 0.5 }, 1e-12)
    end
  end)
end)

describe("DL-Backtrace", function()
  it("looks through dropouts for the activation that gates, but no further, and not where others read, too", function()
    local function run(...)
      local graph, behind, by_name = double.graph(), "n", { n = rules.dlb() }
      graph:add("input", "x", {}, { shape = { 2 } })
      graph:add("linear", "n", { "x" }, { out = 1, bias = false })
      graph:set_parameter("n.weight", double.tensor { { 3, -1 } })
      for i, op in ipairs { ... } do
        graph:add(op, "a" .. i, op == "add" and { behind, "n" } or { behind })
        behind, by_name["a" .. i] = "a" .. i, op == "add" and rules.magnitudes() or rules.pass()
      end
      local walker = double.relevance(graph, { rules = by_name })
      walker:forward(double.tensor { { 2, 2 } }) -- t = 4, saturated
      walker:backward(double.tensor { { 8 } })
      return single.flat(walker:relevance "x")
    end
    close("at once", run "tanh", { 8, 0 }, 1e-12)
    close("behind dropouts", run("dropout", "dropout", "tanh"), { 8, 0 }, 1e-12)
    close("not at all", run "dropout", { 6, 2 }, 1e-12)
    close("behind a ReLU", run("relu", "tanh"), { 6, 2 }, 1e-12)
    close("read twice", run("tanh", "add"), { 6, 2 }, 1e-12)
  end)

  it("passes nothing on where average pools and sums have zeros alone, nor to padding that wins a maximum", function()
    local function run(op, attrs, x, start, rule, inputs)
      local graph, shape = double.graph(), x:shape()
      table.remove(shape, 1)
      graph:add("input", "x", {}, { shape = shape })
      graph:add(op, "n", inputs or { "x" }, attrs)
      local walker = double.relevance(graph, { rules = { n = rule } })
      walker:forward(x)
      walker:backward(start)
      return single.flat(walker:relevance "x")
    end
    local x = double.tensor { { { { 0, 0, -1, 3 }, { 0, 0, 0, -4 } } } }
    close("pool", run("avg_pool2d", { kernel = 2 }, x, double.tensor { { { { 5, 8 } } } }, rules.magnitudes()),
      { 0, 0, 1, 3, 0, 0, 0, 4 }, 1e-12)
    close("padded pool", run("avg_pool2d", { kernel = 2, padding = { 0, 1 }, stride = { 1, 4 } }, x,
      double.tensor { { { { 7, 14 } } } }, rules.magnitudes()), { 0, 0, 0, 6, 0, 0, 0, 8 }, 1e-12)
    close("sum", run("add", nil, double.tensor { { 0, 2, -3 } }, double.tensor { { 5, 6, 7 } }, rules.magnitudes(),
      { "x", "x" }), { 0, 6, 7 }, 1e-12)
    x = double.tensor { { { { -2, -2, -5 } } } }
    close("maximum", run("max_pool2d", { kernel = 3, stride = 1, padding = 1 }, x,
      double.tensor { { { { 4, 6, 8 } } } }, rules.own "ties"), { 5, 13, 0 }, 1e-12)
  end)
end)

-- ---- the rule, term by term ----

local function part(list, sample, samples)
  local size = #list // samples
  return table.move(list, (sample - 1) * size + 1, sample * size, 1, {})
end

-- Both signals at the inputs of one sample, by the replica.
local function replica(list, x, bias, positive, negative)
  local into = { {}, {} }
  for i = 1, #x do into[1][i], into[2][i] = 0, 0 end
  for j, output in ipairs(list) do
    local z = {}
    for i, term in ipairs(output) do z[i] = x[term[1]] * term[2] end
    local shares = { dlb.contrast(z, bias and bias[output.unit] or 0, positive[j], negative[j]) }
    for signal = 1, 2 do
      for i, term in ipairs(output) do
        into[signal][term[1]] = into[signal][term[1]] + shares[signal][i]
      end
    end
  end
  return into
end

describe("the contrastive rule", function()
  for samples = 1, 3, 2 do
    for number, layer in ipairs(terms.layers) do
      it(("is what its terms say: layer %d, %d samples"):format(number, samples), function()
        local graph = double.graph()
        graph:add("input", "x", {}, { shape = layer.shape })
        graph:add(layer.op, "n", { "x" }, layer.attrs)
        local x, found = single.numbers(samples * single.count(layer.shape), 3), {}
        for i = 1, #x // samples, 2 do x[i] = math.max(x[i], 0) end -- zeros in the first sample
        for i, p in ipairs(graph:parameters()) do
          found[i] = single.numbers(single.count(p.shape), 10 + i)
          graph:set_parameter(p.name, single.tensor(double, found[i], p.shape))
        end
        local walker = double.relevance(graph, { batch = 4, second_relevance = true, sums = { "n" },
          rules = { n = rules.contrastive() } })
        local y = walker:forward(single.tensor(double, x, { samples, table.unpack(layer.shape) }))
        local positive, negative = single.numbers(y:numel(), 5), single.numbers(y:numel(), 6)
        negative[1] = positive[1]
        walker:backward(single.tensor(double, positive, y:shape()), single.tensor(double, negative, y:shape()))
        local list = terms[layer.op](layer.shape, layer.attrs, found[1])
        local got = { single.flat(walker:relevance "x"), single.flat(walker:relevance("x", true)) }
        for sample = 1, samples do
          local into = replica(list, part(x, sample, samples), found[2], part(positive, sample, samples),
            part(negative, sample, samples))
          for signal = 1, 2 do
            close("signal " .. signal, part(got[signal], sample, samples), into[signal], 1e-9)
          end
        end
      end)
    end
  end

  it("and that of one signal see a batch norm that does not fold as one term and a bias per output", function()
    local graph = double.graph()
    graph:add("input", "x", {}, { shape = { 2, 2, 2 } })
    graph:add("batch_norm2d", "n", { "x" }, { eps = 0 })
    graph:add("tanh", "a", { "n" })
    local values = { weight = { 2, 1 }, bias = { 1, -3 }, running_mean = { 0.5, 0 }, running_var = { 4, 1 } }
    for name, value in pairs(values) do
      graph:set_parameter("n." .. name, double.tensor(value))
    end
    -- y = x + 0.5 and x - 3
    local x = double.tensor { { { { 1, -2 }, { 0, 3 } }, { { 1, -4 }, { 0, 6 } } } }
    local r = double.tensor { { { { 3, 5 }, { 7, 7 } }, { { 4, 7 }, { 2, 9 } } } }
    local function run(rule, two)
      local walker = double.relevance(graph, { rules = { n = rule, a = rules.pass() }, second_relevance = two })
      walker:forward(x)
      walker:backward(r, r * 2)
      return single.flat(walker:relevance "x"), two and single.flat(walker:relevance("x", true))
    end
    close("all open: no saturated output has a term that counts against it", (run(rules.dlb())),
      { 2, 4, 0, 6, 1, 4, 0, 6 }, 1e-9)
    x:set(0.75, 1, 2, 1, 1) -- t = -2.25: its positive term gets nothing
    close("gated", (run(rules.dlb())), { 2, 4, 0, 6, 0, 4, 0, 6 }, 1e-9)
    local positive, negative = run(rules.contrastive(), true)
    close("positive", positive, { 3, 5, 0, 7, 4, 7, 0, 9 }, 1e-9)
    close("negative", negative, { 6, 10, 0, 14, 8, 14, 0, 18 }, 1e-9)
  end)

  it("adds up where a value goes several ways, and what travels alone takes the rule of one signal", function()
    local graph = double.graph()
    graph:add("input", "x", {}, { shape = { 3 } })
    graph:add("linear", "a", { "x" }, { out = 3, bias = false })
    graph:add("add", "s", { "a", "x", "x" })
    graph:add("relu", "r", { "s" })
    graph:set_parameter("a.weight", double.tensor { { 1, 0, 0 }, { 0, -1, 0 }, { 0, 0, 2 } })
    local walker = double.relevance(graph, { second_relevance = true, keep = { "a" }, rules = { a = rules.contrastive(),
      s = rules.contrastive(), r = rules.pass() } })
    walker:forward(double.tensor { { 2, 4, 0 } })
    walker:backward(double.tensor { { 6, 3, 1 } }, double.tensor { { 3, 5, 1 } })
    -- 1: terms 2, 2, 2, all positive. 2: -4, 4, 4 with t = 4 > 0: the larger signal, 5, to the positive ones.
    close("a", single.flat(walker:relevance "a"), { 2, 3, 0 }, 1e-12)
    close("a, second", single.flat(walker:relevance("a", true)), { 1, 0, 0 }, 1e-12)
    close("x", single.flat(walker:relevance "x"), { 6, 3, 0 }, 1e-12)
    close("x, second", single.flat(walker:relevance("x", true)), { 3, 5, 0 }, 1e-12)
  end)

  it("and that of one signal treat every token as a sample of its own", function()
    local weight = single.tensor(double, single.numbers(35, 2), { 5, 7 })
    local x = single.tensor(double, single.numbers(2 * 3 * 7, 3), { 2, 3, 7 }) * 2
    local r = single.tensor(double, single.numbers(2 * 3 * 5, 5), { 2, 3, 5 })
    local function run(rule, activation, shape, batch, two)
      local graph = double.graph()
      graph:add("input", "x", {}, { shape = shape })
      graph:add("linear", "n", { "x" }, { out = 5 })
      graph:add(activation, "a", { "n" })
      graph:set_parameter("n.weight", weight)
      graph:set_parameter("n.bias", double.tensor { 1, -1, 0.5, 0, 2 })
      local walker = double.relevance(graph, { batch = batch, second_relevance = two,
        rules = { n = rule, a = rules.pass() } })
      walker:forward(x:reshape(batch, table.unpack(shape)))
      shape[#shape] = 5
      walker:backward(r:reshape(batch, table.unpack(shape)), -r:reshape(batch, table.unpack(shape)))
      local found = single.flat(walker:relevance "x")
      for _, value in ipairs(two and single.flat(walker:relevance("x", true)) or {}) do found[#found + 1] = value end
      return found
    end
    for _, activation in ipairs { "tanh", "sigmoid", "gelu", "silu", "relu" } do
      for _, rule in ipairs { rules.dlb(), rules.dlb "package", rules.contrastive() } do
        local two = rule.kind == "contrastive"
        close(activation, run(rule, activation, { 3, 7 }, 2, two), run(rule, activation, { 7 }, 6, two), 1e-12)
      end
    end
  end)

  it("stands only where terms have signs, and two signals travel", function()
    local function refusal(op, attrs, shape, rule, two)
      local graph = double.graph()
      graph:add("input", "input", {}, { shape = shape })
      graph:add(op, "n", { "input" }, attrs)
      return errors.text(double.relevance, graph, { rules = { n = rule }, second_relevance = two })
    end
    assert.equal("linear 'n': rule: expected a rule for one relevance, got one for the contrastive mode",
      refusal("linear", { out = 1 }, { 2 }, rules.contrastive(), false))
    for _, op in ipairs { "relu", "softmax", "flatten" } do
      assert.equal(op .. " 'n': rule: expected a rule that applies here, got one that splits terms by their sign",
        refusal(op, nil, { 2, 3, 3 }, rules.contrastive(), true))
    end
    local graph = double.graph()
    graph:add("input", "input", {}, { shape = { 2 } })
    graph:add("linear", "n", { "input" }, { out = 1 })
    local one = double.relevance(graph, { rules = { n = rules.dlb() }, sums = { "n" } })
    one:forward(double.zeros(1, 2))
    one:backward(double.zeros(1, 1))
    assert.equal("relevance: second: expected a Relevance with second_relevance",
      errors.text(one.relevance, one, "input", true))
    assert.equal("sums: second: expected a Relevance with second_relevance", errors.text(one.sums, one, "n", true))
    local two = double.relevance(graph, { rules = { n = rules.contrastive() }, second_relevance = true })
    two:forward(double.zeros(1, 2))
    assert.matches("^backward: second: expected a Tensor, got n", errors.text(two.backward, two, double.zeros(1, 1)))
    assert.equal("backward: second: expected [1x1], got [1x2]",
      errors.text(two.backward, two, double.zeros(1, 1), double.zeros(1, 2)))
  end)
end)

describe("contrastive mode", function()
  -- Sums per sample.
  local function sums(tensor) return single.flat(tensor:reshape(tensor:size(1), -1):sum(2)) end

  it("keeps both signals whole, from the output to every layer that all of it passes", function()
    for name, model in pairs { vgg = families.all().vgg, basic = families.all().basic } do
      local result = attribute(model, families.batch(model, 3), { method = "dlb", mode = "contrastive", target = 2,
        layers = "all" })
      for _, signal in ipairs { "positive", "negative" } do
        close(name .. " " .. signal, sums(result[signal].input), { 1, 1, 1 }, 1e-4)
      end
      close(name, sums(result.input), { 0, 0, 0 }, 1e-4)
    end
  end)

  -- Relevance that arrives somewhere finds terms there, since the layer above gave none to an output of 0.
  it("keeps both signals whole at every cut of random networks without biases", function()
    local checked, count = 0, needs.some(40)
    for seed = 1, count do
      local net = random_net.make(seed)
      local graph = random_net.graph(net, double)
      local nodes, names = graph:nodes(), {}
      for i, node in ipairs(nodes) do names[i] = node.name end
      local walker = double.relevance(graph, { second_relevance = true, keep = names,
        rules = composites.resolve("spec", composites.get("spec", "dlb_contrastive"), nodes) })
      local logits = walker:forward(double.randn(1, net.input[1], net.input[2], net.input[3], { seed = seed }))
      local alive = logits:get(1, 2) ~= 0 and logits:get(1, 4) ~= 0
      walker:backward(double.tensor { { 0, 1, 0, 0 } }, double.tensor { { 0, 0, 0, 0.5 } })
      for _, cut in ipairs(alive and random_net.cuts(nodes) or {}) do
        local positive, negative = 0, 0
        for _, name in ipairs(cut) do
          positive = positive + walker:relevance(name):sum()
          negative = negative + walker:relevance(name, true):sum()
        end
        local text = ("seed %d at %s: %.15g, %.15g"):format(seed, nodes[cut.at].name, positive, negative)
        assert.is_true(math.abs(positive - 1) < 1e-12 and math.abs(negative - 0.5) < 1e-12, text)
        checked = checked + 1
      end
    end
    assert.is_true(checked > 5 * count, checked)
  end)

  it("explains models of every family, whatever the parts of a batch", function()
    for name, model in pairs(families.all()) do
      local x = families.batch(model, 3)
      local opts = { method = "dlb", mode = "contrastive", target = { 1, 2, 3 }, layers = "all" }
      local whole = attribute(model, x, opts)
      opts.batch = 2
      local parts = attribute(model, x, opts)
      for _, signal in ipairs { "positive", "negative" } do
        assert.is_true(whole[signal].input:abs():sum() > 0, name)
        close(name, single.flat(parts[signal].input), single.flat(whole[signal].input), 1e-5)
        for node, value in pairs(whole[signal].layers) do
          close(name .. " " .. node, single.flat(parts[signal].layers[node]), single.flat(value), 1e-5)
        end
      end
    end
  end)

  it("has against a class all others, in equal parts or by what they predict, or what the target says", function()
    local model = custom { input = { 1, 1, 1 }, build = function(net, x)
      return net:linear("head", net:flatten("flat", x), { out = 4, bias = false })
    end }
    model.graph:set_parameter("head.weight", core.tensor { { 1 }, { 2 }, { 3 }, { 4 } })
    local function signals(opts)
      opts.method, opts.mode, opts.layers = "dlb", "contrastive", "head"
      local result = attribute(model, core.ones(1, 1, 1, 1), opts)
      return single.flat(result.positive.layers.head), single.flat(result.negative.layers.head)
    end
    local function check(opts, positive, negative)
      local p, n = signals(opts)
      close("positive", p, positive, 1e-6)
      close("negative", n, negative, 1e-6)
    end
    check({ target = 2 }, { 0, 1, 0, 0 }, { 1 / 3, 0, 1 / 3, 1 / 3 })
    check({ target = 2, start = "logit" }, { 0, 2, 0, 0 }, { 1, 0, 3, 4 })
    local z = math.exp(1) + math.exp(2) + math.exp(3) + math.exp(4)
    local p = { math.exp(1) / z, math.exp(2) / z, math.exp(3) / z, math.exp(4) / z }
    check({ target = 2, start = "probability" }, { 0, p[2], 0, 0 }, { p[1], 0, p[3], p[4] })
    check({ target = { of = 2, against = 4 } }, { 0, 1, 0, 0 }, { 0, 0, 0, 1 })
    check({ target = core.tensor { { 0.5, -2, 0, -1 } } }, { 0.5, 0, 0, 0 }, { 0, 2, 0, 1 })
    check({ target = core.tensor { { 0.5, 0, 1, 0 } } }, { 0.5, 0, 1, 0 }, { 0, 0.75, 0, 0.75 })
    check({ target = core.tensor { { 0, 0, 0, 0 } } }, { 0, 0, 0, 0 }, { 0, 0, 0, 0 })
  end)

  it("treats both signals alike where a rule knows of one only", function()
    local model = families.all().vgg
    local x = families.batch(model, 2)
    local opts = { method = "dlb", composite = "epsilon_plus", target = { of = 1, against = 3 } }
    local single_signal = attribute(model, x, opts)
    opts.mode = "contrastive"
    close("difference", single.flat(attribute(model, x, opts).input), single.flat(single_signal.input), 1e-5)
  end)

  it("walks in slices of a batch that does not fit the workspace at once", function()
    local model = custom { input = { 8, 96, 96 }, build = function(net, x)
      x = net:conv2d("conv", x, { out = 24, kernel = 3, padding = 1 })
      x = net:adaptive_avg_pool2d("pool", net:tanh("act", x), { output = 1 })
      return net:linear("head", net:flatten("flat", x), { out = 2 })
    end }
    local x = core.randn(24, 8, 96, 96, { seed = 4 })
    for _, mode in ipairs { "contrastive", "default" } do
      local opts = { method = "dlb", mode = mode, target = 1, batch = 24, layers = {} }
      local whole = attribute(model, x, opts).input
      opts.batch = 1
      close(mode, single.flat(whole:view(22, 24)), single.flat(attribute(model, x:view(22, 24), opts).input), 1e-5)
    end
  end)

  it("is there for the scoring of neurons, too: positive minus negative", function()
    local importance = require "secateur.pruning.importance"
    local model = families.all().vgg_bn
    local x, y = families.batch(model, 3), { 1, 3, 2 }
    local split = { batch = function(_, indices)
      local labels = {}
      for i, index in ipairs(indices) do labels[i] = y[index] end
      return x:take(1, indices), core.tensor(labels, "int64")
    end }
    assert.matches("^importance: compat: expected no mode but 'default' beside it, got 'contrastive'", errors.here(
      function() importance(model, split, { method = "dlb", mode = "contrastive", compat = "dl-backtrace",
        indices = { 1 } }) end))
    for _, opts in ipairs { { mode = "contrastive" }, { compat = "dl-backtrace" } } do
      opts.method = "dlb"
      opts.indices = { 1, 2, 3 }
      local scores = importance(model, split, opts)
      opts.indices, opts.target = nil, y
      local result = attribute(model, x, opts)
      for name, score in pairs(scores) do
        local value = result.layers[name]
        close(name, single.flat(score), single.flat(value:reshape(3, value:size(2), -1):sum(3):mean(1)), 1e-5)
      end
    end
  end)

  it("gives its memory back", function()
    local model = families.all().basic
    local x = families.batch(model, 2)
    local function run() attribute(model, x, { method = "dlb", mode = "contrastive" }) end
    run()
    collectgarbage()
    local before = core.memory()
    for _ = 1, 3 do run() end
    collectgarbage()
    assert.equal(before, core.memory())
  end)

  it("refuses what does not go together, at the caller's line", function()
    local model = families.all().vgg
    local x = families.batch(model, 1)
    local function refused(opts)
      opts.method = opts.method or "dlb"
      return errors.here(function() attribute(model, x, opts) end)
    end
    assert.equal("attribute: compat: expected no mode but 'default' beside it, got 'contrastive': of the package "
      .. "dl_backtrace, the default mode alone is reproduced",
      refused { mode = "contrastive", compat = "dl-backtrace" })
    assert.equal("attribute: compat: expected no composite beside it, got both",
      refused { compat = "dl-backtrace", composite = "dlb" })
    assert.equal("attribute: compat: expected one of 'dl-backtrace', got 'zennit'", refused { compat = "zennit" })
    assert.equal("attribute: mode: expected one of 'default', 'contrastive', got 'both'", refused { mode = "both" })
    assert.equal("attribute: mode: expected an option of method 'lrp' (batch_norm, composite, exact, high, low, "
      .. "start), got one of 'dlb'",
      refused { method = "lrp", mode = "contrastive" })
    assert.equal("attribute: conv2d 'features.0': rule: expected a rule for one relevance, got one for the contrastive "
      .. "mode", refused { composite = "dlb_contrastive" })
    local walker = relevance.prepare(model, "spec", { composite = "dlb_contrastive", mode = "contrastive", batch = 1 })
    walker.forward(x)
    assert.matches("^backward: second: expected", errors.text(walker.backward, core.zeros(1, 3)))
    walker.close()
  end)
end)
