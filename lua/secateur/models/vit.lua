--- Vision Transformer (Dosovitskiy et al. 2021) with torchvision's module names. `encoder.dropout` is the sequence that
-- enters the first block, and a block's output carries the block's name.
-- @module secateur.models.vit
local builder = require "secateur.models.builder"
local init_weights = require "secateur.models.init_weights"
local model = require "secateur.models.model"
local options = require "secateur.util.options"

local vit = {}

local configs = {
  vit_b_16 = { patch = 16, layers = 12, heads = 12, dim = 768, mlp = 3072 },
}

local named_rules = {
  classes = { type = "integer", min = 1, default = 1000 },
  size = { type = "integer", min = 1, default = 224 },
  channels = { type = "integer", min = 1, default = 3 },
  dropout = { type = "number", min = 0, below = 1, default = 0 },
  seed = { type = "integer", default = 0 },
}

local generic_rules = {
  patch = { type = "integer", min = 1, required = true },
  layers = { type = "integer", min = 1, required = true },
  heads = { type = "integer", min = 1, required = true },
  dim = { type = "integer", min = 1, required = true },
  mlp = { type = "integer", min = 1, required = true },
}
for key, rule in pairs(named_rules) do generic_rules[key] = rule end

local function maybe_dropout(net, name, x, p)
  return p > 0 and net:dropout(name, x, { p = p }) or x
end

local function encoder_block(net, name, x, opts)
  local y = net:layer_norm(name .. ".ln_1", x, { eps = 1e-6 })
  y = net:self_attention(name .. ".self_attention", y, { heads = opts.heads })
  y = maybe_dropout(net, name .. ".dropout", y, opts.dropout)
  x = net:add(name .. ".residual", { y, x })
  y = net:layer_norm(name .. ".ln_2", x, { eps = 1e-6 })
  y = net:linear(name .. ".mlp.0", y, { out = opts.mlp })
  y = net:gelu(name .. ".mlp.1", y)
  y = maybe_dropout(net, name .. ".mlp.2", y, opts.dropout)
  y = net:linear(name .. ".mlp.3", y, { out = opts.dim })
  y = maybe_dropout(net, name .. ".mlp.4", y, opts.dropout)
  return net:add(name, { x, y })
end

local function embed(net, x, opts)
  x = net:conv2d("conv_proj", x, { out = opts.dim, kernel = opts.patch, stride = opts.patch })
  x = net:tokens("tokens", x)
  local token = net:parameter("class_token", {}, { shape = { 1, opts.dim } }, { value = { name = "class_token" } })
  x = net:concat("sequence", { token, x })
  local position = net:parameter("encoder.pos_embedding", {}, { shape = net:shape(x) },
    { value = { name = "encoder.pos_embedding" } })
  if opts.dropout == 0 then return net:add("encoder.dropout", { x, position }) end
  return net:dropout("encoder.dropout", net:add("encoder.add", { x, position }), { p = opts.dropout })
end

local function build(opts)
  if opts.size % opts.patch ~= 0 then
    error(("patch: expected a divisor of size %d, got %d"):format(opts.size, opts.patch), 0)
  end
  local net, x = builder.new { opts.channels, opts.size, opts.size }
  x = embed(net, x, opts)
  for i = 0, opts.layers - 1 do
    x = encoder_block(net, "encoder.layers.encoder_layer_" .. i, x, opts)
  end
  x = net:layer_norm("encoder.ln", x, { eps = 1e-6 })
  x = net:select("token", x, { index = 1 })
  net:linear("heads.head", x, { out = opts.classes })
  init_weights(net.graph, {
    { "^conv_proj%.weight$", "lecun_truncated" },
    { "pos_embedding$", "normal", 0.02 },
    { "in_proj_weight$", "xavier_uniform" },
    { "out_proj%.weight$", "torch_default" },
    { "mlp%.%d%.weight$", "xavier_uniform" },
    { "mlp%.%d%.bias$", "normal", 1e-6 },
  }, opts.seed)
  return net.graph
end

--- A ViT of any size.
-- @tparam table opts
--   `patch`, `layers`, `heads`, `dim`, `mlp`, `classes` (1000), `size` (224, a multiple of patch), `channels` (3),
--   `dropout` (0), `seed` (0). As in torchvision the head starts at zero.
-- @treturn Model
function vit.generic(opts)
  local checked = options.check("vit", opts, generic_rules)
  return (model.guard("vit", function() return model.new(build(checked), { architecture = "vit" }) end))
end

--- A constructor for one of torchvision's: vit_b_16.
-- @string name
-- @treturn function opts (`classes`, `size`, `channels`, `dropout`, `seed`) -> Model
function vit.named(name)
  return function(opts)
    local checked = options.check(name, opts, named_rules)
    for key, value in pairs(configs[name]) do checked[key] = value end
    return (model.guard(name, function() return model.new(build(checked), { architecture = name }) end))
  end
end

return vit
