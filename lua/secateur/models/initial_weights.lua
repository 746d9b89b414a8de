--- Draws initial weights. Rules are matched by parameter name, first match wins; parameters that no rule names keep
-- what their operation gave them (zero; one for the scales of norms).
-- @module secateur.models.initial_weights
local core = require "secateur.core"

-- Inputs and outputs that one weight connects: torch's _calculate_fan_in_and_fan_out.
local function fans(shape)
  local field = 1
  for d = 3, #shape do field = field * shape[d] end
  return shape[2] * field, shape[1] * field
end

local function normal(shape, seed, std, truncate)
  local sizes = { table.unpack(shape) }
  sizes[#sizes + 1] = { seed = seed, std = std, truncate = truncate }
  return core.randn(table.unpack(sizes))
end

local function uniform(shape, seed, bound)
  local sizes = { table.unpack(shape) }
  sizes[#sizes + 1] = { seed = seed, low = -bound, high = bound }
  return core.rand(table.unpack(sizes))
end

local draws = {}

--- He et al. 2015, fan out, for ReLU.
function draws.kaiming_out(shape, seed)
  local _, fan_out = fans(shape)
  return normal(shape, seed, math.sqrt(2 / fan_out))
end

--- torch's default of linear and convolution weights: U(+-1 / sqrt(fan in)).
function draws.torch_default(shape, seed)
  return uniform(shape, seed, 1 / math.sqrt((fans(shape))))
end

--- torch's default of linear and convolution biases: the same bound, from the weight beside it.
function draws.torch_default_bias(shape, seed, _, weight)
  return uniform(shape, seed, 1 / math.sqrt((fans(weight))))
end

--- Glorot and Bengio 2010.
function draws.xavier_uniform(shape, seed)
  local fan_in, fan_out = fans(shape)
  return uniform(shape, seed, math.sqrt(6 / (fan_in + fan_out)))
end

--- LeCun, cut off at -2 and 2 (not at two standard deviations), as torch's trunc_normal_ does: ViT's patch embedding.
function draws.lecun_truncated(shape, seed)
  local std = math.sqrt(1 / (fans(shape)))
  return normal(shape, seed, std, 2 / std)
end

function draws.normal(shape, seed, std) return normal(shape, seed, std) end

function draws.uniform(shape, seed, bound) return uniform(shape, seed, bound) end

function draws.zeros(shape)
  return core.zeros(table.unpack(shape))
end

-- These look at how many inputs and outputs a weight connects, which the scale of a norm does not do.
local by_fan = { kaiming_out = true, torch_default = true, xavier_uniform = true, lecun_truncated = true }

--- Draws the trainable parameters of a graph.
-- @tparam Graph graph
-- @tparam {table,...} rules each {pattern, draw, [number]}: a Lua pattern for the name, "kaiming_out", "torch_default",
--   "torch_default_bias", "xavier_uniform", "lecun_truncated", "normal" (with its std), "uniform" (with its bound) or
--   "zeros"
-- @int seed parameters differ, and do not depend on each other's number or order
-- @tparam[opt] {[string]=true} wanted the names of those to draw; all by default
local function init_weights(graph, rules, seed, wanted)
  local parameters, shapes = graph:parameters(), {}
  for _, parameter in ipairs(parameters) do shapes[parameter.name] = parameter.shape end
  for index, parameter in ipairs(parameters) do
    for _, rule in ipairs(rules) do
      local fits = #parameter.shape >= 2 or not by_fan[rule[2]]
      if parameter.trainable and fits and parameter.name:find(rule[1]) then
        if not wanted or wanted[parameter.name] then
          local weight = shapes[(parameter.name:gsub("bias$", "weight"))]
          local value = draws[rule[2]](parameter.shape, core.mix(seed, index), rule[3], weight)
          graph:set_parameter(parameter.name, value)
        end
        break
      end
    end
  end
end

return init_weights
