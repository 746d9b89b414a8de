--- Scores neurons by what they contribute to the predictions on a few samples.
-- @module secateur.pruning.importance
local chosen_samples = require "secateur.pruning.chosen_samples"
local core = require "secateur.core"
local errors = require "secateur.util.errors"
local importance_options = require "secateur.pruning.importance_options"
local methods = require "secateur.attribution.methods"
local model_class = require "secateur.models.model"
local options = require "secateur.util.options"
local predict = require "secateur.evaluation.predict"
local redundancy = require "secateur.pruning.redundancy"
local same_call = require "secateur.evaluation.same_call"
local sample = require "secateur.pruning.sample"
local sample_scores = require "secateur.pruning.sample_scores"
local scores = require "secateur.pruning.scores"
local scoring_context = require "secateur.pruning.scoring_context"
local shared_images = require "secateur.evaluation.shared_images"
local skipped = require "secateur.data.skipped"
local strategy = require "secateur.pruning.strategy"
local unit_readers = require "secateur.pruning.unit_readers"

-- The samples that are scored on.
local function choose_samples(model, split, opts)
  local indices = opts.indices or errors.within("importance", sample, model, split, { sampling = opts.sampling,
    per_class = opts.per_class, seed = opts.seed, group = opts.group })
  if #indices == 0 and not opts.indices then
    errors.refuse("importance", "sampling: expected a function that chooses samples that can be read, got none of "
      .. "any class")
  end
  return indices
end

local function squares(list)
  local energies = {}
  for u, score in ipairs(list) do energies[u] = score * score end
  return energies
end

-- What a function of one's own gives, and the samples that it used, as far as its context knows.
local function score_by_own(model, split, layers, opts, choose)
  local used
  local ctx = scoring_context.new(model, split, layers, opts, choose, function(indices) used = indices end)
  local given = errors.call(opts.method, model, chosen_samples.new(split, choose), ctx)
  return scores.read(given, layers), used
end

-- Scores by layer as the method has them, and nothing else; with `square`, each sample's are squared. And the samples
-- used, where the method uses any.
local function score_plainly(row, model, split, layers, opts, choose, square)
  if row and row.data then
    local names = {}
    for i, layer in ipairs(layers) do names[i] = layer.name end
    local reduce = square and "square" or opts.reduce
    return sample_scores.mean(row, model, split, names, choose(), opts, reduce)
  end
  local given, used
  if row then
    given = row.family.score(row.name, model, layers, opts.seed)
  else
    given, used = score_by_own(model, split, layers, opts, choose)
  end
  if not square then return given, used end
  local energies = {}
  for name, tensor in pairs(given) do energies[name] = squares(tensor:totable()) end
  return energies, used
end

-- A function of a layer's name and the means of its units that gives their energies, the layers that have any, and the
-- samples used.
local function measure_energies(row, model, split, layers, opts, choose, seen)
  if row and row.centred then
    local energy, used = sample_scores.energies(row, model, split, seen.graph, seen.readers, choose(), opts)
    return energy, layers, used
  end
  local lists, used = score_plainly(row, model, split, layers, opts, choose, true)
  local some = {}
  for _, layer in ipairs(layers) do
    if lists[layer.name] then some[#some + 1] = layer end
  end
  return function(name) return lists[name] end, some, used
end

-- What statistics are estimated on: what is given, or the split, or of a split that cannot be counted the samples.
local function calibration_options(model, split, opts, choose)
  local given = opts.calibration or split
  local countable = opts.calibration or split.count or split.labels
  return { calibration = given, count = opts.calibration_count, seed = opts.seed, model = model,
    indices = not countable and choose() or nil, redundancy = opts.redundancy }
end

-- Scores by layer, the samples that they are of, the method's name, and how many calibration images there were.
local function score(model, split, layers, opts)
  same_call.check(opts.group, "importance", model, split, opts)
  local row, indices = methods.get(opts.method), nil
  opts.numbered = row and row.numbered
  local name = row and row.name or "custom"
  local function choose()
    indices = indices or choose_samples(model, split, opts)
    return indices
  end
  if not opts.redundancy and not (row and row.centred) then
    local found, used = score_plainly(row, model, split, layers, opts, choose)
    return row and row.data and sample_scores.tensors(found) or found, used or indices or {}, name
  end
  local names = {}
  for i, layer in ipairs(layers) do names[i] = layer.name end
  local seen = { graph = core.fold_batch_norm(model.graph) }
  seen.readers = unit_readers.find(seen.graph, names)
  local energies, some, used = measure_energies(row, model, split, layers, opts, choose, seen)
  model:release()
  local found, count = redundancy.score(seen.graph, seen.readers, some, energies,
    calibration_options(model, split, opts, choose))
  return found, used or indices or {}, name, count
end

--- Scores every prunable unit: what the network loses with it.
--
-- Methods: `sensitivity` (the default): how far the logits move, in squares, when the unit is replaced by its mean; it
-- needs no labels. `lrp`, `dlb`, `ig` (conductance) and `gradient_x_input` (h df/dh, with its sign), see `attribute`:
-- relevance summed over positions, averaged over the samples. To compare with, `random`, `magnitude` (L2 norm of the
-- unit's weights), `activation` (mean |h|), `taylor` (mean |h df/dh|).
--
-- Or a function of one's own, `method = function(model, samples, ctx)`, that gives layer name -> Tensor [units] (or
-- list of numbers) for all prunable layers or some; or `{ score = function, version = text or number }`, where a sweep
-- is to tell by the version whether it has changed. `samples` is the split of the samples chosen; they are chosen when
-- something of it, or `ctx.indices`, is first looked at. `ctx` holds `layers` (what `model:layers()` lists), `model`,
-- `split` (the whole one), `indices` (of the samples, in `split`), `weights` (theirs, or nil), `seed`, `per_class`,
-- `batch`, `target`, `reduce`; and gives what most methods need in a line each, see ScoringContext:
-- `ctx:attribute(opts)`, the mean relevance of units by a method of `attribute`; `ctx:forward(layers)`, their values
-- [samples x units]; `ctx:gradient(target)`, their gradients [samples x units].
--
-- `redundancy` (default: true for `sensitivity`, false for all others) has scores tell which units say what others say:
-- a unit that the rest of its layer predicts costs little, until the units that predict it have gone. What a unit is
-- worth is then the mean square of its relevance, or the square of a score without samples, and a score is what is lost
-- when the unit goes after all that cost less, in the order of removal; ranked globally, as `prune` does by default. It
-- costs units^3 per layer: seconds, up to a minute for 4096. Covariances, and the means of `sensitivity`, come from
-- `calibration` images, which need no labels.
--
-- Where images may have several findings, "label" is the finding that a sample was chosen for (see `sample`); of images
-- without any, the mean of all logits, with a minus: what speaks for normal. Of `indices` of one's own, which were
-- chosen for nothing, the mean of the logits of the findings that the image has. "prediction" is the likeliest finding.
--
-- The paper's scores are `method = "lrp"` (or another of its methods) with `reduce = "sum"` and without redundancy.
--
-- @tparam Model model
-- @tparam Split split the training split, as a rule
-- @tparam[opt] table opts
--   `method` ("sensitivity"; a name or a function, see above), `redundancy`, `calibration` (a split or a Tensor
--   [N x C x H x W] of normalised images; the split), `calibration_count` (256 of them, chosen by the seed; where a
--   split has fewer, augmented views are added, up to 16 of an image), `sampling` (a name, function or table, see
--   `sample`; default: "random" with redundancy, where the choice makes no difference, else "clustering", which runs
--   the model on the whole split), `per_class` (10), `indices` (samples chosen already; those that cannot be read are
--   left out; with a field `weights`, as `sample` gives it, means are weighted), `reduce` ("sum" keeps the sign, "abs"
--   takes the magnitude of each sample's sum; default: "sum" for `lrp` and `dlb` on networks without attention and for
--   what has no sign, else "abs", since signed sums of `ig` and `gradient_x_input`, and of any on transformers, rank no
--   better than chance; of no effect on `sensitivity` and with `redundancy`, which take squares), `seed` (0), `batch`
--   (16), `target` ("label"; "prediction", a class, or a contrast `{ of = "label", against = "runner_up" }` of these;
--   `sensitivity` looks at all classes), `on_batch` (function(done, total)), those that the method has in `attribute`,
--   and `group` (none; `sc.mpi.group()`: its ranks, which all make this call, share out the samples, and the images
--   that a sampling looks at; all get the same scores, with the bits of a single process. Functions of one's own are
--   called on every rank, with all samples, of which `ctx:attribute`, `ctx:gradient` and `ctx:forward` run a part each;
--   `on_batch` counts those of its rank; statistics of calibration images are made on every rank)
-- @treturn table layer name -> Tensor [units]; the key `provenance` (method, sampling, indices that were used, their
--   weights, layers in order, redundancy, calibration_count, reduce, skipped: how many images were left out because
--   they could not be read, as far as is known, ...) is there to be read, but does not show up in a loop. `prune`
--   repairs with the same calibration images, for which it asks the scores
-- @usage
-- local scores = sc.importance(model, data.train)
-- local scores = sc.importance(model, data.train, { method = "lrp", sampling = "clustering", per_class = 10 })
-- local scores = sc.importance(model, data.train, { method = function(_, _, ctx)
--   return ctx:attribute { method = "gradient", target = "prediction", reduce = "abs" }
-- end })
local function importance(model, split, opts)
  model_class.check("importance", model)
  local checked = importance_options.check("importance", opts)
  if type(split) ~= "table" or not split.batch then
    errors.refuse("importance", "split: expected a split of a data set, got " .. options.describe(split)
      .. predict.dataset_hint(split))
  end
  predict.check_fit("importance", model, split)
  if checked.redundancy == nil then checked.redundancy = checked.method == "sensitivity" end
  checked.sampling = checked.sampling or checked.redundancy and "random" or "clustering"
  checked.reduce = checked.reduce or sample_scores.reduction(model, checked.method)
  local layers, names = model:layers(), {}
  if #layers == 0 then errors.refuse("importance", "model: expected layers that can be pruned, found none") end
  checked.readable = {}
  local by_layer, indices, method, count = shared_images.together(checked.group,
    { split, checked.calibration }, errors.within, "importance", score, model, split, layers, checked)
  model:release()
  for _, layer in ipairs(layers) do
    if by_layer[layer.name] then names[#names + 1] = layer.name end
  end
  scores.check(by_layer, method)
  local given = checked.calibration or (split.count or split.labels) and split or nil
  return scores.new(by_layer, { method = method, indices = indices, layers = names,
    sampling = checked.indices and "given" or strategy.read("importance", "sampling", checked.sampling).name,
    weights = indices.weights, reduce = count and "square" or checked.reduce,
    seed = checked.seed, per_class = checked.per_class, redundancy = checked.redundancy, calibration_count = count,
    skipped = skipped.count(split, type(given) == "table" and given or nil) },
    given)
end

return importance
