local errors = require "support.errors"
local phantom = require "secateur.data".phantom
local sampler = require "secateur.training.sampler"
local toy = require "support.toy"
local train = require "secateur.training.train"

-- How often each entry occurs.
local function counts_of(list)
  local counts = {}
  for _, value in ipairs(list) do counts[value] = (counts[value] or 0) + 1 end
  return counts
end

describe("a balanced sampler", function()
  it("draws classes alike, and the samples of a class alike", function()
    local split = { classes = { "a", "b" }, labels = { 1, 1, 1, 1, 1, 1, 1, 1, 2, 1 } }
    local pools = sampler.pools(split)
    assert.same({ { 1, 2, 3, 4, 5, 6, 7, 8, 10 }, { 9 } }, pools)
    local n = 20000
    local counts = counts_of(sampler.draw(pools, n, 1, 1))
    -- Within 5 standard deviations of a binomial count.
    local function near(count, p) return math.abs(count - n * p) < 5 * math.sqrt(n * p * (1 - p)) end
    assert.is_true(near(counts[9], 1 / 2))
    for _, i in ipairs(pools[1]) do assert.is_true(near(counts[i], 1 / 18)) end
  end)

  it("draws findings alike, with images of none where there are any", function()
    local split = { multi_label = true, classes = { "a", "b" },
      labels = { { 1, 0 }, { 1, 1 }, { 0, 0 }, { -1, 0 }, { 1, -1 } } }
    assert.same({ { 1, 2, 5 }, { 2 }, { 3 } }, sampler.pools(split)) -- of sample 4 nothing is known to be there
    split.labels[3] = { 0, 1 }
    assert.same({ { 1, 2, 5 }, { 2, 3 } }, sampler.pools(split))
  end)

  it("depends on seed and epoch alone", function()
    local pools = { { 1, 2, 3 }, { 4, 5 } }
    assert.same(sampler.draw(pools, 50, 3, 2), sampler.draw(pools, 50, 3, 2))
    assert.not_same(sampler.draw(pools, 50, 3, 2), sampler.draw(pools, 50, 3, 3))
    assert.not_same(sampler.draw(pools, 50, 3, 2), sampler.draw(pools, 50, 4, 2))
  end)

  it("says which class has no samples", function()
    assert.equal("train: sampler: expected samples of every class, found none of 'b'",
      errors.raised(sampler.pools, { classes = { "a", "b" }, labels = { 1 } }))
    assert.equal("train: sampler: expected a split that knows its labels and classes", errors.raised(sampler.pools, {}))
  end)
end)

describe("train's sampler", function()
  local data = phantom { count = 60, size = 16, channels = 1, classes = { "normal", "effusion" } }

  it("decides which samples an epoch has, instead of class weights", function()
    local seen, real = {}, data.train
    local watched = setmetatable({ batches = function(_, opts)
      seen[#seen + 1] = opts
      return real:batches(opts)
    end }, { __index = real })
    for _, given in ipairs { {}, { sampler = "balanced" } } do
      local opts = toy.quietly(2, given)
      local model = toy.model { size = 16, classes = 2 }
      train(model, { train = watched, val = data.val }, opts)
    end
    assert.is_true(seen[1].shuffle and not seen[1].order)
    local pools = sampler.pools(real)
    assert.same(sampler.draw(pools, real:count(), 0, 1), seen[3].order)
    assert.same(sampler.draw(pools, real:count(), 0, 2), seen[4].order)
    assert.is_nil(seen[3].shuffle)
    local criterion = require "secateur.training.criterion"
    local check = require "secateur.training.options".check
    assert.is_false(criterion.new(real, toy.model { size = 16, classes = 2 }, check { sampler = "balanced" }).list)
    assert.is_table(criterion.new(real, toy.model { size = 16, classes = 2 }, check {}).list)
  end)

  it("does not pass over a split that does not do what it is told", function()
    local message = errors.inside(function(...) train(...) end, toy.model(), toy.data(12, 6),
      toy.quietly(1, { sampler = "balanced" }))
    assert.equal("train: data.train: expected samples in the order that was asked for, as sampler needs it", message)
  end)
end)

describe("split:batches with an order", function()
  local split = phantom { count = 40, size = 16, channels = 1 }.train

  it("gives these samples, as often as they are named, in batches", function()
    local order, got = { 3, 1, 3, 3, 7 }, {}
    for x, y, kept in split:batches { batch = 2, order = order } do
      for i, index in ipairs(kept) do
        got[#got + 1] = index
        assert.equal(split.labels[index], y:get(i))
        assert.is_true(x:view(i, i):allclose(split:batch { index }, 0, 0))
      end
    end
    assert.same(order, got)
  end)

  it("augments a sample that comes again otherwise, the same way whatever the workers", function()
    local function images(workers)
      local x = split:batches { batch = 4, order = { 5, 5, 2, 5 }, augment = { rotation = 30 }, workers = workers }()
      return x
    end
    local x = images(1)
    for _, pair in ipairs { { 1, 2 }, { 2, 4 }, { 1, 4 } } do
      assert.is_false(x:view(pair[1], pair[1]):allclose(x:view(pair[2], pair[2]), 0, 0))
    end
    assert.is_true(x:allclose(images(3), 0, 0))
    -- The first time it is what it would be in a plain epoch.
    local plain = split:batches { batch = split:count(), augment = { rotation = 30 } }()
    assert.is_true(plain:view(5, 5):allclose(x:view(1, 1), 0, 0))
  end)

  it("says what is wrong with it", function()
    for message, opts in pairs {
      ["batches: order[2]: expected a whole number in [1, 28], got 29"] = { order = { 1, 29 } },
      ["batches: order: expected at least one, got none"] = { order = {} },
      ["batches: order: expected none beside shuffle"] = { order = { 1 }, shuffle = true },
    } do
      assert.equal(message, errors.raised(split.batches, split, opts))
    end
  end)
end)
