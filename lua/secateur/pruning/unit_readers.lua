--- Where the units of prunable layers are seen: the node whose value their readers get, and how they are read. Found
-- from what the operation table says of each node, for any graph.
-- @module secateur.pruning.unit_readers

local unit_readers = {}

-- Node name -> list of { name, input } of those that read it, in order; input counts from 1.
local function find_consumers(graph)
  local consumers, nodes = {}, {}
  for _, node in ipairs(graph:nodes()) do
    consumers[node.name], nodes[node.name] = {}, node
    for i, input in ipairs(node.inputs) do
      table.insert(consumers[input], { name = node.name, input = i })
    end
  end
  return consumers, nodes
end

-- The only reader of a node, or nil where there are several or none.
local function only_reader(net, name)
  local list = net.consumers[name]
  if #list ~= 1 or name == net.output then return nil end
  return net.nodes[list[1].name], list[1].input
end

-- Whether unit k of a node's value is made of unit k of its input alone, and is all of it.
local function keeps_units(node)
  return node.channels == "keep" and #node.inputs == 1
end

-- How what is seen at a node is read in the end: through operations that move units to where they meet others.
local function find_sum(net, name)
  local reader, input = only_reader(net, name)
  while reader do
    if reader.kind == "add" or (reader.channels == "keep" and #reader.inputs > 1) then return reader.name, input end
    if reader.channels ~= "move" and not keeps_units(reader) then return nil end
    reader, input = only_reader(net, reader.name)
  end
  return nil
end

local function find_one(net, layer)
  local seen, reader = layer, only_reader(net, layer)
  while reader and keeps_units(reader) do seen, reader = reader.name, only_reader(net, reader.name) end
  local sum, input = find_sum(net, seen)
  local matched = reader ~= nil and reader.op == "attention_scores"
  local shared = #net.consumers[seen] > 1
  return { seen_at = seen, sum = sum, sum_input = input, writer = sum ~= nil, matched = matched, shared = shared,
    stiff = sum ~= nil or matched or shared }
end

--- Finds for each layer where its units are seen: its own output, or behind what keeps units (norms, activations,
-- pools, dropout), as far as each value has one reader. Where a value has several readers, is concatenated, flattened
-- or summed, the units are seen before that.
--
-- @tparam Graph graph best with batch norms folded: then values are those that weights and biases make
-- @tparam {string,...} names of layers
-- @treturn table layer name -> a table: `seen_at` (a node); `writer` (whether its value, perhaps moved, is an input of
--   a sum of several, as the last layer of a residual branch); `sum` and `sum_input` (that node, and which input of
--   it, where there is one); `matched` (queries and keys: what is seen are their products with others); `shared`
--   (several nodes read it, as a ResNet's stem); `stiff` (any of these three: other units cannot stand in for it as
--   freely as covariances suggest)
function unit_readers.find(graph, names)
  local net, found = { output = graph:output() }, {}
  net.consumers, net.nodes = find_consumers(graph)
  for _, name in ipairs(names) do found[name] = find_one(net, name) end
  return found
end

return unit_readers
