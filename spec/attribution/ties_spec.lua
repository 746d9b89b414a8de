-- Where an image is flat, or straight edges run through it, maxima are tied; which of them gradients and relevance go
-- to must not hang on the rounding of a fast convolution, on the processor, or on the place of an image in its batch.
local core = require "secateur.core"
local double = require "secateur.core_double"
local composites = require "secateur.attribution.composites"

local BATCH, CHANNELS, SIZE = 2, 32, 34

-- Two convolutions that are wide enough for Winograd's transform, each before a pool.
local function build(padding, variant)
  local graph = (variant or core).graph()
  graph:add("input", "x", {}, { shape = { CHANNELS, SIZE, SIZE } })
  local last = "x"
  for i = 1, 2 do
    graph:add("conv2d", "conv" .. i, { last }, { out = CHANNELS, kernel = 3, padding = padding, bias = true })
    graph:add("relu", "relu" .. i, { "conv" .. i })
    graph:add("max_pool2d", "pool" .. i, { "relu" .. i }, { kernel = 2 })
    last = "pool" .. i
  end
  graph:add("flatten", "flat", { last })
  graph:add("linear", "head", { "flat" }, { out = 2 })
  for i, p in ipairs(graph:parameters()) do
    local count = 1
    for _, size in ipairs(p.shape) do count = count * size end
    local numbers = (core.randn(count, { seed = 20 + i }) * 0.1):totable()
    graph:set_parameter(p.name, (variant or core).tensor(numbers):reshape(table.unpack(p.shape)))
  end
  return graph
end

-- Every image is made of few levels, each with its own number per channel.
local images = {
  ["a patch on black"] = function(y, x) return y > 9 and y < 23 and x > 11 and x < 28 and 2 or 1 end,
  ["stripes down"] = function(_, x) return x // 7 % 3 + 1 end,
  ["stripes across"] = function(y) return y // 5 % 3 + 1 end,
  ["a diagonal"] = function(y, x) return x > y + 3 and 2 or 1 end,
  ["the other diagonal"] = function(y, x) return x + y > 37 and 2 or 1 end,
  ["zeros beside a patch"] = function(y, x) return y > 9 and y < 23 and x > 11 and x < 28 and 2 or 4 end,
}

local function image(level)
  local numbers = core.randn(BATCH, CHANNELS, 3, { seed = 1 })
  local x = core.zeros(BATCH, CHANNELS, SIZE, SIZE)
  for n = 1, BATCH do
    for c = 1, CHANNELS do
      for row = 1, SIZE do
        for column = 1, SIZE do
          local k = level(row, column)
          if k < 4 then x:set(numbers:get(n, c, k), n, c, row, column) end
        end
      end
    end
  end
  return x
end

-- Relevance of the outputs of the first convolution, and of the input.
local function relevance(graph, composite, x, exact)
  local rules = composites.resolve("spec", composites.get("spec", composite), graph:nodes())
  local walker <close> = core.relevance(graph, { batch = BATCH, rules = rules, keep = { "x", "conv1" }, exact = exact })
  walker:forward(x)
  walker:backward(core.ones(BATCH, 2))
  return walker:relevance "conv1", walker:relevance "x"
end

local function distance(a, b) return (a - b):abs():max() / b:abs():max() end

describe("tied maxima", function()
  for name, level in pairs(images) do
    for _, composite in ipairs { "epsilon_plus", "dlb" } do
      for padding = 0, 2 do
        it(("stay tied: %s, %s, padding %d"):format(name, composite, padding), function()
          local graph, x = build(padding), image(level)
          local fast_conv, fast_x = relevance(graph, composite, x, false)
          local exact_conv, exact_x = relevance(graph, composite, x, true)
          assert.is_true(distance(fast_conv, exact_conv) < 1e-4, distance(fast_conv, exact_conv))
          assert.is_true(distance(fast_x, exact_x) < 1e-4, distance(fast_x, exact_x))
        end)
      end
    end
  end

  -- The gradient of the first logit with respect to the input.
  local function gradient(variant, padding, x)
    local plan <close> = variant.plan(build(padding, variant), { batch = x:size(1), backward = true,
      keep_grads = { "x" } })
    plan:forward(x)
    local seeds = variant.zeros(x:size(1), 2)
    for n = 1, x:size(1) do seeds:set(1, n, 1) end
    plan:backward(seeds)
    return plan:grad "x"
  end

  for name, level in pairs(images) do
    for padding = 0, 2 do
      it(("give the gradient of real numbers: %s, padding %d"):format(name, padding), function()
        local x = image(level)
        local expected = gradient(double, padding, double.tensor(x:totable()))
        local got = double.tensor(gradient(core, padding, x):totable())
        assert.is_true(distance(got, expected) < 1e-4, distance(got, expected))
        local alone = gradient(core, padding, x:view(2, 2))
        assert.is_true(alone:allclose(gradient(core, padding, x):view(2, 2), 0, 0))
      end)
    end
  end

  it("are looked for in convolutions that differ from plain ones in the last bits", function()
    local graph, x = build(1), core.randn(BATCH, CHANNELS, SIZE, SIZE, { seed = 9 })
    local _, fast = relevance(graph, "epsilon_plus", x, false)
    local _, exact = relevance(graph, "epsilon_plus", x, true)
    assert.is_true(distance(fast, exact) > 0)
  end)
end)
