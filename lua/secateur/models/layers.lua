--- What a model is made of: prunable layers, parameter counts, the summary.
-- @module secateur.models.layers
local tensors = require "secateur.util.tensors"
local text_table = require "secateur.util.text_table"

local layers = {}

-- The nodes whose units are the classes: producers that reach the output through operations that keep units.
local function output_layers(graph)
  local found, seen, open = {}, {}, { graph:output() }
  while #open > 0 do
    local node = graph:node(table.remove(open))
    if node.channels == "produce" then
      found[node.name] = true
    elseif not seen[node.name] then
      seen[node.name] = true
      for _, input in ipairs(node.inputs) do open[#open + 1] = input end
    end
  end
  return found
end

local function cells_of(list)
  local lines = { { "layer", "kind", "units", "parameters", "MAC" } }
  for i, layer in ipairs(list) do
    lines[i + 1] = { layer.name, layer.kind, tostring(layer.units), tostring(layer.params),
      ("%.0f"):format(layer.macs) }
  end
  return lines
end

--- See Model:layers.
-- @tparam Model model
-- @treturn {table,...}
function layers.list(model)
  local last, list = output_layers(model.graph), {}
  for _, node in ipairs(model.graph:nodes()) do
    if node.channels == "produce" and not last[node.name] then
      local params = 0
      for _, param in pairs(node.params) do params = params + tensors.numel(param.shape) end
      list[#list + 1] = { name = node.name, kind = node.kind or node.op, units = node.attrs.out, params = params,
        macs = node.macs }
    end
  end
  return text_table.listing(list, cells_of)
end

--- Trainable parameters and multiply-adds per sample.
-- @tparam Model model
-- @treturn int
-- @treturn number
function layers.totals(model)
  local parameters, macs = 0, 0
  for _, parameter in ipairs(model.graph:parameters()) do
    if parameter.trainable then parameters = parameters + tensors.numel(parameter.shape) end
  end
  for _, node in ipairs(model.graph:nodes()) do macs = macs + node.macs end
  return parameters, macs
end

--- See Model:summary.
-- @tparam Model model
-- @treturn string
function layers.summary(model)
  local rows, trainable = { { "node", "operation", "output", "parameters", "MAC" } }, {}
  for _, parameter in ipairs(model.graph:parameters()) do trainable[parameter.name] = parameter.trainable end
  for _, node in ipairs(model.graph:nodes()) do
    local params = 0
    for _, param in pairs(node.params) do
      if trainable[param.name] then params = params + tensors.numel(param.shape) end
    end
    rows[#rows + 1] = { node.name, node.op, table.concat(node.shape, "x"), params > 0 and tostring(params) or "",
      node.macs > 0 and ("%.0f"):format(node.macs) or "" }
  end
  local widths = { 0, 0, 0, 0, 0 }
  for _, row in ipairs(rows) do
    for i, cell in ipairs(row) do widths[i] = math.max(widths[i], #cell) end
  end
  local lines = {}
  for _, row in ipairs(rows) do
    local line = (("%%-%ds  %%-%ds  %%-%ds  %%%ds  %%%ds"):format(table.unpack(widths))):format(table.unpack(row))
    lines[#lines + 1] = (line:gsub(" +$", ""))
  end
  local parameters, macs = layers.totals(model)
  lines[#lines + 1] = ("%d trainable parameters, %.4g GMAC per sample"):format(parameters, macs / 1e9)
  return table.concat(lines, "\n")
end

return layers
