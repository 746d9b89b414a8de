local confidence_intervals = require "secateur.evaluation.confidence_intervals"
local core = require "secateur.core"
local custom = require "secateur.models.custom"
local errors = require "support.errors"
local evaluate = require "secateur.evaluation.evaluate"
local lossless = require "secateur.pruning.lossless"
local memory_split = require "support.memory_split"
local prune = require "secateur.pruning.prune"

local UNITS = 10

-- A network that sees which of ten inputs an image has, each by one unit: "yes" if any, "no" if none. So without a unit
-- the images of its input become "no", and accuracy at every rate can be counted.
local function network()
  local model = custom { input = { UNITS, 1, 1 }, build = function(net, x)
    return net:linear("head", net:flatten("flat", net:conv2d("unit", x, { out = UNITS, kernel = 1 })), { out = 2 })
  end }
  local identity, sum = {}, { {}, {} }
  for i = 1, UNITS do
    identity[i], sum[1][i], sum[2][i] = {}, 0, 1
    for j = 1, UNITS do identity[i][j] = { { i == j and 1 or 0 } } end
  end
  model:load_state { ["unit.weight"] = core.tensor(identity), ["unit.bias"] = core.zeros(UNITS),
    ["head.weight"] = core.tensor(sum), ["head.bias"] = core.tensor { 0.5, 0 } }
  return model
end

-- Images of each input by number: counts[i] with the label yes, wrong[i] with the label no.
local function split(counts, wrong)
  local images, labels = {}, {}
  for i = 1, UNITS do
    for k = 1, counts[i] + (wrong and wrong[i] or 0) do
      local image = {}
      for j = 1, UNITS do image[j] = { { i == j and 1 or 0 } } end
      images[#images + 1], labels[#labels + 1] = image, k <= counts[i] and 2 or 1
    end
  end
  return memory_split(core.tensor(images), labels, { classes = { "no", "yes" } })
end

local function ascending()
  local scores = {}
  for i = 1, UNITS do scores[i] = i end
  return { unit = core.tensor(scores) }
end

local function search(data, changes)
  local opts = { scores = ascending(), progress = false, tolerance = 0.001, prune = { repair = "none" } }
  for key, value in pairs(changes or {}) do opts[key] = value end
  return lossless(network(), data, opts)
end

describe("lossless", function()
  -- 100 images: without the first k units 1, 2, 4, 8, 16, ... are lost.
  local val = split { 1, 1, 2, 4, 8, 16, 28, 20, 10, 10 }
  local data = { val = val, test = split { 0, 0, 5, 0, 0, 5, 5, 5, 0, 0 } }

  it("finds the largest rate within the margin on val, and reports it on test", function()
    for margin, expected in pairs { [0] = { 0, 0, 0 }, [0.005] = { 0, 0, 0 }, [0.01] = { 1, 0.01, 0 },
      [0.05] = { 3, 0.04, 0.25 }, [0.079] = { 3, 0.04, 0.25 }, [0.08] = { 4, 0.08, 0.25 }, [0.5] = { 6, 0.32, 0.5 },
      [1] = { 9, 0.9, 1 } } do
      local found = search(data, { margin = margin })
      local units, drop, on_test = table.unpack(expected)
      local beyond = math.min((units + 1) / UNITS, 0.901) -- where another unit would go, or min_units does not let it
      assert.is_true(found.rate > beyond - 0.002 and found.rate < beyond, found.rate)
      assert.near(drop, found.drop, 1e-12)
      assert.near(on_test, found.test.drop, 1e-12)
      assert.near(1 - on_test, found.test.decision_agreement, 1e-12)
      assert.same({ 20, 1, 1 - on_test }, { found.test.count, found.test.baseline_accuracy, found.test.accuracy })
      assert.equal(1, found.baseline_accuracy)
      assert.equal(found.test.accuracy, evaluate(found.model, data.test).accuracy)
      local plan = found.model.pruning_plan
      assert.same(prune.plan(network(), ascending(), { rate = found.rate }), plan)
      assert.equal(units, plan:count())
      assert.is_true(found.monotone)
    end
  end)

  it("keeps every evaluation, and tells of each", function()
    local told = {}
    local found = search(data, { on_evaluation = function(each) told[#told + 1] = each end, tolerance = 0.01 })
    assert.same({ rate = 0, drop = 0, interval = { 0, 0 }, accuracy = 1, units = 0, within = true },
      found.evaluations[1])
    assert.equal(#told + 1, #found.evaluations)
    for i, each in ipairs(told) do assert.equal(each, found.evaluations[i + 1]) end
    local rates, low, high = {}, 0, 1
    for i, each in ipairs(told) do
      rates[i] = (low + high) / 2
      assert.equal(rates[i], each.rate)
      assert.equal(math.floor(each.rate * UNITS), each.units)
      assert.equal(each.units <= 3, each.within)
      assert.near(1 - each.drop, each.accuracy, 1e-12)
      if each.within then low = each.rate else high = each.rate end
    end
    assert.is_true(high - low <= 0.01 and 2 * (high - low) > 0.01)
    assert.equal(low, found.rate)
  end)

  it("has the paired bootstrap interval of the drop", function()
    local found = search(data, { resamples = 200, seed = 7, level = 0.9 })
    local lost = {}
    for i = 1, val:count() do lost[i] = i <= 4 and 1 or 0 end -- images of the first three units come first
    local expected = confidence_intervals.mean(lost, #lost, { resamples = 200, seed = 7, level = 0.9 })
    assert.same({ expected.low, expected.high }, found.interval)
    assert.is_true(expected.low < 0.04 and expected.high > 0.04)
  end)

  it("holds the interval to the margin where it is told to be strict", function()
    local found = search(data, { strict = true, margin = 0.08 })
    assert.is_true(found.rate < 0.4)
    assert.is_true(found.interval[2] <= 0.08)
    for _, each in ipairs(found.evaluations) do assert.equal(each.interval[2] <= 0.08 + 1e-9, each.within) end
  end)

  it("ends where min_units does", function()
    local found = search(data, { margin = 1, prune = { min_units = 4, repair = "none" } })
    assert.equal(6, found.model.pruning_plan:count())
    assert.near(0.6, found.rate, 0.001)
    for _, each in ipairs(found.evaluations) do assert.is_true(each.units <= 6) end
  end)

  it("says so where drops do not rise with the rate", function()
    -- Without units 1 to 5 ten are lost, units 6 and 7 win as many back.
    local odd = split({ 0, 0, 0, 0, 10, 0, 0, 10, 10, 10 }, { 0, 0, 0, 0, 0, 5, 5, 0, 0, 0 })
    local found = search({ val = odd }, { margin = 0.05 })
    local by_units = {}
    for _, each in ipairs(found.evaluations) do by_units[each.units] = each.drop end
    assert.near(10 / 50, by_units[5], 1e-12) -- the first rate, 0.5
    assert.equal(4, found.model.pruning_plan:count())
    assert.is_true(found.monotone)
    found = search({ val = odd }, { margin = 0.21 }) -- goes on above, and meets fewer losses there
    assert.is_false(found.monotone)
    assert.matches("drops do not rise with the rate throughout", tostring(found), 1, true)
    assert.is_nil(found.test)
  end)

  it("scores once, by the options given", function()
    local calls, given = 0, { train = val, val = val }
    local function method()
      calls = calls + 1
      return ascending()
    end
    local found = lossless(network(), given, { progress = false, prune = { repair = "none" },
      importance = { indices = { 1, 2 }, method = method } })
    assert.equal(1, calls)
    assert.equal("custom", found.scores.provenance.method)
    assert.equal(3, found.model.pruning_plan:count())
  end)

  it("repairs with the training split where nothing else is known", function()
    local given = { train = val, val = val }
    local opts = { scores = ascending(), progress = false, tolerance = 0.1 }
    local found = lossless(network(), given, opts)
    assert.equal("least_squares", found.model.repair.method)
    local expected = prune(network(), opts.scores, { rate = found.rate, calibration = val })
    assert.same(expected:forward(val.x):totable(), found.model:forward(val.x):totable())
    opts.prune = { repair = "none" }
    assert.is_nil(lossless(network(), given, opts).model.repair)
  end)

  it("prints what it tried and what it found", function()
    local text = tostring(search(data, { tolerance = 0.2 }))
    assert.matches("^rate +units +accuracy +drop +within\n0 +0 +1%.0000 +0%.0000 %[0%.0000, 0%.0000%] +yes\n"
      .. "0%.25 +2 +0%.9800 +0%.0200 %[0%.%d+, 0%.%d+%] +yes\n" .. "0%.375 +3 .*yes\n0%.5 +5 +0%.8400 .*no\n", text)
    assert.matches("\nlossless up to rate 0%.375 %(margin 0%.05, rates to 0%.2%): drop 0%.0400 %[0%.%d+, 0%.%d+%] "
      .. "on the validation split\ntest split: accuracy 0%.7500, unpruned 1%.0000, drop 0%.2500 %[.*%], "
      .. "0%.7500 of 20 decisions alike$", text)
  end)

  it("passes on what stops it", function()
    local stop = {}
    local ok, problem = pcall(search, data, { on_evaluation = function() error(stop) end })
    assert.is_false(ok)
    assert.equal(stop, problem)
  end)

  it("refuses what it cannot use, at the caller's line", function()
    local model, scores = network(), ascending()
    assert.equal("lossless: model: expected a Model, got nil", errors.here(function() lossless(nil, data) end))
    assert.equal("lossless: data: expected a data set with train, val and test, got a table",
      errors.here(function() lossless(model, val) end))
    local none = "lossless: data: expected a validation split, got none: a rate chosen on the test split would be "
      .. "measured on what it was chosen by; load the data with shares for train, val and test, or give { train =, "
      .. "val =, test = }"
    assert.equal(none, errors.here(function() lossless(model, { train = val, test = val }) end))
    assert.equal(none, errors.here(function() lossless(model, { val = val:subset {} }, { scores = scores }) end))
    assert.equal("lossless: data.train: expected a split of a dataset, got nil",
      errors.here(function() lossless(model, data) end))
    assert.equal("lossless: prune: expected no rate, which is what is found",
      errors.here(function() lossless(model, data, { scores = scores, prune = { rate = 0.5 } }) end))
    assert.equal("lossless: scores: expected none beside importance, which computes them",
      errors.here(function() lossless(model, data, { scores = scores, importance = {} }) end))
    assert.equal("lossless: margin: expected a number in [0, 1], got 5; 5 % is 0.05",
      errors.here(function() lossless(model, data, { margin = 5 }) end))
  end)
end)
