--- What gives away a network that cannot be read.
-- @module secateur.pretrained.unsupported
local unsupported = {}

-- Pattern for a name, and what it tells about a model that is not supported.
local signs = {
  { "relative_position_bias_table", "windows or biases of relative position (Swin, BEiT)" },
  { "^dist_token$", "a distillation token (DeiT)" },
  { "distillation_token$", "a distillation token (DeiT)" },
  { "reg_tokens?$", "register tokens" },
  { "register_tokens$", "register tokens" },
  { "^mask_token$", "a mask token (DINOv2, MAE)" },
  { "%.ls[12]%.gamma$", "layer scale" },
  { "%.layer_scale[12]%.", "layer scale" },
  { "%.gamma_[12]$", "layer scale" },
  { "%.lambda_[12]$", "layer scale" },
  { "%.attn%.[qk]_norm%.", "norms of queries and keys" },
  { "^fc_norm%.", "a head on the mean of all tokens" },
  { "^attn_pool%.", "attention pooling" },
  { "^norm_pre%.", "a norm before its blocks (CLIP)" },
  { "%.mlp%.w12%.", "gated hidden layers" },
  { "%.mlp%.fc1_[gx]%.", "gated hidden layers" },
  { "^pre_logits%.", "a layer before its head" },
  { "^heads%.pre_logits%.", "a layer before its head" },
  { "^conv_proj%.conv_", "a convolutional stem" },
  { "^stage%d%.%d+%.branch%d", "ShuffleNet's units" },
  { "^conv1%.%d+%.", "a deep stem (ResNet-C, -D, -T)" },
  { "^conv_stem%.", "a stem of timm's EfficientNet or MobileNet" },
  { "%.convs%.%d+%.", "Res2Net's scales" },
  { "%.se%.", "squeeze and excitation" },
  { "%.eca%.", "channel attention" },
  { "^_conv_stem%.", "a stem of EfficientNet" },
  { "^features%.%d+%.squeeze%.", "SqueezeNet's modules" },
  { "^features%.%d+%.%d+%.", "features of torchvision's EfficientNet, MobileNet, ConvNeXt or Swin" },
  { "^features%.denseblock", "DenseNet's blocks" },
  { "^denseblock%d", "DenseNet's blocks" },
  { "^stages%.%d+%.blocks%.%d+%.conv_dw%.", "stages of ConvNeXt" },
  { "dwconv%.", "stages of ConvNeXt" },
  { "^stages%.%d+%.blocks%.%d+%.norm%d%.", "norms before its convolutions (ResNetV2, BiT)" },
  { "^stages%.", "stages of ConvNeXt or RegNet" },
  { "^trunk_output%.", "stages of RegNet" },
  { "^s%d%.b%d+%.", "stages of RegNet" },
  { "^block%d+%.rep%.", "Xception's blocks" },
  { "^inception%d", "GoogLeNet's modules" },
  { "^Mixed_%d", "Inception's modules" },
  { "attention%.query%.", "queries, keys and values apart" },
  { "lora_", "LoRA adapters, which were not merged" },
  { "_mask$", "masks of torch.nn.utils.prune, which prune.remove would have merged" },
  { "_packed_params", "quantised layers" },
  { "%.zero_point$", "quantised layers" },
}

-- Where in a name a sign stands: a sign of the beginning also behind a dot, since networks stand behind prefixes.
local function stands_in(name, pattern)
  local at = 1
  while at do
    if name:find(pattern, at) then return true end
    local dot = pattern:sub(1, 1) == "^" and name:find(".", at, true)
    at = dot and dot + 1
  end
  return false
end

--- The first sign of an unsupported network among names, in the order of the signs.
-- @tparam {string,...} names
-- @treturn ?string what it is; nil where there is none
-- @treturn string the name
function unsupported.find(names)
  for _, sign in ipairs(signs) do
    for _, name in ipairs(names) do
      if stands_in(name, sign[1]) then return sign[2], name end
    end
  end
  return nil
end

return unsupported
