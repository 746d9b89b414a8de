--- Distances, clusters and principal components of the rows of a Tensor [n x d], such as `ctx:features_matrix()` of a
-- sampling strategy. The same bits on every machine, with any number of threads. Numbers above 1e15 are refused, since
-- their squares cannot be added up in float32.
-- @module secateur.pruning.cluster
-- @usage
-- local centroids, assignment, nearest = sc.cluster.kmeans(x, 5, { seed = 1 })
-- local rows, radius = sc.cluster.k_centre(x, 5)
-- local flat = sc.cluster.pca(x, 2)
local core = require "secateur.core"
local errors = require "secateur.util.errors"
local methods = require "secateur.util.methods"
local options = require "secateur.util.options"
local random_numbers = require "secateur.util.random_numbers"
local symmetric_eigen = require "secateur.pruning.symmetric_eigen"
local tensors = require "secateur.util.tensors"

local cluster = {}

-- Squares of larger numbers, and sums of many of them, may be more than a float32 holds.
local LARGEST = 1e15

local function check_matrix(name, argument, x, width)
  local shape = tensors.is(x) and x:dtype():find "^float" and x:shape() or nil
  if not shape or #shape ~= 2 or shape[1] == 0 or shape[2] == 0 or width and shape[2] ~= width then
    errors.refuse(name, "%s: expected a Tensor [n x %s], got %s", argument, width or "d",
      tensors.is(x) and ("[%s] %s"):format(table.concat(x:shape(), "x"), x:dtype()) or options.describe(x))
  end
  local sum = x:abs():sum()
  if sum ~= sum or sum > LARGEST then
    for i = 1, shape[1] do
      local largest = x[i]:abs():max()
      if largest ~= largest or largest == math.huge or x[i]:sum() ~= x[i]:sum() then
        errors.refuse(name, "%s: expected finite numbers, row %d holds others", argument, i)
      elseif largest > LARGEST then
        errors.refuse(name, "%s: expected numbers of at most %g, whose squares can be added up, got %g in row %d",
          argument, LARGEST, largest, i)
      end
    end
  end
  return shape[1], shape[2]
end

-- Squared distances of all rows from one, a list: of differences, so that near rows are told apart however long they
-- are.
local function from_row(x, row)
  local difference = x - row
  return difference:mul(difference):sum(2):totable()
end

-- Squared distances, a list of rows; those of rows among themselves are computed once.
local function squared_distances(a, b)
  local n, m, rows, same = a:size(1), b:size(1), {}, rawequal(a, b)
  for i = 1, n do rows[i] = {} end
  if m < n then
    for j = 1, m do
      for i, distance in ipairs(from_row(a, b:view(j))) do rows[i][j] = distance end
    end
    return rows
  end
  for i = 1, n do
    local first = same and i or 1
    for past, distance in ipairs(from_row(b:view(first, m), a:view(i))) do
      local j = first + past - 1
      rows[i][j] = distance
      if same then rows[j][i] = distance end
    end
  end
  return rows
end

-- The power of two at or below a number above 0, or the smallest that has its inverse among the float32: to multiply
-- with it rounds nothing.
local function power_of_two(number) return 2.0 ^ math.floor(math.log(math.max(number, 0x1p-100), 2)) end

local function lengths(x) return x:mul(x):sum(2):sqrt() end

-- Rows near 1, so that squares of small numbers do not vanish.
local function near_one(x)
  local list = {}
  for i = 1, x:size(1) do
    local largest = x[i]:abs():max()
    list[i] = { largest > 0 and 1 / power_of_two(largest) or 1 }
  end
  return x * core.tensor(list)
end

-- Rows of length 1; of zeros, zeros.
local function scaled(x, of_rows)
  local list = of_rows:totable()
  for i, length in ipairs(list) do list[i] = { length > 0 and length or 1 } end
  return x / core.tensor(list)
end

local metrics = {}

function metrics.squared(a, b) return core.tensor(squared_distances(a, b)) end

function metrics.euclidean(a, b) return core.tensor(squared_distances(a, b)):sqrt() end

-- 1 - a.b is |a - b|^2 / 2 where both have length 1.
function metrics.cosine(a, b)
  local one = near_one(a)
  local other = rawequal(a, b) and one or near_one(b)
  local of_a, of_b = lengths(one), lengths(other)
  one = scaled(one, of_a)
  local rows = squared_distances(one, rawequal(a, b) and one or scaled(other, of_b))
  of_a, of_b = of_a:totable(), of_b:totable()
  for i, row in ipairs(rows) do
    for j, value in ipairs(row) do row[j] = of_a[i] > 0 and of_b[j] > 0 and value / 2 or 1 end
  end
  return core.tensor(rows)
end

--- Distances between rows.
-- @tparam Tensor a [n x d]
-- @tparam Tensor b [m x d]
-- @tparam[opt] table opts `metric` ("euclidean"; "squared", its square; "cosine", 1 - a.b / (|a| |b|), to or from a row
-- of zeros 1)
-- @treturn Tensor [n x m]
function cluster.distances(a, b, opts)
  local checked = options.check("cluster.distances", opts, { metric = { default = "euclidean",
    one_of = { "euclidean", "squared", "cosine" } } })
  local _, width = check_matrix("cluster.distances", "a", a)
  check_matrix("cluster.distances", "b", b, width)
  return metrics[checked.metric](a, b)
end

--- k-means: Lloyd's algorithm from a k-means++ start (Arthur and Vassilvitskii 2007).
-- @tparam Tensor x [n x d]
-- @int k how many clusters, at most n
-- @tparam[opt] table opts `seed` (0)
-- @treturn Tensor centroids [k x d]
-- @treturn Tensor assignment int64 [n]: the cluster of each row, from 1
-- @treturn {int,...} nearest: of each cluster the row nearest to its centroid
function cluster.kmeans(x, k, opts)
  local checked = options.check("cluster.kmeans", opts, { seed = { type = "integer", default = 0 } })
  local n = check_matrix("cluster.kmeans", "x", x)
  k = options.value("cluster.kmeans", "k", k, { type = "integer", min = 1, max = n, required = true })
  return core.kmeans(x, k, checked)
end

-- The row nearest to the mean.
local function central(x)
  local from_mean, best = cluster.distances(x, x:mean(1):reshape(1, -1), { metric = "squared" }), 1
  for i = 2, x:size(1) do
    if from_mean:get(i, 1) < from_mean:get(best, 1) then best = i end
  end
  return best
end

--- k-centre greedy: each row the farthest from those before it, the first of equal ones. No row is then farther from
-- a chosen one than twice the smallest radius that is possible (Gonzalez 1985); the core-set of Sener and Savarese
-- (2018).
-- @tparam Tensor x [n x d]
-- @int k how many rows, at most n
-- @tparam[opt] table opts `first`: the row to begin with; or `seed`, which chooses it; by default the row nearest to
-- the mean
-- @treturn {int,...} rows in the order chosen
-- @treturn number radius: the largest distance of any row from the chosen one that is nearest to it
function cluster.k_centre(x, k, opts)
  local n = check_matrix("cluster.k_centre", "x", x)
  local checked = options.check("cluster.k_centre", opts, { seed = { type = "integer" },
    first = { type = "integer", min = 1, max = n } })
  k = options.value("cluster.k_centre", "k", k, { type = "integer", min = 1, max = n, required = true })
  if checked.first and checked.seed then
    errors.refuse("cluster.k_centre", "expected either first or seed, got both")
  end
  local row = checked.first or checked.seed and random_numbers.new(checked.seed):integer(n) or central(x)
  local distance, rows, chosen = {}, {}, {}
  for i = 1, n do distance[i] = math.huge end
  for step = 1, k do
    rows[step], chosen[row] = row, true
    local farthest
    for i, to in ipairs(from_row(x, x:view(row))) do
      distance[i] = chosen[i] and 0 or math.min(distance[i], to)
      if not chosen[i] and (not farthest or distance[i] > distance[farthest]) then farthest = i end
    end
    row = farthest
  end
  return rows, row and math.sqrt(distance[row]) or 0.0
end

local function means_of(rows, width)
  local means = {}
  for j = 1, width do
    local sum = 0
    for i = 1, #rows do sum = sum + rows[i][j] end
    means[j] = sum / #rows
  end
  return means
end

-- The direction in the columns' space that belongs to weights of rows.
local function direction(rows, means, weights)
  local list, square = {}, 0
  for j = 1, #means do
    local sum = 0
    for i = 1, #rows do sum = sum + weights[i] * (rows[i][j] - means[j]) end
    list[j], square = sum, square + sum * sum
  end
  for j = 1, #list do list[j] = list[j] / math.sqrt(square) end
  return list
end

-- Signs are anyone's to choose: the largest entry of a component, the first of equal ones, is positive.
local function orient(component)
  local largest = 1
  for j = 2, #component do
    if math.abs(component[j]) > math.abs(component[largest]) * (1 + 1e-9) then largest = j end
  end
  if component[largest] < 0 then
    for j = 1, #component do component[j] = -component[j] end
  end
  return component
end

local function project(rows, means, components)
  local projected = {}
  for i, row in ipairs(rows) do
    projected[i] = {}
    for c, component in ipairs(components) do
      local sum = 0
      for j = 1, #means do sum = sum + (row[j] - means[j]) * component[j] end
      projected[i][c] = sum
    end
  end
  return projected
end

--- Principal components (Pearson 1901; Hotelling 1933): the directions in which centred rows vary most. Where they vary
-- in fewer, a component is all zeros. The largest entry of each is positive.
-- @tparam Tensor x [n x d]
-- @int count how many, at most the smaller of n and d
-- @treturn Tensor projected [n x count]: the rows, centred, along the components
-- @treturn Tensor components [count x d], of length 1
-- @treturn Tensor variances [count], with n - 1 in the denominator
function cluster.pca(x, count)
  local n, width = check_matrix("cluster.pca", "x", x)
  count = options.value("cluster.pca", "count", count, { type = "integer", min = 1, max = math.min(n, width),
    required = true })
  local largest = x:abs():max()
  local unit = largest > 0 and power_of_two(largest) or 1
  x = x * (1 / unit)
  local rows = x:totable()
  local means, wide = means_of(rows, width), width > n
  local sums, scale = core.gram(x - core.tensor { means }, nil, wide), 0
  for i = 1, #sums do scale = scale + sums[i][i] end
  local values, vectors = symmetric_eigen.largest(sums, count)
  local components, variances = {}, {}
  for c, value in ipairs(values) do
    local flat = value <= 1e-13 * math.max(scale, 0) or n == 1
    variances[c], components[c] = flat and 0 or value / (n - 1) * unit * unit, {}
    if flat then
      for j = 1, width do components[c][j] = 0 end
    else
      components[c] = orient(wide and direction(rows, means, vectors[c]) or vectors[c])
    end
  end
  return core.tensor(project(rows, means, components)) * unit, core.tensor(components), core.tensor(variances)
end

methods.suggest("cluster", cluster)

return cluster
