local attribute = require "secateur.attribution.attribute"
local core = require "secateur.core"
local custom = require "secateur.models.custom"
local errors = require "support.errors"
local families = require "support.families"
local rules = require "secateur.attribution.rules"

local here = errors.here

local function close(a, b, tolerance)
  local largest = math.max(b:abs():max(), 1e-6)
  return (a - b):abs():max() <= (tolerance or 1e-5) * largest
end

describe("attribute", function()
  local model, x

  before_each(function()
    model = families.all().vgg
    x = families.batch(model, 3)
  end)

  it("gives relevance of the input and of what it is asked for", function()
    local result = attribute(model, x)
    assert.same(x:shape(), result.input:shape())
    local names = {}
    for name, tensor in pairs(result.layers) do
      names[#names + 1] = name
      assert.equal(3, tensor:size(1))
    end
    table.sort(names)
    assert.same({ "classifier.0", "classifier.3", "features.0", "features.3" }, names)
    assert.equal("lrp", result.method)
    assert.same(model:forward(x):totable(), result.logits:totable())
    assert.same(result.logits:argmax(2):totable(), result.target)
    local some = attribute(model, x, { layers = { "features.4", "features.0" } })
    assert.same({ 3, 6, 8, 8 }, some.layers["features.4"]:shape())
    assert.same(result.layers["features.0"]:totable(), some.layers["features.0"]:totable())
    assert.is_nil(some.layers["features.3"])
    assert.same({ 3, 10 }, attribute(model, x, { layers = "classifier.0" }).layers["classifier.0"]:shape())
    local all = attribute(model, x, { layers = "all" })
    for _, node in ipairs(model.graph:nodes()) do
      if node.op ~= "input" then assert.same({ 3, table.unpack(node.shape) }, all.layers[node.name]:shape()) end
    end
    assert.is_truthy(tostring(some):find(
      "^Attribution lrp of 3 samples, targets %d %d %d; sum at the input %S+; layers: features%.0, features%.4$"))
    assert.matches("^Attribution lrp of 3 samples, targets 1 2 3 against 2 1 2; sum",
      tostring(attribute(model, x, { target = { of = { 1, 2, 3 }, against = { 2, 1, 2 } } })))
  end)

  it("explains the classes it is told", function()
    local one = attribute(model, x, { target = 2 })
    assert.same({ 2, 2, 2 }, one.target)
    assert.same({ { 0, 1, 0 }, { 0, 1, 0 }, { 0, 1, 0 } }, one.layers["classifier.3"]:totable())
    local each = attribute(model, x, { target = { 3, 1, 2 } })
    assert.same({ { 0, 0, 1 }, { 1, 0, 0 }, { 0, 1, 0 } }, each.layers["classifier.3"]:totable())
    assert.same(each.input:totable(),
      attribute(model, x, { target = core.tensor({ 3, 1, 2 }, "int64") }).input:totable())
    assert.same(one.input[3]:totable(), each.input[3]:totable())
    assert.same(attribute(model, x, { target = "prediction" }).input:totable(), attribute(model, x).input:totable())
  end)

  it("starts from one, the logit or the probability", function()
    local function at(start)
      return attribute(model, x, { target = 2, start = start }).layers["classifier.3"], attribute(model, x,
        { target = 2, start = start }).input
    end
    local logits, one = model:forward(x), select(2, at "one")
    local by_logit, input = at "logit"
    for i = 1, 3 do
      assert.near(logits:get(i, 2), by_logit:get(i, 2), 1e-6)
      assert.is_true(close(input[i], one[i] * logits:get(i, 2), 1e-4))
      local sum = 0
      for c = 1, 3 do sum = sum + math.exp(logits:get(i, c)) end
      assert.near(math.exp(logits:get(i, 2)) / sum, at("probability"):get(i, 2), 1e-6)
    end
  end)

  it("takes samples a few at a time, with the same result", function()
    for _, method in ipairs { "lrp", "dlb", "ig" } do
      local opts = { method = method, target = { 3, 1, 2 } }
      local whole = attribute(model, x, opts)
      opts.batch = 2
      local parts = attribute(model, x, opts)
      assert.is_true(close(parts.input, whole.input, 1e-5), method)
      for name, tensor in pairs(whole.layers) do assert.is_true(close(parts.layers[name], tensor, 1e-5), name) end
      assert.same(whole.target, parts.target)
      assert.same(whole.logits:shape(), parts.logits:shape())
      assert.same(whole.gap and #whole.gap, parts.gap and #parts.gap)
    end
  end)

  it("chooses the composite by the model", function()
    local plus = attribute(model, x, { composite = "epsilon_plus" })
    assert.same(plus.input:totable(), attribute(model, x).input:totable())
    local vit = families.all().vit
    local patches = families.batch(vit, 2)
    local result = attribute(vit, patches)
    assert.same(attribute(vit, patches, { composite = "attnlrp" }).input:totable(), result.input:totable())
    assert.is_false(close(attribute(vit, patches, { composite = "cp_lrp" }).input, result.input))
    assert.same(attribute(model, x, { composite = "dlb" }).input:totable(),
      attribute(model, x, { method = "dlb" }).input:totable())
  end)

  it("gives no relevance to queries and keys where attention is held constant", function()
    local vit = families.all().vit
    local block = "encoder.layers.encoder_layer_1.self_attention."
    local result = attribute(vit, families.batch(vit, 2), { composite = "cp_lrp", layers = "all" }).layers
    assert.equal(0, result[block .. "q"]:abs():sum())
    assert.equal(0, result[block .. "k"]:abs():sum())
    assert.is_true(result[block .. "v"]:abs():sum() > 0)
  end)

  it("knows a norm that was folded by the name of either", function()
    local normed = families.all().vgg_bn
    local layers = attribute(normed, families.batch(normed, 2), { layers = "all" }).layers
    assert.same(layers["features.0"]:totable(), layers["features.1"]:totable())
  end)

  it("takes composites made in Lua: first match wins, by kind, operation, pattern or function", function()
    local calls = {}
    local composite = {
      { match = "^features%.0$", rule = rules.flat() },
      { match = function(node)
          calls[#calls + 1] = node
          return node.depth == 3
        end, rule = rules.block() },
      { match = "conv2d", rule = rules.zplus() },
      { match = "linear", rule = rules.epsilon() },
      { match = "any", rule = rules.gradient() },
    }
    local layers = attribute(model, x, { composite = composite, layers = "all" }).layers
    assert.equal(0, layers["features.3"]:abs():sum()) -- below the third weighted node nothing arrives
    assert.is_true(layers["classifier.0"]:abs():sum() > 0)
    assert.equal("features.1", calls[1].name)
    local first, third
    for _, node in ipairs(calls) do
      if node.name == "features.3" then first = node elseif node.name == "classifier.0" then third = node end
    end
    assert.equal(2, first.depth)
    assert.is_false(first.first_conv)
    assert.same({ 10 }, third.shape)
    assert.equal("linear", third.op)
    composite[2].match = function() return false end
    assert.is_true(attribute(model, x, { composite = composite }).input:abs():sum() > 0)
  end)

  it("refuses composites that say nothing of some nodes, at the caller's line", function()
    local list = { { match = "conv", rule = rules.zplus() }, { match = "linear", rule = rules.epsilon() } }
    assert.equal("attribute: composite: no entry matches relu 'features.1', max_pool2d 'features.2', "
      .. "relu 'features.4', max_pool2d 'features.5', adaptive_avg_pool2d 'avgpool', flatten 'flatten', "
      .. "relu 'classifier.1', dropout 'classifier.2'", here(function() attribute(model, x, { composite = list }) end))
  end)

  it("refuses what it cannot do, at the caller's line", function()
    local function refused(opts) return here(function() attribute(model, x, opts) end) end
    assert.equal("attribute: model: expected a Model, got nil", here(function() attribute() end))
    assert.equal("attribute: x: expected a Tensor [N x 3 x 16 x 16], got 3", here(function() attribute(model, 3) end))
    assert.equal("attribute: method: expected one of 'lrp', 'dlb', 'ig', 'gradient', 'gradient_x_input', 'smoothgrad', "
      .. "'guided_backprop', 'grad_cam', got 'shap'", refused { method = "shap" })
    assert.equal("attribute: start: expected one of 'one', 'logit', 'probability', got 2", refused { start = 2 })
    assert.equal("attribute: steps: expected \"auto\" or a whole number in [1, 1048576], got 0",
      refused { method = "ig", steps = 0 })
    assert.equal("attribute: steps: expected an option of method 'lrp' (batch_norm, composite, exact, high, low, "
      .. "start), got one of 'ig'",
      refused { steps = 8 })
    assert.matches("^attribute: unknown option 'step', expected one of: baseline, .*, tolerance; "
      .. "did you mean 'steps'%?$",
      refused { method = "ig", step = 8 })
    assert.equal("attribute: layers: expected nodes of the model, got 'features.9'",
      refused { layers = { "features.9" } })
    assert.equal("attribute: layers: expected a string or a list, got 5", refused { layers = 5 })
    assert.equal("attribute: layers: expected a string or a list, got { features.0 = true }",
      refused { layers = { ["features.0"] = true } })
    assert.equal("attribute: layers: expected a string or a list, got a table",
      refused { layers = { "features.0", [3] = "features.2" } })
    assert.equal("attribute: target: expected a class in 1..3, got 4", refused { target = 4 })
    assert.equal("attribute: target: expected a class in 1..3, got 4", refused { target = 4, method = "ig" })
    assert.equal("attribute: target: expected 3 classes, one per sample, got 2", refused { target = { 1, 2 } })
    assert.equal("attribute: composite: expected one of attnlrp, cp_lrp, dlb, dlb_compat, dlb_contrastive, "
      .. "epsilon_alpha2_beta1, epsilon_alpha2_beta1_flat, "
      .. "epsilon_gamma_box, epsilon_plus, epsilon_plus_flat, or a list, got 'gamma'",
      refused { composite = "gamma" })
    local entry = "expected { match = kind, pattern or function, rule = table }"
    assert.equal("attribute: composite: entry 2: " .. entry,
      refused { composite = { { match = "conv", rule = rules.zplus() }, { match = 3, rule = {} } } })
    assert.equal("attribute: composite: entry 1: match: expected a kind or a pattern, got '[a': "
      .. "malformed pattern (missing ']')", refused { composite = { { match = "[a", rule = {} } } })
    assert.equal("attribute: relu 'features.1': rule: "
      .. "expected a rule for a nonlinear operation, got one for linear maps",
      refused { composite = { { match = "any", rule = rules.zplus() } } })
    assert.equal("attribute: composite: entry 1: rule: kind: expected one of 'linear', 'gated', 'contrastive', "
      .. "'gradient', 'pass', 'own', 'block', got 'odd'", refused { composite = { { match = "any",
      rule = { kind = "odd" } } } })
    assert.equal("attribute: baseline: expected \"black\", \"zero\", \"blurred\", a Tensor, a split, or a list of "
      .. "these, got 'white'", refused { method = "ig", baseline = "white" })
    assert.equal("attribute: baseline: expected a Tensor that fits [3 x 3 x 16 x 16], got [2 x 3 x 16 x 16]",
      refused { method = "ig", baseline = core.zeros(2, 3, 16, 16) })
    local two = families.custom()
    local batch = families.batch(two, 1)
    assert.equal("attribute: baseline: expected a normalisation of 2 channels for \"black\"; give a Tensor or \"zero\"",
      here(function() attribute(two, batch, { method = "ig" }) end))
  end)

  it("refuses images that are not finite, for every method", function()
    local bad = x:clone():set(0 / 0, 1, 1, 1, 1)
    for _, method in ipairs(require("secateur.attribution.methods").explaining) do
      assert.equal("attribute: x: expected images and weights that give finite logits, got some that are not",
        here(function() attribute(model, bad, { method = method }) end))
    end
  end)

  it("leaves the model as it was", function()
    local before = model:forward(x):totable()
    for _, method in ipairs { "lrp", "dlb", "ig" } do attribute(model, x, { method = method, batch = 2 }) end
    assert.same(before, model:forward(x):totable())
  end)
end)

describe("Integrated Gradients", function()
  local model, x

  before_each(function()
    model = families.all().basic
    x = families.batch(model, 2)
  end)

  it("add up to what the output changed by", function()
    local rough = attribute(model, x, { method = "ig", baseline = "zero", steps = 3, target = { 1, 2 }, layers = {} })
    local fine = attribute(model, x, { method = "ig", baseline = "zero", steps = 300, target = { 1, 2 }, layers = {} })
    local y, y0 = model:forward(x), model:forward(x * 0)
    for i = 1, 2 do
      local change = y:get(i, i) - y0:get(i, i)
      assert.near(change, fine.input[i]:sum(), 0.02 * math.abs(change) + 1e-3)
      assert.near(math.abs(fine.input[i]:sum() - change), fine.gap[i], 1e-4)
      assert.near(math.abs(rough.input[i]:sum() - change), rough.gap[i], 1e-4)
    end
    assert.is_true(fine.gap[1] + fine.gap[2] < rough.gap[1] + rough.gap[2])
  end)

  it("are exact for a linear model, whatever the steps", function()
    local linear = custom { input = { 3, 2, 2 }, build = function(net, input)
      return net:linear("l", net:flatten("f", input), { out = 2 })
    end }
    local image, start = core.randn(1, 3, 2, 2, { seed = 2 }), core.randn(1, 3, 2, 2, { seed = 3 })
    local result = attribute(linear, image, { method = "ig", baseline = start, steps = 1, target = 2 })
    local expected = (image - start) * linear:state()["l.weight"]:view(2):reshape(1, 3, 2, 2)
    assert.is_true(close(result.input, expected))
    assert.is_true(result.gap[1] < 1e-5)
  end)

  it("start where they are told", function()
    local mean, std = { 0.485, 0.456, 0.406 }, { 0.229, 0.224, 0.225 }
    local black = core.zeros(1, 3, 32, 32)
    for c = 1, 3 do black[1][c]:fill(-mean[c] / std[c]) end
    local function of(baseline)
      return attribute(model, x, { method = "ig", steps = 2, baseline = baseline, layers = {} })
    end
    assert.same(of(black).input:totable(), of("black").input:totable())
    assert.same(of(black[1]).input:totable(), of(nil).input:totable())
    assert.same(of(core.zeros(2, 3, 32, 32)).input:totable(), of("zero").input:totable())
    local grey = families.all().bottleneck
    local result = attribute(grey, families.batch(grey, 1), { method = "ig", steps = 2, layers = {} })
    local start = core.full(1, 1, 32, 32, -0.449 / 0.226)
    assert.near(result.gap[1], attribute(grey, families.batch(grey, 1),
      { method = "ig", steps = 2, baseline = start, layers = {} }).gap[1], 1e-5)
  end)

  it("start from black as the training images were normalised", function()
    local net = families.all().vgg
    local image = families.batch(net, 2)
    net.info.normalisation = { mean = { 0.5, 0.5, 0.5 }, std = { 0.25, 0.25, 0.25 } }
    local function of(baseline)
      return attribute(net, image, { method = "ig", target = 1, steps = 2, layers = {}, baseline = baseline }).input
    end
    assert.is_true(of("black"):allclose(of(core.full(3, 16, 16, -2)), 0, 0))
    net.info.normalisation = nil
    assert.is_false(of("black"):allclose(of(core.full(3, 16, 16, -2))))
  end)

  it("pass through layers as conductance, which adds up at every cut", function()
    local net = families.all().vgg
    local image = families.batch(net, 2)
    local opts = { method = "ig", baseline = "zero", steps = 400, target = { 3, 1 } }
    local layers = attribute(net, image, opts).layers
    local y, y0 = net:forward(image), net:forward(image * 0)
    for i, class in ipairs(opts.target) do
      local change = y:get(i, class) - y0:get(i, class)
      assert.near(change, layers["classifier.3"][i]:sum(), 1e-4) -- linear from there on: exact for any steps
      for _, name in ipairs { "features.0", "features.3", "classifier.0" } do
        assert.near(change, layers[name][i]:sum(), 0.05 * math.abs(change) + 0.01, name)
      end
    end
    opts.steps = 2
    local few = attribute(net, image, opts).layers
    assert.near(y:get(1, 3) - y0:get(1, 3), few["classifier.3"][1]:sum(), 1e-4)
  end)

  it("names what a model lacks for Grad-CAM", function()
    local flat = custom { input = { 4 }, build = function(net, input)
      return net:linear("head", input, { out = 2 })
    end }
    assert.equal("attribute: model: expected one of images [C x H x W] for grad_cam, got one of [4]",
      here(function() attribute(flat, core.zeros(1, 4), { method = "grad_cam" }) end))
    local bare = custom { input = { 1, 4, 4 }, build = function(net, input) -- an attention with no norm before it
      local tokens = net:tokens("t", input)
      local scores = net:softmax("p", net:attention_scores("s", { tokens, tokens }, { heads = 1 }))
      local context = net:attention_context("c", { scores, tokens })
      return net:linear("head", net:flatten("f", context), { out = 2 })
    end }
    assert.equal("attribute: layer: expected a model with a convolution or attention",
      here(function() attribute(bare, core.zeros(1, 1, 4, 4), { method = "grad_cam" }) end))
  end)
end)
