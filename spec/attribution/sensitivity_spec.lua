local core = require "secateur.core"
local sensitivity = require "secateur.attribution.sensitivity"

describe("max-sensitivity", function()
  local w = core.randn(12, { seed = 1 })
  local x = core.randn(3, 1, 3, 4, { seed = 2 })
  local opts = { radius = 0.1, draws = 6, seed = 9 }

  it("of a gradient that does not change is zero", function()
    local function gradient(images) return core.zeros(images:size(1), 12) + w end
    assert.same({ 0, 0, 0 }, sensitivity.max(gradient, x, gradient(x), opts))
  end)

  it("of a linear model's gradient times input is that of its noise", function()
    local function times_input(images) return images:reshape(-1, 12) * w end
    local got, expected = sensitivity.max(times_input, x, times_input(x), opts), {}
    for draw = 1, opts.draws do
      local noise = core.rand(3, 1, 3, 4, { seed = core.mix(9, draw), low = -0.1, high = 0.1 })
      for i = 1, 3 do
        local change, base = times_input(noise)[i], times_input(x)[i]
        local relative = math.sqrt((change * change):sum() / (base * base):sum())
        expected[i] = math.max(expected[i] or 0, relative)
      end
    end
    for i = 1, 3 do assert.near(expected[i], got[i], 1e-5 * expected[i]) end
  end)

  it("is undefined for an explanation that is zero", function()
    local function nothing(images) return core.zeros(images:size(1), 12) end
    assert.same({}, sensitivity.max(nothing, x, nothing(x), opts))
  end)
end)
