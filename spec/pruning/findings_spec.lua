local core = require "secateur.core"
local errors = require "support.errors"
local evaluate = require "secateur.evaluation.evaluate"
local head_models = require "support.head_models"
local importance = require "secateur.pruning.importance"
local label_groups = require "secateur.data.label_groups"
local lossless = require "secateur.pruning.lossless"
local memory_split = require "support.memory_split"
local prune = require "secateur.pruning.prune"
local sample = require "secateur.pruning.sample"

local function split_of(rows, labels, opts)
  opts = opts or {}
  opts.classes = opts.classes or { "nodule", "effusion" }
  return memory_split(core.tensor(rows):reshape(#rows, 1, 2, 2), labels, opts)
end

describe("groups of labels", function()
  it("are the findings, and images that have none for sure", function()
    local groups = label_groups.list(split_of({ { 0, 0, 0, 0 }, { 0, 0, 0, 0 }, { 0, 0, 0, 0 }, { 0, 0, 0, 0 } },
      { { 1, 0 }, { 1, 1 }, { 0, 0 }, { 0, -1 } }))
    assert.same({ { label = 1, name = "nodule", indices = { 1, 2 } }, { label = 2, name = "effusion", indices = { 2 } },
      { label = 0, name = "no finding", indices = { 3 } } }, groups)
  end)

  it("are the classes elsewhere", function()
    local groups = label_groups.list(split_of({ { 0, 0, 0, 0 }, { 0, 0, 0, 0 }, { 0, 0, 0, 0 } }, { 2, 1, 2 }))
    assert.same({ { label = 1, name = "nodule", indices = { 2 } },
      { label = 2, name = "effusion", indices = { 1, 3 } } }, groups)
  end)
end)

describe("sample of findings", function()
  local model = head_models.identity(2, "sigmoid")
  local rows = { { 3, -3, 0, 0 }, { 1, 2, 0, 0 }, { -1, 4, 0, 0 }, { -4, -2, 0, 0 }, { -1, -1, 0, 0 }, { 2, 0, 0, 0 } }
  local labels = { { 1, 0 }, { 1, 1 }, { 0, 1 }, { 0, 0 }, { 0, 0 }, { 1, -1 } }

  it("draws for each finding, and for none", function()
    local chosen = sample(model, split_of(rows, labels), { sampling = "confidence", per_class = 2 })
    assert.same({ 1, 6, 3, 2, 4, 5 }, chosen)
    assert.same({ 1, 1, 2, 2, 0, 0 }, chosen.findings)
    for key in pairs(chosen) do assert.equal("integer", math.type(key)) end
  end)

  it("may draw an image for several, and tells the pool what it is of", function()
    local asked = {}
    local chosen = sample(model, split_of(rows, labels), { per_class = 3, sampling = function(pool, ctx)
      asked[#asked + 1] = { ctx.class, ctx.class_name, #pool, pool[1].label, pool[1].confidence }
      return pool
    end })
    assert.same({ 1, 2, 6, 2, 3, 4, 5 }, chosen)
    assert.same({ 1, 1, 1, 2, 2, 0, 0 }, chosen.findings)
    local function p(z) return 1 / (1 + math.exp(-z)) end
    local wanted = { { 1, "nodule", 3, 1, p(3) }, { 2, "effusion", 2, 2, p(2) },
      { 0, "no finding", 2, 0, p(4) * p(2) } }
    for i, each in ipairs(wanted) do
      assert.is_true(math.abs(each[5] - asked[i][5]) < 1e-6)
      each[5], asked[i][5] = nil, nil
      assert.same(each, asked[i])
    end
  end)

  it("knows no unread images, and depends on the seed", function()
    local split = split_of(rows, labels, { unreadable = { [1] = true } })
    local chosen = sample(model, split, { sampling = "confidence", per_class = 2 })
    assert.same({ 6, 2, 3, 2, 4, 5 }, chosen)
    assert.same({ 1 }, chosen.unreadable)
    assert.same(sample(model, split, { sampling = "random", per_class = 1, seed = 4 }),
      sample(model, split, { sampling = "random", per_class = 1, seed = 4 }))
  end)

  it("of one logit goes by the two classes", function()
    local binary = head_models.identity(1, "sigmoid")
    local two = split_of(rows, { 2, 2, 1, 1, 1, 2 }, { classes = { "normal", "covid" } })
    local chosen = sample(binary, two, { sampling = "confidence", per_class = 2 })
    assert.same({ 4, 3, 1, 6 }, chosen)
    assert.is_nil(chosen.findings)
  end)
end)

describe("importance for findings", function()
  local model = head_models.network(3, "sigmoid", 4)
  local split = head_models.findings(16, 3, { seed = 8 })

  local function by(method, given)
    given.method, given.redundancy = method, false
    return importance(model, split, given)
  end

  it("explains the finding that a sample was drawn for", function()
    local chosen = sample(model, split, { per_class = 2, sampling = "random" })
    assert.equal(8, #chosen)
    local got = by("gradient_x_input", { indices = chosen, reduce = "sum" })
    local sum = core.zeros(6)
    for i, index in ipairs(chosen) do
      local finding = chosen.findings[i]
      local one
      if finding > 0 then
        one = by("gradient_x_input", { indices = { index }, reduce = "sum", target = finding }).conv1
      else
        for k = 1, 3 do
          local part = by("gradient_x_input", { indices = { index }, reduce = "sum", target = k }).conv1 * (-1 / 3)
          one = one and one + part or part
        end
      end
      sum = sum + one
    end
    assert.is_true(got.conv1:allclose(sum * (1 / #chosen), 1e-4, 1e-7))
    assert.same(table.move(chosen, 1, #chosen, 1, {}), table.move(got.provenance.indices, 1, #chosen, 1, {}))
  end)

  it("does not depend on the batch, nor on what could not be read before a sample", function()
    local chosen = sample(model, split, { per_class = 3, sampling = "random" })
    local whole = by("lrp", { indices = chosen })
    local parts = by("lrp", { indices = chosen, batch = 2 })
    assert.same(whole.conv2:totable(), parts.conv2:totable())
    local broken = head_models.findings(16, 3, { seed = 8, unreadable = { [chosen[1]] = true } })
    local kept = setmetatable({}, { __index = { findings = {} } })
    for i, index in ipairs(chosen) do
      if index ~= chosen[1] then
        kept[#kept + 1], kept.findings[#kept.findings + 1] = index, chosen.findings[i]
      end
    end
    local of_kept = importance(model, split, { method = "lrp", indices = kept })
    local of_broken = importance(model, broken, { method = "lrp", indices = chosen })
    assert.same(of_kept.conv2:totable(), of_broken.conv2:totable())
    assert.equal(#kept, #of_broken.provenance.indices)
    assert.same(kept.findings, of_broken.provenance.indices.findings)
  end)

  it("explains what an image has, where nothing was drawn", function()
    local both = memory_split(split.x, split.labels, { classes = split.classes })
    both.labels = table.move(split.labels, 1, 16, 1, {})
    both.labels[1] = { 1, 0, 1 }
    local got = importance(model, both, { method = "gradient_x_input", redundancy = false, indices = { 1 },
      reduce = "sum" })
    local sum
    for _, k in ipairs { 1, 3 } do
      local part = by("gradient_x_input", { indices = { 1 }, reduce = "sum", target = k }).conv2 * 0.5
      sum = sum and sum + part or part
    end
    assert.is_true(got.conv2:allclose(sum, 1e-4, 1e-7))
  end)

  it("refuses to contrast findings of a label", function()
    local message = errors.text(importance, model, split, { method = "lrp",
      target = { of = "label", against = "runner_up" } })
    assert.equal('importance: target: expected no contrast with "label" where images may have several findings, for '
      .. "these do not exclude each other", message)
    assert.is_nil(errors.text(importance, model, split, { method = "lrp",
      target = { of = "prediction", against = "runner_up" } }))
  end)

  it("is what pruning, repair and the search for a rate go by", function()
    local scores = importance(model, split, { calibration_count = 16 })
    for _, repair in ipairs { "none", "least_squares", "bias" } do
      local pruned = prune(model, scores, { rate = 0.3, repair = repair })
      assert.equal("sigmoid", pruned.head)
      assert.equal(3, pruned.class_count)
      local small = require "secateur.pruning.compact"(pruned)
      assert.equal("sigmoid", small.head)
      assert.is_true(small:forward(split.x):allclose(pruned:forward(split.x), 1e-4, 1e-5))
    end
    local data = { train = split, val = split, test = split }
    local found = lossless(model, data, { scores = scores, margin = 0.1 })
    assert.equal("auroc", found.metric)
    local dense = evaluate(model, split)
    assert.near(dense.auroc, found.baseline_auroc, 1e-12)
    for _, each in ipairs(found.evaluations) do
      assert.near(dense.auroc - each.auroc, each.drop, 1e-12)
      assert.is_true(each.interval[1] <= each.drop + 1e-12 and each.drop <= each.interval[2] + 1e-12)
    end
    assert.truthy(tostring(found):find("test split: AUROC", 1, true))
    assert.truthy(tostring(found):find("of 48 decisions alike", 1, true))
    local plain = lossless(model, data, { scores = scores, margin = 0.1, metric = "accuracy" })
    assert.near(dense.accuracy - plain.test.accuracy, plain.test.drop, 1e-12)
  end)
end)
