local attribute = require "secateur.attribution.attribute"
local core = require "secateur.core"
local head_models = require "support.head_models"
local errors = require "support.errors"
local importance = require "secateur.pruning.importance"
local targets = require "secateur.models.targets"

-- Two models that say the same: one sigmoid logit, and two logits that are zero and it.
local function pair()
  local one, two = head_models.network(1, "sigmoid", 5), head_models.network(2, nil, 5)
  local state = one:state()
  local weight, bias = core.zeros(2, 8), core.zeros(2)
  for u = 1, 8 do weight:set(state["head.weight"]:get(1, u), 2, u) end
  bias:set(state["head.bias"]:get(1), 2)
  state["head.weight"], state["head.bias"] = weight, bias
  two:load_state(state)
  return one, two
end

describe("targets of one sigmoid logit", function()
  local logits = core.tensor { { 3 }, { -2 } }

  local function weights(target) return targets.weights("attribute", target, logits, 2) end

  it("are its two classes, by the sign", function()
    assert.same({ { 1 }, { 1 } }, weights(2):totable())
    assert.same({ { -1 }, { -1 } }, weights(1):totable())
    local best, classes = weights "prediction"
    assert.same({ { 1 }, { -1 } }, best:totable())
    assert.same({ 2, 1 }, classes)
    assert.same({ { -1 }, { 1 } }, weights { 1, 2 }:totable())
  end)

  it("contrast the two by the logit itself", function()
    local signed, of, against = weights { of = "prediction", against = "runner_up" }
    assert.same({ { 1 }, { -1 } }, signed:totable())
    assert.same({ { 2, 1 }, { 1, 2 } }, { of, against })
    assert.same({ { 1 }, { 1 } }, weights { of = 2, against = 1 }:totable())
    assert.equal("attribute: target: expected two classes to contrast, got 2 twice for sample 1",
      errors.text(weights, { of = 2, against = 2 }))
  end)

  it("may be weights of the logit", function()
    local given, classes = weights(core.tensor { { 0.5 }, { -3 } })
    assert.same({ { 0.5 }, { -3 } }, given:totable())
    assert.same({ 2, 1 }, classes)
  end)

  it("are no third class", function()
    assert.equal("attribute: target: expected a class in 1..2, got 3", errors.text(weights, 3))
  end)

  it("explain what two logits explain by contrast", function()
    local one, two = pair()
    local x = core.randn(3, 1, 8, 8, { seed = 2 })
    for _, method in ipairs { "gradient", "gradient_x_input", "lrp", "ig" } do
      local of_one = attribute(one, x, { method = method, target = 2 })
      local of_two = attribute(two, x, { method = method, target = { of = 2, against = 1 } })
      assert.is_true(of_one.input:allclose(of_two.input, 1e-4, 1e-6), method)
      local no = attribute(one, x, { method = method, target = 1 })
      assert.is_true(no.input:allclose(-of_one.input, 1e-5, 1e-7), method)
      assert.same({ 1, 1, 1 }, no.target)
    end
  end)

  it("have nothing against them in contrastive DL-Backtrace but what is explained against", function()
    local one, three = pair(), head_models.network(3, "sigmoid", 3)
    local x = core.randn(2, 1, 8, 8, { seed = 2 })
    local function contrast(model, target)
      return attribute(model, x, { method = "dlb", mode = "contrastive", target = target })
    end
    local yes, no = contrast(one, 2), contrast(one, 1)
    assert.equal(0, yes.negative.input:abs():max())
    assert.is_true(yes.input:abs():max() > 0)
    assert.is_true(no.input:allclose(-yes.input, 1e-5, 1e-7))
    assert.equal(0, contrast(three, 2).negative.input:abs():max())
    assert.is_true(contrast(three, { of = 2, against = 3 }).negative.input:abs():max() > 0)
  end)

  it("begin relevance as the probability of the answer explained", function()
    local one = pair()
    local x = core.randn(2, 1, 8, 8, { seed = 2 })
    local plain = attribute(one, x, { target = 1 })
    local weighted = attribute(one, x, { target = 1, start = "probability" })
    for i, row in ipairs(one:forward(x):totable()) do
      local p = 1 / (1 + math.exp(row[1]))
      assert.is_true((plain.input[i] * p):allclose(weighted.input[i], 1e-4, 1e-7))
    end
  end)
end)

describe("sensitivity", function()
  local split = head_models.findings(12, 3)

  local function energies(model, labels)
    local own = labels and setmetatable({ labels = labels, multi_label = false, classes = { "a", "b" },
      batch = function(_, indices)
        local x, _, kept = split:batch(indices)
        local y = {}
        for i, index in ipairs(kept) do y[i] = labels[index] end
        return x, core.tensor(y, "int64"), kept
      end }, { __index = split }) or split
    local indices = {}
    for i = 1, 12 do indices[i] = i end
    return importance(model, own, { method = "sensitivity", redundancy = false, indices = indices,
      calibration = split.x })
  end

  it("of one logit is twice that of two, of which their difference counts", function()
    local one, two = pair()
    local labels = { 1, 2, 1, 2, 1, 2, 1, 2, 1, 2, 1, 2 }
    local a, b = energies(one, labels), energies(two, labels)
    for _, name in ipairs { "conv1", "conv2" } do assert.is_true(a[name]:allclose(b[name] * 2, 1e-4, 1e-9)) end
  end)

  it("of findings is the sum over the logits, each by itself", function()
    local model = head_models.network(3, "sigmoid", 7)
    local got, sum = energies(model), {}
    local state = model:state()
    for k = 1, 3 do
      local one = head_models.network(1, "sigmoid", 7)
      local part = {}
      for name, tensor in pairs(state) do part[name] = tensor end
      for _, name in ipairs { "head.weight", "head.bias" } do part[name] = state[name]:view(k, k):clone() end
      one:load_state(part)
      for name, tensor in pairs(energies(one, { 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2 })) do
        sum[name] = sum[name] and sum[name] + tensor or tensor
      end
    end
    for _, name in ipairs { "conv1", "conv2" } do assert.is_true(got[name]:allclose(sum[name], 1e-4, 1e-9)) end
  end)

  it("of many findings is estimated by signs that are not centred", function()
    local outputs, many = 20, head_models.network(20, "sigmoid", 9)
    -- All logits alike: centred signs would see nothing.
    local state = many:state()
    local weight = core.zeros(outputs, 8)
    for k = 1, outputs do
      for u = 1, 8 do weight:set(state["head.weight"]:get(1, u), k, u) end
    end
    many:load_state { ["head.weight"] = weight, ["head.bias"] = core.zeros(outputs), ["conv1.weight"] =
      state["conv1.weight"], ["conv1.bias"] = state["conv1.bias"], ["conv2.weight"] = state["conv2.weight"],
      ["conv2.bias"] = state["conv2.bias"] }
    local rows = {}
    for i = 1, 6 do
      rows[i] = {}
      for k = 1, outputs do rows[i][k] = (i + k) % 2 end
    end
    local names = {}
    for k = 1, outputs do names[k] = "finding " .. k end
    local own = head_models.findings(6, rows, { classes = names })
    local found = importance(many, own, { redundancy = false, indices = { 1, 2, 3, 4, 5, 6 }, calibration = own.x })
    assert.is_true(found.conv2:max() > 1e-6)
  end)
end)
