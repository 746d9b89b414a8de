--- VGG (Simonyan and Zisserman 2015) with torchvision's module names.
-- @module secateur.models.vgg
local builder = require "secateur.models.builder"
local errors = require "secateur.util.errors"
local head = require "secateur.models.head"
local options = require "secateur.util.options"

local layers = {
  [11] = { 64, "M", 128, "M", 256, 256, "M", 512, 512, "M", 512, 512, "M" },
  [13] = { 64, 64, "M", 128, 128, "M", 256, 256, "M", 512, 512, "M", 512, 512, "M" },
  [16] = { 64, 64, "M", 128, 128, "M", 256, 256, 256, "M", 512, 512, 512, "M", 512, 512, 512, "M" },
  [19] = { 64, 64, "M", 128, 128, "M", 256, 256, 256, 256, "M", 512, 512, 512, 512, "M", 512, 512, 512, 512, "M" },
}

local function features(net, x, opts)
  local index = 0
  local function next_name()
    index = index + 1
    return "features." .. (index - 1)
  end
  for position, layer in ipairs(opts.config) do
    if layer == "M" then
      x = net:max_pool2d(next_name(), x, { kernel = 2, stride = 2 })
    elseif math.type(layer) == "integer" and layer >= 1 then
      x = net:conv2d(next_name(), x, { out = layer, kernel = 3, padding = 1 })
      if opts.batch_norm then x = net:batch_norm2d(next_name(), x, { eps = opts.eps }) end
      x = net:relu(next_name(), x)
    else
      errors.raise("config: expected channels or \"M\" at %d, got %s", position, options.describe(layer))
    end
  end
  return x
end

--- Builds the graph: features, pooling and classifier. What only files of weights ask for is no option of `rules`:
-- `eps` of norms, `head_name` of a single layer, `global_pool` and `head_layers` as secateur.models.head has them.
local function graph(opts)
  local net, x = builder.new({ opts.channels, opts.size, opts.size }, opts.room)
  x = features(net, x, opts)
  x = opts.global_pool and head.global_pool(net, "avgpool", x, opts.global_pool)
    or net:adaptive_avg_pool2d("avgpool", x, { output = opts.pool })
  x = net:flatten("flatten", x)
  local index = 0
  for _, width in ipairs(opts.hidden) do
    x = net:linear("classifier." .. index, x, { out = width })
    x = net:relu("classifier." .. index + 1, x)
    x = net:dropout("classifier." .. index + 2, x, { p = opts.dropout })
    index = index + 3
  end
  head.add(net, opts.head_name or "classifier." .. index, x, opts)
  return net.graph
end

local configs = {}
for depth, config in pairs(layers) do
  configs["vgg" .. depth] = { config = config }
  configs["vgg" .. depth .. "_bn"] = { config = config, batch_norm = true }
end

--- The family, see secateur.models.constructors. Options: `config` (list of channels, "M" for a 2 x 2 max pool),
-- `hidden` ({4096, 4096}), `pool` (7: side of the map before the classifier), `batch_norm` (false), `classes` (1000),
-- `size` (224), `channels` (3), `dropout` (0.5), `seed` (0).
return {
  name = "vgg",
  graph = graph,
  configs = configs,
  free = { "dropout" },
  rules = {
    config = { type = "table", required = true },
    hidden = { type = "table", default = { 4096, 4096 } },
    pool = { type = "integer", min = 1, default = 7 },
    batch_norm = { type = "boolean", default = false },
    dropout = { type = "number", min = 0, below = 1, default = 0.5 },
  },
  initial = {
    { "^features%..*%.weight$", "kaiming_out" },
    { "^classifier%..*weight$", "normal", 0.01 },
  },
}
