-- Attention in one step, where nobody asks for scores or probabilities, against its three steps: the same bits.
local core = require "secateur.core"

local parts = { "q", "k", "v" }

-- Attention over x [t x d]; `late`: values come after the probabilities.
local function build(t, d, heads, late)
  local graph = core.graph()
  local function linear(name, seed)
    graph:add("linear", name, { "x" }, { out = d })
    graph:set_parameter(name .. ".weight", core.randn(d, d, { seed = seed, std = 2 / math.sqrt(d) }))
    graph:set_parameter(name .. ".bias", core.randn(d, { seed = seed + 10 }))
  end
  graph:add("input", "x", {}, { shape = { t, d } })
  for i = 1, late and 2 or 3 do linear(parts[i], i) end
  graph:add("attention_scores", "s", { "q", "k" }, { heads = heads })
  graph:add("softmax", "p", { "s" })
  if late then linear("v", 3) end
  graph:add("attention_context", "c", { "p", "v" })
  return graph
end

local function steps(graph, request)
  local list = {}
  for _, step in ipairs(core.plan(graph, request):steps()) do
    if step.kind == "forward" then list[#list + 1] = table.concat(step.nodes, "+") end
  end
  return table.concat(list, " ")
end

local sizes = { { 1, 3, 3 }, { 5, 6, 2 }, { 33, 16, 2 }, { 50, 64, 1 }, { 197, 48, 3 }, { 61, 300, 1 }, { 300, 14, 2 } }

describe("attention", function()
  local threads_before = core.threads()
  after_each(function() core.threads(threads_before) end)

  it("is one step where only its result is wanted", function()
    local graph = build(5, 6, 2)
    assert.equal("x q k v s+p+c", steps(graph, {}))
    assert.equal("x q k v s p c", steps(graph, { keep = { "s", "p" } }))
    assert.equal("x q k v s p c", steps(graph, { keep = { "s" } }))
    assert.equal("x q k v s+p c", steps(graph, { keep = { "p" } }))
    -- the backward pass reads probabilities, but no scores
    assert.equal("x q k v s+p c", steps(graph, { backward = true, params = true, training = true }))
    assert.equal("x q k s+p v c", steps(build(5, 6, 2, true), {}))
    local read_twice = build(5, 6, 2)
    read_twice:add("attention_context", "again", { "p", "c" })
    assert.equal("x q k v s+p c again", steps(read_twice, {}))
  end)

  it("gives the bits of its three steps", function()
    for _, size in ipairs(sizes) do
      local t, d, heads = table.unpack(size)
      local graph, x = build(t, d, heads), core.randn(2, t, d, { seed = 5 })
      local apart = core.plan(graph, { batch = 2, keep = { "s", "p" } })
      local expected = apart:forward(x)
      local place = ("%d x %d, %d heads"):format(t, d, heads)
      for threads = 1, 3, 2 do
        core.threads(threads)
        assert.same(expected:totable(), core.plan(graph, { batch = 2 }):forward(x):totable(), place)
        local pair = core.plan(graph, { batch = 2, keep = { "p" } })
        assert.same(expected:totable(), pair:forward(x):totable(), place)
        assert.same(apart:value("p"):totable(), pair:value("p"):totable(), place)
      end
    end
  end)

  it("gives the gradients of its three steps", function()
    local graph, x, dy = build(41, 12, 3), core.randn(2, 41, 12, { seed = 5 }), core.randn(2, 41, 12, { seed = 6 })
    local request = { batch = 2, backward = true, params = true, training = true, keep_grads = { "x", "s", "q" } }
    local together = core.plan(graph, request)
    request.keep = { "s", "p" }
    local apart = core.plan(graph, request)
    for _, plan in ipairs { together, apart } do
      plan:forward(x)
      plan:backward(dy)
    end
    for _, name in ipairs { "x", "s", "q" } do
      assert.same(apart:grad(name):totable(), together:grad(name):totable())
    end
    assert.same(apart:param_grad("v.weight"):totable(), together:param_grad("v.weight"):totable())
  end)
end)
