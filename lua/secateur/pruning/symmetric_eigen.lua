--- The largest eigenvalues of a symmetric matrix and their eigenvectors, in double precision.
--
-- Small matrices by cyclic Jacobi rotations (Golub and Van Loan, Matrix Computations, section 8.5); of larger ones,
-- which are positive semidefinite here, the matrix is first projected on a Krylov space by Lanczos steps with full
-- reorthogonalisation (section 10.1), grown until the wanted pairs are accurate.
-- @module secateur.pruning.symmetric_eigen
local symmetric_eigen = {}

local SMALL = 48 -- rows of a matrix that is rotated as it is
local ACCURATE = 1e-12 -- a residual, relative to the largest eigenvalue
local SWEEPS = 60

local function identity(n)
  local rows = {}
  for i = 1, n do
    rows[i] = {}
    for j = 1, n do rows[i][j] = i == j and 1.0 or 0.0 end
  end
  return rows
end

-- Rotates rows and columns p and q so that a[p][q] becomes 0.
local function rotate(a, vectors, p, q)
  local theta = (a[q][q] - a[p][p]) / (2 * a[p][q])
  local t = (theta >= 0 and 1 or -1) / (math.abs(theta) + math.sqrt(theta * theta + 1))
  local c = 1 / math.sqrt(t * t + 1)
  local s = t * c
  for k = 1, #a do
    local x, y = a[k][p], a[k][q]
    a[k][p], a[k][q] = c * x - s * y, s * x + c * y
  end
  local row_p, row_q = a[p], a[q]
  for k = 1, #a do
    local x, y = row_p[k], row_q[k]
    row_p[k], row_q[k] = c * x - s * y, s * x + c * y
  end
  for k = 1, #vectors do
    local x, y = vectors[k][p], vectors[k][q]
    vectors[k][p], vectors[k][q] = c * x - s * y, s * x + c * y
  end
end

-- All eigenvalues, largest first, and the eigenvectors as lists. Changes a.
local function jacobi(a)
  local n, vectors = #a, identity(#a)
  for _ = 1, SWEEPS do
    local off, all = 0, 0
    for p = 1, n do
      for q = 1, n do
        all = all + a[p][q] * a[p][q]
        if p ~= q then off = off + a[p][q] * a[p][q] end
      end
    end
    if off <= 1e-32 * all then break end
    for p = 1, n - 1 do
      for q = p + 1, n do
        if a[p][q] ~= 0 then rotate(a, vectors, p, q) end
      end
    end
  end
  local order, values, lists = {}, {}, {}
  for i = 1, n do order[i] = i end
  table.sort(order, function(i, j)
    if a[i][i] ~= a[j][j] then return a[i][i] > a[j][j] end
    return i < j
  end)
  for rank, i in ipairs(order) do
    values[rank], lists[rank] = a[i][i], {}
    for k = 1, n do lists[rank][k] = vectors[k][i] end
  end
  return values, lists
end

local function dot(x, y)
  local sum = 0
  for i = 1, #x do sum = sum + x[i] * y[i] end
  return sum
end

local function product(a, x)
  local y = {}
  for i = 1, #a do y[i] = dot(a[i], x) end
  return y
end

-- Takes what lies along earlier vectors out of x, twice, since once leaves rounding errors; gives what is left of its
-- length.
local function orthogonalise(x, basis)
  for _ = 1, 2 do
    for _, q in ipairs(basis) do
      local along = dot(x, q)
      for i = 1, #x do x[i] = x[i] - along * q[i] end
    end
  end
  return math.sqrt(dot(x, x))
end

local function scaled(x, factor)
  local y = {}
  for i = 1, #x do y[i] = x[i] * factor end
  return y
end

-- A vector that has something of every direction, another for every number.
local function start(n, number)
  local x = {}
  for i = 1, n do x[i] = 1 + ((i * 2654435761 + number * 40503) % 4096) / 4096 end
  return x
end

-- Adds a vector to the basis: the one given, or where that lies in their span, one orthogonal to all. Gives the length
-- of the given one's new part.
local function grow(basis, x, n)
  local length, before = orthogonalise(x, basis), math.sqrt(dot(x, x))
  local used, number = length, #basis
  while used <= 1e-10 * math.max(before, 1e-300) or used == 0 do
    number = number + 1
    x = start(n, number)
    before = math.sqrt(dot(x, x))
    used, length = orthogonalise(x, basis), 0
  end
  basis[#basis + 1] = scaled(x, 1 / used)
  return length
end

-- What the matrix is on the basis, with all products at hand.
local function projection(basis, products)
  local t = {}
  for i = 1, #products do
    t[i] = {}
    for j = 1, i do
      t[i][j] = dot(basis[i], products[j])
      t[j][i] = t[i][j]
    end
  end
  return t
end

-- Eigenvectors of the projection, back in the space of the matrix.
local function lift(basis, small, count)
  local lists = {}
  for k = 1, count do
    local x = {}
    for i = 1, #basis[1] do
      local sum = 0
      for j = 1, #small[k] do sum = sum + basis[j][i] * small[k][j] end
      x[i] = sum
    end
    lists[k] = x
  end
  return lists
end

local function lanczos(a, count)
  local n, basis, products = #a, {}, {}
  grow(basis, start(n, 0), n)
  while true do
    local left
    for _ = 1, math.max(16, 2 * count) do
      if #products == n then break end
      products[#products + 1] = product(a, basis[#basis])
      left = #basis < n and grow(basis, scaled(products[#products], 1), n) or 0
    end
    local values, small = jacobi(projection(basis, products))
    local worst = 0
    for k = 1, math.min(count, #values) do worst = math.max(worst, math.abs(left * small[k][#products])) end
    if #products == n or #values >= count and worst <= ACCURATE * math.abs(values[1]) and left > 0 then
      return values, lift(basis, small, count)
    end
  end
end

--- The largest eigenvalues of a symmetric positive semidefinite matrix.
-- @tparam {{number,...},...} matrix rows; changed
-- @int count how many are wanted, at most as many as it has rows
-- @treturn {number,...} values, largest first
-- @treturn {{number,...},...} vectors of length 1, orthogonal to each other
function symmetric_eigen.largest(matrix, count)
  local values, vectors = (#matrix <= SMALL and jacobi or lanczos)(matrix, count)
  return table.move(values, 1, count, 1, {}), table.move(vectors, 1, count, 1, {})
end

return symmetric_eigen
