local core = require "secateur.core"
local errors = require "support.errors"
local models = require "secateur.models"
local custom = require "secateur.models.custom"

-- Norms as training leaves them: no mean at 0, no shift at 0.
local function unsettle(model)
  for i, parameter in ipairs(model.graph:parameters()) do
    if parameter.dtype ~= "int64" and #parameter.shape == 1 then
      model.graph:set_parameter(parameter.name, core.rand(parameter.shape[1], { seed = i, low = 0.5, high = 1.5 }))
    end
  end
  return model
end

local function values(graph, x, names)
  local plan = core.plan(graph, { batch = x:size(1), keep = names })
  local found = { output = plan:forward(x) }
  for _, name in ipairs(names) do found[name] = plan:value(name) end
  return found
end

local function state(graph)
  local copy = {}
  for _, parameter in ipairs(graph:parameters()) do copy[parameter.name] = graph:parameter(parameter.name):totable() end
  return copy
end

local function is_in(list, value)
  for _, each in ipairs(list) do
    if each == value then return true end
  end
  return false
end

describe("mask", function()
  local function small_vgg(batch_norm)
    return unsettle(models.vgg { config = { 6, "M", 5 }, hidden = { 7 }, pool = 2, classes = 3, size = 8, channels = 2,
      batch_norm = batch_norm, seed = 3 })
  end

  it("makes units of a convolution exactly zero, and changes no other unit", function()
    local model = small_vgg(false)
    local before = state(model.graph)
    local masked = core.mask(model.graph, { ["features.0"] = { 2, 6 } })
    local x = core.randn(3, 2, 8, 8, { seed = 1 })
    local full, cut = values(model.graph, x, { "features.0" }), values(masked, x, { "features.0" })
    for n = 1, 3 do
      for unit = 1, 6 do
        local got = cut["features.0"][n][unit]
        if unit == 2 or unit == 6 then
          assert.equal(0, got:abs():max())
          assert.is_true(full["features.0"][n][unit]:abs():max() > 0)
        else
          assert.is_true(got:allclose(full["features.0"][n][unit], 0, 0))
        end
      end
    end
    assert.is_false(cut.output:allclose(full.output))
    assert.same(before, state(model.graph))
  end)

  it("silences the batch norm that follows, whatever its shift and running mean", function()
    local model = small_vgg(true)
    local before = state(model.graph)
    local masked = core.mask(model.graph, { ["features.0"] = { 1, 4 }, ["features.4"] = { 5 } })
    local x = core.randn(2, 2, 8, 8, { seed = 2 })
    local names = { "features.0", "features.1", "features.4", "features.5" }
    local full, cut = values(model.graph, x, names), values(masked, x, names)
    for n = 1, 2 do
      for _, unit in ipairs { 1, 4 } do
        assert.equal(0, cut["features.0"][n][unit]:abs():max())
        assert.equal(0, cut["features.1"][n][unit]:abs():max())
        assert.is_true(full["features.1"][n][unit]:abs():max() > 0)
      end
      assert.is_true(cut["features.1"][n][2]:allclose(full["features.1"][n][2], 0, 0))
      assert.equal(0, cut["features.5"][n][5]:abs():max())
    end
    assert.same(before, state(model.graph))
    assert.same(before["features.1.running_mean"], masked:parameter("features.1.running_mean"):totable())
  end)

  it("equals a network without the units' contribution further on", function()
    -- Zeroing the columns of the next layer that read unit 3 leaves it out by other means.
    local model = small_vgg(true)
    local masked = core.mask(model.graph, { ["classifier.0"] = { 3 } })
    local cut = model:clone()
    local weight = model.graph:parameter("classifier.3.weight"):clone()
    for row = 1, weight:size(1) do weight:set(0, row, 3) end
    cut.graph:set_parameter("classifier.3.weight", weight)
    local x = core.randn(4, 2, 8, 8, { seed = 3 })
    assert.is_true(values(masked, x, {}).output:allclose(cut:forward(x), 1e-6, 1e-6))
  end)

  it("shares what it does not touch, and clones what it does", function()
    local model = small_vgg(true)
    local masked = core.mask(model.graph, { ["features.4"] = { 1 } })
    for _, parameter in ipairs(model.graph:parameters()) do
      if parameter.dtype ~= "int64" then
        local own = model.graph:parameter(parameter.name)
        local first = own:reshape(own:numel())
        local before = first:get(1)
        first:set(1234, 1)
        local seen = masked:parameter(parameter.name)
        local shared = seen:reshape(seen:numel()):get(1) == 1234
        first:set(before, 1)
        local cloned = { "features.4.weight", "features.4.bias", "features.5.weight", "features.5.bias" }
        assert.equal(not is_in(cloned, parameter.name), shared, parameter.name)
      end
    end
  end)

  it("takes only its own rows of a parameter that q, k and v share", function()
    local model = unsettle(models.vit { size = 8, patch = 4, layers = 1, heads = 2, dim = 4, mlp = 6, classes = 3,
      channels = 1 })
    local attention = "encoder.layers.encoder_layer_0.self_attention"
    local masked = core.mask(model.graph, { [attention .. ".k"] = { 2, 4 }, [attention .. ".v"] = { 1 } })
    local zero = { [4 + 2] = true, [4 + 4] = true, [8 + 1] = true }
    local weight = masked:parameter(attention .. ".in_proj_weight")
    local bias = masked:parameter(attention .. ".in_proj_bias")
    local full = model.graph:parameter(attention .. ".in_proj_weight")
    for row = 1, 12 do
      assert.equal(zero[row] or false, weight[row]:abs():max() == 0)
      assert.equal(zero[row] or false, bias[row] == 0)
      if not zero[row] then assert.same(full[row]:totable(), weight[row]:totable()) end
    end
    local kept = values(masked, core.randn(2, 1, 8, 8, { seed = 4 }), { attention .. ".k", attention .. ".v" })
    local k, v = kept[attention .. ".k"], kept[attention .. ".v"] -- [N x T x D]
    for token = 1, 5 do
      assert.same({ 0, 0 }, { k:get(2, token, 2), k:get(2, token, 4) })
      assert.equal(0, v:get(1, token, 1))
      assert.is_true(k:get(1, token, 1) ~= 0 and v:get(1, token, 2) ~= 0)
    end
  end)

  it("works on grouped convolutions and on norms beside other readers", function()
    local model = unsettle(custom { input = { 4, 5, 5 }, build = function(net, x)
      local conv = net:conv2d("conv", x, { out = 6, kernel = 3, groups = 2, bias = false })
      local one, two = net:batch_norm2d("one", conv), net:batch_norm2d("two", conv)
      local sum = net:add("sum", { one, two, conv })
      return net:linear("head", net:flatten("flat", sum), { out = 2 })
    end })
    local masked = core.mask(model.graph, { conv = { 5 } })
    local kept = values(masked, core.randn(2, 4, 5, 5, { seed = 5 }), { "conv", "sum" })
    for n = 1, 2 do
      assert.equal(0, kept.sum[n][5]:abs():max())
      assert.is_true(kept.sum[n][4]:abs():max() > 0)
    end
    assert.is_nil(model.graph:node("conv").params[2])
  end)

  -- Values of a net of 6 channels on [4 x 5 x 5], whose node "a" is a convolution of 6 filters of which 2 and 5 go.
  local function masked_values(build, names)
    local model = unsettle(custom { input = { 4, 5, 5 }, build = function(net, x)
      local last = build(net, net:conv2d("a", x, { out = 6, kernel = 3, padding = 1 }), x)
      return net:linear("head", net:flatten("flat", last), { out = 2 })
    end })
    local x = core.randn(2, 4, 5, 5, { seed = 7 })
    return values(core.mask(model.graph, { a = { 2, 5 } }), x, names), values(model.graph, x, names)
  end

  -- The channels of a node that are exactly zero in all samples.
  local function zero_channels(value)
    local zero = {}
    for unit = 1, value:size(2) do
      if value[1][unit]:abs():max() == 0 and value[2][unit]:abs():max() == 0 then zero[#zero + 1] = unit end
    end
    return zero
  end

  it("silences norms behind a concat, at the places that the units have there", function()
    local cut, full = masked_values(function(net, a, x)
      local b = net:conv2d("b", x, { out = 3, kernel = 1 })
      return net:batch_norm2d("norm", net:concat("both", { b, a }))
    end, { "both", "norm" })
    assert.same({ 5, 8 }, zero_channels(cut.both))
    assert.same({ 5, 8 }, zero_channels(cut.norm))
    assert.same({}, zero_channels(full.norm))
    for _, unit in ipairs { 1, 2, 3, 4, 6, 7, 9 } do
      assert.is_true(cut.norm[1][unit]:allclose(full.norm[1][unit], 0, 0))
    end
  end)

  it("silences norms behind a unit that is concatenated twice", function()
    local cut = masked_values(function(net, a)
      return net:batch_norm2d("norm", net:concat("both", { a, net:relu("relu", a) }))
    end, { "norm" })
    assert.same({ 2, 5, 8, 11 }, zero_channels(cut.norm))
  end)

  it("silences norms behind activations, pools and other norms", function()
    local cut, full = masked_values(function(net, a)
      local first = net:batch_norm2d("first", net:sigmoid("sigmoid", a))
      return net:batch_norm2d("second", net:avg_pool2d("pool", net:dropout("drop", first), { kernel = 2 }))
    end, { "first", "second" })
    assert.same({ 2, 5 }, zero_channels(cut.first))
    assert.same({ 2, 5 }, zero_channels(cut.second))
    assert.same({}, zero_channels(full.second))
  end)

  it("leaves norms behind a sum with others alone, as the channel is not the unit's", function()
    local cut, full = masked_values(function(net, a, x)
      local b = net:conv2d("b", x, { out = 6, kernel = 1 })
      return net:batch_norm2d("norm", net:relu("relu", net:add("sum", { net:batch_norm2d("own", a), b })))
    end, { "own", "norm", "sum" })
    assert.same({ 2, 5 }, zero_channels(cut.own))
    assert.same({}, zero_channels(cut.norm))
    assert.is_true(cut.norm[1][1]:allclose(full.norm[1][1], 0, 0))
  end)

  it("silences norms behind a sum of nothing but the unit", function()
    local cut = masked_values(function(net, a)
      local one, two = net:batch_norm2d("one", a), net:batch_norm2d("two", a)
      return net:batch_norm2d("norm", net:add("sum", { one, two, a }))
    end, { "norm" })
    assert.same({ 2, 5 }, zero_channels(cut.norm))
  end)

  it("gives an equal graph for empty lists", function()
    local model = small_vgg(true)
    local x = core.randn(1, 2, 8, 8, { seed = 6 })
    for _, units in ipairs { {}, { ["features.0"] = {} } } do
      assert.is_true(values(core.mask(model.graph, units), x, {}).output:allclose(model:forward(x), 0, 0))
    end
  end)

  it("says what is wrong", function()
    local model = small_vgg(true)
    local function wrong(units, message) assert.equal(message, errors.raised(core.mask, model.graph, units)) end
    wrong(nil, "mask: units: expected a table of node name = list of units, got nil")
    wrong({ nowhere = { 1 } }, "mask: node: expected one of the graph, got 'nowhere'")
    wrong({ { 1 } }, "mask: node: expected a string, got 1")
    wrong({ ["features.0"] = 1 }, "mask: features.0: expected a list of units, got 1")
    wrong({ ["features.0"] = { "a" } }, "mask: features.0: expected a whole number of at least 1, got 'a'")
    wrong({ ["features.0"] = { 0 } }, "mask: features.0: expected a whole number of at least 1, got 0")
    wrong({ ["features.0"] = { 1, 7 } }, "mask: 'features.0': expected units in 1..6, got 7")
    wrong({ ["features.0"] = { 1 << 62 } }, "mask: 'features.0': expected units in 1..6, got 4611686018427387904")
    wrong({ ["features.0"] = { 3, 1, 3 } }, "mask: 'features.0': expected each unit once, got 3 twice")
    wrong({ ["features.1"] = { 1 } }, "mask: 'features.1': expected a node that produces units, got batch_norm2d")
    wrong({ input = { 1 } }, "mask: 'input': expected a node that produces units, got input")
    assert.has_error(function() core.mask({}, {}) end, "mask: graph: expected a Graph, got a table")
  end)
end)
