local core = require "secateur.core_double"
local gradcheck = require "support.gradcheck"
local reference = require "support.reference"
local single = require "support.single"

local float = require "secateur.core"

-- q and k for the whole batch as one input [T x 2D], split by linear maps that copy.
local function run_case(case)
  local heads, batch, t, d = case.attrs.heads, case.q:size(1), case.q:size(2), case.q:size(3)
  local graph = float.graph()
  graph:add("input", "x", {}, { shape = { t, 2 * d } })
  for part, name in ipairs { "q", "k" } do
    graph:add("linear", name, { "x" }, { out = d, bias = false })
    local weight = graph:parameter(name .. ".weight")
    for i = 1, d do weight:set(1, i, (part - 1) * d + i) end
  end
  graph:add("attention_scores", "n", { "q", "k" }, { heads = heads })
  local both = float.zeros(batch, t, 2 * d)
  for b = 1, batch do
    for row = 1, t do
      for i = 1, d do
        both:set(case.q:get(b, row, i), b, row, i)
        both:set(case.k:get(b, row, i), b, row, d + i)
      end
    end
  end
  local plan = float.plan(graph, { batch = batch, backward = true, keep_grads = { "q", "k" } })
  reference.compare(case.name .. ": scores", plan:forward(both), case.scores)
  plan:backward(case.dscores)
  reference.compare(case.name .. ": dq", plan:grad "q", case.dq)
  reference.compare(case.name .. ": dk", plan:grad "k", case.dk)
end

describe("attention_scores", function()
  it("agrees with PyTorch", function()
    local cases = reference.cases "attention"
    for _, case in ipairs(cases) do run_case(case) end
    assert.equal(4, #cases)
  end)

  it("has the gradient of its values", function()
    gradcheck.check { op = "attention_scores", inputs = { { 5, 6 }, { 5, 6 } }, attrs = { heads = 2 } }
    gradcheck.check { op = "attention_scores", inputs = { { 3, 7 }, { 3, 7 } }, attrs = { heads = 1 } }
    gradcheck.check { op = "attention_scores", inputs = { { 1, 3 }, { 1, 3 } }, attrs = { heads = 3 } }
    gradcheck.check { op = "attention_scores", inputs = { { 4, 7 }, { 4, 7 } },
      attrs = { heads = 3, widths = { 1, 4, 2 }, scale = 0.3 } }
  end)

  it("is the product of queries and keys over the root of the head's width", function()
    local q, y, graph, shape =
      single.run(core, { op = "attention_scores", inputs = { { 5, 6 }, { 5, 6 } }, attrs = { heads = 2 } }, 3)
    local k, expected = single.flat(graph:parameter "p2.value"), {}
    assert.same({ 3, 2, 5, 5 }, shape)
    for i = 0, #y - 1 do
      local b, head, from, to, sum = i // 50, i // 25 % 2, i // 5 % 5, i % 5, 0
      for j = head * 3 + 1, head * 3 + 3 do sum = sum + q[(b * 5 + from) * 6 + j] * k[to * 6 + j] end
      expected[i + 1] = sum / math.sqrt(3)
    end
    assert.is_true(single.compare("y", y, expected, 1e-14))
  end)

  it("takes heads of different widths, and a scale", function()
    local widths, first = { 1, 4, 2 }, { 0, 1, 5 }
    local q, y, graph = single.run(core, { op = "attention_scores", inputs = { { 5, 7 }, { 5, 7 } },
      attrs = { heads = 3, widths = widths, scale = 0.3 } }, 3)
    local k, expected = single.flat(graph:parameter "p2.value"), {}
    for i = 0, #y - 1 do
      local b, head, from, to, sum = i // 75, i // 25 % 3 + 1, i // 5 % 5, i % 5, 0
      for j = first[head] + 1, first[head] + widths[head] do sum = sum + q[(b * 5 + from) * 7 + j] * k[to * 7 + j] end
      expected[i + 1] = sum * 0.3
    end
    assert.is_true(single.compare("y", y, expected, 1e-14))
  end)

  it("refuses widths that are not one per head, or do not add up", function()
    local function refusal(widths)
      return single.refusal(core, { op = "attention_scores", inputs = { { 5, 6 }, { 5, 6 } },
        attrs = { heads = 2, widths = widths } })
    end
    assert.equal("attention_scores 'n': widths: expected 2, one per head, got 3", refusal { 1, 2, 3 })
    assert.equal("attention_scores 'n': widths: expected 6 features in all, got 7", refusal { 3, 4 })
    assert.matches("widths: expected .* got 0", refusal { 0, 6 })
    assert.matches("widths: expected a list of sizes, got", refusal(3))
    local many = {}
    for i = 1, 65 do many[i] = 1 end
    assert.equal("attention_scores 'n': widths: expected at most 64 sizes, got 65", refusal(many))
  end)

  it("refuses shapes that do not fit and heads that do not divide", function()
    local function refusal(q, k, heads)
      return single.refusal(core, { op = "attention_scores", inputs = { q, k }, attrs = { heads = heads } })
    end
    assert.equal("attention_scores 'n': inputs: expected queries and keys [T x D], got [5x6] and [4x6]",
      refusal({ 5, 6 }, { 4, 6 }, 2))
    assert.equal("attention_scores 'n': heads: expected a divisor of 6 features, got 4", refusal({ 5, 6 }, { 5, 6 }, 4))
    assert.equal("attention_scores 'n': heads: missing", refusal({ 5, 6 }, { 5, 6 }))
  end)
end)
