local core = require "secateur.core_double"
local gradcheck = require "support.gradcheck"
local reference = require "support.reference"
local single = require "support.single"

local function pair(value) return type(value) == "table" and value or { value, value } end

-- Term by term; x is [batch x c x h x w].
local function replica(x, graph, c, h, w, a)
  local k, s, p, d = pair(a.kernel), pair(a.stride or 1), pair(a.padding or 0), pair(a.dilation or 1)
  local groups, weight = a.groups or 1, single.flat(graph:parameter "n.weight")
  local bias = a.bias ~= false and graph:parameter "n.bias"
  local oh = (h + 2 * p[1] - (k[1] - 1) * d[1] - 1) // s[1] + 1
  local ow = (w + 2 * p[2] - (k[2] - 1) * d[2] - 1) // s[2] + 1
  local per, y = c // groups, {}
  for index = 0, #x // (c * h * w) * a.out * oh * ow - 1 do
    local b, o = index // (a.out * oh * ow), index // (oh * ow) % a.out
    local sum = bias and bias[o + 1] or 0
    for i = 0, per * k[1] * k[2] - 1 do
      local ci = o // (a.out // groups) * per + i // (k[1] * k[2])
      local row = index // ow % oh * s[1] - p[1] + i // k[2] % k[1] * d[1]
      local column = index % ow * s[2] - p[2] + i % k[2] * d[2]
      if row >= 0 and row < h and column >= 0 and column < w then
        sum = sum + weight[o * per * k[1] * k[2] + i + 1] * x[((b * c + ci) * h + row) * w + column + 1]
      end
    end
    y[#y + 1] = sum
  end
  return y
end

local cases = {
  { out = 3, kernel = 3 },
  { out = 3, kernel = 3, stride = 2, padding = 1 },
  { out = 6, kernel = { 3, 2 }, stride = { 2, 1 }, padding = { 1, 2 }, groups = 2 },
  { out = 4, kernel = { 2, 3 }, dilation = { 3, 2 }, padding = 1, groups = 4, bias = false },
  { out = 5, kernel = 1 },
  { out = 5, kernel = 1, stride = 3, bias = false },
  { out = 2, kernel = { 5, 7 } },
}

describe("conv2d", function()
  it("agrees with PyTorch", function() assert.is_true(reference.check "conv2d") end)

  it("has the gradient of its values", function()
    for _, attrs in ipairs(cases) do gradcheck.check { op = "conv2d", inputs = { { 4, 5, 7 } }, attrs = attrs } end
  end)

  it("sums weighted inputs over the kernel", function()
    for _, attrs in ipairs(cases) do
      local x, y, graph = single.run(core, { op = "conv2d", inputs = { { 4, 9, 11 } }, attrs = attrs }, 3)
      assert.is_true(single.compare("y", y, replica(x, graph, 4, 9, 11, attrs), 1e-13))
    end
  end)

  it("agrees with itself on maps of many tiles, in float", function()
    local float = require "secateur.core"
    for _, attrs in ipairs { { out = 9, kernel = 3, padding = 1 }, { out = 5, kernel = 5, stride = 2, padding = 2 } } do
      local case = { op = "conv2d", inputs = { { 3, 61, 67 } }, attrs = attrs }
      local _, expected = single.run(core, case, 2)
      local _, got = single.run(float, case, 2)
      assert.is_true(single.compare("y", got, expected, 1e-5))
    end
  end)

  it("counts its multiply-adds", function()
    local graph = single.graph(core, { op = "conv2d", inputs = { { 4, 5, 7 } },
      attrs = { out = 6, kernel = { 3, 2 }, padding = { 1, 0 }, groups = 2 } })
    assert.equal(6 * 5 * 6 * 2 * 3 * 2, graph:nodes()[2].macs)
  end)

  it("refuses what is not a map, groups that do not divide, and kernels larger than the map", function()
    local function refusal(inputs, attrs)
      return single.refusal(core, { op = "conv2d", inputs = { inputs }, attrs = attrs })
    end
    assert.equal("conv2d 'n': input: expected a feature map [C x H x W], got [10]",
      refusal({ 10 }, { out = 3, kernel = 3 }))
    assert.equal("conv2d 'n': groups: expected a divisor of 4 input and 6 output channels, got 4",
      refusal({ 4, 5, 7 }, { out = 6, kernel = 3, groups = 4 }))
    assert.equal("conv2d 'n': input: expected at least 7 positions after padding, got [4x5x7]",
      refusal({ 4, 5, 7 }, { out = 6, kernel = { 4, 2 }, dilation = 2 }))
    assert.equal("conv2d 'n': kernel: missing", refusal({ 4, 5, 7 }, { out = 6 }))
    assert.equal("conv2d 'n': stride: expected a number or a list of two, got a list of 3",
      refusal({ 4, 5, 7 }, { out = 6, kernel = 3, stride = { 1, 2, 3 } }))
  end)
end)
