--- Scores of units that need no data: baselines to compare methods of scoring with.
-- @module secateur.attribution.data_free
local core = require "secateur.core"

local data_free = {}

local score = {}

-- Uniform in [0, 1).
function score.random(_, layers, seed)
  local scores = {}
  for i, layer in ipairs(layers) do scores[layer.name] = core.rand(layer.units, { seed = core.mix(seed, i) }) end
  return scores
end

-- L2 norm of the weights that make the unit, bias aside.
function score.magnitude(model, layers)
  local scores = {}
  for _, layer in ipairs(layers) do
    local param = model.graph:node(layer.name).params[1]
    local weight = model.graph:parameter(param.name):view(param.first, param.first + layer.units - 1)
    local rows = weight:reshape(layer.units, -1)
    local squares = (rows * rows):sum(2)
    scores[layer.name] = squares
    for u = 1, layer.units do squares:set(math.sqrt(squares:get(u)), u) end
  end
  return scores
end

--- Scores all units of some layers.
-- @string method "random" or "magnitude"
-- @tparam Model model
-- @tparam {table,...} layers what `model:layers()` lists
-- @int seed of random ones
-- @treturn table layer name -> Tensor [units]
function data_free.score(method, model, layers, seed)
  return score[method](model, layers, seed)
end

return data_free
