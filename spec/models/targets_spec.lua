local core = require "secateur.core"
local here = require("support.errors").here
local targets = require "secateur.models.targets"

describe("targets", function()
  local logits = core.tensor { { 3, 1, 2 }, { 0, 5, 4 } }

  local function weights(target) return targets.weights("attribute", target, logits) end

  it("put one at a class, at a class per sample, or at the largest logit", function()
    assert.same({ { 0, 1, 0 }, { 0, 1, 0 } }, weights(2):totable())
    local each, list = weights { 3, 1 }
    assert.same({ { 0, 0, 1 }, { 1, 0, 0 } }, each:totable())
    assert.same({ 3, 1 }, list)
    assert.same(each:totable(), weights(core.tensor({ 3, 1 }, "int64")):totable())
    local best, classes = weights "prediction"
    assert.same({ { 1, 0, 0 }, { 0, 1, 0 } }, best:totable())
    assert.same({ 1, 2 }, classes)
  end)

  it("hold one class against another", function()
    local signed, of, against = weights { of = { 1, 3 }, against = 2 }
    assert.same({ { 1, -1, 0 }, { 0, -1, 1 } }, signed:totable())
    assert.same({ 1, 3 }, of)
    assert.same({ 2, 2 }, against)
    assert.same({ { 1, 0, -1 }, { 0, 1, -1 } }, weights { of = "prediction", against = "runner_up" }:totable())
    assert.same({ { 1, 0, -1 }, { 0, 1, -1 } }, weights { of = { 1, 2 }, against = "runner_up" }:totable())
    assert.same({ { -1, 0, 1 }, { 0, -1, 1 } }, weights { of = 3, against = "runner_up" }:totable())
    assert.same({ { -1, 0, 1 }, { 0, -1, 1 } }, weights { of = 3, against = "prediction" }:totable())
  end)

  it("may be labels, where there are any", function()
    local labels = { 3, 1 }
    assert.equal(labels, targets.with_labels("label", labels))
    assert.same({ of = labels, against = "runner_up" }, targets.with_labels({ of = "label", against = "runner_up" },
      labels))
    assert.same({ of = 2, against = labels }, targets.with_labels({ of = 2, against = "label" }, labels))
    local list = { 1, 2 }
    for _, other in ipairs { 2, "prediction", list, logits } do
      assert.equal(other, targets.with_labels(other, labels))
    end
  end)

  it("are any weights, in a tensor of their own", function()
    local given = core.tensor { { 0.5, 0, -2 }, { 0, 0, 3 } }
    local got, list = weights(given)
    assert.same(given:totable(), got:totable())
    assert.same({ 1, 3 }, list)
    got:fill(0)
    assert.equal(3, given:get(2, 3))
  end)

  it("are read once and used in parts", function()
    local read = targets.reader("attribute", { 1, 2, 3, 2 }, 4, 3)
    assert.same({ { 0, 0, 1 }, { 0, 1, 0 } }, read(logits, 3):totable())
    local contrast = targets.reader("attribute", { of = { 1, 2, 3, 2 }, against = { 2, 3, 1, 1 } }, 4, 3)
    assert.same({ { -1, 0, 1 }, { -1, 1, 0 } }, contrast(logits, 3):totable())
    local given = targets.reader("attribute", core.tensor { { 1, 2, 3 }, { 4, 5, 6 }, { 7, 8, 9 } }, 3, 3)
    assert.same({ { 4, 5, 6 }, { 7, 8, 9 } }, given(logits, 2):totable())
  end)

  it("that make no sense are refused at the caller's line", function()
    local function refused(target)
      return here(function() targets.weights("attribute", target, logits) end)
    end
    assert.equal("attribute: target: expected a class in 1..3, got 4", refused(4))
    assert.equal("attribute: target: expected a class in 1..3, got 'cat'", refused { "cat", 1 })
    assert.equal("attribute: target: expected 2 classes, one per sample, got 3", refused { 1, 2, 3 })
    assert.equal("attribute: target: expected a class, a list of classes or \"prediction\", got 'best'", refused "best")
    assert.equal("attribute: target: expected both of and against, got no against", refused { of = 1 })
    assert.equal("attribute: target: expected { of =, against = }, got a field 'to'", refused { of = 1, to = 2 })
    assert.equal("attribute: target: expected a class, a list of classes or \"prediction\" or \"runner_up\", got 'x'",
      refused { of = 1, against = "x" })
    assert.equal("attribute: target: expected a class, a list of classes or \"prediction\", got 'runner_up'",
      refused { of = "runner_up", against = 1 })
    assert.equal("attribute: target: expected weights [2 x 3], got [2 x 2]", refused(core.zeros(2, 2)))
    assert.equal("attribute: target: expected finite weights, got some that are not", refused(core.full(2, 3, 0 / 0)))
    assert.has_error(function() weights { of = { 1, 2 }, against = 2 } end,
      "attribute: target: expected two classes to contrast, got 2 twice for sample 2")
  end)
end)
