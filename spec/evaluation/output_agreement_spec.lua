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
    assert.same({ decision_agreement = 1, kl = 0, drop_low = 0, drop_high = 0 }, same)
  end)

  it("puts the same images side by side", function()
    local some = { logits = { { 0, 1 }, { 1, 0 } }, labels = { 2, 1 }, indices = { 100, 20 } }
    assert.equal(1, output_agreement.compare(dense, some).decision_agreement)
    some.indices = { 1, 2 }
    assert.is_nil(output_agreement.compare(dense, some))
  end)
end)
