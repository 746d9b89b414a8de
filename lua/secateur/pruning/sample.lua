--- Chooses the samples that neurons are scored on: a few per class.
-- @module secateur.pruning.sample
local errors = require "secateur.util.errors"
local group_rule = require "secateur.mpi.group_rule"
local label_groups = require "secateur.data.label_groups"
local model_class = require "secateur.models.model"
local options = require "secateur.util.options"
local predict = require "secateur.evaluation.predict"
local readable = require "secateur.data.readable"
local sample_choice = require "secateur.pruning.sample_choice"
local sample_context = require "secateur.pruning.sample_context"
local sample_memory = require "secateur.pruning.sample_memory"
local sample_pool = require "secateur.pruning.sample_pool"
local samples = require "secateur.pruning.samples"
local shared_images = require "secateur.evaluation.shared_images"
local strategy = require "secateur.pruning.strategy"

local rules = {
  sampling = { default = "clustering" },
  per_class = { type = "integer", min = 1, default = 10 },
  seed = { type = "integer", default = 0 },
  batch = { type = "integer", min = 1, default = 64 },
  known = { type = "table" },
  group = group_rule,
}

-- Calls the strategy; nil where it has to be called again without what turned out to be unreadable.
local function ask(job, source, pool, label)
  for _, entry in ipairs(source.entries) do entry.weight = nil end
  local ctx = sample_context.new(job, source, pool, label)
  local ok, chosen = errors.catch(errors.call, job.strategy.choose, pool, ctx)
  if not ok and chosen == sample_pool.again then return nil end
  if not ok then errors.rethrow(chosen) end
  source:check_identities()
  return sample_choice.read(source.entries, chosen, ctx.class and ("class '%s'"):format(ctx.class_name) or "the pool")
end

-- The first of the entries that can be read, as many as wanted, and the indices of those passed over before them.
local function first_readable(job, entries, wanted)
  local indices, taken = {}, {}
  for i, entry in ipairs(entries) do indices[i] = entry.index end
  local _, failed = readable.first(job.split, indices, wanted, job.batch, job.readable)
  for _, entry in ipairs(entries) do
    if #taken < wanted and job.readable[entry.index] then taken[#taken + 1] = entry end
  end
  return taken, failed
end

local function without_unreadable(job, entries)
  local pool = {}
  for _, entry in ipairs(entries) do
    if job.readable[entry.index] ~= false then pool[#pool + 1] = entry end
  end
  return pool
end

-- Entries of a pool that can be read, as the strategy chooses. Where a choice turns out to be unreadable and the list
-- holds no other, the strategy is asked again without what cannot be read: as if it were not in the split.
local function choose_from(job, source, label, wanted)
  local all = source.entries
  local pool, taken = table.move(all, 1, #all, 1, {}), {}
  while #pool > 0 do
    local before = #pool
    local chosen = ask(job, source, pool, label) -- which may sort or cut the pool
    if chosen then
      local failed
      taken, failed = first_readable(job, chosen, wanted)
      if #taken == wanted or #failed == 0 then return taken end
    end
    pool = without_unreadable(job, all)
    if #pool == before then return taken end
  end
  if #all > 0 and not (job.group and job.group.rank > 0) then
    errors.warn("sample: %snone of its %d images can be read",
      job.names[label] and ("class '%s': "):format(job.names[label]) or "split: ", #all)
  end
  return {}
end

local function check_split(model, split)
  if type(split) ~= "table" or not split.subset or not split.labels or not split.classes then
    errors.refuse("sample", "split: expected a split of a data set, got " .. options.describe(split)
      .. predict.dataset_hint(split))
  elseif #split.labels == 0 then
    errors.refuse("sample", "split: expected at least one sample, found none")
  end
  predict.check_fit("sample", model, split, nil)
  for i, label in ipairs(split.multi_label and {} or split.labels) do
    if not split.classes[label] then
      errors.refuse("sample", "split: expected labels in 1..%d, got %s at %d", #split.classes,
        options.describe(label), i)
    end
  end
end

-- The samples of all groups, as the strategy chooses: of each by itself, or of all at once.
local function choose(job)
  local groups, chosen, used = label_groups.list(job.split), {}, 0
  for index in pairs(job.known and job.known.logits or {}) do job.readable[index] = true end
  for i, group in ipairs(groups) do
    job.order[i], job.names[group.label] = group.label, group.name
    used = used + (#group.indices > 0 and 1 or 0)
  end
  if job.strategy.scope == "all" then
    chosen = choose_from(job, sample_pool.new(job, groups), sample_context.ALL, job.per_class * used)
  else
    for _, group in ipairs(groups) do
      local taken = choose_from(job, sample_pool.new(job, { group }), group.label, job.per_class)
      table.move(taken, 1, #taken, #chosen + 1, chosen)
    end
  end
  if job.node then job.model:release() end
  return samples.new(chosen, job.readable, job.split.multi_label)
end

--- Chooses up to `per_class` samples of each class; a class with fewer gives all it has. All of them can be read: what
-- cannot is passed over and replaced, whatever the strategy.
--
-- The option `sampling` is a name, a function of one's own, or a table with one; `sc.help "sampling"` tells what a
-- function gets. By name:
--
-- * `clustering`: k-means with k = `per_class` on the penultimate features (what the output layer reads) of the class;
--   of each cluster the sample nearest to its centroid.
-- * `confidence`: the highest probability of the true class, by softmax or sigmoid as the model's head has it.
-- * `random`.
-- * `coverage`: k-centre greedy on the penultimate features (Sener and Savarese 2018): each sample the one farthest
--   from those before it.
-- * `margin`: the smallest difference of the two largest probabilities first (Scheffer et al. 2001).
-- * `entropy`: the least certain prediction first (Shannon 1948; Settles 2009).
-- * `prototypes`: nearest to the mean of the class in features (Snell et al. 2017).
-- * `herding`: samples whose mean stays nearest to the mean of the class (Welling 2009; Rebuffi et al. 2017).
--
-- Where images may have several findings (a multi-label split), each finding is a class of those that have it, and an
-- image may be chosen for several; `confidence` is the sigmoid's. Besides there is the class of images that are known
-- to have none (`class` and `label` 0, "no finding"; `confidence` is the product of the probabilities that each is
-- absent), so that units which tell normal images are kept as well. Which finding an image was chosen for stands in
-- `findings`; `importance` explains that one.
--
-- @tparam Model model
-- @tparam Split split the training split, as a rule
-- @tparam[opt] table opts `sampling` ("clustering"), `per_class` (10), `seed` (0), `batch` (64), `known` (none; a table
--   in which what the model says of images is kept for further calls, up to 256 MiB: several strategies then run it
--   once; with another model or split it begins anew), `group` (none; `sc.mpi.group()`: its ranks, which all make this
--   call, share out the images that the model is run on; each gets the whole result, with the bits of a single process.
--   A function of one's own is called on every rank)
-- @treturn {int,...} indices into the split, class by class; `unreadable`: those passed over; `findings` (multi-label):
--   a finding per index, 0 for images without; `weights`: what each counts in `importance`, where the strategy said so
-- @usage
-- local known = {}
-- local surest = sc.sample(model, data.train, { sampling = "confidence", per_class = 5, known = known })
-- local spread = sc.sample(model, data.train, { sampling = "coverage", per_class = 5, known = known })
local function sample(model, split, opts)
  model_class.check("sample", model)
  local checked = options.check("sample", opts, rules)
  local read = strategy.read("sample", "sampling", checked.sampling)
  check_split(model, split)
  return shared_images.together(checked.group, { split }, errors.within, "sample", choose, { model = model,
    split = split, strategy = read, names = {}, order = {}, per_class = checked.per_class, seed = checked.seed,
    batch = checked.batch, readable = {}, known = sample_memory.open(checked.known, model, split),
    group = checked.group })
end

return sample
