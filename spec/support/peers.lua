--- Random networks as zennit, captum, lxt and dl_backtrace explain them (spec/fixtures/attributions.safetensors, from
-- make_attributions.py), and ours beside them: in float through the public functions, and in double, where the two may
-- differ by no more than the file's rounding.
local attribute = require "secateur.attribution.attribute"
local json = require "secateur.util.json"
local composites = require "secateur.attribution.composites"
local custom = require "secateur.models.custom"
local double = require "secateur.core_double"
local quadrature = require "secateur.attribution.quadrature"
local rules = require "secateur.attribution.rules"
local safetensors = require "secateur.formats.safetensors"
local single = require "support.single"

local peers = {}

local PATH_STEPS, LAYER_STEPS = 12, 8

-- ---- networks ----

local function load_networks()
  local tensors, metadata = safetensors.load "spec/fixtures/attributions.safetensors"
  local networks = {}
  for name, text in pairs(metadata) do
    if name ~= "versions" then
      local net = json.decode(text)
      net.name, net.tensors, net.targets = name, {}, {}
      for key, tensor in pairs(tensors) do
        local network, rest = key:match "^([^/]+)/(.*)$"
        if network == name then net.tensors[rest] = tensor end
      end
      for i, class in ipairs(net.tensors.target:totable()) do net.targets[i] = class + 1 end
      networks[#networks + 1] = net
    end
  end
  table.sort(networks, function(a, b) return a.name < b.name end)
  return networks
end

local cache

--- The networks of the fixtures.
-- @treturn {table,...} each `name`, `input`, `nodes` ({operation, name, inputs, attributes}), `tensors`, `targets`
function peers.networks()
  cache = cache or load_networks()
  return cache
end

--- One of them as a model.
-- @tparam table net
-- @tparam[opt] table divisors names of parameters -> what they are divided by
-- @treturn Model
function peers.model(net, divisors)
  local model = custom { input = net.input, name = net.name, build = function(builder)
    for _, node in ipairs(net.nodes) do builder[node[1]](builder, node[2], node[3], node[4]) end
  end }
  model:load_state(net.tensors, { prefix = "weight/" })
  for name, divisor in pairs(divisors or {}) do
    model.graph:set_parameter(name, net.tensors["weight/" .. name] / divisor)
  end
  return model
end

-- Zennit merges a batch norm and leaves it behind with its statistics reset but not its eps: activations then shrink by
-- sqrt(1 + eps). Ours do so, for exact comparison, when scale and shift of every norm are divided by that.
local function zennits_divisors(net)
  local divisors = {}
  for _, node in ipairs(net.nodes) do
    if node[1] == "batch_norm2d" then
      local divisor = math.sqrt(1 + node[4].eps)
      divisors[node[2] .. ".weight"], divisors[node[2] .. ".bias"] = divisor, divisor
    end
  end
  return divisors
end

local function to_double(tensor) return single.tensor(double, single.flat(tensor), tensor:shape()) end

local function double_graph(net, divisors)
  local graph = double.graph()
  graph:add("input", "input", {}, { shape = net.input })
  for _, node in ipairs(net.nodes) do graph:add(node[1], node[2], node[3], node[4]) end
  for _, p in ipairs(graph:parameters()) do
    if p.dtype ~= "int64" then
      graph:set_parameter(p.name, to_double(net.tensors["weight/" .. p.name]) / (divisors[p.name] or 1))
    end
  end
  return graph
end

local function one_hot(net)
  local rows = {}
  for i, class in ipairs(net.targets) do
    rows[i] = { 0, 0, 0 }
    rows[i][class] = 1
  end
  return double.tensor(rows)
end

-- ---- comparing ----

-- Sums over positions, as rows.
local function units_of(value)
  local dims = #value:shape()
  if dims == 4 then value = value:sum(4):sum(3) elseif dims == 3 then value = value:sum(2) end
  return value:totable()
end

-- Largest difference of two tables of rows, columns first + 1, first + 2, … of the second; and its largest magnitude.
local function difference(got, expected, first)
  local most, largest = 0, 0
  for i, row in ipairs(got) do
    for j, value in ipairs(row) do
      local wanted = expected[i][first + j]
      local off = math.abs(value - wanted)
      most, largest = off == off and math.max(most, off) or math.huge, math.max(largest, math.abs(wanted))
    end
  end
  return most, largest
end

local function add_row(rows, net, build, key, name, most, largest, tolerance)
  rows[#rows + 1] = { file = net.name, build = build, key = key, group = key:match "^(.*)/[^/]+$" or key, name = name,
    absolute = most, distance = largest > 0 and most / largest or most, tolerance = tolerance }
end

local function flat_rows(tensor)
  return tensor:reshape(tensor:size(1), tensor:numel() // tensor:size(1)):totable()
end

local function compare_whole(rows, net, build, group, name, got, tolerance)
  local key = name == "" and group or group .. "/" .. name
  local most, largest = difference(flat_rows(got), flat_rows(net.tensors[key]), 0)
  add_row(rows, net, build, key, name, most, largest, tolerance)
end

-- found: node name -> its tensor, of all nodes or of those whose operation is in `only`.
local function compare_units(rows, net, build, group, found, tolerance, only)
  local expected, first = net.tensors[group .. "/units"]:totable(), 0
  for _, node in ipairs(net.nodes) do
    if not only or only[node[1]] then
      local got = units_of(found[node[2]])
      local most, largest = difference(got, expected, first)
      add_row(rows, net, build, group .. "/units", node[2] .. " " .. node[1], most, largest, tolerance)
      first = first + #got[1]
    end
  end
  assert(first == #expected[1], net.name .. "/" .. group .. ": units left over")
end

-- ---- relevance ----

local uniform = { epsilon = rules.epsilon, zplus = rules.zplus, flat = rules.flat, wsquare = rules.wsquare,
  alphabeta = function() return rules.alphabeta(2, 1) end, gamma = function() return rules.gamma(0.25) end,
  zbox = function() return rules.zbox(-3, 3) end }

-- A rule at every convolution and linear layer.
local function everywhere(rule)
  local entries = composites.get("spec", "epsilon_plus")
  table.insert(entries, 1, { match = "conv", rule = rule })
  table.insert(entries, 2, { match = "linear", rule = rule })
  return entries
end

-- The same entries with every epsilon 0.
local function unstabilised(name)
  local entries = composites.get("spec", name)
  for _, entry in ipairs(entries) do
    entry.rule.epsilon = entry.rule.epsilon and 0
    for _, group in ipairs(entry.rule.groups or {}) do group.epsilon = 0 end
  end
  return entries
end

--- Our name of zennit's composite: EpsilonAlpha2Beta1Flat -> epsilon_alpha2_beta1_flat.
function peers.our_name(name)
  return (name:gsub("(%l)(%u)", "%1_%2"):gsub("(%d)(%u)", "%1_%2"):lower())
end

-- The composites that give a method's values: one for float, one for double.
local function composites_of(method)
  local rule = method:match "^lrp/(%l+)$"
  if rule then return everywhere(uniform[rule]()), everywhere(uniform[rule]()) end
  local name = method:match "^lrp/(.*)$"
  if name then return peers.our_name(name), peers.our_name(name) end
  if method == "dlb" then return method, method end
  return unstabilised(method), unstabilised(method)
end

local function relevance_in_double(net, composite, divisors)
  local graph = double_graph(net, divisors)
  local folded, alias, present, names = double.fold_batch_norm(graph), {}, {}, {}
  for _, node in ipairs(folded:nodes()) do present[node.name] = true end
  for _, node in ipairs(graph:nodes()) do
    alias[node.name] = present[node.name] and node.name or alias[node.inputs[1]]
  end
  for name in pairs(present) do names[#names + 1] = name end
  local by_name = composites.resolve("spec", composites.get("spec", composite), folded:nodes())
  local walker = double.relevance(folded, { batch = #net.targets, rules = by_name, keep = names })
  walker:forward(to_double(net.tensors.x))
  walker:backward(one_hot(net))
  local found = {}
  for name, other in pairs(alias) do found[name] = walker:relevance(other) end
  return found
end

local function compare_relevance(rows, net, method, tolerance, in_float, in_double)
  local divisors = method:find "^lrp/" and zennits_divisors(net) or {}
  local result = attribute(peers.model(net, divisors), net.tensors.x, { composite = in_float, target = net.targets,
    layers = "all" })
  compare_whole(rows, net, "float", method, "input", result.input, tolerance.float)
  compare_units(rows, net, "float", method, result.layers, tolerance.float)
  local found = relevance_in_double(net, in_double, divisors)
  compare_whole(rows, net, "double", method, "input", found.input, tolerance.double)
  compare_units(rows, net, "double", method, found, tolerance.double)
end

-- ---- paths and gradients ----

local weighted = { conv2d = true, linear = true }

-- Gradients in double, and what their paths take: x, baseline, seeds.
local function path_in_double(net, names)
  local x, x0 = to_double(net.tensors.x), double.zeros(table.unpack(net.tensors.x:shape()))
  local start = to_double(net.tensors.baseline)
  for i = 1, x:size(1) do
    local flat, from = x0[i]:reshape(start:numel()), start:reshape(start:numel())
    for k = 1, start:numel() do flat:set(from:get(k), k) end
  end
  return double.gradients(double_graph(net, {}), { batch = x:size(1), nodes = names, quantity = "conductance" }), x, x0,
    one_hot(net)
end

-- Captum's rule of quadrature -> ours, its steps, and what ours is to be multiplied by: captum's trapezoid has as many
-- nodes as steps, each of weight 1 / steps, halved at the ends.
local rules_of_quadrature = {
  riemann_middle = { "midpoint", PATH_STEPS, 1 }, gausslegendre = { "gauss_legendre", PATH_STEPS, 1 },
  riemann_trapezoid = { "trapezoid", PATH_STEPS - 1, (PATH_STEPS - 1) / PATH_STEPS },
}

local function compare_path(rows, net, model, tolerance, method)
  local rule, steps, factor = table.unpack(rules_of_quadrature[method:match "/(.*)"])
  local found = attribute(model, net.tensors.x, { method = "ig", baseline = net.tensors.baseline, steps = steps,
    quadrature = rule, target = net.targets, layers = {} })
  compare_whole(rows, net, "float", method, "input", found.input * factor, tolerance.float)
  local gradients, x, x0, seeds = path_in_double(net, {})
  local points = quadrature.schedule(rule, steps, true, false)
  local input = gradients:along(x, x0, seeds, points)
  compare_whole(rows, net, "double", method, "input", input * factor, tolerance.double)
end

local function compare_conductance(rows, net, model, tolerance)
  local names = {}
  for _, node in ipairs(net.nodes) do names[#names + 1] = weighted[node[1]] and node[2] end
  local result = attribute(model, net.tensors.x, { method = "ig", baseline = net.tensors.baseline,
    steps = LAYER_STEPS, target = net.targets, layers = names })
  compare_units(rows, net, "float", "conductance", result.layers, tolerance.float, weighted)
  local gradients, x, x0, seeds = path_in_double(net, names)
  local points = quadrature.schedule("midpoint", LAYER_STEPS, false, true)
  local _, layers = gradients:along(x, x0, seeds, points, false)
  compare_units(rows, net, "double", "conductance", layers, tolerance.double, weighted)
end

-- The gradient, or as ReLUs guide it.
local function compare_gradient(rows, net, model, tolerance, method)
  local found = attribute(model, net.tensors.x, { method = method, target = net.targets })
  compare_whole(rows, net, "float", method, "input", found.input, tolerance.float)
  local gradients = double.gradients(double_graph(net, {}), { batch = #net.targets, nodes = {}, quantity = "gradient",
    guided = method == "guided_backprop" })
  local input = gradients:around(to_double(net.tensors.x), one_hot(net), { input = true })
  compare_whole(rows, net, "double", method, "input", input, tolerance.double)
end

local function compare_grad_cam(rows, net, model, tolerance, method)
  local last
  for _, node in ipairs(net.nodes) do last = node[1] == "conv2d" and node[2] or last end
  local found = attribute(model, net.tensors.x, { method = method, layer = last, target = net.targets })
  compare_whole(rows, net, "float", method, "", found.layers[last], tolerance.float)
end

local comparisons = { ["ig/riemann_middle"] = compare_path, ["ig/gausslegendre"] = compare_path,
  ["ig/riemann_trapezoid"] = compare_path, conductance = compare_conductance, gradient = compare_gradient,
  guided_backprop = compare_gradient, grad_cam = compare_grad_cam }

-- The file holds float32: half a unit in the last place of the largest value is 6e-8. Captum's weights of quadrature
-- are float32 whatever the network is. In float32, where relevance is divided by small sums, the packages are as far
-- from their own float64 (make_attributions.py prints it).
local default_tolerance = { float = 1e-4, double = 2e-7 }
local path_tolerance = { float = 1e-5, double = 1e-6 }
local exact_tolerance = { float = 1e-5, double = 2e-7 }
local tolerances = { gradient = exact_tolerance, guided_backprop = exact_tolerance, grad_cam = exact_tolerance,
  attnlrp = exact_tolerance, cp_lrp = exact_tolerance, dlb = exact_tolerance,
  conductance = { float = 2e-5, double = 2e-7 }, ["ig/riemann_middle"] = path_tolerance,
  ["ig/gausslegendre"] = path_tolerance, ["ig/riemann_trapezoid"] = path_tolerance }

--- The methods of a network's values, in order.
-- @tparam table net
-- @treturn {string,...}
function peers.methods(net)
  local seen, list = {}, {}
  for key in pairs(net.tensors) do
    local method = key:match "^(.*)/input$" or key:match "^(.*)/units$"
    if key == "grad_cam" then method = key end
    if method and not seen[method] then
      seen[method] = true
      list[#list + 1] = method
    end
  end
  table.sort(list)
  return list
end

--- The tensors of a network that are neither given to both sides nor in any of its rows.
-- @tparam table net
-- @tparam {table,...} rows of all its methods
-- @treturn {string,...} names, in order
function peers.missing(net, rows)
  local compared, missing = { x = true, target = true, baseline = true }, {}
  for _, row in ipairs(rows) do compared[row.key] = true end
  for key in pairs(net.tensors) do
    if not compared[key] and not key:find "^weight/" then missing[#missing + 1] = key end
  end
  table.sort(missing)
  return missing
end

--- Every value of one network by one method.
-- @tparam table net
-- @string method
-- @treturn {table,...} `{file =, build =, key =, group =, name =, absolute =, distance =, tolerance =}`, as
--   support.golden; build is "float" or "double", key the tensor's name
function peers.rows(net, method)
  local rows = {}
  local tolerance = tolerances[method] or default_tolerance
  if comparisons[method] then
    comparisons[method](rows, net, peers.model(net), tolerance, method)
  else
    compare_relevance(rows, net, method, tolerance, composites_of(method))
    if method == "lrp/zplus" then -- which alpha-beta with (1, 0) is
      local same = everywhere(rules.alphabeta(1, 0))
      compare_relevance(rows, net, method, tolerance, same, same)
    end
  end
  return rows
end

return peers
