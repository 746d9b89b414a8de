local core = require "secateur.core"
local agreement = require "secateur.explanations.agreement"
local data = require "secateur.data"
local errors = require "support.errors"
local faithfulness = require "secateur.explanations.faithfulness"
local files = require "secateur.util.files"
local head_models = require "support.head_models"
local heatmaps = require "secateur.explanations.heatmaps"
local heatmap_titles = require "secateur.explanations.heatmap_titles"
local image_subset = require "secateur.explanations.image_subset"
local options = require "secateur.util.options"
local prune = require "secateur.pruning.prune"
local temporary = require "support.temporary"

local function collect(model, split, given)
  return image_subset.collect("faithfulness", model, split, options.check("faithfulness", given, image_subset.rules))
end

describe("images that explanations are measured on", function()
  local labels = { { 1, 0 }, { 1, 1 }, { 0, 1 }, { 0, 0 }, { 0, 0 }, { 1, -1 }, { 0, -1 } }
  local split = head_models.findings(7, labels, { size = 2 })
  local model = head_models.identity(2, "sigmoid")

  it("are drawn for each finding and for none, each once", function()
    local parts = collect(model, split, { per_class = 1 })
    assert.equal(3, parts.count)
    local groups, groups_of = { [0] = 0, 0, 0 }, { 1, 1, 2, 0, 0, 1 }
    for _, index in ipairs(parts.indices) do
      local group = index == 2 and parts.drawn_for[2] or groups_of[index]
      groups[group] = groups[group] + 1
    end
    assert.same({ [0] = 1, 1, 1 }, groups)
    assert.same({ 1, 2, 3, 4, 5, 6 }, collect(model, split, {}).indices)
    assert.same(parts.indices, collect(model, split, { per_class = 1 }).indices)
  end)

  it("are explained for the finding that they were drawn for", function()
    local parts = collect(model, split, { target = "label" })
    assert.same({ 1, 2, 3, 6 }, parts.indices)
    assert.same({ 1, 1, 2, 1 }, parts.targets)
    local given = collect(model, split, { target = "label", indices = { 2, 3 } })
    local row = model:forward(split.x:take(1, { 2 })):totable()[1]
    assert.same({ row[2] > row[1] and 2 or 1, 2 }, given.targets)
    assert.equal('faithfulness: target: expected images with a finding to explain by "label", got none for image 4',
      errors.text(collect, model, split, { target = "label", indices = { 2, 4 } }))
  end)

  it("are explained for the likeliest finding, or the likelier class of one logit", function()
    local parts = collect(model, split, {})
    assert.same(model:forward(split.x:take(1, parts.indices)):argmax(2):totable(), parts.targets)
    local binary = head_models.identity(1, "sigmoid")
    local two = head_models.findings(7, labels, { size = 2 })
    two.labels, two.multi_label = { 1, 2, 1, 2, 1, 2, 1 }, nil
    local found = collect(binary, two, { indices = { 1, 2, 3 } })
    for i, z in ipairs(binary:forward(two.x:take(1, { 1, 2, 3 })):totable()) do
      assert.equal(z[1] >= 0 and 2 or 1, found.targets[i])
    end
  end)
end)

describe("faithfulness", function()
  it("of one logit follows the probability of the class explained", function()
    local model = head_models.network(1, "sigmoid", 5)
    local x = core.randn(3, 1, 8, 8, { seed = 2 })
    local function curves(target)
      local found = faithfulness(model, x, { methods = { "gradient" }, measures = { "deletion" }, target = target,
        resamples = 10 })
      return found.curves.gradient.deletion.samples
    end
    local yes, no = curves(2), curves(1)
    for i, row in ipairs(model:forward(x):totable()) do
      assert.near(1 / (1 + math.exp(-row[1])), yes.probability[i][1], 1e-6)
      assert.near(1 / (1 + math.exp(row[1])), no.probability[i][1], 1e-6)
      assert.near(row[1], yes.logit[i][1], 1e-6)
      assert.near(-row[1], no.logit[i][1], 1e-6)
    end
  end)

  it("of findings follows the sigmoid of the finding explained, with all measures", function()
    local model, split = head_models.network(3, "sigmoid", 6), head_models.findings(12, 3)
    local found = faithfulness(model, split, { methods = { "lrp", "ig" }, per_class = 1, steps = 4, draws = 2,
      stages = 2, resamples = 10, target = "label" })
    local logits = model:forward(split.x:take(1, found.indices)):totable()
    for i, finding in ipairs(found.targets) do
      assert.equal(1, split.labels[found.indices[i]][finding])
      assert.near(1 / (1 + math.exp(-logits[i][finding])), found.curves.lrp.morf.samples.probability[i][1], 1e-6)
    end
    for _, measure in ipairs(found.measures) do assert.is_true(found.scores.lrp[measure.name] ~= nil, measure.name) end
  end)
end)

describe("agreement", function()
  it("goes by the findings that are explained", function()
    local model, split = head_models.network(3, "sigmoid", 6), head_models.findings(12, 3)
    local scores = {}
    for _, layer in ipairs(model:layers()) do scores[layer.name] = core.rand(layer.units, { seed = 1 }) end
    local found = agreement(model, prune(model, scores, { rate = 0.2, repair = "none" }), split, { resamples = 10 })
    local count = 0
    for _, class in ipairs(found.per_class) do
      assert.equal(split.classes[class.class], class.name)
      count = count + class.samples
    end
    assert.equal(found.count, count)
    local same = agreement(model, model:clone(), split, { resamples = 10 })
    assert.near(1, same.input.cosine.mean, 1e-6)
  end)
end)

describe("heatmaps of findings", function()
  local set = data.phantom { multi_label = true, count = 40, size = 16, channels = 1 }
  local model = require "secateur.models".vgg { config = { 6, "M", 8, "M" }, hidden = { 12 }, pool = 2, classes = 3,
    size = 16, channels = 1, batch_norm = false, head = "sigmoid" }

  it("are of each finding and of images without, and say what is there and what is predicted", function()
    local dir = temporary.folder()
    local list = heatmaps(model, set.test, { dir = dir, sheet = false, methods = { "lrp" }, pruned = model:clone() })
    local seen = {}
    for _, sample in ipairs(list) do
      local label = set.test.labels[sample.index]
      for finding, value in ipairs(label) do seen[finding] = seen[finding] or value == 1 end
      local names = {}
      for finding, value in ipairs(label) do names[#names + 1] = value == 1 and set.classes[finding] or nil end
      assert.equal("true: " .. (#names > 0 and table.concat(names, ", ") or "no finding"), sample.lines[2])
      assert.truthy(sample.lines[3]:find "^pred%.: ")
      assert.truthy(sample.lines[4]:find "^pruned: ")
      assert.equal("Relevance for the likeliest finding; full colour at the 99.5th percentile of each panel",
        list[1].bars[1].caption)
    end
    assert.same({ true, true, true }, seen)
    local labelled = heatmaps(model, set.test, { dir = dir, sheet = false, methods = { "lrp" }, target = "label" })
    for _, sample in ipairs(labelled) do
      local some = false
      for _, value in ipairs(set.test.labels[sample.index]) do some = some or value == 1 end
      assert.is_true(some)
    end
    files.remove(dir)
  end)

  it("have titles that name findings with their probabilities", function()
    local split = { classes = { "nodule", "effusion", "opacity", "mass" }, names = { "a/b.png" } }
    local x = core.tensor { { { { 3, 1 }, { -1, 0.5 } } } }
    local four = head_models.identity(4, "sigmoid")
    local said = heatmap_titles.predict(four, x, 4)[1]
    assert.same({ 1, 2, 4 }, said.findings)
    said.index, said.label = 1, { 1, 0, -1, 1 }
    local title, lines = heatmap_titles.make(split, said, { target = { 3 } }, 1)
    assert.same({ "b.png", "true: nodule, mass", "pred.: nodule (0.95), effusion (0.73), mass (0.62)",
      "expl.: opacity (0.27)" }, lines)
    assert.equal("a/b.png: nodule, mass, predicted nodule (0.95), effusion (0.73), mass (0.62), "
      .. "explained opacity (0.27)", title)
    local none = heatmap_titles.predict(four, x * 0 - 1, 4)[1]
    none.index, none.label = 1, { 0, 0, -1, 0 }
    assert.same({ "b.png", "pred.: no finding", "expl.: nodule (0.27)" },
      select(2, heatmap_titles.make(split, none, { target = { 1 } }, 1)))
  end)
end)
