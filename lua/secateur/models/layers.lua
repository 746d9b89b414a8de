--- What a model is made of: prunable layers, parameter counts, the summary.
-- @module secateur.models.layers
local core = require "secateur.core"
local errors = require "secateur.util.errors"
local tensors = require "secateur.util.tensors"
local text_table = require "secateur.util.text_table"
local visible = require "secateur.util.visible"

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
  local pruned = list[1] and list[1].units_left
  local lines = { { "layer", "kind", "units", pruned and "left" or "parameters", pruned and "parameters" or "MAC",
    pruned and "MAC" or nil } }
  for i, layer in ipairs(list) do
    local cells = { layer.name, layer.kind, tostring(layer.units) }
    if pruned then cells[#cells + 1] = tostring(layer.units_left) end
    cells[#cells + 1] = tostring(layer.params)
    cells[#cells + 1] = ("%.0f"):format(layer.macs)
    lines[i + 1] = cells
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
      local gone = model.pruning_plan and (model.pruning_plan[node.name] or {})
      list[#list + 1] = { name = node.name, kind = node.kind or node.op, units = node.attrs.out, params = params,
        macs = node.macs, units_left = gone and node.attrs.out - #gone }
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

-- Trainable numbers in the parameters of a node.
local function parameters_of(node, trainable)
  local count = 0
  for _, param in pairs(node.params) do
    if trainable[param.name] then count = count + tensors.numel(param.shape) end
  end
  return count
end

local function trainable_of(graph)
  local trainable = {}
  for _, parameter in ipairs(graph:parameters()) do trainable[parameter.name] = parameter.trainable end
  return trainable
end

-- What a masked model is without the units that are gone; nil where it has lost none, or where nothing would be left.
local function without_pruned(model)
  local plan = model.pruning_plan
  if not plan or plan:count() == 0 then return nil end
  local ok, graph = errors.try(core.compact, model.graph)
  return ok and graph or nil
end

local function count_text(count) return count > 0 and ("%.0f"):format(count) or "" end

-- Cells of a node of the model without the units that are gone: output, parameters, multiply-adds.
local function cells_left(graph, trainable, name)
  local node = graph:node(name)
  if not node then return "gone", "", "" end
  return table.concat(node.shape, "x"), count_text(parameters_of(node, trainable)), count_text(node.macs)
end

-- Rows of cells as lines: names to the left, counts to the right.
local function align(rows, formats)
  local widths, lines = {}, {}
  for _, row in ipairs(rows) do
    for i, cell in ipairs(row) do widths[i] = math.max(widths[i] or 0, #cell) end
  end
  for _, row in ipairs(rows) do
    local cells = {}
    for i, cell in ipairs(row) do cells[i] = (formats[i]):format(widths[i]):format(cell) end
    lines[#lines + 1] = (table.concat(cells, "  "):gsub(" +$", ""))
  end
  return lines
end

-- How many units are gone, in words.
local function pruned_text(model)
  local units = 0
  for _, layer in ipairs(layers.list(model)) do units = units + layer.units end
  local gone = model.pruning_plan:count()
  return ("%d of %d units (%.1f %%) are pruned"):format(gone, units, 100 * gone / math.max(units, 1))
end

--- What stands behind a pruned model's own sizes in its text; of others nothing.
-- @tparam Model model
-- @treturn string
function layers.describe_pruned(model)
  local plan = model.pruning_plan
  if not plan or plan:count() == 0 then return "" end
  local left = without_pruned(model)
  if not left then return ("; %s, and nothing is left to compute"):format(pruned_text(model)) end
  local parameters, macs = layers.totals { graph = left }
  return ("; %s, without which %.2f M parameters and %.3f GMAC are left (sc.compact)"):format(pruned_text(model),
    parameters / 1e6, macs / 1e9)
end

--- See Model:summary.
-- @tparam Model model
-- @treturn string
function layers.summary(model)
  local left = without_pruned(model)
  local trainable, trainable_left = trainable_of(model.graph), left and trainable_of(left)
  local rows = { { "node", "operation", "output", "parameters", "MAC" } }
  if left then table.move({ "left: output", "parameters", "MAC" }, 1, 3, 6, rows[1]) end
  for _, node in ipairs(model.graph:nodes()) do
    local row = { visible(node.name), node.op, table.concat(node.shape, "x"),
      count_text(parameters_of(node, trainable)), count_text(node.macs) }
    if left then row[6], row[7], row[8] = cells_left(left, trainable_left, node.name) end
    rows[#rows + 1] = row
  end
  local lines = align(rows, { "%%-%ds", "%%-%ds", "%%-%ds", "%%%ds", "%%%ds", "%%-%ds", "%%%ds", "%%%ds" })
  local parameters, macs = layers.totals(model)
  lines[#lines + 1] = ("%d trainable parameters, %.4g GMAC per sample"):format(parameters, macs / 1e9)
  if left then
    parameters, macs = layers.totals { graph = left }
    lines[#lines + 1] = ("%s; without them %d trainable parameters, %.4g GMAC (sc.compact)"):format(pruned_text(model),
      parameters, macs / 1e9)
  elseif model.pruning_plan and model.pruning_plan:count() > 0 then
    lines[#lines + 1] = pruned_text(model) .. "; nothing is left to compute"
  end
  return table.concat(lines, "\n")
end

return layers
