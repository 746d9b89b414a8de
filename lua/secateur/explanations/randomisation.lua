--- Models whose weights have been replaced by random ones, from the output down: what an explanation of the model must
-- not survive (Adebayo et al. 2018).
-- @module secateur.explanations.randomisation
local core = require "secateur.core"

local randomisation = {}

-- The parameters that training would change, by name.
local function trainable(graph)
  local names = {}
  for _, parameter in ipairs(graph:parameters()) do names[parameter.name] = parameter.trainable end
  return names
end

-- Normal numbers as large as those of a tensor. Of weights the mean is zero, as in a fresh network: that of trained
-- ones would close all units behind a layer alike. Of biases and scales it is kept: scales are about one.
local function like(tensor, seed)
  local shape, mean = tensor:shape(), 0
  if #shape < 2 then mean = tensor:mean() end
  local centred = tensor - mean
  shape[#shape + 1] = { seed = seed, mean = mean, std = math.sqrt((centred * centred):mean()) }
  return core.randn(table.unpack(shape))
end

-- What a norm has seen of the layers before it, as in a fresh network.
local function fresh_statistics(name, tensor)
  if name:find "running_mean$" then return core.zeros(table.unpack(tensor:shape())) end
  if name:find "running_var$" then return core.ones(table.unpack(tensor:shape())) end
end

--- The layers of a cascade: convolutions and linear layers with weights that can be trained, the output's first.
-- @tparam Model model
-- @treturn {string,...}
function randomisation.layers(model)
  local can, list = trainable(model.graph), {}
  for _, node in ipairs(model.graph:nodes()) do
    local weighted = false
    for _, param in pairs(node.params) do weighted = weighted or can[param.name] end
    if weighted and node.channels == "produce" then table.insert(list, 1, node.name) end
  end
  return list
end

--- Some of a list, evenly spread, first and last among them.
-- @tab list
-- @int most
-- @treturn list
function randomisation.spread(list, most)
  if #list <= most then return list end
  local chosen = { list[1] }
  for i = 2, most do chosen[i] = list[1 + math.floor((i - 1) * (#list - 1) / (most - 1) + 0.5)] end
  return chosen
end

--- Goes down a model layer by layer: at each layer wanted, gives a copy in which that layer and everything above it
-- (norms and embeddings too) has random weights: normal and as large as the trained ones, weights with mean zero,
-- biases and scales with that of the trained ones; running statistics are those of a fresh network. The model itself is
-- left alone, and what is not random yet is shared with it. Layers that share a parameter change together.
-- @tparam Model model
-- @tab wanted names of layers
-- @int seed
-- @treturn function iterator over name, model
function randomisation.cascade(model, wanted, seed)
  local nodes, can, stop = model.graph:nodes(), trainable(model.graph), {}
  for _, name in ipairs(wanted) do stop[name] = true end
  local random, at = model:clone(), #nodes + 1
  return function()
    while at > 1 do
      at = at - 1
      local node = nodes[at]
      for slot, param in pairs(node.params) do
        local trained = model.graph:parameter(param.name)
        local value = fresh_statistics(param.name, trained)
        if can[param.name] then
          can[param.name] = false -- once
          value = like(trained, core.mix(core.mix(seed, at), slot))
        end
        if value then random.graph:set_parameter(param.name, value) end
      end
      if stop[node.name] then return node.name, random:clone() end
    end
  end
end

return randomisation
