-- Scores over ranks: what all of them get is what one process gets, to the bit.
local bits = require "support.bits"
local memory_split = require "support.memory_split"
local coroutine_group = require "support.coroutine_group"
local sc = require "secateur"

local images = sc.randn(13, 3, 8, 8, { seed = 5 })
local labels = { 1, 2, 3, 1, 2, 3, 1, 2, 3, 1, 2, 3, 1 }

local function split_of(unreadable)
  return memory_split(images, labels, { classes = { "a", "b", "c" }, unreadable = unreadable })
end

local function small()
  return sc.models.vgg { config = { 4, "M", 5, "M" }, hidden = { 6 }, pool = 2, classes = 3, size = 8,
    batch_norm = true, seed = 3 }
end

local function tensors_of(scores)
  local list = {}
  for i, name in ipairs(scores.provenance.layers) do list[i] = scores[name] end
  return list
end

local function with(opts, more)
  local merged = {}
  for _, of in ipairs { opts, more } do
    for key, value in pairs(of) do merged[key] = value end
  end
  return merged
end

local function check(make_split, opts, sizes)
  local expected = sc.importance(small(), make_split(), opts)
  for _, size in ipairs(sizes or { 1, 2, 3, 16 }) do
    for _, scores in ipairs(coroutine_group.values(size, function(group)
      return sc.importance(small(), make_split(), with(opts, { group = group }))
    end)) do
      assert.same(expected.provenance, scores.provenance)
      assert.is_true(bits.equal(tensors_of(expected), tensors_of(scores)))
    end
  end
end

describe("importance with a group", function()
  local chosen = { 6, 2, 3, 5, 1, 9, 13 }

  for _, opts in ipairs { { method = "lrp" }, { method = "ig", steps = 4, batch = 2 }, { method = "taylor", batch = 3 },
    { method = "dlb", redundancy = true, calibration_count = 20 }, { calibration_count = 20 },
    { redundancy = false, calibration_count = 13 }, { method = "magnitude" }, { method = "random", seed = 4 } } do
    it(("gives every rank the scores of one process: %s%s"):format(opts.method or "sensitivity",
      opts.redundancy ~= nil and ", redundancy " .. tostring(opts.redundancy) or ""), function()
      check(split_of, with(opts, { indices = chosen }))
    end)
  end

  it("chooses the same samples, whatever the strategy looks at", function()
    for _, sampling in ipairs { "clustering", "random", "coverage" } do
      check(split_of, { method = "lrp", sampling = sampling, per_class = 2, batch = 2 }, { 3 })
    end
    check(split_of, { method = "activation", per_class = 2, sampling = { choose = function(pool, ctx)
      local early = ctx:features "features.0":sum(2):totable()
      for i, entry in ipairs(pool) do entry.place, entry.weight = early[i], i end
      table.sort(pool, function(a, b) return a.place < b.place end)
      return pool
    end } }, { 2, 3 })
  end)

  it("passes over what cannot be read, wherever it stands", function()
    local function broken() return split_of { [1] = true, [2] = true, [6] = true, [13] = true } end
    check(broken, { method = "lrp", indices = chosen, batch = 2 })
    check(broken, { method = "lrp", sampling = "clustering", per_class = 2, batch = 2 }, { 2, 3 })
    check(broken, { method = "gradient_x_input", indices = setmetatable({ 6, 2, 3, 5, 9 },
      { __index = { weights = { 1, 2, 3, 4, 5 } } }) }, { 2, 3, 4 })
    local none = { true, true, true, true, true, true, true, true, true, true, true, true, true }
    for _, result in ipairs(coroutine_group.run(2, function(group)
      return sc.importance(small(), split_of(none), { method = "lrp", indices = chosen, group = group })
    end)) do
      assert.matches("importance: split: expected at least one image that can be read$", tostring(result.problem))
    end
  end)

  it("runs the samples of a method of one's own on a rank each, and gives it all of them", function()
    local function mine(model, samples, ctx)
      local relevance, used = ctx:attribute { target = "prediction" }
      local values, gradients = ctx:forward(nil, { at = "reader" }), ctx:gradient()
      local noisy = ctx:attribute { method = "smoothgrad", samples = 2, per_sample = true }
      local found = {}
      assert.equal(#used, values["features.0"]:size(1))
      assert.equal(ctx.layers[1].name, model:layers()[1].name)
      local seen = 0
      ctx:forward("features.0", { each = function(_, y) seen = seen + y:numel() end })
      assert.equal(#used, seen)
      assert.equal(7, samples:count())
      for name, scores in pairs(relevance) do
        found[name] = scores + values[name]:mean(1) * gradients[name]:mean(1) + noisy[name]:mean(1)
      end
      return found
    end
    for _, unreadable in ipairs { {}, { [2] = true, [5] = true } } do
      check(function() return split_of(unreadable) end, { method = mine, indices = chosen, batch = 2 }, { 2, 3, 9 })
    end
  end)

  it("shares out the work: of all ranks together no image is run twice", function()
    local split = split_of()
    local list = sc.sample(small(), split, { per_class = 3, sampling = "random" })
    split.counter.images = 0
    coroutine_group.values(3, function(group)
      return sc.importance(small(), split, { method = "lrp", indices = list, group = group })
    end)
    assert.equal(#list, split.counter.images)
  end)

  it("ends on all ranks where a function of one's own fails on one", function()
    local results = coroutine_group.run(3, function(group)
      return sc.importance(small(), split_of(), { indices = chosen, group = group, method = function(_, _, ctx)
        if group.rank == 1 then error("mine", 0) end
        return (ctx:attribute())
      end })
    end)
    assert.equal("mine", results[2].problem)
    for _, i in ipairs { 1, 3 } do assert.matches("rank 1: mine$", tostring(results[i].problem)) end
  end)
end)

describe("sample with a group", function()
  it("gives every rank what one process chooses", function()
    local function broken() return split_of { [4] = true } end
    local function plain(list)
      return { tostring(list), list.unreadable, list.weights, table.move(list, 1, #list, 1, {}) }
    end
    for _, sampling in ipairs { "clustering", "herding", "random" } do
      local expected = plain(sc.sample(small(), broken(), { sampling = sampling, per_class = 3 }))
      for _, found in ipairs(coroutine_group.values(3, function(group)
        return plain(sc.sample(small(), broken(), { sampling = sampling, per_class = 3, group = group, batch = 2 }))
      end)) do
        assert.same(expected, found)
      end
    end
  end)
end)
