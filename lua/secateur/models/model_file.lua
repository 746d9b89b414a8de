--- Models as files: a safetensors file whose metadata carries the graph as JSON.
--
-- Metadata: `format` ("secateur"), `version`, `graph` ({nodes, output}; a node has `name`, `op` and where not empty
-- `inputs`, `attrs`, `params`), `info`, and of a pruned model `plan`. Whoever adds a field that older readers must not
-- pass over raises the version.
-- @module secateur.models.model_file
local parameter_slots = require "secateur.models.parameter_slots"
local core = require "secateur.core"
local errors = require "secateur.util.errors"
local is_list = require "secateur.util.is_list"
local json = require "secateur.util.json"
local options = require "secateur.util.options"
local preparation = require "secateur.models.preparation"
local pruning_plan = require "secateur.models.pruning_plan"
local safetensors = require "secateur.formats.safetensors"
local visible = require "secateur.util.visible"
local weights = require "secateur.formats.weights"
local element_bytes = require("secateur.util.tensors").element_bytes

local model_file = {}

local VERSION = "1"
local MOST_NODES = 20000
local MOST_BYTES = 1 << 24 -- of the graph as JSON

-- ---- what is known of a model ----

local function is_name(value)
  return type(value) == "string" and value ~= "" and not value:find("\0", 1, true)
end

local function is_number(value) return math.type(value) ~= nil and value == value and math.abs(value) < math.huge end
local function is_positive(value) return is_number(value) and value > 0 end

--- Raises unless a model's info is what those who rely on it expect. Whatever else a user keeps there is theirs.
-- @tab info
-- @int classes of the model
function model_file.check_info(info, classes)
  local known, named = info.normalisation, info.classes
  if info.architecture ~= nil and not is_name(info.architecture) then
    errors.raise("info: architecture: expected a name, got %s", options.describe(info.architecture))
  elseif known ~= nil and not (type(known) == "table" and is_list(known.mean, is_number)
    and is_list(known.std, is_positive) and #known.mean > 0 and #known.mean == #known.std) then
    errors.raise("info: normalisation: expected as many positive numbers in std as numbers in mean")
  elseif named ~= nil and not (is_list(named, is_name) and #named == classes) then
    errors.raise("info: classes: expected a list of %d names", classes)
  elseif info.head ~= nil and info.head ~= "softmax" and info.head ~= "sigmoid" then
    errors.raise("info: head: expected 'softmax' or 'sigmoid', got %s", options.describe(info.head))
  end
  if info.preparation ~= nil then preparation.check(info.preparation) end
  local ok, problem = errors.try(json.encode, info) -- what is read can be written again, too
  if not ok then errors.raise("info: %s", problem) end
end

--- A plan that fits a model and tells the truth about it; raises where it does neither.
-- @tparam Model model
-- @tab plan
-- @treturn PruningPlan
function model_file.fit_plan(model, plan)
  local fitting, problem = pruning_plan.fit(model:layers(), plan)
  if not fitting then errors.raise("plan: %s", problem) end
  local holds, layer, unit = pruning_plan.holds(fitting, model.graph)
  if not holds then
    errors.raise("plan: '%s': expected units whose weights are zero, as prune leaves them; unit %d is none", layer,
      unit)
  end
  return fitting
end

-- ---- writing ----

local function describe_graph(graph)
  local nodes = {}
  for i, node in ipairs(graph:nodes()) do
    nodes[i] = { name = node.name, op = node.op, inputs = #node.inputs > 0 and node.inputs or nil,
      attrs = next(node.attrs) and node.attrs or nil, params = parameter_slots(node) }
  end
  local text = json.encode { nodes = nodes, output = graph:output() }
  if #nodes > MOST_NODES or #text > MOST_BYTES then
    errors.raise("graph: expected at most %d nodes in %d bytes, got %d in %d", MOST_NODES, MOST_BYTES, #nodes, #text)
  end
  return text
end

-- Tensors and metadata of a model's file.
local function contents(model)
  local plan
  if model.pruning_plan ~= nil then plan = model_file.fit_plan(model, model.pruning_plan) end
  local info = next(model.info) and model.info or { architecture = "custom" }
  model_file.check_info(info, model.class_count)
  return model:state(), { format = "secateur", version = VERSION, graph = describe_graph(model.graph),
    info = json.encode(info), plan = plan and pruning_plan.encode(plan) }
end

--- Writes a model.
-- @tparam Model model
-- @string path
function model_file.write(model, path)
  safetensors.save(path, contents(model))
end

--- How many bytes `write` would write.
-- @tparam Model model
-- @treturn int
function model_file.file_size(model)
  return safetensors.file_size(contents(model))
end

-- ---- reading ----

-- What a field holds as JSON; messages begin with the field.
local function decode(field, text)
  local ok, value = errors.try(json.decode, text, { unique = true })
  if not ok then errors.raise("%s: %s", field, value) end
  return value
end

local function check_keys(what, given, known)
  for key in pairs(given) do
    if not known[key] then errors.raise("%s: unknown field %s", what, options.describe(key)) end
  end
end

local graph_fields = { nodes = true, output = true }
local node_fields = { name = true, op = true, inputs = true, attrs = true, params = true }

local function add_node(graph, node, i)
  if type(node) ~= "table" or not is_name(node.op) or not is_name(node.name) then
    errors.raise("graph: node %d: expected an operation and a name", i)
  end
  check_keys(("graph: node '%s'"):format(node.name), node, node_fields)
  local ok, problem = errors.try(graph.add, graph, node.op, node.name, node.inputs, node.attrs, node.params)
  if ok then return end
  local own = visible(("%s '%s': "):format(node.op, node.name)) -- with which some of the messages begin
  if problem:sub(1, #own) == own then own = "" end
  errors.raise("graph: %s%s", own, (problem:gsub("^add: ", "")))
end

local function read_info(text)
  local info = decode("info", text or "{}")
  if type(info) ~= "table" or #info > 0 then
    errors.raise("info: expected an object, got %s", options.describe(info))
  end
  return info
end

-- The graph may create no more parameters than the file has bytes for: a few words could otherwise ask for all memory.
local function build(text, bytes)
  if type(text) ~= "string" then errors.raise("graph: missing") end
  if #text > MOST_BYTES then errors.raise("graph: expected at most %d bytes, got %d", MOST_BYTES, #text) end
  local parsed = decode("graph", text)
  if type(parsed) ~= "table" or type(parsed.nodes) ~= "table" then errors.raise("graph: expected a list of nodes") end
  check_keys("graph", parsed, graph_fields)
  local graph, count = core.graph(bytes), 0
  for _ in pairs(parsed.nodes) do count = count + 1 end
  if count > MOST_NODES then errors.raise("graph: expected at most %d nodes, got %d", MOST_NODES, count) end
  for i = 1, count do add_node(graph, parsed.nodes[i], i) end
  if not is_name(parsed.output) then errors.raise("graph: output: expected a name, got %s",
    options.describe(parsed.output)) end
  graph:output(parsed.output)
  return graph
end

local function read_tensors(path)
  local opened <close> = weights.open(path)
  local meta = opened.metadata
  if meta.format ~= "secateur" then
    errors.raise("'%s': expected a file written by model:save, got one of weights alone (sc.load_checkpoint builds "
      .. "models from "
      .. "these)", path)
  elseif meta.version ~= VERSION then
    errors.raise("'%s': expected format version %s, got %s", path, VERSION, options.describe(meta.version))
  end
  return safetensors.read_all(opened), meta
end

--- Reads what `write` wrote. Messages begin with the path.
-- @string path
-- @treturn Graph without the parameters' values
-- @treturn table info, to be checked with the model
-- @treturn table parameter name -> Tensor
-- @treturn ?Plan not yet held against the model
function model_file.read(path)
  local tensors, meta = read_tensors(path)
  local bytes, plan, problem = 0, nil, nil
  for _, tensor in pairs(tensors) do bytes = bytes + tensor:numel() * element_bytes[tensor:dtype()] end
  local ok, graph, info = errors.try(function()
    if meta.plan then plan, problem = pruning_plan.decode(meta.plan) end
    if problem then errors.raise("plan: %s", problem) end
    return build(meta.graph, bytes), read_info(meta.info)
  end)
  if not ok then errors.raise("'%s': %s", path, graph) end
  return graph, info, tensors, plan
end

return model_file
