local core = require "secateur.core_double"
local gradcheck = require "support.gradcheck"
local reference = require "support.reference"
local single = require "support.single"

local function pair(value) return type(value) == "table" and value or { value, value } end

-- The mean of each window, summed element by element; x is [planes x h x w].
local function replica(x, h, w, attrs)
  local k, p, s = pair(attrs.kernel), pair(attrs.padding or 0), pair(attrs.stride or attrs.kernel)
  local oh, ow = (h + 2 * p[1] - k[1]) // s[1] + 1, (w + 2 * p[2] - k[2]) // s[2] + 1
  local y = {}
  for o = 0, #x // (h * w) * oh * ow - 1 do
    local sum, count = 0, 0
    for i = 0, k[1] - 1 do
      for j = 0, k[2] - 1 do
        local r, c = o // ow % oh * s[1] - p[1] + i, o % ow * s[2] - p[2] + j
        if r >= 0 and r < h and c >= 0 and c < w then
          sum, count = sum + x[(o // (oh * ow) * h + r) * w + c + 1], count + 1
        end
      end
    end
    y[#y + 1] = sum / (attrs.count_include_pad == false and count or k[1] * k[2])
  end
  return y
end

local cases = {
  { kernel = 2 },
  { kernel = 3, stride = 2, padding = 1 },
  { kernel = 3, stride = 2, padding = 1, count_include_pad = false },
  { kernel = { 3, 2 }, stride = { 1, 3 }, padding = { 1, 0 }, count_include_pad = false },
  { kernel = { 2, 9 }, stride = 1 },
}

describe("avg_pool2d", function()
  it("agrees with PyTorch", function() assert.is_true(reference.check "avg_pool2d") end)

  it("has the gradient of its values", function()
    for _, attrs in ipairs(cases) do gradcheck.check { op = "avg_pool2d", inputs = { { 2, 7, 9 } }, attrs = attrs } end
  end)

  it("takes the mean of each window, of the kernel's size or without the padding", function()
    for _, attrs in ipairs(cases) do
      local x, y = single.run(core, { op = "avg_pool2d", inputs = { { 2, 7, 9 } }, attrs = attrs }, 3)
      assert.is_true(single.compare("y", y, replica(x, 7, 9, attrs), 1e-14))
    end
  end)

  it("refuses what is not a map, and windows outside of it", function()
    local function refusal(inputs, attrs)
      return single.refusal(core, { op = "avg_pool2d", inputs = { inputs }, attrs = attrs })
    end
    assert.equal("avg_pool2d 'n': input: expected a feature map [C x H x W], got [7]", refusal({ 7 }, { kernel = 2 }))
    assert.equal("avg_pool2d 'n': kernel: expected at most 5, the height after padding, got 6",
      refusal({ 2, 3, 7 }, { kernel = 6, padding = { 1, 0 } }))
    assert.equal("avg_pool2d 'n': padding: expected at most 0, half the kernel, got 1",
      refusal({ 2, 5, 7 }, { kernel = 1, padding = 1 }))
  end)
end)
