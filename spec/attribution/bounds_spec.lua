-- What a caller or the model's normalisation decides about named composites.
local attribute = require "secateur.attribution.attribute"
local core = require "secateur.core"
local custom = require "secateur.models.custom"
local double = require "secateur.core_double"
local errors = require "support.errors"
local rules = require "secateur.attribution.rules"
local sc = require "secateur"

-- Relevance at the inputs of one layer, by the formula: x (pixels), weight w[out][in], r at the outputs.
local function zbox(x, w, r, low, high)
  local into = {}
  for i in ipairs(x) do into[i] = 0 end
  for j, row in ipairs(w) do
    local sum, terms = 0, {}
    for i, weight in ipairs(row) do
      terms[i] = x[i] * weight - low[i] * math.max(weight, 0) - high[i] * math.min(weight, 0)
      sum = sum + terms[i]
    end
    for i, term in ipairs(terms) do into[i] = into[i] + term * r[j] / (sum + (sum < 0 and -1e-6 or 1e-6)) end
  end
  return into
end

describe("the box rule with a bound per channel", function()
  local low, high = { -2.1, -1.5, 0, 0.25 }, { 2.6, 1.5, 0.5, 3 }

  local function relevance_of(op, shape, attrs, x, weight, r, rule)
    local graph = double.graph()
    graph:add("input", "x", {}, { shape = shape })
    graph:add(op, "n", { "x" }, attrs)
    graph:set_parameter("n.weight", double.tensor(weight))
    graph:set_parameter("n.bias", double.zeros(#r))
    local walker = double.relevance(graph, { batch = 1, rules = { n = rule }, keep = { "x" } })
    walker:forward(double.tensor(x))
    walker:backward(double.tensor { r })
    return walker:relevance("x"):reshape(-1):totable()
  end

  it("is the formula's, for the features of a linear layer", function()
    local x, w, r = { 0.3, -1, 0.4, 2 }, { { 1, -2, 0.5, -0.1 }, { -1, 0.3, 0, 2 } }, { 1.5, -0.4 }
    local got = relevance_of("linear", { 4 }, { out = 2 }, { x }, w, r, rules.zbox(low, high))
    for i, expected in ipairs(zbox(x, w, r, low, high)) do assert.near(expected, got[i], 1e-9) end
  end)

  it("is the formula's, for the channels of a map, whatever the place", function()
    local x = { { { 0.3, 1 } }, { { -1, 0 } }, { { 0.4, 0.1 } }, { { 2, 3 } } }
    local w, r = { { { { 1 } }, { { -2 } }, { { 0.5 } }, { { -0.1 } } } }, { { { 1.5, -0.4 } } }
    local got = relevance_of("conv2d", { 4, 1, 2 }, { out = 1, kernel = 1 }, { x }, w, r, rules.zbox(low, high))
    for place = 1, 2 do
      local pixels = { x[1][1][place], x[2][1][place], x[3][1][place], x[4][1][place] }
      local expected = zbox(pixels, { { 1, -2, 0.5, -0.1 } }, { r[1][1][place] }, low, high)
      for c = 1, 4 do assert.near(expected[c], got[2 * (c - 1) + place], 1e-9) end
    end
  end)

  it("is the rule with numbers where all channels have the same", function()
    local graph_of = sc.models.vgg { config = { 4, "M" }, hidden = {}, pool = 1, classes = 2, size = 8, seed = 2 }
    local x = core.randn(2, 3, 8, 8, { seed = 1 })
    local function explain(rule)
      return attribute(graph_of, x, { composite = { { match = "conv", rule = rule },
        { match = "linear", rule = rules.epsilon() }, { match = "activation", rule = rules.pass() },
        { match = "max_pool", rule = rules.own() }, { match = "avg_pool", rule = rules.epsilon() },
        { match = "routing", rule = rules.gradient() } } }).input:totable()
    end
    assert.same(explain(rules.zbox(-2, 1.5)), explain(rules.zbox({ -2, -2, -2 }, { 1.5, 1.5, 1.5 })))
  end)
end)

describe("epsilon_gamma_box", function()
  local x = core.rand(2, 3, 8, 8, { seed = 4 })
  local model

  before_each(function()
    model = sc.models.vgg { config = { 4, "M", 6 }, hidden = { 5 }, pool = 1, classes = 2, size = 8, seed = 2 }
  end)

  local function explain(opts)
    opts = opts or {}
    opts.composite = "epsilon_gamma_box"
    return attribute(model, x, opts).input:totable()
  end

  it("takes the bounds from the normalisation that the model knows, black and white", function()
    local unknown = explain()
    assert.same(explain { low = -3, high = 3 }, unknown)
    local mean, std = { 0.5, 0.25, 0.4 }, { 0.5, 0.2, 0.25 }
    local both = { mean = mean, std = std }
    for _, info in ipairs { { preparation = both }, { normalisation = both } } do
      model.info.preparation, model.info.normalisation = info.preparation, info.normalisation
      local known = explain()
      assert.same(explain { low = { -1, -0.25 / 0.2, -0.4 / 0.25 }, high = { 1, (1 - 0.25) / 0.2, (1 - 0.4) / 0.25 } },
        known)
      assert.are_not.same(unknown, known)
      assert.same(unknown, explain { low = -3, high = 3 }) -- the caller decides
    end
  end)

  it("refuses bounds that are none, or that nothing reads", function()
    local function refused(opts) return errors.here(function() attribute(model, x, opts) end) end
    local box = "epsilon_gamma_box"
    assert.equal('attribute: low: expected none but with composite = "epsilon_gamma_box"',
      refused { low = 0, high = 1 })
    assert.equal("attribute: high: missing: low and high go together", refused { composite = box, low = 0 })
    assert.equal("attribute: rules.zbox: high: expected at least low (2), got 1",
      refused { composite = box, low = 2, high = 1 })
    assert.matches("constants of inputs alone, one for each of their channels",
      refused { composite = box, low = { 0, 0 }, high = { 1, 1 } })
  end)
end)

describe("a batch norm that no layer can take", function()
  -- As in a DenseNet: norm, activation, convolution.
  local model = custom { input = { 2, 4, 4 }, seed = 3, build = function(net, input)
    local a = net:conv2d("first", input, { out = 3, kernel = 3, padding = 1 })
    local b = net:relu("relu", net:batch_norm2d("norm", net:relu("before", a)))
    return net:linear("head", net:flatten("flat", net:conv2d("second", b, { out = 2, kernel = 3 })), { out = 2 })
  end }
  local state = model:state()
  for key, seed in pairs { weight = 1, bias = 2, running_mean = 3 } do
    state["norm." .. key] = core.randn(3, { seed = seed })
  end
  state["norm.running_var"] = core.rand(3, { seed = 4 }) + 0.5
  model:load_state(state)
  local x = core.randn(2, 2, 4, 4, { seed = 8 })

  local function layers(opts)
    opts.layers = "all"
    return attribute(model, x, opts).layers
  end

  it("passes relevance on where that is asked for, and shares it by epsilon else", function()
    local passed, shared = layers { batch_norm = "pass" }, layers { batch_norm = "epsilon" }
    assert.same(passed.norm:totable(), passed.before:totable())
    assert.are_not.same(shared.norm:totable(), shared.before:totable())
    assert.same(shared.before:totable(), layers({}).before:totable())
    assert.same(passed.norm:totable(), shared.norm:totable())
  end)

  it("is refused beside a composite of one's own", function()
    local opts = { batch_norm = "pass", composite = { { match = "any", rule = rules.epsilon() } } }
    assert.matches("^attribute: batch_norm: expected none beside a composite of one's own",
      errors.here(function() attribute(model, x, opts) end))
  end)
end)
