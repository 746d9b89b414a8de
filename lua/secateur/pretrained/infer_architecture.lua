--- Tells from names and shapes alone which architecture a file's weights belong to.
--
-- What shapes cannot tell is taken as torchvision has it: that a VGG ends with a max pool, where a ResNet strides
-- (and that it does not blur: timm's resnetblur50 has the names of a resnet50), the epsilon of norms, and how a ViT's
-- width is cut into heads (see `heads_of`).
-- @module secateur.pretrained.infer_architecture
local errors = require "secateur.util.errors"
local families = require "secateur.models.families"
local options = require "secateur.util.options"

local infer_architecture = {}

local function dims(shape) return "[" .. table.concat(shape, "x") .. "]" end

-- The shape of a weight that must be there, with so many dimensions.
local function weight(shapes, name, ndim)
  local shape = shapes[name]
  if not shape then errors.raise("expected a tensor '%s', which is not there", name) end
  if #shape ~= ndim then errors.raise("'%s': expected %d dimensions, got %s", name, ndim, dims(shape)) end
  return shape
end

local function square_root(n)
  local root = math.floor(math.sqrt(n) + 0.5)
  return root * root == n and root or nil
end

-- Indices and shapes of the weights `<stem>.<index>.weight` with so many dimensions, in order.
local function indexed(shapes, stem, ndim)
  local found = {}
  for name, shape in pairs(shapes) do
    local index = #shape == ndim and name:match("^" .. stem .. "%.(%d+)%.weight$")
    if index then found[#found + 1] = { index = math.tointeger(index), shape = shape } end
  end
  table.sort(found, function(a, b) return a.index < b.index end)
  return found
end

-- ---- VGG ----

local vgg = { family = families.of "vgg" }

function vgg.fits(shapes) return shapes["features.0.weight"] and #indexed(shapes, "classifier", 2) > 0 end

local function vgg_features(shapes)
  local convs, config, next_index = indexed(shapes, "features", 4), {}, 0
  local batch_norm = shapes["features.1.running_mean"] ~= nil
  for _, conv in ipairs(convs) do
    local shape, pools = conv.shape, conv.index - next_index
    if shape[3] ~= 3 or shape[4] ~= 3 then
      errors.raise("'features.%d.weight': expected the 3x3 kernel of a VGG, got %s", conv.index, dims(shape))
    elseif pools < 0 or pools > 1 or (pools == 1 and #config == 0) then
      errors.raise("'features.%d.weight': expected a VGG's convolutions, with a ReLU and at most one pool between them",
        conv.index)
    end
    if pools == 1 then config[#config + 1] = "M" end
    config[#config + 1] = shape[1]
    next_index = conv.index + (batch_norm and 3 or 2)
  end
  config[#config + 1] = "M"
  return config, batch_norm, convs[#convs].shape[1]
end

function vgg.read(shapes)
  weight(shapes, "features.0.weight", 4)
  local config, batch_norm, width = vgg_features(shapes)
  local linear, hidden = indexed(shapes, "classifier", 2), {}
  local pool = square_root(linear[1].shape[2] / width)
  if linear[1].index ~= 0 or not pool or pool == 0 then
    errors.raise("'classifier.%d.weight': expected a VGG's first linear layer, classifier.0, on square maps of %d "
      .. "channels, "
      .. "got %s", linear[1].index, width, dims(linear[1].shape))
  end
  for i, layer in ipairs(linear) do
    if layer.index ~= 3 * (i - 1) then break end -- what follows is no part of a VGG, and will be found unexpected
    hidden[i] = layer.shape[1]
  end
  -- torchvision's second hidden layer is the last where the head was cut off, and no head itself.
  local cut = #linear == 2 and linear[2].shape[1] == 4096 and linear[2].shape[2] == 4096
  local last = ("classifier.%d."):format(3 * #hidden)
  local own = true -- the last of these is the head, unless that is a Sequential, with layers of its own
  for name in pairs(shapes) do own = own and name:sub(1, #last) ~= last end
  local classes = own and not cut and table.remove(hidden) or nil
  return { config = config, batch_norm = batch_norm, hidden = hidden, pool = pool, classes = classes, dropout = 0.5,
    channels = shapes["features.0.weight"][2] }, "classifier." .. 3 * #hidden
end

-- ---- ResNet ----

local resnet = { family = families.of "resnet" }

function resnet.fits(shapes) return shapes["conv1.weight"] and shapes["layer1.0.conv1.weight"] end

-- Planes, groups and width per group of a bottleneck.
local function bottleneck(shapes, name)
  local width = weight(shapes, name .. ".conv1.weight", 4)[1]
  local inputs = weight(shapes, name .. ".conv2.weight", 4)[2]
  local out = weight(shapes, name .. ".conv3.weight", 4)[1]
  local groups, planes = width // math.max(inputs, 1), out // 4
  local per_group = planes > 0 and groups > 0 and width // groups * 64 // planes or 0
  if groups * inputs ~= width or planes * 4 ~= out or per_group < 1 or planes * per_group // 64 * groups ~= width then
    errors.raise("'%s': expected a bottleneck of torchvision's, got %d, %d and %d channels", name, width, inputs, out)
  end
  return planes, groups, per_group
end

function resnet.read(shapes)
  local stem = weight(shapes, "conv1.weight", 4)
  if stem[3] ~= 7 or stem[4] ~= 7 then
    errors.raise("'conv1.weight': expected the 7x7 kernel of a ResNet's stem, got %s (strides and pools of other stems "
      .. "cannot be seen in a file)", dims(stem))
  end
  local deep = shapes["layer1.0.conv3.weight"] ~= nil
  local opts = { block = deep and "bottleneck" or "basic", stem = stem[1], channels = stem[2], blocks = {},
    planes = {}, groups = 1, width_per_group = 64 }
  local stage = 1
  while shapes[("layer%d.0.conv1.weight"):format(stage)] do
    local name, count = ("layer%d."):format(stage), 1
    while shapes[name .. count .. ".conv1.weight"] do count = count + 1 end
    opts.blocks[stage] = count
    if deep then
      local planes, groups, width = bottleneck(shapes, name .. "0")
      if stage > 1 and (groups ~= opts.groups or width ~= opts.width_per_group) then
        errors.raise("'%s0': expected groups x width of %d x %d as in the stages before, got %d x %d", name,
          opts.groups,
          opts.width_per_group, groups, width)
      end
      opts.planes[stage], opts.groups, opts.width_per_group = planes, groups, width
    else
      opts.planes[stage] = weight(shapes, name .. "0.conv1.weight", 4)[1]
    end
    stage = stage + 1
  end
  opts.classes = shapes["fc.weight"] and weight(shapes, "fc.weight", 2)[1]
  return opts, "fc"
end

-- ---- ViT ----

local vit = { family = families.of "vit" }

function vit.fits(shapes)
  return shapes["encoder.pos_embedding"] or shapes["conv_proj.weight"] and shapes["class_token"]
end

-- Widths whose heads are not 64 wide: ViT-H; the shape-optimised one; g and G (Zhai et al. 2022).
local heads_by_width = { [1280] = 16, [1152] = 16, [1408] = 16, [1664] = 16 }

-- Heads leave no trace in shapes. Nearly all ViTs have heads of 64 features; exceptions that are known are listed, and
-- timm's first vit_small (768 wide, 8 heads) had a hidden layer of three times its width, as no other had.
local function heads_of(dim, mlp, notes)
  local heads = heads_by_width[dim] or mlp == 3 * dim and dim == 768 and 8 or dim % 64 == 0 and dim // 64
  if not heads or heads == 0 then
    errors.raise("the number of attention heads cannot be seen in the file, and %d features are not a multiple of 64: "
      .. "give heads = n", dim)
  end
  for _, config in pairs(vit.family.configs) do
    if config.dim == dim and config.mlp == mlp then return heads end
  end
  notes[#notes + 1] = ("took %d features as %d attention heads, which the file does not tell (heads = n)"):format(dim,
    heads)
  return heads
end

function vit.read(shapes, heads, notes)
  local patch = weight(shapes, "conv_proj.weight", 4)
  local embedding = weight(shapes, "encoder.pos_embedding", 3)
  weight(shapes, "class_token", 3)
  local dim, side = patch[1], square_root(embedding[2] - 1)
  if patch[3] ~= patch[4] then errors.raise("'conv_proj.weight': expected square patches, got %s", dims(patch)) end
  if not side or side == 0 then
    errors.raise("'encoder.pos_embedding': expected embeddings of a class token and of a square of patches, got %s",
      dims(embedding))
  end
  local layers = 0
  while shapes[("encoder.layers.encoder_layer_%d.ln_1.weight"):format(layers)] do layers = layers + 1 end
  if layers == 0 then errors.raise("expected the layers of a ViT's encoder, found none") end
  local mlp = weight(shapes, "encoder.layers.encoder_layer_0.mlp.0.weight", 2)[1]
  return { dim = dim, patch = patch[3], channels = patch[2], size = side * patch[3], layers = layers, mlp = mlp,
    dropout = 0, heads = heads or heads_of(dim, mlp, notes),
    classes = shapes["heads.head.weight"] and weight(shapes, "heads.head.weight", 2)[1] }, "heads.head"
end

-- ---- all ----

-- Pattern for a name, and what it tells about a model that is not supported.
local unsupported = {
  { "relative_position_bias_table", "windows or biases of relative position (Swin, BEiT)" },
  { "^dist_token$", "a distillation token (DeiT)" },
  { "reg_tokens?$", "register tokens" },
  { "register_tokens$", "register tokens" },
  { "^mask_token$", "a mask token (DINOv2, MAE)" },
  { "%.ls[12]%.gamma$", "layer scale" },
  { "%.gamma_[12]$", "layer scale" },
  { "%.attn%.[qk]_norm%.", "norms of queries and keys" },
  { "^fc_norm%.", "a head on the mean of all tokens" },
  { "^attn_pool%.", "attention pooling" },
  { "^norm_pre%.", "a norm before its blocks (CLIP)" },
  { "%.mlp%.w12%.", "gated hidden layers" },
  { "%.mlp%.fc1_[gx]%.", "gated hidden layers" },
  { "^pre_logits%.", "a layer before its head" },
  { "^heads%.pre_logits%.", "a layer before its head" },
  { "^conv_proj%.conv_", "a convolutional stem" },
  { "^conv1%.%d+%.", "a deep stem (ResNet-C, -D, -T)" },
  { "%.se%.", "squeeze and excitation" },
  { "%.eca%.", "channel attention" },
  { "^conv_stem%.", "a stem of timm's EfficientNet or MobileNet" },
  { "^features%.%d+%.%d+%.", "features of torchvision's EfficientNet, MobileNet, ConvNeXt or Swin" },
  { "^features%.denseblock", "DenseNet's blocks" },
  { "^stages%.", "stages of ConvNeXt or RegNet" },
  { "attention%.query%.", "queries, keys and values apart (Hugging Face's ViT)" },
  { "lora_", "LoRA adapters, which were not merged" },
  { "_mask$", "masks of torch.nn.utils.prune, which prune.remove would have merged" },
  { "_packed_params", "quantised layers" },
  { "%.zero_point$", "quantised layers" },
}

local supported = "supported are VGG, ResNet (also wide, and ResNeXt) and ViT as torchvision has them, "
  .. "and ViT as timm does"

local function check_known(list, shapes, called)
  for _, entry in ipairs(unsupported) do
    for _, name in ipairs(list) do
      if name:find(entry[1]) then
        errors.raise("the weights are of a model with %s ('%s' %s); %s", entry[2], called[name], dims(shapes[name]),
          supported)
      end
    end
  end
  for _, name in ipairs(list) do
    for _, size in ipairs(shapes[name]) do
      if size == 0 then errors.raise("'%s': expected elements, got %s", called[name], dims(shapes[name])) end
    end
  end
end

local function some(list, shapes, called)
  local shown = {}
  for i = 1, math.min(#list, 6) do shown[i] = ("'%s' %s"):format(called[list[i]], dims(shapes[list[i]])) end
  return table.concat(shown, ", ") .. (#list > 6 and (", and %d more"):format(#list - 6) or "")
end

--- What a file's tensors are weights of. Raises a sentence on what it found where that is no
-- architecture it knows, or not one for certain.
-- @tab shapes torchvision's name of each tensor -> its shape
-- @tab called torchvision's name of each tensor -> the name in the file, for messages
-- @tparam[opt] int heads of a ViT, where known
-- @treturn table `family`; `opts`, complete but for what the file does not tell: `classes` without a plain head, `size`
--   unless of a ViT; `head`, the name of the last layer; `notes`, what had to be assumed
function infer_architecture.model(shapes, called, heads)
  local list, notes = options.sorted_keys(shapes), {}
  check_known(list, shapes, called)
  for _, one in ipairs { vgg, resnet, vit } do
    if one.fits(shapes) then
      local opts, head = one.read(shapes, heads, notes)
      return { family = one.family, opts = opts, head = head, notes = notes }
    end
  end
  return errors.raise("expected weights of a known architecture, got %s; %s",
    #list == 0 and "no tensors" or some(list, shapes, called), supported)
end

return infer_architecture
