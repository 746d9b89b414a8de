local cluster = require "secateur.pruning.cluster"
local core = require "secateur.core"
local files = require "secateur.util.files"
local json = require "secateur.util.json"

local function near(expected, got, tolerance)
  assert.is_true(math.abs(expected - got) <= tolerance * math.max(1, math.abs(expected)),
    ("expected %.9g, got %.9g"):format(expected, got))
end

describe("distances", function()
  local a, b = core.tensor { { 0, 0 }, { 3, 4 }, { -1, 0 } }, core.tensor { { 3, 4 }, { 0, 1 } }

  it("are Euclidean, squared or by angle", function()
    local roots = cluster.distances(a, b):totable()
    for i, row in ipairs { { 5, 1 }, { 0, math.sqrt(18) }, { math.sqrt(32), math.sqrt(2) } } do
      for j, value in ipairs(row) do near(value, roots[i][j], 1e-6) end
    end
    assert.same({ { 25, 1 }, { 0, 18 }, { 32, 2 } }, cluster.distances(a, b, { metric = "squared" }):totable())
    local angles = cluster.distances(a, b, { metric = "cosine" }):totable()
    for i, row in ipairs { { 1, 1 }, { 0, 0.2 }, { 1.6, 1 } } do
      for j, value in ipairs(row) do near(value, angles[i][j], 1e-6) end
    end
  end)

  it("are the same from either side, and 0 to the row itself", function()
    local x = core.randn(20, 9, { seed = 1 })
    local d = cluster.distances(x, x):totable()
    local few, other = cluster.distances(x, x:view(1, 3)):totable(), cluster.distances(x:view(1, 3), x):totable()
    for i = 1, 20 do
      assert.equal(0, d[i][i])
      for j = 1, 20 do assert.equal(d[j][i], d[i][j]) end
      for j = 1, 3 do assert.same({ d[i][j], d[i][j] }, { few[i][j], other[j][i] }) end
    end
  end)

  it("tell near rows apart that are far from zero", function()
    local x = core.tensor { { 4096, 4096 }, { 4096, 4096.5 }, { 4096.25, 4096 } }
    assert.same({ { 0, 0.5, 0.25 } }, cluster.distances(x:view(1), x):totable())
  end)
end)

describe("numbers whose squares are no float32", function()
  it("are scaled where they are small", function()
    local x = core.tensor { { 3, 4, 0 }, { 0, 1, 2 }, { -1, 0.5, 0.25 }, { 0, 0, 0 } }
    for _, unit in ipairs { 0x1p-70, 0x1p-100 } do
      assert.same(cluster.distances(x, x, { metric = "cosine" }):totable(),
        cluster.distances(x * unit, x * unit, { metric = "cosine" }):totable())
      local flat, components = cluster.pca(x, 2)
      local small, same = cluster.pca(x * unit, 2)
      assert.same(components:totable(), same:totable())
      assert.same((flat * unit):totable(), small:totable())
    end
    local smallest = core.tensor { { 0x1p-149, 0 }, { 0, 0x1p-149 } }
    assert.same({ { 0, 1 }, { 1, 0 } }, cluster.distances(smallest, smallest, { metric = "cosine" }):totable())
  end)

  it("are refused where they are large", function()
    local x = core.tensor { { 1, 2 }, { 1e16, 0 } }
    local message = "x: expected numbers of at most 1e+15, whose squares can be added up, got 1e+16 in row 2"
    for _, name in ipairs { "kmeans", "k_centre", "pca" } do
      assert.has_error(function() cluster[name](x, 1) end, ("cluster.%s: %s"):format(name, message))
    end
    assert.has_no.errors(function() cluster.pca(x * 0.05, 1) end)
  end)
end)

describe("k-means", function()
  it("is that of the core", function()
    local x = core.randn(30, 5, { seed = 2 })
    local centroids, assignment, nearest = cluster.kmeans(x, 4, { seed = 3 })
    local other = table.pack(core.kmeans(x, 4, { seed = 3 }))
    assert.same({ centroids:totable(), assignment:totable(), nearest },
      { other[1]:totable(), other[2]:totable(), other[3] })
  end)
end)

describe("k-centre", function()
  local line = core.tensor { { 0 }, { 1 }, { 10 }, { 11 }, { 5 }, { 20 } }

  it("takes the farthest row each time, the first of equal ones", function()
    assert.same({ { 1, 6, 3 }, 5 }, { cluster.k_centre(line, 3, { first = 1 }) })
    -- the mean is 7.83: the row of 10 is nearest; then 0 and 20 are equally far
    assert.same({ { 3, 1, 6, 5 }, 1 }, { cluster.k_centre(line, 4) })
    local rows, radius = cluster.k_centre(line, 6)
    table.sort(rows)
    assert.same({ { 1, 2, 3, 4, 5, 6 }, 0 }, { rows, radius })
    assert.same({ { 1, 2, 3 }, 0 }, { cluster.k_centre(core.ones(3, 2), 3) })
  end)

  it("begins where the seed says", function()
    local seen = {}
    for seed = 1, 40 do seen[cluster.k_centre(line, 1, { seed = seed })[1]] = true end
    assert.equal(6, #seen)
  end)

  it("leaves no row farther off than twice the smallest possible radius", function()
    for seed = 1, 5 do
      local x = core.randn(9, 2, { seed = seed })
      local d, best = cluster.distances(x, x):totable(), math.huge
      for i = 1, 9 do
        for j = i + 1, 9 do
          for k = j + 1, 9 do
            local radius = 0
            for r = 1, 9 do radius = math.max(radius, math.min(d[r][i], d[r][j], d[r][k])) end
            best = math.min(best, radius)
          end
        end
      end
      for first = 1, 9 do
        local rows, radius = cluster.k_centre(x, 3, { first = first })
        local covered = 0
        for r = 1, 9 do covered = math.max(covered, math.min(d[r][rows[1]], d[r][rows[2]], d[r][rows[3]])) end
        near(covered, radius, 1e-6)
        assert.is_true(radius <= 2 * best + 1e-6)
      end
    end
  end)
end)

describe("principal components", function()
  local cases = json.decode(assert(files.read_all("spec/fixtures/pca.json")))

  local function whole(rows, columns)
    local list = {}
    for i = 1, rows do
      list[i] = {}
      for j = 1, columns do
        list[i][j] = (i * i * 31 + j * j * j * 17 + i * j * 7) % 23 - 11 + 100 * (j % 3)
      end
    end
    return core.tensor(list)
  end

  for _, case in ipairs(cases) do
    it(("of %d x %d are those of numpy"):format(case.rows, case.columns), function()
      local projected, components, variances = cluster.pca(whole(case.rows, case.columns), case.count)
      for c = 1, case.count do
        near(case.variances[c], variances:get(c), 1e-6)
        for d = 1, case.columns do near(case.components[c][d], components:get(c, d), 1e-5) end
        for i = 1, case.projected and case.rows or 0 do near(case.projected[i][c], projected:get(i, c), 1e-5) end
      end
      assert.same({ case.rows, case.count }, { table.unpack(projected:shape()) })
    end)
  end

  it("are orthonormal, and variances those of the projection", function()
    for _, size in ipairs { { 80, 60 }, { 60, 90 }, { 5, 3 } } do
      local x = core.randn(size[1], size[2], { seed = 5 })
      local projected, components, variances = cluster.pca(x, 3)
      local rows = components:totable()
      for a = 1, 3 do
        for b = 1, 3 do
          local dot = 0
          for d = 1, size[2] do dot = dot + rows[a][d] * rows[b][d] end
          near(a == b and 1 or 0, dot, 1e-6)
        end
        local sum, square = 0, 0
        for i = 1, size[1] do
          local value = projected:get(i, a)
          sum, square = sum + value, square + value * value
        end
        near(0, sum, 1e-4)
        near(variances:get(a), square / (size[1] - 1), 1e-5)
      end
      assert.is_true(variances:get(1) >= variances:get(2) and variances:get(2) >= variances:get(3))
    end
  end)

  it("of rows that vary in fewer directions are zeros from there on", function()
    local line = {}
    for i = 1, 6 do line[i] = { i, 2 * i, 5 } end
    local projected, components, variances = cluster.pca(core.tensor(line), 3)
    near(1 / math.sqrt(5), components:get(1, 1), 1e-6)
    near(17.5, variances:get(1), 1e-6)
    for c = 2, 3 do
      assert.equal(0, variances:get(c))
      assert.same({ 0, 0, 0 }, components[c]:totable())
      for i = 1, 6 do assert.equal(0, projected:get(i, c)) end
    end
    assert.same({ { 0 } }, cluster.pca(core.tensor { { 1, 2 } }, 1):totable())
  end)

  it("of equal variances in several directions are found all the same", function()
    -- The corners of a cross in 60 dimensions, both ways: every direction varies alike.
    local rows = {}
    for i = 1, 60 do
      for sign = -1, 1, 2 do
        local row = {}
        for d = 1, 60 do row[d] = d == i and sign or 0 end
        rows[#rows + 1] = row
      end
    end
    local _, components, variances = cluster.pca(core.tensor(rows), 3)
    local list = components:totable()
    for a = 1, 3 do
      near(2 / 119, variances:get(a), 1e-6)
      for b = 1, 3 do
        local dot = 0
        for d = 1, 60 do dot = dot + list[a][d] * list[b][d] end
        near(a == b and 1 or 0, dot, 1e-6)
      end
    end
  end)
end)

describe("what is measured of rows", function()
  it("does not depend on the number of threads", function()
    local x, before = core.randn(120, 70, { seed = 8 }), core.threads()
    local function all(threads)
      core.threads(threads)
      local projected, components, variances = cluster.pca(x, 2)
      return { projected:totable(), components:totable(), variances:totable(), cluster.k_centre(x, 9),
        cluster.distances(x, x:view(1, 5), { metric = "cosine" }):totable() }
    end
    local one, two = all(1), all(2)
    core.threads(before)
    assert.same(one, two)
  end)

  it("says what is wrong", function()
    local x = core.ones(3, 2)
    local function wrong(message, f, ...)
      local arguments = table.pack(...)
      assert.has_error(function() f(table.unpack(arguments, 1, arguments.n)) end, "cluster." .. message)
    end
    wrong("distances: a: expected a Tensor [n x d], got a table", cluster.distances, {}, x)
    wrong("distances: a: expected a Tensor [n x d], got [3] float32", cluster.distances, core.ones(3), x)
    wrong("distances: b: expected a Tensor [n x 2], got [3x1] float32", cluster.distances, x, core.ones(3, 1))
    wrong("distances: metric: expected one of 'euclidean', 'squared', 'cosine', got 'l1'", cluster.distances, x, x,
      { metric = "l1" })
    wrong("k_centre: k: expected a whole number in [1, 3], got 4", cluster.k_centre, x, 4)
    wrong("k_centre: expected either first or seed, got both", cluster.k_centre, x, 1, { first = 1, seed = 1 })
    wrong("k_centre: first: expected a whole number in [1, 3], got 9", cluster.k_centre, x, 1, { first = 9 })
    wrong("kmeans: k: missing", cluster.kmeans, x)
    wrong("pca: count: expected a whole number in [1, 2], got 3", cluster.pca, x, 3)
    local bad = core.ones(3, 2)
    bad:set(0 / 0, 2, 1)
    wrong("pca: x: expected finite numbers, row 2 holds others", cluster.pca, bad, 1)
    assert.has_error(function() return cluster.kcentre end,
      "cluster: no such function 'kcentre'; did you mean 'k_centre'?")
  end)
end)
