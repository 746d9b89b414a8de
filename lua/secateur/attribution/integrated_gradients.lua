--- Integrated Gradients for the input (Sundararajan et al. 2017), conductance for nodes (Dhamdhere et al. 2018).
-- @module secateur.attribution.integrated_gradients
local baselines = require "secateur.attribution.baselines"
local errors = require "secateur.util.errors"
local bn_folding = require "secateur.attribution.bn_folding"
local merge_batches = require "secateur.attribution.merge_batches"
local quadrature = require "secateur.attribution.quadrature"
local batch_budget = require "secateur.attribution.batch_budget"
local tensors = require "secateur.util.tensors"

local integrated_gradients = {}

local MOST_STEPS = 1 << 20

-- Changes of the output below this count as this when a gap is held against a tolerance: they drown in rounding.
local LEAST_CHANGE = 0.01

-- The refinement of steps = "auto" starts here.
local FIRST_STEPS = 16

local function is_steps(value)
  local whole = math.type(value) and math.tointeger(value)
  return value == "auto" or whole and whole >= 1 and whole <= MOST_STEPS,
    ('"auto" or a whole number in [1, %d]'):format(MOST_STEPS)
end

--- Option rules of each method.
integrated_gradients.rules = {
  ig = {
    steps = { default = 32, check = is_steps },
    tolerance = { type = "number", above = 0, default = 0.01 },
    max_steps = { type = "integer", min = 1, max = MOST_STEPS, default = 1024 },
    quadrature = { one_of = quadrature.names, default = "midpoint" },
    baseline = { default = "black", check = baselines.check },
    sigma = { type = "number", above = 0, max = 1000 },
  },
}

local function check_steps(name, opts)
  local most = opts.steps == "auto" and opts.max_steps or opts.steps
  if opts.quadrature == "gauss_legendre" and most > quadrature.most_gauss then
    errors.refuse(name, "%s: expected at most %d for \"gauss_legendre\", got %d",
      opts.steps == "auto" and "max_steps" or "steps", quadrature.most_gauss, most)
  end
end

local function check_finite(name, base_logits)
  if not tensors.finite(base_logits) then
    errors.refuse(name, "baseline: expected a baseline that gives finite logits, got one that does not")
  end
end

-- Sum of the attributions of the input less f(x) - f(x0), and f(x) - f(x0), per sample.
local function completeness(input, job)
  local change = ((job.logits - job.base_logits) * job.weights):sum(2)
  return input:reshape(input:size(1), -1):sum(2) - change, change
end

-- What the same job is for some of its samples.
local function some_of(job, rows)
  local part = {}
  for key, tensor in pairs(job) do part[key] = tensor:take(1, rows) end
  return part
end

-- Rows of `part` into those rows of `whole`.
local function put_rows(whole, part, rows)
  for i, row in ipairs(rows) do merge_batches.add(whole, { value = part:view(i, i) }, row, whole.total) end
end

-- Doubles the steps of those samples whose gap is above the tolerance. Gives the input map and steps per sample.
local function refine(walk, job, opts)
  local count = job.x:size(1)
  local whole, steps, open = { total = count }, {}, {}
  for i = 1, count do open[i] = i end
  local n = math.min(FIRST_STEPS, opts.max_steps)
  while true do
    local part = #open == count and job or some_of(job, open)
    local input = walk(part, n, true, false)
    local gap, change = completeness(input, part)
    put_rows(whole, input, open)
    local still = {}
    for i, row in ipairs(open) do
      steps[row] = n
      local allowed = opts.tolerance * math.max(math.abs(change:get(i)), LEAST_CHANGE)
      local good = math.abs(gap:get(i)) <= allowed -- NaN is not
      if not good then still[#still + 1] = row end
    end
    if #still == 0 or n >= opts.max_steps then return whole.value, steps end
    open, n = still, math.min(2 * n, opts.max_steps)
  end
end

-- Conductance with the steps that each sample was given, those of equal steps together.
local function walk_groups(walk, job, steps)
  local groups, whole, count = {}, {}, #steps
  for i, n in ipairs(steps) do
    groups[n] = groups[n] or {}
    table.insert(groups[n], i)
  end
  for n, rows in pairs(groups) do
    local _, layers = walk(#rows == count and job or some_of(job, rows), n, false, true)
    if #rows == count then return layers end
    for name, tensor in pairs(layers) do
      whole[name] = whole[name] or { total = count }
      put_rows(whole[name], tensor, rows)
    end
  end
  for name, rows in pairs(whole) do whole[name] = rows.value end
  return whole
end

-- One baseline: input map (where wanted), layers, list of steps.
local function explain_one(walk, job, request)
  local opts, nodes = request.options, #request.layers > 0
  if opts.steps == "auto" then
    local input, steps = refine(walk, job, opts)
    return input, nodes and walk_groups(walk, job, steps) or {}, steps
  end
  local steps = {}
  for i = 1, job.x:size(1) do steps[i] = math.tointeger(opts.steps) end
  local input, layers = walk(job, steps[1], request.input, nodes)
  return input, layers, steps
end

-- Running mean over baselines; the steps are the most that any of them took.
local function average(total, part, index)
  if index == 1 then return part end
  local function mix(a, b) return a + (b - a) / index end
  if part.input then
    total.input, total.gap = mix(total.input, part.input), mix(total.gap, part.gap)
  end
  for name, tensor in pairs(part.layers) do total.layers[name] = mix(total.layers[name], tensor) end
  for i, steps in ipairs(part.steps) do total.steps[i] = math.max(total.steps[i], steps) end
  return total
end

--- Prepares a model; see secateur.attribution.methods.
-- @tparam Model model
-- @tab request
-- @treturn function explain
-- @treturn function close
function integrated_gradients.prepare(model, request)
  local opts, name = request.options, request.name
  check_steps(name, opts)
  -- Folding changes no conductance: what a norm's scale adds to the change of a value it takes from the gradient there.
  local graph, alias = bn_folding.make(model.graph)
  local native = batch_budget.gradients(graph, request.rows, { nodes = bn_folding.nodes(alias, request.layers),
    quantity = "conductance", units = request.units })
  local function walk(job, steps, input, nodes)
    local map, found = native:along(job.x, job.x0, job.weights,
      quadrature.schedule(opts.quadrature, steps, input, nodes), input)
    return map, bn_folding.name(alias, request.layers, found)
  end
  return function(x, weigh, first)
    local logits = native:forward(x)
    local weights, total = weigh(logits), nil
    for index, kind in ipairs(baselines.list(opts.baseline)) do
      if request.total then
        kind = baselines.slice(kind, first, first + x:size(1) - 1, request.total, #x:shape())
      end
      local x0 = baselines.make(name, kind, x, { model = model, normalisation = model.info.normalisation,
        sigma = opts.sigma })
      local job = { x = x, x0 = x0, weights = weights, logits = logits, base_logits = native:forward(x0) }
      check_finite(name, job.base_logits)
      local part = {}
      part.input, part.layers, part.steps = explain_one(walk, job, request)
      if part.input then part.gap = completeness(part.input, job) end
      total = average(total, part, index)
      x0:close()
    end
    if total.gap then total.gap = total.gap:abs():totable() end
    total.logits = logits
    return total
  end, function() native:close() end
end

return integrated_gradients
