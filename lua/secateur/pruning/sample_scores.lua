--- Scores of units from samples: what a method says of each sample, averaged.
-- @module secateur.pruning.sample_scores
local core = require "secateur.core"
local errors = require "secateur.util.errors"
local heads = require "secateur.models.heads"
local readable = require "secateur.data.readable"
local targets = require "secateur.models.targets"

local sample_scores = {}

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
local function weigh(model, target, y, drawn, logits)
  if heads.kind(model) == "multi_label" then
    if target == "label" then return weights_of_findings(drawn, y:totable(), logits:size(2)) end
    targets.check_findings("importance", target)
  end
  return (targets.weights("importance", targets.with_labels(target, y), logits, model.class_count))
end

-- A function of a batch that gives what the method says of it, and one that ends it.
local function start(row, model, names, opts, extra)
  local request = { name = "importance", method = opts.method, options = opts, layers = names, batch = opts.batch,
    rows = opts.batch, units = true, input = false }
  for key, value in pairs(extra or {}) do request[key] = value end
  local explain, close = row.family.prepare(model, request)
  local first = 1
  return function(x, y, drawn)
    local result = explain(x, function(logits) return weigh(model, opts.target, y, drawn, logits) end, first)
    first = first + x:size(1)
    return result
  end, close
end

-- The findings that the samples of a chunk were drawn for, of those that could be read: `kept` is a part of the chunk,
-- in its order, and of an image that is there twice both are read or none.
local function drawn_for(findings, chunk, first, kept)
  local drawn, at = {}, 0
  for i, index in ipairs(findings and kept or {}) do
    repeat at = at + 1 until chunk[at] == index or at > #chunk
    drawn[i] = findings[first + at - 1]
  end
  return drawn
end

-- Calls a function with the samples, batch by batch, and with the findings that they were drawn for, where there are
-- some; gives the indices of those that could be read, with their findings as they were given.
local function each_batch(split, indices, opts, use)
  local used, findings, used_findings = {}, indices.findings, {}
  for first = 1, #indices, opts.batch do
    local chunk = table.move(indices, first, math.min(first + opts.batch - 1, #indices), 1, {})
    local x, y, kept = readable.batch(split, chunk)
    if x then
      local drawn = drawn_for(findings, chunk, first, kept)
      use(x, y, drawn)
      table.move(drawn, 1, #drawn, #used_findings + 1, used_findings)
      table.move(kept, 1, #kept, #used + 1, used)
    end
    if opts.on_batch then errors.call(opts.on_batch, math.min(first + opts.batch - 1, #indices), #indices) end
  end
  if #used == 0 then errors.refuse("importance", "split: expected at least one image that can be read") end
  return findings and setmetatable(used, { __index = { findings = used_findings } }) or used
end

local reductions = {}

function reductions.sum(value) return value end

function reductions.abs(value) return math.abs(value) end

function reductions.square(value) return value * value end

-- Adds what each sample's sums are reduced to, one after another in double precision, so that totals do not depend on
-- how samples are batched.
local function accumulate(totals, sums, reduce)
  for name, tensor in pairs(sums) do
    local total = totals[name] or {}
    for _, row in ipairs(tensor:totable()) do
      for unit, value in ipairs(row) do total[unit] = (total[unit] or 0) + reduce(value) end
    end
    totals[name] = total
  end
end

--- Relevance of units, summed over positions, reduced and averaged over samples.
-- @tab row of the method, see secateur.attribution.methods
-- @tparam Model model
-- @tparam Split split
-- @tparam {string,...} names of layers
-- @tparam {int,...} indices of the samples
-- @tab opts of importance
-- @string reduce "sum", "abs" or "square": what becomes of each sample's sum
-- @treturn table layer name -> list of numbers
-- @treturn {int,...} the samples that could be read
function sample_scores.mean(row, model, split, names, indices, opts, reduce)
  model:release() -- the arena of whoever chose the samples: one at a time
  local step, finish = start(row, model, names, opts)
  local totals = {}
  local used = each_batch(split, indices, opts, function(x, y, drawn)
    accumulate(totals, step(x, y, drawn).layers, reductions[reduce])
  end)
  finish()
  for _, total in pairs(totals) do
    for unit, sum in ipairs(total) do total[unit] = sum / #used end
  end
  return totals, used
end

--- The energies of units by a method that knows them up to their means (`centred`, see secateur.attribution.methods).
-- @tab row
-- @tparam Model model
-- @tparam Split split
-- @tparam Graph graph of the model, batch norms folded
-- @tab readers where units are seen, see secateur.pruning.unit_readers
-- @tparam {int,...} indices
-- @tab opts
-- @treturn function of a layer's name and the means of its units, a list, that gives the energies, a list
-- @treturn {int,...} the samples that could be read
function sample_scores.energies(row, model, split, graph, readers, indices, opts)
  model:release()
  local nodes, seen, all = {}, {}, {}
  for _, reader in pairs(readers) do
    if not seen[reader.seen_at] then nodes[#nodes + 1], seen[reader.seen_at] = reader.seen_at, true end
  end
  table.sort(nodes)
  for _, node in ipairs(nodes) do all[node] = {} end
  local step, finish = start(row, model, {}, opts, { graph = graph, nodes = nodes })
  local used = each_batch(split, indices, opts, function(x, y, drawn)
    for node, terms in pairs(step(x, y, drawn).terms) do table.move(terms, 1, #terms, #all[node] + 1, all[node]) end
  end)
  finish()
  return function(name, means) return row.family.energy(all[readers[name].seen_at], #used, means) end, used
end

--- Lists as Tensors.
-- @tab lists layer name -> list of numbers
-- @treturn table layer name -> Tensor [units]
function sample_scores.tensors(lists)
  local found = {}
  for name, list in pairs(lists) do found[name] = core.tensor(list) end
  return found
end

return sample_scores
