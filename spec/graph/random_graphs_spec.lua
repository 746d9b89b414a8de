-- What holds of any graph that the core accepts, whatever it is: it runs, and runs alike however it is planned, folded,
-- compacted. SECATEUR_GRAPHS=100000 looks at more of them.
local composites = require "secateur.attribution.composites"
local double = require "secateur.core_double"
local native = require "secateur.core"
local random_graph = require "support.random_graph"
local random_plans = require "support.random_plans"
local single = require "support.single"

local GRAPHS = tonumber(os.getenv "SECATEUR_GRAPHS") or 300
local FIRST = tonumber(os.getenv "SECATEUR_FIRST_GRAPH") or 1

local function randn(core, count, shape, seed)
  local sizes = { count, table.unpack(shape) }
  sizes[#sizes + 1] = { seed = seed }
  return core.randn(table.unpack(sizes))
end

-- Equal but for rounding; not-a-number and infinities have to be at the same places.
local function close(expected, found, place)
  assert.same(expected:shape(), found:shape(), place)
  local a, b = single.flat(expected), single.flat(found)
  local scale = 1e-30
  for i = 1, #a do if math.abs(a[i]) < math.huge then scale = math.max(scale, math.abs(a[i])) end end
  for i = 1, #a do
    local same = a[i] == b[i] or (a[i] ~= a[i] and b[i] ~= b[i]) or math.abs(a[i] - b[i]) <= 1e-7 * scale
    if not same then error(("%s: %g and %g"):format(place, a[i], b[i])) end
  end
end

local function bits(tensor) return table.concat(single.flat(tensor), " ") end

-- One graph, its input and what its output's gradient begins as.
local function case_of(core, seed)
  local graph, names = random_graph.make(seed, core, { classes = seed % 2 == 0 })
  local shapes = {}
  for _, node in ipairs(graph:nodes()) do shapes[node.name] = node.shape end
  local count = 1 + seed % 3
  return { seed = seed, core = core, graph = graph, names = names, count = count,
    x = randn(core, count, shapes.input, seed), dy = randn(core, count, shapes[graph:output()], seed + 1) }
end

local function forward(core, graph, x) return core.plan(graph, { batch = x:size(1) }):forward(x) end

local function check_plans(case)
  local y = forward(case.core, case.graph, case.x)
  local kept = case.core.plan(case.graph, { batch = case.count, keep = case.names })
  assert.equal(bits(y), bits(kept:forward(case.x)), "fused")
  for i = 1, case.count do
    assert.equal(bits(y:view(i, i)), bits(forward(case.core, case.graph, case.x:view(i, i):clone())), "one of a batch")
  end
  return y
end

-- Gradients do not depend on which values are kept, and in training they are there as well.
local function check_gradients(case)
  local found = {}
  for i, request in ipairs { {}, { keep = case.names, keep_grads = case.names }, { repeatable = true } } do
    request.backward, request.params, request.batch = true, true, case.count
    local plan = case.core.plan(case.graph, request)
    plan:forward(case.x)
    plan:backward(case.dy)
    local list = {}
    for _, p in ipairs(case.graph:parameters()) do
      if p.trainable then list[#list + 1] = bits(plan:param_grad(p.name)) end
    end
    found[i] = table.concat(list, "\n")
  end
  assert.equal(found[1], found[2], "gradients with all kept")
  assert.equal(found[1], found[3], "gradients of a repeatable plan")
  local copy = case.graph:copy()
  copy:own_parameters() -- training changes running statistics
  local training = case.core.plan(copy, { batch = case.count, backward = true, params = true, training = true })
  training:forward(case.x, case.seed)
  training:backward(case.dy)
end

local function check_relevance(case)
  local found = {}
  local by_name = composites.resolve("spec", composites.get("spec", "epsilon_plus"), case.graph:nodes())
  for i, keep in ipairs { { "input" }, case.names } do
    local walker = case.core.relevance(case.graph, { rules = by_name, keep = keep, batch = case.count })
    walker:forward(case.x)
    walker:backward(case.dy)
    found[i] = bits(walker:relevance "input")
  end
  assert.equal(found[1], found[2], "relevance with all kept")
end

-- Layers in the form in which a model lists them.
local function layers_of(graph)
  local list = {}
  for _, node in ipairs(graph:nodes()) do
    if node.channels == "produce" and node.name ~= graph:output() then
      list[#list + 1] = { name = node.name, units = node.attrs.out }
    end
  end
  return list
end

-- A graph that does not depend on its input cannot be compacted.
local function check_compact(graph, y, x, place)
  local ok, small = pcall(double.compact, graph)
  if ok then close(y, forward(double, small, x), place) else assert.matches("every path", small) end
end

local function check_compaction(case, y)
  close(y, forward(double, double.fold_batch_norm(case.graph), case.x), "folded")
  check_compact(case.graph, y, case.x, "compact")
  local layers = layers_of(case.graph)
  if #layers == 0 then return end
  local ok, masked = pcall(double.mask, case.graph, random_plans.make(layers, case.seed))
  if ok then -- else units cannot be told apart from others'
    check_compact(masked, forward(double, masked, case.x), case.x, "masked and compact")
  end
end

describe("any graph that the core accepts", function()
  it("gives the same however it is run", function()
    for seed = FIRST, FIRST + GRAPHS - 1 do
      local ok, message = pcall(function()
        for _, core in ipairs { native, double } do
          local case = case_of(core, seed)
          local y = check_plans(case)
          check_gradients(case)
          check_relevance(case)
          if core == double then check_compaction(case, y) end -- rounding is nearly nothing
        end
      end)
      if not ok then error(("graph %d: %s"):format(seed, tostring(message))) end
    end
  end)
end)
