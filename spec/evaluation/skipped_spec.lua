local agreement = require "secateur.explanations.agreement"
local data = require "secateur.data"
local evaluate = require "secateur.evaluation.evaluate"
local faithfulness = require "secateur.explanations.faithfulness"
local files = require "secateur.util.files"
local heatmaps = require "secateur.explanations.heatmaps"
local importance = require "secateur.pruning.importance"
local pictures = require "support.pictures"
local predict = require "secateur.explanations.predict"
local prune = require "secateur.pruning.prune"
local sweep = require "secateur.experiments.sweep"
local temporary = require "support.temporary"
local toy = require "support.toy"

local NOTE = "\n3 images were left out: they could not be read"

-- One image is left out by the scan, one in train and two in test when they are decoded.
describe("images that could not be read are counted", function()
  local root, set, model

  setup(function()
    root = temporary.folder()
    for _, part in ipairs { "train", "val", "test" } do
      for _, class in ipairs { "a", "b", "c" } do
        for i = 1, 4 do pictures.save(root, ("%s/%s/%d.png"):format(part, class, i), i / 5) end
      end
    end
    temporary.write(root, "val/a/5.png", "no image")
    for _, path in ipairs { "train/a/5.png", "test/b/5.png", "test/c/6.png" } do pictures.truncated(root, path) end
    model = toy.model()
  end)
  teardown(function() files.remove(root) end)
  before_each(function()
    set = data.folder(root, { size = 8, channels = 1, quiet = true, on_duplicate = "ignore" })
  end)

  it("by an evaluation", function()
    local result = evaluate(model, set.test)
    assert.equal(3, result.skipped)
    assert.equal(NOTE, tostring(result):sub(-#NOTE))
    local plain = evaluate(model, toy.split(6, 1))
    assert.equal(0, plain.skipped)
    assert.is_nil(tostring(plain):find "left out")
  end)

  it("of a split of somebody's own, by what its batches lack", function()
    local split = toy.split(6, 1)
    local batches = split.batches
    function split.batches(self, opts)
      local next_batch = batches(self, { batch = 2, shuffle = opts.shuffle })
      next_batch()
      return next_batch
    end
    assert.equal(2, evaluate(model, split).skipped)
  end)

  it("by scores", function()
    local scores = importance(model, set.train, { method = "lrp", sampling = "clustering", per_class = 2 })
    assert.equal(2, scores.provenance.skipped)
    assert.truthy(tostring(scores):find("\n2 images were left out", 1, true))
    assert.equal(3, importance(model, set.test, { calibration_count = 20 }).provenance.skipped)
  end)

  it("by predictions", function()
    assert.equal(2, predict(model, set.test, { quiet = true }).skipped)
    assert.equal(0, predict(model, toy.split(3, 1), { quiet = true }).skipped)
  end)

  it("by measures of explanations", function()
    evaluate(model, set.test)
    local opts = { methods = { "gradient_x_input" }, measures = { "sparseness" }, per_class = 1, resamples = 10,
      progress = false }
    assert.equal(3, faithfulness(model, set.test, opts).skipped)
    local pruned = prune(model, importance(model, set.train, { method = "magnitude" }), { rate = 0.3, repair = "none" })
    local dir = temporary.folder()
    local drawn = heatmaps(model, set.test, { dir = dir, methods = { "gradient_x_input" }, sheet = false })
    files.remove(dir)
    assert.same({ 3, 3 }, { #drawn, drawn.skipped })
    assert.equal(3, agreement(model, pruned, set.test, { per_class = 1, resamples = 10 }).skipped)
  end)

  it("by the rows of a sweep and their table", function()
    local rows = sweep { model = model, data = set, methods = { "magnitude" }, sampling = { "random" }, per_class = 1,
      rates = { 0, 0.3 }, latency = false, agreement = false, progress = false }
    assert.same({ 3, 3, 3 }, { rows[1].skipped, rows[2].skipped, rows.skipped })
    assert.equal(NOTE, tostring(rows):sub(-#NOTE))
  end)
end)
