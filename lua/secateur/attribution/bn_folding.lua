--- Graphs with batch norms folded, and where their nodes went.
-- @module secateur.attribution.bn_folding
local core = require "secateur.core"

local bn_folding = {}

--- Where each node of a graph is found after folding: batch norms that fold disappear, and what was at their output is
-- then at the layer that they went into.
-- @tparam Graph graph
-- @tparam Graph after the folded one, or the same
-- @treturn table name -> name
function bn_folding.aliases(graph, after)
  local present, alias = {}, {}
  for _, node in ipairs(after:nodes()) do present[node.name] = true end
  for _, node in ipairs(graph:nodes()) do
    alias[node.name] = present[node.name] and node.name or alias[node.inputs[1]]
  end
  return alias
end

--- The same outputs, with batch norms inside the layers before them.
-- @tparam Graph graph
-- @treturn Graph shares what did not change
-- @treturn table see `aliases`
function bn_folding.make(graph)
  local after = core.fold_batch_norm(graph)
  return after, bn_folding.aliases(graph, after)
end

--- The nodes to ask of a folded graph for names of the original, each once.
-- @tab alias
-- @tab names
-- @treturn {string,...}
function bn_folding.nodes(alias, names)
  local list, seen = {}, {}
  for _, name in ipairs(names) do
    local node = alias[name]
    if not seen[node] then list[#list + 1] = node end
    seen[node] = true
  end
  return list
end

--- What was found at nodes of the folded graph, under the names asked for.
-- @tab alias
-- @tab names
-- @tparam {[string]=Tensor} found by the folded graph's names
-- @treturn {[string]=Tensor} where two names mean one node, the second has a copy
function bn_folding.name(alias, names, found)
  local named, taken = {}, {}
  for _, name in ipairs(names) do
    local tensor = found[alias[name]]
    named[name] = tensor and (taken[alias[name]] and tensor:clone() or tensor)
    taken[alias[name]] = true
  end
  return named
end

return bn_folding
