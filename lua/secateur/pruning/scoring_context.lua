--- What a scoring method of one's own knows besides the model and its samples: what most such methods need, in a line
-- each. The samples are run batch by batch, and what cannot be read is left out, the same by all of them.
-- @module secateur.pruning.scoring_context
local core = require "secateur.core"
local errors = require "secateur.util.errors"
local importance_options = require "secateur.pruning.importance_options"
local merge_batches = require "secateur.attribution.merge_batches"
local methods = require "secateur.attribution.methods"
local options = require "secateur.util.options"
local random_numbers = require "secateur.util.random_numbers"
local sample_runs = require "secateur.pruning.sample_runs"
local sample_scores = require "secateur.pruning.sample_scores"
local shares = require "secateur.mpi.shares"
local class_methods = require "secateur.util.methods"
local unit_readers = require "secateur.pruning.unit_readers"

local scoring_context = {}

local STREAM = 0x73636f -- of ctx.random, apart from what else is drawn from the same seed

-- Methods that say something of each sample and unit.
local attributable = {}
for _, list in ipairs { methods.explaining, methods.scoring } do
  for _, name in ipairs(list) do
    local row = methods.get(name)
    if row.data and not row.centred and not row.convolutions and not attributable[name] then
      attributable[#attributable + 1], attributable[name] = name, true
    end
  end
end

--- The third argument of a scoring method of one's own. Rows of samples are those of the samples that can be read, in
-- the order of `indices`; which these are is the second value that each of its methods gives.
-- @type ScoringContext
-- @field layers what `model:layers()` lists: those that scores are wanted of
-- @field model the model
-- @field split the whole split that `importance` was given
-- @field indices the samples chosen, positions in `split`; they are chosen when this is first looked at
-- @field weights of the samples, where they have any (see `sample`); nil where all are alike
-- @field seed of `importance`
-- @field random a generator of random numbers that the seed decides, see Random
-- @field per_class how many samples of each class
-- @field batch the most samples at a time
-- @field target what is explained unless a call says otherwise
-- @field reduce "sum" or "abs", as `importance` was told
local Context = { __name = "ScoringContext" }

local lazy = {}

local function copy(list) return list and table.move(list, 1, #list, 1, {}) end

-- Copies, which a function may sort: findings and weights go by the order of the samples.
function lazy.indices(self)
  local chosen = self.job.choose()
  return setmetatable(copy(chosen), { __index = { findings = copy(chosen.findings), weights = copy(chosen.weights) } })
end

function lazy.weights(self) return copy(self.job.choose().weights) end

function lazy.random(self) return random_numbers.new(core.mix(self.seed, STREAM)) end

local fields = { "layers", "model", "split", "indices", "weights", "seed", "random", "per_class", "batch", "target",
  "reduce", "attribute", "gradient", "forward" }

local function refuse_typo(key)
  for _, field in ipairs(fields) do
    if field == key then return end
  end
  local hint = options.suggest(key, fields)
  if hint ~= "" then errors.refuse("importance", "method: ctx has no field '%s'%s", tostring(key), hint) end
end

function Context.__index(self, key)
  if rawget(Context, key) ~= nil then return rawget(Context, key) end
  if not lazy[key] then return refuse_typo(key) end
  local value = lazy[key](self)
  rawset(self, key, value)
  return value
end

-- The nodes that are asked about: those of the prunable layers, unless others are named.
local function choose_nodes(self, name, wanted)
  local nodes = {}
  if wanted == nil then
    for i, layer in ipairs(self.layers) do nodes[i] = layer.name end
    return nodes
  end
  local all = {}
  for i, node in ipairs(self.model.graph:nodes()) do all[i] = node.name end
  for i, node in ipairs(type(wanted) == "string" and { wanted } or wanted) do
    if type(node) ~= "string" or not self.model.graph:node(node) then
      errors.refuse(name, "layers: expected nodes of the model, got %s%s", options.describe(node),
        options.suggest(node, all))
    end
    nodes[i] = node
  end
  if #nodes == 0 then errors.refuse(name, "layers: expected at least one, got none") end
  return nodes
end

-- The rows of all ranks, one rank after the other.
local function join_rows(group, result)
  for node, tensor in pairs(result) do result[node] = tensor:totable() end
  local whole = {}
  for _, part in ipairs(shares.all_gather(group, result)) do
    for node, rows in pairs(part) do
      whole[node] = whole[node] or {}
      table.move(rows, 1, #rows, #whole[node] + 1, whole[node])
    end
  end
  for node, rows in pairs(whole) do whole[node] = core.tensor(rows) end
  return whole
end

-- Runs over the samples what `begin` gives: a function of a batch that gives a table node -> Tensor [n x units], and
-- one that ends it. Gives node -> Tensor [samples x units], and the indices of the samples.
local function collect_rows(self, name, begin, group, numbered)
  local result, count, total = {}, 0, #self.job.choose()
  local opts = { batch = self.batch, name = name, group = group, numbered = numbered, readable = self.job.readable }
  local used = sample_runs.each(self.split, self.job.choose(), opts, function(first)
    local step, finish = begin(first)
    return function(x, ...)
      merge_batches.add(result, step(x, ...), count + 1, total)
      count = count + x:size(1)
    end, finish
  end)
  if count < total then
    for node, tensor in pairs(result) do result[node] = tensor:view(1, count):clone() end
  end
  self.job.note_used(used)
  if shares.are(group) then result = join_rows(group, result) end
  return result, used
end

local attribute_rules = {
  method = { one_of = attributable, default = "lrp" },
  target = importance_options.rules.target,
  layers = { type = { "string", "list" } },
  reduce = importance_options.rules.reduce,
  per_sample = { type = "boolean", default = false },
}

-- Options that a method of `attribute` has, with the context's own target and seed where nothing is said.
local function attribution_options(self, name, given)
  local rules = {}
  for key, rule in pairs(attribute_rules) do rules[key] = rule end
  local checked = methods.check(name, given, rules)
  if not (given and given.target ~= nil) then checked.target = self.target end
  if methods.get(checked.method).rules.seed and not (given and given.seed) then checked.seed = self.seed end
  checked.batch, checked.name, checked.group, checked.readable = self.batch, name, self.job.group, self.job.readable
  checked.numbered = methods.get(checked.method).numbered
  return checked
end

local function attribute(self, name, given)
  local opts = attribution_options(self, name, given)
  local row, nodes = methods.get(opts.method), choose_nodes(self, name, opts.layers)
  if not opts.per_sample then
    local reduce = opts.reduce or sample_scores.reduction(self.model, opts.method)
    local lists, used = sample_scores.mean(row, self.model, self.split, nodes, self.job.choose(), opts, reduce)
    self.job.note_used(used)
    return sample_scores.tensors(lists), used
  end
  if opts.reduce then errors.refuse(name, "reduce: expected none with per_sample, whose rows are not reduced") end
  self.job.choose() -- before the plan: choosing runs the model, too
  self.model:release() -- of whoever ran the model last: one arena at a time
  local rows, used = collect_rows(self, name, function(first)
    local step, finish = sample_runs.start(row, self.model, nodes, opts, { name = name }, first)
    return function(x, y, drawn) return step(x, y, drawn).layers end, finish
  end, self.job.group, row.numbered)
  return rows, used
end

--- What a method of `attribute` says of the samples, summed over the positions of each unit and averaged over the
-- samples as `importance` does it: `ctx:attribute { method = "lrp" }` is what `importance` gives for that method.
-- @tab[opt] opts `method` ("lrp"; also "dlb", "ig", "gradient", "gradient_x_input", "smoothgrad", "guided_backprop",
--   "activation", "taylor"), `target` (that of `importance`), `layers` (node names; the prunable layers), `reduce`
--   ("sum" or "abs", by default as `importance` chooses), `per_sample` (false; true: a row per sample, as it is, and
--   neither reduced nor averaged), and those that the method has in `attribute`
-- @treturn table layer name -> Tensor [units]; with `per_sample` [samples x units]
-- @treturn {int,...} the samples that could be read, as positions in `split`
-- @usage
-- local own, other = ctx:attribute(), ctx:attribute { target = { of = "label", against = "runner_up" } }
function Context:attribute(opts)
  local result, used = attribute(self, "ctx:attribute", opts)
  return result, used
end

local gradient_rules = {
  layers = attribute_rules.layers,
  times_value = { type = "boolean", default = false },
}

--- The gradient of what is explained with respect to the value of each unit, summed over its positions, a row per
-- sample.
-- @param[opt] target as in `importance`: "label", "prediction", a class or a contrast; that of `importance`
-- @tab[opt] opts `layers` (node names; the prunable layers), `times_value` (false; true: h df/dh, the gradient times
--   the value, position by position, before it is summed)
-- @treturn table layer name -> Tensor [samples x units]
-- @treturn {int,...} the samples that could be read, as positions in `split`
-- @usage
-- local gradients = ctx:gradient "prediction"
function Context:gradient(target, opts)
  local checked = options.check("ctx:gradient", opts, gradient_rules)
  local result, used = attribute(self, "ctx:gradient", { method = checked.times_value and "gradient_x_input"
    or "gradient", target = target, layers = checked.layers, per_sample = true })
  return result, used
end

local forward_rules = {
  pool = { one_of = { "mean", "max", "sum" }, default = "mean" },
  at = { one_of = { "layer", "reader" }, default = "layer" },
  each = { type = "function" },
}

-- One number per sample and unit: units are the channels of maps [n x C x H x W], and the last dimension of tokens
-- [n x T x D] and vectors [n x D].
local function pool_values(values, pool)
  local shape = values:shape()
  if #shape == 2 then return values end
  if #shape == 3 then return values[pool](values, 2) end
  local maps = values:reshape(shape[1], shape[2], shape[3] * shape[4])
  return maps[pool](maps, 3)
end

-- A plan that keeps the values of nodes, and for each node the one that is kept for it.
local function plan_values(self, name, nodes, at)
  local graph, kept, keep, seen = self.model.graph, {}, {}, {}
  local readers
  if at == "reader" then
    graph = core.fold_batch_norm(graph)
    for _, node in ipairs(nodes) do
      if not graph:node(node) then
        errors.refuse(name, "layers: expected layers with at = \"reader\", got the batch norm '%s'", node)
      end
    end
    readers = unit_readers.find(graph, nodes)
  end
  for _, node in ipairs(nodes) do
    kept[node] = readers and readers[node].seen_at or node
    if not seen[kept[node]] then keep[#keep + 1], seen[kept[node]] = kept[node], true end
  end
  return core.plan(graph, { batch = math.min(self.batch, #self.job.choose()), keep = keep }), kept
end

--- Values of units, a row per sample: of maps and tokens the mean over positions.
-- @param[opt] layers a node's name or a list of them; the prunable layers
-- @tab[opt] opts `pool` over positions ("mean"; "max", "sum"); `at` ("layer": what the layer itself gives, before norm
--   and activation; "reader": what the layers that read it get, behind norm, activation and pool); `each`: a
--   function(values, y, indices) that is called batch by batch with layer name -> Tensor [n x shape of the node] as
--   they are, labels, and positions in `split`: then nothing is pooled or kept
-- @treturn table layer name -> Tensor [samples x units]; empty with `each`
-- @treturn {int,...} the samples that could be read, as positions in `split`
-- @usage
-- local values = ctx:forward(nil, { at = "reader" })
function Context:forward(layers, opts)
  local name = "ctx:forward"
  local checked = options.check(name, opts, forward_rules)
  options.value(name, "layers", layers, attribute_rules.layers)
  local nodes = choose_nodes(self, name, layers)
  self.job.choose() -- before the plan: choosing runs the model, too
  self.model:release()
  local rows, used = collect_rows(self, name, function()
    local plan, kept = plan_values(self, name, nodes, checked.at)
    return function(x, y, _, _, indices)
      plan:forward(x)
      local values = {}
      for _, node in ipairs(nodes) do
        local value = plan:value(kept[node])
        values[node] = checked.each and value or pool_values(value, checked.pool)
      end
      if not checked.each then return values end
      errors.call(checked.each, values, y, indices)
      return {}
    end, function() plan:close() end
  end, not checked.each and self.job.group or nil)
  return rows, used
end

class_methods.guard(Context, nil, "ctx")

--- Makes the context of one call.
-- @tparam Model model
-- @tparam Split split
-- @tparam {table,...} layers what `model:layers()` lists
-- @tab opts of importance
-- @func choose () -> the samples
-- @func note_used (indices): called with those that could be read
-- @treturn ScoringContext
function scoring_context.new(model, split, layers, opts, choose, note_used)
  return setmetatable({ model = model, split = split, layers = layers, seed = opts.seed, per_class = opts.per_class,
    batch = opts.batch, target = opts.target, reduce = opts.reduce,
    job = { choose = choose, note_used = note_used, group = opts.group, readable = opts.readable } }, Context)
end

return scoring_context
