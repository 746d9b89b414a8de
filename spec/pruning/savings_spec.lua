local core = require "secateur.core"
local custom = require "secateur.models.custom"
local families = require "support.families"
local layers = require "secateur.models.layers"
local models = require "secateur.models"
local prune = require "secateur.pruning.prune"
local savings = require "secateur.pruning.savings"

local function per_unit(model) return savings.per_unit(model.graph, model:layers()) end

describe("what the removal of a unit saves", function()
  it("is its row and the columns of its readers", function()
    local model = custom { input = { 3, 8, 8 }, build = function(net, x)
      local a = net:max_pool2d("pool", net:relu("act", net:conv2d("a", x, { out = 4, kernel = 3, padding = 1 })),
        { kernel = 2 })
      local b = net:flatten("flat", net:relu("b.act", net:conv2d("b", a, { out = 6, kernel = 3, padding = 1 })))
      return net:linear("head", b, { out = 5 })
    end }
    assert.same({ a = 64 * 27 + 16 * 9 * 6, b = 16 * 9 * 4 + 16 * 5 }, per_unit(model))
  end)

  it("is what networks of one unit less do not compute", function()
    local function vgg(a, b, c)
      return models.vgg { config = { a, "M", b }, hidden = { c }, pool = 2, classes = 3, size = 8, batch_norm = true }
    end
    local function macs(...) return select(2, layers.totals(vgg(...))) end
    local whole, saved = macs(5, 6, 7), per_unit(vgg(5, 6, 7))
    assert.same({ ["features.0"] = whole - macs(4, 6, 7), ["features.4"] = whole - macs(5, 5, 7),
      ["classifier.0"] = whole - macs(5, 6, 6) }, saved)
  end)

  it("counts every reader, by the place that the units have in it", function()
    local model = custom { input = { 2, 4, 4 }, build = function(net, x)
      local a = net:conv2d("a", x, { out = 4, kernel = 1 })
      local b = net:conv2d("b", x, { out = 2, kernel = 1 })
      local c = net:conv2d("c", net:concat("both", { a, b, a }), { out = 3, kernel = 1 })
      local d = net:conv2d("d", a, { out = 8, kernel = 1, groups = 2 })
      local e = net:flatten("flat", net:concat("all", { c, d }))
      return net:linear("head", e, { out = 2 })
    end }
    assert.same({ a = 16 * 2 + 2 * 16 * 3 + 16 * 4, b = 16 * 2 + 16 * 3, c = 16 * 10 + 16 * 2, d = 16 * 2 + 16 * 2 },
      per_unit(model))
  end)

  it("counts no reader of a stream that others add to", function()
    local model = custom { input = { 2, 4, 4 }, build = function(net, x)
      local a = net:conv2d("a", x, { out = 4, kernel = 1 })
      local b = net:conv2d("b", net:relu("act", a), { out = 4, kernel = 1 })
      local s = net:conv2d("c", net:add("sum", { a, b }), { out = 2, kernel = 1 })
      return net:linear("head", net:flatten("flat", s), { out = 2 })
    end }
    assert.same({ a = 16 * 2 + 16 * 4, b = 16 * 4, c = 16 * 4 + 16 * 2 }, per_unit(model))
  end)

  it("counts the products of attention", function()
    local tokens, dim, mlp = 17, 8, 12
    local model = models.vit { size = 16, patch = 4, layers = 1, heads = 2, dim = dim, mlp = mlp, classes = 3 }
    local block, saved = "encoder.layers.encoder_layer_0.", per_unit(model)
    local query = tokens * dim + tokens * tokens / 2
    assert.equal(query, saved[block .. "self_attention.q"])
    assert.equal(query, saved[block .. "self_attention.k"])
    assert.equal(tokens * dim + tokens * tokens + tokens * dim, saved[block .. "self_attention.v"])
    assert.equal(tokens * dim, saved[block .. "self_attention"])
    assert.equal(2 * tokens * dim, saved[block .. "mlp.0"])
    assert.equal(tokens * mlp, saved[block .. "mlp.3"])
    assert.equal(16 * 16 * 3, saved.conv_proj) -- the stream's readers are not saved
  end)

  it("is positive for all layers of every family, and the layers' own part adds up to them", function()
    for name, model in pairs(families.all()) do
      for layer, saved in pairs(per_unit(model)) do
        assert.is_true(saved > 0 and saved < select(2, layers.totals(model)), name .. " " .. layer)
      end
    end
  end)
end)

describe("cost-aware ranking", function()
  -- A unit of the first layer saves 4 * (64 * 27) of its own kind, one of the second much less.
  local model = models.vgg { config = { 4, "M", "M", 3 }, hidden = {}, pool = 2, classes = 2, size = 8, channels = 1,
    batch_norm = false, seed = 1 }
  local wide, small = 64 * 9 + 4 * 9 * 3, 4 * 9 * 4 + 4 * 2

  local function removed(first, second, count)
    local names = {}
    for i, layer in ipairs(model:layers()) do names[i] = layer.name end
    local plan = prune.plan(model, { [names[1]] = core.tensor(first), [names[2]] = core.tensor(second) },
      { rate = (count + 0.5) / 7, cost_aware = true, min_units = 0 })
    return { { table.unpack(plan[names[1]]) }, { table.unpack(plan[names[2]]) } }
  end

  it("divides positive scores by what the unit saves", function()
    local saved = per_unit(model)
    local list = model:layers()
    assert.same({ wide, small }, { saved[list[1].name], saved[list[2].name] })
    local ratio = wide / small -- about 4.5
    assert.same({ { 2 }, {} }, removed({ 9, 0.98 * ratio, 9, 9 }, { 1, 8, 8 }, 1))
    assert.same({ {}, { 1 } }, removed({ 9, 1.02 * ratio, 9, 9 }, { 1, 8, 8 }, 1))
  end)

  it("lets negative scores go before all others, those that save more first", function()
    local ratio = wide / small
    assert.same({ { 1 }, {} }, removed({ -1, 0, 0, 0 }, { -0.98 * ratio, 0, 0 }, 1))
    assert.same({ {}, { 1 } }, removed({ -1, 0, 0, 0 }, { -1.02 * ratio, 0, 0 }, 1))
    assert.same({ { 1, 2 }, { 1 } }, removed({ -1, -1e-9, 1e-9, 1 }, { -1e-9, 1e-6, 1 }, 3))
  end)

  it("leaves the order of a layer, and what is gone, as they are", function()
    local names = {}
    for i, layer in ipairs(model:layers()) do names[i] = layer.name end
    local scores = { [names[1]] = core.tensor { 3, -2, 1, -1 }, [names[2]] = core.tensor { 1, -3, 2 } }
    for rate = 1, 5 do
      local opts = { rate = rate / 7 + 0.01, scope = "layer" }
      local plain = prune.plan(model, scores, opts)
      opts.cost_aware = true
      assert.same(plain, prune.plan(model, scores, opts))
    end
    local before = prune(model, { [names[1]] = { 1 }, [names[2]] = { 3 } })
    local again = prune.plan(before, scores, { rate = 2.5 / 7, cost_aware = true })
    assert.same({ 1 }, { table.unpack(again[names[1]]) })
    assert.same({ 3 }, { table.unpack(again[names[2]]) })
  end)
end)
