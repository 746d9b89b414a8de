local names = require "secateur.formats.parameter_names"

describe("the names of parameters", function()
  it("lose what wrappers put before all of them", function()
    assert.equal("module.", names.prefix { "module.a.weight", "module.b" })
    assert.equal("_orig_mod.module.", names.prefix { "_orig_mod.module.a", "_orig_mod.module.b" })
    assert.equal("module._orig_mod.model.", names.prefix { "module._orig_mod.model.a", "module._orig_mod.model.b" })
    assert.equal("model.model.", names.prefix { "model.model.a" })
  end)

  it("keep what only some have, or what would leave nothing", function()
    assert.equal("", names.prefix {})
    assert.equal("", names.prefix { "module.a", "b" })
    assert.equal("", names.prefix { "module." })
    assert.equal("", names.prefix { "net.a", "net.b" })
    assert.equal("", names.prefix { "modules.a" })
    assert.equal("module.", names.prefix { "module.model.a", "module.b" })
  end)

  it("keep what the model's own all begin with", function()
    assert.equal("", names.prefix({ "model.a", "model.b" }, { "model.a", "model.b" }))
    assert.equal("module.", names.prefix({ "module.model.a" }, { "model.a" }))
    assert.equal("model.", names.prefix({ "model.a", "model.b" }, { "a", "model.b" }))
  end)

  it("are all behind a wrapper's, but for what counts the steps of an average", function()
    assert.equal("module.", names.prefix { "module.a", "module.b", "n_averaged" })
    assert.equal("module._orig_mod.", names.prefix { "module._orig_mod.a", "n_averaged" })
    assert.equal("", names.prefix { "n_averaged" })
    assert.equal("", names.prefix { "a", "module.b", "n_averaged" })
  end)

  it("may have a model's behind a prefix, among others", function()
    local hint = "; prefix = '%s' would look at names that begin so alone"
    assert.equal(hint:format "backbone.", names.hint { "a.weight", "backbone.layer1.0.conv1.weight" })
    assert.equal(hint:format "net.model.", names.hint { "net.model.features.0.weight" })
    assert.equal("", names.hint { "features.0.weight", "xfeatures.0.weight", ".features.0.weight" })
  end)

  it("of ViTs are read from torchvision's first form and from timm's", function()
    for other, own in pairs {
      ["encoder.layers.encoder_layer_11.mlp.linear_1.weight"] = "encoder.layers.encoder_layer_11.mlp.0.weight",
      ["encoder.layers.encoder_layer_0.mlp.linear_2.bias"] = "encoder.layers.encoder_layer_0.mlp.3.bias",
      ["cls_token"] = "class_token",
      ["pos_embed"] = "encoder.pos_embedding",
      ["patch_embed.proj.weight"] = "conv_proj.weight",
      ["blocks.0.norm1.weight"] = "encoder.layers.encoder_layer_0.ln_1.weight",
      ["blocks.10.norm2.bias"] = "encoder.layers.encoder_layer_10.ln_2.bias",
      ["blocks.3.attn.qkv.weight"] = "encoder.layers.encoder_layer_3.self_attention.in_proj_weight",
      ["blocks.3.attn.qkv.bias"] = "encoder.layers.encoder_layer_3.self_attention.in_proj_bias",
      ["blocks.3.attn.proj.bias"] = "encoder.layers.encoder_layer_3.self_attention.out_proj.bias",
      ["blocks.3.mlp.fc1.weight"] = "encoder.layers.encoder_layer_3.mlp.0.weight",
      ["blocks.3.mlp.fc2.bias"] = "encoder.layers.encoder_layer_3.mlp.3.bias",
      ["norm.weight"] = "encoder.ln.weight",
      ["head.bias"] = "heads.head.bias",
      ["heads.weight"] = "heads.head.weight",
      ["heads.1.bias"] = "heads.head.1.bias",
    } do
      assert.equal(own, names.torchvision(other))
      assert.equal(own, names.torchvision(own))
    end
    for _, name in ipairs { "features.0.weight", "layer1.0.downsample.0.weight", "fc.bias",
      "blocks.0.ls1.gamma", "xblocks.0.norm1.weight", "pos_embed_win" } do
      assert.equal(name, names.torchvision(name))
    end
  end)
end)
