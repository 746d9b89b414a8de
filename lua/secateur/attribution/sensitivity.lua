--- How much the logits would move if a unit were replaced by its mean: a first-order estimate that needs no labels.
--
-- With z_c the logit of class c less the mean of all logits, a_u the values of unit u where its readers see it, and m_u
-- their mean, T_cu = sum over positions of dz_c/da_u (a_u - m_u), and the energy of unit u is the mean over samples of
-- the sum over classes of T_cu^2: in squared logits, so that layers compare (after Molchanov et al. 2017, whose term is
-- of the loss and not centred). The sum over classes is that over any orthonormal basis of what is orthogonal to
-- (1, ..., 1): a pass less than there are classes. Where these would be more than 16, as many random signs of the
-- classes estimate it without bias (Hutchinson 1990).
--
-- The mean goes since a shift of all logits changes no softmax. Sigmoids it does change: of a sigmoid head z_c is the
-- logit itself, and there is a pass per logit.
-- @module secateur.attribution.sensitivity
local core = require "secateur.core"
local batch_budget = require "secateur.attribution.batch_budget"
local heads = require "secateur.models.heads"

local sensitivity = {}

--- Option rules of the method.
sensitivity.rules = { sensitivity = {} }

local MAX_PASSES = 16

-- The logits themselves.
local function identity(outputs)
  local basis = {}
  for k = 1, outputs do
    basis[k] = {}
    for c = 1, outputs do basis[k][c] = c == k and 1 or 0 end
  end
  return basis
end

-- Rows of the Helmert basis: k - 1 times 1, then 1 - k, scaled to length 1; of a single output, itself.
local function helmert(classes)
  if classes == 1 then return { { 1 } } end
  local basis = {}
  for k = 2, classes do
    local row, length = {}, math.sqrt(k * (k - 1))
    for c = 1, classes do row[c] = c < k and 1 / length or c == k and (1 - k) / length or 0 end
    basis[k - 1] = row
  end
  return basis
end

-- Signs of the classes for one sample and pass, centred for a softmax.
local function signs(classes, seed, sample, pass, softmax)
  local row, mean = core.rand(classes, { seed = core.mix(core.mix(seed, sample), pass) }):totable(), 0
  for c, value in ipairs(row) do
    row[c] = (value < 0.5 and -1 or 1) / math.sqrt(MAX_PASSES)
    mean = mean + row[c] / classes
  end
  for c, value in ipairs(row) do row[c] = softmax and value - mean or value end
  return row
end

-- What the backward pass begins with, in one pass over the samples from number `first` on.
local function starts(job, pass, count, first)
  local rows = {}
  for i = 1, count do
    rows[i] = job.basis and job.basis[pass] or signs(job.outputs, job.seed, first + i - 1, pass, job.softmax)
  end
  return core.tensor(rows)
end

-- An execution plan for as many rows as fit the budget, and how many those are.
local function make_plan(graph, most, nodes)
  local request = { batch = 1, backward = true, repeatable = true, keep = nodes, keep_grads = nodes }
  local plan = core.plan(graph, request)
  local rows = math.max(1, math.min(most, batch_budget.budget // math.max(1, (plan:memory()))))
  if rows == 1 then return plan, rows end
  plan:close()
  request.batch = rows
  return core.plan(graph, request), rows
end

--- Prepares a graph; see secateur.attribution.methods. Instead of `layers`, explain gives `terms`: for each node a list
-- of pairs of lists per unit, one pair per sample and pass: the sums over positions of gradient times value, and of the
-- gradient. `energy` completes them, once means are known.
-- @tparam Model model
-- @tab request besides what is there: `graph`, batch norms folded, and `nodes`, where units are seen
-- @treturn function explain
-- @treturn function close
function sensitivity.prepare(model, request)
  local job = { outputs = model.output_count, softmax = heads.kind(model) == "softmax",
    seed = request.options.seed or 0 }
  local enough = job.outputs - (job.softmax and 1 or 0) <= MAX_PASSES
  job.basis = enough and (job.softmax and helmert or identity)(job.outputs) or nil
  local passes = job.basis and #job.basis or MAX_PASSES
  local plan, most = make_plan(request.graph, request.batch, request.nodes)
  local function run(terms, x, first)
    local count, before = x:size(1), {}
    for _, node in ipairs(request.nodes) do before[node] = #terms[node] end
    plan:forward(x)
    for pass = 1, passes do
      plan:backward(starts(job, pass, count, first))
      for _, node in ipairs(request.nodes) do
        local products, grads = core.unit_products(plan, node)
        for i, list in ipairs(products) do -- sample after sample, however they are batched
          terms[node][before[node] + (i - 1) * passes + pass] = { list, grads[i] }
        end
      end
    end
  end
  return function(x, _, first)
    local terms, count = {}, x:size(1)
    for _, node in ipairs(request.nodes) do terms[node] = {} end
    for from = 1, count, most do run(terms, x:view(from, math.min(from + most - 1, count)), first + from - 1) end
    return { terms = terms }
  end, function() plan:close() end
end

--- Adds the squared logits that each sample gives a node's units, one after another.
-- @tparam {number,...} sums per unit so far; an empty list at first
-- @tparam {table,...} terms of the samples, as `prepare` describes them
-- @int samples how many there are
-- @tparam {number,...} means of the units
-- @tparam[opt] {number,...} weights of the samples
-- @treturn {number,...} sums
function sensitivity.add_energy(sums, terms, samples, means, weights)
  for u = 1, #means do sums[u] = sums[u] or 0 end
  local passes = samples > 0 and #terms // samples or 1
  for k, pair in ipairs(terms) do
    local products, grads, weight = pair[1], pair[2], weights and weights[(k - 1) // passes + 1] or 1
    for u, mean in ipairs(means) do sums[u] = sums[u] + weight * (products[u] - mean * grads[u]) ^ 2 end
  end
  return sums
end

--- The energies of a node's units: the mean over samples of what `add_energy` adds up.
-- @tparam {table,...} terms of all samples, as `prepare` describes them
-- @int samples how many there were
-- @tparam {number,...} means of the units
-- @treturn {number,...} squared logits
function sensitivity.energy(terms, samples, means)
  local energy = sensitivity.add_energy({}, terms, samples, means)
  for u, sum in ipairs(energy) do energy[u] = sum / samples end
  return energy
end

return sensitivity
