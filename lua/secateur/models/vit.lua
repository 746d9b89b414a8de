--- Vision Transformer (Dosovitskiy et al. 2021) with torchvision's module names. `encoder.dropout` is the sequence that
-- enters the first block, and a block's output carries the block's name.
-- @module secateur.models.vit
local builder = require "secateur.models.builder"
local errors = require "secateur.util.errors"
local head = require "secateur.models.head"

local function maybe_dropout(net, name, x, p)
  return p > 0 and net:dropout(name, x, { p = p }) or x
end

local function encoder_block(net, name, x, opts)
  local y = net:layer_norm(name .. ".ln_1", x, { eps = opts.eps or 1e-6 })
  y = net:self_attention(name .. ".self_attention", y, { heads = opts.heads })
  y = maybe_dropout(net, name .. ".dropout", y, opts.dropout)
  x = net:add(name .. ".residual", { y, x })
  y = net:layer_norm(name .. ".ln_2", x, { eps = opts.eps or 1e-6 })
  y = net:linear(name .. ".mlp.0", y, { out = opts.mlp })
  y = net:gelu(name .. ".mlp.1", y, { approximation = opts.gelu })
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

--- Builds the graph: patches, encoder and head. What only files of weights ask for is no option of `rules`: `eps` of
-- norms, `gelu` ("none", "tanh": its approximation), `head_layers` as secateur.models.head has them.
local function graph(opts)
  if opts.size % opts.patch ~= 0 then
    errors.raise("patch: expected a divisor of size %d, got %d", opts.size, opts.patch)
  end
  local net, x = builder.new({ opts.channels, opts.size, opts.size }, opts.room)
  x = embed(net, x, opts)
  for i = 0, opts.layers - 1 do
    x = encoder_block(net, "encoder.layers.encoder_layer_" .. i, x, opts)
  end
  x = net:layer_norm("encoder.ln", x, { eps = opts.eps or 1e-6 })
  x = net:select("token", x, { index = 1 })
  head.add(net, "heads.head", x, opts)
  return net.graph
end

local function config(dim, heads, layers, mlp, patch)
  return { dim = dim, heads = heads, layers = layers, mlp = mlp, patch = patch }
end

--- The family, see secateur.models.constructors. Options: `patch`, `layers`, `heads`, `dim`, `mlp`, `classes` (1000),
-- `size` (224, a multiple of patch), `channels` (3), `dropout` (0), `seed` (0). As in torchvision the head starts at
-- zero. Besides torchvision's there are the small ones of Touvron et al. 2021, ti and s.
return {
  name = "vit",
  graph = graph,
  configs = {
    vit_ti_16 = config(192, 3, 12, 768, 16),
    vit_s_16 = config(384, 6, 12, 1536, 16),
    vit_b_16 = config(768, 12, 12, 3072, 16),
    vit_b_32 = config(768, 12, 12, 3072, 32),
    vit_l_16 = config(1024, 16, 24, 4096, 16),
    vit_l_32 = config(1024, 16, 24, 4096, 32),
    vit_h_14 = config(1280, 16, 32, 5120, 14),
  },
  free = { "dropout" },
  rules = {
    patch = { type = "integer", min = 1, required = true },
    layers = { type = "integer", min = 1, required = true },
    heads = { type = "integer", min = 1, required = true },
    dim = { type = "integer", min = 1, required = true },
    mlp = { type = "integer", min = 1, required = true },
    dropout = { type = "number", min = 0, below = 1, default = 0 },
  },
  initial = {
    { "^conv_proj%.weight$", "lecun_truncated" },
    { "pos_embedding$", "normal", 0.02 },
    { "in_proj_weight$", "xavier_uniform" },
    { "out_proj%.weight$", "torch_default" },
    { "mlp%.%d%.weight$", "xavier_uniform" },
    { "mlp%.%d%.bias$", "normal", 1e-6 },
  },
}
