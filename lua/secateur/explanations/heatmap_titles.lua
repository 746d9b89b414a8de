--- What a model says of the samples of a heatmap grid, and how that stands beside and above their pictures.
-- @module secateur.explanations.heatmap_titles
local files = require "secateur.util.files"
local heads = require "secateur.models.heads"
local targets = require "secateur.models.targets"

local heatmap_titles = {}

local NAMED = 3 -- findings that a line names

-- What one row of probabilities says: the likeliest class, or of two the second from a probability of 0.5 on; of
-- findings all that are as probable as that, the likeliest first.
local function read_row(kind, row)
  local order = {}
  for class = 1, #row do order[class] = class end
  table.sort(order, function(a, b)
    if row[a] ~= row[b] then return row[a] > row[b] end
    return a < b
  end)
  if kind == "binary" then order[1] = row[2] >= 0.5 and 2 or 1 end
  local said = { predicted = order[1], probability = row[order[1]] }
  if kind == "multi_label" then
    said.findings, said.probabilities = {}, row
    for _, class in ipairs(order) do
      if row[class] >= 0.5 then table.insert(said.findings, class) end
    end
  end
  return said
end

--- What a model says of images.
-- @tparam Model model
-- @tparam Tensor x [N x C x H x W]
-- @int batch
-- @treturn {table,...} each `predicted` (a class, or the likeliest finding) and its `probability`; of findings also
--   `findings` (those of at least 0.5, the likeliest first) and `probabilities` of all
function heatmap_titles.predict(model, x, batch)
  local list, kind = {}, heads.kind(model)
  for first = 1, x:size(1), batch do
    local logits = model:forward(x:view(first, math.min(first + batch - 1, x:size(1))))
    targets.check_finite("heatmaps", logits)
    for i, row in ipairs(heads.probabilities(kind, logits):totable()) do list[first + i - 1] = read_row(kind, row) end
  end
  return list
end

--- 0.62; 0.998, since 1.00 would say too much.
-- @number value
-- @treturn string
function heatmap_titles.probability(value)
  return ((value < 0.995 or value >= 0.9995) and "%.2f" or "%.3f"):format(value)
end

local function join(names)
  if #names == 0 then return "no finding" end
  local text = table.concat(names, ", ", 1, math.min(#names, NAMED))
  return #names > NAMED and ("%s and %d more"):format(text, #names - NAMED) or text
end

-- The prediction by name, with its probability.
local function prediction(classes, said)
  local function with(class, probability)
    return ("%s (%s)"):format(classes[class], heatmap_titles.probability(probability))
  end
  if not said.findings then return with(said.predicted, said.probability) end
  local names = {}
  for i, class in ipairs(said.findings) do names[i] = with(class, said.probabilities[class]) end
  return join(names)
end

-- The truth by name; nil where it is not known.
local function truth(classes, label)
  if type(label) ~= "table" then return classes[label] end
  local names, unknown = {}, false
  for class, value in ipairs(label) do
    if value > 0 then names[#names + 1] = classes[class] end
    unknown = unknown or value < 0
  end
  return (#names > 0 or not unknown) and join(names) or nil
end

-- What was explained, by name, with its probability where it is a finding; nil where it is no class.
local function explained(classes, sample, class, against)
  local name = class and classes[class]
  if name and against and classes[against] then return ("%s against %s"):format(name, classes[against]) end
  if name and sample.findings then
    return ("%s (%s)"):format(name, heatmap_titles.probability(sample.probabilities[class]))
  end
  return name
end

-- Whether the explanation is of what is predicted, so that nothing has to be said of it.
local function is_prediction(sample, class, against)
  if against then return false end
  if not sample.findings then return class == sample.predicted end
  return #sample.findings == 1 and sample.findings[1] == class
end

--- The title of a sample, in one line and in several.
-- @tparam Split split `classes`, `names`
-- @tab sample what `predict` gives, with `index`, `label` (or nil), `pruned` (what a pruned model says, or nil) and
--   `name` (of the file, short; the last part of its path)
-- @tab result an Attribution: `target`, `against`
-- @int row of the sample in it
-- @treturn string
-- @treturn {string,...}
function heatmap_titles.make(split, sample, result, row)
  local classes, name = split.classes, tostring(split.names[sample.index])
  local true_name, predicted = truth(classes, sample.label), prediction(classes, sample)
  local lines = { sample.name or files.base(name), "pred.: " .. predicted }
  if true_name then table.insert(lines, 2, "true: " .. true_name) end
  local title = ("%s: %spredicted %s"):format(name, true_name and true_name .. ", " or "", predicted)
  if sample.pruned then
    local pruned = prediction(classes, sample.pruned)
    lines[#lines + 1] = "pruned: " .. pruned
    title = ("%s, pruned %s"):format(title, pruned)
  end
  local class, against = result.target and result.target[row], result.against and result.against[row]
  local target = explained(classes, sample, class, against)
  if target and not is_prediction(sample, class, against) then
    lines[#lines + 1] = "expl.: " .. target
    title = ("%s, explained %s"):format(title, target)
  end
  return title, lines
end

return heatmap_titles
