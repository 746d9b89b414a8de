--- Models as files: a safetensors file whose metadata carries the graph as JSON.
-- @module secateur.models.file
local cjson = require "cjson"
local core = require "secateur.core"
local safetensors = require "secateur.formats.safetensors"

local file = {}

local VERSION = "1"
local json = cjson.new()
json.encode_number_precision(14)

-- Parameters that are not named after their node, or are parts of larger ones.
local function bindings(node)
  local slots = { "weight", "bias" }
  if node.op == "parameter" then slots = { "value" } end
  local special
  for slot, param in pairs(node.params) do
    local name = slots[slot]
    if name and (param.name ~= node.name .. "." .. name or param.total) then
      special = special or {}
      special[name] = { name = param.name, first = param.first, total = param.total }
    end
  end
  return special
end

--- Writes a graph with its parameters.
-- @tparam Graph graph
-- @tparam table info strings
-- @tparam table state parameter name -> Tensor
-- @string path
function file.write(graph, info, state, path)
  local nodes = {}
  for i, node in ipairs(graph:nodes()) do
    nodes[i] = { name = node.name, op = node.op, inputs = #node.inputs > 0 and node.inputs or nil,
      attrs = next(node.attrs) and node.attrs or nil, params = bindings(node) }
  end
  safetensors.save(path, state, {
    format = "secateur",
    version = VERSION,
    graph = json.encode { nodes = nodes, output = graph:output() },
    info = json.encode(next(info) and info or { architecture = "custom" }),
  })
end

-- JSON numbers are floats; attributes that are whole go back as such.
local function whole(value)
  if type(value) == "table" then
    local copy = {}
    for key, item in pairs(value) do copy[key] = whole(item) end
    return copy
  end
  return math.type(value) == "float" and math.tointeger(value) or value
end

local function build(text)
  local parsed = json.decode(text)
  assert(type(parsed) == "table" and type(parsed.nodes) == "table", "the graph has no nodes")
  local graph = core.graph()
  for _, node in ipairs(parsed.nodes) do
    assert(type(node) == "table" and type(node.op) == "string" and type(node.name) == "string",
      "a node without operation or name")
    graph:add(node.op, node.name, node.inputs, whole(node.attrs), whole(node.params))
  end
  graph:output(parsed.output)
  return graph
end

--- Reads what `write` wrote. Raises without a position, the path first.
-- @string path
-- @treturn Graph without the parameters' values
-- @treturn table info
-- @treturn table parameter name -> Tensor
function file.read(path)
  local tensors, meta = safetensors.load(path)
  if meta.format ~= "secateur" then
    error(path .. ": expected a file written by model:save, got one without a graph", 0)
  elseif meta.version ~= VERSION then
    error(("%s: expected format version %s, got %s"):format(path, VERSION, tostring(meta.version)), 0)
  end
  local ok, graph, info = pcall(function()
    local info = json.decode(meta.info or "{}")
    assert(type(info) == "table", "info is not a table")
    return build(meta.graph or ""), info
  end)
  if not ok then error(("%s: %s"):format(path, tostring(graph):gsub("^[^\n:]*%.lua:%d+: ", "")), 0) end
  return graph, info, tensors
end

return file
