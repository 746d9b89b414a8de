local child = require "support.child"
local core = require "secateur.core"
local double = require "secateur.core_double"
local errors = require "support.errors"
local needs = require "support.needs"

-- ---- a slow replica from the formula, in lists of lists ----

local function mean_of(matrix, column)
  local sum = 0
  for _, row in ipairs(matrix) do sum = sum + row[column] end
  return sum / #matrix
end

-- Solves a x = b by Gaussian elimination with pivots; b has several columns.
local function solve(a, b)
  local n = #a
  for k = 1, n do
    local best = k
    for i = k + 1, n do if math.abs(a[i][k]) > math.abs(a[best][k]) then best = i end end
    a[k], a[best], b[k], b[best] = a[best], a[k], b[best], b[k]
    for i = k + 1, n do
      local factor = a[i][k] / a[k][k]
      for j = k, n do a[i][j] = a[i][j] - factor * a[k][j] end
      for j = 1, #b[i] do b[i][j] = b[i][j] - factor * b[k][j] end
    end
  end
  for k = n, 1, -1 do
    for j = 1, #b[k] do
      for i = k + 1, n do b[k][j] = b[k][j] - a[k][i] * b[i][j] end
      b[k][j] = b[k][j] / a[k][k]
    end
  end
  return b
end

local function dot(a, b)
  local sum = 0
  for i = 1, #a do sum = sum + a[i] * b[i] end
  return sum
end

local function live_columns(x)
  local live = {}
  for c = 1, #x[1] do
    for _, row in ipairs(x) do
      if row[c] ~= 0 then
        live[#live + 1] = c
        break
      end
    end
  end
  return live
end

-- Weights and biases of the fit.
local function replica(x, y, weight, opts)
  local live, units = live_columns(x), #y[1]
  local x_mean, rows = {}, {}
  for k, c in ipairs(live) do x_mean[k] = opts.bias and mean_of(x, c) or 0 end
  for r, row in ipairs(x) do
    rows[r] = {}
    for k, c in ipairs(live) do rows[r][k] = row[c] - x_mean[k] end
  end
  local function old(u)
    local list = {}
    for k, c in ipairs(live) do list[k] = weight[u][c] end
    return list
  end
  local function equations()
    local a, trace = {}, 0
    for i = 1, #live do
      a[i] = {}
      for j = 1, #live do
        local sum = 0
        for _, row in ipairs(rows) do sum = sum + row[i] * row[j] end
        a[i][j] = sum
      end
      trace = trace + a[i][i]
    end
    for i = 1, #live do a[i][i] = a[i][i] + opts.ridge * trace / #live end
    return a
  end
  local wanted, y_mean, change = y, {}, nil
  for pass = 0, opts.rectified and opts.passes or 0 do
    local target = {}
    for r = 1, #y do
      target[r] = {}
      for u = 1, units do
        local least = opts.threshold and opts.threshold[r][u] or 0
        target[r][u] = wanted[r][u]
        if pass > 0 and wanted[r][u] < least then
          local made = dot(rows[r], old(u)) + y_mean[u]
          for k = 1, #live do made = made + rows[r][k] * change[k][u] end
          target[r][u] = math.min(made, least)
        end
      end
    end
    local right = {}
    for u = 1, units do y_mean[u] = opts.bias and mean_of(target, u) or 0 end
    for k = 1, #live do
      right[k] = {}
      for u = 1, units do
        local sum = 0
        for r = 1, #y do sum = sum + rows[r][k] * (target[r][u] - y_mean[u] - dot(rows[r], old(u))) end
        right[k][u] = sum
      end
    end
    change = solve(equations(), right)
  end
  local fitted, bias = {}, {}
  for u = 1, units do
    fitted[u] = table.move(weight[u], 1, #weight[u], 1, {})
    bias[u] = y_mean[u]
    for k, c in ipairs(live) do
      fitted[u][c] = fitted[u][c] + change[k][u]
      bias[u] = bias[u] - fitted[u][c] * x_mean[k]
    end
  end
  return fitted, bias
end

-- A problem with dead columns, means that are not zero and outputs that depend on the inputs, in either build.
local function problem(build, rows, columns, units, seed)
  local x = build.randn(rows, columns, { seed = seed, mean = 0.3 })
  for r = 1, rows do
    for c = 3, columns, 7 do x:set(0, r, c) end
  end
  local truth = build.randn(columns, units, { seed = seed + 1, std = 0.3 })
  local y = x:matmul(truth) + build.randn(rows, units, { seed = seed + 2, std = 0.5 })
  return x, y, build.randn(units, columns, { seed = seed + 3, std = 0.3 })
end

local function compare(rows, columns, units, opts)
  local x, y, weight = problem(double, rows, columns, units, 11)
  local threshold = opts.threshold and double.randn(rows, units, { seed = 5 })
  local expected, shift = replica(x:totable(), y:totable(), weight:totable(), { ridge = opts.ridge, bias = opts.bias,
    rectified = opts.rectified, passes = 2, threshold = threshold and threshold:totable() })
  local fitted, bias = double.least_squares(x, y, weight, opts.bias and double.zeros(units) or nil,
    { ridge = opts.ridge, rectified = opts.rectified, threshold = threshold })
  assert.is_true(fitted:allclose(double.tensor(expected), 1e-8, 1e-8))
  if opts.bias then assert.is_true(bias:allclose(double.tensor(shift), 1e-8, 1e-8)) else assert.is_nil(bias) end
end

describe("least squares", function()
  it("is ridge regression from the weights that are there, with the best bias", function()
    compare(60, 20, 3, { ridge = 0.1, bias = true })
    compare(200, 90, 2, { ridge = 0.01, bias = true }) -- several blocks of the factor
    compare(60, 20, 3, { ridge = 0.1 })
  end)

  it("is the same where columns outnumber rows", function()
    compare(30, 80, 3, { ridge = 0.1, bias = true })
    compare(70, 90, 2, { ridge = 0.02 })
  end)

  it("leaves outputs below a ReLU's threshold free", function()
    compare(80, 15, 4, { ridge = 0.1, bias = true, rectified = true })
    compare(80, 15, 4, { ridge = 0.1, bias = true, rectified = true, threshold = true })
    compare(20, 40, 3, { ridge = 0.1, bias = true, rectified = true })
  end)

  it("keeps what is not to be fitted, and weights of dead columns", function()
    local x, y, weight = problem(double, 50, 12, 4, 3)
    local all = double.least_squares(x:clone(), y:clone(), weight, double.zeros(4), {})
    local before = double.tensor { 5, 6, 7, 8 }
    local fitted, bias = double.least_squares(x:clone(), y:clone(), weight, before, { keep = { 2, 3 } })
    for u = 1, 4 do
      local kept = u == 2 or u == 3
      assert.is_true(fitted[u]:allclose(kept and all[u] or weight[u], 1e-12, 1e-12))
      assert.equal(not kept, bias:get(u) == before:get(u))
      for c = 3, 12, 7 do assert.equal(weight:get(u, c), fitted:get(u, c)) end
    end
    assert.same({ 5, 6, 7, 8 }, before:totable())
  end)

  it("finds the weights that made the outputs, and says how far both are off", function()
    local x, _, weight = problem(double, 90, 30, 5, 21)
    local truth = double.randn(5, 30, { seed = 9 })
    local columns = {}
    for i, row in ipairs(truth:totable()) do columns[i] = row end
    local y = double.zeros(90, 5)
    for r = 1, 90 do
      for u = 1, 5 do y:set(dot(x[r]:totable(), columns[u]) + u, r, u) end
    end
    local fitted, bias, info = double.least_squares(x:clone(), y:clone(), weight, double.zeros(5), { ridge = 1e-12 })
    for c = 1, 30 do
      if (c - 3) % 7 ~= 0 then
        for u = 1, 5 do assert.near(truth:get(u, c), fitted:get(u, c), 1e-7) end
      end
    end
    assert.is_true(bias:allclose(double.tensor { 1, 2, 3, 4, 5 }, 1e-7, 1e-7))
    assert.is_true(info.before > 1 and info.after < 1e-12)
    assert.equal(26, info.live)
  end)

  it("fits nothing but the bias to inputs that do not change", function()
    local x = double.ones(10, 3) * 2
    local y = double.randn(10, 2, { seed = 1 })
    local weight = double.randn(2, 3, { seed = 2 })
    local fitted, bias = double.least_squares(x, y:clone(), weight, double.zeros(2), {})
    assert.same(weight:totable(), fitted:totable())
    for u = 1, 2 do
      local made = 2 * weight[u]:sum() + bias:get(u)
      assert.near(mean_of(y:totable(), u), made, 1e-12)
    end
  end)

  it("has the same bits with any number of threads, on every level", function()
    local script = [[
      local core = require "secateur.core"
      local x, y = core.randn(300, 150, { seed = 1 }), core.randn(300, 70, { seed = 2 })
      local weight, bias = core.least_squares(x, y, core.randn(70, 150, { seed = 3 }), core.zeros(70),
        { rectified = true, ridge = 0.01 })
      for _, list in ipairs { weight:reshape(70 * 150):totable(), bias:totable() } do
        for _, number in ipairs(list) do io.write(("%a "):format(number)) end
      end]]
    local first
    for _, level in ipairs(needs.levels) do
      needs.level(pending, level)
      for threads = 1, 3 do
        local text = child.run(script, ("SECATEUR_CPU=%s OMP_NUM_THREADS=%d %%s"):format(level, threads))
        first = first or text
        assert.is_true(#text > 50000 and text == first, level .. " " .. threads)
      end
    end
  end)

  it("says what is wrong", function()
    local function wrong(message, ...)
      assert.equal("least_squares: " .. message, errors.text(core.least_squares, ...))
    end
    local x, y, weight = problem(core, 20, 6, 2, 1)
    wrong("expected x [R x P], y [R x U] and weight [U x P]", x, y, core.zeros(2, 5), nil, {})
    wrong("bias: expected a Tensor [2]", x, y, weight, core.zeros(3), {})
    wrong("ridge: expected a number of at least 0, got -1.0", x, y, weight, nil, { ridge = -1 })
    local broken = x:clone()
    broken:set(0 / 0, 3, 2)
    wrong("x: expected finite numbers", broken, y:clone(), weight, nil, {})
    broken = y:clone()
    broken:set(1 / 0, 3, 2)
    wrong("y: expected finite numbers", x:clone(), broken, weight, nil, {})
    local twice = double.ones(24, 2)
    for r = 1, 24 do -- squares that add up to that of 70, so that the second pivot is 0 exactly
      twice:set(r, r, 1)
      twice:set(r, r, 2)
    end
    assert.equal("cholesky: expected a positive definite matrix, pivot 2 is 0",
      errors.text(double.least_squares, twice, double.ones(24, 1), double.zeros(1, 2), nil, { ridge = 0 }))
  end)
end)
