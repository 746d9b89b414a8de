--- What each operation is in ONNX (opset 17): one function per row of csrc/op/ops.def, from the node and the names of
-- its inputs' values to the name of its own value.
--
-- `net` is the exporter of secateur.formats.onnx: `net:step(node, op, inputs, attributes)` adds a node on the way and
-- `net:last(...)` the one that carries the node's name; both give the name of the value. Shapes leave the batch to the
-- run: Reshape copies it (0), and what has no batch yet (parameters) is a batch of one that broadcasts.
-- @module secateur.formats.onnx_operations
local core = require "secateur.core"

local operations = {}

local function twice(pair) return { pair[1], pair[2], pair[1], pair[2] } end


--- The images: the graph's input, whatever was done to it.
function operations.input(net)
  return net.images
end

--- The parameter itself, with its leading 1.
function operations.parameter(net, node)
  return net:parameter(node, 1)
end

--- Conv.
function operations.conv2d(net, node, inputs)
  local a = node.attrs
  return net:last(node, "Conv", { inputs[1], net:parameter(node, 1), a.bias and net:parameter(node, 2) or nil }, {
    { "dilations", a.dilation }, { "group", a.groups }, { "kernel_shape", a.kernel }, { "pads", twice(a.padding) },
    { "strides", a.stride } })
end

--- Gemm on vectors; on tokens MatMul with the transposed weight, and Add.
function operations.linear(net, node, inputs)
  local weight, bias = net:parameter(node, 1), node.attrs.bias and net:parameter(node, 2) or nil
  if #node.shape == 1 then return net:last(node, "Gemm", { inputs[1], weight, bias }, { { "transB", 1 } }) end
  local factors = { inputs[1], net:transposed(node, weight) }
  if not bias then return net:last(node, "MatMul", factors) end
  return net:last(node, "Add", { net:step(node, "MatMul", factors), bias })
end

-- Units of a value [batch x ...] by their places along an axis (from 0, the batch being 0); -1 gives zeros.
local function gather_units(net, node, value, shape, axis, places)
  local units, list, pads = shape[axis], {}, {}
  for i, place in ipairs(places) do list[i] = place < 0 and units or place end
  for d = 1, 2 * #shape + 2 do pads[d] = d == #shape + 2 + axis and 1 or 0 end
  for _, place in ipairs(list) do
    if place == units then
      value = net:step(node, "Pad", { value, net:integers(pads) })
      break
    end
  end
  return net:step(node, "Gather", { value, net:integers(list) }, { { "axis", axis } })
end

-- Heads of different widths get zeros to the width of the widest: products and sums stay as they are. Gives the value,
-- its shape, and where its own features are among those, from 0; nothing changes where widths are equal.
local function even_heads(net, node, value, shape, widths)
  if not widths then return value, shape end
  local widest, places, own, feature = math.max(table.unpack(widths)), {}, {}, 0
  for head, width in ipairs(widths) do
    for i = 0, widest - 1 do
      places[#places + 1] = i < width and feature + i or -1
      if i < width then own[#own + 1] = (head - 1) * widest + i end
    end
    feature = feature + width
  end
  return gather_units(net, node, value, shape, 2, places), { shape[1], #places }, own
end

-- [T x D] to [heads x T x D / heads], or with keys to [heads x D / heads x T].
local function split_heads(net, node, value, shape, heads, keys)
  local parts = net:step(node, "Reshape", { value, net:integers { 0, shape[1], heads, shape[2] // heads } })
  return net:step(node, "Transpose", { parts }, { { "perm", keys and { 0, 2, 3, 1 } or { 0, 2, 1, 3 } } })
end

--- Per head, MatMul of queries and transposed keys, times the scale: 1 / sqrt(features of a head) unless given.
function operations.attention_scores(net, node, inputs)
  local heads, scale, shape = node.attrs.heads, node.attrs.scale, net.shapes[node.inputs[1]]
  if scale == 0 then scale = 1 / math.sqrt(shape[2] // heads) end
  local parts, even = {}, nil
  for i, value in ipairs(inputs) do parts[i], even = even_heads(net, node, value, shape, node.attrs.widths) end
  local queries = split_heads(net, node, parts[1], even, heads)
  local keys = split_heads(net, node, parts[2], even, heads, true)
  return net:last(node, "Mul", { net:step(node, "MatMul", { queries, keys }), net:number(scale) })
end

--- Per head, MatMul of weights and values; heads side by side again.
function operations.attention_context(net, node, inputs)
  local heads = net.shapes[node.inputs[1]][1]
  local all, shape, own = even_heads(net, node, inputs[2], node.shape, node.attrs.widths)
  local context = net:step(node, "MatMul", { inputs[1], split_heads(net, node, all, shape, heads) })
  local tokens = net:step(node, "Transpose", { context }, { { "perm", { 0, 2, 1, 3 } } })
  local place = net:integers { 0, shape[1], shape[2] }
  if not own then return net:last(node, "Reshape", { tokens, place }) end
  local side_by_side = net:step(node, "Reshape", { tokens, place })
  return net:last(node, "Gather", { side_by_side, net:integers(own) }, { { "axis", 2 } })
end

--- BatchNormalization by the running statistics.
function operations.batch_norm2d(net, node, inputs)
  return net:last(node, "BatchNormalization", { inputs[1], net:parameter(node, 1), net:parameter(node, 2),
    net:parameter(node, 3), net:parameter(node, 4) }, { { "epsilon", node.attrs.eps } })
end

--- LayerNormalization of the last dimension.
function operations.layer_norm(net, node, inputs)
  return net:last(node, "LayerNormalization", { inputs[1], net:parameter(node, 1), net:parameter(node, 2) },
    { { "axis", -1 }, { "epsilon", node.attrs.eps } })
end

--- Relu.
function operations.relu(net, node, inputs)
  return net:last(node, "Relu", inputs)
end

--- x / 2 (1 + erf(x / sqrt 2)), or the approximation x / 2 (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))): Gelu is younger
-- than this opset.
function operations.gelu(net, node, inputs)
  local x = inputs[1]
  local curve
  if node.attrs.approximation == "tanh" then
    local cube = net:step(node, "Mul", { net:step(node, "Mul", { x, x }), x })
    local sum = net:step(node, "Add", { x, net:step(node, "Mul", { cube, net:number(0.044715) }) })
    curve = net:step(node, "Tanh", { net:step(node, "Mul", { sum, net:number(math.sqrt(2 / math.pi)) }) })
  else
    curve = net:step(node, "Erf", { net:step(node, "Div", { x, net:number(math.sqrt(2)) }) })
  end
  local product = net:step(node, "Mul", { x, net:step(node, "Add", { curve, net:number(1) }) })
  return net:last(node, "Mul", { product, net:number(0.5) })
end

--- Sigmoid.
function operations.sigmoid(net, node, inputs)
  return net:last(node, "Sigmoid", inputs)
end

--- Tanh.
function operations.tanh(net, node, inputs)
  return net:last(node, "Tanh", inputs)
end

--- x times Sigmoid.
function operations.silu(net, node, inputs)
  return net:last(node, "Mul", { inputs[1], net:step(node, "Sigmoid", inputs) })
end

local function pool(a, ...)
  return { { "kernel_shape", a.kernel }, { "pads", twice(a.padding) }, { "strides", a.stride }, ... }
end

--- MaxPool.
function operations.max_pool2d(net, node, inputs)
  return net:last(node, "MaxPool", inputs, pool(node.attrs))
end

--- AveragePool.
function operations.avg_pool2d(net, node, inputs)
  return net:last(node, "AveragePool", inputs, pool(node.attrs,
    { "count_include_pad", node.attrs.count_include_pad and 1 or 0 }))
end

-- First and last input (from 0) of each window along one axis, as csrc/kernel/window.h has them.
local function windows(size, wanted)
  local list = {}
  for o = 0, wanted - 1 do
    list[#list + 1] = { o * size // wanted, ((o + 1) * size + wanted - 1) // wanted - 1 }
  end
  return list
end

-- Kernel and stride that give the same windows, or nil.
local function regular(list, size)
  local kernel = list[1][2] + 1
  local stride = list[2] and list[2][1] or kernel
  for o, window in ipairs(list) do
    if window[1] ~= (o - 1) * stride or window[2] - window[1] + 1 ~= kernel then return nil end
  end
  if stride == 0 or (size - kernel) // stride + 1 ~= #list then return nil end
  return kernel, stride
end

-- [size x windows]: a row of x times this is the row of the windows' means.
local function averaging(list, size)
  local matrix = core.zeros(size, #list)
  for o, window in ipairs(list) do
    for i = window[1], window[2] do matrix:set(1 / (window[2] - window[1] + 1), i + 1, o) end
  end
  return matrix
end

--- AveragePool where the windows are alike (GlobalAveragePool where there is one); otherwise the means of columns and
-- rows are products with constant matrices. Nothing where each window is a single input.
function operations.adaptive_avg_pool2d(net, node, inputs)
  local _, height, width = table.unpack(net.shapes[node.inputs[1]])
  local wanted = node.attrs.output
  if wanted[1] == height and wanted[2] == width then return inputs[1] end
  if wanted[1] == 1 and wanted[2] == 1 then return net:last(node, "GlobalAveragePool", inputs) end
  local down, across = windows(height, wanted[1]), windows(width, wanted[2])
  local kernel_h, stride_h = regular(down, height)
  local kernel_w, stride_w = regular(across, width)
  if kernel_h and kernel_w then
    return net:last(node, "AveragePool", inputs, { { "kernel_shape", { kernel_h, kernel_w } },
      { "strides", { stride_h, stride_w } } })
  end
  local rows = net:step(node, "MatMul", { inputs[1], net:constant(node.name .. ".across", averaging(across, width)) })
  local left = net:constant(node.name .. ".down", averaging(down, height))
  return net:last(node, "MatMul", { net:transposed(node, left), rows })
end

--- Flatten.
function operations.flatten(net, node, inputs)
  return net:last(node, "Flatten", inputs, { { "axis", 1 } })
end

--- Add, or Sum of more than two.
function operations.add(net, node, inputs)
  return net:last(node, #inputs == 2 and "Add" or "Sum", inputs)
end

-- What each unit of the output gets from an input, as lists of places (from 0, -1 for nothing): one list, or more where
-- several units of the input have the same place.
local function rounds(index, first, count, units)
  local lists = {}
  for u = 1, count do
    local place, round = index[first + u], 1
    while lists[round] and lists[round][place] ~= -1 do round = round + 1 end
    if place >= 1 and place <= units then
      if not lists[round] then
        lists[round] = {}
        for i = 1, units do lists[round][i] = -1 end
      end
      lists[round][place] = u - 1
    end
  end
  return lists
end

--- Of each input a Gather that brings its units to their places (from Pad come zeros), then Sum.
function operations.index_add(net, node, inputs)
  local units, axis = node.attrs.units, #node.shape == 2 and 2 or 1
  local index, first, terms = net.graph:parameter(node.params[1].name):totable(), 0, {}
  for i, value in ipairs(inputs) do
    local shape = net.shapes[node.inputs[i]]
    if i == 1 and shape[axis] == units then
      terms[1] = value
    else
      for _, places in ipairs(rounds(index, first, shape[axis], units)) do
        terms[#terms + 1] = gather_units(net, node, value, shape, axis, places)
      end
      first = first + shape[axis]
    end
  end
  if #terms == 0 then -- nothing has a place
    terms[1] = net:constant(node.name .. ".zeros", core.zeros(1, table.unpack(node.shape)))
  end
  return net:last(node, #terms == 1 and "Identity" or "Sum", terms)
end

--- Concat; parameters are expanded to the batch of the others.
function operations.concat(net, node, inputs)
  local any = false
  for _, value in ipairs(inputs) do any = any or net.batched[value] end
  local whole = {}
  for i, value in ipairs(inputs) do
    whole[i] = any and net:expanded(node, value, net.shapes[node.inputs[i]]) or value
  end
  return net:last(node, "Concat", whole, { { "axis", 1 } })
end

--- Nothing: it acts in training alone.
function operations.dropout(_, _, inputs)
  return inputs[1]
end

--- Reshape and Transpose.
function operations.tokens(net, node, inputs)
  local flat = net:step(node, "Reshape", { inputs[1], net:integers { 0, node.shape[2], node.shape[1] } })
  return net:last(node, "Transpose", { flat }, { { "perm", { 0, 2, 1 } } })
end

--- Gather.
function operations.select(net, node, inputs)
  return net:last(node, "Gather", { inputs[1], net:integers(node.attrs.index - 1) }, { { "axis", 1 } })
end

--- Softmax of the last dimension.
function operations.softmax(net, node, inputs)
  return net:last(node, "Softmax", inputs, { { "axis", -1 } })
end

return operations
