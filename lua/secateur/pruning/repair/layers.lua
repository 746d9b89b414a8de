--- What there is to repair in a pruned network, and what each layer is repaired to: found from what the operation table
-- says of each node, for any graph.
-- @module secateur.pruning.repair.layers

local layers = {}

local function find_consumers(nodes)
  local consumers = {}
  for _, node in ipairs(nodes) do
    consumers[node.name] = {}
    for _, input in ipairs(node.inputs) do table.insert(consumers[input], node) end
  end
  return consumers
end

-- Behind operations that do nothing in inference: the node whose value is that of `name`, and its only reader.
local function follow(net, name)
  while true do
    local list = net.consumers[name]
    if #list ~= 1 or name == net.output then return name, nil end
    if list[1].op ~= "dropout" then return name, list[1] end
    name = list[1].name
  end
end

-- Whether all that reads a node's value is a ReLU, perhaps behind max pools, which it may as well stand before.
local function is_rectified(net, name)
  local at, reader = follow(net, name)
  while reader and reader.kind == "max_pool" do at, reader = follow(net, reader.name) end
  if reader then return reader.op == "relu" end
  if at == net.output or #net.consumers[at] == 0 then return false end
  for _, each in ipairs(net.consumers[at]) do
    if each.op ~= "relu" then return false end
  end
  return true
end

-- Nodes of the masked graph whose values are not the dense network's.
local function find_changed(nodes, removed)
  local changed = {}
  for _, node in ipairs(nodes) do
    changed[node.name] = removed[node.name] ~= nil and #removed[node.name] > 0
    for _, input in ipairs(node.inputs) do changed[node.name] = changed[node.name] or changed[input] end
  end
  return changed
end

local function overlap(a, b)
  return a.name == b.name and a.first <= b.first + b.shape[1] - 1 and b.first <= a.first + a.shape[1] - 1
end

-- The name of another node that uses the same rows of a parameter, or nil.
local function sharer(nodes, node)
  for _, other in ipairs(nodes) do
    for _, theirs in pairs(other ~= node and other.params or {}) do
      for _, mine in pairs(node.params) do
        if overlap(mine, theirs) then return other.name end
      end
    end
  end
end

local function kept_units(node, removed)
  local gone, kept = {}, {}
  for _, unit in ipairs(removed[node.name] or {}) do gone[unit] = true end
  for unit = 1, node.attrs.out do
    if not gone[unit] then kept[#kept + 1] = unit end
  end
  return kept
end

local function describe(net, node, number, removed)
  local layer = { name = node.name, node = node, number = number, input = node.inputs[1], target = node.name,
    others = {}, kept = kept_units(node, removed) }
  for _, use in pairs(node.params) do layer[use.slot] = use end
  local at, reader = follow(net, node.name)
  if reader and reader.kind == "add" then
    for _, input in ipairs(reader.inputs) do
      if input ~= at then table.insert(layer.others, input) end
    end
    if #layer.others == #reader.inputs - 1 then layer.target = reader.name else layer.others = {} end
  end
  layer.rectified = is_rectified(net, layer.target)
  return layer
end

--- The layers whose inputs pruning has changed, in the order of computation.
--
-- A layer is repaired to what it makes in the dense network, `target`, before the activation. Where that is only added
-- to something else, the target is the sum, of which `others` are the rest: so a residual branch also makes up for what
-- the stream has lost before it.
-- @tparam Graph graph masked, with batch norms folded
-- @tparam PruningPlan removed
-- @treturn {table,...} each `name`, `node`, `number` (in the graph), `input`, `target`, `others` (names of nodes),
--   `rectified` (whether a ReLU follows the target), `kept` (list of units), `weight` and `bias` (uses of parameters)
-- @treturn {table,...} those that cannot be repaired: `name` and `reason`
function layers.find(graph, removed)
  local net = { nodes = graph:nodes(), output = graph:output() }
  net.consumers = find_consumers(net.nodes)
  local changed, found, left = find_changed(net.nodes, removed), {}, {}
  for number, node in ipairs(net.nodes) do
    if node.channels == "produce" then
      local layer = describe(net, node, number, removed)
      local needed = changed[layer.input]
      for _, other in ipairs(layer.others) do needed = needed or changed[other] end
      local other = needed and sharer(net.nodes, node)
      if other then
        left[#left + 1] = { name = node.name, reason = ("shares weights with '%s'"):format(other) }
      elseif needed and #layer.kept > 0 then
        found[#found + 1] = layer
      end
    end
  end
  return found, left
end

return layers
