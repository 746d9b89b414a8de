local core = require "secateur.core_double"
local gradcheck = require "support.gradcheck"
local reference = require "support.reference"
local single = require "support.single"

local cases = { { 1, 1 }, { 3, 2 }, { 7, 9 }, { 11, 4 }, { 2, 13 } }

local function replica(x, h, w, oh, ow)
  local y = {}
  for o = 0, #x // (h * w) * oh * ow - 1 do
    local i, j, sum, count = o // ow % oh, o % ow, 0, 0
    for r = i * h // oh, math.ceil((i + 1) * h / oh) - 1 do
      for c = j * w // ow, math.ceil((j + 1) * w / ow) - 1 do
        sum, count = sum + x[(o // (oh * ow) * h + r) * w + c + 1], count + 1
      end
    end
    y[#y + 1] = sum / count
  end
  return y
end

describe("adaptive_avg_pool2d", function()
  it("agrees with PyTorch", function() assert.is_true(reference.check "adaptive_avg_pool2d") end)

  it("has the gradient of its values, also for outputs larger than the input", function()
    for _, output in ipairs(cases) do
      gradcheck.check { op = "adaptive_avg_pool2d", inputs = { { 2, 5, 7 } }, attrs = { output = output } }
    end
  end)

  it("takes the mean of the windows that cover the input evenly", function()
    for _, output in ipairs(cases) do
      local case = { op = "adaptive_avg_pool2d", inputs = { { 2, 7, 9 } }, attrs = { output = output } }
      local x, y = single.run(core, case, 3)
      assert.is_true(single.compare("y", y, replica(x, 7, 9, output[1], output[2]), 1e-14))
    end
  end)

  it("refuses what is not a map, and a missing output", function()
    local function refusal(inputs, attrs)
      return single.refusal(core, { op = "adaptive_avg_pool2d", inputs = { inputs }, attrs = attrs })
    end
    assert.equal("adaptive_avg_pool2d 'n': input: expected a feature map [C x H x W], got [5x7]",
      refusal({ 5, 7 }, { output = 2 }))
    assert.equal("adaptive_avg_pool2d 'n': output: missing", refusal { 2, 5, 7 })
    assert.equal("adaptive_avg_pool2d 'n': output: expected a whole number in 1..2147483647, got 0",
      refusal({ 2, 5, 7 }, { output = { 1, 0 } }))
  end)
end)
