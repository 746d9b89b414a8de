-- Convolutions in many groups of few channels against one convolution for each group, to the bit: outputs, gradients of
-- the inputs and of the weights, written and added.
local core = require "secateur.core"
local single = require "support.single"

-- Channels first .. first + count - 1 of maps.
local function channels_of(x, first, count)
  local n, c, h, w = x:size(1), x:size(2), x:size(3), x:size(4)
  local from, out = x:reshape(n * c, h, w), core.zeros(n * count, h, w)
  for i = 0, n * count - 1 do out:view(i + 1):copy(from:view(i // count * c + first + i % count)) end
  return out:reshape(n, count, h, w)
end

-- Likewise rows of weights.
local function rows_of(w, first, count)
  local out = core.zeros(count, w:size(2), w:size(3), w:size(4))
  for i = 1, count do out:view(i):copy(w:view(first + i - 1)) end
  return out
end

-- The output, the gradients of x and of w. x goes through two convolutions with the same numbers, so that the second
-- gradient is added to the first.
local function both_ways(x, w, attrs, groups, dy)
  local graph, own = core.graph(), { bias = false, groups = groups }
  for name, value in pairs(attrs) do own[name] = value end
  own.out = w:size(1)
  graph:add("input", "x", {}, { shape = { x:size(2), x:size(3), x:size(4) } })
  for _, name in ipairs { "a", "b" } do
    graph:add("conv2d", name, { "x" }, own)
    graph:set_parameter(name .. ".weight", w)
  end
  graph:add("add", "sum", { "a", "b" })
  local plan = core.plan(graph,
    { batch = x:size(1), backward = true, params = true, keep = { "a" }, keep_grads = { "x" } })
  local y
  for round = 1, 2 do -- gradients of weights are added to in the second
    y = plan:forward(x)
    plan:backward(dy or core.randn(y:size(1), y:size(2), y:size(3), y:size(4), { seed = 3 }), round == 2)
  end
  return plan:value "a", plan:grad "x", plan:param_grad "b.weight", y
end

local function check(name, attrs, groups, channels, outputs, height, width, n)
  local kernel = type(attrs.kernel) == "table" and attrs.kernel or { attrs.kernel, attrs.kernel }
  local x = core.randn(n, groups * channels, height, width, { seed = 1 })
  local w = core.randn(groups * outputs, channels, kernel[1], kernel[2], { seed = 2 })
  local y, dx, dw, sum = both_ways(x, w, attrs, groups)
  local dy = core.randn(sum:size(1), sum:size(2), sum:size(3), sum:size(4), { seed = 3 })
  for g = 1, groups, math.max(1, groups // 3) do
    local place = ("%s, group %d"):format(name, g)
    local inputs, own = (g - 1) * channels + 1, (g - 1) * outputs + 1
    local wanted_y, wanted_dx, wanted_dw = both_ways(channels_of(x, inputs, channels), rows_of(w, own, outputs),
      attrs, 1, channels_of(dy, own, outputs))
    assert.same(single.flat(wanted_y), single.flat(channels_of(y, own, outputs)), place .. ": output")
    assert.same(single.flat(wanted_dx), single.flat(channels_of(dx, inputs, channels)), place .. ": dx")
    assert.same(single.flat(wanted_dw), single.flat(rows_of(dw, own, outputs)), place .. ": dw")
  end
end

describe("a convolution in groups", function()
  local threads_before = core.threads()
  after_each(function() core.threads(threads_before) end)

  it("is a convolution for each of them, to the bit", function()
    check("depthwise", { kernel = 3, padding = 1 }, 20, 1, 1, 13, 17, 2)
    check("depthwise, stride 2", { kernel = 3, padding = 1, stride = 2 }, 20, 1, 1, 15, 14, 2)
    check("two outputs of each", { kernel = 5, padding = 2 }, 17, 1, 2, 9, 9, 2)
    check("a strip", { kernel = { 1, 7 }, padding = { 0, 3 }, stride = { 3, 2 } }, 16, 1, 1, 8, 30, 1)
    check("far taps", { kernel = { 2, 3 }, padding = { 3, 1 }, dilation = { 4, 3 }, stride = { 1, 3 } },
      9, 3, 5, 12, 19, 2)
    check("one tap", { kernel = 1, stride = 2 }, 8, 4, 4, 7, 7, 3)
    check("more stride than taps", { kernel = 2, stride = 4 }, 16, 2, 3, 11, 13, 1)
    check("wider than the map", { kernel = 4, padding = 3, stride = 2 }, 16, 2, 2, 2, 1, 2)
    check("several chains", { kernel = 5, padding = 2 }, 8, 12, 7, 9, 10, 2)
    check("chains that end together", { kernel = 4, padding = { 1, 2 } }, 2, 16, 16, 9, 6, 1)
    check("broad groups", { kernel = 3, stride = 2 }, 2, 32, 21, 7, 9, 2)
    check("several bands", { kernel = 3, padding = 1 }, 2, 16, 4, 90, 61, 1)
    check("several bands, stride 2", { kernel = 3, stride = 2, padding = 1 }, 16, 4, 16, 130, 70, 1)
  end)

  it("does not hang on the number of threads", function()
    local x, w = core.randn(3, 32, 40, 31, { seed = 1 }), core.randn(32, 4, 3, 3, { seed = 2 })
    core.threads(1)
    local one = { both_ways(x, w, { kernel = 3, stride = 2 }, 8) }
    core.threads(3)
    for i, got in ipairs { both_ways(x, w, { kernel = 3, stride = 2 }, 8) } do
      assert.same(one[i]:totable(), got:totable())
    end
  end)

  it("starts from what an infinite weight makes of the border", function()
    local graph = core.graph()
    graph:add("input", "x", {}, { shape = { 2, 3, 3 } })
    graph:add("conv2d", "y", { "x" }, { out = 2, kernel = 3, padding = 1, groups = 2, bias = false })
    graph:set_parameter("y.weight", core.full(2, 1, 3, 3, math.huge))
    local y = core.plan(graph, { batch = 1 }):forward(core.ones(1, 2, 3, 3))
    assert.equal(math.huge, y:get(1, 2, 2, 2))
    assert.is_true(y:get(1, 1, 1, 1) ~= y:get(1, 1, 1, 1))
  end)
end)
