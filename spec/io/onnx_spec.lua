local core = require "secateur.core"
local double = require "secateur.core_double"
local errors = require "support.errors"
local files = require "secateur.util.files"
local protobuf = require "support.protobuf"
local temporary = require "support.temporary"

local header = { ir_version = 8, opset = 17, producer = "secateur", version = "v", name = "g" }

describe("an ONNX model", function()
  local folder

  before_each(function() folder = temporary.folder() end)
  after_each(function() files.remove(folder) end)

  local function written(model)
    local path = files.join(folder, "model.onnx")
    model:write(path)
    return protobuf.onnx(assert(files.read_all(path)))
  end

  it("says what wrote it, and for which version", function()
    local model = core.onnx(header)
    model:metadata("architecture", "vgg11")
    model:metadata("classes", '["a","ö"]')
    assert.same({ ir_version = 8, producer_name = "secateur", producer_version = "v",
      opset_import = { { version = 17 } },
      metadata_props = { { key = "architecture", value = "vgg11" }, { key = "classes", value = '["a","ö"]' } },
      graph = { name = "g", node = {}, initializer = {}, input = {}, output = {} } }, written(model))
  end)

  it("names sizes that are known later", function()
    local model = core.onnx(header)
    model:input("x", { "batch", 3, 224, 1 << 40 })
    model:output("y", {})
    local graph = written(model).graph
    assert.same({ name = "x", type = { tensor_type = { elem_type = 1, shape = { dim = { { dim_param = "batch" },
      { dim_value = 3 }, { dim_value = 224 }, { dim_value = 1 << 40 } } } } } }, graph.input[1])
    assert.same({ name = "y", type = { tensor_type = { elem_type = 1, shape = { dim = {} } } } }, graph.output[1])
  end)

  it("holds tensors of every type, views and scalars included", function()
    local model = core.onnx(header)
    local rows = core.tensor({ { 1, 2 }, { 3, 4 }, { 5, 6 } })
    model:initializer("rows", rows:view(2, 3))
    model:initializer("long", core.tensor({ -1, 1 << 62 }, "int64"))
    model:initializer("bytes", core.tensor({ 0, 255 }, "uint8"))
    model:initializer("one", core.tensor({ 7 }, "int64"):reshape())
    rows:set(9, 2, 1) -- shared
    assert.same({ rows = { dims = { 2, 2 }, type = 1, values = { 9, 4, 5, 6 } },
      long = { dims = { 2 }, type = 7, values = { -1, 1 << 62 } },
      bytes = { dims = { 2 }, type = 2, values = { 0, 255 } },
      one = { dims = {}, type = 7, values = { 7 } } }, protobuf.initializers(written(model)))
    model = double.onnx(header)
    model:initializer("wide", double.tensor({ 1 / 3 }))
    assert.same({ dims = { 1 }, type = 11, values = { 1 / 3 } }, protobuf.initializers(written(model)).wide)
  end)

  it("keeps tensors alive that nobody else holds", function()
    local model = core.onnx(header)
    for i = 1, 20 do model:initializer("t" .. i, core.full(1000, i)) end
    collectgarbage()
    collectgarbage()
    local found = protobuf.initializers(written(model))
    for i = 1, 20 do assert.equal(i, found["t" .. i].values[1000]) end
  end)

  it("has nodes with attributes of every kind", function()
    local model = core.onnx(header)
    model:node { op = "Any", name = "n", inputs = { "a", "", "b" }, outputs = { "c", "d" }, attributes = {
      { "int", -3 }, { "zero", 0 }, { "float", 0.5 }, { "whole", 2.0 }, { "text", "abc" },
      { "ints", { 1, -2, 1 << 33 } }, { "none", {} }, { "floats", { 0.25, 3 } }, { "tensor", core.tensor { 1, 2 } } } }
    model:node { op = "Bare", name = "m", inputs = {}, outputs = {} }
    local nodes = written(model).graph.node
    assert.same({ op_type = "Bare", name = "m", input = {}, output = {}, attribute = {} }, nodes[2])
    assert.same({ { "a", "", "b" }, { "c", "d" } }, { nodes[1].input, nodes[1].output })
    local function attribute(name, kind, value)
      local each = { name = name, type = kind, ints = {}, floats = {} }
      for key, given in pairs(value) do each[key] = given end
      return each
    end
    assert.same({ attribute("int", 2, { i = -3 }), attribute("zero", 2, {}), attribute("float", 1, { f = 0.5 }),
      attribute("whole", 1, { f = 2 }), attribute("text", 3, { s = "abc" }),
      attribute("ints", 7, { ints = { 1, -2, 1 << 33 } }), attribute("none", 7, {}),
      attribute("floats", 6, { floats = { 0.25, 3 } }),
      attribute("tensor", 4, { t = { dims = { 2 }, data_type = 1, raw_data = string.pack("<ff", 1, 2) } }) },
      nodes[1].attribute)
  end)

  it("grows to thousands of nodes, and through more than one buffer", function()
    local model = core.onnx(header)
    for i = 1, 5000 do
      model:node { op = "Relu", name = "node" .. i, inputs = { "v" .. i }, outputs = { "v" .. i + 1 } }
      if i % 1000 == 0 then model:initializer("w" .. i, core.full(30000, i)) end
    end
    local onnx = written(model)
    assert.equal(5000, #onnx.graph.node)
    for i, node in ipairs(onnx.graph.node) do assert.same({ "node" .. i, "v" .. i }, { node.name, node.input[1] }) end
    for name, each in pairs(protobuf.initializers(onnx)) do
      assert.equal(tonumber(name:sub(2)), each.values[1])
      assert.equal(tonumber(name:sub(2)), each.values[30000])
    end
  end)

  it("of more than 2 GiB is refused before anything is written", function()
    local model, path = core.onnx(header), files.join(folder, "large")
    local tensor = core.zeros(1 << 22) -- 16 MiB, many times over
    for i = 1, 127 do model:initializer("w" .. i, tensor) end
    model:initializer("nearly", core.zeros((1 << 22) - 1))
    assert.is_truthy(errors.text(model.write, model, path):find(("'%s': expected a model of at most 2147483647 bytes, "
      .. "the most that a protocol buffer holds, got 21474"):format(path), 1, true))
    for _ = 1, 300 do model:initializer("again", tensor) end
    assert.is_truthy(errors.text(model.write, model, path):find("got 7180", 1, true))
    assert.is_nil(files.read_all(path))
  end)

  it("replaces a file whole or not at all", function()
    local path = temporary.write(folder, "old.onnx", "old")
    local model = core.onnx(header)
    assert.is_truthy(errors.text(model.write, model, folder):find "a directory")
    assert.is_truthy(errors.text(model.write, model, files.join(folder, "no/where")):find "No such file")
    assert.equal("old", files.read_all(path))
    model:write(path)
    assert.equal(8, protobuf.onnx(files.read_all(path)).ir_version)
    for name in require "lfs".dir(folder) do assert.is_nil(name:find "tmp") end
  end)

  it("refuses what it cannot encode", function()
    local model = core.onnx(header)
    local function refusal(method, ...) return errors.text(model[method], model, ...) end
    assert.equal("onnx: header: expected a table, got nil", errors.text(core.onnx))
    assert.is_truthy(errors.text(core.onnx, { ir_version = 8 }):find "^onnx: opset: expected .*, got nil$")
    assert.is_truthy(errors.text(core.onnx, { ir_version = 0 }):find "^onnx: ir_version: .*, got 0$")
    assert.equal("onnx: producer: expected a string, got nil", errors.text(core.onnx, { ir_version = 8, opset = 17 }))
    assert.is_truthy(errors.text(core.onnx, { ir_versions = 8 }):find "unknown option 'ir_versions'")
    assert.equal("onnx: key: expected a string, got 3", refusal("metadata", 3, "x"))
    assert.equal("onnx: value: expected a string without zero bytes", refusal("metadata", "x", "a\0b"))
    assert.equal("onnx: shape: expected at most 5 dimensions, got 6", refusal("input", "x", { 1, 2, 3, 4, 5, 6 }))
    assert.is_truthy(refusal("output", "x", { -1 }):find "^onnx: shape: ")
    assert.is_truthy(refusal("initializer", "x", {}):find "^onnx: tensor: expected a Tensor, got")
    assert.equal("onnx: node: expected a table, got nil", refusal "node")
    assert.is_truthy(refusal("node", { op = "A", name = "a", input = {} }):find "unknown option 'input'")
    assert.equal("onnx: inputs: expected a table, got nil", refusal("node", { op = "A", name = "a" }))
    local function attributes(list)
      return refusal("node", { op = "A", name = "a", inputs = {}, outputs = {}, attributes = list })
    end
    assert.equal("onnx: attributes: expected a table, got 3", attributes { 3 })
    assert.is_truthy(attributes { { "k", { 1, 0.5 } } }:find "^onnx: k: expected a whole number")
    assert.is_truthy(attributes { { "k", { 0.5, "x" } } }:find "^onnx: k: expected a number")
    assert.is_truthy(attributes { { "k", true } }:find "^onnx: k: expected a Tensor")
    assert.is_truthy(attributes { { "k" } }:find "^onnx: k: expected a Tensor")
    assert.is_truthy(errors.text(model.write, {}):find "^onnx: model: expected an Onnx")
    getmetatable(model).__close(model)
    assert.equal("onnx: model: expected an Onnx that is not closed, got a userdata",
      (refusal("write", "x"):gsub("got .*", "got a userdata")))
  end)
end)
