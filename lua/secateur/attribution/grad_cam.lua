--- Grad-CAM (Selvaraju et al. 2017): the maps of a layer, weighted by how much each matters to the output.
--
-- With A the value of the layer [units x positions] and g the gradient of the output there, the map is ReLU(sum over
-- units u of mean(g_u) A_u). For tokens, positions are the patches and units the features; the class token
-- takes part in neither.
--
-- @module secateur.attribution.grad_cam
local core = require "secateur.core"
local errors = require "secateur.util.errors"
local options = require "secateur.util.options"

local grad_cam = {}

--- Option rules of each method.
grad_cam.rules = { grad_cam = { layer = { type = "string" } } }

-- The height and width of the map that was made into tokens; nil where there are none.
local function token_grid(graph)
  for _, node in ipairs(graph:nodes()) do
    if node.op == "tokens" then
      local shape = graph:node(node.inputs[1]).shape
      return shape[2], shape[3]
    end
  end
end

-- How a node's numbers lie: height, width, and for tokens how many stand before those of the patches; nil where they
-- make no map.
local function layout(graph, node)
  if #node.shape == 3 then return node.shape[2], node.shape[3] end
  local height, width = token_grid(graph)
  if #node.shape == 2 and height and node.shape[1] >= height * width then
    return height, width, node.shape[1] - height * width
  end
end

-- From a convolution on through what keeps its positions, and its units or their places in a residual stream: the
-- norm, the sum and the activation of its block.
local function end_of_block(nodes, start)
  local last = start
  for _, node in ipairs(nodes) do
    local follows = false
    for _, input in ipairs(node.inputs) do follows = follows or input == last.name end
    if follows and (node.channels == "keep" or node.kind == "add") and #node.shape == 3
      and node.shape[2] == start.shape[2] and node.shape[3] == start.shape[3] then
      last = node
    end
  end
  return last
end

-- Gradients at the last block's output reach the class token alone, so that nothing can be weighted there; before the
-- last attention they reach all tokens.
local function before_attention(graph)
  local nodes = graph:nodes()
  for i = #nodes, 1, -1 do
    if nodes[i].op == "attention_scores" then
      local node = nodes[i]
      while node and node.op ~= "layer_norm" do node = node.inputs[1] and graph:node(node.inputs[1]) end
      return node
    end
  end
end

local function default_layer(graph)
  local nodes, norm = graph:nodes(), before_attention(graph)
  if norm then return norm.name end
  for i = #nodes, 1, -1 do
    if nodes[i].op == "conv2d" then return end_of_block(nodes, nodes[i]).name end
  end
end

--- The nodes whose maps are given unless others are named: the one that the input's map is of.
-- @tparam Model model
-- @tab opts
-- @treturn {string,...}
function grad_cam.default_layers(model, opts)
  return { opts.layer or default_layer(model.graph) }
end

-- Whether what patches hold at a node can reach the output. From the last attention on, every token goes its own way,
-- and where the output reads the class token, gradients at all others are zero. Queries decide for their own token
-- alone; keys and values go to all tokens.
local function patches_matter(graph, start)
  local readers, seen, open = {}, { [start] = true }, { start }
  for _, node in ipairs(graph:nodes()) do
    for place, input in ipairs(node.inputs) do
      readers[input] = readers[input] or {}
      table.insert(readers[input], { node = node, place = place })
    end
  end
  while #open > 0 do
    local name = table.remove(open)
    if name == graph:output() then return true end
    for _, reader in ipairs(readers[name] or {}) do
      local op = reader.node.op
      if op:find "^attention_" and reader.place == 2 then return true end
      if op ~= "select" and not seen[reader.node.name] then
        seen[reader.node.name], open[#open + 1] = true, reader.node.name
      end
    end
  end
  return false
end

-- The map of one node, [n x height x width].
local function weigh_maps(value, grad, height, width, skip)
  local n = value:size(1)
  if skip then -- [n x tokens x features] to [n x features x positions]
    local features, patches = value:size(3), {}
    for i = 1, height * width do patches[i] = skip + i end
    local weights = grad:take(2, patches):mean(2):reshape(n, 1, features)
    return (value:take(2, patches) * weights):sum(3):reshape(n, height, width):clamp(0, math.huge)
  end
  local units = value:size(2)
  local weights = grad:reshape(n, units, height * width):mean(3):reshape(n, units, 1, 1)
  return (value * weights):sum(2):clamp(0, math.huge)
end

--- Prepares a model; see secateur.attribution.methods.
-- @tparam Model model
-- @tab request
-- @treturn function explain
-- @treturn function close
function grad_cam.prepare(model, request)
  if #model.input_shape ~= 3 then
    errors.refuse(request.name, "model: expected one of images [C x H x W] for grad_cam, got one of [%s]",
      table.concat(model.input_shape, " x "))
  end
  local main = request.options.layer or default_layer(model.graph)
  if not main then errors.refuse(request.name, "layer: expected a model with a convolution or attention") end
  local wanted = { main }
  for _, name in ipairs(request.layers) do
    if name ~= main then wanted[#wanted + 1] = name end
  end
  local layouts = {}
  for _, name in ipairs(wanted) do
    local node = model.graph:node(name)
    if not node then
      local known = {}
      for i, other in ipairs(model.graph:nodes()) do known[i] = other.name end
      errors.refuse(request.name, "layer: expected a node of the model, got %s%s", options.describe(name),
        options.suggest(name, known))
    end
    layouts[name] = { layout(model.graph, node) }
    if not layouts[name][1] then
      errors.refuse(request.name, "layer: expected a node with maps or tokens of patches, got '%s' [%s]", name,
        table.concat(node.shape, " x "))
    end
    if layouts[name][3] and not patches_matter(model.graph, name) then
      errors.refuse(request.name, "layer: expected a node before the last attention, got '%s': from there on the "
        .. "output reads the class token alone, so that gradients at all patches, and with them the map, are zero; "
        .. "take '%s', the default", name, default_layer(model.graph))
    end
  end
  local shape = model.input_shape
  return function(x, weigh)
    local execution_plan = model:execution_plan(request.batch, { backward = true, keep = wanted, keep_grads = wanted })
    local logits = execution_plan:forward(x)
    local weights = weigh(logits)
    local values = {}
    for _, name in ipairs(wanted) do values[name] = execution_plan:value(name) end
    execution_plan:backward(weights)
    local maps, layers = {}, {}
    for _, name in ipairs(wanted) do
      maps[name] = weigh_maps(values[name], execution_plan:grad(name), table.unpack(layouts[name]))
    end
    for _, name in ipairs(request.layers) do layers[name] = maps[name] end
    local large = core.image_resize(maps[main], shape[2], shape[3])
    return { input = large:reshape(x:size(1), 1, shape[2], shape[3]), layers = layers, logits = logits }
  end, function() model:release() end
end

return grad_cam
