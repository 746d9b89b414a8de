--- The names that PyTorch's checkpoints are made of: storages, tensors, types. Each function gives a description; no
-- tensor is made here.
--
-- A type is `{ kind = "type", name=, element=, size= }`. A storage, which the container makes of a persistent name, is
-- `{ kind = "storage", type=, key=, count= }`, and where it is a part of that, `shift` and `viewed`, in elements. A
-- tensor is `{ kind = "tensor", storage=, element=, size=, offset=, shape=, strides= }`, or with `unsupported`, what it
-- is instead. Elements are named as safetensors does ("F32"); a type that cannot be read has none.
-- @module secateur.formats.torch_globals
local pickle = require "secateur.formats.pickle"
local pickle_globals = require "secateur.formats.pickle_globals"

local torch_globals = {}

local globals = {}
for name, make in pairs(pickle_globals) do globals[name] = make end

--- Whole name → what it makes, as `pickle.load` takes them.
torch_globals.known = globals

-- Storage → its torch.dtype, the element, bytes per element.
local storages = {
  { "Float", "float32", "F32", 4 }, { "Double", "float64", "F64", 8 }, { "Half", "float16", "F16", 2 },
  { "BFloat16", "bfloat16", "BF16", 2 }, { "Long", "int64", "I64", 8 }, { "Int", "int32", "I32", 4 },
  { "Short", "int16", "I16", 2 }, { "Char", "int8", "I8", 1 }, { "Byte", "uint8", "U8", 1 },
  { "Bool", "bool", "BOOL", 1 }, { "ComplexFloat", "complex64", nil, 8 }, { "ComplexDouble", "complex128", nil, 16 },
  { "QInt8", "qint8", nil, 1 }, { "QUInt8", "quint8", nil, 1 }, { "QInt32", "qint32", nil, 4 },
  { "QUInt4x2", "quint4x2", nil, 1 }, { "QUInt2x4", "quint2x4", nil, 1 },
}

-- Types without a storage of their own; they lie in untyped ones.
local newer = {
  { "uint16", "U16", 2 }, { "uint32", "U32", 4 }, { "uint64", "U64", 8 }, { "complex32", nil, 4 },
  { "float8_e4m3fn", nil, 1 }, { "float8_e5m2", nil, 1 }, { "float8_e4m3fnuz", nil, 1 }, { "float8_e5m2fnuz", nil, 1 },
  { "float8_e8m0fnu", nil, 1 }, { "float4_e2m1fn_x2", nil, 1 },
}

local function dtype(name, element, size)
  return { kind = "type", name = name, element = element, size = size }
end

for _, row in ipairs(storages) do
  local type_of = dtype(row[2], row[3], row[4])
  globals["torch." .. row[2]] = type_of
  globals["torch." .. row[1] .. "Storage"] = type_of
  globals["torch.cuda." .. row[1] .. "Storage"] = type_of
end
for bits = 1, 7 do
  newer[#newer + 1], newer[#newer + 2] = { "int" .. bits, nil, 1 }, { "uint" .. bits, nil, 1 }
end
for _, name in ipairs { "bits8", "bits16", "bits1x8", "bits2x4", "bits4x2" } do newer[#newer + 1] = { name, nil, 1 } end
for _, row in ipairs(newer) do globals["torch." .. row[1]] = dtype(row[1], row[2], row[3]) end
local untyped = dtype("untyped", "U8", 1)
for _, name in ipairs { "torch.storage.UntypedStorage", "torch.UntypedStorage", "torch.storage._UntypedStorage" } do
  globals[name] = untyped
end

local function is(value, kind) return type(value) == "table" and value.kind == kind end

local function is_count(value) return math.type(value) == "integer" and value >= 0 end

--- The type that a global names, or nil.
-- @param value of the machine
-- @treturn table `name`, `element` (nil where tensors of it cannot be read), `size` in bytes
function torch_globals.type_of(value)
  local made = is(value, "global") and value.make
  return is(made, "type") and made or nil
end

-- The tuple as a plain list of counts, or nil.
local function counts(tuple)
  if not is(tuple, "tuple") and not is(tuple, "list") then return nil end
  local list = {}
  for i = 1, tuple.n do
    if not is_count(tuple[i]) then return nil end
    list[i] = tuple[i]
  end
  return list
end

local function unsupported(what, shape)
  return { kind = "tensor", unsupported = what, shape = shape or {} }
end

-- Neither conjugated nor negated views, which PyTorch marks as such.
local function is_marked(metadata)
  if not is(metadata, "dict") then return false end
  for i = 1, metadata.n do
    if metadata.values[i] == true then return true end
  end
  return false
end

local function view(storage, offset, size, stride, element_type, metadata)
  local shape, strides = counts(size), counts(stride)
  if not is(storage, "storage") or not is_count(offset) or not shape or not strides or #shape ~= #strides then
    return nil
  end
  if not element_type.element then return unsupported("a tensor of " .. element_type.name, shape) end
  if is_marked(metadata) then return unsupported("a conjugated or negated view", shape) end
  return { kind = "tensor", storage = storage, element = element_type.element, size = element_type.size,
    offset = offset, shape = shape, strides = strides }
end

local function rebuild_tensor(a, _, machine) -- (storage, offset, size, stride[, requires_grad, hooks[, metadata]])
  pickle.charge(machine, 600)
  return is(a[1], "storage") and view(a[1], a[2], a[3], a[4], a[1].type, a[7]) or nil
end

local function rebuild_tensor_v3(a, _, machine) -- (storage, offset, size, stride, requires_grad, hooks, dtype[, …])
  pickle.charge(machine, 600)
  local element_type = torch_globals.type_of(a[7])
  return element_type and view(a[1], a[2], a[3], a[4], element_type, a[8]) or nil
end

-- Of (tensor, …): a parameter is its tensor.
local function first(a) return is(a[1], "tensor") and a[1] or nil end

-- (function, type, arguments, state): a tensor with attributes, or of a subclass.
local function rebuild_from_type(a, name, machine)
  local make = is(a[1], "global") and a[1].name ~= name and a[1].make
  if type(make) ~= "function" or not is(a[2], "global") or not is(a[3], "tuple") then return nil end
  local made = make(a[3], a[1].name, machine)
  return is(made, "tensor") and made or nil
end

-- Of (tensor, dtype, device, requires_grad): tensors of devices that PyTorch cannot store from.
local function rebuild_device_tensor(a)
  local element_type = torch_globals.type_of(a[2])
  if not is(a[1], "tensor") or not element_type then return nil end
  if a[1].element == element_type.element then return a[1] end
  return unsupported("a tensor stored as another type than it has", a[1].shape)
end

local function refuse_as(what, place)
  return function(a) return unsupported(what, place and counts(a[place])) end
end

for name, make in pairs {
  _rebuild_tensor = rebuild_tensor,
  _rebuild_tensor_v2 = rebuild_tensor,
  _rebuild_tensor_v3 = rebuild_tensor_v3,
  _rebuild_parameter = first,
  _rebuild_parameter_with_state = first,
  _rebuild_device_tensor_from_cpu_tensor = rebuild_device_tensor,
  _rebuild_device_tensor_from_numpy = refuse_as "a tensor stored as a NumPy array",
  _rebuild_qtensor = refuse_as("a quantized tensor", 3),
  _rebuild_sparse_tensor = refuse_as "a sparse tensor",
  _rebuild_sparse_csr_tensor = refuse_as "a sparse tensor",
  _rebuild_nested_tensor = refuse_as "a nested tensor",
  _rebuild_meta_tensor_no_storage = refuse_as("a meta tensor, which has no values", 2),
} do globals["torch._utils." .. name] = make end

globals["torch._tensor._rebuild_from_type_v2"] = rebuild_from_type
globals["torch.Tensor"] = true
globals["torch.nn.parameter.Parameter"] = first
globals["torch.nn.parameter.Buffer"] = first
globals["torch.Size"] = function(a) return is(a[1], "tuple") and a[1] or is(a[1], "list") and a[1] or nil end
globals["torch.device"] = function(_, name) return { kind = "record", name = name } end
globals["torch.serialization._get_layout"] = function(_, name) return { kind = "record", name = name } end
for _, scheme in ipairs { "per_tensor_affine", "per_tensor_symmetric", "per_channel_affine", "per_channel_symmetric",
  "per_channel_affine_float_qparams" } do
  globals["torch." .. scheme] = true
end

return torch_globals
