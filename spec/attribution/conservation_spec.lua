local attribute = require "secateur.attribution.attribute"
local composites = require "secateur.attribution.composites"
local core = require "secateur.core"
local double = require "secateur.core_double"
local random_net = require "support.random_net"
local rules = require "secateur.attribution.rules"
local shares = require "support.shares"
local single = require "support.single"

local NETS = 100

-- A rule at every convolution and linear layer, and one at sums and averages: by default in exact proportion.
local function everywhere(rule, other)
  other = other or rules.epsilon(0)
  local entries = composites.get("spec", "epsilon_plus")
  for i, kind in ipairs { "conv", "linear" } do table.insert(entries, i, { match = kind, rule = rule }) end
  for i, kind in ipairs { "add", "avg_pool" } do table.insert(entries, i, { match = kind, rule = other }) end
  return entries
end

local ways = {
  epsilon = everywhere(rules.epsilon(0)), stabilised = everywhere(rules.epsilon(0.25)),
  zplus = everywhere(rules.zplus()), alphabeta = everywhere(rules.alphabeta(2, 1)),
  gamma = everywhere(rules.gamma(0.25)), flat = everywhere(rules.flat(), rules.flat()),
  wsquare = everywhere(rules.wsquare(), rules.flat()),
  zbox = everywhere(rules.zbox(-3, 3), rules.flat()),
  epsilon_plus = "epsilon_plus", epsilon_plus_flat = "epsilon_plus_flat",
  epsilon_alpha2_beta1 = "epsilon_alpha2_beta1", epsilon_alpha2_beta1_flat = "epsilon_alpha2_beta1_flat",
  epsilon_gamma_box = "epsilon_gamma_box", dlb = "dlb",
}

-- A network with its values at an input: of both signs for odd seeds, positive for even ones.
local function evaluated(seed, opts)
  local net = random_net.make(seed, opts)
  local graph = random_net.graph(net, double)
  local nodes, names, values = graph:nodes(), {}, {}
  for i, node in ipairs(nodes) do names[i] = node.name end
  local x = double.randn(1, net.input[1], net.input[2], net.input[3], { seed = seed })
  if seed % 2 == 0 then x = x:abs() end
  local plan = double.plan(graph, { batch = 1, keep = names })
  plan:forward(x)
  for _, name in ipairs(names) do values[name] = plan:value(name) end
  return { seed = seed, graph = graph, nodes = nodes, names = names, values = values, x = x,
    alive = values[names[#names]]:get(1, 2) ~= 0, cuts = random_net.cuts(nodes), shares = {} }
end

-- Relevance at every node, and the rules.
local function explained(case, composite)
  local by_name = composites.resolve("spec", composites.get("spec", composite), case.nodes)
  local walker = double.relevance(case.graph, { rules = by_name, keep = case.names })
  walker:forward(case.x)
  walker:backward(double.tensor { { 0, 1, 0, 0 } })
  local relevance = {}
  for _, name in ipairs(case.names) do relevance[name] = walker:relevance(name) end
  return relevance, by_name
end

-- What a node keeps back of its relevance, by its rule's definition.
local function dropped(case, node, rule, relevance)
  local key = ("%s %s %s"):format(node.name, rule.name, rule.groups and rule.groups[1].epsilon)
  local share = case.shares[key]
  if share == nil then
    local inputs = {}
    for i, name in ipairs(node.inputs) do inputs[i] = case.values[name] end
    local weighted = node.op == "conv2d" or node.op == "linear"
    share = shares.of(node, inputs, weighted and case.graph:parameter(node.name .. ".weight"), rule) or false
    case.shares[key] = share
  end
  local sum = 0
  for i, r in ipairs(share and single.flat(relevance) or {}) do sum = sum + r * (1 - share[i]) end
  return sum
end

-- Checks every cut of one network: what crosses it and what was kept back behind it is what relevance began as.
local function check_cuts(case, way, relevance, by_name)
  local kept, behind, scale = 0, {}, 1
  for i = #case.nodes, 1, -1 do
    local node = case.nodes[i]
    behind[i] = kept
    local rule = by_name[node.name]
    if rule then kept = kept + dropped(case, node, rule, relevance[node.name]) end
    scale = math.max(scale, relevance[node.name]:abs():sum())
  end
  for _, cut in ipairs(case.cuts) do
    local sum = 0
    for _, name in ipairs(cut) do sum = sum + relevance[name]:sum() end
    local off = math.abs(sum + behind[cut.at] - 1)
    assert.is_true(off <= 1e-10 * scale, ("%s, seed %d, cut at %s: %g crosses, %g kept back, off by %g"):format(way,
      case.seed, case.nodes[cut.at].name, sum, behind[cut.at], off))
  end
  return kept, scale
end

describe("relevance in random networks without biases", function()
  local most, cuts, alive = {}, 0, 0

  it("crosses every cut whole, but for what each rule says it keeps back", function()
    for seed = 1, NETS do
      local case = evaluated(seed)
      cuts, alive = cuts + #case.cuts, alive + (case.alive and 1 or 0)
      for way, composite in pairs(ways) do
        local relevance, by_name = explained(case, composite)
        local kept, scale = check_cuts(case, way, relevance, by_name)
        if case.alive then most[way] = math.max(most[way] or 0, math.abs(kept) / scale) end
      end
    end
    assert.is_true(cuts > 6 * NETS, cuts .. " cuts")
    assert.is_true(alive > NETS // 2, alive .. " with a logit that is not 0")
  end)

  -- Where nothing can be lost but by epsilon 1e-6: flat, squares and box have something to share out at every output;
  -- the others have where relevance arrives, since the layer above gave none to an output of 0. The logit is not 0.
  it("is conserved by the rules that have something to share out everywhere", function()
    for way, limit in pairs { epsilon = 0, dlb = 0, flat = 1e-4, wsquare = 1e-4, zbox = 1e-3, gamma = 1e-3,
      epsilon_gamma_box = 1e-3 } do
      assert.is_true(most[way] <= limit, ("%s: %g"):format(way, most[way]))
    end
  end)

  -- z+ gives nothing to the inputs of an output without positive contributions, alpha-beta lacks one of its sides
  -- there, a large epsilon takes its own share.
  it("is kept back where a rule finds nothing to share it among", function()
    for _, way in ipairs { "stabilised", "zplus", "alphabeta", "epsilon_plus", "epsilon_alpha2_beta1" } do
      assert.is_true(most[way] > 1e-2, ("%s: %g"):format(way, most[way]))
    end
  end)

  it("is lost by flat where an output sees padding alone, by sums in proportion where all is 0", function()
    local graph = double.graph()
    graph:add("input", "x", {}, { shape = { 1, 2, 2 } })
    graph:add("conv2d", "n", { "x" }, { out = 1, kernel = 1, padding = 1, bias = false })
    graph:set_parameter("n.weight", double.ones(1, 1, 1, 1))
    local walker = double.relevance(graph, { rules = { n = rules.flat() } })
    walker:forward(double.ones(1, 1, 2, 2))
    walker:backward(double.ones(1, 1, 4, 4)) -- 16 outputs, 4 of which see a pixel
    assert.near(4, walker:relevance("x"):sum(), 1e-4)
    graph = double.graph()
    graph:add("input", "x", {}, { shape = { 2 } })
    graph:add("dropout", "a", { "x" })
    graph:add("add", "n", { "x", "a" })
    walker = double.relevance(graph, { rules = { n = rules.epsilon(0), a = rules.pass() } })
    walker:forward(double.tensor { { 0, 2 } })
    walker:backward(double.tensor { { 3, 5 } })
    assert.same({ { 0, 5 } }, walker:relevance("x"):totable())
  end)
end)

-- What a softmax lets go: relevance arrives at its probabilities p and leaves at its scores x as x (R - p sum of R).
local function let_go(scores, probabilities, relevance)
  local x, p, r = single.flat(scores), single.flat(probabilities), single.flat(relevance)
  local width, sum = scores:size(4), 0
  for first = 0, #x - 1, width do
    local row = 0
    for i = first + 1, first + width do row = row + r[i] end
    for i = first + 1, first + width do sum = sum + r[i] - x[i] * (r[i] - p[i] * row) end
  end
  return sum
end

describe("AttnLRP in random transformers without biases", function()
  local unstabilised = composites.get("spec", "attnlrp")
  for _, entry in ipairs(unstabilised) do
    entry.rule.epsilon = 0
    for _, group in ipairs(entry.rule.groups or {}) do group.epsilon = 0 end
  end

  it("reaches image, class token and positions whole, but for what softmax lets go", function()
    local largest = 0
    for seed = 1, NETS do
      local case = evaluated(seed, { transformer = true })
      local relevance = explained(case, unstabilised)
      local scale, gone, sources = 1, 0, 0
      for i = #case.nodes, 1, -1 do
        local node = case.nodes[i]
        scale = math.max(scale, relevance[node.name]:abs():sum())
        if #node.inputs == 0 then sources = sources + relevance[node.name]:sum() end
        if node.op == "softmax" then
          gone = gone + let_go(case.values[node.inputs[1]], case.values[node.name], relevance[node.name])
        end
      end
      assert.is_true(math.abs(sources + gone - 1) <= 1e-9 * scale,
        ("seed %d: %g arrives, %g let go, magnitudes %g"):format(seed, sources, gone, scale))
      largest = math.max(largest, math.abs(gone))
    end
    assert.is_true(largest > 0.1)
  end)

  it("crosses every cut above the last softmax whole", function()
    for seed = 1, 20 do
      local case = evaluated(seed, { transformer = true })
      local relevance, last = explained(case, unstabilised), 0
      for i, node in ipairs(case.nodes) do if node.op == "softmax" then last = i end end
      local found = 0
      for _, cut in ipairs(case.cuts) do
        if cut.at > last then
          local sum, scale = 0, 1
          for _, name in ipairs(cut) do
            sum = sum + relevance[name]:sum()
            scale = math.max(scale, relevance[name]:abs():sum())
          end
          assert.is_true(math.abs(sum - 1) <= 1e-9 * scale, ("seed %d, %s: %g"):format(seed, cut[1], sum))
          found = found + 1
        end
      end
      assert.is_true(found > 3)
    end
  end)
end)

-- ---- paths ----

local function change_of(model, x, start, class)
  local y, y0 = model:forward(x), model:forward(start)
  return y:get(1, class) - y0:get(1, class)
end

describe("Integrated Gradients in random networks", function()
  local smooth = { activations = { "tanh", "sigmoid", "gelu", "silu" }, smooth = true, bias = true }
  local kinked = { activations = { "relu", "tanh" }, bias = true }

  -- Bounds with the error's order: midpoints of smooth paths 1 / steps^2, of paths with kinks 1 / steps.
  local function check_gap(opts, steps, limit, count)
    for seed = 1, count do
      local net = random_net.make(seed, opts)
      local model = random_net.model(net)
      local c, h, w = table.unpack(net.input)
      local x, start = core.randn(1, c, h, w, { seed = seed }), core.randn(1, c, h, w, { seed = 500 + seed }) * 0.5
      local result = attribute(model, x, { method = "ig", baseline = start, steps = steps, target = 3, layers = {} })
      local change = change_of(model, x, start, 3)
      local scale = math.max(1, result.input:abs():sum())
      assert.near(math.abs(result.input:sum() - change), result.gap[1], 1e-5 * scale)
      assert.is_true(result.gap[1] <= limit * scale, ("seed %d: %g of %g"):format(seed, result.gap[1], scale))
    end
  end

  it("add up to the change of the output, and say by how much they miss it", function()
    check_gap(smooth, 64, 1e-4, NETS)
    check_gap(kinked, 64, 4e-2, NETS)
    check_gap({ transformer = true, bias = true }, 64, 5e-2, NETS)
  end)

  it("come closer with more steps", function()
    local gaps = { 0, 0 }
    for seed = 1, 20 do
      local net = random_net.make(seed, smooth)
      local model = random_net.model(net)
      local x = core.randn(1, net.input[1], net.input[2], net.input[3], { seed = seed }) * 2
      for i, steps in ipairs { 4, 32 } do
        local opts = { method = "ig", baseline = "zero", steps = steps, target = 1, layers = {} }
        gaps[i] = gaps[i] + attribute(model, x, opts).gap[1]
      end
    end
    assert.is_true(gaps[2] < gaps[1] / 8, ("%g, then %g"):format(gaps[1], gaps[2]))
  end)

  it("cross every cut of the network as conductance, as nearly as steps allow", function()
    for seed = 1, 40 do
      local net = random_net.make(seed, smooth)
      local model = random_net.model(net)
      local x = core.randn(1, net.input[1], net.input[2], net.input[3], { seed = seed })
      local result = attribute(model, x, { method = "ig", baseline = "zero", steps = 200, target = 2, layers = "all" })
      local change = change_of(model, x, x * 0, 2)
      result.layers.input = result.input
      for _, cut in ipairs(random_net.cuts(model.graph:nodes())) do
        local sum, scale = 0, 1
        for _, name in ipairs(cut) do
          sum = sum + result.layers[name]:sum()
          scale = math.max(scale, result.layers[name]:abs():sum())
        end
        assert.is_true(math.abs(sum - change) <= 1e-2 * scale,
          ("seed %d, %s: %g, expected %g"):format(seed, cut[1], sum, change))
      end
    end
  end)
end)
