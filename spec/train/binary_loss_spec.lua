local core = require "secateur.core"
local double = require "secateur.core_double"
local errors = require "support.errors"
local safetensors = require "secateur.formats.safetensors"
local single = require "support.single"

local tensors = safetensors.load "spec/fixtures/training.safetensors"

local function in_double(name) return double.tensor(tensors[name]:totable()) end

-- Central differences of f(tensor of rows) against the gradient that it gives as its second result.
local function check_gradient(f, rows)
  local step = 1e-6
  local _, gradient = f(double.tensor(rows))
  for i, row in ipairs(rows) do
    for k, value in ipairs(row) do
      row[k] = value + step
      local above = f(double.tensor(rows))
      row[k] = value - step
      local below = f(double.tensor(rows))
      row[k] = value
      assert.is_true(math.abs((above - below) / (2 * step) - gradient:get(i, k)) < 1e-8)
    end
  end
end

local rows = { { 0.3, -1.2, 0.8, 2 }, { -0.5, 0.1, 0, 1.5 }, { 3, -3, 0.2, 0 } }

describe("core.binary_cross_entropy", function()
  it("agrees with PyTorch: plain, with pos_weight, focal, and over what is known alone", function()
    for _, kind in ipairs { "plain", "weighted", "focal" } do
      local weights = kind == "weighted" and in_double "binary/pos_weight" or nil
      local loss, gradient = double.binary_cross_entropy(in_double "binary/logits", in_double "binary/targets", weights,
        0, 0, kind == "focal" and 2 or 0)
      local base = ("binary/%s/"):format(kind)
      local expected = tensors[base .. "loss"]:totable()[1]
      assert.is_true(math.abs(loss - expected) < 1e-6 * expected, kind)
      single.compare(base, single.flat(gradient), single.flat(tensors[base .. "dlogits"]), 1e-8)
    end
  end)

  it("has the gradient of its values", function()
    local targets = double.tensor { { 1, 0, -1, 1 }, { 0, 1, 1, -1 }, { 1, 1, 0, 0.3 } }
    for _, smoothing in ipairs { 0, 0.3, 1 } do
      for _, gamma in ipairs { 0, 0.5, 2 } do
        for _, weights in ipairs { false, double.tensor { 0.5, 2, 1, 3 } } do
          check_gradient(function(logits)
            return double.binary_cross_entropy(logits, targets, weights or nil, smoothing, nil, gamma)
          end, rows)
        end
      end
    end
  end)

  it("is the softmax cross entropy of two logits of which one is 0", function()
    local logits = double.randn(6, 1, { seed = 4 })
    local labels, targets, pairs_of = { 1, 2, 2, 1, 2, 1 }, {}, {}
    for i, label in ipairs(labels) do targets[i], pairs_of[i] = { label - 1 }, { 0, logits:get(i, 1) } end
    for _, gamma in ipairs { 0, 1.5 } do
      local loss, gradient = double.binary_cross_entropy(logits, double.tensor(targets), nil, 0.2, nil, gamma)
      local same, slopes = double.cross_entropy(double.tensor(pairs_of), double.tensor(labels, "int64"), nil, 0.2, nil,
        gamma)
      assert.is_true(math.abs(loss - same) < 1e-14)
      for i = 1, #labels do assert.is_true(math.abs(gradient:get(i, 1) - slopes:get(i, 2)) < 1e-14) end
    end
  end)

  it("neither overflows nor loses small numbers where logits are large", function()
    local loss, gradient = double.binary_cross_entropy(double.tensor { { 1000, -1000, 50, -50 } },
      double.tensor { { 1, 1, 1, 0 } })
    assert.is_true(math.abs(loss - (1000 + 2 * math.exp(-50)) / 4) < 1e-12)
    assert.same({ 0, -0.25 }, { gradient:get(1, 1), gradient:get(1, 2) })
    local small = double.binary_cross_entropy(double.tensor { { 40 } }, double.tensor { { 1 } })
    assert.is_true(math.abs(small / math.exp(-40) - 1) < 1e-12)
  end)

  it("adds up from pieces when told how much is known, and unknown pieces weigh nothing", function()
    local logits = double.randn(4, 2, { seed = 2 })
    local targets = double.tensor { { 1, -1 }, { -1, -1 }, { 0, 1 }, { -1, 0 } }
    local weights, sum = double.tensor { 2, 3 }, 0
    local loss, gradient = double.binary_cross_entropy(logits, targets, weights, 0.1)
    for i = 1, 4 do
      local part, slope = double.binary_cross_entropy(logits:view(i, i), targets:view(i, i), weights, 0.1, 4)
      sum = sum + part
      single.compare("piece", single.flat(slope), single.flat(gradient:view(i, i)), 1e-15)
    end
    assert.is_true(math.abs(sum - loss) < 1e-14)
    assert.same({ 0, 0 }, single.flat(gradient:view(2, 2)))
  end)

  it("is not finite where a known logit is not, and does not look at unknown ones", function()
    local loss = core.binary_cross_entropy(core.tensor { { 0 / 0, 1 } }, core.tensor { { 1, 1 } })
    assert.is_true(loss ~= loss)
    assert.equal(math.huge, (core.binary_cross_entropy(core.tensor { { -math.huge } }, core.tensor { { 1 } })))
    loss = core.binary_cross_entropy(core.tensor { { 0 / 0, 1 } }, core.tensor { { -1, 1 } })
    assert.is_true(loss > 0 and loss < 1)
  end)

  it("says what is wrong", function()
    local logits, targets = core.tensor { { 1, 2 }, { 4, 5 } }, core.tensor { { 1, 0 }, { 0, -1 } }
    for message, given in pairs {
      ["logits: expected [N x classes], got [2]"] = { core.tensor { 1, 2 }, targets },
      ["targets: expected [2x2], got [1x2]"] = { logits, core.tensor { { 1, 0 } } },
      ["targets: expected numbers in [0, 1], or -1 for unknown, got 2 at (2, 1)"] =
        { logits, core.tensor { { 1, 0 }, { 2, 0 } } },
      ["targets: expected at least one that is known"] = { logits, core.tensor { { -1, -1 }, { -1, -1 } } },
      ["pos_weight: expected [2], got [3]"] = { logits, targets, core.tensor { 1, 2, 3 } },
      ["pos_weight: expected finite numbers of at least 0, got -1 at 2"] = { logits, targets, core.tensor { 1, -1 } },
      ["smoothing: expected a number in [0, 1], got 1.5"] = { logits, targets, nil, 1.5 },
      ["total: expected a finite number of at least 0, got -1"] = { logits, targets, nil, 0, -1 },
      ["gamma: expected a finite number of at least 0, got -1"] = { logits, targets, nil, 0, 0, -1 },
    } do
      assert.equal("binary_cross_entropy: " .. message,
        errors.raised(core.binary_cross_entropy, table.unpack(given, 1, 6)))
    end
  end)
end)

describe("focal core.cross_entropy", function()
  it("agrees with PyTorch's cross entropies times (1 - p)^gamma", function()
    local labels = tensors["focal/labels"]:totable()
    for i, label in ipairs(labels) do labels[i] = label + 1 end
    for _, gamma in ipairs { "0.5", "2.0" } do
      local loss, gradient = double.cross_entropy(in_double "focal/logits", double.tensor(labels, "int64"),
        in_double "focal/weights", 0, 0, tonumber(gamma))
      local base = ("focal/%s/"):format(gamma)
      assert.is_true(math.abs(loss - tensors[base .. "loss"]:totable()[1]) < 1e-7)
      single.compare(base, single.flat(gradient), single.flat(tensors[base .. "dlogits"]), 1e-7)
    end
  end)

  it("has the gradient of its values, smoothed and weighted too", function()
    local labels = double.tensor({ 2, 4, 1 }, "int64")
    for _, smoothing in ipairs { 0, 0.3, 1 } do
      for _, gamma in ipairs { 0.5, 2 } do
        check_gradient(function(logits)
          return double.cross_entropy(logits, labels, double.tensor { 0.5, 2, 1, 1.25 }, smoothing, nil, gamma)
        end, rows)
      end
    end
  end)

  it("has a gradient of 0 where nothing is left to learn", function()
    local loss, gradient = double.cross_entropy(double.tensor { { 2000, 0 } }, double.tensor({ 1 }, "int64"), nil, 0, 0,
      0.5)
    assert.same({ 0, 0, 0 }, { loss, gradient:get(1, 1), gradient:get(1, 2) })
  end)

  it("says what is wrong with gamma", function()
    assert.equal("cross_entropy: gamma: expected a finite number of at least 0, got inf",
      errors.raised(core.cross_entropy, core.tensor { { 1, 2 } }, core.tensor({ 1 }, "int64"), nil, 0, 0, math.huge))
  end)
end)

describe("core.sigmoid", function()
  it("gives probabilities, without overflow", function()
    local p = double.sigmoid(double.tensor { { 0, 1000, -1000, math.log(3), 0 / 0 } }):totable()[1]
    assert.same({ 0.5, 1, 0 }, { p[1], p[2], p[3] })
    assert.is_true(math.abs(p[4] - 0.75) < 1e-15 and p[5] ~= p[5])
    assert.equal("sigmoid: logits: expected [N x classes], got [2]", errors.raised(core.sigmoid, core.tensor { 1, 2 }))
  end)
end)
