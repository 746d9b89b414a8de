--- Small models with every kind of head, and splits for them.
local core = require "secateur.core"
local custom = require "secateur.models.custom"
local memory_split = require "support.memory_split"

local head_models = {}

--- A linear model of images [1 x 2 x 2] whose first logits are the first pixels.
-- @int outputs how many logits
-- @string[opt] head "sigmoid"
function head_models.identity(outputs, head)
  local model = custom { input = { 1, 2, 2 }, head = head, build = function(net, x)
    return net:linear("head", net:flatten("flat", x), { out = outputs })
  end }
  local weight = core.zeros(outputs, 4)
  for output = 1, outputs do weight:set(1, output, output) end
  model:load_state { ["head.weight"] = weight, ["head.bias"] = core.zeros(outputs) }
  return model
end

--- A small convolutional network of images [1 x 8 x 8].
-- @int outputs how many logits
-- @string[opt] head "sigmoid"
-- @int[opt] seed
function head_models.network(outputs, head, seed)
  return custom { input = { 1, 8, 8 }, head = head, seed = seed or 1, build = function(net, x)
    x = net:relu("relu1", net:conv2d("conv1", x, { out = 6, kernel = 3, padding = 1 }))
    x = net:max_pool2d("pool", x, { kernel = 2 })
    x = net:relu("relu2", net:conv2d("conv2", x, { out = 8, kernel = 3, padding = 1 }))
    x = net:adaptive_avg_pool2d("mean", x, { output = { 1, 1 } })
    return net:linear("head", net:flatten("flat", x), { out = outputs })
  end }
end

--- A split of random images [1 x S x S] with several findings.
-- @int count
-- @tab labels list of rows, or the number of findings, drawn by the seed
-- @tab[opt] opts of memory_split; `size` (8), `seed`
function head_models.findings(count, labels, opts)
  opts = opts or {}
  local size, seed = opts.size or 8, opts.seed or 3
  if type(labels) ~= "table" then
    labels = core.rand(count, labels, { seed = seed + 1 }):totable()
    for _, row in ipairs(labels) do
      for c, value in ipairs(row) do row[c] = value < 0.4 and 1 or 0 end
    end
  end
  local given = { classes = opts.classes or { "nodule", "effusion", "opacity", "mass" }, unreadable = opts.unreadable }
  given.classes = table.move(given.classes, 1, #labels[1], 1, {})
  return memory_split(core.randn(count, 1, size, size, { seed = seed }), labels, given)
end

return head_models
