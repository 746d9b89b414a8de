local core = require "secateur.core"
local double = require "secateur.core_double"
local families = require "support.families"
local random_net = require "support.random_net"
local needs = require "support.needs"

local function names_of(graph)
  local names = {}
  for i, node in ipairs(graph:nodes()) do names[i] = node.name end
  return names
end

-- The forward steps as text, "c+b+r" for one that computes three nodes; sources left out.
local function steps(graph, request)
  local sources, list = {}, {}
  for _, node in ipairs(graph:nodes()) do sources[node.name] = #node.inputs == 0 end
  for _, step in ipairs(core.plan(graph, request or {}):steps()) do
    if step.kind == "forward" and not sources[step.nodes[1]] then list[#list + 1] = table.concat(step.nodes, "+") end
  end
  return table.concat(list, " ")
end

-- A graph from lines of {op, name, inputs, attrs} behind an input x of four channels.
local function build(lines, shape)
  local graph = core.graph()
  graph:add("input", "x", {}, { shape = shape or { 4, 5, 5 } })
  for _, line in ipairs(lines) do graph:add(table.unpack(line)) end
  return graph
end

local function conv(name, input) return { "conv2d", name, { input }, { out = 4, kernel = 3, padding = 1 } } end
local function norm(name, input) return { "batch_norm2d", name, { input } } end
local function relu(name, input) return { "relu", name, { input } } end
local function sum(name, ...) return { "add", name, { ... } } end
local function linear(name, input) return { "linear", name, { input }, { out = 6 } } end

describe("a step of a plan", function()
  it("computes a product with the norm, the sum and the activation behind it", function()
    assert.equal("c+n+s+r", steps(build { conv("c", "x"), norm("n", "c"), sum("s", "n", "x"), relu("r", "s") }))
    assert.equal("c+s+r", steps(build { conv("c", "x"), sum("s", "x", "c"), relu("r", "s") }))
    assert.equal("c+n d+s", steps(build { conv("c", "x"), norm("n", "c"), conv("d", "n"), sum("s", "d", "n") }))
    for _, op in ipairs { "relu", "gelu", "silu", "sigmoid", "tanh" } do
      assert.equal("f+a", steps(build({ linear("f", "x"), { op, "a", { "f" } } }, { 3, 6 })), op)
      assert.equal("c+n+a", steps(build { conv("c", "x"), norm("n", "c"), { op, "a", { "n" } } }), op)
    end
    assert.equal("f+s", steps(build({ linear("f", "x"), sum("s", "x", "f") }, { 3, 6 })))
  end)

  it("takes a sum's other value as it is, so that it has to be there before", function()
    -- of two branches the later one's product does it, whichever comes first in the sum
    for _, order in ipairs { { "n", "m" }, { "m", "n" } } do
      assert.equal("c+n d+m+s+r", steps(build { conv("c", "x"), norm("n", "c"), conv("d", "x"), norm("m", "d"),
        sum("s", table.unpack(order)), relu("r", "s") }))
    end
    -- the earlier one cannot where the later one is no product, or done
    assert.equal("c p s", steps(build { conv("c", "x"), { "softmax", "p", { "x" } }, sum("s", "c", "p") }))
    assert.equal("c d+r s", steps(build { conv("c", "x"), conv("d", "x"), relu("r", "d"), sum("s", "c", "r") }))
    assert.equal("c+r d+s", steps(build { conv("c", "x"), relu("r", "c"), conv("d", "x"), sum("s", "r", "d") }))
  end)

  it("computes each kind once, in their order, for one reader", function()
    assert.equal("c+r n", steps(build { conv("c", "x"), relu("r", "c"), norm("n", "r") }))
    assert.equal("c+n m", steps(build { conv("c", "x"), norm("n", "c"), norm("m", "n") }))
    assert.equal("c+s n", steps(build { conv("c", "x"), sum("s", "c", "x"), norm("n", "s") }))
    assert.equal("c+s t", steps(build { conv("c", "x"), sum("s", "c", "x"), sum("t", "s", "x") }))
    assert.equal("c s", steps(build { conv("c", "x"), sum("s", "c", "c") }))
    assert.equal("c s", steps(build { conv("c", "x"), sum("s", "c", "x", "x") }))
    assert.equal("c r s", steps(build { conv("c", "x"), relu("r", "c"), sum("s", "c", "r") }))
    assert.equal("r n", steps(build { relu("r", "x"), norm("n", "r") }))
  end)

  it("leaves what can be read after the run, or is read in the backward pass", function()
    local lines = { conv("c", "x"), norm("n", "c"), relu("r", "n"), conv("d", "r"), { "gelu", "g", { "d" } } }
    local graph = build(lines)
    assert.equal("c+n+r d+g", steps(graph))
    assert.equal("c n r d+g", steps(graph, { keep = { "c" } }))
    assert.equal("c+n r d+g", steps(graph, { keep = { "n" } }))
    assert.equal("c+n+r d+g", steps(graph, { keep = { "r" } }))
    -- the slope of GELU is a function of its input
    assert.equal("c+n+r d g", steps(graph, { backward = true, keep_grads = { "x" } }))
    assert.equal("c+n+r d g", steps(graph, { backward = true, keep_grads = { "x", "c", "n" } }))
    assert.equal("c n r d g", steps(graph, { backward = true, training = true, params = true }))
    assert.equal("c+n+r d g", steps(graph, { backward = true, training = true, params = true,
      frozen = { "n.weight", "n.bias" } }))
    local plain = build { conv("c", "x"), relu("r", "c"), conv("d", "r"), sum("s", "d", "r"), relu("t", "s") }
    assert.equal("c+r d+s+t", steps(plain, { backward = true, training = true, params = true }))
    local front = build(lines)
    front:output "n"
    assert.equal("c+n", steps(front))
  end)
end)

-- The output of a run, and the gradients of parameters and input where there is a backward pass.
local function run(native, graph, request, x)
  request.batch = x:size(1)
  local plan = native.plan(graph, request)
  local found = { y = plan:forward(x, 3) }
  if request.backward then
    local sizes = found.y:shape()
    sizes[#sizes + 1] = { seed = 9 }
    plan:backward(native.randn(table.unpack(sizes)))
    for _, name in ipairs(request.keep_grads) do found["d " .. name] = plan:grad(name) end
    for _, p in ipairs(request.params and graph:parameters() or {}) do
      if p.trainable then found["d " .. p.name] = plan:param_grad(p.name) end
    end
  end
  for name, tensor in pairs(found) do found[name] = tensor:totable() end
  return found, plan
end

local function count_forward(plan)
  local count = 0
  for _, step in ipairs(plan:steps()) do count = count + (step.kind == "forward" and 1 or 0) end
  return count
end

-- Runs of all kinds, in which nothing is fused when all values are kept. Returns how many steps fusion saved.
local function check_equal(native, make_graph, x)
  local fewer = 0
  for _, request in ipairs { {}, { backward = true, keep_grads = names_of(make_graph()) },
    { backward = true, params = true, keep_grads = {} },
    { backward = true, params = true, training = true, keep_grads = {} } } do
    local graph = make_graph() -- training changes running statistics
    local found, fused = run(native, graph, request, x)
    local apart = make_graph()
    request.keep = names_of(apart)
    local expected, whole = run(native, apart, request, x)
    assert.same(expected, found)
    assert.equal(#request.keep, count_forward(whole))
    fewer = fewer + count_forward(whole) - count_forward(fused)
  end
  return fewer
end

describe("fused steps", function()
  it("have the bits of separate ones, in models of every family", function()
    for name, model in pairs(families.all()) do
      local x = families.batch(model, 3)
      local function make() return families.shake(model:clone()).graph end
      assert.is_true(check_equal(core, make, x) > 0, name)
    end
  end)

  it("have the bits of separate ones, in random networks", function()
    local fewer, count = 0, needs.some(40)
    for seed = 1, count do
      local net = random_net.make(seed, { bias = seed % 2 == 0, transformer = seed % 5 == 0,
        activations = { "relu", "gelu", "tanh", "sigmoid", "silu" } })
      local native = seed % 3 == 0 and double or core
      local x = native.randn(2, net.input[1], net.input[2], net.input[3], { seed = seed })
      fewer = fewer + check_equal(native, function() return random_net.graph(net, native) end, x)
    end
    assert.is_true(fewer > 5 * count // 2)
  end)
end)

-- What the values of a plan's forward run need at the widest step: bytes, and how many values.
local function widest(graph, plan, batch)
  local last, of = {}, {}
  local list = plan:steps()
  for s, step in ipairs(list) do
    for _, name in ipairs(step.nodes) do
      for _, input in ipairs(graph:node(name).inputs) do last[input] = s end
    end
    of[s] = graph:node(step.nodes[#step.nodes])
  end
  last[graph:output()] = #list
  local most, count = 0, 0
  for s in ipairs(list) do
    local bytes, values = 0, 0
    for t = 1, s do
      if #of[t].inputs > 0 and last[of[t].name] >= s then
        local numel = batch
        for _, size in ipairs(of[t].shape) do numel = numel * size end
        bytes, values = bytes + 4 * numel, values + 1
      end
    end
    most, count = math.max(most, bytes), math.max(count, values)
  end
  return most, count
end

describe("the arena of inference", function()
  it("holds what is alive where that is most: two values of a chain, three of one with residual sums", function()
    local values = { vgg = 2, vgg_bn = 2, basic = 3, bottleneck = 3 }
    for name, model in pairs(families.all()) do
      local plan = core.plan(model.graph, { batch = 64 })
      local bytes, count = widest(model.graph, plan, 64)
      assert.equal(values[name] or count, count, name)
      assert.is_true(plan:memory() <= bytes + 256, ("%s: %d, needs %d"):format(name, plan:memory(), bytes))
    end
  end)

  it("is all that a run takes, but for its result", function()
    for name, model in pairs(families.all()) do
      local x = families.batch(model, 4)
      local plan = core.plan(model.graph, { batch = 4 })
      plan:forward(x)
      collectgarbage()
      collectgarbage()
      collectgarbage "stop"
      finally(function() collectgarbage "restart" end)
      local before = core.memory(true)
      for _ = 1, 3 do plan:forward(x) end -- whose results stay, as nothing is collected
      local live, peak = core.memory()
      collectgarbage "restart"
      assert.is_true(live - before <= 3 * (4 * model.class_count * 4 + 128), name)
      assert.equal(live, peak, name)
    end
  end)
end)
