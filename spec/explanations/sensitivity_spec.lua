local core = require "secateur.core"
local sensitivity = require "secateur.explanations.sensitivity"

describe("max-sensitivity", function()
  local w = core.randn(12, { seed = 1 })
  local x = core.randn(3, 1, 3, 4, { seed = 2 })
  local opts = { radius = 0.1, draws = 6, seed = 9, first = 4 }

  it("of a gradient that does not change is zero", function()
    local function gradient(images) return core.zeros(images:size(1), 12) + w end
    assert.same({ 0, 0, 0 }, sensitivity.max(gradient, x, gradient(x), opts))
  end)

  it("of a linear model's gradient times input is that of its noise", function()
    local function times_input(images) return images:reshape(-1, 12) * w end
    local got, expected = sensitivity.max(times_input, x, times_input(x), opts), {}
    for draw = 1, opts.draws do
      for i = 1, 3 do
        local noise = core.rand(1, 1, 3, 4, { seed = core.mix(core.mix(9, 3 + i), draw), low = -0.1, high = 0.1 })
        local change, base = times_input(noise)[1], times_input(x)[i]
        local relative = math.sqrt((change * change):sum() / (base * base):sum())
        expected[i] = math.max(expected[i] or 0, relative)
      end
    end
    for i = 1, 3 do assert.near(expected[i], got[i], 1e-5 * expected[i]) end
  end)

  it("is the same for a sample in any batch", function()
    local function square(images) return (images * images):reshape(-1, 12) end
    local whole = sensitivity.max(square, x, square(x), opts)
    local last = x:view(3)
    local alone = sensitivity.max(square, last, square(last), { radius = 0.1, draws = 6, seed = 9, first = 6 })
    assert.near(whole[3], alone[1], 1e-12)
  end)

  it("is undefined for an explanation that is zero", function()
    local function nothing(images) return core.zeros(images:size(1), 12) end
    assert.same({}, sensitivity.max(nothing, x, nothing(x), opts))
  end)
end)
