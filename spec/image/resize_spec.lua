-- Resizing: the triangle filter against the same formula written out in Lua.
local core = require "secateur.core"

-- Weights of `size` outputs over `from` inputs: a triangle of half-width max(scale, 1) source pixels, normalised.
local function weights(from, size)
  local scale, rows = from / size, {}
  local reach = math.max(scale, 1)
  for o = 1, size do
    local centre, sum, row = (o - 0.5) * scale, 0, {}
    for i = 1, from do
      row[i] = math.max(0, 1 - math.abs(i - 0.5 - centre) / reach)
      sum = sum + row[i]
    end
    for i = 1, from do row[i] = row[i] / sum end
    rows[o] = row
  end
  return rows
end

local function reference(plane, height, width)
  local down, across, out = weights(#plane, height), weights(#plane[1], width), {}
  for y = 1, height do
    out[y] = {}
    for x = 1, width do
      local sum = 0
      for j, row in ipairs(plane) do
        for i, value in ipairs(row) do sum = sum + down[y][j] * across[x][i] * value end
      end
      out[y][x] = sum
    end
  end
  return out
end

local function picture(channels, height, width)
  local planes = {}
  for c = 1, channels do
    planes[c] = {}
    for y = 1, height do
      planes[c][y] = {}
      for x = 1, width do planes[c][y][x] = core.mix(core.mix(c, y), x) % 1000 / 999 end
    end
  end
  return planes
end

describe("image_resize", function()
  local cases = { { 7, 5, 3, 4 }, { 5, 7, 13, 9 }, { 6, 11, 6, 5 }, { 1, 1, 3, 3 }, { 9, 9, 1, 1 },
    { 40, 31, 7, 4 } }
  for _, case in ipairs(cases) do
    local h, w, height, width = table.unpack(case)
    it(("follows its formula from %dx%d to %dx%d"):format(h, w, height, width), function()
      local planes = picture(2, h, w)
      local out = core.image_resize(core.tensor(planes), height, width)
      assert.same({ 2, height, width }, out:shape())
      for c = 1, 2 do
        assert.is_true(out[c]:allclose(core.tensor(reference(planes[c], height, width)), 1e-5, 1e-6))
      end
    end)
  end

  it("gives the same picture at the same size", function()
    local image = core.tensor(picture(3, 6, 8))
    assert.same(image:totable(), core.image_resize(image, 6, 8):totable())
  end)

  it("checks its arguments", function()
    assert.has_error(function() core.image_resize(core.zeros(4, 4), 2, 2) end,
      "image_resize: tensor: expected [C,H,W], got [4x4]")
    assert.has_error(function() core.image_resize(core.zeros(1, 4, 4), 0, 2) end,
      "image_resize: height: expected a whole number in 1..65535, got 0")
  end)
end)
