--- The images that explanations are measured on: some of a split, or a batch that is there already.
-- @module secateur.explanations.image_subset
local core = require "secateur.core"
local errors = require "secateur.util.errors"
local heads = require "secateur.models.heads"
local label_groups = require "secateur.data.label_groups"
local options = require "secateur.util.options"
local predict = require "secateur.evaluation.predict"
local readable = require "secateur.data.readable"
local skipped = require "secateur.data.skipped"
local targets = require "secateur.models.targets"
local tensors = require "secateur.util.tensors"

local image_subset = {}

--- The options that choose images, for the verbs that use this.
image_subset.rules = {
  samples = { type = "integer", min = 1 },
  per_class = { type = "integer", min = 1 },
  indices = { type = "list" },
  target = { default = "prediction" },
  batch = { type = "integer", min = 1, default = 16 },
  seed = { type = "integer", default = 0 },
}

-- Up to `per_class` images of each finding, and of those without any unless a finding of theirs is to be explained;
-- each once. Gives which finding each was drawn for, too, by index.
local function draw_findings(order, split, opts, first)
  local place, chosen, drawn_for = {}, {}, {}
  for i, index in ipairs(order) do place[index] = i end
  for _, group in ipairs(label_groups.list(split)) do
    local left = {}
    for _, index in ipairs(group.indices) do
      if not drawn_for[index] then left[#left + 1] = index end
    end
    table.sort(left, function(a, b) return place[a] < place[b] end)
    for _, index in ipairs(group.label == 0 and opts.target == "label" and {} or first(left, opts.per_class)) do
      chosen[#chosen + 1], drawn_for[index] = index, group.label
    end
  end
  table.sort(chosen)
  return chosen, drawn_for
end

-- How many of 1..total, or up to `per_class` of each label, drawn by the seed; in growing order.
-- `first(indices, count)` gives the first `count` that can be read.
local function draw(total, split, opts, first)
  local order, chosen = core.permutation(total, opts.seed), {}
  local labels = split and split.labels
  if split and split.multi_label and not opts.samples then return draw_findings(order, split, opts, first) end
  if opts.samples then
    chosen = first(order, opts.samples)
  else
    local of_class = {}
    for _, index in ipairs(order) do
      local list = of_class[labels[index]] or {}
      of_class[labels[index]], list[#list + 1] = list, index
    end
    for _, label in ipairs(options.sorted_keys(of_class)) do
      local taken = first(of_class[label], opts.per_class)
      table.move(taken, 1, #taken, #chosen + 1, chosen)
    end
  end
  table.sort(chosen)
  return chosen
end

local function take(indices, count) return table.move(indices, 1, math.min(count, #indices), 1, {}) end

local function check_indices(name, indices, total)
  for i, index in ipairs(indices) do
    if math.type(index) ~= "integer" or index < 1 or index > total then
      errors.refuse(name, "indices: expected whole numbers in 1..%d, got %s at %d", total,
        options.describe(index), i)
    end
  end
  if #indices == 0 then errors.refuse(name, "indices: expected at least one") end
  return indices
end

local function from_tensor(name, model, x, opts)
  local count = model:check_batch(name, x)
  if opts.per_class then
    errors.refuse(name, "per_class: a Tensor has no classes; give a split, or samples or indices")
  elseif opts.target == "label" then
    errors.refuse(name, "target: a Tensor has no labels; give a split, or a list of classes")
  end
  local indices = opts.indices and check_indices(name, opts.indices, count)
  if opts.samples and not indices then indices = draw(count, nil, opts, take) end
  if not indices then
    indices = {}
    for i = 1, count do indices[i] = i end
  end
  return indices, function(part) return x:take(1, part), nil, part end
end

local function from_split(name, model, split, opts)
  predict.check(name, model, split, "split")
  if not split.batch or not split.labels then
    errors.refuse(name, "split: expected one with labels and batch, as data sets have, or a Tensor")
  end
  local wanted = { samples = opts.samples, per_class = opts.per_class or 10, seed = opts.seed, target = opts.target }
  local function first(indices, count) return (readable.first(split, indices, count, opts.batch)) end
  local indices, drawn_for = opts.indices and check_indices(name, opts.indices, split:count()), nil
  if not indices then indices, drawn_for = draw(split:count(), split, wanted, first) end
  return indices, function(part)
    local x, y, kept = readable.batch(split, part)
    return x, y and y:totable(), kept
  end, drawn_for
end

-- The finding that an image is explained for: the one that it was drawn for, else the likeliest of those it has.
local function finding_of(name, parts, i, logits)
  local index = parts.indices[i]
  local best = parts.drawn_for and parts.drawn_for[index]
  for class, value in ipairs(best and {} or parts.labels[i]) do
    if value > 0 and (not best or logits[class] > logits[best]) then best = class end
  end
  if not best then
    errors.refuse(name, "target: expected images with a finding to explain by \"label\", got none for image %d", index)
  end
  return best
end

-- Where the indices that were read stand among those that were asked for, in their order.
local function positions_of(indices, kept)
  local positions, at = {}, 0
  for i, index in ipairs(kept) do
    repeat at = at + 1 until indices[at] == index or at > #indices
    positions[i] = at
  end
  return positions
end

-- A target of one class per sample asked for, as one of those that could be read.
local function of_readable(target, indices, kept)
  if tensors.is(target) then target = target:dtype() == "int64" and target:totable() or target end
  if #kept == #indices or type(target) ~= "table" or #target ~= #indices then return target end
  local list = {}
  for i, position in ipairs(positions_of(indices, kept)) do list[i] = target[position] end
  return list
end

-- The classes explained, part by part. A list is of one class per sample chosen.
local function fill_targets(name, model, parts, target)
  local count = parts.count
  if type(target) == "table" and (target.of or target.against) or tensors.is(target) and target:dtype() ~= "int64" then
    errors.refuse(name, "target: expected a class, a list of classes, \"prediction\" or \"label\", got "
      .. options.describe(target))
  end
  local findings = target == "label" and heads.kind(model) == "multi_label"
  local read = not findings and targets.for_model(name, target == "label" and parts.labels or target, count, model)
  local first = 1
  for _, part in ipairs(parts) do
    local logits, classes = model:forward(part.x), {}
    targets.check_finite(name, logits)
    if findings then
      for i, row in ipairs(logits:totable()) do classes[i] = finding_of(name, parts, first + i - 1, row) end
    else
      classes = select(2, read(logits, first))
    end
    part.targets, part.first, first = classes, first, first + #classes
    table.move(classes, 1, #classes, part.first, parts.targets)
  end
end

--- Reads the images, `batch` at a time, and settles which class is explained for each. All stay in memory. Images that
-- cannot be read are replaced where the seed chooses, and left out of given `indices`. Where images may have several
-- findings, "label" is the one that an image was drawn for, else the likeliest that it has.
-- @string name the public function, for messages
-- @tparam Model model
-- @param source a split, or a Tensor [N x C x H x W]
-- @tab opts as `rules` has checked them: `indices`, or `samples` (how many, drawn by the seed), or `per_class` (10)
-- @treturn table list of parts `x`, `targets`, `first` (the number of its first sample); and `count`, `indices`,
--   `labels` (or nil), `targets` of all, `skipped` (how many images of the split could not be read, as far as is known)
function image_subset.collect(name, model, source, opts)
  if #model.input_shape ~= 3 then
    errors.refuse(name, "model: expected one that takes images, got inputs of [%s]", table.concat(model.input_shape,
      " x "))
  end
  local from = tensors.is(source) and from_tensor or from_split
  local indices, read, drawn_for = from(name, model, source, opts)
  local parts = { count = 0, indices = {}, labels = {}, targets = {}, drawn_for = drawn_for }
  for first = 1, #indices, opts.batch do
    local wanted = table.move(indices, first, math.min(first + opts.batch - 1, #indices), 1, {})
    local x, labels, kept = read(wanted)
    if x and x:size(1) > 0 then
      parts[#parts + 1] = { x = x }
      table.move(kept, 1, #kept, parts.count + 1, parts.indices)
      if labels then table.move(labels, 1, #labels, parts.count + 1, parts.labels) end
      parts.count = parts.count + x:size(1)
    end
  end
  if parts.count == 0 then errors.refuse(name, "split: expected at least one image that can be read") end
  fill_targets(name, model, parts, of_readable(opts.target, indices, parts.indices))
  if #parts.labels == 0 then parts.labels = nil end
  parts.skipped = tensors.is(source) and 0 or skipped.count(source)
  return parts
end

return image_subset
