local core = require "secateur.core"
local double = require "secateur.core_double"
local errors = require "support.errors"
local interrupt = require "support.interrupt"
local needs = require "support.needs"

local nan = 0 / 0

-- As the definition says, in Lua: a stable sort by selection.
local function sorted_indices(values, descending)
  local order = {}
  for i in ipairs(values) do order[i] = i end
  table.sort(order, function(a, b)
    local x, y = values[a], values[b]
    if x ~= y then
      if descending then return x > y end
      return x < y
    end
    return a < b
  end)
  return order
end

describe("tensor order", function()
  it("sorts along a dimension, ties by index", function()
    local t = core.tensor { { 3, 1, 2, 1 }, { 0, -5, 0, 7 } }
    assert.same({ { 2, 4, 3, 1 }, { 2, 1, 3, 4 } }, t:argsort(2):totable())
    assert.same({ { 1, 3, 2, 4 }, { 4, 1, 3, 2 } }, t:argsort(2, true):totable())
    assert.same({ { 2, 2, 2, 1 }, { 1, 1, 1, 2 } }, t:argsort(1):totable())
    assert.equal("int64", t:argsort(1):dtype())
    local many = core.randn(500, { seed = 3 }) * 10
    local rounded = {}
    for i, value in ipairs(many:totable()) do rounded[i] = math.floor(value) end -- many ties
    assert.same(sorted_indices(rounded), core.tensor(rounded):argsort(1):totable())
    assert.same(sorted_indices(rounded, true), core.tensor(rounded):argsort(1, true):totable())
    assert.same({}, core.zeros(0):argsort(1):totable())
  end)

  it("ranks, ties sharing their mean rank or in the order in which they stand", function()
    local t = core.tensor { 10, 20, 10, -3, 20, 20 }
    assert.same({ 2.5, 5, 2.5, 1, 5, 5 }, t:rank(1):totable())
    assert.same({ 2, 4, 3, 1, 5, 6 }, t:rank(1, "first"):totable())
    assert.same({ { 1, 2 }, { 2, 1 } }, core.tensor({ { 1, 5 }, { 2, 4 } }):rank(1):totable())
    assert.same({ 1.5, 1.5 }, core.tensor({ 0.0, -0.0 }):rank(1):totable())
    assert.same({ 0.0, 2, 1 }, (double.tensor({ 5, 7, 6 }):rank(1) - double.tensor { 1, 1, 1 }):totable())
  end)

  it("puts what is not a number last, without a rank", function()
    local t = core.tensor { nan, 2, nan, 1 }
    assert.same({ 4, 2, 1, 3 }, t:argsort(1):totable())
    assert.same({ 2, 4, 1, 3 }, t:argsort(1, true):totable())
    local ranks = t:rank(1):totable()
    assert.same({ 2, 1 }, { ranks[2], ranks[4] })
    assert.is_true(ranks[1] ~= ranks[1] and ranks[3] ~= ranks[3])
  end)

  it("takes slices of any dimension and type, in any order", function()
    local t = core.tensor { { 1, 2, 3 }, { 4, 5, 6 } }
    assert.same({ { 4, 5, 6 }, { 1, 2, 3 }, { 4, 5, 6 } }, t:take(1, { 2, 1, 2 }):totable())
    assert.same({ { 3, 1 }, { 6, 4 } }, t:take(2, core.tensor({ 3, 1 }, "int64")):totable())
    assert.same({ 9, 7 }, core.tensor({ 7, 8, 9 }, "int64"):take(1, { 3, 1 }):totable())
    assert.same({ 0, 3 }, t:take(1, {}):shape())
    assert.equal("take: indices: expected whole numbers in 1..2, got 3", errors.text(t.take, t, 1, { 1, 3 }))
    assert.equal("take: indices: expected whole numbers in 1..3, got 0", errors.text(t.take, t, 2, { 0 }))
    assert.is_string(errors.text(t.take, t, 2, { 1.5 }))
    assert.equal("take: indices: expected a tensor of int64, got one of float32",
      errors.text(t.take, t, 2, core.ones(2)))
    assert.matches("^take: indices: expected a list of whole numbers or an int64 Tensor",
      errors.text(t.take, t, 2, "x"))
    assert.matches("^take: dimension: expected a whole number in 1..2", errors.text(t.take, t, 3, { 1 }))
  end)

  it("adds up by group, as the backward pass of take", function()
    local t = core.tensor { { 1, 2, 3, 4 }, { 10, 20, 30, 40 } }
    assert.same({ { 4, 0, 6 }, { 40, 0, 60 } }, t:sum_groups(2, { 1, 3, 1, 3 }, 3):totable())
    assert.same({ { 11, 22, 33, 44 } }, t:sum_groups(1, { 1, 1 }, 1):totable())
    local x, y = core.randn(3, 7, 2, { seed = 1 }), core.randn(3, 4, 2, { seed = 2 })
    local index = { 2, 1, 4, 4, 2, 1, 3 }
    assert.near((x * y:take(2, index)):sum(), (x:sum_groups(2, index, 4) * y):sum(), 1e-5)
    assert.equal("sum_groups: groups: expected 4, one per slice, got 2", errors.text(t.sum_groups, t, 2, { 1, 1 }, 2))
    assert.equal("sum_groups: groups: expected whole numbers in 1..1, got 2",
      errors.text(t.sum_groups, t, 1, { 1, 2 }, 1))
  end)

  it("knows logarithm, exponential and square root", function()
    assert.same({ 0, -math.huge }, core.tensor({ 1, 0 }):log():totable())
    assert.same({ 1, 0 }, core.tensor({ 0, -math.huge }):exp():totable())
    assert.same({ 3, 0 }, core.tensor({ 9, 0 }):sqrt():totable())
    assert.near(2.5, core.tensor({ 2.5 }):log():exp():get(1), 1e-6)
  end)

  it("ends sorting and ranks soon after Ctrl-C", function()
    needs.proc(pending)
    for _, call in ipairs { "argsort", "rank" } do
      interrupt.check { setup = "local x = core.randn(1000, 30000)", call = ("x.%s, x, 2"):format(call) }
    end
  end)
end)
