-- What strategies get to see: entries of the pool, the context, and how seldom the model runs for them.
local core = require "secateur.core"
local custom = require "secateur.models.custom"
local head_models = require "support.head_models"
local memory_split = require "support.memory_split"
local sample = require "secateur.pruning.sample"
local sampling = require "secateur.pruning.sampling"

-- Logits are the first three of four pixels, which are the penultimate features.
local model = head_models.identity(3, "softmax")

local rows = { { 1, 2, 3, 7 }, { 0, 0, 0, 1 }, { 2, -1, 0.5, 3 }, { 5, 4, 4.5, 2 }, { -1, 3, 0, 5 }, { 0.25, 0, 1, 4 } }
local labels = { 1, 2, 1, 3, 2, 1 }

local function split_of(opts)
  opts = opts or {}
  opts.classes = { "a", "b", "c" }
  local given = opts.rows or rows
  return memory_split(core.tensor(given):reshape(#given, 1, 2, 2), opts.labels or labels, opts)
end

local function softmax(logits)
  local sum, list = 0, {}
  for c = 1, 3 do sum = sum + math.exp(logits[c]) end
  for c = 1, 3 do list[c] = math.exp(logits[c]) / sum end
  return list
end

local function near(expected, got)
  assert.is_true(math.abs(expected - got) < 1e-6, ("expected %g, got %g"):format(expected, got))
end

-- Calls a function with every pool.
local function look(split, use, opts)
  opts = opts or {}
  opts.sampling = function(pool, ctx)
    use(pool, ctx)
    return {}
  end
  local run = opts.model or model
  opts.model = nil
  return sample(run, split, opts)
end

describe("an entry of the pool", function()
  it("knows what the model says of it", function()
    local seen = 0
    look(split_of(), function(pool)
      for _, entry in ipairs(pool) do
        local p, entropy = softmax(rows[entry.index]), 0
        for c = 1, 3 do
          near(p[c], entry.probabilities[c])
          entropy = entropy - p[c] * math.log(p[c])
        end
        assert.equal(3, #entry.probabilities)
        near(p[entry.label], entry.confidence)
        assert.equal(entry.probabilities[entry.label], entry.confidence)
        near(-math.log(p[entry.label]), entry.loss)
        near(entropy, entry.entropy)
        table.sort(p)
        near(p[3] - p[2], entry.margin)
        assert.same(rows[entry.index], entry.features:totable())
        seen = seen + 1
      end
    end)
    assert.equal(6, seen)
  end)

  it("knows its file, its group and its image", function()
    local split = split_of()
    split.names, split.paths, split.groups = {}, {}, {}
    for i = 1, 6 do
      split.names[i], split.paths[i], split.groups[i] = "n" .. i, "p/" .. i, i > 2 and "g" .. i % 2 or false
    end
    look(split, function(pool)
      for _, entry in ipairs(pool) do
        local i = entry.index
        assert.same({ "n" .. i, "p/" .. i, split.groups[i] or nil }, { entry.name, entry.path, entry.group })
        assert.equal(entry.image, entry.image)
        assert.same({ 1, 2, 2 }, entry.image:shape())
        assert.same(rows[i], entry.image:reshape(4):totable())
      end
    end)
    look(split_of(), function(pool) assert.is_nil(pool[1].name) end)
  end)

  it("is sure of extreme logits", function()
    look(split_of { rows = { { 800, -800, 0, 0 }, { -800, 800, 0, 0 } }, labels = { 1, 1 } }, function(pool)
      assert.same({ 1, 0 }, { pool[1].confidence, pool[2].confidence })
      assert.same({ 0, 1600 }, { pool[1].loss, pool[2].loss })
      assert.same({ 0, 1 }, { pool[2].entropy, pool[2].margin })
    end)
  end)

  it("says so where a field is misspelt, and takes fields of one's own", function()
    local function wrong(key, message)
      assert.has_error(function() look(split_of(), function(pool) return pool[1][key] end) end,
        "sample: sampling: an entry of the pool has no field " .. message)
    end
    wrong("confidense", "'confidense'; did you mean 'confidence'?")
    wrong("Features", "'Features'; did you mean 'features'?")
    wrong("weigth", "'weigth'; did you mean 'weight'?")
    look(split_of(), function(pool)
      assert.is_nil(pool[1].seen_before)
      pool[1].seen_before = 3
      assert.equal(3, pool[1].seen_before)
      assert.is_nil(pool[1].weight)
    end)
  end)

  it("of one sigmoid knows both classes", function()
    local binary = head_models.identity(1, "sigmoid")
    local split = memory_split(core.tensor(rows):reshape(6, 1, 2, 2), { 1, 2, 1, 2, 1, 2 },
      { classes = { "no", "yes" } })
    look(split, function(pool)
      for _, entry in ipairs(pool) do
        local p = 1 / (1 + math.exp(-rows[entry.index][1]))
        local of_label = entry.label == 2 and p or 1 - p
        near(1 - p, entry.probabilities[1])
        near(p, entry.probabilities[2])
        near(of_label, entry.confidence)
        near(-math.log(of_label), entry.loss)
        near(math.abs(2 * p - 1), entry.margin)
        near(-p * math.log(p) - (1 - p) * math.log(1 - p), entry.entropy)
      end
    end, { model = binary })
  end)

  it("of findings tells of the one whose pool it is in", function()
    local findings = head_models.identity(2, "sigmoid")
    local split = memory_split(core.tensor(rows):reshape(6, 1, 2, 2),
      { { 1, 0 }, { 1, 1 }, { 0, 0 }, { 0, 1 }, { 0, 0 }, { 1, -1 } }, { classes = { "nodule", "effusion" } })
    local function h(p) return -p * math.log(p) - (1 - p) * math.log(1 - p) end
    look(split, function(pool, ctx)
      for _, entry in ipairs(pool) do
        local p = {}
        for f = 1, 2 do
          p[f] = 1 / (1 + math.exp(-rows[entry.index][f]))
          near(p[f], entry.probabilities[f])
        end
        if ctx.class > 0 then
          near(-math.log(p[ctx.class]), entry.loss)
          near(h(p[ctx.class]), entry.entropy)
          near(math.abs(2 * p[ctx.class] - 1), entry.margin)
        else
          near(-math.log((1 - p[1]) * (1 - p[2])), entry.loss)
          near(h(p[1]) + h(p[2]), entry.entropy)
          near(math.min(math.abs(2 * p[1] - 1), math.abs(2 * p[2] - 1)), entry.margin)
        end
      end
    end, { model = findings })
  end)

  it("that cannot be read can be ordered all the same", function()
    look(split_of { unreadable = { [3] = true } }, function(pool, ctx)
      if ctx.class ~= 1 then return end
      local entry = pool[2]
      assert.same({ 3, 0, 0, 0, math.huge }, { entry.index, entry.confidence, entry.margin, entry.entropy, entry.loss })
    end)
  end)

  it("that cannot be read has no image, features and probabilities: the strategy is called again without it", function()
    for _, field in ipairs { "image", "features", "probabilities" } do
      local sizes = {}
      local chosen = sample(model, split_of { unreadable = { [1] = true, [3] = true } }, { sampling = function(pool)
        sizes[#sizes + 1] = #pool
        for _, entry in ipairs(pool) do assert.is_truthy(entry[field]) end
        return pool
      end })
      assert.same({ 3, 1, 2, 1 }, sizes) -- once more, however many there are
      assert.same({ 6, 2, 5, 4 }, chosen)
      assert.same({ 1, 3 }, chosen.unreadable)
    end
  end)

  it("keeps what a strategy writes, and is known by its index and label", function()
    look(split_of(), function(pool)
      pool[1].loss, pool[1].rank = 7, 1
      assert.is_true(pool[1].confidence < 1)
      assert.same({ 7, 1 }, { pool[1].loss, pool[1].rank })
    end)
    for key, value in pairs { index = 3, label = 2 } do
      assert.has_error(function()
        look(split_of(), function(pool)
          pool[1][key] = value
          return pool[1].loss, pool[1].features
        end)
      end, ("sample: sampling: expected the field '%s' of entries as it is, got %d in place of 1; fields of one's own "
        .. "need other names"):format(key, value))
    end
  end)
end)

describe("the model", function()
  local function images_for(use)
    local split = split_of()
    look(split, use)
    return split.counter.images
  end

  it("runs once over each pool whatever is looked at, and not at all where nothing is", function()
    assert.equal(0, images_for(function() end))
    assert.equal(0, images_for(function(pool, ctx) return pool[1].index, pool[1].label, ctx.random:uniform() end))
    assert.equal(6, images_for(function(pool, ctx)
      for _ = 1, 3 do
        for _, entry in ipairs(pool) do
          for _, key in ipairs { "confidence", "margin", "entropy", "loss", "probabilities", "features" } do
            assert.is_not_nil(entry[key])
          end
        end
        ctx:features_matrix()
        ctx:features_matrix(pool)
        ctx.kmeans(pool, 1)
      end
    end))
    assert.equal(3, images_for(function(pool, ctx) return ctx.class == 1 and pool[3].margin end))
  end)

  it("runs once for several calls, where they share what is known", function()
    local known, plain, split = {}, split_of(), split_of()
    local function by(name, changed)
      local lists = {}
      for i, of in ipairs { plain, split } do
        lists[i] = sample(changed or model, of, { sampling = name, per_class = 2,
          known = of == split and known or nil })
      end
      assert.same(lists[1], lists[2])
    end
    for _, name in ipairs { "margin", "coverage", "clustering", "entropy" } do by(name) end
    -- A class of one sample needs no margin, but that it can be read.
    assert.same({ 4 * #rows, #rows + 1 }, { plain.counter.images, split.counter.images })
    local layer = { sampling = function(pool, ctx) return ctx:features "head" and pool end, known = known }
    sample(model, split, layer)
    sample(model, split, layer)
    assert.equal(2 * #rows + 1, split.counter.images)
    local changed = head_models.identity(3, "softmax")
    changed:load_state { ["head.weight"] = core.randn(3, 4, { seed = 1 }), ["head.bias"] = core.zeros(3) }
    by("margin", changed)
    assert.equal(3 * #rows + 1, split.counter.images)
    sample(changed, plain, { sampling = "margin", known = known })
    assert.equal(6 * #rows, plain.counter.images)
  end)

  it("says the same to all, whatever one does with its features", function()
    local known, split = {}, split_of()
    local function features_of(change)
      local lists = {}
      sample(model, split, { known = known, sampling = function(pool)
        for _, entry in ipairs(pool) do
          lists[entry.index] = entry.features:totable()
          if change then entry.features:copy(entry.features * 2) end
        end
        return pool
      end })
      return lists
    end
    assert.same(features_of(true), features_of(false))
  end)

  it("runs for what cannot be read as without what is known", function()
    local broken, known = { unreadable = { [1] = true, [5] = true } }, {}
    local split = split_of(broken)
    for _, name in ipairs { "margin", "coverage", "random", "clustering", "entropy" } do
      local plain = sample(model, split_of(broken), { sampling = name, per_class = 1 })
      local with = sample(model, split, { sampling = name, per_class = 1, known = known })
      assert.same({ plain, plain.unreadable }, { with, with.unreadable })
    end
  end)

  it("runs over what a part of a composition was given, and over the rest where that is looked at", function()
    local function images_of(strategy)
      local split = split_of()
      sample(model, split, { sampling = strategy })
      return split.counter.images
    end
    local first = function(pool) return { pool[1] } end
    assert.equal(3, images_of(sampling.chain(first, "margin", "coverage")))
    assert.equal(6, images_of(sampling.chain("margin", first)))
    local whole
    assert.equal(6, images_of(sampling.chain(function(pool)
      whole = table.move(pool, 1, #pool, 1, {})
      return { pool[1] }
    end, function(pool)
      return pool[1].loss < whole[#whole].loss and {} or {}
    end)))
  end)

  it("runs once for a layer, and for what else it says in the same pass", function()
    assert.equal(6, images_for(function(pool, ctx)
      ctx:features "head"
      ctx:features "head"
      return pool[1].margin, ctx:features_matrix()
    end))
    assert.equal(12, images_for(function(pool, ctx) return pool[1].margin, ctx:features "head" end))
  end)

  it("is not needed to look at an image", function()
    assert.equal(3, images_for(function(pool) return pool[1].image end))
  end)

  it("tells the same in other batches and with another number of threads", function()
    local function told(batch, threads)
      local list, before = {}, core.threads()
      core.threads(threads)
      look(split_of(), function(pool, ctx)
        for _, entry in ipairs(pool) do
          list[#list + 1] = ("%a %a %a %a"):format(entry.confidence, entry.margin, entry.entropy, entry.loss)
        end
        for _, row in ipairs(ctx:features_matrix():totable()) do list[#list + 1] = table.concat(row, " ") end
      end, { batch = batch })
      core.threads(before)
      return list
    end
    local wanted = told(1, 1)
    for _, batch in ipairs { 1, 2, 16 } do
      for _, threads in ipairs { 1, 2 } do assert.same(wanted, told(batch, threads)) end
    end
  end)
end)

describe("ctx", function()
  it("has what a strategy may want to know", function()
    local split = split_of()
    look(split, function(_, ctx)
      assert.equal(model, ctx.model)
      assert.equal(split, ctx.split)
      assert.same({ "a", "b", "c" }, ctx.classes)
      assert.same({ 4, 4, 7 }, { ctx.per_class, ctx.count, ctx.seed })
      assert.equal(ctx.classes[ctx.class], ctx.class_name)
      assert.is_nil(ctx.my_own)
    end, { per_class = 4, seed = 7 })
  end)

  it("gives features as a matrix, rows in the order of the pool as it was given", function()
    look(split_of(), function(pool, ctx)
      local wanted, turned = {}, {}
      for i, entry in ipairs(pool) do wanted[i] = rows[entry.index] end
      table.sort(pool, function(a, b) return a.index > b.index end)
      for i, entry in ipairs(pool) do turned[i] = rows[entry.index] end
      assert.same(wanted, ctx:features_matrix():totable())
      assert.same(turned, ctx:features_matrix(pool):totable())
      assert.same({ rows[pool[1].index] }, ctx:features_matrix({ pool[1] }):totable())
    end)
  end)

  it("gives means over positions of any node", function()
    local deep = custom { input = { 1, 2, 2 }, seed = 3, build = function(net, x)
      x = net:relu("act", net:conv2d("conv", x, { out = 2, kernel = 3, padding = 1 }))
      return net:linear("head", net:flatten("flat", x), { out = 3 })
    end }
    local split = split_of()
    local plan = deep:execution_plan(6, { keep = { "act" } })
    plan:forward(split.x)
    local wanted = plan:value("act"):reshape(6, 2, 4):mean(3):totable()
    look(split, function(pool, ctx)
      local got = ctx:features("act"):totable()
      for i, entry in ipairs(pool) do
        for d = 1, 2 do near(wanted[entry.index][d], got[i][d]) end
      end
      assert.same({ #pool, 8 }, { table.unpack(ctx:features_matrix():shape()) })
    end, { model = deep })
  end)

  it("has random numbers of its own for each class, the same for the same seed", function()
    local function draws(seed)
      local list = {}
      look(split_of(), function(pool, ctx)
        list[#list + 1] = ctx.random:integer(1 << 40)
        for _, entry in ipairs(ctx.random:shuffle(pool)) do list[#list + 1] = entry.index end
      end, { seed = seed })
      return list
    end
    local first = draws(1)
    assert.same(first, draws(1))
    assert.not_same(first, draws(2))
    assert.not_equal(first[1], first[5])
  end)

  it("says what is wrong", function()
    local function wrong(use, message)
      assert.error_matches(function() look(split_of(), use) end, message)
    end
    wrong(function(_, ctx) return ctx.perclass end,
      "^sample: sampling: ctx has no field 'perclass'; did you mean 'per_class'%?$")
    wrong(function(_, ctx) return ctx.features_matrix() end, "is there a dot in place of a colon%? ctx:features_matrix")
    wrong(function(_, ctx) return ctx:features() end, "layer: missing; what the output layer reads is")
    wrong(function(_, ctx) return ctx:features "heat" end, "sample: sampling: ctx:features: layer: expected the name "
      .. "of a node of the model, got 'heat'; did you mean 'head'%?$")
    wrong(function(_, ctx) return ctx:features_matrix(3) end, "ctx:features_matrix: entries: expected a list, got 3")
    wrong(function(_, ctx) return ctx:features_matrix {} end, "expected at least one entry, got none")
    wrong(function(_, ctx) return ctx:features_matrix { 2 } end, "expected entries or indices of the pool, got 2 at 1")
    wrong(function(pool, ctx) return ctx:features("head", { pool[1], {} }) end,
      "ctx:features: entries: expected entries or indices of the pool, got a table at 2")
    wrong(function(pool, ctx) return ctx:shuffle(pool) end, "ctx.shuffle: expected a list, got a SamplingContext; is "
      .. "there a colon in place of a dot%?")
    wrong(function(_, ctx) return ctx.shuffle(3) end, "ctx.shuffle: expected a list, got 3")
    wrong(function(pool, ctx) return ctx:kmeans(pool, 2) end, "is there a colon in place of a dot%?")
    wrong(function(pool, ctx) return ctx.kmeans(pool) end, "ctx.kmeans: k: missing")
    wrong(function(pool, ctx) return ctx.kmeans({ pool[1].index }, 1) end, "expected entries of the pool, got 1 at 1")
  end)

  it("has no rows for images that cannot be read: the strategy is called again without them", function()
    local sizes, split = {}, split_of { unreadable = { [3] = true, [2] = true, [5] = true } }
    local chosen = require "support.stderr".text(function()
      local samples = sample(model, split, { sampling = function(pool, ctx)
        sizes[#sizes + 1] = #pool
        assert.equal(#pool, ctx:features_matrix():size(1))
        return pool
      end })
      assert.same({ 1, 6, 4 }, samples)
      assert.same({ 2, 3, 5 }, samples.unreadable)
    end)
    assert.same({ 3, 2, 2, 1 }, sizes)
    assert.equal("sample: class 'b': none of its 2 images can be read\n", chosen)
  end)
end)
