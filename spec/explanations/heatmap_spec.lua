-- Colour maps by their promises (symmetry, neutral zero, monotone lightness), and the options of heatmap.
local colours = require "secateur.explanations.colormaps"
local core = require "secateur.core"
local errors = require "support.errors"
local sc = require "secateur"

local own = { "orange_blue", "purple_green", "red_blue" }

local function lab(row) return colours.to_oklab(row) end

local function distance(a, b)
  return math.sqrt((a[1] - b[1]) ^ 2 + (a[2] - b[2]) ^ 2 + (a[3] - b[3]) ^ 2)
end

describe("colour map", function()
  it("converts to OKLab and back", function()
    -- Values of the paper that defines it, to its three digits: red, and white.
    for i, expected in ipairs { { 0.628, 0.225, 0.126 }, { 1, 0, 0 } } do
      for k, value in ipairs(lab(i == 1 and { 1, 0, 0 } or { 1, 1, 1 })) do
        assert.near(expected[k], value, 5e-4)
      end
    end
    for red = 0, 4 do
      for blue = 0, 4 do
        local colour = { red / 4, 0.3, blue / 4 }
        for c, value in ipairs(colours.from_oklab(table.unpack(lab(colour)))) do assert.near(colour[c], value, 1e-5) end
      end
    end
  end)

  for _, name in ipairs(own) do
    it(name .. " stands equally far from zero on both sides, and darker with magnitude", function()
      local map = assert(colours.find(name))
      local rows, zero = map.table:totable(), map.zero
      assert.is_true(map.signed)
      assert.equal(257, #rows)
      assert.equal(129, zero)
      local neutral = rows[zero]
      assert.near(neutral[1], neutral[2], 1e-6)
      assert.near(neutral[1], neutral[3], 1e-6)
      local last = 0
      for step = 1, 128 do
        local up, down = lab(rows[zero + step]), lab(rows[zero - step])
        local far = distance(up, lab(neutral))
        assert.near(far, distance(down, lab(neutral)), 2e-4)
        assert.near(up[1], down[1], 2e-4)
        assert.is_true(far > last and up[1] < lab(rows[zero + step - 1])[1])
        assert.is_true(down[1] < lab(rows[zero - step + 1])[1])
        last = far
      end
      assert.is_true(distance(lab(rows[1]), lab(rows[257])) > 0.2)
    end)

    it(name .. " keeps its sides apart for dichromats", function()
      -- Vienot, Brettel and Mollon 1999, with the matrices for linear RGB.
      local function linear(v) return v <= 0.04045 and v / 12.92 or ((v + 0.055) / 1.055) ^ 2.4 end
      local function encode(v)
        v = math.min(1, math.max(0, v))
        return v <= 0.0031308 and 12.92 * v or 1.055 * v ^ (1 / 2.4) - 0.055
      end
      local simulations = { protan = { { 0.11238, 0.88762, 0 }, { 0.11238, 0.88762, 0 }, { 0.00401, -0.00401, 1 } },
        deutan = { { 0.29275, 0.70725, 0 }, { 0.29275, 0.70725, 0 }, { -0.02234, 0.02234, 1 } } }
      local rows = colours.find(name).table:totable()
      for kind, matrix in pairs(simulations) do
        local function seen(row)
          local out = {}
          for c = 1, 3 do
            local sum = 0
            for k = 1, 3 do sum = sum + matrix[c][k] * linear(row[k]) end
            out[c] = encode(sum)
          end
          return lab(out)
        end
        for _, at in ipairs { 257, 193 } do
          assert.is_true(distance(seen(rows[at]), seen(rows[258 - at])) > 0.1, name .. " " .. kind .. " " .. at)
        end
      end
    end)
  end

  it("knows those of other packages", function()
    local function row(name, i)
      local out = {}
      for c, value in ipairs(colours.find(name).table:totable()[i]) do out[c] = math.floor(255 * value + 0.5) end
      return out
    end
    assert.same({ { 0, 0, 255 }, { 128, 128, 255 }, { 255, 255, 255 }, { 255, 0, 0 } },
      { row("bwr", 1), row("bwr", 65), row("bwr", 129), row("bwr", 257) })
    assert.same({ { 0, 0, 77 }, { 0, 0, 255 }, { 255, 255, 255 }, { 128, 0, 0 } },
      { row("seismic", 1), row("seismic", 65), row("seismic", 129), row("seismic", 257) })
    assert.same({ { 68, 1, 84 }, { 33, 145, 140 }, { 253, 231, 37 } },
      { row("viridis", 1), row("viridis", 129), row("viridis", 257) })
  end)

  it("grows monotonously in lightness where it has one side", function()
    for name, sign in pairs { heat = -1, hot = 1, viridis = 1, grey = 1 } do
      local map, last = colours.find(name), nil
      assert.same({ 1, false }, { map.zero, map.signed })
      for _, row in ipairs(map.table:totable()) do
        local lightness = lab(row)[1]
        assert.is_true(not last or sign * (lightness - last) > -1e-3, name)
        last = lightness
      end
    end
  end)

  it("takes colours of one's own", function()
    local map = colours.find { "#000080", "#ffffff", "#800000" }
    assert.is_true(map.signed)
    assert.is_true(map.table[129]:allclose(core.ones(3), 0, 1e-5))
    assert.is_true(map.table[1]:allclose(core.tensor { 0, 0, 128 / 255 }, 0, 1e-5))
    assert.equal(1, colours.find({ "#ffffff", "#800000", one_sided = true }).zero)
  end)
end)

local function pixel(picture, y, x)
  return { picture:get(1, y, x), picture:get(2, y, x), picture:get(3, y, x) }
end

describe("heatmap", function()
  local relevance = core.tensor { { 4, -4, 0 }, { 1, -2, 0 } }

  it("draws zero neutral, and opposite relevance equally far from it", function()
    for _, name in ipairs(own) do
      local picture = sc.heatmap(relevance, { colormap = name, percentile = 100 })
      local neutral = pixel(picture, 1, 3)
      assert.same(colours.find(name).table[129]:totable(), neutral)
      assert.near(distance(lab(pixel(picture, 1, 1)), lab(neutral)), distance(lab(pixel(picture, 1, 2)), lab(neutral)),
        2e-4)
      assert.same(sc.heatmap(-relevance, { colormap = name }):view(1, 3)[1][1]:get(1), pixel(sc.heatmap(relevance,
        { colormap = name }), 1, 2)[1])
    end
  end)

  it("draws nothing as nothing", function()
    local picture = sc.heatmap(core.zeros(3, 4, 5))
    assert.same({ 3, 4, 5 }, picture:shape())
    for c = 1, 3 do assert.near(picture:get(1, 1, 1), picture[c]:mean(), 1e-6) end
    local image = core.rand(4, 5, { seed = 2 })
    for c = 1, 3 do assert.is_true(sc.heatmap(core.zeros(4, 5), { image = image })[c]:allclose(image * 0.75 + 0.15)) end
  end)

  it("adds up channels", function()
    local parts = core.randn(3, 6, 7, { seed = 3 })
    assert.is_true(sc.heatmap(parts):allclose(sc.heatmap(parts:sum(1)), 1e-6, 1e-6))
    assert.is_true(sc.heatmap(parts):allclose(sc.heatmap(parts:sum(1):reshape(1, 6, 7)), 1e-6, 1e-6))
  end)

  it("clips at the percentile, or at the range", function()
    local values = {}
    for i = 1, 10 do values[i] = i end
    local ramp = core.tensor { values }
    local full = pixel(sc.heatmap(ramp), 1, 10)
    local clipped = sc.heatmap(ramp, { percentile = 70 })
    for x = 1, 10 do
      assert.equal(x >= 7, full[1] == clipped:get(1, 1, x) and full[2] == clipped:get(2, 1, x))
    end
    assert.same(clipped:totable(), sc.heatmap(ramp, { range = 7 }):totable())
    assert.same(sc.heatmap(ramp, { range = 20 })[1][1]:view(1, 5):totable(),
      sc.heatmap(ramp * 2, { range = 40 })[1][1]:view(1, 5):totable())
    -- One relevant pixel of 400 is above the default percentile, and still shown.
    local lonely = core.zeros(20, 20)
    lonely:set(1e-3, 5, 5)
    assert.same(full, pixel(sc.heatmap(lonely), 5, 5))
  end)

  it("lifts what is faint by gamma", function()
    local linear, lifted = sc.heatmap(relevance, { gamma = 1, range = 4 }), sc.heatmap(relevance, { gamma = 0.5,
      range = 4 })
    assert.same(pixel(linear, 1, 1), pixel(lifted, 1, 1))
    assert.same(pixel(sc.heatmap(core.tensor { { 2 } }, { gamma = 1, range = 4 }), 1, 1), pixel(lifted, 2, 1))
  end)

  it("spreads relevance by a Gaussian that loses nothing", function()
    local shading = require "secateur.explanations.rendering"
    local plane = core.zeros(9, 12)
    plane:set(2, 1, 2)
    plane:set(-1, 6, 6)
    local smooth = shading.flatten(plane, 1.5)
    assert.near(1, smooth:sum(), 1e-5)
    local sum = 0
    for i = 1, 9 do sum = sum + math.exp(-0.5 * ((i - 6) / 1.5) ^ 2) end
    local across = 0
    for j = 1, 12 do across = across + math.exp(-0.5 * ((j - 6) / 1.5) ^ 2) end
    local alone = core.zeros(9, 12)
    alone:set(-1, 6, 6)
    assert.near(-math.exp(-0.5 * (2 / 1.5) ^ 2) * math.exp(-0.5 * (3 / 1.5) ^ 2) / sum / across,
      shading.flatten(alone, 1.5):get(8, 9), 1e-7)
    assert.not_same(sc.heatmap(plane):totable(), sc.heatmap(plane, { smooth = 1 }):totable())
  end)

  it("shows images of any size below, and none at alpha 0", function()
    local image = core.rand(3, 8, 12, { seed = 4 })
    assert.same({ 3, 4, 6 }, sc.heatmap(relevance, { image = image, scale = 2 }):shape())
    assert.same(sc.heatmap(relevance):totable(), sc.heatmap(relevance, { image = image, alpha = 0 }):totable())
    local faint, strong = sc.heatmap(relevance, { image = image, alpha = 0.2 }), sc.heatmap(relevance,
      { image = image })
    local function colourful(p) return math.abs(p[1] - p[2]) end
    assert.is_true(colourful(pixel(faint, 1, 1)) < colourful(pixel(strong, 1, 1)))
    assert.near(0, colourful(pixel(strong, 1, 3)), 1e-6)
  end)

  it("enlarges in steps, or without", function()
    local steps = sc.heatmap(relevance, { scale = 4 })
    assert.same(pixel(steps, 1, 1), pixel(steps, 4, 4))
    local smooth = sc.heatmap(relevance, { scale = 4, interpolate = true })
    assert.same({ 3, 8, 12 }, smooth:shape())
    assert.not_same(pixel(smooth, 1, 4), pixel(smooth, 1, 1))
  end)

  it("says what is wrong, at the caller's level", function()
    local function wrong(message, ...)
      assert.equal("heatmap: " .. message, errors.inside(function(...) sc.heatmap(...) end, ...))
    end
    wrong("relevance: expected a Tensor [H x W] or [C x H x W], got 3", 3)
    wrong("relevance: expected a Tensor [H x W] or [C x H x W], got [4]", core.zeros(4))
    wrong("relevance: expected a Tensor [H x W] or [C x H x W], got [1 x 1 x 2 x 2]", core.zeros(1, 1, 2, 2))
    wrong("relevance: expected a Tensor of real numbers, got one of int64", core.tensor({ { 1 } }, "int64"))
    wrong("image: expected numbers in 0..1, got a Tensor of int64", core.ones(1, 1),
      { image = core.tensor({ { 1 } }, "int64") })
    wrong("relevance: expected finite numbers, got NaN at [1, 2]", core.tensor { { 0, 0 / 0 } })
    wrong("relevance: expected finite numbers, got inf at [1, 1]", core.tensor { { math.huge, 0 } })
    wrong("image: expected [C x H x W] or [H x W] of the relevance's proportions, got [3 x 3]", relevance,
      { image = core.ones(3, 3) })
    wrong("image: expected finite numbers, got some that are not", relevance, { image = core.full(2, 3, 0 / 0) })
    wrong("colormap: expected one of bwr, cold_hot, grey, heat, hot, orange_blue, purple_green, red_blue, seismic, "
      .. "viridis or a list of colours, got 'jet'", relevance, { colormap = "jet" })
    wrong("colormap: expected an odd number of colours from 3, zero in the middle, got 2", relevance,
      { colormap = { "#000000", "#ffffff" } })
    wrong("colormap: expected colours like '#b2182b', got 'red' at 1", relevance, { colormap = { "red" } })
    wrong("colormap: expected a list of colours and one_sided, got the key 'names'", relevance,
      { colormap = { names = 1 } })
    wrong("colormap: expected one with two sides, since relevance is as low as -4, got 'heat'", relevance,
      { colormap = "heat" })
    wrong("range: expected a number in (0, inf), got 0", relevance, { range = 0 })
    wrong("percentile: expected a number in (0, 100], got 101", relevance, { percentile = 101 })
    wrong("map is called colormap now", relevance, { map = "bwr" })
    wrong("unknown option 'colour', expected one of: alpha, colormap, gamma, image, interpolate, percentile, range, "
      .. "scale, smooth", relevance, { colour = 1 })
  end)
end)
