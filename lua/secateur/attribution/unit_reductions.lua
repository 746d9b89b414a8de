--- Measures of units from one run: the mean magnitude of the activation, and the first-order Taylor term of the output,
-- |h df/dh| (Molchanov et al. 2017).
-- @module secateur.attribution.unit_reductions
local core = require "secateur.core"

local unit_reductions = {}

local reductions = { activation = "mean_abs_value", taylor = "mean_abs_value_grad" }

--- Prepares a model; see secateur.attribution.methods. Gives `layers` as [n x units] alone.
-- @tparam Model model
-- @tab request
-- @treturn function explain
-- @treturn function close
function unit_reductions.prepare(model, request)
  local names, backward = request.layers, request.method == "taylor"
  local execution_plan = model:execution_plan(request.batch, { backward = backward, keep = names,
    keep_grads = backward and names or nil })
  return function(x, weigh)
    local logits = execution_plan:forward(x)
    if backward then execution_plan:backward(weigh(logits)) end
    local layers = {}
    for _, name in ipairs(names) do
      layers[name] = core.unit_reduction(execution_plan, name, reductions[request.method])
    end
    return { logits = logits, layers = layers }
  end, function() end
end

return unit_reductions
