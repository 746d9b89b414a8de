--- Small models of every family, for specs.
local custom = require "secateur.models.custom"
local models = require "secateur.models"

local families = {}

--- What no architecture has: groups, dilation, concat, dropout, other activations, a map that is not square.
function families.custom()
  return custom { input = { 2, 9, 7 }, name = "mixture", build = function(net, x)
    local a = net:conv2d("left", x, { out = 4, kernel = { 3, 2 }, padding = { 1, 0 }, groups = 2 })
    local b = net:conv2d("right", x, { out = 6, kernel = { 3, 2 }, padding = { 2, 0 }, dilation = { 2, 1 } })
    local c = net:concat("both", { net:silu("left.act", a), net:tanh("right.act", b) })
    c = net:dropout("drop", net:batch_norm2d("norm", c, { eps = 1e-3 }), { p = 0.3 })
    c = net:avg_pool2d("pool", c, { kernel = { 2, 3 }, stride = { 2, 1 } })
    c = net:flatten("flat", net:adaptive_avg_pool2d("shrink", c, { output = { 2, 1 } }))
    return net:linear("head", net:gelu("head.act", c, { approximation = "tanh" }), { out = 3, bias = false })
  end }
end

--- All families, by name.
-- @treturn table name -> Model
function families.all()
  local list = {
    vgg = models.vgg { config = { 4, "M", 6, "M" }, hidden = { 10 }, pool = 2, classes = 3, size = 16 },
    vgg_bn = models.vgg { config = { 4, "M", 6 }, hidden = {}, pool = 1, classes = 3, size = 8, batch_norm = true },
    basic = models.resnet { block = "basic", stem = 4, planes = { 4, 6 }, blocks = { 1, 2 }, classes = 3, size = 32 },
    bottleneck = models.resnet { stem = 4, planes = { 2, 3 }, blocks = { 1, 1 }, classes = 3, size = 32,
      channels = 1 },
    vit = models.vit { size = 16, patch = 4, layers = 2, heads = 2, dim = 8, mlp = 12, classes = 3, dropout = 0.1 },
    custom = families.custom(),
  }
  for _, model in pairs(list) do families.shake(model) end
  return list
end

--- Gives all parameters numbers, so that no head is zero and no batch norm an identity.
-- @tparam Model model
-- @treturn Model
function families.shake(model)
  local core = require "secateur.core"
  for i, p in ipairs(model.graph:parameters()) do
    if p.dtype ~= "int64" then
      local sizes = { table.unpack(p.shape) }
      local fan = #sizes > 1 and sizes[2] * (sizes[3] or 1) * (sizes[4] or 1) or 4
      sizes[#sizes + 1] = { seed = i, std = 1 / math.sqrt(fan) }
      local value = core.randn(table.unpack(sizes))
      if p.name:find "running_var" then value = value:abs() + 0.5 end
      model.graph:set_parameter(p.name, value)
    end
  end
  return model
end

--- Prunes half of a model's units, whichever.
-- @tparam Model model
-- @treturn Model
function families.halved(model)
  local core, prune = require "secateur.core", require "secateur.pruning.prune"
  local scores = {}
  for _, layer in ipairs(model:layers()) do scores[layer.name] = core.randn(layer.units, { seed = layer.units }) end
  return prune(model, scores, { rate = 0.5, min_units = 0 })
end

--- A batch that a model takes.
-- @tparam Model model
-- @int n
-- @int[opt=1] seed
function families.batch(model, n, seed)
  local core = require "secateur.core"
  local c, h, w = table.unpack(model.input_shape)
  return core.randn(n, c, h, w, { seed = seed or 1 })
end

return families
