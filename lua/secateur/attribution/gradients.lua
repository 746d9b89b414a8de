--- The gradient and its relatives: gradient x input, SmoothGrad, guided backpropagation.
-- @module secateur.attribution.gradients
local core = require "secateur.core"
local batch_budget = require "secateur.attribution.batch_budget"

local gradients = {}

--- Option rules of each method.
gradients.rules = {
  gradient = {},
  gradient_x_input = {},
  smoothgrad = {
    samples = { type = "integer", min = 1, max = 1 << 20, default = 25 },
    noise = { type = "number", min = 0, max = 1e6, default = 0.15 },
    seed = { type = "integer", default = 0 },
  },
  guided_backprop = {},
}

--- Prepares a model; see secateur.attribution.methods.
-- @tparam Model model
-- @tab request
-- @treturn function explain
-- @treturn function close
function gradients.prepare(model, request)
  local opts, method = request.options, request.method
  local product, smooth = method == "gradient_x_input", method == "smoothgrad"
  -- at nodes, norms scale gradients
  local graph = #request.layers == 0 and core.fold_batch_norm(model.graph) or model.graph
  local native = batch_budget.gradients(graph, smooth and request.rows or request.batch, { nodes = request.layers,
    quantity = product and "product" or "gradient", units = request.units, guided = method == "guided_backprop" })
  return function(x, weigh, first)
    local logits = native:forward(x)
    local how = { input = request.input }
    if smooth then how.samples, how.noise_level, how.seed, how.first = opts.samples, opts.noise, opts.seed, first end
    local input, layers = native:around(x, weigh(logits), how)
    if input and product then input = input * x end
    return { input = input, layers = layers, logits = logits }
  end, function() native:close() end
end

return gradients
