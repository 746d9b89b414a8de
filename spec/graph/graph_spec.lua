local core = require "secateur.core"
local errors = require "support.errors"

local function small()
  local graph = core.graph()
  graph:add("input", "x", {}, { shape = { 4 } })
  graph:add("linear", "a", { "x" }, { out = 3 })
  graph:add("relu", "b", { "a" })
  return graph
end

-- All that can be read of a graph.
local function everything(graph)
  local values = {}
  for _, p in ipairs(graph:parameters()) do values[p.name] = graph:parameter(p.name):totable() end
  return { nodes = graph:nodes(), parameters = graph:parameters(), output = graph:output(), values = values }
end

describe("a graph", function()
  it("names its nodes, their operations, inputs, shapes and parameters", function()
    local nodes = small():nodes()
    assert.equal(3, #nodes)
    assert.equal("input", nodes[1].op)
    assert.equal("source", nodes[1].linearity)
    local a = nodes[2]
    assert.same({ "x" }, a.inputs)
    assert.same({ 3 }, a.shape)
    assert.equal("weighted", a.linearity)
    assert.equal("produce", a.channels)
    assert.equal(12, a.macs)
    assert.same({ out = 3, bias = true }, a.attrs)
    assert.same({ { slot = "weight", name = "a.weight", first = 1, shape = { 3, 4 } },
      { slot = "bias", name = "a.bias", first = 1, shape = { 3 } } }, a.params)
    assert.same({ { name = "a.weight", shape = { 3, 4 }, trainable = true, dtype = "float32" },
      { name = "a.bias", shape = { 3 }, trainable = true, dtype = "float32" } }, small():parameters())
  end)

  it("gives one node by its name", function()
    local graph = small()
    for _, node in ipairs(graph:nodes()) do assert.same(node, graph:node(node.name)) end
    assert.is_nil(graph:node "c")
    assert.is_nil(graph:node "a\0")
    assert.equal("node: name: expected a string, got nil", errors.text(graph.node, graph))
  end)

  it("gives what was added last, unless told otherwise", function()
    local graph = small()
    assert.is_nil(core.graph():output())
    assert.equal("b", graph:output())
    assert.equal("a", graph:output "a")
    assert.equal("a", graph:output())
    assert.equal("output: node: expected one of the graph, got 'c'", errors.text(graph.output, graph, "c"))
  end)

  it("lets nodes share a parameter, or take rows of one", function()
    local graph = core.graph()
    graph:add("input", "x", {}, { shape = { 2 } })
    graph:add("linear", "a", { "x" }, { out = 2 }, { weight = { name = "both", first = 1, total = 5 } })
    graph:add("linear", "b", { "x" }, { out = 3 }, { weight = { name = "both", first = 3, total = 5 },
      bias = { name = "b.shift" } })
    graph:add("linear", "c", { "x" }, { out = 3 }, { weight = { name = "both", first = 3, total = 5 },
      bias = { name = "b.shift" } })
    graph:set_parameter("both", core.tensor { { 1, 0 }, { 0, 1 }, { 1, 1 }, { 2, 0 }, { 0, 2 } })
    graph:set_parameter("b.shift", core.tensor { 10, 20, 30 })
    local plan = core.plan(graph, { keep = { "a", "b", "c" } })
    plan:forward(core.tensor { { 3, 5 } })
    assert.same({ { 3, 5 } }, plan:value("a"):totable())
    assert.same({ { 18, 26, 40 } }, plan:value("b"):totable())
    assert.same({ { 18, 26, 40 } }, plan:value("c"):totable())
    plan:close()
    assert.equal(3, #graph:parameters())
    assert.same({ slot = "weight", name = "both", first = 3, total = 5, shape = { 3, 2 } },
      graph:nodes()[3].params[1])
    assert.equal("linear 'd': weight: expected rows within 1..5, got 4..6",
      errors.text(graph.add, graph, "linear", "d", { "x" }, { out = 3 },
        { weight = { name = "both", first = 4, total = 5 } }))
    assert.equal("linear 'd': weight: expected float32 of shape [6x2], got float32 of shape [5x2]",
      errors.text(graph.add, graph, "linear", "d", { "x" }, { out = 6 }, { weight = { name = "both" } }))
    assert.equal("linear 'd': parameters: expected 'weight', got 'index'",
      errors.text(graph.add, graph, "linear", "d", { "x" }, { out = 3 }, { index = { name = "both" } }))
    assert.equal("index_add 'd': parameters: expected 'index', got 'weight'",
      errors.text(graph.add, graph, "index_add", "d", { "x" }, { units = 3 }, { weight = { name = "places" } }))
    graph:add("index_add", "d", { "x" }, { units = 3 }, { index = { name = "places" } })
    assert.same({ 2 }, graph:parameter("places"):shape())
  end)

  it("gives copies the same parameters until one of them wants its own", function()
    local graph = small()
    local copy = graph:copy()
    graph:parameter("a.bias"):set(5, 1)
    assert.equal(5, copy:parameter("a.bias"):get(1))
    copy:own_parameters()
    copy:parameter("a.bias"):set(7, 1)
    assert.equal(5, graph:parameter("a.bias"):get(1))
    assert.equal(7, copy:parameter("a.bias"):get(1))
    copy:add("relu", "c", { "b" })
    assert.equal(3, #graph:nodes())
    assert.equal(4, #copy:nodes())
  end)

  it("does not copy what nobody shares", function()
    local graph = small()
    local before = core.memory()
    graph:own_parameters()
    assert.equal(before, (core.memory()))
  end)

  it("shares the tensors it is given, until it wants its own", function()
    local graph, bias = small(), core.tensor { 1, 2, 3 }
    graph:set_parameter("a.bias", bias)
    bias:set(9, 2)
    assert.same({ 1, 9, 3 }, graph:parameter("a.bias"):totable())
    graph:own_parameters()
    bias:set(0, 2)
    assert.same({ 1, 9, 3 }, graph:parameter("a.bias"):totable())
    assert.equal("'a.bias': expected float32 of shape [3], got float32 of shape [4]",
      errors.text(graph.set_parameter, graph, "a.bias", core.zeros(4)))
    assert.equal("'a.bias': expected float32 of shape [3], got int64 of shape [3]",
      errors.text(graph.set_parameter, graph, "a.bias", core.zeros(3, { dtype = "int64" })))
    assert.equal("set_parameter: name: expected a parameter of the graph, got 'a'",
      errors.text(graph.set_parameter, graph, "a", bias))
    assert.equal("parameter: name: expected a parameter of the graph, got 'a'",
      errors.text(graph.parameter, graph, "a"))
  end)

  it("is as before when a node cannot be added", function()
    local graph = small()
    local before = everything(graph)
    local function refused(message, ...)
      assert.equal(message, errors.text(graph.add, graph, ...))
      assert.same(before, everything(graph))
    end
    refused("linear 'a': node 'a' already exists", "linear", "a", { "b" }, { out = 2 })
    refused("linear '': name: expected 1 to 200 characters, got 0", "linear", "", { "b" }, { out = 2 })
    refused("add: operation: expected one of core.operations(), got 'dense'", "dense", "c", { "b" })
    refused("add: node: expected one of the graph, got 'z'", "relu", "c", { "z" })
    refused("relu 'c': inputs: expected 1 to 1, got 2", "relu", "c", { "a", "b" })
    refused("add 'c': inputs: expected 2 to 16, got 1", "add", "c", { "a" })
    refused("concat 'c': inputs: expected at most 16", "concat", "c",
      { "a", "a", "a", "a", "a", "a", "a", "a", "a", "a", "a", "a", "a", "a", "a", "a", "a" })
    refused("linear 'c': out: missing", "linear", "c", { "b" })
    refused("linear 'c': unknown option 'width', expected one of: out, bias", "linear", "c", { "b" }, { width = 3 })
    refused("linear 'c': attributes: expected a table, got 3", "linear", "c", { "b" }, 3)
    refused("conv2d 'c': input: expected a feature map [C x H x W], got [3]",
      "conv2d", "c", { "b" }, { out = 2, kernel = 1 })
    -- the weight had been made already when the bias turned out not to fit
    refused("linear 'c': bias: expected float32 of shape [2], got float32 of shape [3]", "linear", "c", { "b" },
      { out = 2 }, { bias = { name = "a.bias" } })
    refused("add: unknown option 'scale', expected one of: weight, bias, value, index", "linear", "c", { "b" },
      { out = 2 }, { scale = {} })
    refused("add: weight: expected a table {name =, first =, total =}, got 'w'", "linear", "c", { "b" }, { out = 2 },
      { weight = "w" })
    refused("shape: too many elements", "input", "y", {}, { shape = { 1 << 40, 1 << 40 } })
    graph:add("linear", "c", { "b" }, { out = 2 })
    assert.same({ 2, 3 }, graph:parameter("c.weight"):shape())
  end)

  it("gets no new nodes and no new output while a plan uses it", function()
    local graph = small()
    local plan = core.plan(graph, {})
    local in_use = ": graph is in use by an execution plan; release it first"
    assert.equal("relu 'c'" .. in_use, errors.text(graph.add, graph, "relu", "c", { "b" }))
    assert.equal("output" .. in_use, errors.text(graph.output, graph, "a"))
    assert.equal("b", graph:output())
    plan:close()
    graph:add("relu", "c", { "b" })
    assert.equal("c", graph:output())
  end)

  it("lists the operations", function()
    local names = {}
    for _, operation in ipairs(core.operations()) do
      assert.is_true(#operation.doc > 0)
      assert.is_true(operation.min_inputs <= operation.max_inputs)
      names[operation.name] = true
    end
    assert.is_true(names.conv2d and names.linear and names.attention_scores)
  end)
end)
