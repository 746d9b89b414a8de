local core = require "secateur.core"
local errors = require "support.errors"
local models = require "secateur.models"

-- The architectures without their initial weights: drawing 500 million numbers takes longer than all other specs.
local function undrawn()
  local kept = {}
  for name, module in pairs(package.loaded) do
    if name:find "^secateur%.models" then
      kept[name], package.loaded[name] = module, nil
    end
  end
  package.loaded["secateur.models.initial_weights"] = function() end
  local fresh = require "secateur.models"
  for name in pairs(package.loaded) do
    if name:find "^secateur%.models" then package.loaded[name] = nil end
  end
  for name, module in pairs(kept) do package.loaded[name] = module end
  return fresh
end

local bare = undrawn()

-- Names and shapes, as torchvision's state_dict() lists them.
local function shapes(model)
  local found, count = {}, 0
  for _, p in ipairs(model.graph:parameters()) do
    found[p.name] = table.concat(p.shape, "x")
    if p.trainable then
      local n = 1
      for _, size in ipairs(p.shape) do n = n * size end
      count = count + n
    end
  end
  return found, count, #model.graph:parameters()
end

describe("the architectures", function()
  it("have torchvision's number of parameters", function()
    for name, expected in pairs {
      vgg11 = { 132863336, 22 }, vgg11_bn = { 132868840, 62 }, vgg13 = { 133047848, 26 },
      vgg13_bn = { 133053736, 76 }, vgg16 = { 138357544, 32 }, vgg16_bn = { 138365992, 97 },
      vgg19 = { 143667240, 38 }, vgg19_bn = { 143678248, 118 }, resnet18 = { 11689512, 122 },
      resnet34 = { 21797672, 218 }, resnet50 = { 25557032, 320 }, resnet101 = { 44549160, 626 },
      resnet152 = { 60192808, 932 }, resnext50_32x4d = { 25028904, 320 }, resnext101_32x8d = { 88791336, 626 },
      resnext101_64x4d = { 83455272, 626 }, wide_resnet50_2 = { 68883240, 320 },
      wide_resnet101_2 = { 126886696, 626 }, vit_b_16 = { 86567656, 152 }, vit_b_32 = { 88224232, 152 },
      vit_l_16 = { 304326632, 296 }, vit_l_32 = { 306535400, 296 }, vit_ti_16 = { 5717416, 152 }, -- these two: timm's
      vit_s_16 = { 22050664, 152 },
    } do
      local _, count, tensors = shapes(bare[name]())
      assert.equal(expected[1], count, name)
      assert.equal(expected[2], tensors, name)
      collectgarbage()
    end
  end)

  it("name the parameters of a VGG as torchvision does", function()
    local found = shapes(bare.vgg11 { classes = 10 })
    assert.equal("64x3x3x3", found["features.0.weight"])
    assert.equal("64", found["features.0.bias"])
    assert.equal("128x64x3x3", found["features.3.weight"])
    assert.equal("512x512x3x3", found["features.18.weight"])
    assert.equal("4096x25088", found["classifier.0.weight"])
    assert.equal("4096x4096", found["classifier.3.weight"])
    assert.equal("10x4096", found["classifier.6.weight"])
    assert.is_nil(found["classifier.7.weight"])
    local normed = shapes(bare.vgg19_bn { size = 32 })
    assert.equal("64x3x3x3", normed["features.0.weight"])
    assert.equal("64", normed["features.1.running_mean"])
    assert.equal("", normed["features.1.num_batches_tracked"])
    assert.equal("512x512x3x3", normed["features.49.weight"])
    assert.equal("512", normed["features.50.running_var"])
    assert.equal("1000x4096", normed["classifier.6.weight"])
  end)

  it("name the parameters of a ResNet as torchvision does", function()
    local found = shapes(bare.resnet18 { classes = 7 })
    assert.equal("64x3x7x7", found["conv1.weight"])
    assert.is_nil(found["conv1.bias"])
    assert.equal("64", found["bn1.weight"])
    assert.equal("64x64x3x3", found["layer1.0.conv1.weight"])
    assert.is_nil(found["layer1.0.downsample.0.weight"])
    assert.equal("128x64x1x1", found["layer2.0.downsample.0.weight"])
    assert.equal("128", found["layer2.0.downsample.1.running_mean"])
    assert.equal("512x512x3x3", found["layer4.1.conv2.weight"])
    assert.equal("7x512", found["fc.weight"])
    local deep = shapes(bare.resnet50 { size = 64 })
    assert.equal("256x64x1x1", deep["layer1.0.downsample.0.weight"])
    assert.equal("64x256x1x1", deep["layer1.2.conv1.weight"])
    assert.equal("512x512x3x3", deep["layer4.0.conv2.weight"])
    assert.equal("2048x512x1x1", deep["layer4.2.conv3.weight"])
    assert.equal("1024", deep["layer3.5.bn3.bias"])
    assert.is_nil(deep["layer3.6.conv1.weight"])
    assert.equal("1000x2048", deep["fc.weight"])
  end)

  it("name the parameters of a ViT as torchvision does", function()
    local found = shapes(bare.vit_b_16 { classes = 3 })
    assert.equal("1x1x768", found["class_token"])
    assert.equal("768x3x16x16", found["conv_proj.weight"])
    assert.equal("1x197x768", found["encoder.pos_embedding"])
    assert.equal("768", found["encoder.layers.encoder_layer_0.ln_1.weight"])
    assert.equal("2304x768", found["encoder.layers.encoder_layer_0.self_attention.in_proj_weight"])
    assert.equal("2304", found["encoder.layers.encoder_layer_11.self_attention.in_proj_bias"])
    assert.equal("768x768", found["encoder.layers.encoder_layer_11.self_attention.out_proj.weight"])
    assert.equal("3072x768", found["encoder.layers.encoder_layer_5.mlp.0.weight"])
    assert.equal("768x3072", found["encoder.layers.encoder_layer_5.mlp.3.weight"])
    assert.equal("768", found["encoder.ln.bias"])
    assert.equal("3x768", found["heads.head.weight"])
  end)

  it("take images of one channel, and of other sizes", function()
    local x = core.randn(2, 1, 32, 32, { seed = 1 })
    for _, model in ipairs {
      models.vgg { config = { 4, "M", 6 }, hidden = { 8 }, pool = 3, classes = 4, size = 32, channels = 1 },
      models.resnet { block = "basic", stem = 4, planes = { 4, 6 }, blocks = { 1, 1 }, classes = 4, size = 32,
        channels = 1 },
      models.vit { size = 32, patch = 8, layers = 1, heads = 2, dim = 8, mlp = 12, classes = 4, channels = 1 },
    } do
      local y = model:forward(x)
      assert.same({ 2, 4 }, y:shape())
      assert.is_true(y:abs():sum() < 1e6)
      assert.equal(4, model.class_count)
      assert.same({ 1, 32, 32 }, model.input_shape)
    end
  end)

  it("draw the same weights for the same seed", function()
    local opts = { config = { 4, "M" }, hidden = { 8 }, pool = 2, classes = 3, size = 8 }
    local x = core.randn(1, 3, 8, 8, { seed = 1 })
    local a = models.vgg(opts):forward(x):totable()
    assert.same(a, models.vgg(opts):forward(x):totable())
    opts.seed = 1
    assert.are_not.same(a, models.vgg(opts):forward(x):totable())
  end)

  it("refuse what they cannot build, at the line that asks for it", function()
    local here = errors.here
    assert.equal("vgg: config: missing", here(function() models.vgg {} end))
    assert.equal("vgg: config: expected channels or \"M\" at 2, got 'X'",
      here(function() models.vgg { config = { 4, "X" } } end))
    assert.equal("vgg: config: expected channels or \"M\" at 1, got 0",
      here(function() models.vgg { config = { 0 } } end))
    assert.equal("vgg: max_pool2d 'features.0': kernel: expected at most 1, the height after padding, got 2",
      here(function() models.vgg { config = { "M" }, size = 1 } end))
    assert.equal("vgg11: max_pool2d 'features.20': kernel: expected at most 1, the height after padding, got 2",
      here(function() models.vgg11 { size = 16 } end))
    assert.equal("vgg16: classes: expected a whole number of at least 1, got 0",
      here(function() models.vgg16 { classes = 0 } end))
    assert.equal("resnet18: unknown option 'depth', expected one of: channels, classes, head, like, seed, size",
      here(function() models.resnet18 { depth = 18 } end))
    assert.equal("resnet50: options: expected a table, got 5", here(function() models.resnet50(5) end))
    assert.equal("resnet: planes: expected as many as blocks, got 1 and 2",
      here(function() models.resnet { blocks = { 1, 1 }, planes = { 4 } } end))
    assert.equal("resnet: planes: expected whole numbers above 0, got 'a' at 1",
      here(function() models.resnet { blocks = { 1 }, planes = { "a" } } end))
    assert.equal("resnet: block: expected one of 'basic', 'bottleneck', got 'wide'",
      here(function() models.resnet { block = "wide", blocks = { 1 }, planes = { 4 } } end))
    assert.equal("vit: patch: expected a divisor of size 30, got 8", errors.text(function()
      models.vit { size = 30, patch = 8, layers = 1, heads = 2, dim = 8, mlp = 8 }
    end))
    assert.equal("vit: attention_scores 'encoder.layers.encoder_layer_0.self_attention.scores': heads: "
      .. "expected a divisor of 8 features, got 3", errors.text(function()
        models.vit { size = 32, patch = 8, layers = 1, heads = 3, dim = 8, mlp = 8 }
      end))
    assert.equal("vit_b_16: patch: expected a divisor of size 100, got 16",
      here(function() models.vit_b_16 { size = 100 } end))
  end)

  it("are as a data set or a split asks", function()
    local function make(opts)
      opts.config, opts.hidden, opts.pool = { 4, "M" }, {}, 2
      return require "secateur".models.vgg(opts)
    end
    local phantom = require "secateur".data.phantom
    local plain = phantom { size = 16, channels = 1, count = 40 }
    local model = make { like = plain }
    assert.same({ 1, 16, 16 }, model.input_shape)
    assert.equal(4, model.class_count)
    assert.equal("softmax", model.head)
    assert.equal(7, make { like = plain.test, classes = 7 }.class_count)
    local several = phantom { size = 16, count = 40, multi_label = true }
    assert.equal("sigmoid", make { like = several }.head)
    assert.equal("sigmoid", make { like = several.train }.head)
    assert.matches("like: expected a data set or a split", select(2, pcall(make, { like = {} })))
  end)
end)
