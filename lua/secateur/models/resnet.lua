--- ResNet (He et al. 2016; stride in the 3 x 3 convolution of a bottleneck, "v1.5") with torchvision's module names.
-- A block's output carries the block's name (`layer1.0`), the sum before it `<block>.add`.
-- @module secateur.models.resnet
local builder = require "secateur.models.builder"
local errors = require "secateur.util.errors"
local head = require "secateur.models.head"
local options = require "secateur.util.options"

local function conv_bn(net, opts, conv, bn, x, out, kernel, stride, groups)
  x = net:conv2d(conv, x, { out = out, kernel = kernel, stride = stride, padding = kernel // 2, bias = false,
    groups = groups })
  return net:batch_norm2d(bn, x, { eps = opts.eps })
end

local branches = {}

function branches.basic(net, name, x, planes, stride, opts)
  x = conv_bn(net, opts, name .. ".conv1", name .. ".bn1", x, planes, 3, stride)
  x = net:relu(name .. ".relu1", x)
  return conv_bn(net, opts, name .. ".conv2", name .. ".bn2", x, planes, 3, 1), planes
end

function branches.bottleneck(net, name, x, planes, stride, opts)
  local width = planes * opts.width_per_group // 64 * opts.groups
  x = conv_bn(net, opts, name .. ".conv1", name .. ".bn1", x, width, 1, 1)
  x = net:relu(name .. ".relu1", x)
  x = conv_bn(net, opts, name .. ".conv2", name .. ".bn2", x, width, 3, stride, opts.groups)
  x = net:relu(name .. ".relu2", x)
  return conv_bn(net, opts, name .. ".conv3", name .. ".bn3", x, 4 * planes, 1, 1), 4 * planes
end

local function block(net, name, x, opts, in_channels, planes, stride)
  local y, out = branches[opts.block](net, name, x, planes, stride, opts)
  local shortcut = x
  if stride ~= 1 or in_channels ~= out then
    shortcut = conv_bn(net, opts, name .. ".downsample.0", name .. ".downsample.1", x, out, 1, stride)
  end
  y = net:add(name .. ".add", { y, shortcut })
  return net:relu(name, y), out
end

local function check_counts(opts)
  if #opts.blocks ~= #opts.planes or #opts.blocks == 0 then
    errors.raise("planes: expected as many as blocks, got %d and %d", #opts.planes, #opts.blocks)
  end
  for _, list in ipairs { "blocks", "planes" } do
    for i, value in ipairs(opts[list]) do
      if not (math.type(value) == "integer" and value >= 1) then
        errors.raise("%s: expected whole numbers above 0, got %s at %d", list, options.describe(value), i)
      end
    end
  end
end

--- Builds the graph: stem, stages and head. What only files of weights ask for is no option of `rules`: `eps` of
-- norms, `global_pool` and `head_layers` as secateur.models.head has them.
local function graph(opts)
  check_counts(opts)
  local net, x = builder.new({ opts.channels, opts.size, opts.size }, opts.room)
  x = conv_bn(net, opts, "conv1", "bn1", x, opts.stem, opts.stem_kernel or 7, opts.stem_stride or 2)
  x = net:relu("relu", x)
  if opts.stem_pool ~= false then x = net:max_pool2d("maxpool", x, { kernel = 3, stride = 2, padding = 1 }) end
  local channels = opts.stem
  for stage, count in ipairs(opts.blocks) do
    for i = 1, count do
      local stride = stage > 1 and i == 1 and 2 or 1
      local name = ("layer%d.%d"):format(stage, i - 1)
      x, channels = block(net, name, x, opts, channels, opts.planes[stage], stride)
    end
  end
  x = head.global_pool(net, "avgpool", x, opts.global_pool or "avg")
  x = net:flatten("flatten", x)
  head.add(net, "fc", x, opts)
  return net.graph
end

local function config(kind, blocks, groups, width)
  return { block = kind, blocks = blocks, planes = { 64, 128, 256, 512 }, groups = groups, width_per_group = width }
end

local deep = { 3, 4, 23, 3 }

--- The family, see secateur.models.constructors. Options: `block` ("bottleneck" or "basic"), `blocks` (how many per
-- stage), `planes` (base width of each stage), `stem` (64), `stem_kernel` (7, odd), `stem_stride` (2), `stem_pool`
-- (true: a max pool behind the stem; images of CIFAR's size want 3, 1 and false), `groups` (1) and `width_per_group`
-- (64) of bottlenecks (Xie et al. 2017; Zagoruyko and Komodakis 2016), `classes` (1000), `size` (224), `channels` (3),
-- `seed` (0).
return {
  name = "resnet",
  graph = graph,
  configs = {
    resnet18 = config("basic", { 2, 2, 2, 2 }),
    resnet34 = config("basic", { 3, 4, 6, 3 }),
    resnet50 = config("bottleneck", { 3, 4, 6, 3 }),
    resnet101 = config("bottleneck", deep),
    resnet152 = config("bottleneck", { 3, 8, 36, 3 }),
    resnext50_32x4d = config("bottleneck", { 3, 4, 6, 3 }, 32, 4),
    resnext101_32x8d = config("bottleneck", deep, 32, 8),
    resnext101_64x4d = config("bottleneck", deep, 64, 4),
    wide_resnet50_2 = config("bottleneck", { 3, 4, 6, 3 }, 1, 128),
    wide_resnet101_2 = config("bottleneck", deep, 1, 128),
  },
  free = {},
  rules = {
    block = { one_of = { "basic", "bottleneck" }, default = "bottleneck" },
    blocks = { type = "table", required = true },
    planes = { type = "table", required = true },
    stem = { type = "integer", min = 1, default = 64 },
    stem_kernel = { one_of = { 1, 3, 5, 7 }, default = 7 },
    stem_stride = { type = "integer", min = 1, default = 2 },
    stem_pool = { type = "boolean", default = true },
    groups = { type = "integer", min = 1, default = 1 },
    width_per_group = { type = "integer", min = 1, default = 64 },
  },
  initial = {
    { "^fc%..*weight$", "torch_default" },
    { "^fc%..*bias$", "torch_default_bias" },
    { "conv%d%.weight$", "kaiming_out" },
    { "downsample%.0%.weight$", "kaiming_out" },
  },
}
