local sc = require "secateur"
local core = require "secateur.core"
local custom = require "secateur.models.custom"
local errors = require "support.errors"
local families = require "support.families"
local models = require "secateur.models"

local function by_name(model)
  local found = {}
  for _, layer in ipairs(model:layers()) do found[layer.name] = layer end
  return found
end

local function names(model)
  local list = {}
  for i, layer in ipairs(model:layers()) do list[i] = layer.name end
  return list
end

describe("a model's layers", function()
  it("are the convolutions and linear layers but for the classifier's last", function()
    local all = families.all()
    assert.same({ "features.0", "features.3", "classifier.0" }, names(all.vgg))
    assert.same({ "features.0", "features.4" }, names(all.vgg_bn))
    assert.same({ "conv1", "layer1.0.conv1", "layer1.0.conv2", "layer2.0.conv1", "layer2.0.conv2",
      "layer2.0.downsample.0", "layer2.1.conv1", "layer2.1.conv2" }, names(all.basic))
    local block = "encoder.layers.encoder_layer_%d.%s"
    local expected = { "conv_proj" }
    for i = 0, 1 do
      for _, part in ipairs { "self_attention.q", "self_attention.k", "self_attention.v", "self_attention", "mlp.0",
        "mlp.3" } do
        expected[#expected + 1] = block:format(i, part)
      end
    end
    assert.same(expected, names(all.vit))
    assert.same({ "left", "right" }, names(all.custom))
  end)

  it("are told with kind, units, parameters and multiply-adds", function()
    local layers = by_name(families.all().vgg)
    assert.same({ name = "features.3", kind = "conv", units = 6, params = 6 * 4 * 9 + 6, macs = 6 * 8 * 8 * 4 * 9 },
      layers["features.3"])
    assert.same({ name = "classifier.0", kind = "linear", units = 10, params = 24 * 10 + 10, macs = 240 },
      layers["classifier.0"])
    local vit = by_name(families.all().vit)
    assert.same({ name = "encoder.layers.encoder_layer_1.self_attention.k", kind = "linear", units = 8, params = 72,
      macs = 17 * 64 }, vit["encoder.layers.encoder_layer_1.self_attention.k"])
  end)

  it("leave out all layers that make the output together", function()
    local model = custom { input = { 4 }, build = function(net, x)
      local hidden = net:relu("act", net:linear("hidden", x, { out = 3 }))
      local sum = net:add("sum", { net:linear("one", hidden, { out = 2 }), net:linear("two", x, { out = 2 }) })
      return net:softmax("out", sum)
    end }
    assert.same({ "hidden" }, names(model))
  end)

  it("are found quickly however often the output's sums branch", function()
    local model = custom { input = { 2 }, build = function(net, x)
      x = net:linear("first", x, { out = 2 })
      for i = 1, 40 do x = net:add("sum" .. i, { x, x }) end
      return x
    end }
    assert.same({}, names(model))
  end)
end)

describe("a model", function()
  it("gives logits, the same for one sample as among many", function()
    for name, model in pairs(families.all()) do
      local x = families.batch(model, 4)
      local y = model:forward(x)
      assert.same({ 4, 3 }, y:shape())
      for i = 1, 4 do assert.is_true(model:forward(x:view(i)):allclose(y:view(i), 1e-4, 1e-5), name) end
    end
  end)

  it("gives the gradient of the target's logit at every node", function()
    local model = families.all().vgg
    local x = families.batch(model, 2)
    local gradient = model:gradient(x, { target = { 3, 1 } })
    for _, node in ipairs(model.graph:nodes()) do
      assert.same({ 2, table.unpack(node.shape) }, gradient[node.name]:shape())
    end
    assert.same({ { 0, 0, 1 }, { 1, 0, 0 } }, gradient["classifier.3"]:totable())
    local h = 1e-2
    for i, class in ipairs { 3, 1 } do
      local step = x:clone()
      step:set(x:get(i, 2, 5, 5) + h, i, 2, 5, 5)
      local above = model:forward(step):get(i, class)
      step:set(x:get(i, 2, 5, 5) - h, i, 2, 5, 5)
      local difference = (above - model:forward(step):get(i, class)) / (2 * h)
      assert.near(difference, gradient.input:get(i, 2, 5, 5), 1e-3 + 0.02 * math.abs(difference))
    end
    local predicted = model:forward(x):argmax(2):totable()
    assert.same(model:gradient(x, { target = predicted }).input:totable(), model:gradient(x).input:totable())
    assert.same(model:gradient(x, { target = core.tensor({ 2, 2 }, "int64") }).input:totable(),
      model:gradient(x, { target = 2 }).input:totable())
  end)

  it("refuses images and targets that do not fit, at the caller's line", function()
    local here = errors.here
    local model = families.all().vgg
    local x = families.batch(model, 2)
    assert.equal("forward: x: expected a Tensor [N x 3 x 16 x 16], got nil", here(function() model:forward() end))
    assert.equal("forward: x: expected a Tensor [N x 3 x 16 x 16], got [3 x 16 x 16] float32",
      here(function() model:forward(x[1]) end))
    assert.equal("forward: x: expected a Tensor [N x 3 x 16 x 16], got [0 x 3 x 16 x 16] float32",
      here(function() model:forward(core.zeros(0, 3, 16, 16)) end))
    assert.equal("gradient: x: expected a Tensor [N x 3 x 16 x 16], got [1 x 3 x 16 x 16] uint8",
      here(function() model:gradient(core.zeros(1, 3, 16, 16, { dtype = "uint8" })) end))
    assert.equal("gradient: target: expected a class in 1..3, got 4",
      here(function() model:gradient(x, { target = 4 }) end))
    assert.equal("gradient: target: expected a class in 1..3, got 0.5",
      here(function() model:gradient(x, { target = { 1, 0.5 } }) end))
    assert.equal("gradient: target: expected 2 classes, one per sample, got 1",
      here(function() model:gradient(x, { target = { 1 } }) end))
    assert.equal("gradient: target: expected a class, a list of classes or \"prediction\", got 'label'",
      here(function() model:gradient(x, { target = "label" }) end))
  end)

  it("prints itself, in a line and in a table", function()
    local model = families.custom()
    assert.equal("Model mixture: [2 x 9 x 7] -> 3 classes, 0.00 M parameters, 0.000 GMAC", tostring(model))
    local lines = {}
    for line in model:summary():gmatch "[^\n]+" do lines[#lines + 1] = line end
    assert.equal(#model.graph:nodes() + 2, #lines)
    assert.equal("node       operation            output  parameters   MAC", lines[1])
    assert.equal("left       conv2d               4x9x6           28  1296", lines[3])
    assert.equal("norm       batch_norm2d         10x9x6          20", lines[8])
    assert.equal("flat       flatten              20", lines[12])
    assert.equal("186 trainable parameters, 5.244e-06 GMAC per sample", lines[#lines])
    assert.equal("Model resnet: [3 x 224 x 224] -> 1000 classes, 0.15 M parameters, 0.349 GMAC",
      tostring(models.resnet { block = "basic", stem = 64, planes = { 64 }, blocks = { 1 } }))
  end)

  it("shares one plan among runs of a kind, and gives it back", function()
    local model = families.all().vgg
    local x = families.batch(model, 4)
    local four = model:execution_plan(4)
    model:forward(x)
    assert.equal(four, model:execution_plan(2))
    local before = core.memory()
    model:release()
    assert.is_true((core.memory()) < before)
    assert.are_not.equal(four, model:execution_plan(2))
    assert.are_not.equal(model:execution_plan(2), model:execution_plan(2, { backward = true }))
  end)
end)

describe("a model of one's own", function()
  it("is what its function says", function()
    local seen
    local model = custom { input = { 1, 8, 8 }, seed = 3, build = function(net, x)
      seen = x
      net:conv2d("c", x, { out = 2, kernel = 3 })
      net:flatten("f", "c")
      net:linear("l", "f", { out = 2 })
      net:linear("unused", "f", { out = 7 })
      return "l"
    end }
    assert.equal("input", seen)
    assert.equal("l", model.graph:output())
    assert.equal(2, model.class_count)
    assert.is_nil(model.classes)
    model.info.classes = { "no", "yes" }
    assert.same({ "no", "yes" }, model.classes)
    assert.same({ 1, 2 }, model:forward(core.zeros(1, 1, 8, 8)):shape())
    local gradient = model:gradient(core.ones(1, 1, 8, 8))
    assert.equal(0, gradient.unused:abs():sum())
    assert.is_true(gradient.input:abs():sum() > 0)
  end)

  it("says of a pruned one what is left, layer by layer, as compacting makes it", function()
    local model = sc.models.vgg { config = { 4, "M", 8 }, hidden = { 6 }, pool = 1, classes = 3, size = 8, seed = 1,
      batch_norm = true }
    local scores = {}
    for i, layer in ipairs(model:layers()) do scores[layer.name] = core.randn(layer.units, { seed = i }) end
    local pruned = sc.prune(model, scores, { rate = 0.5, repair = "none" })
    local small = sc.compact(pruned)
    assert.are_not.equal(tostring(model), tostring(pruned))
    assert.matches("; 9 of 18 units %(50.0 %%%) are pruned, without which 0.00 M parameters and 0.000 GMAC are left "
      .. "%(sc.compact%)$", tostring(pruned))
    local left, whole = {}, {}
    for line in small:summary():gmatch "[^\n]+" do left[#left + 1] = line end
    for line in pruned:summary():gmatch "[^\n]+" do whole[#whole + 1] = line end
    assert.matches("^node +operation +output +parameters +MAC +left: output +parameters +MAC$", whole[1])
    for i = 2, #left - 1 do -- what stands to the right of the dense row is the row of the compact model
      local name, rest = left[i]:match "^(%S+) +%S+ +(.+)$"
      local own = whole[i]:match("^" .. name:gsub("%p", "%%%0") .. " .+ (%d[%dx]*[ %d]*)$")
      assert.is_not_nil(own, whole[i])
      assert.equal(rest:gsub(" +", " "), whole[i]:gsub(" +", " "):sub(-#rest:gsub(" +", " ")))
    end
    assert.matches("^9 of 18 units %(50.0 %%%) are pruned; without them " .. left[#left]:match "^%d+", whole[#whole])
    local listed = pruned:layers()
    for _, layer in ipairs(listed) do
      assert.equal(layer.units - #pruned.pruning_plan[layer.name], layer.units_left)
    end
    assert.matches("^layer +kind +units +left +parameters +MAC\n", tostring(listed))
    assert.is_nil(model:layers()[1].units_left)
  end)

  it("takes the node added last where the function names none", function()
    local model = custom { input = { 3 }, build = function(net, x) net:linear("l", x, { out = 2 }) end }
    assert.equal("l", model.graph:output())
  end)

  it("has logits as its output, or is refused with the node and its shape", function()
    local function refused(build)
      return errors.here(function() custom { input = { 1, 8, 8 }, build = build } end)
    end
    local way = "; adaptive_avg_pool2d with output = 1, flatten and linear make logits of a map"
    assert.equal("model: build: expected an output of [classes], a number for each, got node 'c' [2 x 6 x 6]" .. way,
      refused(function(net, x) return net:conv2d("c", x, { out = 2, kernel = 3 }) end))
    assert.equal("model: build: expected an output of [classes], a number for each, got nothing, and as the last node "
      .. "'c' [2 x 6 x 6]" .. way, refused(function(net, x) net:conv2d("c", x, { out = 2, kernel = 3 }) end))
    assert.equal("model: build: expected an output of [classes], a number for each, got nothing, and as the last node "
      .. "'input' [1 x 8 x 8]" .. way, refused(function() end))
    assert.equal("model: build: expected an output of [classes], a number for each, got node 't' [64 x 1]; select and "
      .. "linear make logits of tokens", refused(function(net, x) return net:tokens("t", x) end))
  end)

  it("points at the user's line where the function points at its caller, and at a dot for a colon", function()
    assert.equal("mine", errors.here(function() custom { input = { 3 }, build = function() error("mine", 2) end } end))
    assert.equal("conv2d: self: expected a Builder, got 'c'; is there a dot in place of a colon? net:conv2d(...)",
      errors.here(function() custom { input = { 3 }, build = function(net, x) net.conv2d("c", x) end } end))
  end)

  it("points at the line that is wrong", function()
    local here = errors.here
    local function half(net, x) net:linear("l", x) end
    assert.equal("linear 'l': out: missing", errors.text(custom, { input = { 3 }, build = half }))
    local line = select(2, pcall(custom, { input = { 3 }, build = half })):match ":(%d+):"
    assert.equal(debug.getinfo(half, "S").linedefined, tonumber(line))
    assert.equal("model: build: missing", here(function() custom { input = { 3 } } end))
    assert.equal("model: input: missing", here(function() custom { build = print } end))
    assert.equal("model: input 'input': shape: expected a whole number of at least 0, got 'x'",
      here(function() custom { input = { "x" }, build = print } end))
    assert.equal("model: output: node: expected a string, got true",
      here(function() custom { input = { 3 }, build = function() return true end } end))
    assert.equal("model: output: node: expected one of the graph, got 'y'",
      here(function() custom { input = { 3 }, build = function() return "y" end } end))
    assert.equal("shape: node: expected one of the graph, got 'z'",
      here(function() custom { input = { 3 }, build = function(net) net:shape("z") end } end))
  end)
end)
