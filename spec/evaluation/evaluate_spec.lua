local core = require "secateur.core"
local errors = require "support.errors"
local evaluate = require "secateur.evaluation.evaluate"
local metrics = require "secateur.evaluation.metrics"
local reference = require "support.reference"
local toy = require "support.toy"

local function near(wanted, got, tolerance)
  assert.is_true(math.abs(wanted - got) <= (tolerance or 1e-12), ("expected %.12g, got %.12g"):format(wanted, got))
end

-- Fixtures count classes from 0.
local function from_one(labels)
  local list = labels:totable()
  for i, label in ipairs(list) do list[i] = label + 1 end
  return list
end

describe("metrics", function()
  it("computes the areas under ROC curves that counting all pairs gives", function()
    for _, case in ipairs(reference.cases "auroc") do
      local macro, areas = metrics.macro_auroc(case.probabilities:totable(), from_one(case.labels))
      near(case.macro[1], macro, 1e-6)
      for class, wanted in ipairs(case.per_class:totable()) do
        if wanted < 0 then assert.is_nil(areas[class]) else near(wanted, areas[class], 1e-6) end
      end
    end
  end)

  it("computes the calibration error that the definition gives", function()
    for _, case in ipairs(reference.cases "ece") do
      local measured = metrics.measure(case.probabilities:totable(), from_one(case.labels))
      near(case.value[1], measured.ece, 1e-6)
    end
    near(0.1, metrics.ece({ 0.9, 0.9, 0.9, 0.9, 0.9 }, { true, true, true, true, false })) -- 0.8 right, 0.9 sure
    near(0.5, metrics.ece({ 0.5, 1 }, { true, false }, 2) / 1.5) -- the edge 0.5 is the first bin's
    near((0.5 + 0.4) / 2, metrics.ece({ 0.5, 0.6 }, { true, true }, 2))
    assert.is_nil(metrics.ece({}, {}))
  end)

  it("counts by hand", function()
    -- true 1: 3 right, 1 taken for 2; true 2: 1 right, 1 taken for 1; nobody is a 3, one 2 is called 3.
    local labels, predictions = { 1, 1, 1, 1, 2, 2, 2 }, { 1, 1, 1, 2, 2, 1, 3 }
    local rows = {}
    for i, class in ipairs(predictions) do
      rows[i] = { 0.1, 0.1, 0.1 }
      rows[i][class] = 0.8
    end
    local measured = metrics.measure(rows, labels)
    assert.same({ { 3, 1, 0 }, { 1, 1, 1 }, { 0, 0, 0 } }, measured.confusion)
    near(4 / 7, measured.accuracy)
    near((3 / 4 + 1 / 3) / 2, measured.balanced_accuracy)
    local first, second, third = table.unpack(measured.per_class)
    assert.same({ 4, 3, 0 }, { first.count, second.count, third.count })
    near(2 / 3, first.specificity)
    near(3 / 4, first.precision)
    near(3 / 4, second.specificity)
    near(1 / 2, second.precision)
    near(2 * 3 / (4 + 4), first.f1)
    near(2 * 1 / (3 + 2), second.f1)
    near((3 / 4 + 2 / 5) / 2, measured.macro_f1)
    assert.is_nil(third.sensitivity)
    assert.is_nil(third.auroc)
    near(6 / 7, third.specificity)
    assert.equal(0, third.precision)
  end)

  it("leaves out what is undefined", function()
    local measured = metrics.measure({ { 0.9, 0.1 }, { 0.8, 0.2 } }, { 1, 1 })
    assert.equal(1, measured.accuracy)
    assert.equal(1, measured.balanced_accuracy)
    assert.is_nil(measured.auroc)
    assert.is_nil(measured.per_class[1].specificity)
    assert.is_nil(measured.per_class[2].precision)
    assert.is_nil(measured.per_class[2].f1)
    assert.equal(1, measured.macro_f1)
  end)
end)

describe("evaluate", function()
  it("measures what forward gives, whatever the batch", function()
    local model, split = toy.model(), toy.split(20, 3)
    local result = evaluate(model, split, { batch = 7 })
    local images = {}
    for i, image in ipairs(split.images) do images[i] = image end
    local logits = model:forward(core.tensor(images))
    assert.is_true(core.tensor(result.probabilities):allclose(core.softmax(logits), 1e-6, 1e-7))
    assert.same(logits:argmax(2):totable(), result.predictions)
    assert.same(split.labels, result.labels)
    near(core.cross_entropy(logits, core.tensor(split.labels, "int64")), result.loss, 1e-6)
    assert.equal(20, result.count)
    assert.equal(20, #result.indices)
    assert.same({ "across", "down", "plain" },
      { result.per_class[1].name, result.per_class[2].name, result.per_class[3].name })
    local other = evaluate(model, split)
    assert.same(result.predictions, other.predictions)
    assert.same({ batch = 64, workers = 1 }, split.asked[2])
  end)

  it("leaves the model as it is, with no memory held", function()
    local model = toy.model { batch_norm = true }
    local before = toy.weights(model)
    evaluate(model, toy.split(6, 1))
    assert.same(before, toy.weights(model))
    assert.is_nil(model.last_execution_plan)
  end)

  it("prints itself, dashes for what is undefined", function()
    local text = tostring(evaluate(toy.model(), toy.split(4, 1, { 1, 1, 2, 2 })))
    assert.truthy(text:find("^4 images: accuracy %d%.%d+, balanced accuracy %d%.%d+, macro F1"))
    assert.truthy(text:find("\nacross      2  "))
    assert.truthy(text:find("\nplain       0            -        ", 1, true))
    for line in text:gmatch "[^\n]+" do assert.is_true(#line <= 120) end
  end)

  it("says what is wrong", function()
    local model, split = toy.model(), toy.split(6, 1)
    local function message_of(...) return errors.inside(function(...) evaluate(...) end, ...) end
    assert.equal("evaluate: model: expected a Model, got nil", message_of())
    assert.equal("evaluate: split: expected a split of a dataset, got a table", message_of(model, { train = split }))
    assert.equal("evaluate: split: expected at least one sample, found none", message_of(model, toy.split(0, 1)))
    assert.equal("evaluate: split: expected 4 classes, as many as the model has, got 3",
      message_of(toy.model { classes = 4 }, split))
    assert.equal("evaluate: split: expected images of 1 x 16 x 16, as the model takes, got 1 x 8 x 8",
      message_of(toy.model { size = 16 }, split))
    assert.equal("evaluate: batch: expected a whole number of at least 1, got 0",
      message_of(model, split, { batch = 0 }))
    assert.equal("evaluate: unknown option 'batches', expected one of: batch, group, threshold, workers",
      message_of(model, split, { batches = 3 }))
    split.images[5][1][1][1] = 0 / 0
    split.names = { "a", "b", "c", "d", "e.png", "f" }
    assert.equal("evaluate: logits: expected finite numbers, got not-a-number for sample 5 (e.png)",
      message_of(model, split, { batch = 2 }))
  end)
end)
