local any_output = require "support.any_output"
local core = require "secateur.core"
local errors = require "support.errors"
local families = require "support.families"
local files = require "secateur.util.files"
local operations = require "secateur.formats.onnx_operations"
local protobuf = require "support.protobuf"
local prune = require "secateur.pruning.prune"
local temporary = require "support.temporary"

describe("an exported model", function()
  local folder

  before_each(function() folder = temporary.folder() end)
  after_each(function() files.remove(folder) end)

  local function exported(model, opts)
    local path = files.join(folder, "model.onnx")
    model:export_onnx(path, opts)
    return protobuf.onnx(assert(files.read_all(path)))
  end

  -- The nodes of a network as protobuf.lines shows them, and its initializers.
  local function network(input, build, opts)
    local onnx = exported(any_output { input = input, build = build }, opts)
    return protobuf.lines(onnx), protobuf.initializers(onnx), onnx
  end

  it("has a rule for every operation", function()
    for _, operation in ipairs(core.operations()) do
      assert.equal("function", type(operations[operation.name]), operation.name)
    end
  end)

  it("convolves with every attribute", function()
    local lines, constants = network({ 4, 9, 9 }, function(net, x)
      x = net:conv2d("c", x, { out = 6, kernel = { 3, 2 }, stride = { 1, 2 }, padding = { 2, 0 }, dilation = { 1, 3 },
        groups = 2 })
      return net:conv2d("d", x, { out = 1, kernel = 1, bias = false })
    end)
    assert.same({ "c: Conv(input, c.weight, c.bias) dilations=1,3 group=2 kernel_shape=3,2 pads=2,0,2,0 strides=1,2",
      "d: Conv(c, d.weight) dilations=1,1 group=1 kernel_shape=1,1 pads=0,0,0,0 strides=1,1 -> logits" }, lines)
    assert.same({ 6, 2, 3, 2 }, constants["c.weight"].dims)
    assert.same({ 6 }, constants["c.bias"].dims)
  end)

  it("maps vectors and tokens linearly, with and without a bias", function()
    assert.same({ "flat: Flatten(input) axis=1", "a: Gemm(flat, a.weight, a.bias) transB=1",
      "b: Gemm(a, b.weight) transB=1 -> logits" }, (network({ 3, 2, 2 }, function(net, x)
        x = net:linear("a", net:flatten("flat", x), { out = 5 })
        return net:linear("b", x, { out = 2, bias = false })
      end)))
    assert.same({ "a/Transpose: Transpose(a.weight) perm=1,0", "a/MatMul: MatMul(input, a/Transpose)",
      "a: Add(a/MatMul, a.bias)", "b/Transpose: Transpose(b.weight) perm=1,0", "b: MatMul(a, b/Transpose)",
      "c: Gather(b, integer.2) axis=1 -> logits" }, (network({ 4, 3 }, function(net, x)
        x = net:linear("b", net:linear("a", x, { out = 5 }), { out = 2, bias = false })
        return net:select("c", x, { index = 3 })
      end)))
  end)

  it("attends, by rows of one parameter", function()
    local model = any_output { input = { 5, 6 }, build = function(net, x)
      return net:self_attention("att", x, { heads = 2 })
    end }
    local onnx = exported(model)
    local lines, constants = protobuf.lines(onnx), protobuf.initializers(onnx)
    assert.same({ "att.scores/Reshape: Reshape(att.q, integers.0x5x2x3)",
      "att.scores/Transpose: Transpose(att.scores/Reshape) perm=0,2,1,3",
      "att.scores/Reshape_1: Reshape(att.k, integers.0x5x2x3)",
      "att.scores/Transpose_1: Transpose(att.scores/Reshape_1) perm=0,2,3,1",
      "att.scores/MatMul: MatMul(att.scores/Transpose, att.scores/Transpose_1)",
      "att.scores: Mul(att.scores/MatMul, number.0.577350269)", "att.probabilities: Softmax(att.scores) axis=-1",
      "att.context/Reshape: Reshape(att.v, integers.0x5x2x3)",
      "att.context/Transpose: Transpose(att.context/Reshape) perm=0,2,1,3",
      "att.context/MatMul: MatMul(att.probabilities, att.context/Transpose)",
      "att.context/Transpose_1: Transpose(att.context/MatMul) perm=0,2,1,3",
      "att.context: Reshape(att.context/Transpose_1, integers.0x5x6)" }, { table.unpack(lines, 10, 21) })
    assert.equal("att.k/MatMul: MatMul(input, att.k/Transpose)", lines[5])
    local rows = model:state()["att.in_proj_weight"]:totable()
    for i, part in ipairs { "q", "k", "v" } do
      local found = constants["att." .. part .. ".weight"]
      assert.same({ 6, 6 }, found.dims)
      for r = 1, 6 do
        assert.same(rows[6 * (i - 1) + r], { table.unpack(found.values, 6 * r - 5, 6 * r) })
      end
    end
    assert.same({ { 0, 5, 2, 3 }, 7 }, { constants["integers.0x5x2x3"].values, constants["integers.0x5x2x3"].type })
    assert.near(1 / math.sqrt(3), constants["number.0.577350269"].values[1], 1e-7)
    assert.same({}, constants["number.0.577350269"].dims)
  end)

  it("normalises by channel and by token", function()
    local lines = network({ 4, 3, 3 }, function(net, x)
      x = net:tokens("t", net:batch_norm2d("n", x, { eps = 0.25 }))
      return net:layer_norm("l", x, { eps = 0.5 })
    end)
    assert.same({
      "n: BatchNormalization(input, n.weight, n.bias, n.running_mean, n.running_var) epsilon=0.25",
      "t/Reshape: Reshape(n, integers.0x4x9)", "t: Transpose(t/Reshape) perm=0,2,1",
      "l: LayerNormalization(t, l.weight, l.bias) axis=-1 epsilon=0.5 -> logits" }, lines)
  end)

  it("activates", function()
    local lines, constants = network({ 4 }, function(net, x)
      for _, op in ipairs { "relu", "sigmoid", "tanh", "silu", "softmax", "gelu" } do x = net[op](net, op, x) end
      return net:gelu("approx", x, { approximation = "tanh" })
    end)
    assert.same({ "relu: Relu(input)", "sigmoid: Sigmoid(relu)", "tanh: Tanh(sigmoid)", "silu/Sigmoid: Sigmoid(tanh)",
      "silu: Mul(tanh, silu/Sigmoid)", "softmax: Softmax(silu) axis=-1", "gelu/Div: Div(softmax, number.1.41421356)",
      "gelu/Erf: Erf(gelu/Div)", "gelu/Add: Add(gelu/Erf, number.1)", "gelu/Mul: Mul(softmax, gelu/Add)",
      "gelu: Mul(gelu/Mul, number.0.5)", "approx/Mul: Mul(gelu, gelu)", "approx/Mul_1: Mul(approx/Mul, gelu)",
      "approx/Mul_2: Mul(approx/Mul_1, number.0.044715)", "approx/Add: Add(gelu, approx/Mul_2)",
      "approx/Mul_3: Mul(approx/Add, number.0.797884561)", "approx/Tanh: Tanh(approx/Mul_3)",
      "approx/Add_1: Add(approx/Tanh, number.1)", "approx/Mul_4: Mul(gelu, approx/Add_1)",
      "approx: Mul(approx/Mul_4, number.0.5) -> logits" }, lines)
    assert.near(math.sqrt(2), constants["number.1.41421356"].values[1], 1e-6)
    assert.near(math.sqrt(2 / math.pi), constants["number.0.797884561"].values[1], 1e-6)
  end)

  it("pools", function()
    assert.same({ "a: MaxPool(input) kernel_shape=3,2 pads=1,1,1,1 strides=2,1",
      "b: AveragePool(a) kernel_shape=2,2 pads=0,0,0,0 strides=2,2 count_include_pad=1",
      "c: AveragePool(b) kernel_shape=3,3 pads=1,0,1,0 strides=1,1 count_include_pad=0 -> logits" },
      (network({ 2, 9, 9 }, function(net, x)
        x = net:max_pool2d("a", x, { kernel = { 3, 2 }, stride = { 2, 1 }, padding = 1 })
        x = net:avg_pool2d("b", x, { kernel = 2 })
        return net:avg_pool2d("c", x, { kernel = 3, stride = 1, padding = { 1, 0 }, count_include_pad = false })
      end)))
  end)

  local function adaptive(height, width, output)
    return network({ 2, height, width }, function(net, x)
      return net:adaptive_avg_pool2d("p", x, { output = output })
    end)
  end

  it("pools adaptively: all, even windows, overlapping ones, and none", function()
    assert.same({ "p: GlobalAveragePool(input) -> logits" }, (adaptive(9, 7, 1)))
    assert.same({ "p: AveragePool(input) kernel_shape=3,2 strides=3,2 -> logits" }, (adaptive(9, 6, 3)))
    assert.same({ "p: AveragePool(input) kernel_shape=9,2 strides=9,2 -> logits" }, (adaptive(9, 6, { 1, 3 })))
    assert.same({ "p: AveragePool(input) kernel_shape=3,3 strides=2,2 -> logits" }, (adaptive(5, 5, 2)))
    assert.same({ "logits/Identity: Identity(input) -> logits" }, (adaptive(4, 5, { 4, 5 })))
  end)

  it("pools adaptively over uneven windows, by the means as matrices", function()
    local lines, constants = adaptive(3, 1, { 2, 4 })
    assert.same({ "p/MatMul: MatMul(input, p.across)", "p/Transpose: Transpose(p.down) perm=1,0",
      "p: MatMul(p/Transpose, p/MatMul) -> logits" }, lines)
    assert.same({ dims = { 1, 4 }, type = 1, values = { 1, 1, 1, 1 } }, constants["p.across"])
    assert.same({ dims = { 3, 2 }, type = 1, values = { 0.5, 0, 0.5, 0.5, 0, 0.5 } }, constants["p.down"])
    for _, size in ipairs { { 7, 4, 3, 5 }, { 10, 8, 7, 7 }, { 3, 8, 7, 5 } } do
      local _, found = adaptive(size[1], size[2], { size[3], size[4] })
      local x = core.randn(1, 2, size[1], size[2], { seed = 1 })
      local function matrix(each) return core.tensor(each.values):reshape(table.unpack(each.dims)) end
      local model = any_output { input = { 2, size[1], size[2] }, build = function(net, input)
        return net:adaptive_avg_pool2d("p", input, { output = { size[3], size[4] } })
      end }
      local expected = model:forward(x)
      local down = matrix(found["p.down"]):totable()
      local turned = core.zeros(size[3], size[1])
      for i, row in ipairs(down) do
        for o, value in ipairs(row) do turned:set(value, o, i) end
      end
      for c = 1, 2 do
        local mean = turned:matmul(x[1][c]:matmul(matrix(found["p.across"])))
        assert.is_true(mean:allclose(expected[1][c], 1e-5, 1e-6))
      end
    end
  end)

  it("adds, joins and passes dropout by", function()
    assert.same({ "a: Add(input, input)", "b: Sum(a, input, a)", "c: Concat(b, a) axis=1", "e: Relu(c) -> logits" },
      (network({ 2, 3 }, function(net, x)
        net:add("a", { x, x })
        net:add("b", { "a", x, "a" })
        net:relu("unused", "b")
        return net:relu("e", net:dropout("d", net:concat("c", { "b", "a" }), { p = 0.5 }))
      end)))
  end)

  it("spreads parameters over the batch where they do not broadcast", function()
    local lines, constants = network({ 2, 3 }, function(net, x)
      local p = net:parameter("p", {}, { shape = { 2, 3 } })
      x = net:add("sum", { x, net:relu("r", p) })
      local both = net:concat("pp", { p, "r" })
      return net:concat("c", { both, x, p })
    end)
    assert.same({ "r: Relu(p.value)", "sum: Add(input, r)", "pp: Concat(p.value, r) axis=1",
      "batch/Shape: Shape(input) end=1 start=0", "c/Concat: Concat(batch/Shape, integers.4x3) axis=0",
      "c/Expand: Expand(pp, c/Concat)", "c/Concat_1: Concat(batch/Shape, integers.2x3) axis=0",
      "c/Expand_1: Expand(p.value, c/Concat_1)", "c: Concat(c/Expand, sum, c/Expand_1) axis=1 -> logits" }, lines)
    assert.same({ 1, 2, 3 }, constants["p.value"].dims)
    assert.same({ "batch/Shape: Shape(input) end=1 start=0", "logits/Concat: Concat(batch/Shape, integers.2) axis=0",
      "logits/Expand: Expand(p.value, logits/Concat) -> logits" }, (network({ 3 }, function(net)
        return net:parameter("p", {}, { shape = { 2 } })
      end)))
  end)

  it("shares what nodes share, and finds free names", function()
    local lines, constants = network({ 4 }, function(net, x)
      x = net:linear("a", x, { out = 4 }, { weight = { name = "b" }, bias = { name = "logits" } })
      x = net:linear("b", x, { out = 4 }, { weight = { name = "b" }, bias = { name = "logits" } })
      x = net:linear("gelu/Div", x, { out = 4, bias = false }, { weight = { name = "b" } })
      return net:gelu("gelu", x)
    end)
    assert.same({ "a: Gemm(input, b, logits_1) transB=1", "b: Gemm(a, b, logits_1) transB=1 -> b_1",
      "gelu/Div: Gemm(b_1, b) transB=1", "gelu/Div_1: Div(gelu/Div, number.1.41421356)" },
      { table.unpack(lines, 1, 4) })
    assert.is_truthy(constants.b and constants.logits_1)
  end)

  it("takes any batch, and names its ends", function()
    local model = families.all().vgg
    local onnx = exported(model, { name = "mine", input_name = "pixels", output_name = "scores" })
    assert.equal("mine", onnx.graph.name)
    assert.same({ 17, 8, "secateur" }, { onnx.opset_import[1].version, onnx.ir_version, onnx.producer_name })
    assert.same({ { name = "pixels", type = { tensor_type = { elem_type = 1, shape = { dim = { { dim_param = "batch" },
      { dim_value = 3 }, { dim_value = 16 }, { dim_value = 16 } } } } } } }, onnx.graph.input)
    assert.same({ { name = "scores", type = { tensor_type = { elem_type = 1, shape = { dim = { { dim_param = "batch" },
      { dim_value = 3 } } } } } } }, onnx.graph.output)
    assert.equal("pixels", onnx.graph.node[1].input[1])
    assert.equal("scores", onnx.graph.node[#onnx.graph.node].output[1])
    assert.equal("classifier.3", onnx.graph.node[#onnx.graph.node].name)
  end)

  it("holds every parameter of every family, bit by bit", function()
    for name, model in pairs(families.all()) do
      local constants, state = protobuf.initializers(exported(model)), model:state()
      for parameter, tensor in pairs(state) do
        local found = constants[parameter]
        if found then
          assert.same(tensor:shape(), found.dims, name)
          assert.same(tensor:reshape(tensor:numel()):totable(), found.values, name)
        else -- counters have no place in inference, and of these only rows are used
          assert.is_truthy(parameter:find "num_batches_tracked$" or parameter:find "in_proj_", parameter)
        end
      end
    end
  end)

  it("is the same bytes each time", function()
    local model = families.all().vit
    local paths = { files.join(folder, "a"), files.join(folder, "b") }
    for _, path in ipairs(paths) do model:export_onnx(path) end
    assert.equal(files.read_all(paths[1]), files.read_all(paths[2]))
  end)

  it("folds batch norms when told to", function()
    local model = families.all().vgg_bn
    local function count(opts)
      local found = 0
      for _, node in ipairs(exported(model, opts).graph.node) do
        if node.op_type == "BatchNormalization" then found = found + 1 end
      end
      return found
    end
    assert.equal(2, count())
    assert.equal(0, count { fold = true })
    local state, folded = model:state(), protobuf.initializers(exported(model, { fold = true }))
    local scale = state["features.1.weight"]:get(1) / math.sqrt(state["features.1.running_var"]:get(1) + 1e-5)
    assert.near(state["features.0.weight"]:get(1, 1, 1, 1) * scale, folded["features.0.weight"].values[1], 1e-6)
  end)

  it("holds zeros where units were pruned", function()
    local model = families.all().vgg
    local scores = {}
    for _, layer in ipairs(model:layers()) do scores[layer.name] = core.randn(layer.units, { seed = 5 }) end
    local pruned = prune(model, scores, { rate = 0.5 })
    local weight = protobuf.initializers(exported(pruned))["features.3.weight"]
    local per_unit = #weight.values // 6
    for unit = 1, 6 do
      local sum = 0
      for i = 1, per_unit do sum = sum + math.abs(weight.values[(unit - 1) * per_unit + i]) end
      local gone = false
      for _, each in ipairs(pruned.plan["features.3"]) do gone = gone or each == unit end
      assert.equal(gone, sum == 0)
    end
  end)

  it("gives probabilities and normalises when told to", function()
    local model = families.all().vgg
    model.info.normalisation = { mean = { 0.5, 0.25, 0.125 }, std = { 1, 2, 4 } }
    local onnx = exported(model, { softmax = true, normalise = true })
    local lines, constants = protobuf.lines(onnx), protobuf.initializers(onnx)
    assert.equal("normalise/Sub: Sub(input, normalise.mean)", lines[1])
    assert.equal("normalise/Div: Div(normalise/Sub, normalise.std)", lines[2])
    assert.equal("probabilities/Softmax: Softmax(classifier.3) axis=-1 -> probabilities", lines[#lines])
    assert.same({ dims = { 1, 3, 1, 1 }, type = 1, values = { 0.5, 0.25, 0.125 } }, constants["normalise.mean"])
    assert.same({ dims = { 1, 3, 1, 1 }, type = 1, values = { 1, 2, 4 } }, constants["normalise.std"])
    assert.equal("probabilities", onnx.graph.output[1].name)
  end)

  it("gives the probabilities that the head means", function()
    local model = require "secateur.models".vgg { config = { 4, "M" }, hidden = {}, pool = 2, classes = 1, size = 8,
      channels = 1, head = "sigmoid" }
    model.info.classes = { "normal", "effusion" }
    for _, name in ipairs { "probabilities", "softmax" } do
      local onnx = exported(model, { [name] = true })
      local lines, found = protobuf.lines(onnx), {}
      assert.equal("probabilities/Sigmoid: Sigmoid(classifier.0) -> probabilities", lines[#lines])
      for _, pair in ipairs(onnx.metadata_props) do found[pair.key] = pair.value end
      assert.same({ architecture = "vgg", head = "sigmoid", classes = '["normal","effusion"]' }, found)
    end
    assert.equal("export_onnx: softmax: expected none beside probabilities, of which it is the old name",
      require "support.errors".raised(model.export_onnx, model, "x.onnx", { softmax = true, probabilities = false }))
  end)

  it("carries what its user should know", function()
    local model = families.all().vgg
    local function facts(opts)
      local found = {}
      for _, pair in ipairs(exported(model, opts).metadata_props) do found[pair.key] = pair.value end
      return found
    end
    assert.same({ architecture = "vgg" }, facts())
    model.info.normalisation = { mean = { 0.5, 0.5, 0.5 }, std = { 1, 1, 1 } }
    model.info.classes = { "a", "b", "ç" }
    assert.same({ architecture = "vgg", classes = '["a","b","ç"]', normalisation =
      '{"mean":[0.5,0.5,0.5],"std":[1,1,1]}' }, facts())
    assert.same({ architecture = "vgg", classes = '["x","y","z"]' },
      facts { normalise = true, classes = { "x", "y", "z" } })
    model.info.preparation = { mean = { 0.5, 0.5, 0.5 }, std = { 1, 1, 1 }, resize = 256, crop = 224,
      interpolation = "bicubic" }
    local resized = '{"crop":224,"interpolation":"bicubic","resize":256}'
    assert.equal(resized, facts().preparation)
    assert.same({ architecture = "vgg", classes = '["a","b","ç"]', preparation = resized }, facts { normalise = true })
    model.info.preparation = { mean = { 0.5, 0.5, 0.5 }, std = { 1, 1, 1 } }
    assert.is_nil(facts().preparation)
  end)

  it("is refused with what is wrong, at the caller's line", function()
    local model = families.all().vgg
    local path = files.join(folder, "x")
    local function refusal(opts) return errors.here(function() model:export_onnx(path, opts) end) end
    assert.equal("export_onnx: path: missing", errors.here(function() model:export_onnx() end))
    assert.equal("export_onnx: path: expected a string, got 3", errors.here(function() model:export_onnx(3) end))
    assert.is_truthy(errors.here(function() model:export_onnx(folder) end):find "^export_onnx: '.*': expected a re")
    assert.is_truthy(refusal({ opset = 11 }):find "^export_onnx: unknown option 'opset', expected one of: classes, ")
    assert.equal("export_onnx: fold: expected a boolean, got 1", refusal { fold = 1 })
    assert.equal("export_onnx: input_name: expected a name in UTF-8, got ''", refusal { input_name = "" })
    assert.equal("export_onnx: output_name: expected another than the input's, got 'x'",
      refusal { output_name = "x", input_name = "x" })
    assert.equal("export_onnx: normalise: expected a model that knows how its images were normalised, as training "
      .. "leaves it in info.normalisation", refusal { normalise = true })
    model.info.normalisation = { mean = { 0.5 }, std = { 1 } }
    assert.equal("export_onnx: normalise: expected mean and std of 3 channels, got 1 and 1",
      refusal { normalise = true })
    assert.equal("export_onnx: classes: expected a list of 3 names, got one of 2", refusal { classes = { "a", "b" } })
    assert.equal("export_onnx: classes: expected a list of 3 names, got 7", refusal { classes = { "a", 7, "b" } })
    model.info.classes = { "a\255", "b", "c" }
    assert.equal("export_onnx: classes: expected UTF-8, got other bytes", refusal())
    model.info.classes = { "a", "b" }
    assert.equal("export_onnx: info: classes: expected a list of 3 names", refusal())
    model.info = { architecture = "x", normalisation = { mean = 3 } }
    assert.equal("export_onnx: info: normalisation: expected as many positive numbers in std as numbers in mean",
      refusal { normalise = true })
    local odd = any_output { input = { 2 }, build = function(net, x) return net:relu("r\255", x) end }
    assert.equal("export_onnx: node: expected UTF-8, got other bytes",
      errors.here(function() odd:export_onnx(path) end))
    assert.is_nil(files.read_all(path))
  end)
end)
