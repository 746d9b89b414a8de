local core = require "secateur.core_double"
local gradcheck = require "support.gradcheck"
local reference = require "support.reference"
local single = require "support.single"

local function pair(value) return type(value) == "table" and value or { value, value } end

-- Calls visit(output index, list of input indices, row-major) for each window; x is [planes x h x w].
local function windows(planes, h, w, attrs, visit)
  local k, p = pair(attrs.kernel), pair(attrs.padding or 0)
  local s = pair(attrs.stride or attrs.kernel)
  local oh, ow = (h + 2 * p[1] - k[1]) // s[1] + 1, (w + 2 * p[2] - k[2]) // s[2] + 1
  for o = 0, planes * oh * ow - 1 do
    local top, left = o // ow % oh * s[1] - p[1], o % ow * s[2] - p[2]
    local list = {}
    for r = math.max(top, 0), math.min(top + k[1], h) - 1 do
      for c = math.max(left, 0), math.min(left + k[2], w) - 1 do
        list[#list + 1] = (o // (oh * ow) * h + r) * w + c + 1
      end
    end
    visit(o + 1, list)
  end
end

local cases = {
  { kernel = 2 },
  { kernel = 3, stride = 2, padding = 1 },
  { kernel = { 3, 2 }, stride = { 1, 3 }, padding = { 1, 0 } },
  { kernel = { 7, 9 } },
  { kernel = { 1, 4 }, stride = 5, padding = { 0, 2 } },
}

describe("max_pool2d", function()
  it("agrees with PyTorch", function() assert.is_true(reference.check "max_pool2d") end)

  it("has the gradient of its values", function()
    for _, attrs in ipairs(cases) do gradcheck.check { op = "max_pool2d", inputs = { { 2, 7, 9 } }, attrs = attrs } end
  end)

  it("takes the largest of each window; padding never wins", function()
    for _, attrs in ipairs(cases) do
      local graph = single.graph(core, { op = "max_pool2d", inputs = { { 2, 7, 9 } }, attrs = attrs })
      local x = single.numbers(3 * 2 * 7 * 9)
      for i, value in ipairs(x) do x[i] = value - 5 end -- all negative: a padding of zeros would show
      local y = single.flat(core.plan(graph, { batch = 3 }):forward(single.tensor(core, x, { 3, 2, 7, 9 })))
      local expected = {}
      windows(6, 7, 9, attrs, function(o, list)
        expected[o] = -math.huge
        for _, i in ipairs(list) do expected[o] = math.max(expected[o], x[i]) end
      end)
      assert.same(expected, y)
    end
  end)

  it("gives the gradient to the first maximum in row-major order", function()
    local graph = core.graph()
    graph:add("input", "x", {}, { shape = { 1, 2, 2 } })
    graph:add("max_pool2d", "n", { "x" }, { kernel = 2 })
    local plan = core.plan(graph, { backward = true, keep_grads = { "x" } })
    for _, try in ipairs {
      { { 1, 1, 1, 1 }, { 5, 0, 0, 0 } },
      { { 0, 1, 1, 0 }, { 0, 5, 0, 0 } },
      { { 0, 0, 1, 1 }, { 0, 0, 5, 0 } },
      { { -math.huge, -math.huge, -math.huge, -math.huge }, { 5, 0, 0, 0 } },
    } do
      plan:forward(single.tensor(core, try[1], { 1, 1, 2, 2 }))
      plan:backward(core.tensor { { { { 5 } } } })
      assert.same(try[2], single.flat(plan:grad "x"))
    end
  end)

  it("adds where windows overlap, the same in wide rows that are worked on in parts", function()
    local attrs = { kernel = 3, stride = 1, padding = 1 }
    local graph = core.graph()
    graph:add("input", "x", {}, { shape = { 1, 4, 150 } })
    graph:add("max_pool2d", "n", { "x" }, attrs)
    local plan = core.plan(graph, { backward = true, keep_grads = { "x" } })
    local x, dy = {}, {}
    for i = 1, 600 do x[i], dy[i] = (i * i) % 7, i end -- many ties
    plan:forward(single.tensor(core, x, { 1, 1, 4, 150 }))
    plan:backward(single.tensor(core, dy, { 1, 1, 4, 150 }))
    local expected = {}
    for i = 1, 600 do expected[i] = 0 end
    windows(1, 4, 150, attrs, function(o, list)
      local first = list[1]
      for _, i in ipairs(list) do if x[i] > x[first] then first = i end end
      expected[first] = expected[first] + dy[o]
    end)
    assert.same(expected, single.flat(plan:grad "x"))
  end)

  it("lets a number that is none through, and gives it the gradient", function()
    local graph = core.graph()
    graph:add("input", "x", {}, { shape = { 1, 2, 4 } })
    graph:add("max_pool2d", "n", { "x" }, { kernel = 2 })
    local plan = core.plan(graph, { backward = true, keep_grads = { "x" } })
    local y = plan:forward(single.tensor(core, { 1, 2, 0 / 0, 9, 3, 4, 5, 6 }, { 1, 1, 2, 4 })):totable()[1][1][1]
    plan:backward(core.tensor { { { { 1, 1 } } } })
    assert.equal(4, y[1])
    assert.is_true(y[2] ~= y[2])
    assert.same({ 0, 0, 1, 0, 0, 1, 0, 0 }, single.flat(plan:grad "x"))
  end)

  it("refuses what is not a map, and windows outside of it", function()
    local function refusal(inputs, attrs)
      return single.refusal(core, { op = "max_pool2d", inputs = { inputs }, attrs = attrs })
    end
    assert.equal("max_pool2d 'n': input: expected a feature map [C x H x W], got [5x7]",
      refusal({ 5, 7 }, { kernel = 2 }))
    assert.equal("max_pool2d 'n': kernel: missing", refusal { 2, 5, 7 })
    assert.equal("max_pool2d 'n': kernel: expected at most 7, the width after padding, got 8",
      refusal({ 2, 5, 7 }, { kernel = { 2, 8 } }))
    assert.equal("max_pool2d 'n': padding: expected at most 1, half the kernel, got 2",
      refusal({ 2, 5, 7 }, { kernel = 3, padding = { 2, 1 } }))
    assert.equal("max_pool2d 'n': stride: expected a whole number in 1..2147483647, got 0",
      refusal({ 2, 5, 7 }, { kernel = 3, stride = 0 }))
  end)
end)
