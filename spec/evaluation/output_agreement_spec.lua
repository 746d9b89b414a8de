local output_agreement = require "secateur.evaluation.output_agreement"

-- The definition, from probabilities.
local function divergence(p_logits, q_logits)
  local function softmax(row)
    local sum, list = 0, {}
    for _, value in ipairs(row) do sum = sum + math.exp(value) end
    for i, value in ipairs(row) do list[i] = math.exp(value) / sum end
    return list
  end
  local p, q, sum = softmax(p_logits), softmax(q_logits), 0
  for i in ipairs(p) do sum = sum + p[i] * math.log(p[i] / q[i]) end
  return sum
end

describe("agreement of outputs", function()
  it("has the Kullback-Leibler divergence of its definition", function()
    for _, each in ipairs { { { 1, 2, 3 }, { 0.5, 2.5, -1 } }, { { -4, 4 }, { 3, -3 } },
      { { 0, 0, 0 }, { 7, 0, 0 } } } do
      assert.near(divergence(each[1], each[2]), output_agreement.divergence(each[1], each[2]), 1e-12)
      assert.near(0, output_agreement.divergence(each[1], each[1]), 1e-15)
    end
  end)

  it("stays finite where probabilities of single precision do not", function()
    assert.near(300, output_agreement.divergence({ 500, 0 }, { 0, 300 }), 1e-9)
    assert.near(0, output_agreement.divergence({ 500, 0 }, { 900, 0 }), 1e-9)
  end)

  -- Ten images of two classes; the first four are decided otherwise by the pruned model, one of these rightly.
  local function outputs(decisions, labels)
    local list = { logits = {}, indices = {}, labels = labels }
    for i, class in ipairs(decisions) do
      list.logits[i] = class == 1 and { 1, 0 } or { 0, 1 }
      list.indices[i] = 10 * i
    end
    return list
  end
  local dense = outputs { 1, 1, 1, 2, 1, 1, 1, 1, 2, 2 }
  local pruned = outputs({ 2, 2, 2, 1, 1, 1, 1, 1, 2, 2 }, { 1, 1, 1, 1, 1, 1, 1, 1, 2, 2 })

  it("counts decisions that are the dense model's, and averages the divergence", function()
    local found = output_agreement.compare(dense, pruned)
    assert.near(0.6, found.decision_agreement, 1e-12)
    assert.near(0.4 * divergence({ 1, 0 }, { 0, 1 }), found.kl, 1e-12)
  end)

  it("has the paired interval of the drop around the drop", function()
    local found = output_agreement.compare(dense, pruned) -- 0.9 - 0.7
    assert.is_true(found.drop_low < 0.2 and found.drop_high > 0.2)
    assert.is_true(found.drop_low >= -0.3 and found.drop_high <= 0.7)
    local again = output_agreement.compare(dense, pruned, { seed = 0 })
    assert.same({ found.drop_low, found.drop_high }, { again.drop_low, again.drop_high })
    local same = output_agreement.compare(dense, outputs({ 1, 1, 1, 2, 1, 1, 1, 1, 2, 2 }, pruned.labels))
    assert.same({ decision_agreement = 1, decisions = 10, kl = 0, drop_low = 0, drop_high = 0 }, same)
  end)

  it("puts the same images side by side", function()
    local some = { logits = { { 0, 1 }, { 1, 0 } }, labels = { 2, 1 }, indices = { 100, 20 } }
    assert.equal(1, output_agreement.compare(dense, some).decision_agreement)
    some.indices = { 1, 2 }
    assert.is_nil(output_agreement.compare(dense, some))
  end)

  it("sums the divergence over findings, which are sigmoids each", function()
    local before, after = { 1, -2, 0.5 }, { 0, -1, 3 }
    local sum = 0
    for i = 1, 3 do sum = sum + divergence({ 0, before[i] }, { 0, after[i] }) end
    assert.near(sum, output_agreement.divergence(before, after, "multi_label"), 1e-12)
    assert.near(divergence({ 0, 1 }, { 0, -3 }), output_agreement.divergence({ 1 }, { -3 }, "binary"), 1e-12)
    assert.near(700, output_agreement.divergence({ 800 }, { -700 }, "binary"), 1e-9)
  end)

  it("compares decisions of one logit by its sign", function()
    local found = output_agreement.compare({ logits = { { 2 }, { -1 }, { 0 } }, indices = { 1, 2, 3 } },
      { logits = { { -2 }, { -3 }, { 1 } }, indices = { 1, 2, 3 }, labels = { 2, 1, 2 }, head = "binary" })
    assert.near(2 / 3, found.decision_agreement, 1e-12)
    assert.is_true(found.drop_low <= 1 / 3 and found.drop_high >= 1 / 3)
  end)

  it("compares findings entry by entry, and leaves out what is unknown from the drop", function()
    local before = { logits = { { 1, -1 }, { 1, 1 }, { -1, -1 } }, indices = { 1, 2, 3 } }
    local function against(logits)
      return output_agreement.compare(before, { logits = logits, indices = { 1, 2, 3 }, head = "multi_label",
        labels = { { 1, 0 }, { 1, -1 }, { -1, -1 } } }, { level = 1e-9, resamples = 4001 })
    end
    local same = against(before.logits)
    assert.same({ 1, 0, 0, 0 }, { same.decision_agreement, same.kl, same.drop_low, same.drop_high })
    -- Three known entries, of which one is lost; and two changes that nobody can judge.
    local found = against { { -1, -1 }, { 1, -1 }, { 1, -1 } }
    assert.near(3 / 6, found.decision_agreement, 1e-12)
    assert.near(1 / 3, found.drop_low, 1e-6) -- the median of the draws is that of one image in three
  end)
end)
