local bits = require "support.bits"
local composites = require "secateur.attribution.composites"
local core = require "secateur.core_double"
local float = require "secateur.core"
local rules = require "secateur.attribution.rules"
local single = require "support.single"

-- One operation between an input and, for further inputs, parameters p2, p3, …: a walker over it.
local function walk(op, inputs, attrs, rule, start)
  local graph, names, by_name = core.graph(), {}, { n = rule }
  for i, value in ipairs(inputs) do
    names[i] = i == 1 and "x" or "p" .. i
    local shape = value:shape()
    table.remove(shape, 1)
    graph:add(i == 1 and "input" or "parameter", names[i], {}, { shape = shape })
    if i > 1 then graph:set_parameter(names[i] .. ".value", value) end
  end
  graph:add(op, "n", names, attrs)
  local walker = core.relevance(graph, { batch = inputs[1]:size(1), rules = by_name })
  local y = walker:forward(inputs[1])
  walker:backward(start)
  return walker, y
end

local function close(expected, got, tolerance)
  assert.is_true(single.compare("relevance", single.flat(got), expected, tolerance or 1e-9))
end

describe("relevance", function()
  it("is not made by metatables, which could change the graph while its rules are read", function()
    local graph = core.graph()
    graph:add("input", "x", {}, { shape = { 4 } })
    graph:add("relu", "n", { "x" })
    local growing = setmetatable({}, { __index = function()
      for i = 1, 50 do graph:add("relu", "late" .. i, { "n" }) end
      return { kind = "pass" }
    end })
    assert.error_matches(function() core.relevance(graph, { rules = growing }) end, "got none for 'n'")
    assert.error_matches(function() core.relevance(graph, setmetatable({}, { __index = { rules = {} } })) end,
      "rules: expected a table of rules by node name, got nil")
    assert.equal(2, #graph:nodes())
  end)

  it("wants an epsilon of at least 0 in every kind of rule", function()
    for _, epsilon in ipairs { -1e-6, 0 / 0 } do
      assert.error_matches(function()
        walk("softmax", { core.tensor { { 1, 2 } } }, nil, { kind = "own", epsilon = epsilon }, core.ones(1, 2))
      end, "epsilon: expected a finite number of at least 0, got")
    end
  end)

  it("goes by the parameters of its last run, replaced or changed by whoever owns them", function()
    local graph = core.graph()
    graph:add("input", "x", {}, { shape = { 2 } })
    graph:add("linear", "n", { "x" }, { out = 2 })
    local function relevances(walker)
      local x = core.tensor { { 1, 2 } }
      walker:forward(x)
      walker:backward(core.tensor { { 1, 3 } })
      return walker:relevance "x":totable()
    end
    local function fresh() return core.relevance(graph, { rules = { n = rules.zplus() } }) end
    local weight = core.tensor { { 1, -2 }, { 3, 1 } }
    graph:set_parameter("n.weight", weight)
    local walker = fresh()
    local before = relevances(walker)
    graph:set_parameter("n.weight", core.tensor { { -1, 2 }, { 3, 5 } })
    local after = relevances(walker)
    assert.same(relevances(fresh()), after)
    assert.are_not.same(before, after)
    graph:own_parameters()
    graph:parameter "n.weight":copy(weight)
    assert.same(before, relevances(walker))
  end)
end)

describe("relevance of one sample", function()
  -- Terms of inputs below zero are left out of batches that have none; that shows in no bit, signs of zeros included.
  it("is the same beside samples that have negative inputs where it has none", function()
    local graph, n, inputs = float.graph(), 6, {}
    graph:add("input", "x", {}, { shape = { n, 1, 2 } })
    graph:add("conv2d", "n", { "x" }, { out = 3, kernel = { 1, 2 } })
    graph:add("dropout", "last", { "n" }) -- the gradient of what the output reads holds zeros before
    graph:set_parameter("n.weight", float.randn(3, n, 1, 2, { seed = 1 }))
    for i = 1, n do inputs[i] = { { i % 3 - 1 < 0 and 0 or i % 3 - 1, i % 2 } } end
    local positive = float.tensor { inputs }
    local mixed = float.zeros(2, n, 1, 2)
    mixed:view(1, 1):copy(positive)
    mixed:view(2, 2):copy(positive * -1)
    for name, rule in pairs { alphabeta = rules.alphabeta(2, 1), gamma = rules.gamma(0.25), zplus = rules.zplus(),
      dlb = rules.dlb() } do
      local found = {}
      for k, x in ipairs { positive, mixed } do
        local walker = float.relevance(graph, { batch = 2, rules = { n = rule, last = rules.pass() },
          keep = { "x" } })
        walker:forward(x)
        walker:backward(float.ones(k, 3, 1, 1) * -1)
        found[k] = walker:relevance "x":view(1, 1)
      end
      assert.is_true(bits.equal({ found[1] }, { found[2] }), name)
    end
  end)
end)

describe("relevance of", function()
  it("a maximum goes to the first, or to all that tie", function()
    local x = core.tensor { { { { 1, 4, 4 }, { 4, 0, 2 } } } }
    local start = core.tensor { { { { 6, 10 } } } }
    local attrs = { kernel = 2, stride = 1 }
    close({ 0, 16, 0, 0, 0, 0 }, (walk("max_pool2d", { x }, attrs, rules.own(), start)):relevance "x")
    close({ 0, 8, 5, 3, 0, 0 }, (walk("max_pool2d", { x }, attrs, rules.own "ties", start)):relevance "x")
  end)

  it("a softmax follows its linearisation", function()
    local x, r = { 0.5, -1, 2 }, { 3, -2, 0.7 }
    local walker, y = walk("softmax", { core.tensor { x } }, nil, rules.own(), core.tensor { r })
    local p, sum, expected = single.flat(y), 0, {}
    for _, value in ipairs(r) do sum = sum + value end
    for i = 1, 3 do expected[i] = x[i] * (r[i] - p[i] * sum) end
    close(expected, walker:relevance "x")
    close({ 0, 0, 0 },
      (walk("softmax", { core.tensor { x } }, nil, rules.own "detach_weights", core.tensor { r })):relevance "x")
    close(r, (walk("softmax", { core.tensor { x } }, nil, rules.own "pass", core.tensor { r })):relevance "x")
    close({ 0, 0, 0 }, (walk("softmax", { core.tensor { x } }, nil, rules.block(), core.tensor { r })):relevance "x")
  end)

  it("a layer norm holds its deviation constant", function()
    local x, r, d = { 0.5, -1, 2, 0.25 }, { 3, -2, 0.7, 1 }, 4
    local mean, square = 0, 0
    for _, v in ipairs(x) do mean = mean + v / d end
    for _, v in ipairs(x) do square = square + (v - mean) ^ 2 / d end
    local deviation, shares, centre, expected = math.sqrt(square + 1e-5), {}, 0, {}
    for i, v in ipairs(x) do
      local y = (v - mean) / deviation
      shares[i] = r[i] / (y + (y >= 0 and 1e-6 or -1e-6)) / deviation
      centre = centre + shares[i] / d
    end
    for i, v in ipairs(x) do expected[i] = v * (shares[i] - centre) end
    local function of(rule)
      return walk("layer_norm", { core.tensor { x } }, { eps = 1e-5 }, rule, core.tensor { r }):relevance "x"
    end
    close(expected, of(rules.own()))
    close(r, of(rules.own "pass"))
  end)

  -- Three tokens of four features in two heads.
  local function matrix(seed, rows, columns)
    return single.tensor(core, single.numbers(rows * columns, seed), { 1, rows, columns })
  end

  local function stab(z) return z + (z >= 0 and 1e-6 or -1e-6) end

  it("a query's and a key's product is shared equally between the two", function()
    local q, k, r = matrix(1, 3, 4), matrix(2, 3, 4), single.tensor(core, single.numbers(18, 3), { 1, 2, 3, 3 })
    local walker = walk("attention_scores", { q, k }, { heads = 2 }, rules.own(), r)
    local rq, rk = core.zeros(3, 4), core.zeros(3, 4)
    for h = 0, 1 do
      for i = 1, 3 do
        for j = 1, 3 do
          local z = 0
          for d = 2 * h + 1, 2 * h + 2 do z = z + q:get(1, i, d) * k:get(1, j, d) / math.sqrt(2) end
          for d = 2 * h + 1, 2 * h + 2 do
            local share = q:get(1, i, d) * k:get(1, j, d) / math.sqrt(2) * r:get(1, h + 1, i, j) / stab(2 * z)
            rq:set(rq:get(i, d) + share, i, d)
            rk:set(rk:get(j, d) + share, j, d)
          end
        end
      end
    end
    close(single.flat(rq), walker:relevance "x")
    close(single.flat(rk), walker:relevance "p2")
    assert.near(r:sum() / 2, walker:relevance("x"):sum(), 1e-3)
    close(single.flat(core.zeros(3, 4)),
      (walk("attention_scores", { q, k }, { heads = 2 }, rules.own "detach_weights", r)):relevance "x")
  end)

  it("weights times values is shared equally, or goes to the values alone", function()
    local p, v = single.tensor(core, single.numbers(18, 3), { 1, 2, 3, 3 }), matrix(5, 3, 4)
    local r = matrix(6, 3, 4)
    local function replica(factor)
      local rp, rv = core.zeros(2, 3, 3), core.zeros(3, 4)
      for i = 1, 3 do
        for c = 1, 4 do
          local h, z = (c - 1) // 2 + 1, 0
          for j = 1, 3 do z = z + p:get(1, h, i, j) * v:get(1, j, c) end
          for j = 1, 3 do
            local share = p:get(1, h, i, j) * v:get(1, j, c) * r:get(1, i, c) / stab(factor * z)
            rp:set(rp:get(h, i, j) + share, h, i, j)
            rv:set(rv:get(j, c) + share, j, c)
          end
        end
      end
      return rp, rv
    end
    local rp, rv = replica(2)
    local walker = walk("attention_context", { p, v }, nil, rules.own(), r)
    close(single.flat(rp), walker:relevance "x")
    close(single.flat(rv), walker:relevance "p2")
    rv = select(2, replica(1))
    local held = walk("attention_context", { p, v }, nil, rules.own "detach_weights", r)
    close(single.flat(core.zeros(2, 3, 3)), held:relevance "x")
    close(single.flat(rv), held:relevance "p2")
    assert.near(r:sum(), held:relevance("p2"):sum(), 1e-3)
  end)

  it("a sum is in proportion to its parts, or to their magnitudes", function()
    local a, b, r = core.tensor { { 1, -2, 0 } }, core.tensor { { 3, 1, 0 } }, core.tensor { { 8, 5, 7 } }
    local walker = walk("add", { a, b }, nil, rules.epsilon(0), r)
    close({ 2, 10, 0 }, walker:relevance "x")
    close({ 6, -5, 0 }, walker:relevance "p2")
    walker = walk("add", { a, b }, nil, rules.magnitudes(), r)
    close({ 2, 10 / 3, 0 }, walker:relevance "x")
    close({ 6, 5 / 3, 0 }, walker:relevance "p2")
    walker = walk("add", { a, b }, nil, rules.zplus(), r)
    close({ 2, 0, 0 }, walker:relevance "x", 1e-5)
    close({ 6, 5, 0 }, walker:relevance "p2", 1e-5)
  end)

  it("what is put side by side goes back to where it came from", function()
    local a, b = core.tensor { { { 1, 2 } } }, core.tensor { { { 3, 4 }, { 5, 6 } } }
    local walker = walk("concat", { a, b }, nil, rules.gradient(), core.tensor { { { 1, 2 }, { 3, 4 }, { 5, 6 } } })
    close({ 1, 2 }, walker:relevance "x")
    close({ 3, 4, 5, 6 }, walker:relevance "p2")
  end)
end)

-- Convolutions without biases, a residual sum, pools and a linear layer.
local function net(seed)
  local graph = core.graph()
  graph:add("input", "input", {}, { shape = { 3, 10, 9 } })
  graph:add("conv2d", "a", { "input" }, { out = 6, kernel = 3, padding = 1, bias = false })
  graph:add("relu", "a.act", { "a" })
  graph:add("conv2d", "b", { "a.act" }, { out = 6, kernel = { 3, 5 }, padding = { 1, 2 }, groups = 2, bias = false })
  graph:add("add", "sum", { "a.act", "b" })
  graph:add("relu", "sum.act", { "sum" })
  graph:add("max_pool2d", "max", { "sum.act" }, { kernel = 2 })
  graph:add("conv2d", "c", { "max" }, { out = 5, kernel = 2, dilation = 2, bias = false })
  graph:add("tanh", "c.act", { "c" })
  graph:add("avg_pool2d", "mean", { "c.act" }, { kernel = { 1, 2 } })
  graph:add("flatten", "flat", { "mean" })
  graph:add("linear", "head", { "flat" }, { out = 4, bias = false })
  for i, p in ipairs(graph:parameters()) do
    local sizes = { table.unpack(p.shape) }
    sizes[#sizes + 1] = { seed = 100 * seed + i, std = 0.3 }
    graph:set_parameter(p.name, core.randn(table.unpack(sizes)))
  end
  return graph
end

local function sums_of(composite, seed)
  local graph = net(seed)
  local nodes, names = graph:nodes(), {}
  for i, node in ipairs(nodes) do names[i] = node.name end
  local by_name = composites.resolve("spec", composites.get("spec", composite), nodes)
  local walker = core.relevance(graph, { batch = 2, rules = by_name, keep = names })
  walker:forward(core.randn(2, 3, 10, 9, { seed = seed }))
  walker:backward(core.tensor { { 1, 0, 0, 0 }, { 0, 0, 1, 0 } })
  local found = {}
  for _, name in ipairs(names) do
    found[name] = { walker:relevance(name)[1]:sum(), walker:relevance(name)[2]:sum() }
  end
  return found, walker, graph
end

describe("relevance without biases", function()
  local exact = { { match = "conv", rule = rules.epsilon(0) }, { match = "linear", rule = rules.epsilon(0) },
    { match = "add", rule = rules.epsilon(0) }, { match = "avg_pool", rule = rules.epsilon(0) },
    { match = "activation", rule = rules.pass() }, { match = "routing", rule = rules.gradient() },
    { match = "max_pool", rule = rules.own() } }
  local ways = { { exact, 1e-6 }, { "epsilon_plus", 1e-2 }, { "epsilon_alpha2_beta1", 2e-2 },
    { "epsilon_plus_flat", 1e-2 }, { "epsilon_gamma_box", 1e-2 }, { "dlb", 1e-9 } }

  it("is kept from layer to layer", function()
    for index, way in ipairs(ways) do
      for seed = 1, 4 do
        local found = sums_of(way[1], seed)
        for _, name in ipairs { "input", "a", "sum", "sum.act", "max", "c", "mean", "flat", "head" } do
          for sample = 1, 2 do
            local text = ("way %d, seed %d, %s: %g"):format(index, seed, name, found[name][sample])
            assert.is_true(math.abs(found[name][sample] - 1) <= way[2], text)
          end
        end
      end
    end
  end)

  it("is never negative by rules that look at magnitudes", function()
    local _, walker, graph = sums_of("dlb", 9)
    for _, node in ipairs(graph:nodes()) do
      assert.is_true((-walker:relevance(node.name)):max() <= 0, node.name)
    end
  end)

  it("sums up per unit", function()
    local graph = net(1)
    local by_name = composites.resolve("spec", composites.get("spec", "epsilon_plus"), graph:nodes())
    local walker = core.relevance(graph, { batch = 3, rules = by_name, keep = { "b", "head" }, sums = { "b", "head" } })
    walker:forward(core.randn(2, 3, 10, 9, { seed = 5 }))
    walker:backward(core.ones(2, 4))
    assert.is_true(walker:relevance("b"):sum(4):sum(3):allclose(walker:sums "b", 1e-12, 1e-14))
    assert.same(core.ones(2, 4):totable(), walker:sums("head"):totable())
  end)
end)
