--- Whole Jacobians of one operation against central differences, in the double build, and what else must hold for every
-- operation: gradients accumulate, plans that reuse memory give the same output, float agrees with double.
local double = require "secateur.core_double"
local float = require "secateur.core"
local single = require "support.single"

local gradcheck = {}

local TOLERANCE, STEP, SEED = 1e-6, 1e-5, 42

local function one_hot(core, shape, index)
  local n = 1
  for _, size in ipairs(shape) do n = n * size end
  local list = {}
  for i = 1, n do list[i] = i == index and 1 or 0 end
  return single.tensor(core, list, shape)
end

local function trainable(graph)
  local names = {}
  for _, p in ipairs(graph:parameters()) do
    if p.trainable then names[#names + 1] = p.name end
  end
  return names
end

-- By backward: for each output, the gradient of everything. Returns {x = rows, [parameter] = rows}.
local function analytic(plan, graph, x)
  local shape = plan:forward(x, SEED):shape()
  local outputs = plan:forward(x, SEED):numel()
  local rows = { x = {} }
  for _, name in ipairs(trainable(graph)) do rows[name] = {} end
  for j = 1, outputs do
    plan:forward(x, SEED)
    plan:backward(one_hot(double, shape, j))
    for name, list in pairs(rows) do
      list[j] = single.flat(name == "x" and plan:grad("x") or plan:param_grad(name))
    end
  end
  return rows
end

-- By differences in each element of `tensor`, through set(value, index) on a flat view of it.
local function columns(plan, x, tensor, visit)
  local flat = tensor:reshape(tensor:numel())
  for k = 1, flat:numel() do
    local value = flat:get(k)
    flat:set(value + STEP, k)
    local above = single.flat(plan:forward(x, SEED))
    flat:set(value - STEP, k)
    local below = single.flat(plan:forward(x, SEED))
    flat:set(value, k)
    visit(k, above, below)
  end
end

local function compare_jacobians(case, live, batch)
  local graph = single.graph(double, case, live)
  local x = single.input(double, case, batch, live)
  local plan = single.plan(double, graph, case, batch)
  for name, rows in pairs(analytic(plan, graph, x)) do
    columns(plan, x, name == "x" and x or graph:parameter(name), function(k, above, below)
      for j = 1, #above do
        local expected = (above[j] - below[j]) / (2 * STEP)
        local close = math.abs(rows[j][k] - expected) <= TOLERANCE * math.max(1, math.abs(expected))
        if not close then -- also where one is not a number
          error(("%s, batch %d, input %d: d y[%d] / d %s[%d]: differences give %.10g, backward %.10g"):format(case.op,
            batch, live, j, name, k, expected, rows[j][k]), 0)
        end
      end
    end)
  end
end

local function gradients(core, graph, case, batch, live, times)
  local x = single.input(core, case, batch, live)
  local plan = single.plan(core, graph, case, batch)
  local y = plan:forward(x, SEED)
  local dy = single.tensor(core, single.numbers(y:numel(), 9), y:shape())
  for i = 1, times or 1 do
    if i > 1 then plan:forward(x, SEED) end
    plan:backward(dy, i > 1)
  end
  local found = { y = single.flat(y), x = single.flat(plan:grad("x")) }
  for _, name in ipairs(trainable(graph)) do found[name] = single.flat(plan:param_grad(name)) end
  return found
end

local function scaled(list, factor)
  local out = {}
  for i, value in ipairs(list) do out[i] = value * factor end
  return out
end

-- Two equal nodes on one input and the same parameters double every gradient; so does a second backward pass.
local function check_accumulation(case, live, batch)
  local graph, names = single.graph(double, case, live)
  local once = gradients(double, graph, case, batch, live)
  local twice = gradients(double, graph, case, batch, live, 2)
  local bindings, has = {}, {}
  for _, p in ipairs(graph:parameters()) do has[p.name] = true end
  for _, slot in ipairs { "weight", "bias" } do
    if has["n." .. slot] then bindings[slot] = { name = "n." .. slot } end
  end
  local fan = single.graph(double, case, live)
  fan:add(case.op, "m", names, case.attrs, bindings)
  for _, p in ipairs(fan:parameters()) do
    local source = p.name:gsub("^m%.", "n.")
    if p.dtype ~= "int64" or case.index then fan:set_parameter(p.name, graph:parameter(source):clone()) end
  end
  fan:add("add", "sum", { "n", "m" })
  fan:output("sum")
  local doubled = case.random or gradients(double, fan, case, batch, live)
  for name, list in pairs(once) do
    if name ~= "y" and name ~= "x" then
      single.compare(case.op .. ": accumulated " .. name, twice[name], scaled(list, 2), 1e-12)
    end
    if not case.random then
      single.compare(case.op .. ": fan-out of " .. name, doubled[name], scaled(list, 2), 1e-12)
    end
  end
end

local function check_builds(case, live, batch)
  local in_double = gradients(double, single.graph(double, case, live), case, batch, live)
  local in_float = gradients(float, single.graph(float, case, live), case, batch, live)
  for name, list in pairs(in_double) do
    single.compare(("%s: float against double, %s"):format(case.op, name), in_float[name], list, 1e-5)
  end
end

-- Memory reused by liveness, and a run with fewer samples than the plan has room for.
local function check_plans(case, live, batch)
  if case.training then return end
  local graph = single.graph(double, case, live)
  local x = single.input(double, case, batch, live)
  local y = single.flat(single.plan(double, graph, case, batch):forward(x))
  single.compare(case.op .. ": in inference", single.flat(double.plan(graph, { batch = batch }):forward(x)), y, 0)
  local roomy = single.plan(double, graph, case, batch + 2)
  roomy:forward(single.input(double, case, batch + 2, live))
  single.compare(case.op .. ": in a larger plan", single.flat(roomy:forward(x)), y, 1e-14)
end

--- Raises where the case's operation fails one of the checks, at batch 1 and 3, for each of its inputs.
-- @tparam table case as in support.single; `random = true` when equal nodes differ (dropout)
-- @treturn boolean true
function gradcheck.check(case)
  for _, batch in ipairs { 1, 3 } do
    for live = 1, #case.inputs do
      compare_jacobians(case, live, batch)
      check_accumulation(case, live, batch)
      check_builds(case, live, batch)
      check_plans(case, live, batch)
    end
  end
  return true
end

return gradcheck
