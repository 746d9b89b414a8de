-- Colouring of relevance against the definitions in csrc/image/colour.h, written out in Lua, pixel by pixel.
local core = require "secateur.core"
local double = require "secateur.core_double"
local errors = require "support.errors"

-- The table at t in -1..1; zero counts from 1.
local function look_up(rows, zero, t)
  local position = t < 0 and zero - (zero - 1) * -t or zero + t * (#rows - zero)
  local row = math.min(math.floor(position), #rows - 1)
  local rest, colour = position - row, {}
  for c = 1, 3 do colour[c] = (1 - rest) * rows[row][c] + rest * rows[row + 1][c] end
  return colour
end

local function reference(relevance, rows, opts)
  local out, scale, zero = { {}, {}, {} }, opts.scale or 1, opts.zero or 1
  for y = 1, #relevance * scale do
    for c = 1, 3 do out[c][y] = {} end
    for x = 1, #relevance[1] * scale do
      local value = relevance[(y - 1) // scale + 1][(x - 1) // scale + 1]
      local t = opts.limit > 0 and math.min(1, math.abs(value) / opts.limit) ^ (opts.gamma or 1) or 0
      if value < 0 then t = -t end
      if zero == 1 then t = math.max(t, 0) end
      local below, opacity, at = 0, 1, t
      if opts.background then
        below = opts.background[y][x]
        opacity = math.min(1, (opts.alpha or 1) * (1 - (1 - math.abs(t)) ^ 2))
        at = (t < 0 and -1 or 1) * (0.5 + 0.4 * math.abs(t))
      end
      local colour = look_up(rows, zero, at)
      for c = 1, 3 do out[c][y][x] = below + opacity * (colour[c] - below) end
    end
  end
  return out
end

-- Numbers in low..high, the same each time.
local function grid(seed, height, width, low, high)
  local rows = {}
  for y = 1, height do
    rows[y] = {}
    for x = 1, width do rows[y][x] = low + (high - low) * (core.mix(core.mix(seed, y), x) % 10007) / 10006 end
  end
  return rows
end

describe("image_colormap", function()
  local cases = {
    { limit = 1 },
    { limit = 0.4, zero = 3 },
    { limit = 0.4, zero = 3, gamma = 0.5 },
    { limit = 2, zero = 5, gamma = 3, scale = 3 },
    { limit = 0.7, zero = 3, gamma = 0.7, alpha = 0.6, background = grid(5, 4, 6, 0, 1) },
    { limit = 0.7, alpha = 4, background = grid(6, 8, 12, 0, 1), scale = 2 },
    { limit = 0, zero = 3 },
    { limit = 0, zero = 3, alpha = 1, background = grid(7, 4, 6, 0, 1) },
  }
  for _, library in ipairs { core, double } do
    for i, case in ipairs(cases) do
      it(("follows its definition, case %d%s"):format(i, library == double and " in double precision" or ""), function()
        local relevance, rows = grid(i, 4, 6, -1, 1), grid(100 + i, 6, 3, 0, 1)
        relevance[2][3], relevance[3][1] = 0, -0.0
        local opts = {}
        for key, value in pairs(case) do opts[key] = key == "background" and library.tensor(value) or value end
        local out = library.image_colormap(library.tensor(relevance), library.tensor(rows), opts)
        assert.same({ 3, 4 * (case.scale or 1), 6 * (case.scale or 1) }, out:shape())
        assert.is_true(out:allclose(library.tensor(reference(relevance, rows, case)), 1e-6,
          library == core and 1e-6 or 1e-14))
      end)
    end
  end

  it("meets the row of zero and both ends exactly", function()
    local rows = { { 0.1, 0.2, 0.3 }, { 0.9, 0.8, 0.7 }, { 0.3, 0.6, 0.9 } }
    local out = core.image_colormap(core.tensor { { 0, -5, -3, 3, 7 } }, core.tensor(rows), { limit = 3, zero = 2 })
    for x, row in ipairs { 2, 1, 1, 3, 3 } do
      for c = 1, 3 do assert.equal(core.tensor({ rows[row][c] }):get(1), out:get(c, 1, x)) end
    end
  end)

  it("leaves the picture alone where nothing is relevant", function()
    local background = core.tensor(grid(3, 5, 5, 0, 1))
    local out = core.image_colormap(core.zeros(5, 5), core.rand(9, 3, { seed = 1 }), { limit = 1, zero = 5,
      background = background })
    for c = 1, 3 do assert.same(background:totable(), out[c]:totable()) end
  end)

  it("keeps apart what differs least and most", function()
    local tiny, huge = core.tensor({ 1e-38 }):get(1), core.tensor({ 3.4e38 }):get(1)
    local out = core.image_colormap(core.tensor { { huge, -huge, tiny } }, core.tensor { { 0, 0, 0 }, { 0.5, 0.5, 0.5 },
      { 1, 1, 1 } }, { limit = huge, zero = 2 })
    assert.same({ 1, 0, 0.5 }, out[1][1]:totable())
    assert.same({ { 1 } }, core.image_colormap(core.tensor { { tiny } }, core.tensor { { 0, 0, 0 }, { 1, 1, 1 } },
      { limit = tiny })[1]:totable())
  end)

  it("says what is wrong", function()
    local map, plane = core.ones(3, 3), core.zeros(2, 2)
    local function wrong(message, ...)
      assert.matches(message, errors.raised(core.image_colormap, ...), 1, true)
    end
    wrong("image_colormap: relevance: expected [H,W], got [3x2x2]", core.zeros(3, 2, 2), map, { limit = 1 })
    wrong("image_colormap: relevance: expected a Tensor, got 3", 3, map, { limit = 1 })
    wrong("image_colormap: table: expected [N,3] with N of at least 2, got [1x3]", plane, core.ones(1, 3),
      { limit = 1 })
    wrong("image_colormap: table: expected numbers in 0..1, got 2.0", plane, map * 2, { limit = 1 })
    wrong("image_colormap: options: expected a table", plane, map)
    wrong("image_colormap: limit: expected a number in 0", plane, map, {})
    wrong("image_colormap: limit: expected a number in 0", plane, map, { limit = 0 / 0 })
    wrong("image_colormap: gamma: expected a number in", plane, map, { limit = 1, gamma = 0 })
    wrong("image_colormap: zero: expected a whole number in 1..2, got 3", plane, map, { limit = 1, zero = 3 })
    wrong("image_colormap: scale: expected at most 65535 pixels a side, got 40000 times [2x2]", plane, map,
      { limit = 1, scale = 40000 })
    wrong("image_colormap: background: expected [4x4], got [2x2]", plane, map,
      { limit = 1, scale = 2, background = plane })
    wrong("image_colormap: background: expected a Tensor", plane, map, { limit = 1, background = "x" })
    wrong("image_colormap: background: expected finite numbers, got NaN at [1, 2]", plane, map,
      { limit = 1, background = core.tensor { { 0, 0 / 0 }, { 0, 0 } } })
    wrong("image_colormap: relevance: expected finite numbers, got -inf at [2, 1]",
      core.tensor { { 0, 0 }, { -math.huge, 0 } }, map, { limit = 1 })
    wrong("image_colormap: unknown option 'limits', expected one of: limit, zero", plane, map, { limits = 1 })
  end)
end)

describe("magnitude_percentile", function()
  it("is the nearest rank of the sorted magnitudes", function()
    for _, library in ipairs { core, double } do
      for _, count in ipairs { 1, 2, 3, 10, 999 } do
        local values, magnitudes = library.randn(count, { seed = count }), {}
        values:set(0, 1)
        for i, value in ipairs(values:totable()) do magnitudes[i] = math.abs(value) end
        table.sort(magnitudes)
        for _, percentile in ipairs { 1e-9, 0.5, 10, 33.3, 50, 66.7, 90, 99, 99.5, 100 } do
          local rank = math.max(1, math.ceil(count * percentile / 100))
          assert.equal(magnitudes[rank], (library.magnitude_percentile(values, percentile)))
        end
      end
    end
  end)

  it("counts ties, signs and extremes as they are", function()
    local values = core.tensor { -2, 2, -2, 0, -0.0, 3e38, 1e-45, -1 }
    local expected = { 0, 0, core.tensor({ 1e-45 }):get(1), 1, 2, 2, 2, core.tensor({ 3e38 }):get(1) }
    for rank = 1, 8 do assert.equal(expected[rank], (core.magnitude_percentile(values, 12.5 * rank))) end
  end)

  it("says what is wrong", function()
    assert.same({ n = 2, nil, "relevance: expected finite numbers, got inf at [1, 2]" },
      table.pack(core.magnitude_percentile(core.tensor { 1, math.huge }, 50)))
    assert.error_matches(function() core.magnitude_percentile(core.ones(2), 0) end,
      "magnitude_percentile: percentile: expected a number in (0, 100], got 0.0", 1, true)
    assert.error_matches(function() core.magnitude_percentile(core.ones(2), 0 / 0) end, "percentile: expected")
    assert.error_matches(function() core.magnitude_percentile("x", 50) end,
      "magnitude_percentile: tensor: expected a Tensor, got", 1, true)
  end)
end)
