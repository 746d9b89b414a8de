local attribute = require "secateur.attribution.attribute"
local captum = require "support.captum"
local core = require "secateur.core"
local custom = require "secateur.models.custom"
local families = require "support.families"
local here = require("support.errors").here

local reference, close, classes = captum.reference, captum.close, captum.classes

local function under(prefix)
  local names = {}
  for name in pairs(reference) do
    if name:sub(1, #prefix) == prefix then names[#names + 1] = name:sub(#prefix + 1) end
  end
  return names
end

describe("gradients", function()
  local model, x, target = captum.model(), reference.x, classes(reference.target)

  local function of(method, opts)
    local given = { method = method, target = target }
    for key, value in pairs(opts or {}) do given[key] = value end
    return attribute(model, x, given)
  end

  it("are captum's at the input", function()
    for method, name in pairs { gradient = "saliency", gradient_x_input = "input_x_gradient",
      guided_backprop = "guided_backprop" } do
      close(of(method).input, reference[name])
      close(of(method, { batch = 2 }).input, reference[name])
    end
  end)

  it("are captum's at nodes, bare and times the value", function()
    for method, prefix in pairs { gradient = "layer_gradient/", gradient_x_input = "layer_product/" } do
      local names = under(prefix)
      assert.equal(6, #names)
      local result = of(method, { layers = names })
      for _, name in ipairs(names) do close(result.layers[name], reference[prefix .. name]) end
    end
  end)

  it("are those of the model at every node, sources among them", function()
    local vit = families.all().vit
    local patches = families.batch(vit, 2)
    local expected = vit:gradient(patches, { target = { 3, 1 } })
    local names = { "input", "class_token" }
    for _, node in ipairs(vit.graph:nodes()) do names[#names + 1] = node.name end
    local result = attribute(vit, patches, { method = "gradient", target = { 3, 1 }, layers = names })
    for name, tensor in pairs(expected) do close(result.layers[name], tensor) end
    close(result.input, expected.input)
    local product = attribute(vit, patches, { method = "gradient_x_input", target = { 3, 1 },
      layers = { "input", "class_token" } }).layers
    close(product.input, expected.input * patches)
    local token = vit:state().class_token
    close(product.class_token, expected.class_token * token:reshape(1, 1, -1))
  end)

  it("that are guided pass what is positive alone", function()
    local net = custom { input = { 1, 1, 4 }, build = function(builder, input)
      local y = builder:relu("r", builder:conv2d("c", input, { out = 2, kernel = 1 }))
      return builder:linear("l", builder:flatten("f", y), { out = 2 })
    end }
    local state = net:state()
    state["c.weight"] = core.tensor { { { { 1 } } }, { { { -1 } } } }
    state["c.bias"] = core.tensor { 0, 0.5 }
    state["l.weight"] = core.tensor { { 1, -2, 3, 4, 5, -6, 7, 8 }, { 0, 0, 0, 0, 0, 0, 0, 0 } }
    state["l.bias"] = core.zeros(2)
    net:load_state(state)
    local image = core.tensor { { { { 1, 2, -1, 0 } } } }
    local result = attribute(net, image, { method = "guided_backprop", target = 1, layers = { "c", "r" } })
    assert.same({ { { { 1, -2, 3, 4 } }, { { 5, -6, 7, 8 } } } }, result.layers.r:totable())
    -- channel 1 is open at 1 and 2, channel 2 at -1 and 0; of those 1, 7, 8 are positive
    assert.same({ { { { 1, 0, 0, 0 } }, { { 0, 0, 7, 8 } } } }, result.layers.c:totable())
    assert.same({ { { { 1, 0, -7, -8 } } } }, result.input:totable())
  end)

  it("that are guided are refused where an activation has no such rule", function()
    local vit = families.all().vit
    local patches = families.batch(vit, 1)
    assert.matches("^attribute: gelu 'encoder.layers.encoder_layer_0.mlp.1': expected a ReLU, the only activation that "
      .. "guided backpropagation is defined for$",
      here(function() attribute(vit, patches, { method = "guided_backprop" }) end))
  end)

  it("that are smoothed are means over noisy copies, of nodes too", function()
    local opts = { samples = 3, noise = 0.2, seed = 11, layers = { "features.3", "classifier.0" } }
    local result = of("smoothgrad", opts)
    assert.is_true(of("smoothgrad", opts).input:allclose(result.input, 0, 0))
    opts.batch = 2 -- neither parts nor a batch that splits the copies change what is drawn
    local parts = of("smoothgrad", opts)
    close(parts.input, result.input)
    close(parts.layers["features.3"], result.layers["features.3"])
    opts.seed = 12
    assert.is_false(of("smoothgrad", opts).input:allclose(result.input, 1e-3, 1e-6))
    close(of("smoothgrad", { noise = 0, samples = 2 }).input, reference.saliency)
    -- copies of a later sample are drawn from its own number
    local alone = attribute(model, x:view(1, 1), { method = "smoothgrad", target = target[1], samples = 3, noise = 0.2,
      seed = 11, layers = {} })
    close(alone.input, result.input:view(1, 1))
  end)

  it("that are smoothed have noise of the deviation asked for, in parts of the range", function()
    -- the gate of a ReLU tells the noise: the mean gradient is P(x + s e > 0)
    local net = custom { input = { 1, 1, 2 }, build = function(builder, input)
      return builder:linear("l", builder:flatten("f", builder:relu("r", input)), { out = 1 })
    end }
    net:load_state { ["l.weight"] = core.ones(1, 2), ["l.bias"] = core.zeros(1) }
    local image = core.tensor { { { { 1, -1 } } } } -- range 2, deviation 1
    local share = attribute(net, image, { method = "smoothgrad", samples = 20000, noise = 0.5, target = 1 }).input
    assert.near(0.8413, share:get(1, 1, 1, 1), 0.01) -- Phi(1)
    assert.near(0.1587, share:get(1, 1, 1, 2), 0.01)
  end)

  it("agree with finite differences for contrasts and weights", function()
    local function value(image, weights) return (model:forward(image) * weights):sum() end
    for _, goal in ipairs { { of = { 1, 3, 2 }, against = { 2, 1, 3 } },
      core.tensor { { 0.5, -1, 2 }, { 1, 1, 1 }, { 0, 0, 3 } } } do
      local result = attribute(model, x, { method = "gradient", target = goal, layers = {} })
      for _, at in ipairs { { 1, 1, 3, 3 }, { 2, 2, 5, 1 }, { 3, 3, 8, 8 } } do
        local step, up, down = 1e-2, x:clone(), x:clone()
        up:set(x:get(table.unpack(at)) + step, table.unpack(at))
        down:set(x:get(table.unpack(at)) - step, table.unpack(at))
        local slope = (value(up, result.weights) - value(down, result.weights)) / (2 * step)
        assert.near(slope, result.input:get(table.unpack(at)), 2e-3 + 0.01 * math.abs(slope))
      end
    end
  end)

  it("refuse options that are not theirs, and images that are not finite", function()
    assert.equal("attribute: samples: expected an option of method 'gradient' (there are none), got one of "
      .. "'smoothgrad'", here(function() attribute(model, x, { method = "gradient", samples = 3 }) end))
    assert.equal("attribute: samples: expected a whole number in [1, 1048576], got 0",
      here(function() attribute(model, x, { method = "smoothgrad", samples = 0 }) end))
    assert.equal("attribute: noise: expected a number in [0, 1000000.0], got -1",
      here(function() attribute(model, x, { method = "smoothgrad", noise = -1 }) end))
    local bad = x:clone():set(1 / 0, 1, 1, 1, 1)
    for _, method in ipairs { "gradient", "gradient_x_input", "smoothgrad", "guided_backprop", "grad_cam" } do
      assert.equal("attribute: x: expected images and weights that give finite logits, got some that are not",
        here(function() attribute(model, bad, { method = method }) end))
    end
  end)
end)

describe("Grad-CAM", function()
  local model, x, target = captum.model(), reference.x, classes(reference.target)

  it("is captum's, for any layer with maps, and grows to the input's size", function()
    local result = attribute(model, x, { method = "grad_cam", target = target })
    assert.same({ 3, 1, 8, 8 }, result.input:shape())
    close(result.input, reference.grad_cam_input)
    close(result.layers["features.4"], reference["grad_cam/features.4"]) -- the activation of the last convolution
    local names = under "grad_cam/"
    local all = attribute(model, x, { method = "grad_cam", target = target, layers = names, batch = 2 }).layers
    for _, name in ipairs(names) do close(all[name], reference["grad_cam/" .. name]) end
    local first = attribute(model, x, { method = "grad_cam", target = target, layer = "features.0" })
    close(first.layers["features.0"], reference["grad_cam/features.0"])
    assert.is_nil(first.layers["features.4"])
    assert.same({}, attribute(model, x, { method = "grad_cam", layers = {} }).layers)
  end)

  it("ends the last block of a residual network", function()
    local net = families.all().basic
    local layers = attribute(net, families.batch(net, 1), { method = "grad_cam" }).layers
    local name = next(layers)
    local last
    for _, node in ipairs(net.graph:nodes()) do if #node.shape == 3 and node.shape[2] > 1 then last = node.name end end
    assert.equal(last, name)
  end)

  it("looks at a transformer's patches before the last attention", function()
    local vit = families.all().vit
    local patches = families.batch(vit, 2)
    local result = attribute(vit, patches, { method = "grad_cam", target = { 3, 1 } })
    local name = next(result.layers)
    assert.matches("^encoder%.layers%.encoder_layer_%d+%.ln_1$", name)
    local plan = vit:execution_plan(2, { backward = true, keep = { name }, keep_grads = { name } })
    local logits = plan:forward(patches)
    local value = plan:value(name):totable()
    local seeds = core.zeros(2, logits:size(2))
    seeds:set(1, 1, 3)
    seeds:set(1, 2, 1)
    plan:backward(seeds)
    local grad = plan:grad(name):totable()
    local map = result.layers[name]
    local height, width = map:size(2), map:size(3)
    assert.equal(#value[1], height * width + 1)
    for i = 1, 2 do
      for patch = 1, height * width do
        local sum = 0
        for d = 1, #value[1][1] do
          local weight = 0
          for t = 2, #value[1] do weight = weight + grad[i][t][d] / (height * width) end
          sum = sum + weight * value[i][patch + 1][d]
        end
        assert.near(math.max(sum, 0), map:get(i, (patch - 1) // width + 1, (patch - 1) % width + 1), 1e-6)
      end
    end
  end)

  it("refuses just those nodes of a transformer whose patches have no gradient, and names one that has", function()
    local vit = families.all().vit
    local patches = families.batch(vit, 2)
    local default = next(attribute(vit, patches, { method = "grad_cam" }).layers)
    local wanted, refused_some, taken_some = {}, 0, 0
    for _, node in ipairs(vit.graph:nodes()) do
      if #node.shape == 2 and node.op ~= "parameter" then wanted[#wanted + 1] = node.name end
    end
    local plan = vit:execution_plan(2, { backward = true, keep_grads = wanted })
    plan:backward(plan:forward(patches) * 0 + 1)
    local tokens = vit.graph:node(default).shape[1]
    local zero = {}
    for _, name in ipairs(wanted) do
      local grad = plan:grad(name)
      zero[name] = grad:size(2) == tokens and grad:view(1, 2):take(2, { 2, 3, tokens }):abs():max() == 0
    end
    for _, name in ipairs(wanted) do
      local ok, message = pcall(attribute, vit, patches, { method = "grad_cam", layer = name })
      if zero[name] then
        refused_some = refused_some + 1
        assert.is_false(ok)
        assert.matches(("expected a node before the last attention, got '%s': from there on the output reads the class "
          .. "token alone, so that gradients at all patches, and with them the map, are zero; take '%s', the default")
          :format(name, default), message, 1, true)
      else
        taken_some = taken_some + (ok and 1 or 0)
        assert.is_true(ok or message:find "maps or tokens of patches" ~= nil, message)
      end
    end
    assert.is_true(refused_some > 5 and taken_some > 5)
  end)

  it("refuses layers that make no map", function()
    local function refused(opts)
      opts.method = "grad_cam"
      return here(function() attribute(model, x, opts) end)
    end
    assert.equal("attribute: layer: expected a node of the model, got 'layer9'", refused { layer = "layer9" })
    assert.equal("attribute: layer: expected a node with maps or tokens of patches, got 'classifier.0' [5]",
      refused { layer = "classifier.0" })
    assert.equal("attribute: layer: expected a node with maps or tokens of patches, got 'classifier.0' [5]",
      refused { layers = { "classifier.0" } })
    local linear = custom { input = { 1, 2, 2 }, build = function(net, input)
      return net:linear("l", net:flatten("f", input), { out = 2 })
    end }
    assert.equal("attribute: layer: expected a model with a convolution or attention",
      here(function() attribute(linear, core.zeros(1, 1, 2, 2), { method = "grad_cam" }) end))
  end)
end)
