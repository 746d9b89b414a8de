local core = require "secateur.core"
local double = require "secateur.core_double"
local reference = require "support.reference"
local single = require "support.single"

-- Fixtures count classes from 0.
local function labels_of(case)
  local labels = case.labels:totable()
  for i, label in ipairs(labels) do labels[i] = label + 1 end
  return core.tensor(labels, "int64")
end

local function message_of(...)
  local ok, message = pcall(...)
  assert.is_false(ok)
  return message
end

describe("core.cross_entropy", function()
  it("agrees with PyTorch in loss and gradient, weighted or not, whatever the size of the logits", function()
    for _, case in ipairs(reference.cases "cross_entropy") do
      local loss, gradient = core.cross_entropy(case.logits, labels_of(case), case.weights)
      assert.is_true(math.abs(loss - case.loss[1]) <= 1e-6 * case.loss[1], case.name)
      assert.is_true(reference.compare(case.name, gradient, case.dlogits))
    end
  end)

  it("has the gradient of its values", function()
    local rows, step = { { 0.3, -1.2, 0.8, 2 }, { -0.5, 0.1, 0, 1.5 }, { 3, -3, 0.2, 0 } }, 1e-6
    local labels, weights = double.tensor({ 2, 4, 1 }, "int64"), double.tensor { 0.5, 2, 1, 1.25 }
    local _, gradient = double.cross_entropy(double.tensor(rows), labels, weights)
    for i, row in ipairs(rows) do
      for k, value in ipairs(row) do
        row[k] = value + step
        local above = double.cross_entropy(double.tensor(rows), labels, weights)
        row[k] = value - step
        local below = double.cross_entropy(double.tensor(rows), labels, weights)
        row[k] = value
        assert.is_true(math.abs((above - below) / (2 * step) - gradient:get(i, k)) < 1e-8)
      end
    end
  end)

  it("averages by the weights of the samples' classes", function()
    local logits = double.tensor { { 0, 0 }, { math.log(3), 0 } }
    local loss = double.cross_entropy(logits, double.tensor({ 1, 2 }, "int64"), double.tensor { 3, 1 })
    assert.is_true(math.abs(loss - (3 * math.log(2) + math.log(4)) / 4) < 1e-12)
  end)

  it("is infinite or not a number where the logits are", function()
    local labels = core.tensor({ 1 }, "int64")
    assert.equal(math.huge, (core.cross_entropy(core.tensor { { -math.huge, 0 } }, labels)))
    for _, bad in ipairs { 0 / 0, math.huge } do
      local loss, gradient = core.cross_entropy(core.tensor { { 1, bad } }, labels)
      assert.is_true(loss ~= loss or loss == math.huge)
      assert.is_true(gradient:get(1, 2) ~= gradient:get(1, 2))
    end
  end)

  it("says what is wrong", function()
    local logits = core.tensor { { 1, 2, 3 }, { 4, 5, 6 } }
    local labels = core.tensor({ 1, 3 }, "int64")
    for message, given in pairs {
      ["cross_entropy: logits: expected [N x classes], got [3]"] = { core.tensor { 1, 2, 3 }, labels },
      ["cross_entropy: labels: expected [2], got [3]"] = { logits, core.tensor({ 1, 2, 3 }, "int64") },
      ["cross_entropy: labels: expected a tensor of int64, got one of float32"] = { logits, core.tensor { 1, 2 } },
      ["cross_entropy: labels: expected classes in 1..3, got 4 at 2"] = { logits, core.tensor({ 1, 4 }, "int64") },
      ["cross_entropy: labels: expected classes in 1..3, got 0 at 1"] = { logits, core.tensor({ 0, 4 }, "int64") },
      ["cross_entropy: weights: expected [3], got [2]"] = { logits, labels, core.tensor { 1, 2 } },
      ["cross_entropy: weights: expected finite numbers of at least 0, got -1 at 2"] =
        { logits, labels, core.tensor { 1, -1, 1 } },
      ["cross_entropy: weights: expected at least one sample of positive weight"] =
        { logits, labels, core.tensor { 0, 1, 0 } },
    } do
      assert.equal(message, message_of(core.cross_entropy, table.unpack(given)))
    end
  end)
end)

describe("core.softmax", function()
  it("agrees with PyTorch", function()
    for _, case in ipairs(reference.cases "softmax") do
      if #case.x:shape() == 2 then assert.is_true(reference.compare(case.name, core.softmax(case.x), case.y)) end
    end
  end)

  it("gives rows that sum to 1 without overflow, and not-a-number for rows that are not finite", function()
    local p = double.softmax(double.tensor { { 1e300, 1e300, -1e300 }, { 1, 2, 0 / 0 } }):totable()
    assert.same({ 0.5, 0.5, 0 }, p[1])
    for k = 1, 3 do assert.is_true(p[2][k] ~= p[2][k]) end
    local sums = double.softmax(single.tensor(double, single.numbers(35), { 5, 7 })):sum(2):totable()
    for _, sum in ipairs(sums) do assert.is_true(math.abs(sum - 1) < 1e-14) end
  end)
end)
