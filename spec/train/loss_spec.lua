local core = require "secateur.core"
local double = require "secateur.core_double"
local errors = require "support.errors"
local reference = require "support.reference"
local safetensors = require "secateur.formats.safetensors"
local single = require "support.single"

-- Fixtures count classes from 0.
local function labels_of(case)
  local labels = case.labels:totable()
  for i, label in ipairs(labels) do labels[i] = label + 1 end
  return core.tensor(labels, "int64")
end

local message_of = errors.raised

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
    for _, smoothing in ipairs { 0, 0.3, 1 } do
      local _, gradient = double.cross_entropy(double.tensor(rows), labels, weights, smoothing)
      for i, row in ipairs(rows) do
        for k, value in ipairs(row) do
          row[k] = value + step
          local above = double.cross_entropy(double.tensor(rows), labels, weights, smoothing)
          row[k] = value - step
          local below = double.cross_entropy(double.tensor(rows), labels, weights, smoothing)
          row[k] = value
          assert.is_true(math.abs((above - below) / (2 * step) - gradient:get(i, k)) < 1e-8)
        end
      end
    end
  end)

  it("smooths labels as PyTorch does, with class weights or without", function()
    local tensors = safetensors.load "spec/fixtures/training.safetensors"
    local labels = tensors["smooth/labels"]:totable()
    for i, label in ipairs(labels) do labels[i] = label + 1 end
    for _, smoothing in ipairs { "0.1", "1.0" } do
      for _, kind in ipairs { "plain", "weighted" } do
        local base = ("smooth/%s/%s/"):format(smoothing, kind)
        local weights = kind == "weighted" and double.tensor(tensors.class_weights:totable()) or nil
        local loss, gradient = double.cross_entropy(double.tensor(tensors[base .. "logits"]:totable()),
          double.tensor(labels, "int64"), weights, tonumber(smoothing))
        assert.is_true(math.abs(loss - tensors[base .. "loss"]:totable()[1]) < 1e-6)
        single.compare(base, single.flat(gradient), single.flat(tensors[base .. "dlogits"]), 2e-7)
      end
    end
  end)

  it("adds up from pieces when told what the whole weighs", function()
    local logits = double.randn(5, 3, { seed = 2 })
    local labels, weights = double.tensor({ 2, 1, 3, 3, 1 }, "int64"), double.tensor { 0.5, 2, 1 }
    local loss, gradient = double.cross_entropy(logits, labels, weights, 0.2)
    local total, sum = 2 + 0.5 + 1 + 1 + 0.5, 0
    for _, piece in ipairs { { 1, 2 }, { 3, 5 } } do
      local i, j = table.unpack(piece)
      local part, slope = double.cross_entropy(logits:view(i, j), labels:view(i, j), weights, 0.2, total)
      sum = sum + part
      single.compare("piece", single.flat(slope), single.flat(gradient:view(i, j)), 1e-14)
    end
    assert.is_true(math.abs(sum - loss) < 1e-14)
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
      ["cross_entropy: smoothing: expected a number in [0, 1], got 1.5"] = { logits, labels, nil, 1.5 },
      ["cross_entropy: total: expected a finite number of at least 0, got -1"] = { logits, labels, nil, 0, -1 },
    } do
      assert.equal(message, message_of(core.cross_entropy, table.unpack(given, 1, 5)))
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
