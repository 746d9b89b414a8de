local auroc_drop = require "secateur.evaluation.auroc_drop"
local core = require "secateur.core"
local metrics = require "secateur.evaluation.metrics"
local multi_label_metrics = require "secateur.evaluation.multi_label_metrics"

-- Probabilities with many ties.
local function probabilities(count, classes, seed)
  local rows = core.rand(count, classes, { seed = seed }):totable()
  for _, row in ipairs(rows) do
    for c, value in ipairs(row) do row[c] = math.floor(6 * value) / 6 end
  end
  return rows
end

local function evaluation(rows, labels)
  local indices = {}
  for i in ipairs(rows) do indices[i] = 3 * i end
  return { probabilities = rows, labels = labels, indices = indices }
end

describe("the drop of AUROC", function()
  it("is that of the means over classes, ties counting half", function()
    local labels = {}
    for i = 1, 40 do labels[i] = 1 + i * i % 3 end
    local dense, pruned = probabilities(40, 3, 1), probabilities(40, 3, 2)
    local found = auroc_drop.compare(evaluation(dense, labels), evaluation(pruned, labels), { resamples = 50 })
    local before, after = metrics.macro_auroc(dense, labels), metrics.macro_auroc(pruned, labels)
    assert.near(before - after, found.drop, 1e-12)
    assert.is_true(found.low < found.drop and found.drop < found.high)
  end)

  it("is that of the means over findings, without what is unknown", function()
    local labels = core.rand(40, 3, { seed = 5 }):totable()
    for _, row in ipairs(labels) do
      for c, value in ipairs(row) do row[c] = value < 0.2 and -1 or value < 0.5 and 1 or 0 end
      row[3] = 0 -- nobody has it
    end
    local dense, pruned = probabilities(40, 3, 1), probabilities(40, 3, 2)
    local found = auroc_drop.compare(evaluation(dense, labels), evaluation(pruned, labels), { resamples = 20 })
    local function auroc(rows) return (multi_label_metrics.measure(rows, labels, { 0.5, 0.5, 0.5 })).auroc end
    assert.near(auroc(dense) - auroc(pruned), found.drop, 1e-12)
  end)

  it("has the interval of drawing images and measuring anew", function()
    local labels, count = {}, 12
    for i = 1, count do labels[i] = 1 + i % 2 end
    local dense, pruned, drops = probabilities(count, 2, 3), probabilities(count, 2, 4), {}
    for r = 1, 25 do
      local before, after, of = {}, {}, {}
      for k, draw in ipairs(core.rand(count, { seed = core.mix(9, r) }):totable()) do
        local i = 1 + math.floor(draw * count)
        before[k], after[k], of[k] = dense[i], pruned[i], labels[i]
      end
      drops[r] = metrics.macro_auroc(before, of) - metrics.macro_auroc(after, of)
    end
    table.sort(drops)
    local found = auroc_drop.compare(evaluation(dense, labels), evaluation(pruned, labels),
      { resamples = 25, seed = 9, level = 22 / 24 })
    assert.near(drops[2], found.low, 1e-12)
    assert.near(drops[24], found.high, 1e-12)
  end)

  it("is none where there is nothing to tell apart", function()
    local rows = probabilities(3, 2, 1)
    assert.is_nil(auroc_drop.compare(evaluation(rows, { 1, 1, 1 }), evaluation(rows, { 1, 1, 1 })))
    local same = auroc_drop.compare(evaluation(rows, { 1, 2, 1 }), evaluation(rows, { 1, 2, 1 }))
    assert.same({ 0, 0, 0 }, { same.drop, same.low, same.high })
  end)
end)
