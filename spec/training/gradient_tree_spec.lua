local core = require "secateur.core"
local coroutine_group = require "support.coroutine_group"
local gradient_tree = require "secateur.training.gradient_tree"
local toy = require "support.toy"

-- A plan of a model of one weight per gradient, whose gradient is set by hand.
local function plan_of()
  local model = toy.model()
  return model:execution_plan(2, { training = true, backward = true, params = true }), model
end

local COUNT = 11

-- Gradients of pieces, so far apart in size that the order of a sum shows.
local function draw(size)
  local list = {}
  for i = 1, COUNT do list[i] = core.randn(size, { seed = i }) * 10 ^ (i % 5) end
  return list
end

-- The sum by the definition: two halves, the first of the largest power of two of them.
local function add(list, first, last)
  if first == last then return list[first] end
  local half = 1
  while 2 * half < last - first + 1 do half = half * 2 end
  return add(list, first, first + half - 1) + add(list, first + half, last)
end

local function equal(expected, got)
  assert.same(expected:totable(), got:totable())
end

describe("a gradient tree", function()
  it("gives each rank neighbouring pieces, as equal shares as can be", function()
    for count = 0, 20 do
      for size = 1, 9 do
        local place, least, most = 0, math.huge, 0
        for rank = 0, size - 1 do
          local first, last = gradient_tree.share(count, rank, size)
          assert.equal(place + 1, first)
          place, least, most = last, math.min(least, last - first + 1), math.max(most, last - first + 1)
        end
        assert.equal(count, place)
        assert.is_true(most - least <= 1)
        if count > 0 then assert.equal(1, (gradient_tree.share(count, 0, size))) end
        if count > 0 then assert.is_true(select(2, gradient_tree.share(count, 0, size)) >= 1) end
      end
    end
  end)

  it("sums pieces in one order, whatever the number of ranks", function()
    local size = plan_of():gradients():numel()
    local pieces = draw(size)
    for count = 1, COUNT do
      local expected = add(pieces, 1, count)
      for ranks = 1, 8 do
        for _, outcome in ipairs(coroutine_group.run(ranks, function(group)
          local plan, model = plan_of()
          local tree, computed = gradient_tree.new(plan, ranks > 1 and group or nil), {}
          tree:sum(count, function(i)
            computed[#computed + 1] = i
            plan:gradients():copy(pieces[i])
          end)
          tree:share_total()
          local total = plan:gradients():clone()
          model:release()
          local first, last = gradient_tree.share(count, group.rank, ranks)
          for i = first, last do assert.equal(i, computed[i - first + 1]) end
          assert.equal(last - first + 1, #computed)
          return total
        end)) do equal(expected, outcome[1] or error(outcome.problem)) end
      end
    end
    local chain = pieces[1] -- which another order would not be
    for i = 2, COUNT do chain = chain + pieces[i] end
    assert.not_same(chain:totable(), add(pieces, 1, COUNT):totable())
  end)

  it("keeps a buffer per level, and none for one piece", function()
    local plan = plan_of()
    local tree = gradient_tree.new(plan)
    local function compute() plan:clear_gradients() end
    tree:sum(1, compute)
    assert.equal(0, #tree.free)
    tree:sum(11, compute)
    assert.equal(3, #tree.free)
    tree:sum(16, compute)
    assert.equal(4, #tree.free)
  end)
end)
