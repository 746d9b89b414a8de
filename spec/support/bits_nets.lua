--- The networks and images whose results are compared to the bit. Together they have what the core does in different
-- ways: convolutions through Winograd's transform (3 x 3, enough channels), strided, 1 x 1, 7 x 7, grouped and
-- dilated ones; sums longer than a chain of 256; maxima that are tied; batch norm, layer norm, attention, GELU. Many
-- sizes are such that no vector divides them.
local core = require "secateur.core"
local custom = require "secateur.models.custom"
local every_operation = require "support.every_operation"
local models = require "secateur.models"

local nets = { size = 24, classes = 4, samples = 16 }

-- Scales, shifts, biases and running statistics that are no identity, and heads that are not zero.
local function shake(model)
  for i, p in ipairs(model.graph:parameters()) do
    local flat = #p.shape < 2
    if p.dtype ~= "int64" and (flat or model.graph:parameter(p.name):abs():max() == 0) then
      local sizes = { table.unpack(p.shape) }
      sizes[#sizes + 1] = { seed = core.mix(77, i), std = 0.2 }
      local value = core.randn(table.unpack(sizes))
      if p.name:find "var$" then value = value:abs() * 4 + 0.5 end
      if flat and p.name:find "weight$" then value = value + 1 end
      model.graph:set_parameter(p.name, value)
    end
  end
  return model
end

local function sized(opts)
  opts.size, opts.classes, opts.channels, opts.seed = nets.size, nets.classes, 1, 3
  return opts
end

-- Black borders, and stripes of few greys inside, so that maxima are tied; half of them with noise in the lower half.
local function stripes(count, size)
  local noise, images = core.randn(count, size, size, { seed = 11, std = 0.7 }):totable(), {}
  for i = 1, count do
    local rows = {}
    for y = 1, size do
      rows[y] = {}
      for x = 1, size do
        local inside = math.min(x, y, size + 1 - x, size + 1 - y) > 3
        local value = inside and ((i % 3 == 0 and x or y) // (i % 4 + 1)) % 3 - 0.75 or -1.5
        if inside and i % 2 == 0 and y > size / 2 then value = value + noise[i][y][x] end
        rows[y][x] = value
      end
    end
    images[i] = { rows }
  end
  return core.tensor(images)
end

--- Phantoms to train, score and evaluate on: `train` of 40 and `test` of 16.
function nets.data(opts)
  local given = { count = 64, size = nets.size, channels = 1, seed = 5, quiet = true,
    splits = { train = 0.625, val = 0.125, test = 0.25 } }
  for key, value in pairs(opts or {}) do given[key] = value end
  return require "secateur.data".phantom(given)
end

--- A batch of 16 for these networks: stripes, then phantoms.
-- @tparam Dataset data what `nets.data` gives
function nets.images(data)
  local half = nets.samples // 2
  local x = core.zeros(nets.samples, 1, nets.size, nets.size)
  x:view(1, half):copy(stripes(half, nets.size))
  local indices = {}
  for i = 1, half do indices[i] = i end
  x:view(half + 1, nets.samples):copy((data.train:batch(indices)))
  return x
end

--- The networks in order, each `name`, `make()` (a Model with its initial weights), `mid` (a node inside),
-- `composites`, `modes` (of DL-Backtrace), `guided` (whether all its activations are ReLU), `train` and `score` (what
-- train and importance are told; none for a network that takes no phantoms).
nets.list = {
  { name = "vgg", mid = "features.5", composites = { "epsilon_plus", "epsilon_gamma_box" }, guided = true,
    modes = { "default", "contrastive" }, score = { method = "lrp" },
    train = { optimiser = "sgd", lr = 0.01, nesterov = true, weight_decay = 1e-3, clip = 1, augment = true },
    make = function()
      return models.vgg(sized { config = { 12, "M", 24, "M", 26, "M" }, hidden = { 600 }, pool = 3 })
    end },
  { name = "vgg_bn", mid = "features.6", composites = { "epsilon_plus_flat", "epsilon_alpha2_beta1" }, guided = true,
    modes = { "default" }, score = { method = "ig", steps = 2 },
    train = { optimiser = "adamw", lr = 1e-3, label_smoothing = 0.1, ema = 0.9, augment = false },
    make = function()
      return models.vgg(sized { config = { 7, "M", 25, "M", 33, "M" }, hidden = { 30, 20 }, pool = 2,
        batch_norm = true })
    end },
  { name = "resnet", mid = "layer1.0", composites = { "epsilon_plus", "epsilon_gamma_box" }, guided = true,
    modes = { "default" }, score = { method = "taylor" },
    train = { optimiser = "sgd", lr = 0.02, schedule = "constant", augment = false },
    make = function()
      return models.resnet(sized { stem = 9, planes = { 25, 28 }, blocks = { 1, 1 } })
    end },
  { name = "vit", mid = "encoder.layers.encoder_layer_0", composites = { "attnlrp", "cp_lrp" },
    modes = { "default" }, score = { method = "lrp" },
    train = { optimiser = "adamw", lr = 1e-3, schedule = "cosine", warmup = 0.4, augment = false },
    make = function()
      return models.vit(sized { patch = 3, layers = 2, heads = 2, dim = 26, mlp = 70, dropout = 0.1 })
    end },
  { name = "every", mid = "both", composites = { "attnlrp" }, modes = { "default" },
    make = function() return custom { input = { 3, 17, 14 }, build = every_operation, seed = 3 } end },
}

--- A network's model with parameters that are not initial ones any more.
-- @tab net an entry of the list
function nets.model(net) return shake(net.make()) end

return nets
