local core = require "secateur.core"
local double = require "secateur.core_double"
local errors = require "support.errors"
local safetensors = require "secateur.formats.safetensors"
local single = require "support.single"

local message_of = errors.raised

local function norm(build)
  local graph = build.graph()
  graph:add("input", "x", {}, { shape = { 3, 1, 1 } })
  graph:add("batch_norm2d", "n", { "x" })
  return graph
end

describe("core.ema", function()
  it("averages weights and running statistics as AveragedModel does, and copies counters", function()
    local tensors = safetensors.load "spec/fixtures/training.safetensors"
    for _, build in ipairs { core, double } do
      local graph = norm(build)
      local average = build.ema(graph)
      for t = 1, 6 do
        graph:set_parameter("n.weight", build.tensor(tensors["average/weights"][t]:totable()))
        graph:set_parameter("n.running_mean", build.tensor(tensors["average/means"][t]:totable()))
        graph:set_parameter("n.num_batches_tracked", build.tensor({ t }, "int64"):reshape())
        average:update(t == 1 and 0 or 0.9)
        local state = average:state()
        single.compare("weight", single.flat(state["n.weight"]), single.flat(tensors["average/weight"][t]), 2e-7)
        single.compare("mean", single.flat(state["n.running_mean"]), single.flat(tensors["average/mean"][t]), 2e-7)
        assert.equal(t, state["n.num_batches_tracked"]:totable())
      end
    end
  end)

  it("changes no tensor that others hold, and shares what is fixed", function()
    local graph = norm(core)
    local held = graph:parameter "n.weight"
    local average = core.ema(graph, { fixed = { "n.bias" } })
    graph:set_parameter("n.weight", core.tensor { 2, 3, 4 })
    average:update(0.5)
    local state = average:state()
    assert.same({ 1, 1, 1 }, held:totable())
    assert.same({ 1.5, 2, 2.5 }, state["n.weight"]:totable())
    average:update(0.5)
    assert.same({ 1.5, 2, 2.5 }, state["n.weight"]:totable())
    graph:parameter "n.bias":set(7, 1)
    assert.same({ 7, 0, 0 }, average:state()["n.bias"]:totable())
  end)

  it("goes on from its state, all or none", function()
    local graph = norm(core)
    local one, two = core.ema(graph), core.ema(graph)
    graph:set_parameter("n.weight", core.tensor { 2, 3, 4 })
    one:update(0.9)
    two:load(one:state())
    one:update(0.9)
    two:update(0.9)
    assert.same(one:state()["n.weight"]:totable(), two:state()["n.weight"]:totable())
    local state = one:state()
    state["n.running_var"], state["n.weight"] = core.zeros(2), core.zeros(3)
    assert.equal("load: n.running_var: expected [3], got [2]", message_of(two.load, two, state))
    assert.not_same({ 0, 0, 0 }, two:state()["n.weight"]:totable())
    state["n.running_var"] = nil
    assert.equal("load: n.running_var: expected a Tensor, got nil", message_of(two.load, two, state))
    assert.equal("load: state: expected a table, got 3", message_of(two.load, two, 3))
  end)

  it("says what is wrong", function()
    local average = core.ema(norm(core))
    assert.equal("ema: graph: expected a Graph, got 1", message_of(core.ema, 1))
    assert.equal("ema: name: expected a parameter of the graph, got 'x'",
      message_of(core.ema, norm(core), { fixed = { "x" } }))
    for _, decay in ipairs { 1, -0.1, 0 / 0 } do
      assert.equal(("update: decay: expected a number in [0, 1), got %g"):format(decay),
        message_of(average.update, average, decay))
    end
    average:close()
    assert.equal("state: self: expected an Ema, got secateur.Ema", message_of(average.state, average))
  end)
end)
