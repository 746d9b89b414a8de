--- What the removal of a unit saves: multiply-adds of its own layer and of those that read it.
-- @module secateur.pruning.savings
local savings = {}

-- Node -> list of { node, input } of those that read it; input counts from 1.
local function find_readers(graph)
  local readers = {}
  for _, node in ipairs(graph:nodes()) do
    readers[node.name] = {}
    for input, name in ipairs(node.inputs) do table.insert(readers[name], { node = node, input = input }) end
  end
  return readers
end

-- How many inputs of a node are made as this one: the queries and keys of attention are two of a kind, and a product
-- of theirs goes when both do.
local function count_alike(graph, node, input)
  local function shape_of(k) return table.concat(graph:node(node.inputs[k]).shape, "x") end
  local alike = 0
  for k in ipairs(node.inputs) do
    if shape_of(k) == shape_of(input) then alike = alike + 1 end
  end
  return alike
end

-- Where a unit stands alone: its own node, and what the walk finds; with which share of the value's features.
local function find_places(graph, layer)
  local node = graph:node(layer.name)
  local places, seen = { { node = layer.name, share = 1 / layer.units } }, { [layer.name] = true }
  for _, place in ipairs(graph:unit_walk(node.name)) do
    local shape = graph:node(place.node).shape
    local features = place.axis == "last" and shape[#shape] or shape[1]
    seen[place.node] = true
    if not place.shared then
      places[#places + 1] = { node = place.node, share = place.count / features }
    end
  end
  return places, seen
end

local function saving_of(graph, readers, layer)
  local saved = layer.macs / layer.units
  local places, seen = find_places(graph, layer)
  local at = 1
  while at <= #places do
    local place = places[at]
    for _, reader in ipairs(readers[place.node]) do
      local node = reader.node
      if not seen[node.name] then
        saved = saved + node.macs * place.share / (node.channels == "produce" and 1
          or count_alike(graph, node, reader.input))
        -- weighted means of values keep the values' features
        if node.op == "attention_context" and reader.input == 2 then
          places[#places + 1] = { node = node.name, share = place.share }
        end
      end
    end
    at = at + 1
  end
  return saved
end

--- Multiply-adds of one sample that the removal of one unit saves, which is the same for all units of a layer: its row
-- in its own layer, and its columns in the layers that read it. What it makes in a residual stream others make too, so
-- that no reader of the stream is saved by it; of attention's products between queries and keys each feature saves
-- half. Approximate in that it is what the first unit saves: the more units are gone, the less the next one does.
-- @tparam Graph graph
-- @tparam {table,...} layers what `model:layers()` lists
-- @treturn table layer name -> multiply-adds
function savings.per_unit(graph, layers)
  local readers, found = find_readers(graph), {}
  for _, layer in ipairs(layers) do found[layer.name] = saving_of(graph, readers, layer) end
  return found
end

--- Scores per multiply-add saved: what should go first for its cost.
--
-- With c the saving of a unit of the layer by the mean saving of all units: score / c where the score is positive,
-- score * c where it is negative. So a larger saving always makes a unit easier to remove, also one that should go in
-- any case, and of equal savings the scores decide.
-- @tab lists layer name -> list of scores, which are changed
-- @tparam Graph graph
-- @tparam {table,...} layers those of the lists
function savings.weigh(lists, graph, layers)
  local saved, units, sum = savings.per_unit(graph, layers), 0, 0
  for _, layer in ipairs(layers) do units, sum = units + layer.units, sum + layer.units * saved[layer.name] end
  for _, layer in ipairs(layers) do
    local relative = saved[layer.name] * units / sum
    for unit, score in ipairs(lists[layer.name]) do
      lists[layer.name][unit] = score < 0 and score * relative or score / relative
    end
  end
end

return savings
