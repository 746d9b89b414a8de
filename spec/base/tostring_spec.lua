local core = require "secateur.core"
local files = require "secateur.util.files"
local temporary = require "support.temporary"

describe("what the core makes", function()
  local graph = core.graph()
  graph:add("input", "x", {}, { shape = { 3, 8, 8 } })
  graph:add("conv2d", "features.0", { "x" }, { out = 4, kernel = 3 })
  graph:add("add", "sum", { "features.0", "features.0" })

  -- An object as text, before and after it is closed.
  local function texts(object)
    local open = tostring(object)
    getmetatable(object).__gc(object)
    return { open, tostring(object) }
  end

  it("prints what it is: graphs", function()
    assert.equal(table.concat({ "Graph: 3 nodes, 2 parameters of 112 numbers", "  x           input   [3x8x8]",
      "  features.0  conv2d  [4x6x6]       x", "  sum         add     [4x6x6]       features.0, features.0" }, "\n"),
      tostring(graph))
    assert.same({ "Graph: 0 nodes, 0 parameters of 0 numbers", "Graph (closed)" }, texts(core.graph()))
  end)

  it("prints what it is: what runs graphs", function()
    local open, closed = table.unpack(texts(core.plan(graph, { batch = 2, backward = true, params = true })))
    assert.matches("^ExecutionPlan: 3 nodes, batch 2, gradients of parameters, 3 steps forward and "
      .. "%d backward, %d+%.%d MiB$",
      open)
    assert.equal("ExecutionPlan (closed)", closed)
    open, closed = table.unpack(texts(core.gradients(graph, { batch = 2 })))
    assert.matches("^Gradients: 3 nodes, batch 2, 3 steps forward and %d backward, %d+%.%d MiB$", open)
    assert.equal("Gradients (closed)", closed)
    assert.same({ "Optimiser: sgd of 1 of 2 parameters, after 0 steps", "Optimiser (closed)" },
      texts(core.optimiser(graph, { kind = "sgd", frozen = { "features.0.bias" } })))
    assert.same({ "Ema: 2 parameters, 1 of them fixed", "Ema (closed)" },
      texts(core.ema(graph, { fixed = { "features.0.bias" } })))
  end)

  it("prints what it is: files", function()
    local folder = temporary.folder()
    local path = files.join(folder, "x")
    core.safetensors_write(path, "{}", {})
    assert.same({ ("File: '%s', 16 bytes"):format(path), "File (closed)" }, texts(core.file_open(path)))
    assert.same({ ("SafetensorsFile: '%s', 0 bytes of tensors"):format(path), "SafetensorsFile (closed)" },
      texts(core.safetensors_open(path)))
    assert.same({ "Onnx: 0 nodes", "Onnx (closed)" }, texts(core.onnx { ir_version = 8, opset = 13, producer = "spec",
      version = "1", name = "graph" }))
    files.remove(folder)
  end)

  it("prints what it is: images", function()
    local function source() return core.image_source { kind = "phantom", labels = { 1, 2, 3 } } end
    assert.same({ "ImageSource: 3 images", "ImageSource (closed)" }, texts(source()))
    local loader = core.image_loader(source(), { indices = { 1, 2, 3 }, batch = 2, size = 8 })
    assert.equal("ImageLoader: 0 of 3 images handed out", tostring(loader))
    loader:next()
    assert.same({ "ImageLoader: 2 of 3 images handed out", "ImageLoader (closed)" }, texts(loader))
  end)
end)
