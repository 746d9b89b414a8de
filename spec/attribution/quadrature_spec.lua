local quadrature = require "secateur.attribution.quadrature"

local function integral(name, n, f)
  local at, weight = quadrature.points(name, n)
  local sum = 0
  for k, place in ipairs(at) do sum = sum + weight[k] * f(place) end
  return sum, at, weight
end

describe("quadrature", function()
  it("has weights that add up to one and places in order, in 0..1", function()
    for _, name in ipairs(quadrature.names) do
      for _, n in ipairs { 1, 2, 3, 7, 8, 32, 64, 65, 257 } do
        local sum, at = integral(name, n, function() return 1 end)
        assert.near(1, sum, 1e-13)
        assert.equal(name == "trapezoid" and n + 1 or n, #at)
        for k = 1, #at do assert.is_true(at[k] >= 0 and at[k] <= 1 and (k == 1 or at[k] > at[k - 1]), name) end
      end
    end
  end)

  it("by Gauss-Legendre has the places and weights of the tables", function()
    -- Abramowitz and Stegun, table 25.4, on [-1, 1]
    local known = {
      [1] = { { 0, 2 } },
      [2] = { { 0.577350269189626, 1 } },
      [3] = { { 0, 0.888888888888889 }, { 0.774596669241483, 0.555555555555556 } },
      [5] = { { 0, 0.568888888888889 }, { 0.538469310105683, 0.478628670499366 },
        { 0.906179845938664, 0.236926885056189 } },
      [8] = { { 0.183434642495650, 0.362683783378362 }, { 0.525532409916329, 0.313706645877887 },
        { 0.796666477413627, 0.222381034453374 }, { 0.960289856497536, 0.101228536290376 } },
      [64] = { { 0.024350292663424, 0.048690957009140 }, { 0.999305041735772, 0.001783280721696 } },
    }
    for n, pairs_of_n in pairs(known) do
      local at, weight = quadrature.points("gauss_legendre", n)
      for _, pair in ipairs(pairs_of_n) do
        local found = 0
        for k = 1, n do
          if math.abs(math.abs(2 * at[k] - 1) - pair[1]) < 2e-14 then
            assert.near(pair[2], 2 * weight[k], 2e-14)
            found = found + 1
          end
        end
        assert.equal(pair[1] == 0 and 1 or 2, found, ("%d points: %g"):format(n, pair[1]))
      end
    end
  end)

  it("by Gauss-Legendre is exact up to degree 2 n - 1, and not beyond", function()
    for _, n in ipairs { 1, 2, 3, 5, 8, 16, 33, 64 } do
      for _, degree in ipairs { 0, 1, n, 2 * n - 2, 2 * n - 1 } do
        assert.near(1 / (degree + 1), integral("gauss_legendre", n, function(x) return x ^ degree end), 1e-14)
      end
    end
    for n = 1, 4 do
      assert.is_true(math.abs(1 / (2 * n + 1) - integral("gauss_legendre", n, function(x) return x ^ (2 * n) end))
        > 1e-6)
    end
  end)

  it("by midpoints and by the trapezoid has errors that fall with the square of the step", function()
    for _, name in ipairs { "midpoint", "trapezoid" } do
      local function off(n) return math.abs(integral(name, n, math.exp) - (math.exp(1) - 1)) end
      assert.near(4, off(16) / off(32), 0.01)
      assert.near(0.5, integral(name, 5, function(x) return x end), 1e-14)
    end
  end)

  it("makes one schedule for input and nodes, each place once", function()
    assert.same({ 0.25, 0.5, 0, 0.75, 0.5, 0 }, quadrature.schedule("midpoint", 2, true, false))
    assert.same({ 0.0, 0, 1, 0.5, 0, 1, 1.0, 0, 1 }, quadrature.schedule("midpoint", 2, false, true))
    assert.same({ 0.0, 0, 1, 0.25, 0.5, 0, 0.5, 0, 1, 0.75, 0.5, 0, 1.0, 0, 1 },
      quadrature.schedule("midpoint", 2, true, true))
    assert.same({ 0.0, 0.25, 1, 0.5, 0.5, 1, 1.0, 0.25, 1 }, quadrature.schedule("trapezoid", 2, true, true))
    assert.equal(3 * 9, #quadrature.schedule("trapezoid", 8, true, true))
    assert.equal(3 * 17, #quadrature.schedule("gauss_legendre", 8, true, true))
  end)
end)
