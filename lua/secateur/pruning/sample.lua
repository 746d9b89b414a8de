--- Chooses the samples that neurons are scored on: a few per class.
-- @module secateur.pruning.sample
local core = require "secateur.core"
local errors = require "secateur.util.errors"
local heads = require "secateur.models.heads"
local label_groups = require "secateur.data.label_groups"
local model_class = require "secateur.models.model"
local options = require "secateur.util.options"
local predict = require "secateur.evaluation.predict"
local policies = require "secateur.pruning.strategies"
local readable = require "secateur.data.readable"

local rules = {
  sampling = { one_of = options.sorted_keys(policies), type = "function", default = "clustering" },
  per_class = { type = "integer", min = 1, default = 10 },
  seed = { type = "integer", default = 0 },
  batch = { type = "integer", min = 1, default = 64 },
}

-- The node whose value the output layer reads.
local function penultimate(model)
  local node = model.graph:node(model.graph:output())
  while node.channels ~= "produce" and node.inputs[1] do node = model.graph:node(node.inputs[1]) end
  return node.inputs[1] or node.name
end

-- 1 / (1 + exp(-z)), without overflow.
local function logistic(z)
  local e = core.math.exp(-math.abs(z))
  return (z >= 0 and 1 or e) / (1 + e)
end

-- How probable a label is, from a list of logits, by the kind of head.
local probabilities = {}

function probabilities.softmax(logits, class)
  local sum = 0
  for _, logit in ipairs(logits) do sum = sum + core.math.exp(logit - logits[class]) end
  return 1 / sum
end

function probabilities.binary(logits, class)
  return logistic(class == 2 and logits[1] or -logits[1])
end

-- Of no finding: that each is absent.
function probabilities.multi_label(logits, finding)
  if finding > 0 then return logistic(logits[finding]) end
  local product = 1
  for _, logit in ipairs(logits) do product = product * logistic(-logit) end
  return product
end

-- Runs the model on the samples of a pool and fills in what it says of them. One class at a time, so that the features
-- of one class are in memory and not those of the whole split.
local function predict_pool(job, pool)
  local indices = {}
  for i, entry in ipairs(pool) do indices[i] = entry.index end
  job.node = job.node or penultimate(job.model)
  local execution_plan = job.model:execution_plan(job.batch, { keep = { job.node } })
  local seen, probability = {}, probabilities[heads.kind(job.model)]
  for x, _, positions in job.split:subset(indices):batches { batch = job.batch } do
    local logits, features = execution_plan:forward(x):totable(), execution_plan:value(job.node)
    for i, position in ipairs(positions) do
      seen[position] = { probability(logits[i], pool[position].label), features[i]:reshape(-1) }
    end
  end
  for position, entry in ipairs(pool) do
    local confidence, embedded = table.unpack(seen[position] or {})
    if confidence ~= confidence then
      errors.refuse("sample", "model: expected finite logits, got others for sample %d", entry.index)
    end
    entry.confidence, entry.features = confidence or 0, embedded
    job.readable[entry.index] = confidence ~= nil
  end
end

local predicted = { confidence = true, features = true }

-- The samples of a class, and the same list once more. What the model says of them is computed when first asked for.
local function make_pool(job, group)
  local pool, all, ready = {}, {}, false
  local lazy = { __index = function(entry, key)
    if ready or not predicted[key] then return nil end
    ready = true
    predict_pool(job, all)
    return rawget(entry, key)
  end }
  for i, index in ipairs(group.indices) do pool[i] = setmetatable({ index = index, label = group.label }, lazy) end
  table.move(pool, 1, #pool, 1, all) -- the policy may sort or cut the list that it is given
  return pool, all
end

-- What a policy knows besides its pool.
local function make_context(job, group)
  local ctx = { class = group.label, class_name = group.name, per_class = job.per_class, seed = job.seed,
    split = job.split }
  local seed = core.mix(job.seed, group.label)

  function ctx.shuffle(list)
    local shuffled = {}
    for i, from in ipairs(core.permutation(#list, seed)) do shuffled[i] = list[from] end
    return shuffled
  end

  function ctx.kmeans(entries, k)
    local seen, features = {}, {}
    for _, entry in ipairs(entries) do
      if entry.features then
        seen[#seen + 1], features[#features + 1] = entry, entry.features
      end
    end
    if #seen == 0 then return {}, {} end
    local _, assignment, nearest = core.kmeans(features, math.min(k, #seen), { seed = seed })
    local clusters = {}
    for cluster, position in ipairs(nearest) do nearest[cluster], clusters[cluster] = seen[position], {} end
    for position, cluster in ipairs(assignment:totable()) do table.insert(clusters[cluster], seen[position]) end
    return nearest, clusters
  end

  return ctx
end

-- What a policy chose, as indices.
local function read_choice(group, all, chosen)
  if type(chosen) ~= "table" then
    errors.refuse("sample", "sampling: expected the function to give a list of entries or indices, got "
      .. options.describe(chosen))
  end
  local by_index, indices, seen = {}, {}, {}
  for _, entry in ipairs(all) do by_index[entry.index] = entry end
  for i, item in ipairs(chosen) do
    local index = type(item) == "table" and item.index or item
    local entry = by_index[index]
    if not entry then
      errors.refuse("sample", "sampling: expected entries or indices of class '%s', got %s at %d",
        group.name, options.describe(index), i)
    end
    if seen[entry] then
      errors.refuse("sample", "sampling: expected each sample once, got %d twice", entry.index)
    end
    seen[entry], indices[i] = true, entry.index
  end
  return indices
end

-- Samples of a class that can be read, as a policy chooses. Where a choice turns out to be unreadable and the list of
-- the policy holds no other, the policy is asked again without what cannot be read: as if it were not in the split.
local function sample_group(job, group, policy)
  local pool, all = make_pool(job, group)
  if #pool == 0 then return {} end
  local taken, failed
  repeat
    local before, passed_over = #pool, 0
    local chosen = read_choice(group, all, errors.call(policy, pool, make_context(job, group)))
    taken, failed = readable.first(job.split, chosen, job.per_class, job.batch, job.readable)
    if #taken == job.per_class or #failed == 0 then return taken end
    pool = {}
    for _, entry in ipairs(all) do
      if job.readable[entry.index] == false then passed_over = passed_over + 1 else pool[#pool + 1] = entry end
    end
  until #pool == 0 or before == #all - passed_over
  if #pool == 0 then
    errors.warn("sample: class '%s': none of its %d images can be read", group.name, #all)
  end
  return taken
end

local function describe(self)
  local text = ("%d samples: %s"):format(#self, table.concat(self, " "))
  if #self.unreadable == 0 then return text end
  return ("%s (passed over, for they cannot be read: %s)"):format(text, table.concat(self.unreadable, " "))
end

--- What `sample` gives: a list of indices, which prints itself.
-- @type Samples
-- @field unreadable list of indices that were looked at and could not be read; no part of the list, and of no loop over
-- it
-- @field findings where images may have several findings, the list of those that the samples were drawn for, 0 for none
local function make_samples(indices, known, findings)
  local unreadable = {}
  for index, good in pairs(known) do
    if not good then unreadable[#unreadable + 1] = index end
  end
  table.sort(unreadable)
  return setmetatable(indices, { __name = "Samples", __tostring = describe, __index = { unreadable = unreadable,
    findings = findings } })
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

-- The samples of all groups, as the policy chooses.
local function choose(job, policy)
  local indices, findings = {}, job.split.multi_label and {} or nil
  for _, group in ipairs(label_groups.list(job.split)) do
    for _, index in ipairs(sample_group(job, group, policy)) do
      indices[#indices + 1] = index
      if findings then findings[#indices] = group.label end
    end
  end
  if job.node then job.model:release() end
  return make_samples(indices, job.readable, findings)
end

--- Chooses up to `per_class` samples of each class; a class with fewer gives all it has. All of them can be read: what
-- cannot is passed over and replaced, whatever the strategy.
--
-- * `clustering`: k-means with k = `per_class` on the penultimate features (what the output layer reads) of the class;
--   of each cluster the sample nearest to its centroid.
-- * `confidence`: the highest probability of the true class, by softmax or sigmoid as the model's head has it.
-- * `random`.
-- * a function `f(pool, ctx)`, called once per class, that gives a list of entries of the pool or of indices, of
--   which the first `per_class` are taken. `pool` is a list of `{index=, label=, confidence=, features=}`, in the order
--   of the split; it may be sorted in place. `confidence` (of the true class) and `features` (a Tensor [D]) are
--   computed when they are first looked at, in one pass over the class. An image that cannot be read has confidence 0
--   and no features. Where one is chosen, the next of the list takes its place; where the list has no other, the
--   function is called again with a pool without it. `ctx` holds `class`, `class_name`, `per_class`, `seed`, `split`;
--   `ctx.shuffle(list)`, a new list in a random order that the seed decides; and `ctx.kmeans(entries, k)`, which gives
--   the entry of each cluster that is nearest to its centroid, and the clusters as lists of entries.
--
-- Where images may have several findings (a multi-label split), each finding is a class of those that have it, and an
-- image may be chosen for several; `confidence` is the sigmoid's. Besides there is the class of images that are known
-- to have none (`class` and `label` 0, "no finding"; `confidence` is the product of the probabilities that each is
-- absent), so that units which tell normal images are kept as well. Which finding an image was chosen for stands in
-- `findings`;
-- `importance` explains that one.
--
-- @tparam Model model
-- @tparam Split split the training split, as a rule
-- @tparam[opt] table opts `sampling` ("clustering"), `per_class` (10), `seed` (0), `batch` (64)
-- @treturn {int,...} indices into the split, class by class; `unreadable`: those passed over; `findings` (multi-label):
--   a finding per index, 0 for images without
-- @usage
-- local indices = sc.sample(model, data.train, { sampling = "confidence", per_class = 5 })
local function sample(model, split, opts)
  model_class.check("sample", model)
  local checked = options.check("sample", opts, rules)
  check_split(model, split)
  local job = { model = model, split = split, per_class = checked.per_class, seed = checked.seed,
    batch = checked.batch, readable = {} }
  return errors.within("sample", choose, job, policies[checked.sampling] or checked.sampling)
end

return sample
