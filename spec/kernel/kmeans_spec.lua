local core = require "secateur.core"
local errors = require "support.errors"

-- Sum of squared distances to the centroids.
local function inertia(features, centroids, assignment)
  local sum = 0
  for i, row in ipairs(features:totable()) do
    for d, value in ipairs(row) do sum = sum + (value - centroids:get(assignment:get(i), d)) ^ 2 end
  end
  return sum
end

local function blobs(counts, width, spread)
  local rows, noise = {}, core.randn(1000, width, { seed = 8 })
  for blob, count in ipairs(counts) do
    for _ = 1, count do
      local row = noise[#rows + 1]:totable()
      for d = 1, width do row[d] = row[d] * spread + (d == blob and 10 or 0) end
      rows[#rows + 1] = row
    end
  end
  return core.tensor(rows)
end

describe("kmeans", function()
  it("finds groups that stand apart, their means and the sample nearest to each", function()
    local features = core.tensor { { 0, 0 }, { 900, 0 }, { 0, 1 }, { 900, 4 }, { 0, 2 }, { 900, 1 }, { -800, 0 } }
    for seed = 0, 20 do
      local centroids, assignment, nearest = core.kmeans(features, 3, { seed = seed })
      local of = assignment:totable()
      assert.equal("int64", assignment:dtype())
      assert.is_true(of[1] == of[3] and of[3] == of[5] and of[2] == of[4] and of[4] == of[6])
      assert.is_true(of[1] ~= of[2] and of[7] ~= of[1] and of[7] ~= of[2])
      local close = function(a, b) return assert.is_true(a:allclose(core.tensor(b), 1e-6, 1e-6)) end
      close(centroids[of[1]], { 0, 1 })
      close(centroids[of[2]], { 900, 5 / 3 })
      close(centroids[of[7]], { -800, 0 })
      assert.same({ 3, 6, 7 }, { nearest[of[1]], nearest[of[2]], nearest[of[7]] })
    end
  end)

  it("ends where no sample is nearer to another centroid, with centroids that are means", function()
    local features = blobs({ 40, 25, 35 }, 37, 3)
    local centroids, assignment, nearest = core.kmeans(features, 4, { seed = 5 })
    local counts, sums = { 0, 0, 0, 0 }, core.zeros(4, 37)
    for i = 1, 100 do
      local own, row = assignment:get(i), features[i]
      counts[own] = counts[own] + 1
      local distances = {}
      for c = 1, 4 do
        local apart = row - centroids[c]
        distances[c] = (apart * apart):sum()
      end
      for c = 1, 4 do assert.is_true(distances[own] <= distances[c] * (1 + 1e-5)) end
      for d = 1, 37 do sums:set(sums:get(own, d) + row:get(d), own, d) end
    end
    for c = 1, 4 do
      assert.is_true(counts[c] > 0)
      assert.is_true((sums[c] / counts[c]):allclose(centroids[c], 1e-4, 1e-4))
      assert.equal(c, assignment:get(nearest[c]))
    end
  end)

  it("depends on the seed and not on the number of threads", function()
    local features = blobs({ 300, 300, 300 }, 64, 6)
    local before = core.threads()
    local function run(threads, seed)
      core.threads(threads)
      local centroids, assignment, nearest = core.kmeans(features, 10, { seed = seed })
      core.threads(before)
      return { centroids:totable(), assignment:totable(), nearest }
    end
    local one = run(1, 3)
    assert.same(one, run(2, 3))
    assert.same(one, run(3, 3))
    assert.are_not.same(one[2], run(1, 4)[2])
  end)

  it("starts from samples spread out (k-means++): far groups each get a centroid", function()
    -- A start from uniformly drawn samples misses the two single outliers most of the time.
    local rows = {}
    for i = 1, 60 do rows[i] = { i % 5 * 0.01 } end
    rows[61], rows[62] = { 1000 }, { -1000 }
    local features = core.tensor(rows)
    for seed = 1, 20 do
      local centroids, assignment = core.kmeans(features, 3, { seed = seed })
      assert.is_true(inertia(features, centroids, assignment) < 1)
    end
  end)

  it("takes the first of samples that are equally near, whatever their last bits", function()
    for seed = 1, 30 do
      local middle, apart = core.rand(48, { seed = seed }) * 100, core.randn(48, { seed = seed + 100 })
      local far = core.randn(48, { seed = seed + 200 }) * 1000
      -- Two opposite pairs around each of two means; the first of each pair comes late in the list of rows.
      local rows = { middle + apart, middle + far, middle - apart, middle + far + apart, middle + apart * 2,
        middle - apart * 2, middle + far - apart }
      rows[2], rows[4] = middle + far + apart * 3, middle + far - apart * 3
      rows[8] = middle + far + apart
      for round = 1, 3 do
        local noisy = {}
        for i, row in ipairs(rows) do -- as another processor would have them
          noisy[i] = row * (core.randn(48, { seed = 1000 * round + i }) * 1e-7 + 1)
        end
        local _, assignment, nearest = core.kmeans(noisy, 2, { seed = seed })
        assert.equal(1, nearest[assignment:get(1)])
        assert.equal(7, nearest[assignment:get(2)])
      end
    end
  end)

  it("leaves no cluster empty, even where samples are equal", function()
    local features = core.tensor { { 1, 1 }, { 1, 1 }, { 1, 1 }, { 2, 2 }, { 1, 1 } }
    for k = 1, 5 do
      local _, assignment, nearest = core.kmeans(features, k, { seed = k })
      local seen, different = {}, {}
      for i = 1, 5 do seen[assignment:get(i)] = true end
      for _, sample in ipairs(nearest) do different[sample] = true end
      for c = 1, k do assert.is_true(seen[c]) end
      local count = 0
      for _ in pairs(different) do count = count + 1 end
      assert.equal(k, count)
    end
  end)

  it("takes a list of rows as well", function()
    local features = blobs({ 5, 6 }, 3, 1)
    local rows = {}
    for i = 1, 11 do rows[i] = features[i] end
    local a, b, c = core.kmeans(features, 2, { seed = 1 })
    local d, e, f = core.kmeans(rows, 2, { seed = 1 })
    assert.same({ a:totable(), b:totable(), c }, { d:totable(), e:totable(), f })
  end)

  it("says what is wrong", function()
    local x = core.zeros(3, 2)
    local function wrong(message, ...) assert.equal(message, errors.raised(core.kmeans, ...)) end
    wrong("kmeans: k: expected a whole number in 1..3, got 4", x, 4)
    wrong("kmeans: k: expected a whole number in 1..3, got 0", x, 0)
    wrong("kmeans: features: expected a Tensor, got nil", nil, 1)
    wrong("kmeans: features: expected a Tensor [N x D], got [3]", core.zeros(3), 1)
    wrong("kmeans: features: expected at least one row, got none", {}, 1)
    wrong("kmeans: features[2]: expected 2 numbers as in the first, got 3", { core.zeros(2), core.zeros(3) }, 1)
    wrong("kmeans: features[1]: expected a Tensor, got 1", { 1 }, 1)
    wrong("kmeans: features: expected finite numbers, row 2 holds others", core.tensor { { 1 }, { 0 / 0 } }, 1)
    wrong("kmeans: unknown option 'sed', expected one of: seed", x, 1, { sed = 1 })
  end)
end)
