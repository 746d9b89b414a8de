--- Integrated Gradients for the input (Sundararajan et al. 2017), conductance for nodes (Dhamdhere et al. 2018).
-- @module secateur.attribution.integrated
local baseline = require "secateur.attribution.baseline"
local core = require "secateur.core"

local integrated = { methods = { "ig" } }

--- Option rules of each method.
integrated.rules = {
  ig = {
    steps = { type = "integer", min = 1, max = 1 << 20, default = 32 },
    baseline = { type = { "string", "userdata" }, default = "black" },
  },
}

-- |sum of attributions - (f(x) - f(x0))| per sample.
local function completeness_gap(input, logits, base_logits, weights)
  local change, gap = ((logits - base_logits) * weights):sum(2), {}
  for i = 1, input:size(1) do gap[i] = math.abs(input[i]:sum() - change:get(i)) end
  return gap
end

--- Prepares a model; see secateur.attribution.families.
-- @tparam Model model
-- @tab request
-- @treturn function explain
-- @treturn function close
function integrated.prepare(model, request)
  local opts, layers = request.options, request.layers
  local function input_map(x, start, weigh)
    local plan = model:execution(request.batch, { backward = true, keep_grads = { "input" } })
    local base_logits, logits = plan:forward(start), plan:forward(x)
    local weights = weigh(logits)
    local input = core.integrated_gradients(plan, x, start, weights, opts.steps)
    return { input = input, logits = logits, gap = completeness_gap(input, logits, base_logits, weights) }, weights
  end
  return function(x, weigh)
    local start = baseline.make(request.name, opts.baseline, x, model.info.normalisation)
    local result, weights = {}, nil
    if request.input then result, weights = input_map(x, start, weigh) end
    result.layers = {}
    if #layers == 0 then return result end
    local plan = model:execution(request.batch, { backward = true, keep = layers, keep_grads = layers })
    if not weights then
      result.logits = plan:forward(x)
      weights = weigh(result.logits)
    end
    result.layers = core.conductance(plan, x, start, weights, opts.steps, layers, request.units)
    return result
  end, function() end
end

return integrated
