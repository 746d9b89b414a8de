--- LRP and DL-Backtrace: relevance propagated back by the rules of a composite.
-- @module secateur.attribution.propagation
local core = require "secateur.core"
local relevance = require "secateur.attribution.relevance"

local propagation = { methods = { "lrp", "dlb" } }

local start = { one_of = { "one", "logit", "probability" }, default = "one" }

--- Option rules of each method.
propagation.rules = {
  lrp = { composite = { type = { "string", "table" } }, start = start },
  dlb = { composite = { type = { "string", "table" } }, start = start },
}

-- What relevance starts from: the weights of the target, times the logits or the probabilities.
local function start_relevance(kind, weights, logits)
  if kind == "one" then return weights end
  return weights * (kind == "logit" and logits or core.softmax(logits))
end

--- Prepares a model; see secateur.attribution.families.
-- @tparam Model model
-- @tab request
-- @treturn function explain
-- @treturn function close
function propagation.prepare(model, request)
  local opts = request.options
  local composite = opts.composite or request.method == "dlb" and "dlb" or relevance.default_composite(model.graph)
  local walker = relevance.prepare(model, request.name, { composite = composite, batch = request.batch,
    keep = not request.units and request.layers or nil, sums = request.units and request.layers or nil })
  return function(x, weigh)
    local logits = walker.forward(x)
    walker.backward(start_relevance(opts.start, weigh(logits), logits))
    local layers = {}
    for _, name in ipairs(request.layers) do
      layers[name] = request.units and walker.sums(name) or walker.get(name)
    end
    return { input = request.input and walker.get("input") or nil, layers = layers, logits = logits }
  end, walker.close
end

return propagation
