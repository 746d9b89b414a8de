--- Runs ONNX models: each operation slowly, in double, as ONNX's operator schemas define it
-- (https://onnx.ai/onnx/operators), for those that Secateur writes. Tensors are { dims =, values = flat list }.
local protobuf = require "support.protobuf"

local run = {}

local function product(dims, first, last)
  local count = 1
  for d = first or 1, last or #dims do count = count * dims[d] end
  return count
end

local function new(dims, make)
  local values = {}
  for i = 1, product(dims) do values[i] = make(i - 1) end
  return { dims = dims, values = values }
end

-- The indices (from 0) of element i of a shape.
local function indices(dims, i)
  local list = {}
  for d = #dims, 1, -1 do list[d], i = i % dims[d], i // dims[d] end
  return list
end

local function map(x, f)
  return new(x.dims, function(i) return f(x.values[i + 1]) end)
end

-- Numpy's broadcasting.
local function broadcast(a, b, f)
  local rank, dims = math.max(#a.dims, #b.dims), {}
  for d = 1, rank do
    local m, n = a.dims[d - rank + #a.dims] or 1, b.dims[d - rank + #b.dims] or 1
    assert(m == n or m == 1 or n == 1, "shapes do not broadcast")
    dims[d] = math.max(m, n)
  end
  local function pick(x, at)
    local place = 0
    for d = 1, #x.dims do place = place * x.dims[d] + (x.dims[d] == 1 and 0 or at[d + rank - #x.dims]) end
    return x.values[place + 1]
  end
  return new(dims, function(i)
    local at = indices(dims, i)
    return f(pick(a, at), pick(b, at))
  end)
end

-- The error function by its series, and by its continued fraction where that is slow.
local function erf(x)
  if x < 0 then return -erf(-x) end
  if x < 3 then
    local term, sum, n = x, x, 0
    repeat
      n = n + 1
      term = -term * x * x / n
      sum = sum + term / (2 * n + 1)
    until math.abs(term) < 1e-17
    return 2 / math.sqrt(math.pi) * sum
  end
  local fraction = 0
  for k = 60, 1, -1 do fraction = k / 2 / (x + fraction) end
  return 1 - math.exp(-x * x) / math.sqrt(math.pi) / (x + fraction)
end

-- Applies f(first, count) to each row of the last dimension of a copy.
local function by_rows(x, f)
  local copy, width = map(x, function(v) return v end), x.dims[#x.dims]
  for first = 1, #copy.values, width do f(copy.values, first, first + width - 1) end
  return copy
end

-- Sums f(channel, row, column) of a window; false outside of the map.
local function windows(x, at, a, visit)
  local _, _, h, w = table.unpack(x.dims)
  local dilations = a.dilations or { 1, 1 }
  local pads = a.pads or { 0, 0, 0, 0 }
  for i = 0, a.kernel_shape[1] - 1 do
    for j = 0, a.kernel_shape[2] - 1 do
      local row, column = at[3] * a.strides[1] - pads[1] + i * dilations[1], at[4] * a.strides[2] - pads[2]
        + j * dilations[2]
      if row >= 0 and row < h and column >= 0 and column < w then visit(row * w + column, i, j) end
    end
  end
end

local function pooled(x, a, channels)
  local dims = { x.dims[1], channels or x.dims[2] }
  for d = 1, 2 do
    local reach = (a.kernel_shape[d] - 1) * (a.dilations or { 1, 1 })[d] + 1
    local pads = a.pads or { 0, 0, 0, 0 }
    dims[d + 2] = (x.dims[d + 2] + pads[d] + pads[d + 2] - reach) // a.strides[d] + 1
  end
  return dims
end

local ops = {}

function ops.Identity(_, x) return x end
function ops.Relu(_, x) return map(x, function(v) return math.max(v, 0) end) end
function ops.Sigmoid(_, x) return map(x, function(v) return 1 / (1 + math.exp(-v)) end) end
function ops.Tanh(_, x) return map(x, function(v) return 1 - 2 / (math.exp(2 * v) + 1) end) end
function ops.Erf(_, x) return map(x, erf) end
function ops.Add(_, x, y) return broadcast(x, y, function(a, b) return a + b end) end
function ops.Sub(_, x, y) return broadcast(x, y, function(a, b) return a - b end) end
function ops.Mul(_, x, y) return broadcast(x, y, function(a, b) return a * b end) end
function ops.Div(_, x, y) return broadcast(x, y, function(a, b) return a / b end) end

function ops.Sum(_, x, ...)
  for _, y in ipairs { ... } do x = ops.Add(nil, x, y) end
  return x
end

function ops.Conv(a, x, w, b)
  local per_group, out = w.dims[2], w.dims[1]
  local area, plane = w.dims[3] * w.dims[4], x.dims[3] * x.dims[4]
  assert(w.dims[3] == a.kernel_shape[1] and w.dims[4] == a.kernel_shape[2])
  local dims = pooled(x, a, out)
  return new(dims, function(i)
    local at = indices(dims, i)
    local first = at[2] // (out // a.group) * per_group
    local sum = b and b.values[at[2] + 1] or 0
    windows(x, at, a, function(place, row, column)
      for c = 0, per_group - 1 do
        sum = sum + x.values[(at[1] * x.dims[2] + first + c) * plane + place + 1]
          * w.values[(at[2] * per_group + c) * area + row * w.dims[4] + column + 1]
      end
    end)
    return sum
  end)
end

function ops.MaxPool(a, x)
  local dims, plane = pooled(x, a), x.dims[3] * x.dims[4]
  return new(dims, function(i)
    local at, best = indices(dims, i), -math.huge
    local start = (at[1] * x.dims[2] + at[2]) * plane + 1
    windows(x, at, a, function(place) best = math.max(best, x.values[start + place]) end)
    return best
  end)
end

function ops.AveragePool(a, x)
  local dims, plane = pooled(x, a), x.dims[3] * x.dims[4]
  return new(dims, function(i)
    local at, sum, count = indices(dims, i), 0, 0
    local start = (at[1] * x.dims[2] + at[2]) * plane + 1
    windows(x, at, a, function(place) sum, count = sum + x.values[start + place], count + 1 end)
    return sum / (a.count_include_pad == 1 and product(a.kernel_shape) or count)
  end)
end

function ops.GlobalAveragePool(_, x)
  return ops.AveragePool({ kernel_shape = { x.dims[3], x.dims[4] }, strides = { 1, 1 } }, x)
end

function ops.Gemm(a, x, w, b)
  assert(a.transB == 1 and #x.dims == 2 and w.dims[2] == x.dims[2])
  local dims, width = { x.dims[1], w.dims[1] }, x.dims[2]
  return new(dims, function(i)
    local row, column = i // dims[2], i % dims[2]
    local sum = b and b.values[column + 1] or 0
    for k = 1, width do sum = sum + x.values[row * width + k] * w.values[column * width + k] end
    return sum
  end)
end

function ops.MatMul(_, x, y)
  local rank = math.max(#x.dims, #y.dims)
  local m, k, n = x.dims[#x.dims - 1], x.dims[#x.dims], y.dims[#y.dims]
  assert(k == y.dims[#y.dims - 1], "factors do not fit")
  local function front(each, d) return d <= rank - 2 and each.dims[d - rank + #each.dims] or 1 end
  local dims = {}
  for d = 1, rank - 2 do dims[d] = math.max(front(x, d), front(y, d)) end
  dims[rank - 1], dims[rank] = m, n
  local function matrix(each, at)
    local place = 0
    for d = 1, rank - 2 do place = place * front(each, d) + (front(each, d) == 1 and 0 or at[d]) end
    return place
  end
  return new(dims, function(i)
    local at = indices(dims, i)
    local left, right, sum = (matrix(x, at) * m + at[rank - 1]) * k, matrix(y, at) * k * n + at[rank], 0
    for l = 0, k - 1 do sum = sum + x.values[left + l + 1] * y.values[right + l * n + 1] end
    return sum
  end)
end

function ops.Softmax(a, x)
  assert(a.axis == -1)
  return by_rows(x, function(values, first, last)
    local most, sum = -math.huge, 0
    for i = first, last do most = math.max(most, values[i]) end
    for i = first, last do values[i] = math.exp(values[i] - most) sum = sum + values[i] end
    for i = first, last do values[i] = values[i] / sum end
  end)
end

function ops.LayerNormalization(a, x, scale, shift)
  assert(a.axis == -1)
  return by_rows(x, function(values, first, last)
    local count, mean, var = last - first + 1, 0, 0
    for i = first, last do mean = mean + values[i] / count end
    for i = first, last do var = var + (values[i] - mean) ^ 2 / count end
    for i = first, last do
      local k = i - first + 1
      values[i] = (values[i] - mean) / math.sqrt(var + a.epsilon) * scale.values[k] + shift.values[k]
    end
  end)
end

function ops.BatchNormalization(a, x, scale, shift, mean, var)
  local plane = product(x.dims, 3)
  return new(x.dims, function(i)
    local c = i // plane % x.dims[2] + 1
    return (x.values[i + 1] - mean.values[c]) / math.sqrt(var.values[c] + a.epsilon) * scale.values[c]
      + shift.values[c]
  end)
end

function ops.Flatten(a, x)
  assert(a.axis == 1)
  return { dims = { x.dims[1], product(x.dims, 2) }, values = x.values }
end

function ops.Reshape(_, x, shape)
  local dims = {}
  for d, size in ipairs(shape.values) do dims[d] = size == 0 and x.dims[d] or size end
  assert(product(dims) == #x.values, "another number of elements")
  return { dims = dims, values = x.values }
end

function ops.Transpose(a, x)
  local dims = {}
  for d, from in ipairs(a.perm) do dims[d] = x.dims[from + 1] end
  return new(dims, function(i)
    local at, place, source = indices(dims, i), 0, {}
    for d, from in ipairs(a.perm) do source[from + 1] = at[d] end
    for d = 1, #dims do place = place * x.dims[d] + source[d] end
    return x.values[place + 1]
  end)
end

function ops.Concat(a, ...)
  local list, axis = { ... }, a.axis + 1
  local dims, values = { table.unpack(list[1].dims) }, {}
  dims[axis] = 0
  for _, x in ipairs(list) do
    dims[axis] = dims[axis] + x.dims[axis]
    for d = 1, #dims do assert(d == axis or dims[d] == x.dims[d], "parts do not fit") end
  end
  for outer = 0, product(dims, 1, axis - 1) - 1 do
    for _, x in ipairs(list) do
      local part = product(x.dims, axis)
      table.move(x.values, outer * part + 1, (outer + 1) * part, #values + 1, values)
    end
  end
  return { dims = dims, values = values }
end

-- Along one axis, by a list of places or a single one, which takes the axis away.
function ops.Gather(a, x, index)
  local axis, dims = a.axis + 1, {}
  for d, size in ipairs(x.dims) do
    if d ~= axis then dims[#dims + 1] = size elseif #index.dims == 1 then dims[#dims + 1] = #index.values end
  end
  local inner, count = product(x.dims, axis + 1), #index.values
  return new(dims, function(i)
    local place = index.values[i // inner % count + 1]
    return x.values[(i // inner // count * x.dims[axis] + place) * inner + i % inner + 1]
  end)
end

-- With zeros.
function ops.Pad(_, x, pads)
  local dims, rank = {}, #x.dims
  for d, size in ipairs(x.dims) do dims[d] = size + pads.values[d] + pads.values[d + rank] end
  return new(dims, function(i)
    local place = 0
    for d, at in ipairs(indices(dims, i)) do
      local from = at - pads.values[d]
      if from < 0 or from >= x.dims[d] then return 0 end
      place = place * x.dims[d] + from
    end
    return x.values[place + 1]
  end)
end

function ops.Shape(a, x)
  local list = table.move(x.dims, (a.start or 0) + 1, a["end"] or #x.dims, 1, {})
  return { dims = { #list }, values = list }
end

function ops.Expand(_, x, shape)
  return broadcast(x, new(shape.values, function() return 0 end), function(v) return v end)
end

local function attributes(node)
  local found = {}
  for _, each in ipairs(node.attribute) do
    found[each.name] = ({ [1] = each.f or 0, [2] = each.i or 0, [7] = each.ints })[each.type]
  end
  return found
end

--- The output of a ModelProto for one input.
-- @tab onnx from protobuf.onnx
-- @tparam Tensor x
-- @treturn table { dims =, values = }
function run.forward(onnx, x)
  local graph, values = onnx.graph, protobuf.initializers(onnx)
  assert(#graph.input == 1 and #graph.output == 1 and not values[graph.input[1].name])
  values[graph.input[1].name] = { dims = x:shape(), values = x:reshape(x:numel()):totable() }
  for _, node in ipairs(graph.node) do
    local inputs = {}
    for i, name in ipairs(node.input) do inputs[i] = assert(values[name], name) end
    assert(#node.output == 1 and not values[node.output[1]], "a value twice")
    local evaluate = ops[node.op_type] or error("no evaluator for " .. node.op_type)
    values[node.output[1]] = evaluate(attributes(node), table.unpack(inputs))
  end
  return values[graph.output[1].name]
end

return run
