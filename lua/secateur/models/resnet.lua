--- ResNet (He et al. 2016; stride in the 3 x 3 convolution of a bottleneck, "v1.5") with torchvision's module names.
-- A block's output carries the block's name (`layer1.0`), the sum before it `<block>.add`.
-- @module secateur.models.resnet
local builder = require "secateur.models.builder"
local init_weights = require "secateur.models.init_weights"
local model = require "secateur.models.model"
local options = require "secateur.util.options"

local resnet = {}

local configs = {
  [18] = { block = "basic", blocks = { 2, 2, 2, 2 } },
  [34] = { block = "basic", blocks = { 3, 4, 6, 3 } },
  [50] = { block = "bottleneck", blocks = { 3, 4, 6, 3 } },
}

local named_rules = {
  classes = { type = "integer", min = 1, default = 1000 },
  size = { type = "integer", min = 1, default = 224 },
  channels = { type = "integer", min = 1, default = 3 },
  seed = { type = "integer", default = 0 },
}

local generic_rules = {
  block = { one_of = { "basic", "bottleneck" }, default = "bottleneck" },
  blocks = { type = "table", required = true },
  planes = { type = "table", required = true },
  stem = { type = "integer", min = 1, default = 64 },
}
for key, rule in pairs(named_rules) do generic_rules[key] = rule end

local function conv_bn(net, conv, bn, x, out, kernel, stride)
  x = net:conv2d(conv, x, { out = out, kernel = kernel, stride = stride, padding = kernel // 2, bias = false })
  return net:batch_norm2d(bn, x)
end

local branches = {}

function branches.basic(net, name, x, planes, stride)
  x = conv_bn(net, name .. ".conv1", name .. ".bn1", x, planes, 3, stride)
  x = net:relu(name .. ".relu1", x)
  return conv_bn(net, name .. ".conv2", name .. ".bn2", x, planes, 3, 1), planes
end

function branches.bottleneck(net, name, x, planes, stride)
  x = conv_bn(net, name .. ".conv1", name .. ".bn1", x, planes, 1, 1)
  x = net:relu(name .. ".relu1", x)
  x = conv_bn(net, name .. ".conv2", name .. ".bn2", x, planes, 3, stride)
  x = net:relu(name .. ".relu2", x)
  return conv_bn(net, name .. ".conv3", name .. ".bn3", x, 4 * planes, 1, 1), 4 * planes
end

local function block(net, name, x, kind, in_channels, planes, stride)
  local y, out = branches[kind](net, name, x, planes, stride)
  local shortcut = x
  if stride ~= 1 or in_channels ~= out then
    shortcut = conv_bn(net, name .. ".downsample.0", name .. ".downsample.1", x, out, 1, stride)
  end
  y = net:add(name .. ".add", { y, shortcut })
  return net:relu(name, y), out
end

local function build(opts)
  local net, x = builder.new { opts.channels, opts.size, opts.size }
  x = conv_bn(net, "conv1", "bn1", x, opts.stem, 7, 2)
  x = net:relu("relu", x)
  x = net:max_pool2d("maxpool", x, { kernel = 3, stride = 2, padding = 1 })
  local channels = opts.stem
  for stage, count in ipairs(opts.blocks) do
    for i = 1, count do
      local stride = stage > 1 and i == 1 and 2 or 1
      local name = ("layer%d.%d"):format(stage, i - 1)
      x, channels = block(net, name, x, opts.block, channels, opts.planes[stage], stride)
    end
  end
  x = net:adaptive_avg_pool2d("avgpool", x, { output = 1 })
  x = net:flatten("flatten", x)
  net:linear("fc", x, { out = opts.classes })
  init_weights(net.graph, {
    { "^fc%.weight$", "torch_default" },
    { "^fc%.bias$", "uniform", 1 / math.sqrt(channels) },
    { "conv%d%.weight$", "kaiming_out" },
    { "downsample%.0%.weight$", "kaiming_out" },
  }, opts.seed)
  return net.graph
end

local function check_counts(opts)
  if #opts.blocks ~= #opts.planes or #opts.blocks == 0 then
    error(("resnet: planes: expected as many as blocks, got %d and %d"):format(#opts.planes, #opts.blocks), 0)
  end
  for _, list in ipairs { "blocks", "planes" } do
    for i, value in ipairs(opts[list]) do
      if not (math.type(value) == "integer" and value >= 1) then
        error(("resnet: %s: expected whole numbers above 0, got %s at %d"):format(list, options.describe(value), i), 0)
      end
    end
  end
end

--- A ResNet of any depth and width.
-- @tparam table opts
--   `block` ("bottleneck" or "basic"), `blocks` (how many per stage), `planes` (base width of each stage), `stem` (64),
--   `classes` (1000), `size` (224), `channels` (3), `seed` (0)
-- @treturn Model
function resnet.generic(opts)
  local checked = options.check("resnet", opts, generic_rules)
  return (model.guard("resnet", function()
    check_counts(checked)
    return model.new(build(checked), { architecture = "resnet" })
  end))
end

--- A constructor for one of torchvision's: resnet18, resnet34, resnet50.
-- @int depth
-- @treturn function opts (`classes`, `size`, `channels`, `seed`) -> Model
function resnet.named(depth)
  local name = "resnet" .. depth
  return function(opts)
    local checked = options.check(name, opts, named_rules)
    checked.block, checked.blocks = configs[depth].block, configs[depth].blocks
    checked.planes, checked.stem = { 64, 128, 256, 512 }, 64
    return (model.guard(name, function() return model.new(build(checked), { architecture = name }) end))
  end
end

return resnet
