local core = require "secateur.core"
local custom = require "secateur.models.custom"
local memory_split = require "support.memory_split"
local sample = require "secateur.pruning.sample"
local stderr = require "support.stderr"

-- Logits are the first three of the four pixels; the penultimate features are the pixels themselves.
local function identity(classes)
  local model = custom { input = { 1, 2, 2 }, build = function(net, x)
    return net:linear("head", net:flatten("flat", x), { out = classes })
  end }
  local weight = core.zeros(classes, 4)
  for class = 1, classes do weight:set(1, class, class) end
  model:load_state { ["head.weight"] = weight, ["head.bias"] = core.zeros(classes) }
  return model
end

local function split_of(rows, labels, opts)
  local x = core.tensor(rows):reshape(#rows, 1, 2, 2)
  opts = opts or {}
  opts.classes = opts.classes or { "normal", "covid" }
  return memory_split(x, labels, opts)
end

-- Odd samples are of class 1, even ones of class 2; the margin of the true class is what `margins` says.
local function by_margin(margins, opts)
  local rows, labels = {}, {}
  for i, margin in ipairs(margins) do
    labels[i] = 2 - i % 2
    rows[i] = labels[i] == 1 and { margin, 0, 7, i } or { 1, 1 + margin, 7, i }
  end
  return split_of(rows, labels, opts)
end

describe("sample", function()
  local model

  before_each(function() model = identity(2) end)

  it("prints what it chose", function()
    local split = by_margin { 1, 0.5, 3, -2 }
    assert.equal("2 samples: 3 2", tostring(sample(model, split, { sampling = "confidence", per_class = 1 })))
  end)

  describe("by confidence", function()
    it("takes the highest probability of the true class first", function()
      --                       1  2    3  4   5   6  7  8
      local split = by_margin { 1, 0.5, 3, -2, -9, 4, 2, 0 }
      assert.same({ 3, 7, 6, 2 }, sample(model, split, { sampling = "confidence", per_class = 2 }))
      assert.same({ 3, 7, 1, 5, 6, 2, 8, 4 }, sample(model, split, { sampling = "confidence" }))
      assert.same({ 3, 7, 1, 6, 2, 8 }, sample(model, split, { sampling = "confidence", per_class = 3, batch = 3 }))
    end)

    it("takes equal ones as they stand in the split", function()
      local split = by_margin { 1, 1, 1, 1, 2, 1, 1, 1 }
      assert.same({ 5, 1, 2, 4 }, sample(model, split, { sampling = "confidence", per_class = 2 }))
    end)

    it("is the softmax probability, over all classes", function()
      local split, seen = split_of({ { 1, 2, 3, 0 }, { 800, -800, 0, 0 }, { -800, 800, 0, 0 } }, { 1, 1, 1 },
        { classes = { "a", "b", "c" } }), {}
      sample(identity(3), split, { sampling = function(pool)
        for i, entry in ipairs(pool) do seen[i] = entry.confidence end
        return pool
      end })
      local e = math.exp
      assert.is_true(math.abs(seen[1] - e(1) / (e(1) + e(2) + e(3))) < 1e-6)
      assert.same({ 1, 0 }, { seen[2], seen[3] })
    end)
  end)

  describe("by clustering", function()
    it("takes the sample nearest to the middle of each group", function()
      local rows, labels = {}, {}
      -- Per class three groups of three on a line; the middle one of each is its mean.
      for _, at in ipairs { 0, 500, -700 } do
        for _, offset in ipairs { -1, 0, 1 } do
          for label = 1, 2 do
            rows[#rows + 1], labels[#labels + 1] = { at + offset * label, 100 * label, 0, 0 }, label
          end
        end
      end
      local split = split_of(rows, labels)
      for seed = 0, 5 do
        local chosen = sample(model, split, { sampling = "clustering", per_class = 3, seed = seed })
        local first, second = { table.unpack(chosen, 1, 3) }, { table.unpack(chosen, 4, 6) }
        table.sort(first)
        table.sort(second)
        assert.same({ 3, 9, 15 }, first)
        assert.same({ 4, 10, 16 }, second)
        assert.same(chosen, sample(model, split, { per_class = 3, seed = seed, batch = 4 }))
      end
    end)

    it("looks at what the output layer reads", function()
      local deep = custom { input = { 1, 2, 2 }, build = function(net, x)
        x = net:relu("act", net:linear("hidden", net:flatten("flat", x), { out = 5 }))
        return net:softmax("probabilities", net:linear("head", x, { out = 2 }))
      end }
      local split, features = by_margin { 1, 2, 3, 4 }, {}
      sample(deep, split, { sampling = function(pool)
        for _, entry in ipairs(pool) do features[entry.index] = entry.features end
        return pool
      end })
      local plan = deep:execution_plan(4, { keep = { "act" } })
      plan:forward(split.x)
      for i = 1, 4 do
        assert.same({ 5 }, features[i]:shape())
        assert.is_true(features[i]:allclose(plan:value("act")[i], 1e-6, 1e-6))
      end
    end)
  end)

  describe("at random", function()
    it("takes different samples of each class, the same for the same seed", function()
      local split = by_margin { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12 }
      local first = sample(model, split, { sampling = "random", per_class = 3, seed = 1 })
      assert.equal(6, #first)
      local seen = {}
      for i, index in ipairs(first) do
        assert.equal(i <= 3 and 1 or 2, split.labels[index])
        assert.is_nil(seen[index])
        seen[index] = true
      end
      assert.same(first, sample(model, split, { sampling = "random", per_class = 3, seed = 1 }))
      local others = 0
      for seed = 2, 5 do
        local other = sample(model, split, { sampling = "random", per_class = 3, seed = seed })
        if table.concat(other, " ") ~= table.concat(first, " ") then others = others + 1 end
      end
      assert.is_true(others >= 3)
    end)

    it("gives every sample its chance, in each class another one", function()
      local split = by_margin { 1, 2, 3, 4, 5, 6, 7, 8 }
      local counts, same = { 0, 0, 0, 0, 0, 0, 0, 0 }, 0
      for seed = 1, 200 do
        local chosen = sample(model, split, { sampling = "random", per_class = 1, seed = seed })
        for _, index in ipairs(chosen) do counts[index] = counts[index] + 1 end
        if chosen[2] == chosen[1] + 1 then same = same + 1 end
      end
      for _, count in ipairs(counts) do assert.is_true(count > 25 and count < 80) end
      assert.is_true(same < 100)
    end)

    it("runs no model, and reads what it takes and no other image", function()
      local split = by_margin { 1, 2, 3, 4, 5, 6, 7, 8 }
      sample(model, split, { sampling = "random", per_class = 1 })
      assert.equal(2, split.counter.images)
      sample(model, split, { sampling = "confidence" })
      assert.equal(10, split.counter.images)
    end)
  end)

  describe("by a function", function()
    it("calls it once per class with a pool and what it may want to know", function()
      local split, seen = by_margin { 1, 2, 3, 4, 5 }, {}
      sample(model, split, { per_class = 2, seed = 9, sampling = function(pool, ctx)
        local indices = {}
        for i, entry in ipairs(pool) do
          indices[i] = entry.index
          assert.equal(ctx.class, entry.label)
        end
        seen[#seen + 1] = { ctx.class, ctx.class_name, ctx.per_class, ctx.seed, ctx.split == split, indices }
        return pool
      end })
      assert.same({ { 1, "normal", 2, 9, true, { 1, 3, 5 } }, { 2, "covid", 2, 9, true, { 2, 4 } } }, seen)
      assert.equal(4, split.counter.images) -- those that are taken
    end)

    it("runs the model once, when it is first asked what it says", function()
      local split = by_margin { 1, 2, 3, 4, 5 }
      sample(model, split, { sampling = function(pool, ctx)
        if ctx.class == 2 then
          for _, entry in ipairs(pool) do assert.is_true(entry.confidence > 0 and entry.features:numel() == 4) end
        end
        assert.is_nil(pool[1].other)
        return pool
      end })
      assert.equal(5, split.counter.images) -- three to see that they are whole, two by the model
    end)

    it("takes the first of what it gives, entries or indices", function()
      local split = by_margin { 1, 2, 3, 4, 5, 6 }
      local function hardest(pool)
        table.sort(pool, function(a, b) return a.confidence < b.confidence end)
        return pool
      end
      assert.same({ 1, 3, 2, 4 }, sample(model, split, { sampling = hardest, per_class = 2 }))
      local function last(pool) return { pool[#pool].index, pool[1], { index = pool[2].index } } end
      assert.same({ 5, 1, 3, 6, 2, 4 }, sample(model, split, { sampling = last, per_class = 3 }))
      assert.same({ 5, 6 }, sample(model, split, { sampling = last, per_class = 1 }))
      assert.same({}, sample(model, split, { sampling = function() return {} end }))
    end)

    it("offers k-means and a shuffle", function()
      local split, sizes = by_margin { 0, 0, 1, 9, 900, 901, 902, 909 }, {}
      local chosen = sample(model, split, { per_class = 2, sampling = function(pool, ctx)
        local nearest, clusters = ctx.kmeans(pool, 2)
        for i, cluster in ipairs(clusters) do
          sizes[#sizes + 1] = #cluster
          local inside = false
          for _, entry in ipairs(cluster) do inside = inside or entry == nearest[i] end
          assert.is_true(inside)
        end
        local shuffled = ctx.shuffle(pool)
        assert.equal(#pool, #shuffled)
        assert.same(shuffled, ctx.shuffle(pool))
        return nearest
      end })
      assert.same({ 2, 2, 2, 2 }, sizes)
      assert.equal(4, #chosen)
    end)

    it("is not believed blindly", function()
      local split = by_margin { 1, 2, 3, 4 }
      local function wrong(message, policy)
        assert.has_error(function() sample(model, split, { sampling = policy }) end, "sample: sampling: " .. message)
      end
      wrong("expected the function to give a list of entries or indices, got nil", function() end)
      wrong("expected the function to give a list of entries or indices, got 3", function() return 3 end)
      wrong("expected entries or indices of class 'normal', got 2 at 2", function() return { 1, 2 } end)
      wrong("expected entries or indices of class 'normal', got 'x' at 1", function() return { "x" } end)
      wrong("expected entries or indices of class 'normal', got a table at 1", function() return { {} } end)
      wrong("expected the function to give a list of entries or indices, got a PoolEntry that is none: it has names or "
        .. "holes", function(pool) return pool[1] end)
      wrong("expected the function to give a list of entries or indices, got a table that is none: it has names or "
        .. "holes", function(pool) return { pool[1], nil, pool[2] } end)
      wrong("expected each sample once, got 3 twice", function(pool) return { pool[2], 3 } end)
      assert.has_error(function() sample(model, split, { sampling = function() error("mine", 0) end }) end, "mine")
    end)
  end)

  it("passes over images that cannot be read", function()
    local margins, unreadable = { 9, 5, 8, 4, 7, 3, 6, 2 }, { [1] = true, [6] = true, [8] = true, [4] = true }
    local split = by_margin(margins, { unreadable = unreadable })
    assert.same({ 3, 5, 2 }, sample(model, split, { sampling = "confidence", per_class = 2, batch = 2 }))
    local chosen = sample(model, split, { sampling = "clustering", per_class = 2 })
    assert.equal(3, #chosen)
    for _, index in ipairs(chosen) do assert.is_nil(unreadable[index]) end
    sample(model, split, { sampling = function(pool)
      for _, entry in ipairs(pool) do
        -- What is left stands where it belongs: pixel 4 is the number of the sample.
        assert.equal(unreadable[entry.index] and 0, unreadable[entry.index] and entry.confidence)
        if not unreadable[entry.index] then assert.equal(entry.index, entry.features:get(4)) end
      end
      return pool
    end })
    local none = by_margin({ 1, 1 }, { unreadable = { true, true } })
    assert.same({}, sample(model, none, { sampling = function(pool, ctx)
      return ctx.kmeans(pool, 3)
    end }))
  end)

  describe("with images that cannot be read", function()
    -- Of each class 20 samples, of which six can be read.
    local margins, unreadable, whole = {}, {}, { {}, {} }
    for i = 1, 40 do
      margins[i], unreadable[i] = i, i > 12 or nil
      if i <= 12 then table.insert(whole[2 - i % 2], i) end
    end

    local function counts_of(chosen)
      local counts, seen = { 0, 0 }, {}
      for _, index in ipairs(chosen) do
        assert.is_nil(unreadable[index])
        assert.is_nil(seen[index])
        seen[index], counts[2 - index % 2] = true, counts[2 - index % 2] + 1
      end
      return counts
    end

    local function first_two(pool) return { pool[#pool], pool[#pool - 1].index } end
    local ways = { random = "random", clustering = "clustering", confidence = "confidence", ["a function"] = first_two,
      ["a function with one choice"] = function(pool, ctx) return { ctx.shuffle(pool)[1] } end }

    for name, way in pairs(ways) do
      it("replaces them, by " .. name, function()
        for seed = 1, 12 do
          local split = by_margin(margins, { unreadable = unreadable })
          local opts = { sampling = way, per_class = 2, batch = 2, seed = seed }
          local chosen, wanted = sample(model, split, opts), name:find "one" and 1 or 2
          assert.same({ wanted, wanted }, counts_of(chosen))
          for _, index in ipairs(chosen.unreadable) do assert.is_true(unreadable[index]) end
          opts.batch = 7
          assert.same(chosen, sample(model, split, opts))
        end
      end)
    end

    it("gives those that are there where they are too few, and tells", function()
      local split = by_margin(margins, { unreadable = unreadable })
      for _, way in ipairs { "random", "clustering", "confidence" } do
        local chosen = sample(model, split, { sampling = way, per_class = 10 })
        assert.same({ 6, 6 }, counts_of(chosen))
        assert.equal(28, #chosen.unreadable)
        assert.matches("^12 samples: .* %(passed over, for they cannot be read: 13 14 15 ", tostring(chosen))
      end
    end)

    it("asks a function again that insists, but not for ever", function()
      local split, calls = by_margin(margins, { unreadable = unreadable }), 0
      local chosen = sample(model, split, { sampling = function(pool)
        calls = calls + 1
        return { pool[1].label == 1 and 39 or 40, pool[1].label == 1 and 1 or 2 }
      end })
      assert.same({ 1, 2 }, chosen)
      assert.equal(4, calls)
    end)

    it("says on stderr which class has none", function()
      local split = by_margin({ 1, 2, 3, 4 }, { unreadable = { [2] = true, [4] = true } })
      local text = stderr.text(function()
        assert.same({ 3, 1 }, sample(model, split, { sampling = "confidence" }))
      end)
      assert.equal("sample: class 'covid': none of its 2 images can be read\n", text)
    end)
  end)

  it("takes all of a class that is small, and nothing of one that is empty", function()
    local split = split_of({ { 1, 0, 0, 0 }, { 0, 1, 0, 0 }, { 0, 2, 0, 0 } }, { 3, 1, 1 },
      { classes = { "a", "b", "c" } })
    local three = identity(3)
    for _, way in ipairs { "clustering", "confidence", "random" } do
      local chosen = sample(three, split, { sampling = way, per_class = 5 })
      table.sort(chosen)
      assert.same({ 1, 2, 3 }, chosen)
    end
  end)

  it("says what is wrong", function()
    local split = by_margin { 1, 2 }
    assert.has_error(function() sample({}, split) end, "sample: model: expected a Model, got a table")
    assert.has_error(function() sample(model, {}) end, "sample: split: expected a split of a data set, got a table")
    assert.has_error(function() sample(model, split, { sampling = "best" }) end,
      "sample: sampling: expected one of 'clustering', 'confidence', 'coverage', 'entropy', 'herding', 'margin', "
        .. "'prototypes', 'random' or a function or a table, got 'best'")
    assert.has_error(function() sample(model, split, { per_class = 0 }) end,
      "sample: per_class: expected a whole number of at least 1, got 0")
    for count, classes in pairs { [3] = { "a", "b", "c" }, [1] = { "a" } } do
      assert.has_error(function() sample(model, by_margin({ 1 }, { classes = classes })) end,
        ("sample: split: expected 2 classes, as many as the model has, got %d"):format(count))
    end
    assert.has_error(function() sample(model, split_of({ { 1, 0, 0, 0 }, { 1, 0, 0, 0 } }, { 1, 3 })) end,
      "sample: split: expected labels in 1..2, got 3 at 2")
    assert.has_error(function() sample(model, memory_split(core.zeros(0, 1, 2, 2), {}, { classes = { "a", "b" } })) end,
      "sample: split: expected at least one sample, found none")
    assert.has_error(function() sample(model, memory_split(core.zeros(1, 1, 2, 2), { 1 }, {})) end,
      "sample: split: expected a split of a data set, got a table")
    local wide = memory_split(core.zeros(2, 1, 3, 3), { 1, 2 }, { classes = { "a", "b" } })
    assert.has_error(function() sample(model, wide) end,
      "sample: split: expected images of 1 x 2 x 2, as the model takes, got 1 x 3 x 3")
    local broken = by_margin { 1, 2, 3, 0 / 0 }
    assert.has_error(function() sample(model, broken, { sampling = "confidence" }) end,
      "sample: model: expected finite logits, got others for sample 4")
  end)
end)
