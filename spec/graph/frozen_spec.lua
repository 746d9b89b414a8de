local core = require "secateur.core"
local double = require "secateur.core_double"
local errors = require "support.errors"
local models = require "secateur.models"
local single = require "support.single"

-- Two convolutions with norms, a sum round the second, and a head.
local function network(build)
  local graph = build.graph()
  graph:add("input", "x", {}, { shape = { 2, 6, 6 } })
  graph:add("conv2d", "one", { "x" }, { out = 4, kernel = 3, padding = 1 })
  graph:add("batch_norm2d", "norm1", { "one" })
  graph:add("relu", "relu1", { "norm1" })
  graph:add("conv2d", "two", { "relu1" }, { out = 4, kernel = 3, padding = 1 })
  graph:add("batch_norm2d", "norm2", { "two" })
  graph:add("add", "sum", { "norm2", "relu1" })
  graph:add("flatten", "flat", { "sum" })
  graph:add("linear", "head", { "flat" }, { out = 3 })
  for i, parameter in ipairs(graph:parameters()) do
    if parameter.dtype ~= "int64" then
      local given = { table.unpack(parameter.shape) }
      given[#given + 1] = { seed = i, low = -0.5, high = 0.5 }
      local value = build.rand(table.unpack(given))
      graph:set_parameter(parameter.name, parameter.name:find "running_var" and value:abs() + 0.5 or value)
    end
  end
  return graph
end

local function run(build, graph, frozen, training)
  local plan = build.plan(graph, { batch = 4, backward = true, params = true, training = training ~= false,
    frozen = frozen })
  local logits = plan:forward(build.randn(4, 2, 6, 6, { seed = 50 }), 3)
  plan:backward(build.randn(4, 3, { seed = 51 }))
  return plan, logits
end

local function names_like(graph, ...)
  local names = {}
  for _, parameter in ipairs(graph:parameters()) do
    for _, pattern in ipairs { ... } do
      if parameter.trainable and parameter.name:find(pattern) then names[#names + 1] = parameter.name end
    end
  end
  return names
end

describe("a plan with frozen parameters", function()
  it("gives the others the gradients that they have anyway", function()
    local frozen = { "one.weight", "one.bias", "two.bias", "norm1.bias", "head.weight" }
    local all, some = run(double, network(double)), run(double, network(double), frozen)
    for _, name in ipairs { "two.weight", "norm1.weight", "norm2.weight", "norm2.bias", "head.bias" } do
      single.compare(name, single.flat(some:param_grad(name)), single.flat(all:param_grad(name)), 1e-14)
    end
    for _, name in ipairs(frozen) do
      assert.equal(("param_grad: parameter: expected a trainable one of a plan with params, got '%s'"):format(name),
        errors.raised(some.param_grad, some, name))
    end
  end)

  it("gives the same bits in every family, whatever is frozen", function()
    local families = {
      models.resnet { block = "bottleneck", stem = 4, planes = { 4, 6 }, blocks = { 2, 1 }, size = 16, classes = 3 },
      models.vgg { config = { 4, "M", 6, "M" }, pool = 2, hidden = { 8 }, size = 16, classes = 3, batch_norm = true },
      models.vit { size = 16, patch = 8, layers = 2, heads = 2, dim = 8, mlp = 16, classes = 3 },
    }
    for f, model in ipairs(families) do
      local graph, x, dy = model.graph, core.randn(2, 3, 16, 16, { seed = f }), core.randn(2, 3, { seed = 9 })
      local names = names_like(graph, ".")
      graph:set_parameter(names[#names - 1], core.randn(3, graph:parameter(names[#names - 1]):size(2), { seed = 3 }))
      local function run_with(frozen)
        local plan = core.plan(graph, { batch = 2, backward = true, params = true, frozen = frozen })
        plan:forward(x)
        plan:backward(dy)
        return plan
      end
      local whole = run_with {}
      for trial = 1, 12 do
        local draws, frozen, free = core.rand(#names, { seed = 100 * f + trial }):totable(), {}, {}
        for i, name in ipairs(names) do table.insert(draws[i] < trial / 13 and frozen or free, name) end
        local plan = run_with(frozen)
        for _, name in ipairs(free) do
          assert.same(whole:param_grad(name):totable(), plan:param_grad(name):totable(), name)
        end
      end
    end
  end)

  it("runs a norm whose scale is frozen as in inference, and leaves its statistics", function()
    local graph = network(double)
    local frozen = names_like(graph, "^one", "^norm1")
    local before, other = graph:parameter "norm1.running_mean":totable(), graph:parameter "norm2.running_mean":totable()
    local plan = run(double, graph, frozen)
    assert.same(before, graph:parameter "norm1.running_mean":totable())
    assert.equal(0, graph:parameter "norm1.num_batches_tracked":totable())
    assert.not_same(other, graph:parameter "norm2.running_mean":totable())
    assert.equal(1, graph:parameter "norm2.num_batches_tracked":totable())
    -- What is above it has the gradient of this function: differences say so.
    local x, dy = double.randn(4, 2, 6, 6, { seed = 50 }), double.randn(4, 3, { seed = 51 })
    local weight = graph:parameter "two.weight":reshape(4 * 4 * 9)
    local gradient = single.flat(plan:param_grad "two.weight")
    for _, k in ipairs { 1, 30, 77, 144 } do
      local value, step, sides = weight:get(k), 1e-6, {}
      for i, sign in ipairs { 1, -1 } do
        weight:set(value + sign * step, k)
        sides[i] = (plan:forward(x, 3) * dy):sum()
      end
      weight:set(value, k)
      assert.is_true(math.abs((sides[1] - sides[2]) / (2 * step) - gradient[k]) < 1e-6 * math.max(1,
        math.abs(gradient[k])))
    end
  end)

  it("goes forward as inference does where all norms are frozen", function()
    local graph = network(core)
    local _, logits = run(core, graph, names_like(graph, "norm"))
    assert.same(core.plan(graph, { batch = 4 }):forward(core.randn(4, 2, 6, 6, { seed = 50 })):totable(),
      logits:totable())
  end)

  it("needs little more memory than inference when only the head is trained", function()
    for name, build in pairs {
      resnet = models.resnet { block = "basic", stem = 16, planes = { 16, 32 }, blocks = { 2, 2 }, size = 64,
        classes = 5 },
      vgg = models.vgg { config = { 16, 16, "M", 32, "M" }, pool = 4, hidden = {}, size = 64, classes = 5,
        batch_norm = true },
      vit = models.vit { size = 64, patch = 8, layers = 4, heads = 2, dim = 32, mlp = 64, classes = 5 },
    } do
      local frozen = {}
      for _, parameter in ipairs(build.graph:parameters()) do
        local head = parameter.name:find "^head" or parameter.name:find "^fc" or parameter.name:find "^classifier"
        if parameter.trainable and not head then frozen[#frozen + 1] = parameter.name end
      end
      local function bytes(request)
        request.batch = 8
        return (core.plan(build.graph, request):memory())
      end
      local request = { backward = true, training = true, params = true }
      local inference, full = bytes {}, bytes(request)
      request.frozen = frozen
      assert.is_true(bytes(request) < 1.2 * inference, name)
      assert.is_true(full > 3 * inference, name)
    end
  end)

  it("judges names", function()
    local graph = network(core)
    for message, frozen in pairs {
      ["plan: name: expected a parameter of the graph, got 'three'"] = { "three" },
      ["plan: name: expected a string, got 7"] = { 7 },
      ["plan: frozen: expected a list of parameter names, got 'one'"] = "one",
    } do
      assert.equal(message, errors.raised(core.plan, graph, { frozen = frozen }))
    end
  end)
end)
