local errors = require "support.errors"
local families = require "secateur.models.families"
local recognise = require "secateur.pretrained.infer_architecture"

-- Options of a family's graph, complete.
local function complete(family, given)
  local opts = { classes = 5, size = 224, channels = 3 }
  for key, rule in pairs(family.rules) do opts[key] = rule.default end
  for key, value in pairs(given) do opts[key] = value end
  return opts
end

-- Names and shapes of a model without its weights.
local function shapes_of(family, opts)
  local shapes = {}
  for _, p in ipairs(family.graph(opts):parameters()) do shapes[p.name] = p.shape end
  return shapes
end

local function see(shapes, given)
  local called = {}
  for name in pairs(shapes) do called[name] = "x." .. name end
  return recognise.model(shapes, called, given)
end

describe("an architecture is told by names and shapes", function()
  for _, family in ipairs(families.list) do
    it(("for each %s that has a name"):format(family.name), function()
      for name, config in pairs(family.configs) do
        local opts = complete(family, config)
        local found = see(shapes_of(family, opts))
        assert.equal(family, found.family)
        found.opts.size = found.opts.size or 224
        assert.same(opts, found.opts, name)
        assert.equal(name, families.name(family, found.opts))
        assert.same({}, found.notes)
        collectgarbage()
      end
    end)
  end

  it("for sizes that have none", function()
    local vgg, resnet, vit = families.of "vgg", families.of "resnet", families.of "vit"
    for _, case in ipairs {
      { vgg, { config = { 3, 4, 5, "M" }, hidden = {}, pool = 1, batch_norm = true, channels = 1, size = 16 } },
      { vgg, { config = { 3, "M", 4, 4, "M", 5, "M" }, hidden = { 6 }, pool = 3, size = 16 } },
      { resnet, { block = "basic", blocks = { 1, 3, 2 }, planes = { 4, 6, 8 }, stem = 5, size = 32 } },
      { resnet, { blocks = { 2, 1 }, planes = { 8, 16 }, stem = 6, groups = 4, width_per_group = 16, size = 32 } },
      { resnet, { blocks = { 1 }, planes = { 3 }, stem = 6, width_per_group = 128, size = 32 } },
      { vit, { dim = 128, heads = 2, layers = 3, mlp = 50, patch = 8, size = 40, channels = 2 } },
    } do
      local opts = complete(case[1], case[2])
      local found = see(shapes_of(case[1], opts))
      found.opts.size = found.opts.size or opts.size
      assert.same(opts, found.opts)
      assert.equal(case[1].name, families.name(case[1], found.opts))
    end
  end)

  it("without a VGG's head, which may be cut off", function()
    local vgg = families.of "vgg"
    local shapes = shapes_of(vgg, complete(vgg, vgg.configs.vgg11))
    shapes["classifier.6.weight"], shapes["classifier.6.bias"] = nil, nil
    local found = see(shapes)
    assert.same({ 4096, 4096 }, found.opts.hidden)
    assert.is_nil(found.opts.classes)
    assert.equal("classifier.6", found.head)
  end)

  it("but for heads of attention, which are taken to be 64 wide, or as known, or as given", function()
    local vit = families.of "vit"
    local function heads(dim, mlp, given)
      local opts = complete(vit, { dim = dim, heads = 1, layers = 1, mlp = mlp, patch = 16, size = 32 })
      local found = see(shapes_of(vit, opts), { heads = given })
      return found.opts.heads, found.notes
    end
    assert.equal(3, (heads(192, 768)))
    assert.equal(16, (heads(1280, 5120)))
    local count, notes = heads(512, 2048)
    assert.equal(8, count)
    assert.same({ "took 512 features as 8 attention heads, which the file does not tell (heads = n)" }, notes)
    assert.equal(8, (heads(768, 2304)))
    assert.equal(16, (heads(1408, 6144)))
    count, notes = heads(512, 2048, 4)
    assert.equal(4, count)
    assert.same({}, notes)
    assert.equal(2, (heads(50, 100, 2)))
    assert.equal("the number of attention heads cannot be seen in the file, and 50 features are not a multiple of 64: "
      .. "give heads = n", errors.text(heads, 50, 100))
  end)
end)

describe("weights that no known architecture has", function()
  local function refusal(shapes) return errors.text(see, shapes) end

  local function changed(name, config, changes)
    local family = families.of(name)
    local shapes = shapes_of(family, complete(family, config))
    for key, shape in pairs(changes) do shapes[key] = shape or nil end
    return shapes
  end

  it("are refused by what gives them away, under the file's names", function()
    local supported = "; supported are VGG, ResNet (also wide, and ResNeXt) and ViT as torchvision has them, VGG "
      .. "and ViT as timm does, ResNet and ViT as Hugging Face does"
    assert.equal("the weights are of a model with a distillation token (DeiT) ('x.dist_token' [1x1x8])" .. supported,
      refusal { dist_token = { 1, 1, 8 } })
    for name, what in pairs {
      ["stages.0.blocks.0.conv_dw.weight"] = "stages of ConvNeXt",
      ["stages.0.blocks.0.norm1.weight"] = "norms before its convolutions (ResNetV2, BiT)",
      ["stages.0.blocks.0.conv1.weight"] = "stages of ConvNeXt or RegNet",
      ["features.1.0.block.0.weight"] = "features of torchvision's EfficientNet, MobileNet, ConvNeXt or Swin",
      ["layers.0.blocks.0.attn.relative_position_bias_table"] = "windows or biases of relative position (Swin, BEiT)",
      ["conv_stem.weight"] = "a stem of timm's EfficientNet or MobileNet",
      ["conv1.0.weight"] = "a deep stem (ResNet-C, -D, -T)",
      ["layer1.0.se.fc1.weight"] = "squeeze and excitation",
      ["blocks.0.ls1.gamma"] = "layer scale",
      ["blocks.3.attn.q_norm.weight"] = "norms of queries and keys",
      ["fc_norm.weight"] = "a head on the mean of all tokens",
      ["reg_token"] = "register tokens",
      ["norm_pre.weight"] = "a norm before its blocks (CLIP)",
      ["heads.pre_logits.weight"] = "a layer before its head",
      ["layer1.0.conv1.weight_mask"] = "masks of torch.nn.utils.prune, which prune.remove would have merged",
    } do
      local lead = "the weights are of a model with " .. what .. " "
      assert.equal(lead, refusal({ [name] = { 2, 2 } }):sub(1, #lead))
    end
    assert.equal("expected weights of a known architecture, got 'x.a' [2], 'x.b' [3x4], 'x.c' [1], 'x.d' [1], 'x.e' "
      .. "[1], 'x.f' [1], and 1 more" .. supported,
      refusal { a = { 2 }, b = { 3, 4 }, c = { 1 }, d = { 1 }, e = { 1 }, f = { 1 }, g = { 1 } })
    assert.equal("'x.conv1.weight': expected elements, got [64x0x7x7]",
      refusal { ["conv1.weight"] = { 64, 0, 7, 7 } })
  end)

  it("are refused as a VGG", function()
    local config = { config = { 4, "M", 5, "M" }, hidden = { 6 }, pool = 2, size = 16 }
    local function vgg(changes) return refusal(changed("vgg", config, changes)) end
    assert.equal("'features.0.weight': expected the 3x3 kernel of a VGG, got [4x3x11x11]",
      vgg { ["features.0.weight"] = { 4, 3, 11, 11 } })
    local gap = "expected a VGG's convolutions, with a ReLU and at most one pool between them"
    assert.equal("'features.9.weight': " .. gap, vgg { ["features.9.weight"] = { 4, 5, 3, 3 } })
    assert.equal("'features.999999999999.weight': " .. gap, vgg { ["features.999999999999.weight"] = { 4, 5, 3, 3 } })
    assert.equal("'features.1.weight': " .. gap, vgg { ["features.1.weight"] = { 4, 5, 3, 3 } })
    assert.equal("'classifier.0.weight': expected a VGG's first linear layer, on square maps of 5 "
      .. "channels, got [6x30]", vgg { ["classifier.0.weight"] = { 6, 30 } })
    assert.equal("'features.0.weight': expected 4 dimensions, got [4]", vgg { ["features.0.weight"] = { 4 } })
  end)

  it("are refused as a ResNet", function()
    local config = { blocks = { 1, 1 }, planes = { 4, 8 }, stem = 4, size = 32 }
    local function resnet(changes) return refusal(changed("resnet", config, changes)) end
    assert.equal("'conv1.weight': expected the kernel of a ResNet's stem, 7x7 or less and odd, got [4x3x4x4]",
      resnet { ["conv1.weight"] = { 4, 3, 4, 4 } })
    assert.equal("'layer1.0': expected a bottleneck of torchvision's, got 4, 4 and 9 channels",
      resnet { ["layer1.0.conv3.weight"] = { 9, 4, 1, 1 } })
    assert.equal("'layer1.0': expected a bottleneck of torchvision's, got 4, 3 and 16 channels",
      resnet { ["layer1.0.conv2.weight"] = { 4, 3, 3, 3 } })
    assert.equal("'layer2.0': expected groups x width of 1 x 64 as in the stages before, got 4 x 16",
      resnet { ["layer2.0.conv2.weight"] = { 8, 2, 3, 3 } })
    assert.equal("expected a tensor 'layer2.0.conv2.weight', which is not there",
      resnet { ["layer2.0.conv2.weight"] = false })
    assert.equal("'fc.weight': expected 2 dimensions, got [5x32x1x1]", resnet { ["fc.weight"] = { 5, 32, 1, 1 } })
  end)

  it("are refused as a ViT", function()
    local config = { dim = 64, heads = 1, layers = 1, mlp = 8, patch = 8, size = 16 }
    local function vit(changes) return refusal(changed("vit", config, changes)) end
    assert.equal("'encoder.pos_embedding': expected embeddings of a class token and of a square of patches, got "
      .. "[1x4x64]", vit { ["encoder.pos_embedding"] = { 1, 4, 64 } })
    assert.equal("'conv_proj.weight': expected square patches, got [64x3x8x4]",
      vit { ["conv_proj.weight"] = { 64, 3, 8, 4 } })
    assert.equal("expected a tensor 'class_token', which is not there", vit { ["class_token"] = false })
    assert.equal("expected the layers of a ViT's encoder, found none",
      vit { ["encoder.layers.encoder_layer_0.ln_1.weight"] = false })
  end)
end)
