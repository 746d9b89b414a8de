local families = require "support.families"
local sc = require "secateur"
local core = require "secateur.core"
local sensitivity = require "secateur.attribution.sensitivity"

-- Energies at nodes of a model whose batch norms are folded, given means.
local function measure(model, x, nodes, means, batch, seed)
  local explain, close = sensitivity.prepare(model, { graph = model.graph, nodes = nodes, batch = batch,
    options = { seed = seed } })
  local all, n = {}, x:size(1)
  for _, node in ipairs(nodes) do all[node] = {} end
  for first = 1, n, batch do
    local part = x:view(first, math.min(first + batch - 1, n))
    for node, terms in pairs(explain(part, nil, first).terms) do
      table.move(terms, 1, #terms, #all[node] + 1, all[node])
    end
  end
  close()
  local found = {}
  for _, node in ipairs(nodes) do found[node] = sensitivity.energy(all[node], n, means[node]) end
  return found
end

local function folded(model)
  local copy = model:clone()
  copy.graph = core.fold_batch_norm(model.graph)
  return copy
end

-- A value [n x ...] of a node as function of unit and position -> number; maps have units first, tokens last.
local function by_unit(value, units)
  local shape = value:shape()
  local n, tokens = shape[1], #shape == 3
  local rows = value:reshape(n, -1):totable()
  local positions = #rows[1] // units
  return function(i, u, p)
    return rows[i][tokens and (p - 1) * units + u or (u - 1) * positions + p]
  end, positions
end

-- The formula with one backward pass for every class.
local function slow(model, x, node, units, means)
  local n, classes = x:size(1), model.class_count
  local energy = {}
  for u = 1, units do energy[u] = 0 end
  for c = 1, classes do
    local plan = core.plan(model.graph, { batch = n, backward = true, keep = { node }, keep_grads = { node } })
    plan:forward(x)
    local start = core.full(n, classes, -1 / classes)
    for i = 1, n do start:set(1 - 1 / classes, i, c) end
    plan:backward(start)
    local value, positions = by_unit(plan:value(node), units)
    local grad = by_unit(plan:grad(node), units)
    for u = 1, units do
      for i = 1, n do
        local t = 0
        for p = 1, positions do t = t + grad(i, u, p) * (value(i, u, p) - means[u]) end
        energy[u] = energy[u] + t * t / n
      end
    end
  end
  return energy
end

local function draw_means(units, seed) return core.randn(units, { seed = seed }):totable() end

local function assert_near(expected, got, tolerance)
  assert.equal(#expected, #got)
  local size = 0
  for _, value in ipairs(expected) do size = math.max(size, value) end
  for u, value in ipairs(expected) do
    if math.abs(value - got[u]) > tolerance * size then error(("%d: %g, got %g"):format(u, value, got[u]), 2) end
  end
  return size > 0
end


describe("sensitivity", function()
  it("is the sum over classes of squared changes, with a pass less than there are classes", function()
    for name, model in pairs(families.all()) do
      model = folded(model)
      local x, nodes, means, units = families.batch(model, 3), {}, {}, {}
      for _, node in ipairs(model.graph:nodes()) do
        local tokens = #node.shape == 2
        if (node.op == "relu" or node.op == "gelu" or node.op == "max_pool2d" or node.channels == "produce")
          and node.name ~= model.graph:output() then
          nodes[#nodes + 1], units[node.name] = node.name, node.shape[tokens and 2 or 1]
          means[node.name] = draw_means(units[node.name], #nodes)
        end
      end
      assert.is_true(#nodes > 2, name)
      local found = measure(model, x, nodes, means, 2, 0)
      local alive = 0 -- some ReLUs of these models are closed
      for _, node in ipairs(nodes) do
        if assert_near(slow(model, x, node, units[node], means[node]), found[node], 2e-4) then alive = alive + 1 end
      end
      assert.is_true(alive > #nodes / 2, name)
    end
  end)

  it("predicts how logits move when a unit is replaced by its mean, in a linear network", function()
    local model = sc.model { input = { 1, 2, 2 }, build = function(net, x)
      return net:linear("head", net:linear("hidden", net:flatten("flat", x), { out = 5 }), { out = 3 })
    end }
    local x, means = core.randn(4, 1, 2, 2, { seed = 1 }), draw_means(5, 2)
    local found = measure(model, x, { "hidden" }, { hidden = means }, 4, 0).hidden
    local plan = core.plan(model.graph, { batch = 4, keep = { "hidden" } })
    plan:forward(x)
    local values, weight = plan:value("hidden"):totable(), model:state()["head.weight"]:totable()
    for u = 1, 5 do
      local mean = (weight[1][u] + weight[2][u] + weight[3][u]) / 3
      local expected = 0
      for i = 1, 4 do
        for c = 1, 3 do expected = expected + ((weight[c][u] - mean) * (values[i][u] - means[u])) ^ 2 / 4 end
      end
      assert.near(expected, found[u], 1e-5 * math.max(expected, 1))
    end
  end)

  it("does not depend on how samples are batched", function()
    local model = folded(families.all().vit)
    local x = families.batch(model, 5)
    local node = "encoder.layers.encoder_layer_0.mlp.1"
    local units = model.graph:node(node).shape[2]
    local means = { [node] = draw_means(units, 3) }
    local one = measure(model, x, { node }, means, 5, 0)
    for batch = 1, 4 do assert.same(one, measure(model, x, { node }, means, batch, 0)) end
  end)

  it("of many classes is estimated from 16 passes with random signs, by the seed", function()
    local model = sc.model { input = { 1, 2, 2 }, build = function(net, x)
      return net:linear("head", net:linear("hidden", net:flatten("flat", x), { out = 2 }), { out = 40 })
    end }
    local x, means = core.randn(60, 1, 2, 2, { seed = 1 }), { hidden = { 0.5, -0.3 } }
    local found = measure(model, x, { "hidden" }, means, 60, 7).hidden
    assert.same(found, measure(model, x, { "hidden" }, means, 7, 7).hidden)
    assert.not_same(found, measure(model, x, { "hidden" }, means, 60, 8).hidden)
    assert_near(slow(model, x, "hidden", 2, means.hidden), found, 0.1)
  end)

  it("of a single output is that of the output itself", function()
    local model = sc.model { input = { 1, 1, 1 }, build = function(net, x)
      return net:linear("head", net:linear("hidden", net:flatten("flat", x), { out = 1 }), { out = 1 })
    end }
    local x = core.ones(1, 1, 1, 1)
    local found = measure(model, x, { "hidden" }, { hidden = { 0 } }, 1, 0).hidden
    local state = model:state()
    local hidden = state["hidden.weight"]:totable()[1][1] + state["hidden.bias"]:totable()[1]
    assert.near((hidden * state["head.weight"]:totable()[1][1]) ^ 2, found[1], 1e-6)
  end)
end)
