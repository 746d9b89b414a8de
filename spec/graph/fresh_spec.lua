-- Gradients that nothing was added to yet are written over what their memory held before.
local core = require "secateur.core"

-- Every operation that writes, alone, after a fan-out, and with one input twice.
local function build()
  local graph = core.graph()
  graph:add("input", "x", {}, { shape = { 3, 12, 12 } })
  graph:add("conv2d", "wide", { "x" }, { out = 32, kernel = 3, padding = 1 })
  graph:add("batch_norm2d", "norm", { "wide" })
  graph:add("relu", "relu", { "norm" })
  graph:add("conv2d", "transformed", { "relu" }, { out = 32, kernel = 3, padding = 1 })
  graph:add("conv2d", "direct", { "relu" }, { out = 32, kernel = 1 })
  graph:add("add", "sum", { "transformed", "direct", "transformed" })
  graph:add("conv2d", "strided", { "sum" }, { out = 4, kernel = 2, stride = 3 })
  graph:add("flatten", "flat", { "strided" })
  graph:add("linear", "head", { "flat" }, { out = 5 })
  for i, p in ipairs(graph:parameters()) do
    local count = 1
    for _, size in ipairs(p.shape) do count = count * size end
    if p.dtype ~= "int64" and not p.name:find "running_var" then
      graph:set_parameter(p.name, (core.randn(count, { seed = i }) * 0.2):reshape(table.unpack(p.shape)))
    end
  end
  return graph
end

local names = { "x", "wide", "norm", "relu", "transformed", "direct", "sum", "strided", "flat" }

local function gradients(plan, x, seeds)
  local logits, found = plan:forward(x), {}
  plan:backward(seeds)
  for _, name in ipairs(names) do found[name] = plan:grad(name) end
  return found, logits
end

describe("fresh gradients", function()
  it("owe nothing to what an earlier run left in their memory", function()
    local graph = build()
    for _, keep in ipairs { names, { "x" } } do
      local x, seeds = core.randn(4, 3, 12, 12, { seed = 50 }), core.randn(4, 5, { seed = 51 })
      local function plan() return core.plan(graph, { batch = 4, backward = true, keep_grads = keep }) end
      local used, clean = plan(), plan()
      used:forward(core.randn(4, 3, 12, 12, { seed = 52 }) * 1e6)
      used:backward(core.full(4, 5, 1e20))
      used:forward(x)
      used:backward(seeds)
      clean:forward(x)
      clean:backward(seeds)
      for _, name in ipairs(keep) do
        assert.is_true(clean:grad(name):abs():max() > 0)
        assert.same(clean:grad(name):totable(), used:grad(name):totable())
      end
    end
  end)

  it("are those of differences", function()
    local graph = build()
    local plan = core.plan(graph, { batch = 2, backward = true, keep_grads = names })
    local x, seeds = core.randn(2, 3, 12, 12, { seed = 50 }), core.randn(2, 5, { seed = 51 })
    local found = gradients(plan, x, seeds)
    local direction, h = core.randn(2, 3, 12, 12, { seed = 53 }), 1e-3
    local function value(at) return (plan:forward(at) * seeds):sum() end
    local difference = (value(x + direction * h) - value(x - direction * h)) / (2 * h)
    local slope = (found.x * direction):sum()
    assert.is_true(math.abs(difference - slope) < 2e-2 * math.abs(slope), difference .. " " .. slope)
  end)

  it("are the same for relevance, by every kind of rule", function()
    local graph = build()
    local composites = require "secateur.attribution.composites"
    for _, composite in ipairs { "epsilon_plus", "epsilon_alpha2_beta1", "epsilon_gamma_box", "dlb" } do
      local entries = { { match = "batch_norm2d", rule = require "secateur.attribution.rules".epsilon() } }
      for _, entry in ipairs(composites.get("spec", composite)) do entries[#entries + 1] = entry end
      local rules = composites.resolve("spec", entries, graph:nodes())
      local function walk(before)
        local walker = core.relevance(graph, { batch = 3, rules = rules, keep = names })
        if before then
          walker:forward(core.randn(3, 3, 12, 12, { seed = 54 }) * 1e6)
          walker:backward(core.full(3, 5, 1e20))
        end
        walker:forward(core.randn(3, 3, 12, 12, { seed = 55 }))
        walker:backward(core.ones(3, 5))
        local found = {}
        for _, name in ipairs(names) do found[name] = walker:relevance(name):totable() end
        return found
      end
      assert.same(walk(false), walk(true))
    end
  end)
end)
