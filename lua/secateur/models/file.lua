--- Models as files: a safetensors file whose metadata carries the graph as JSON.
-- @module secateur.models.file
local cjson = require "cjson"
local core = require "secateur.core"
local model = require "secateur.models.model"
local options = require "secateur.util.options"
local safetensors = require "secateur.models.safetensors"

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

--- See Model:save.
-- @tparam Model m
-- @string path
function file.save(m, path)
  local nodes = {}
  for i, node in ipairs(m.graph:nodes()) do
    nodes[i] = { name = node.name, op = node.op, inputs = #node.inputs > 0 and node.inputs or nil,
      attrs = next(node.attrs) and node.attrs or nil, params = bindings(node) }
  end
  safetensors.save(path, m:state(), {
    format = "secateur",
    version = VERSION,
    graph = json.encode { nodes = nodes, output = m.graph:output() },
    info = json.encode(next(m.info) and m.info or { architecture = "custom" }),
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

--- Reads a model that Model:save wrote.
-- @string path
-- @treturn Model
function file.load(path)
  options.value("load", "path", path, { type = "string", required = true })
  local tensors, meta = safetensors.load(path)
  if meta.format ~= "secateur" then
    options.fail("load", ("%s: expected a file written by model:save, got one without a graph"):format(path))
  elseif meta.version ~= VERSION then
    options.fail("load", ("%s: expected format version %s, got %s"):format(path, VERSION, tostring(meta.version)))
  end
  local ok, result = pcall(function()
    local info = json.decode(meta.info or "{}")
    assert(type(info) == "table", "info is not a table")
    return model.new(build(meta.graph or ""), info):load_state(tensors)
  end)
  if not ok then options.fail("load", ("%s: %s"):format(path, tostring(result):gsub("^[^\n:]*%.lua:%d+: ", ""))) end
  return result
end

return file
