local core = require "secateur.core"
local errors = require "support.errors"
local families = require "support.families"

local function names(graph)
  local list = {}
  for i, node in ipairs(graph:nodes()) do list[i] = node.name end
  return list
end

local function run(graph, x)
  local plan = core.plan(graph, { batch = x:size(1) })
  local y = plan:forward(x)
  plan:close()
  return y
end

-- Numbers for all parameters, those of norms far from their first ones.
local function shake(graph) return families.shake({ graph = graph }).graph end

describe("folding batch norms", function()
  it("keeps the outputs of every family", function()
    for name, model in pairs(families.all()) do
      local x = families.batch(model, 3)
      local expected, folded = model:forward(x), core.fold_batch_norm(model.graph)
      local largest = expected:abs():max()
      assert.is_true((run(folded, x) - expected):abs():max() <= 1e-5 * largest, name)
      assert.equal(model.graph:output(), folded:output())
    end
  end)

  it("removes the norms behind convolutions, and gives these a bias", function()
    local model = families.all().basic
    local folded = core.fold_batch_norm(model.graph)
    local norms, before = 0, #model.graph:nodes()
    for _, node in ipairs(model.graph:nodes()) do norms = norms + (node.op == "batch_norm2d" and 1 or 0) end
    assert.equal(before - norms, #folded:nodes())
    for _, node in ipairs(folded:nodes()) do
      assert.are_not.equal("batch_norm2d", node.op)
      if node.op == "conv2d" then assert.is_true(node.attrs.bias) end
    end
  end)

  it("leaves the model alone, and shares what it did not change", function()
    local model = families.all().vgg_bn
    local x = families.batch(model, 2)
    local y = model:forward(x):totable()
    local folded = core.fold_batch_norm(model.graph)
    folded:parameter("features.0.weight"):fill(0)
    assert.same(y, model:forward(x):totable())
    model.graph:parameter("classifier.0.weight"):fill(0.25)
    assert.equal(0.25, folded:parameter("classifier.0.weight"):get(1, 1))
  end)

  it("keeps norms that stand elsewhere", function()
    local graph = core.graph()
    graph:add("input", "x", {}, { shape = { 2, 4, 4 } })
    graph:add("batch_norm2d", "first", { "x" })
    graph:add("conv2d", "read", { "first" }, { out = 3, kernel = 1 })
    graph:add("batch_norm2d", "once", { "read" })
    graph:add("add", "twice", { "read", "once" }) -- the convolution has a second reader
    graph:add("conv2d", "c", { "twice" }, { out = 3, kernel = 3, bias = false })
    graph:add("relu", "between", { "c" })
    graph:add("batch_norm2d", "late", { "between" })
    graph:add("conv2d", "d", { "late" }, { out = 3, kernel = 2 })
    graph:add("batch_norm2d", "end", { "d" })
    shake(graph)
    local folded = core.fold_batch_norm(graph)
    assert.same({ "x", "first", "read", "once", "twice", "c", "between", "late", "d" }, names(folded))
    assert.equal("d", folded:output())
    local x = core.randn(2, 2, 4, 4, { seed = 8 })
    assert.is_true(run(folded, x):allclose(run(graph, x), 1e-4, 1e-5))
  end)

  it("does not change a weight for one reader that another shares", function()
    local graph = core.graph()
    graph:add("input", "x", {}, { shape = { 2, 4, 4 } })
    for _, name in ipairs { "a", "b" } do
      graph:add("conv2d", name, { "x" }, { out = 2, kernel = 3 }, { weight = { name = "shared" } })
      graph:add("batch_norm2d", name .. ".norm", { name })
    end
    graph:add("add", "sum", { "a.norm", "b.norm" })
    shake(graph)
    local folded = core.fold_batch_norm(graph)
    local x = core.randn(2, 2, 4, 4, { seed = 8 })
    assert.is_true(run(folded, x):allclose(run(graph, x), 1e-4, 1e-5))
  end)

  it("does not take the name of another layer's parameter for the bias that it adds", function()
    for before = 0, 1 do
      local graph = core.graph()
      local function other()
        graph:add("conv2d", "b", { "x" }, { out = 2, kernel = 3 }, { bias = { name = "a.bias" } })
      end
      graph:add("input", "x", {}, { shape = { 2, 4, 4 } })
      if before == 1 then other() end
      graph:add("conv2d", "a", { "x" }, { out = 2, kernel = 3, bias = false })
      graph:add("batch_norm2d", "a.norm", { "a" })
      if before == 0 then other() end
      graph:add("add", "sum", { "a.norm", "b" })
      shake(graph)
      local x = core.randn(2, 2, 4, 4, { seed = 8 })
      assert.is_true(run(core.fold_batch_norm(graph), x):allclose(run(graph, x), 1e-4, 1e-5))
    end
  end)

  it("is for graphs", function()
    assert.equal("fold_batch_norm: graph: expected a Graph, got nil", errors.text(core.fold_batch_norm))
    assert.same({}, core.fold_batch_norm(core.graph()):nodes()) -- the sanitizers saw it read what was not there
  end)
end)
