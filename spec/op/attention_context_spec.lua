local core = require "secateur.core_double"
local gradcheck = require "support.gradcheck"
local reference = require "support.reference"
local single = require "support.single"

local float = require "secateur.core"

-- Probabilities and values of one sample: the other input is a parameter, so samples go one by one.
local function run_case(case)
  local heads, batch, t, d = case.attrs.heads, case.v:size(1), case.v:size(2), case.v:size(3)
  for b = 1, batch do
    local graph = float.graph()
    graph:add("input", "p", {}, { shape = { heads, t, t } })
    graph:add("parameter", "v", {}, { shape = { t, d } })
    graph:add("attention_context", "n", { "p", "v" })
    graph:set_parameter("v.value", case.v:view(b):clone())
    local plan = float.plan(graph, { backward = true, params = true, keep_grads = { "p" } })
    local name = case.name .. ", sample " .. b
    reference.compare(name .. ": context", plan:forward(case.probabilities:view(b)), case.context:view(b))
    plan:backward(case.dcontext:view(b))
    reference.compare(name .. ": dprobabilities", plan:grad "p", case.dprobabilities:view(b))
    reference.compare(name .. ": dv", plan:param_grad "v.value", case.dv:view(b))
  end
end

describe("attention_context", function()
  it("agrees with PyTorch", function()
    local cases = reference.cases "attention"
    for _, case in ipairs(cases) do run_case(case) end
    assert.equal(4, #cases)
  end)

  it("has the gradient of its values", function()
    gradcheck.check { op = "attention_context", inputs = { { 2, 5, 5 }, { 5, 6 } } }
    gradcheck.check { op = "attention_context", inputs = { { 1, 3, 3 }, { 3, 7 } } }
    gradcheck.check { op = "attention_context", inputs = { { 3, 1, 1 }, { 1, 3 } } }
    gradcheck.check { op = "attention_context", inputs = { { 3, 4, 4 }, { 4, 7 } }, attrs = { widths = { 1, 4, 2 } } }
  end)

  it("sums values by their weights, heads side by side", function()
    local p, y, graph, shape = single.run(core, { op = "attention_context", inputs = { { 2, 5, 5 }, { 5, 6 } } }, 3)
    local v, expected = single.flat(graph:parameter "p2.value"), {}
    assert.same({ 3, 5, 6 }, shape)
    for i = 0, #y - 1 do
      local b, from, j, sum = i // 30, i // 6 % 5, i % 6, 0
      for to = 0, 4 do sum = sum + p[((b * 2 + j // 3) * 5 + from) * 5 + to + 1] * v[to * 6 + j + 1] end
      expected[i + 1] = sum
    end
    assert.is_true(single.compare("y", y, expected, 1e-14))
  end)

  it("takes heads of different widths", function()
    local head_of = { 1, 2, 2, 2, 2, 3, 3 }
    local p, y, graph = single.run(core, { op = "attention_context", inputs = { { 3, 5, 5 }, { 5, 7 } },
      attrs = { widths = { 1, 4, 2 } } }, 2)
    local v, expected = single.flat(graph:parameter "p2.value"), {}
    for i = 0, #y - 1 do
      local b, from, j, sum = i // 35, i // 7 % 5, i % 7, 0
      for to = 0, 4 do
        sum = sum + p[((b * 3 + head_of[j + 1] - 1) * 5 + from) * 5 + to + 1] * v[to * 7 + j + 1]
      end
      expected[i + 1] = sum
    end
    assert.is_true(single.compare("y", y, expected, 1e-14))
  end)

  it("refuses shapes that do not fit", function()
    local function refusal(p, v) return single.refusal(core, { op = "attention_context", inputs = { p, v } }) end
    local expected = "attention_context 'n': inputs: expected weights [heads x T x T] and values [T x D], got "
    assert.equal(expected .. "[2x5x4] and [5x6]", refusal({ 2, 5, 4 }, { 5, 6 }))
    assert.equal("attention_context 'n': heads: expected a divisor of 6 features, got 4",
      refusal({ 4, 5, 5 }, { 5, 6 }))
    assert.equal(expected .. "[5x5] and [5x6]", refusal({ 5, 5 }, { 5, 6 }))
  end)
end)
