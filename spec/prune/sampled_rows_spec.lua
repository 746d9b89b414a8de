local core = require "secateur.core"
local errors = require "support.errors"

-- A graph of one convolution, with numbers in it.
local function convolution(attrs)
  local graph = core.graph()
  graph:add("input", "x", {}, { shape = { 4, 9, 7 } })
  graph:add("conv2d", "conv", { "x" }, attrs)
  for i, p in ipairs(graph:parameters()) do
    local sizes = { table.unpack(p.shape) }
    sizes[#sizes + 1] = { seed = i }
    graph:set_parameter(p.name, core.randn(table.unpack(sizes)))
  end
  return graph
end

local function run(graph, x, keep)
  local plan = core.plan(graph, { batch = x:size(1), keep = keep })
  plan:forward(x)
  return plan
end

describe("sampled rows", function()
  for name, attrs in pairs {
    plain = { out = 6, kernel = 3, padding = 1 },
    strided = { out = 6, kernel = { 3, 2 }, stride = { 2, 3 }, padding = { 2, 1 } },
    dilated = { out = 6, kernel = 2, dilation = { 3, 2 } },
    grouped = { out = 6, kernel = 3, groups = 2 },
  } do
    it("of inputs make those of outputs: " .. name, function()
      local graph = convolution(attrs)
      local full = graph:node "conv"
      local shape, given = full.shape, full.attrs
      local plan = run(graph, core.randn(5, 4, 9, 7, { seed = 8 }), { "x", "conv" })
      for _, per_image in ipairs { 1, 4, shape[2] * shape[3] } do
        local outputs = core.zeros(5 * per_image, 6)
        core.sample_rows(plan, "conv", outputs, 0, { per_image = per_image, seed = 3 })
        local groups, weight = given.groups, graph:parameter "conv.weight"
        local units, channels = 6 // groups, 4 // groups
        for g = 1, groups do
          local rows = core.zeros(5 * per_image, channels * given.kernel[1] * given.kernel[2])
          core.sample_rows(plan, "x", rows, 0, { per_image = per_image, seed = 3, kernel = given.kernel,
            stride = given.stride, padding = given.padding, dilation = given.dilation, channels = channels,
            first = (g - 1) * channels + 1 })
          local own = weight:view((g - 1) * units + 1, g * units):reshape(units, -1)
          for r = 1, 5 * per_image do
            for u = 1, units do
              local unit = (g - 1) * units + u
              local made = (rows[r] * own[u]):sum() + graph:parameter "conv.bias":get(unit)
              assert.near(outputs:get(r, unit), made, 1e-4)
            end
          end
        end
      end
    end)
  end

  it("are each position once, spread over the image, whatever the batch and different with every seed", function()
    local graph = core.graph()
    graph:add("input", "x", {}, { shape = { 1, 8, 8 } })
    local images = core.zeros(6, 1, 8, 8)
    for i = 1, 6 do
      for p = 0, 63 do images:set(100 * i + p, i, 1, p // 8 + 1, p % 8 + 1) end
    end
    local function sample(batch, seed, per_image)
      local rows = core.zeros(6 * per_image, 1)
      for first = 0, 5, batch do
        local plan = run(graph, images:view(first + 1, math.min(first + batch, 6)), { "x" })
        core.sample_rows(plan, "x", rows, first, { per_image = per_image, seed = seed })
      end
      return rows:reshape(-1):totable()
    end
    local found = sample(6, 1, 10)
    assert.same(found, sample(4, 1, 10))
    assert.same(found, sample(1, 1, 10))
    assert.not_same(found, sample(6, 2, 10))
    local differ = false
    for i = 1, 6 do
      local before = -1
      for k = 1, 10 do
        local position = found[(i - 1) * 10 + k] - 100 * i
        assert.is_true(position > before and position >= (k - 1) * 64 // 10 and position < k * 64 // 10)
        before = position
        differ = differ or position ~= found[k] - 100
      end
    end
    assert.is_true(differ)
  end)

  it("of tokens and vectors are their features", function()
    local graph = core.graph()
    graph:add("input", "x", {}, { shape = { 5, 3 } })
    graph:add("select", "token", { "x" }, { index = 2 })
    local x = core.randn(2, 5, 3, { seed = 1 })
    local plan = run(graph, x, { "x", "token" })
    local all, one = core.zeros(10, 3), core.zeros(2, 3)
    core.sample_rows(plan, "x", all, 0, { per_image = 5 })
    core.sample_rows(plan, "token", one, 0, { per_image = 1 })
    assert.same(x:reshape(10, 3):totable(), all:totable())
    for i = 1, 2 do assert.same(x[i][2]:totable(), one[i]:totable()) end
  end)

  it("says what is wrong", function()
    local graph = convolution { out = 6, kernel = 3 }
    local plan = run(graph, core.zeros(2, 4, 9, 7), { "conv" })
    local function wrong(message, ...)
      assert.equal("sample_rows: " .. message, errors.text(core.sample_rows, plan, ...))
    end
    wrong("to: expected a Tensor of 4 or more rows of 6", "conv", core.zeros(3, 6), 0, { per_image = 2 })
    wrong("to: expected a Tensor of 4 or more rows of 6", "conv", core.zeros(4, 5), 0, { per_image = 2 })
    wrong("to: expected a Tensor of 6 or more rows of 6", "conv", core.zeros(5, 6), 1, { per_image = 2 })
    wrong("per_image: expected a whole number in 1..35, got 36", "conv", core.zeros(99, 6), 0, { per_image = 36 })
    wrong("kernel: expected one that fits the map", "conv", core.zeros(9, 6), 0, { kernel = { 8, 1 } })
  end)

  it("have means and variances, in columns", function()
    local x = core.randn(37, 21, { seed = 4, mean = 2 })
    local mean, variance = core.column_moments(x)
    for c = 1, 21 do
      local sum, squares = 0, 0
      for r = 1, 37 do sum = sum + x:get(r, c) end
      for r = 1, 37 do squares = squares + (x:get(r, c) - sum / 37) ^ 2 end
      assert.near(sum / 37, mean:get(c), 1e-6)
      assert.near(squares / 37, variance:get(c), 1e-6)
    end
  end)
end)
