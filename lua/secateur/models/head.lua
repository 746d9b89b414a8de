--- The end of a classifier: global pooling, and heads of several layers.
-- @module secateur.models.head
local head = {}

-- A max pool whose window is the whole map.
local function global_max(net, name, x)
  local shape = net:shape(x)
  return net:max_pool2d(name, x, { kernel = { shape[2], shape[3] } })
end

local function global_avg(net, name, x) return net:adaptive_avg_pool2d(name, x, { output = 1 }) end

--- Pools maps to one number per channel.
-- @tparam Builder net
-- @string name of the node
-- @string x a node of shape [C x H x W]
-- @string kind "avg", "max", or both beside one another: "max_avg" (fastai's AdaptiveConcatPool2d), "avg_max" (timm's
--   catavgmax)
-- @treturn string a node of shape [C x 1 x 1], or [2C x 1 x 1] with both
function head.global_pool(net, name, x, kind)
  if kind == "avg" then return global_avg(net, name, x) end
  if kind == "max" then return global_max(net, name, x) end
  local avg, max = global_avg(net, name .. ".avg", x), global_max(net, name .. ".max", x)
  return net:concat(name, kind == "max_avg" and { max, avg } or { avg, max })
end

--- Adds the last layers.
-- @tparam Builder net
-- @string name of the linear layer, where the head is one
-- @string x a node of shape [features]
-- @tab opts `classes`; or `head_layers`, a list of {op, name, attrs}
-- @treturn string the output
function head.add(net, name, x, opts)
  if not opts.head_layers then return net:linear(name, x, { out = opts.classes }) end
  for _, layer in ipairs(opts.head_layers) do x = net[layer.op](net, layer.name, x, layer.attrs) end
  return x
end

return head
