-- Strategies over all classes, weights, and strategies made of others.
local core = require "secateur.core"
local fingerprint = require "secateur.util.fingerprint"
local head_models = require "support.head_models"
local importance = require "secateur.pruning.importance"
local json = require "secateur.util.json"
local memory_split = require "support.memory_split"
local sample = require "secateur.pruning.sample"
local sampling = require "secateur.pruning.sampling"
local strategy = require "secateur.pruning.strategy"

local model = head_models.identity(2, "softmax")

-- Odd samples are of class 1, even ones of class 2; the first two pixels differ by the margin.
local function by_margin(margins, opts)
  local rows, labels = {}, {}
  for i, margin in ipairs(margins) do
    labels[i] = 2 - i % 2
    rows[i] = labels[i] == 1 and { margin, 0, 7, i } or { 1, 1 + margin, 7, i }
  end
  opts = opts or {}
  opts.classes = { "normal", "covid" }
  return memory_split(core.tensor(rows):reshape(#rows, 1, 2, 2), labels, opts)
end

local function indices_of(pool)
  local list = {}
  for i, entry in ipairs(pool) do list[i] = entry.index end
  return list
end

local function hardest(pool)
  table.sort(pool, function(a, b) return a.confidence < b.confidence end)
  return pool
end

local function everything(pool) return pool end

describe("a strategy over all classes", function()
  it("is called once with the pool of all, and chooses whatever class", function()
    local calls = {}
    local chosen = sample(model, by_margin { 5, 1, -1, 2, 3, -2 }, { per_class = 2, sampling = { scope = "all",
      choose = function(pool, ctx)
        calls[#calls + 1] = indices_of(pool)
        assert.is_nil(ctx.class)
        assert.is_nil(ctx.class_name)
        assert.same({ 2, 4, 6 }, { ctx.per_class, ctx.count, ctx:features_matrix():size(1) })
        return hardest(pool)
      end } })
    assert.same({ { 1, 3, 5, 2, 4, 6 } }, calls)
    assert.same({ 6, 3, 2, 4 }, chosen)
  end)

  it("has others take the place of what cannot be read", function()
    local split = by_margin({ 5, 1, -1, 2, 3, -2 }, { unreadable = { [6] = true, [2] = true } })
    local chosen = sample(model, split, { per_class = 1, sampling = { scope = "all", choose = hardest } })
    assert.same({ 3, 4 }, chosen)
    local only = sample(model, split, { per_class = 1, sampling = { scope = "all", choose = function(pool)
      return { hardest(pool)[1] }
    end } })
    assert.same({ 3 }, only)
  end)

  it("of findings may take an image once for each", function()
    local findings = head_models.identity(2, "sigmoid")
    local split = memory_split(core.tensor { { 1, 2, 0, 0 }, { 3, -1, 0, 0 }, { 0, 0, 0, 1 } }:reshape(3, 1, 2, 2),
      { { 1, 1 }, { 1, 0 }, { 0, 0 } }, { classes = { "nodule", "effusion" } })
    local chosen = sample(findings, split, { sampling = { scope = "all", choose = everything } })
    assert.same({ 1, 2, 1, 3 }, chosen)
    assert.same({ 1, 1, 2, 0 }, chosen.findings)
    assert.equal(3, split.counter.images) -- read once, whatever it is chosen for
    local twice = sample(findings, split, { sampling = { scope = "all", choose = function() return { 1, 1 } end } })
    assert.same({ { 1, 1 }, { 1, 2 } }, { { table.unpack(twice) }, twice.findings })
    assert.has_error(function()
      sample(findings, split, { sampling = { scope = "all", choose = function() return { 1, 1, 1 } end } })
    end, "sample: sampling: expected each sample once, got 1 twice")
  end)

  it("can be made of one of ours", function()
    local split = by_margin { 5, 1, -1, 2, 3, -2, 0.5, 0.25 }
    assert.same({ 8, 7, 2, 3 }, sample(model, split, { per_class = 2, sampling = sampling.over_all "margin" }))
    local spread = sample(model, split, { per_class = 2, sampling = sampling.over_all "clustering" })
    assert.equal(4, #spread)
    assert.has_error(function() sampling.over_all(sampling.chain("margin", "random")) end,
      "sampling.over_all: of: expected no composition, got chain(margin, random); give over_all to what it is made of")
  end)

  it("is told what is wrong with its choice", function()
    assert.has_error(function()
      sample(model, by_margin { 1, 2 }, { sampling = { scope = "all", choose = function() return { 3 } end } })
    end, "sample: sampling: expected entries or indices of the pool, got 3 at 1")
  end)
end)

describe("weights of samples", function()
  local function weighted(pool)
    for _, entry in ipairs(pool) do entry.weight = entry.index end
    return pool
  end

  it("stand beside the indices, in their order", function()
    local chosen = sample(model, by_margin { 1, 2, 3, 4, 5 }, { sampling = weighted, per_class = 2 })
    assert.same({ 1, 3, 2, 4 }, chosen)
    assert.same({ 1, 3, 2, 4 }, chosen.weights)
    assert.equal("4 samples: 1 3 2 4 (weighted)", tostring(chosen))
    for key in pairs(chosen) do assert.equal("integer", math.type(key)) end
  end)

  it("may come with indices, and are absent where all are 1", function()
    local split = by_margin { 1, 2, 3, 4 }
    local chosen = sample(model, split, { per_class = 1, sampling = function(pool)
      return { { index = pool[2].index, weight = 0.5 } }
    end })
    assert.same({ { 3, 4 }, { 0.5, 0.5 } }, { { table.unpack(chosen) }, chosen.weights })
    assert.is_nil(sample(model, split, { sampling = "random" }).weights)
    assert.is_nil(sample(model, split, { sampling = function(pool)
      pool[1].weight = 1
      return pool
    end }).weights)
  end)

  it("are those of the last call, where a strategy is called again", function()
    local split = by_margin({ 1, 2, 3, 4, 5, 6 }, { unreadable = { [1] = true } })
    local chosen = sample(model, split, { per_class = 1, sampling = function(pool)
      if pool[1].index == 1 then
        for _, entry in ipairs(pool) do entry.weight = 9 end
        return { pool[1] }
      end
      return pool
    end })
    assert.same({ 3, 2 }, chosen)
    assert.is_nil(chosen.weights)
  end)

  it("are those of the entries where indices are given", function()
    local function numbers(weight)
      return function(pool)
        for _, entry in ipairs(pool) do entry.weight = weight end
        return { pool[1].index, { index = pool[2].index }, { index = pool[3].index, weight = 7 } }
      end
    end
    local split = by_margin { 1, 2, 3, 4, 5, 6 }
    local chosen = sample(model, split, { sampling = numbers(3) })
    assert.same({ 1, 3, 5, 2, 4, 6 }, chosen)
    assert.same({ 3, 3, 7, 3, 3, 7 }, chosen.weights)
    assert.has_error(function() sample(model, split, { sampling = numbers(-3) }) end,
      "sample: sampling: expected weights that are finite numbers above 0, got -3 for sample 1")
  end)

  it("have to be finite and above 0", function()
    for given, shown in pairs { [0] = "0", [-1] = "-1", [math.huge] = "inf", x = "'x'" } do
      assert.has_error(function()
        sample(model, by_margin { 1, 2, 3 }, { sampling = function(pool)
          pool[2] = pool[2] and { index = pool[2].index, weight = given } or nil
          return pool
        end })
      end, "sample: sampling: expected weights that are finite numbers above 0, got " .. shown .. " for sample 3")
    end
  end)

  -- Twice the weight is as if a sample were there twice.
  local network = head_models.network(2)
  local images = memory_split(core.randn(6, 1, 8, 8, { seed = 2 }), { 1, 2, 1, 2, 1, 2 }, { classes = { "a", "b" } })

  local function heavier(pool)
    for _, entry in ipairs(pool) do
      if entry.index <= 2 then entry.weight = 2 end
    end
    return pool
  end

  local function scores(opts) return importance(network, images, opts) end

  for _, opts in ipairs { { method = "lrp" }, { method = "ig", steps = 4 }, { method = "lrp", redundancy = true },
    { method = "sensitivity" }, { method = "sensitivity", redundancy = false }, { method = "taylor" } } do
    it(("weigh the means of %s%s"):format(opts.method, opts.redundancy and " with redundancy" or ""), function()
      local function with(more)
        local all = { calibration_count = 6 }
        for key, value in pairs(opts) do all[key] = value end
        for key, value in pairs(more) do all[key] = value end
        return scores(all)
      end
      local weighty = with { sampling = heavier }
      local repeated = with { indices = { 1, 1, 3, 5, 2, 2, 4, 6 } }
      local plain = with { indices = { 1, 3, 5, 2, 4, 6 } }
      local differs = false
      for name, tensor in pairs(weighty) do
        assert.is_true(tensor:allclose(repeated[name], 1e-4, 1e-6), name)
        differs = differs or not tensor:allclose(plain[name], 1e-3, 1e-6)
      end
      assert.is_true(differs)
      assert.same({ 2, 1, 1, 2, 1, 1 }, weighty.provenance.weights)
      assert.equal("custom", weighty.provenance.sampling)
    end)
  end

  it("may be fields of indices, too", function()
    local function with(given) return scores { method = "activation", indices = given } end
    local behind = with(setmetatable({ 1, 3, 2 }, { __index = { weights = { 3, 1, 2 } } }))
    local own = { 1, 3, 2, weights = { 3, 1, 2 } }
    local plainly = with(own)
    assert.same({ 3, 1, 2 }, plainly.provenance.weights)
    for name, tensor in pairs(behind) do assert.same(tensor:totable(), plainly[name]:totable()) end
    assert.same({ 1, 3, 2, weights = { 3, 1, 2 } }, own)
  end)

  it("that come with indices of importance are checked", function()
    local message = "importance: indices: expected "
    for _, with in ipairs {
      function(weights) return setmetatable({ 1, 2 }, { __index = { weights = weights } }) end,
      function(weights) return { 1, 2, weights = weights } end,
    } do
      assert.has_error(function() scores { indices = with { 1 } } end,
        message .. "a weight for each of 2 samples, got 1")
      assert.has_error(function() scores { indices = with { 1, -3 } } end,
        message .. "weights that are finite numbers above 0, got -3 at 2")
    end
    assert.has_error(function() scores { indices = { 1, 2, findings = { 1 } } } end,
      message .. "a finding for each of 2 samples, got 1")
    assert.has_error(function() scores { indices = { 1, 2, weight = { 1, 1 } } } end,
      message .. "a list, perhaps with weights and findings, got a field 'weight'; did you mean 'weights'?")
  end)
end)

describe("a chain", function()
  local margins = { 5, 1, -1, 2, 3, -2.5, 0.5, 0.25, 4, 7 }

  it("gives what one chooses to the next, in its order", function()
    local seen = {}
    local function one_per_group(pool)
      seen[#seen + 1] = indices_of(pool)
      return { pool[1], pool[3] }
    end
    local split = by_margin(margins)
    assert.same({ 7, 5, 8, 4 }, sample(model, split, { sampling = sampling.chain("margin", one_per_group) }))
    assert.same({ { 7, 3, 5, 9, 1 }, { 8, 2, 4, 6, 10 } }, seen)
  end)

  it("takes a part of what one gives", function()
    local split = by_margin(margins)
    local chosen = sample(model, split, { per_class = 2,
      sampling = sampling.chain(sampling.take(3, "margin"), "confidence") })
    assert.same({ 5, 7, 4, 2 }, chosen)
    local half = sampling.take(0.5, "margin")
    assert.same({ 7, 3, 5, 8, 2, 4 }, sample(model, split, { sampling = half }))
    assert.equal("chain(take(3, margin), confidence)",
      tostring(sampling.chain(sampling.take(3, "margin"), "confidence")))
  end)

  it("takes shares as decimals have them", function()
    local labels, sizes = {}, {}
    for i = 1, 25 do labels[i] = 1 end -- 0.28 * 25 is 7.000000000000001 in doubles
    local split = memory_split(core.randn(25, 1, 2, 2, { seed = 1 }), labels, { classes = { "a", "b" } })
    sample(model, split, { sampling = sampling.chain(sampling.take(0.28, "random"), function(pool)
      sizes[#sizes + 1] = #pool
      return pool
    end) })
    assert.same({ 7 }, sizes)
  end)

  it("has the matrix of features of what the part is given", function()
    local sizes = {}
    sample(model, by_margin(margins), { sampling = sampling.chain(sampling.take(2, "margin"), function(pool, ctx)
      sizes[#sizes + 1] = ctx:features_matrix():size(1)
      assert.same(indices_of(pool), { math.tointeger(ctx:features_matrix():get(1, 4)),
        math.tointeger(ctx:features_matrix():get(2, 4)) })
      return pool
    end) })
    assert.same({ 2, 2 }, sizes)
  end)

  it("of one strategy is that strategy", function()
    local split = by_margin(margins)
    for _, name in ipairs(strategy.names()) do
      assert.same(sample(model, split, { sampling = name, per_class = 3, seed = 4 }),
        sample(model, split, { sampling = sampling.chain(name), per_class = 3, seed = 4 }))
    end
  end)

  it("draws anew for each of its parts", function()
    local orders = {}
    local function shuffled(pool, ctx)
      local order = {}
      for i, entry in ipairs(ctx.random:shuffle({ 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 })) do order[i] = entry end
      orders[#orders + 1] = table.concat(order, " ")
      return pool
    end
    sample(model, by_margin { 1 }, { sampling = sampling.chain(shuffled, shuffled, shuffled) })
    assert.equal(3, #orders)
    assert.is_true(orders[1] ~= orders[2] and orders[2] ~= orders[3] and orders[1] ~= orders[3])
  end)

  it("sees all classes where a part does, and the others class by class", function()
    local calls = {}
    local function note(pool, ctx)
      calls[#calls + 1] = { ctx.class or "all", #pool }
      return pool
    end
    local split = by_margin(margins)
    local chosen = sample(model, split, { per_class = 1,
      sampling = sampling.chain(note, { scope = "all", choose = note }, note) })
    assert.same({ { 1, 5 }, { 2, 5 }, { "all", 10 }, { 1, 5 }, { 2, 5 } }, calls)
    assert.same({ 1, 2 }, chosen) -- one of each class, since the last part is one of a class
    local free = sample(model, split, { per_class = 1,
      sampling = sampling.chain(note, sampling.over_all "confidence") })
    assert.same({ 10, 1 }, free)
    local spread = sample(model, split, { per_class = 2,
      sampling = sampling.chain(sampling.take(6, sampling.over_all "margin"), "confidence") })
    assert.same({ 7, 3, 4, 2 }, spread)
  end)

  it("keeps weights, and what a later part sets stands", function()
    local function weigh(by) return function(pool)
      for _, entry in ipairs(pool) do entry.weight = (entry.weight or 1) * by end
      return pool
    end end
    local chosen = sample(model, by_margin { 1, 2 }, { sampling = sampling.chain(weigh(2), weigh(3)) })
    assert.same({ 6, 6 }, chosen.weights)
  end)

  it("has others take the place of what cannot be read", function()
    local split = by_margin(margins, { unreadable = { [7] = true, [3] = true } })
    assert.same({ 5, 9 }, { table.unpack(sample(model, split, { per_class = 2,
      sampling = sampling.chain(sampling.take(2, "margin"), "coverage") }), 1, 2) })
  end)

  it("says what is wrong", function()
    assert.has_error(function() sampling.chain() end, "sampling.chain: expected at least one strategy, got none")
    assert.error_matches(function() sampling.chain("margin", "margn") end,
      "^sampling.chain: strategy 2: expected one of .*, got 'margn'; did you mean 'margin'%?$")
    assert.has_error(function() sampling.take(0, "margin") end,
      "sampling.take: count: expected a number above 0, got 0")
    assert.has_error(function() sampling.take(1.5, "margin") end,
      "sampling.take: count: expected a whole number, or a share below 1, got 1.5")
    assert.has_error(function() return sampling.chian end, "sampling: no such function 'chian'; did you mean 'chain'?")
    assert.has_error(function()
      sample(model, by_margin { 1, 2 }, { sampling = sampling.chain("margin", function() return { 2 } end) })
    end, "sample: sampling: expected entries or indices of class 'normal', got 2 at 1")
  end)

  it("of functions is told from others by what these refer to", function()
    local function text(k)
      local function every(pool) return { pool[k] } end
      return json.encode(fingerprint.options(strategy.identity(sampling.chain("margin", every))))
    end
    assert.equal(text(2), text(2))
    assert.not_equal(text(2), text(3))
  end)

  it("is told from others by what it is made of", function()
    local function identity(value) return strategy.identity(value) end
    local chain = sampling.chain(sampling.take(3, "margin"), "coverage")
    assert.same(identity(chain), identity(sampling.chain(sampling.take(3, "margin"), "coverage")))
    assert.not_same(identity(chain), identity(sampling.chain(sampling.take(4, "margin"), "coverage")))
    assert.not_same(identity(chain), identity(sampling.chain(sampling.take(3, "entropy"), "coverage")))
    assert.not_same(identity(sampling.take(0.1234567, "margin")), identity(sampling.take(0.12345678, "margin")))
    assert.not_same(identity(sampling.chain("margin", "coverage")), identity(sampling.chain("coverage", "margin")))
    assert.not_same(identity(sampling.chain "margin"), identity(sampling.over_all "margin"))
    assert.equal(hardest, identity(sampling.chain(hardest)).parts[1].choose)
  end)
end)
