local core = require "secateur.core"
local interrupt = require "support.interrupt"

-- ---- the recipe, step by step, on lists of lists ----

local function copy(matrix)
  local out = {}
  for i, row in ipairs(matrix) do out[i] = table.move(row, 1, #row, 1, {}) end
  return out
end

-- Gauss and Jordan, without pivoting: matrices here are positive definite.
local function inverse(matrix)
  local a, n = copy(matrix), #matrix
  for i = 1, n do
    for j = 1, n do a[i][n + j] = i == j and 1 or 0 end
  end
  for k = 1, n do
    local pivot = a[k][k]
    for j = 1, 2 * n do a[k][j] = a[k][j] / pivot end
    for i = 1, n do
      local factor = a[i][k]
      for j = 1, i ~= k and 2 * n or 0 do a[i][j] = a[i][j] - factor * a[k][j] end
    end
  end
  local out = {}
  for i = 1, n do out[i] = table.move(a[i], n + 1, 2 * n, 1, {}) end
  return out
end

local function with_ridge(matrix, ridge)
  local out, trace = copy(matrix), 0
  for u, row in ipairs(matrix) do trace = trace + row[u] end
  for u, row in ipairs(out) do row[u] = row[u] + ridge * trace / #matrix end
  return out
end

-- With B spelled out; gives order, costs, and B.
local function slow(h, w, ridge)
  local n, g, b = #h, inverse(with_ridge(h, ridge)), {}
  local order, costs, removed = {}, {}, {}
  for u = 1, n do
    b[u] = {}
    for v = 1, n do b[u][v] = 0 end
  end
  local function cost(u)
    local sum = w[u]
    for _, j in ipairs(order) do sum = sum + w[j] * b[j][u] ^ 2 end
    return sum / g[u][u]
  end
  for step = 1, n do
    local best
    for u = 1, n do
      if not removed[u] and (not best or cost(u) < costs[step]) then best, costs[step] = u, cost(u) end
    end
    local u, k = best, {}
    for v = 1, n do k[v] = g[u][v] / g[u][u] end
    for _, j in ipairs(order) do
      local factor = b[j][u]
      for v = 1, n do b[j][v] = b[j][v] - factor * k[v] end
      b[j][u] = 0
    end
    for v = 1, n do b[u][v] = v == u and 0 or -k[v] end
    local row = table.move(g[u], 1, n, 1, {})
    for i = 1, n do
      for j = 1, n do g[i][j] = g[i][j] - row[i] * row[j] / row[u] end
    end
    order[step], removed[u] = u, true
    if step == n // 2 then order.half = copy(b) end
  end
  return order, costs
end

-- Regression of each removed unit on those kept: coefficients, and the weighted sum of residual variances.
local function regress(h, w, removed)
  local kept, gone, block = {}, {}, {}
  for u = 1, #h do table.insert(removed[u] and gone or kept, u) end
  for i, u in ipairs(kept) do
    block[i] = {}
    for j, v in ipairs(kept) do block[i][j] = h[u][v] end
  end
  local solve, loss, coefficients = inverse(block), 0, {}
  for _, u in ipairs(gone) do
    local residual, row = h[u][u], {}
    for i, v in ipairs(kept) do
      row[v] = 0
      for j, x in ipairs(kept) do row[v] = row[v] + solve[i][j] * h[x][u] end
      residual = residual - row[v] * h[v][u]
    end
    loss, coefficients[u] = loss + w[u] * residual, row
  end
  return loss, coefficients
end

-- Values that depend on one another, and weights.
local function draw(units, rows, seed)
  local x = core.randn(rows, units, { seed = seed })
  local mixed = x:matmul(core.randn(units, units, { seed = seed + 1 })) + x
  local covariance, w = core.covariance(units), {}
  covariance:add_rows(mixed)
  for u, value in ipairs(core.rand(units, { seed = seed + 2 }):totable()) do w[u] = value end
  return covariance, w
end

local function near(expected, got, tolerance)
  return math.abs(expected - got) <= tolerance * math.max(math.abs(expected), math.abs(got), 1e-12)
end

describe("redundancy", function()
  it("is the recipe", function()
    for seed, units in ipairs { 1, 2, 7, 40 } do
      local covariance, w = draw(units, 3 * units + 5, 10 * seed)
      local order, costs = covariance:redundancy(w, 1e-3)
      local expected, slow_costs = slow(covariance:matrix(), w, 1e-3)
      for step = 1, units do
        assert.equal(expected[step], order[step])
        assert.is_true(near(slow_costs[step], costs[step], 1e-7), ("%g, %g"):format(slow_costs[step], costs[step]))
      end
    end
  end)

  it("adds up to the weighted error of regression on the units kept, after every removal", function()
    local units = 150 -- more than wait for one update
    local covariance, w = draw(units, 400, 3)
    local order, costs = covariance:redundancy(w, 1e-2)
    local h = with_ridge(covariance:matrix(), 1e-2)
    local sum, removed = 0, {}
    for step, u in ipairs(order) do
      sum, removed[u] = sum + costs[step], true
      if step == 1 or step == 63 or step == 64 or step == 65 or step == 120 or step == units then
        assert.is_true(near((regress(h, w, removed)), sum, 1e-6))
      end
    end
  end)

  it("takes first what costs least of all", function()
    local units = 12
    local covariance, w = draw(units, 60, 5)
    local order, costs = covariance:redundancy(w, 1e-3)
    local h = with_ridge(covariance:matrix(), 1e-3)
    local best, loss = nil, math.huge
    for u = 1, units do
      local own = regress(h, w, { [u] = true })
      if own < loss then best, loss = u, own end
    end
    assert.equal(best, order[1])
    assert.is_true(near(loss, costs[1], 1e-7))
  end)

  it("predicts removed units as regression does", function()
    local covariance, w = draw(10, 60, 6)
    local order = slow(covariance:matrix(), w, 1e-3)
    local removed = {}
    for step = 1, 5 do removed[order[step]] = true end
    local _, coefficients = regress(with_ridge(covariance:matrix(), 1e-3), w, removed)
    for u, row in pairs(coefficients) do
      for v, value in pairs(row) do assert.is_true(near(value, order.half[u][v], 1e-6)) end
    end
  end)

  it("removes what others say in full before what nobody else says", function()
    local x = core.randn(500, 4, { seed = 7 })
    local rows = x:totable()
    for _, row in ipairs(rows) do row[3] = row[1] - row[2] end -- 4 is alone, but of little weight
    local covariance = core.covariance(4)
    covariance:add_rows(core.tensor(rows))
    local order, costs = covariance:redundancy({ 1, 1, 1, 0.3 }, 1e-4)
    assert.is_true(order[1] ~= 4 and order[2] == 4)
    assert.is_true(costs[1] < 1e-2 and costs[2] > 0.2)
  end)

  it("has no opinion of units that never vary, and removes those first that do not matter", function()
    local covariance = core.covariance(3)
    covariance:add_rows(core.ones(5, 3))
    local order, costs = covariance:redundancy({ 0, 0, 0 }, 1e-3)
    assert.same({ { 1, 2, 3 }, { 0, 0, 0 } }, { order, costs })
    local x = core.randn(50, 3, { seed = 8 }):totable()
    for _, row in ipairs(x) do row[2] = 4 end
    covariance = core.covariance(3)
    covariance:add_rows(core.tensor(x))
    order, costs = covariance:redundancy({ 1, 0, 1 }, 1e-3)
    assert.equal(2, order[1])
    assert.equal(0, costs[1])
  end)

  it("can be interrupted", function()
    interrupt.check { setup = [[
      local covariance, w = core.covariance(3000), {}
      covariance:add_rows(core.randn(3100, 3000, { seed = 1 }))
      for u = 1, 3000 do w[u] = 1 end
      covariance:variances()
    ]], call = "covariance.redundancy, covariance, w, 1e-3" }
  end)

  it("says what is wrong", function()
    local covariance = core.covariance(2)
    local function fails(message, ...)
      local arguments = table.pack(...)
      assert.error_matches(function() covariance:redundancy(table.unpack(arguments, 1, arguments.n)) end, message, nil,
        true)
    end
    fails("redundancy: ridge: expected a finite number above 0, got 0", { 1, 1 }, 0)
    fails("redundancy: weights: expected 2 numbers, one per unit, got 1", { 1 }, 1)
    fails("redundancy: weights: expected finite numbers of at least 0, got -1", { 1, -1 }, 1)
    fails("redundancy: covariance: expected at least one row, got none", { 1, 1 }, 1)
  end)
end)
