--- Scores neurons by what they contribute to the predictions on a few samples.
-- @module secateur.pruning.importance
local core = require "secateur.core"
local errors = require "secateur.util.errors"
local importance_options = require "secateur.pruning.importance_options"
local methods = require "secateur.attribution.methods"
local model_class = require "secateur.models.model"
local options = require "secateur.util.options"
local predict = require "secateur.evaluation.predict"
local sample = require "secateur.pruning.sample"
local scores = require "secateur.pruning.scores"
local targets = require "secateur.models.targets"

-- The weights of the classes explained, for a batch with labels y.
local function weigh(target, y, logits)
  return (targets.weights("importance", targets.with_labels(target, y), logits))
end

-- A function of a batch that gives layer name -> Tensor [N x units], and one that ends it.
local function start(row, model, names, opts)
  local explain, close = row.family.prepare(model, { name = "importance", method = opts.method, options = opts,
    layers = names, batch = opts.batch, rows = opts.batch, units = true, input = false })
  local first = 1
  return function(x, y)
    local result = explain(x, function(logits) return weigh(opts.target, y, logits) end, first)
    first = first + x:size(1)
    return result.layers
  end, close
end

-- Adds each sample's sums (or their magnitudes) to the totals, one after another in double precision, so that they do
-- not depend on how samples are batched; returns how many samples there were.
local function accumulate(totals, sums, reduce)
  local count = 0
  for name, tensor in pairs(sums) do
    count = tensor:size(1)
    local total = totals[name] or {}
    for _, row in ipairs((reduce == "abs" and tensor:abs() or tensor):totable()) do
      for unit, value in ipairs(row) do total[unit] = (total[unit] or 0) + value end
    end
    totals[name] = total
  end
  return count
end

local function score_samples(row, model, split, names, indices, opts)
  model:release() -- the arena of whoever chose the samples: one at a time
  local step, finish = start(row, model, names, opts)
  local totals, count = {}, 0
  for first = 1, #indices, opts.batch do
    local chunk = table.move(indices, first, math.min(first + opts.batch - 1, #indices), 1, {})
    local x, y = split:batch(chunk)
    if x and x:size(1) > 0 then count = count + accumulate(totals, step(x, y), opts.reduce) end
    if opts.on_batch then opts.on_batch(math.min(first + opts.batch - 1, #indices), #indices) end
  end
  finish()
  if count == 0 then errors.refuse("importance", "split: expected at least one image that can be read") end
  local means = {}
  for name, total in pairs(totals) do
    for unit, sum in ipairs(total) do total[unit] = sum / count end
    means[name] = core.tensor(total)
  end
  return means
end

-- What a user's function of scoring knows besides model and split. The samples are chosen when they are first asked
-- for: that may run the model on the whole split.
local function make_context(layers, opts, choose)
  local ctx = { layers = layers, seed = opts.seed, per_class = opts.per_class, batch = opts.batch,
    target = opts.target, reduce = opts.reduce }
  return setmetatable(ctx, { __index = function(self, key)
    if key ~= "indices" then return nil end
    self.indices = choose()
    return self.indices
  end })
end

-- The samples that are scored on.
local function choose_samples(model, split, opts)
  local indices = opts.indices or errors.within("importance", sample, model, split, { sampling = opts.sampling,
    per_class = opts.per_class, seed = opts.seed })
  if #indices == 0 and type(opts.sampling) == "function" then
    errors.refuse("importance", "sampling: expected a function that chooses samples that can be read, got none of "
      .. "any class")
  end
  return indices
end

-- Scores by layer, the samples that they are of, and the method's name.
local function score(model, split, layers, opts)
  local row, indices = methods.get(opts.method), {}
  local function choose()
    indices = choose_samples(model, split, opts)
    return indices
  end
  if not row then
    local given = opts.method(model, split, make_context(layers, opts, choose))
    return scores.read(given, layers), indices, "custom"
  elseif not row.data then
    return row.family.score(row.name, model, layers, opts.seed), indices, row.name
  end
  local names = {}
  for i, layer in ipairs(layers) do names[i] = layer.name end
  choose()
  return errors.within("importance", score_samples, row, model, split, names, indices, opts), indices, row.name
end

--- Scores every prunable unit: its relevance summed over positions, averaged over the samples chosen.
--
-- Methods: `lrp`, `dlb`, `ig` (conductance) and `gradient_x_input` (h df/dh, with its sign), see `attribute`; and to
-- compare with, `random`, `magnitude` (L2 norm of the unit's weights), `activation` (mean |h|), `taylor` (mean
-- |h df/dh|). Or a function of one's own, `method = function(model, split, ctx)`, that gives layer name -> Tensor
-- [units] (or list of numbers) for all prunable layers or some; `ctx` holds `layers` (what `model:layers()` lists),
-- `indices` (the samples chosen; they are chosen when this is first looked at), `seed`, `per_class`, `batch`,
-- `target`, `reduce`.
--
-- @tparam Model model
-- @tparam Split split the training split, as a rule
-- @tparam[opt] table opts
--   `method` ("lrp"; a name or a function, see above), `sampling` ("clustering", "confidence", "random" or a function,
--   see `sample`), `per_class` (10), `indices` (samples chosen already), `reduce` ("sum" keeps the sign; "abs" takes
--   the magnitude of each sample's sum), `seed` (0), `batch` (16), `target` ("label"; "prediction", a class, or a
--   contrast `{ of = "label", against = "runner_up" }` of these), `on_batch` (function(done, total)), and those that
--   the method has in `attribute`
-- @treturn table layer name -> Tensor [units]; the key `provenance` (method, sampling, indices, layers in order, ...)
--   is there to be read, but does not show up in a loop
-- @usage
-- local scores = sc.importance(model, data.train, { method = "lrp", sampling = "clustering", per_class = 10 })
local function importance(model, split, opts)
  model_class.check("importance", model)
  local checked = importance_options.check("importance", opts)
  if type(split) ~= "table" or not split.batch then
    errors.refuse("importance", "split: expected a split of a data set, got " .. options.describe(split))
  end
  predict.check_fit("importance", model, split)
  local layers, names = model:layers(), {}
  local by_layer, indices, method = score(model, split, layers, checked)
  model:release()
  for _, layer in ipairs(layers) do
    if by_layer[layer.name] then names[#names + 1] = layer.name end
  end
  scores.check(by_layer, method)
  return scores.new(by_layer, { method = method, indices = indices, layers = names,
    sampling = checked.indices and "given" or checked.sampling, reduce = checked.reduce, seed = checked.seed,
    per_class = checked.per_class })
end

return importance
