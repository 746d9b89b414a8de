--- Reads protocol buffers by their wire format (https://protobuf.dev/programming-guides/encoding), and ONNX models by
-- it: a second opinion on what csrc/io/onnx.c writes, from the format's own numbers.
local protobuf = {}

local function varint(bytes, at)
  local value, shift = 0, 0
  repeat
    local byte = bytes:byte(at)
    if not byte or shift > 63 then error("a varint without end at byte " .. at, 0) end
    value, shift, at = value | (byte & 127) << shift, shift + 7, at + 1
  until byte < 128
  return value, at
end

-- One value of a wire type, raw.
local function raw(bytes, at, wire)
  if wire == 0 then return varint(bytes, at) end
  if wire == 5 then return string.unpack("<f", bytes, at) end
  if wire == 2 then
    local length, start = varint(bytes, at)
    if start + length > #bytes + 1 then error("a field longer than its message at byte " .. at, 0) end
    return bytes:sub(start, start + length - 1), start + length
  end
  error(("wire type %d at byte %d"):format(wire, at), 0)
end

-- The numbers of a packed list.
local function unpacked(bytes, kind)
  local list, at = {}, 1
  while at <= #bytes do list[#list + 1], at = raw(bytes, at, kind == "float" and 5 or 0) end
  return list
end

--- A message as a table.
-- @string bytes
-- @tab schema field number -> { name, kind = "int", "float", "text" or another schema, repeated }
function protobuf.read(bytes, schema)
  local message, at = {}, 1
  for _, field in pairs(schema) do
    if field[3] then message[field[1]] = {} end
  end
  while at <= #bytes do
    local key, value, wire
    key, at = varint(bytes, at)
    wire = key & 7
    local field = schema[key >> 3] or error(("field %d, which is not in the schema"):format(key >> 3), 0)
    value, at = raw(bytes, at, wire)
    local name, kind, repeated = table.unpack(field)
    if type(kind) == "table" then value = protobuf.read(value, kind) end
    if repeated and wire == 2 and (kind == "int" or kind == "float") then
      for _, each in ipairs(unpacked(value, kind)) do table.insert(message[name], each) end
    elseif repeated then
      table.insert(message[name], value)
    else
      if message[name] ~= nil then error(name .. " is there twice", 0) end
      message[name] = value
    end
  end
  return message
end

local tensor = { [1] = { "dims", "int", true }, [2] = { "data_type", "int" }, [8] = { "name", "text" },
  [9] = { "raw_data", "text" } }
local dimension = { [1] = { "dim_value", "int" }, [2] = { "dim_param", "text" } }
local tensor_type = { [1] = { "elem_type", "int" }, [2] = { "shape", { [1] = { "dim", dimension, true } } } }
local value_info = { [1] = { "name", "text" }, [2] = { "type", { [1] = { "tensor_type", tensor_type } } } }
local attribute = { [1] = { "name", "text" }, [2] = { "f", "float" }, [3] = { "i", "int" }, [4] = { "s", "text" },
  [5] = { "t", tensor }, [7] = { "floats", "float", true }, [8] = { "ints", "int", true }, [20] = { "type", "int" } }
local node = { [1] = { "input", "text", true }, [2] = { "output", "text", true }, [3] = { "name", "text" },
  [4] = { "op_type", "text" }, [5] = { "attribute", attribute, true } }
local graph = { [1] = { "node", node, true }, [2] = { "name", "text" }, [5] = { "initializer", tensor, true },
  [11] = { "input", value_info, true }, [12] = { "output", value_info, true } }
local pair = { [1] = { "key", "text" }, [2] = { "value", "text" } }
local opset = { [1] = { "domain", "text" }, [2] = { "version", "int" } }
local model = { [1] = { "ir_version", "int" }, [2] = { "producer_name", "text" }, [3] = { "producer_version", "text" },
  [7] = { "graph", graph }, [8] = { "opset_import", opset, true }, [14] = { "metadata_props", pair, true } }

--- The ModelProto in these bytes.
function protobuf.onnx(bytes)
  return protobuf.read(bytes, model)
end

local function show(each)
  if each.type == 1 then return ("%.6g"):format(each.f or 0) end
  if each.type == 2 then return ("%d"):format(each.i or 0) end
  if each.type == 7 then return table.concat(each.ints, ",") end
  error("an attribute of type " .. tostring(each.type), 0)
end

--- The nodes of a ModelProto as lines "name: Operation(inputs) attribute=value", with " -> output" where that is not
-- the name.
function protobuf.lines(onnx)
  local lines = {}
  for i, each in ipairs(onnx.graph.node) do
    local parts = { ("%s: %s(%s)"):format(each.name, each.op_type, table.concat(each.input, ", ")) }
    for _, attr in ipairs(each.attribute) do parts[#parts + 1] = attr.name .. "=" .. show(attr) end
    if each.output[1] ~= each.name then parts[#parts + 1] = "-> " .. each.output[1] end
    lines[i] = table.concat(parts, " ")
  end
  return lines
end

--- name -> { dims =, type =, values = } of all initializers.
function protobuf.initializers(onnx)
  local found = {}
  local formats = { [1] = "<f", [7] = "<i8", [11] = "<d", [2] = "B" }
  for _, each in ipairs(onnx.graph.initializer) do
    assert(not found[each.name], "an initializer twice")
    local values, at, bytes = {}, 1, each.raw_data or ""
    while at <= #bytes do values[#values + 1], at = string.unpack(formats[each.data_type], bytes, at) end
    found[each.name] = { dims = each.dims, type = each.data_type, values = values }
  end
  return found
end

return protobuf
