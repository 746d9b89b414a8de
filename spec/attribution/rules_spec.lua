local core = require "secateur.core_double"
local errors = require "support.errors"
local rules = require "secateur.attribution.rules"
local single = require "support.single"
local terms = require "support.terms"

-- Relevance at the input by the core and by the replica, for two samples; `shape` of the numbers may be changed first.
local function both(layer, rule, name, activation, change, ...)
  local graph = core.graph()
  graph:add("input", "x", {}, { shape = layer.shape })
  graph:add(layer.op, "n", { "x" }, layer.attrs)
  if activation then graph:add(activation, "a", { "n" }) end
  local x = single.numbers(2 * single.count(layer.shape), 3)
  local found = {}
  for i, p in ipairs(graph:parameters()) do
    found[i] = single.numbers(single.count(p.shape), 10 + i)
    if change then change(found[i], p, x) end
    graph:set_parameter(p.name, single.tensor(core, found[i], p.shape))
  end
  local walker = core.relevance(graph, { batch = 2, rules = { n = rule, a = rules.pass() } })
  local shape = { 2, table.unpack(layer.shape) }
  local y = walker:forward(single.tensor(core, x, shape))
  local r = single.numbers(y:numel(), 5)
  walker:backward(single.tensor(core, r, y:shape()))
  local expected = {}
  local list = terms[layer.op](layer.shape, layer.attrs, found[1])
  for sample = 1, 2 do
    local xs = table.move(x, (sample - 1) * #x // 2 + 1, sample * #x // 2, 1, {})
    local rs = table.move(r, (sample - 1) * #r // 2 + 1, sample * #r // 2, 1, {})
    for _, value in ipairs(terms.relevance(name, list, xs, rs, found[2], ...)) do expected[#expected + 1] = value end
  end
  return single.flat(walker:relevance "x"), expected
end

local function check(rule, name, ...)
  for i, layer in ipairs(terms.layers) do
    local got, expected = both(layer, rule, name, nil, nil, ...)
    assert.is_true(single.compare(("%s, layer %d"):format(name, i), got, expected, 1e-9))
  end
end

-- Behind a ReLU nothing is negative, and half of the terms are skipped.
local function check_positive(rule, name, ...)
  for i, layer in ipairs(terms.layers) do
    local got, expected = both(layer, rule, name, nil, function(_, _, x)
      for k = 1, #x do x[k] = math.abs(x[k]) end
    end, ...)
    assert.is_true(single.compare(("%s, layer %d, positive"):format(name, i), got, expected, 1e-9))
  end
end

describe("relevance by the rule", function()
  for name, numbers in pairs { epsilon = {}, zplus = {}, alphabeta = { 2, 1 }, gamma = { 0.25 }, flat = {},
    wsquare = {}, zbox = { -3, 2.5 } } do
    it(name .. " is what its terms say", function()
      local rule = rules[name](table.unpack(numbers))
      check(rule, name, table.unpack(numbers))
      check_positive(rule, name, table.unpack(numbers))
    end)
  end

  it("alphabeta is so for other numbers", function() check(rules.alphabeta(1.5, 0.5), "alphabeta", 1.5, 0.5) end)

  it("gamma is so for a large one", function() check(rules.gamma(10), "gamma", 10) end)

  it("epsilon takes its own epsilon, and passes nothing on where a sum is 0 and epsilon too", function()
    local graph = core.graph()
    graph:add("input", "x", {}, { shape = { 2 } })
    graph:add("linear", "n", { "x" }, { out = 2, bias = false })
    graph:set_parameter("n.weight", core.tensor { { 1, 1 }, { 1, -1 } })
    local function run(epsilon)
      local walker = core.relevance(graph, { rules = { n = rules.epsilon(epsilon) } })
      walker:forward(core.tensor { { 2, 2 } })
      walker:backward(core.tensor { { 3, 5 } })
      return walker:relevance("x"):totable()
    end
    assert.same({ { 1.5, 1.5 } }, run(0))
    assert.same({ { 2 * 3 / 8 + 2 * 5 / 4, 2 * 3 / 8 - 2 * 5 / 4 } }, run(4))
  end)

  it("dlb is what its terms say, without gates and with those of ReLU", function()
    check(rules.dlb(), "dlb")
    for i, layer in ipairs(terms.layers) do
      local got, expected = both(layer, rules.dlb(), "dlb", "relu", nil, nil)
      assert.is_true(single.compare("layer " .. i, got, expected, 1e-9))
    end
  end)

  it("dlb closes the gates of what saturates", function()
    local function limits(low, high)
      return function(t) return t >= low, t <= high end
    end
    local shut = { positive = 0, negative = 0 }
    for activation, gate in pairs { tanh = limits(-2, 2), sigmoid = limits(-4, 4) } do
      for i, layer in ipairs(terms.layers) do
        local got, expected = both(layer, rules.dlb(), "dlb", activation, nil, function(...)
          local p, n = gate(...)
          shut.positive, shut.negative = shut.positive + (p and 0 or 1), shut.negative + (n and 0 or 1)
          return p, n
        end)
        assert.is_true(single.compare(("%s, layer %d"):format(activation, i), got, expected, 1e-9))
      end
    end
    assert.is_true(shut.positive > 10 and shut.negative > 10)
  end)

  it("dlb closes the gates of terms that GELU's value does not depend on", function()
    local seen = { 0, 0 }
    local function flat(t) return t < -45 and 0 or t end -- GELU underflows there, and there alone values agree
    for i, layer in ipairs(terms.layers) do
      local got, expected = both(layer, rules.dlb(), "dlb", "gelu", function(list, p, x)
        for k = 1, #x do x[k] = math.abs(x[k]) end
        if p.name == "n.weight" then -- the first unit's terms are all positive, the second's almost all very negative
          local per = #list // p.shape[1]
          for k = 1, per do list[k] = math.abs(list[k]) end
          for k = per + 2, 2 * per do list[k] = -500 * math.abs(list[k]) end
        else
          list[1] = 0.5
        end
      end, function(t, p, n, b)
        local open_p = flat(t) ~= flat(-n + math.min(b, 0))
        local open_n = flat(t) ~= flat(p + math.max(b, 0))
        seen[1], seen[2] = seen[1] + (open_p and 0 or 1), seen[2] + (open_n and 0 or 1)
        return open_p, open_n
      end)
      assert.is_true(single.compare("layer " .. i, got, expected, 1e-9))
    end
    assert.is_true(seen[1] > 10 and seen[2] > 10, table.concat(seen, " "))
  end)

  it("of nodes that share among inputs is in proportion, also where weights have one sign only", function()
    local graph = core.graph()
    graph:add("input", "x", {}, { shape = { 1, 2, 2 } })
    graph:add("avg_pool2d", "n", { "x" }, { kernel = 2 })
    local function run(rule)
      local walker = core.relevance(graph, { rules = { n = rule } })
      walker:forward(core.tensor { { { { 3, -1 }, { 1, 5 } } } })
      walker:backward(core.tensor { { { { 10 } } } })
      return single.flat(walker:relevance "x")
    end
    assert.is_true(single.compare("epsilon", run(rules.epsilon()), { 3.75, -1.25, 1.25, 6.25 }, 1e-5))
    assert.is_true(single.compare("magnitudes", run(rules.magnitudes()), { 3, 1, 1, 5 }, 1e-12))
    assert.is_true(single.compare("flat", run(rules.flat()), { 2.5, 2.5, 2.5, 2.5 }, 1e-5))
    assert.is_true(single.compare("zplus", run(rules.zplus()), { 30 / 9, 0, 10 / 9, 50 / 9 }, 1e-5))
    assert.is_true(single.compare("alphabeta", run(rules.alphabeta(2, 1)), { 60 / 9, -10, 20 / 9, 100 / 9 }, 1e-4))
  end)
end)

describe("a rule", function()
  local function refusal(op, attrs, shape, rule)
    local graph = core.graph()
    graph:add("input", "x", {}, { shape = shape })
    graph:add(op, "n", { "x" }, attrs)
    return errors.text(core.relevance, graph, { rules = { n = rule } })
  end

  it("stands only where it can", function()
    local map = { 2, 4, 4 }
    assert.equal("relu 'n': rule: expected a rule for a nonlinear operation, got one for linear maps",
      refusal("relu", nil, map, rules.epsilon()))
    assert.equal("avg_pool2d 'n': rule: expected a rule for an operation without weights, got one that gates weights",
      refusal("avg_pool2d", { kernel = 2 }, map, rules.dlb()))
    assert.equal("conv2d 'n': rule: expected a rule that applies here, got one for operations with a rule of their own",
      refusal("conv2d", { out = 1, kernel = 1 }, map, rules.own()))
    assert.equal("conv2d 'n': rule: expected a rule that shares relevance among inputs, got pass",
      refusal("conv2d", { out = 1, kernel = 1 }, map, rules.pass()))
    -- more numbers come out than went in, or fewer
    assert.equal("adaptive_avg_pool2d 'n': rule: expected a rule that shares relevance among inputs, got pass",
      refusal("adaptive_avg_pool2d", { output = 9 }, map, rules.pass()))
    assert.equal("max_pool2d 'n': rule: expected a rule that shares relevance among inputs, got pass",
      refusal("max_pool2d", { kernel = 2 }, map, rules.pass()))
    assert.is_nil(refusal("flatten", nil, map, rules.pass()))
  end)

  it("is a table of the known form", function()
    local function of(rule) return refusal("linear", { out = 2 }, { 3 }, rule) end
    local function refused(message, rule) assert.equal("linear 'n': rule: " .. message, of(rule)) end
    local function term(fault) return { kind = "linear", groups = { { terms = { fault } } } } end
    assert.equal("relevance: rules: expected one for every node, got none for 'n'", of(nil))
    refused("expected a table, got 'epsilon'", "epsilon")
    refused("kind: expected one of 'linear', 'gated', 'contrastive', 'gradient', 'pass', 'own', 'block', got 'lrp'",
      { kind = "lrp" })
    refused("unknown field 'eps', expected one of: kind, groups, mode, epsilon, name", { eps = 1 })
    refused("groups: expected a list of 1 to 4 groups, got nil", { kind = "linear" })
    refused("groups: expected a list of 1 to 4 groups, got a table",
      { kind = "linear", groups = { {}, {}, {}, {}, {} } })
    refused("groups[1].terms: expected a list of 1 to 4 terms, got nil", { kind = "linear", groups = { {} } })
    refused("groups[1].epsilon: expected a finite number of at least 0, got -1",
      { kind = "linear", groups = { { epsilon = -1, terms = { {} } } } })
    refused("groups[1].gate: expected one of 'all', 'positive', 'negative', got 'odd'",
      { kind = "linear", groups = { { gate = "odd", terms = { {} } } } })
    refused("groups[1].terms[1].input: expected a table, got 3", term { input = 3 })
    refused("groups[1].terms[1].weight: unknown field 'cube', expected one of: plain, positive, negative, square, "
      .. "constant, constants", term { weight = { cube = 1 } })
    refused("groups[1].terms[1].input.constants: expected a list of 1 to 16 numbers, got 3",
      term { input = { constants = 3 } })
    refused("groups[1].terms[1].input.constants[2]: expected a finite number, got 'x'",
      term { input = { constants = { 1, "x" } } })
    local unfit = "expected constants of inputs alone, one for each of their channels, got others"
    refused(unfit, term { input = { constants = { 1, 2 } } })
    refused(unfit, term { weight = { constants = { 1, 2, 3 } } })
    refused("mode: expected one of 'default', 'ties', 'detach_weights', 'pass', got 'x'", { kind = "own", mode = "x" })
    refused("name: expected a string, got 7", { kind = "pass", name = 7 })
  end)
end)
