--- Runs a method over the samples that units are scored on, batch after batch.
-- @module secateur.pruning.sample_runs
local core = require "secateur.core"
local errors = require "secateur.util.errors"
local heads = require "secateur.models.heads"
local readable = require "secateur.data.readable"
local samples = require "secateur.pruning.samples"
local shared_images = require "secateur.evaluation.shared_images"
local shares = require "secateur.mpi.shares"
local skipped = require "secateur.data.skipped"
local targets = require "secateur.models.targets"

local sample_runs = {}

-- The weights of logits that explain findings, a row per sample: of the finding that it was drawn for its logit; of no
-- finding (0) the mean of all logits, negative; where that is not known (nil), the mean of the logits of the findings
-- that the image has.
local function weights_of_findings(drawn, labels, outputs)
  local rows = {}
  for i, label in ipairs(labels) do
    local present, row = {}, {}
    for c = 1, outputs do
      if drawn[i] == c or drawn[i] == nil and label[c] > 0 then present[c] = true end
    end
    local count = 0
    for _ in pairs(present) do count = count + 1 end
    for c = 1, outputs do row[c] = count == 0 and -1 / outputs or present[c] and 1 / count or 0 end
    rows[i] = row
  end
  return core.tensor(rows)
end

-- The weights of what is explained, for a batch with labels y.
local function weigh(name, model, target, y, drawn, logits)
  if heads.kind(model) == "multi_label" then
    if target == "label" then return weights_of_findings(drawn, y:totable(), logits:size(2)) end
    targets.check_findings(name, target)
  end
  return (targets.weights(name, targets.with_labels(target, y), logits, model.class_count))
end

--- A function of a batch that gives what the method says of it, and one that ends it.
-- @tab row of the method, see secateur.attribution.methods
-- @tparam Model model
-- @tparam {string,...} names of layers
-- @tab opts `method`, `batch`, `target`, and those of the method
-- @tab[opt] extra further fields of the request; `name`: the function that messages are of ("importance")
-- @int[opt=1] first the number of the first sample, for methods whose random numbers go by it
-- @treturn function (x, y, drawn) -> what the method's `explain` gives; `drawn`: the findings that samples were drawn
--   for
-- @treturn function
function sample_runs.start(row, model, names, opts, extra, first)
  local request = { name = "importance", method = opts.method, options = opts, layers = names, batch = opts.batch,
    rows = opts.batch, units = true, input = false }
  for key, value in pairs(extra or {}) do request[key] = value end
  local explain, close = row.family.prepare(model, request)
  first = first or 1
  return function(x, y, drawn)
    local result = explain(x, function(logits) return weigh(request.name, model, opts.target, y, drawn, logits) end,
      first)
    first = first + x:size(1)
    return result
  end, close
end

-- Entries of a list that belongs to the indices, of those that could be read.
local function of_kept(list, chunk, first, kept)
  local found = {}
  for i, at in ipairs(list and readable.positions(chunk, kept) or {}) do found[i] = list[first + at - 1] end
  return found
end

-- The samples batch by batch; gives those that could be read.
local function walk(split, indices, opts, use)
  local used, findings, weights = {}, indices.findings, indices.weights
  local used_findings, used_weights = findings and {}, weights and {}
  for first = 1, #indices, opts.batch do
    local chunk = table.move(indices, first, math.min(first + opts.batch - 1, #indices), 1, {})
    local x, y, kept = readable.batch(split, chunk)
    if x then
      local drawn = of_kept(findings, chunk, first, kept)
      local weight = weights and of_kept(weights, chunk, first, kept)
      use(x, y, drawn, weight, kept)
      if findings then table.move(drawn, 1, #drawn, #used_findings + 1, used_findings) end
      if weights then table.move(weight, 1, #weight, #used_weights + 1, used_weights) end
      table.move(kept, 1, #kept, #used + 1, used)
    end
    if opts.on_batch then errors.call(opts.on_batch, math.min(first + opts.batch - 1, #indices), #indices) end
  end
  return samples.with_fields(used, used_findings, used_weights)
end

local function slice(list, first, last) return list and table.move(list, first, last, 1, {}) end

-- The samples that can be read, of all ranks: each looks at its part. What `sample` chose can be.
local function find_readable(split, indices, opts)
  if indices.unreadable then return indices end
  opts.readable = opts.readable or {}
  if opts.readable.of == indices then return opts.readable.list end
  local first, last = shares.range(opts.group, #indices)
  local kept, known = {}, skipped.known(split)
  for from = first, last, opts.batch do
    local _, _, found = readable.batch(split, slice(indices, from, math.min(from + opts.batch - 1, last)))
    table.move(found or {}, 1, #(found or {}), #kept + 1, kept)
  end
  kept = shares.join(opts.group, kept)
  shared_images.join_skipped(opts.group, split, known)
  local list = samples.with_fields(kept, indices.findings and of_kept(indices.findings, indices, 1, kept),
    indices.weights and of_kept(indices.weights, indices, 1, kept))
  opts.readable.of, opts.readable.list = indices, list
  return list
end

local function refuse_none(opts)
  errors.refuse(opts.name or "importance", "split: expected at least one image that can be read")
end

local function part_of(list, first, last)
  return samples.with_fields(slice(list, first, last), slice(list.findings, first, last),
    slice(list.weights, first, last))
end

-- What all ranks read, in the order of ranks.
local function join_used(group, used)
  local findings, weights = used.findings, used.weights
  return samples.with_fields(shares.join(group, used), findings and shares.join(group, findings),
    weights and shares.join(group, weights))
end

-- As `each`, for some of several ranks.
local function each_shared(split, indices, opts, begin)
  local all = opts.numbered and find_readable(split, indices, opts) or nil
  local known, first, last = skipped.known(split), shares.range(opts.group, #(all or indices))
  local mine = part_of(all or indices, first, last)
  local used = mine
  if #mine > 0 then
    local use, finish = begin(first)
    used = walk(split, mine, opts, use)
    if finish then finish() end
  end
  if not all then
    all = join_used(opts.group, used)
    shared_images.join_skipped(opts.group, split, known)
  end
  if #all == 0 then refuse_none(opts) end
  return all, used
end

--- Calls a function with the samples, batch by batch; with a group, with those of this rank alone.
-- @tparam Split split
-- @tparam {int,...} indices with, where there are some, `findings` and `weights`, see `sample`
-- @tab opts `batch`, `on_batch`, `group`; `numbered` (whether `first` matters: ranks find out first which samples can
--   be read), `readable`: a table in which they remember that
-- @func begin (first: the number of the first sample) -> use, and optionally finish, which is called at the end. `use`
--   is a function of (x, y, drawn, weights, kept): a batch, the findings that its samples were drawn for (an empty list
--   where there are none), their weights (nil where all are alike) and their indices. A rank without samples does not
--   begin
-- @treturn {int,...} the indices of those that could be read, of all ranks, with their `findings` and `weights` where
--   there are some
-- @treturn {int,...} the same of this rank
function sample_runs.each(split, indices, opts, begin)
  if shares.are(opts.group) then
    local all, used = each_shared(split, indices, opts, begin)
    return all, used
  end
  local use, finish = begin(1)
  local used = walk(split, indices, opts, use)
  if #used == 0 then refuse_none(opts) end
  if finish then finish() end
  return used, used
end

return sample_runs
