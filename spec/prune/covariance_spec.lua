local core = require "secateur.core"
local builder = require "secateur.models.builder"

-- Mean and covariance of rows, in Lua's doubles.
local function slow(rows)
  local mean, matrix = {}, {}
  for u = 1, #rows[1] do
    mean[u] = 0
    for _, row in ipairs(rows) do mean[u] = mean[u] + row[u] / #rows end
  end
  for u = 1, #mean do
    matrix[u] = {}
    for v = 1, #mean do
      local sum = 0
      for _, row in ipairs(rows) do sum = sum + (row[u] - mean[u]) * (row[v] - mean[v]) end
      matrix[u][v] = sum / #rows
    end
  end
  return mean, matrix
end

local function assert_near(expected, got, tolerance)
  assert.equal(#expected, #got)
  for i, value in ipairs(expected) do
    assert.is_true(math.abs(value - got[i]) <= tolerance, ("%d: %g, got %g"):format(i, value, got[i]))
  end
end

local function check(covariance, rows)
  local mean, matrix = slow(rows)
  assert_near(mean, covariance:means(), 1e-4)
  local found = covariance:matrix()
  for u, row in ipairs(matrix) do
    assert_near(row, found[u], 2e-5)
    assert.equal(found[u][u], covariance:variances()[u])
  end
end

-- A network whose values are its input, in the shape asked for.
local function identity(shape, tokens)
  local net, x = builder.new(shape)
  x = net:relu("value", x)
  if tokens then x = net:tokens("tokens", x) end
  net.graph:output(x)
  return net.graph, x
end

describe("covariance", function()
  it("is that of all rows, far from zero too", function()
    local x = core.randn(2500, 5, { seed = 1 }) + 300
    x:set(1e-3, 1, 5)
    local covariance = core.covariance(5)
    covariance:add_rows(x:view(1, 700))
    covariance:add_rows(x:view(701, 2500))
    assert.equal(2500, (covariance:count()))
    x = x:totable()
    local mean, matrix = slow(x)
    assert_near(mean, covariance:means(), 1e-3)
    for u, row in ipairs(covariance:matrix()) do assert_near(matrix[u], row, u == 5 and 0.05 or 1e-3) end
  end)

  it("does not depend on batches", function()
    local x = core.randn(5000, 7, { seed = 2 })
    local whole, parts = core.covariance(7), core.covariance(7)
    whole:add_rows(x)
    for first = 1, 5000, 37 do parts:add_rows(x:view(first, math.min(first + 36, 5000))) end
    assert.same(whole:matrix(), parts:matrix())
    assert.same(whole:means(), parts:means())
  end)

  it("takes every position of maps, tokens and vectors as a row", function()
    local x = core.rand(6, 3, 4, 5, { seed = 3 })
    local rows, list = {}, x:totable()
    for _, image in ipairs(list) do
      for h = 1, 4 do
        for w = 1, 5 do rows[#rows + 1] = { image[1][h][w], image[2][h][w], image[3][h][w] } end
      end
    end
    for _, tokens in ipairs { false, true } do
      local graph, name = identity({ 3, 4, 5 }, tokens)
      local plan, covariance = core.plan(graph, { batch = 4, keep = { name } }), core.covariance(3)
      for first = 1, 6, 4 do
        plan:forward(x:view(first, math.min(first + 3, 6)))
        covariance:add(plan, name)
      end
      assert.same({ 120, 6 }, { covariance:count() })
      check(covariance, rows)
    end
  end)

  it("draws as many positions of each image as it is told, by the seed", function()
    local x = core.rand(40, 2, 6, 6, { seed = 4 })
    local graph, name = identity { 2, 6, 6 }
    local function run(batch, seed, positions)
      local plan, covariance = core.plan(graph, { batch = batch, keep = { name } }), core.covariance(2)
      for first = 1, 40, batch do
        plan:forward(x:view(first, first + batch - 1))
        covariance:add(plan, name, { positions = positions, seed = seed })
      end
      return covariance
    end
    local some = run(8, 5, 9)
    assert.same({ 360, 40 }, { some:count() })
    assert.same(some:matrix(), run(10, 5, 9):matrix())
    assert.not_same(some:matrix(), run(8, 6, 9):matrix())
    assert.same(run(8, 0, 36):matrix(), run(8, 1, 100):matrix())
    local all = run(8, 0, 36)
    for u = 1, 2 do
      assert.is_true(math.abs(all:means()[u] - some:means()[u]) < 0.06)
      assert.is_true(math.abs(all:variances()[u] - some:variances()[u]) < 0.015)
    end
  end)

  it("says what is wrong", function()
    local covariance = core.covariance(3)
    assert.equal("Covariance of 3 units, 0 rows of 0 images", tostring(covariance))
    assert.error_matches(function() covariance:means() end, "covariance: expected at least one row, got none",
      nil, true)
    assert.error_matches(function() covariance:add_rows(core.zeros(2, 4)) end,
      "add_rows: x: expected [N x 3], got [2x4]", nil, true)
    covariance:close()
    covariance:close()
    assert.equal("Covariance (closed)", tostring(covariance))
    assert.error_matches(function() covariance:means() end, "means: self: expected a Covariance, got a closed one", nil,
      true)
  end)
end)
