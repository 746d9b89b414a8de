--- The largest eigenvalues of a symmetric positive semidefinite matrix and their eigenvectors, in double precision.
--
-- Lanczos steps with full reorthogonalisation (Golub and Van Loan, Matrix Computations, section 10.1) make a
-- tridiagonal matrix of a part of the space that is grown until the wanted pairs are accurate, at the latest of all
-- of it; its eigenvalues come from QL steps with implicit shifts (Bowdler, Martin, Reinsch and Wilkinson 1968, as in
-- EISPACK's tql2).
-- @module secateur.pruning.symmetric_eigen
local symmetric_eigen = {}

local ACCURATE = 1e-12 -- a residual, relative to the largest eigenvalue
local EPSILON = 0x1p-52
local STEPS = 16 -- at least, between two looks at how accurate it is

local function identity(n)
  local rows = {}
  for i = 1, n do
    rows[i] = {}
    for j = 1, n do rows[i][j] = i == j and 1.0 or 0.0 end
  end
  return rows
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
  local before = math.sqrt(dot(x, x))
  local length = orthogonalise(x, basis)
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

-- One QL sweep over entries first .. last of a tridiagonal matrix: d along the diagonal, e beside it. `vectors` are
-- turned along.
local function sweep(d, e, vectors, first, last, next_diagonal, next_beside)
  local p, c, c2, c3, s, s2 = d[last], 1, 1, 1, 0, 0
  for i = last - 1, first, -1 do
    c3, c2, s2 = c2, c, s
    local g, h, r = c * e[i], c * p, math.sqrt(p * p + e[i] * e[i])
    e[i + 1] = s * r
    s, c = e[i] / r, p / r
    p = c * d[i] - s * g
    d[i + 1] = h + s * (c * g + s * d[i])
    local upper, lower = vectors[i], vectors[i + 1]
    for k = 1, #upper do
      local x, y = upper[k], lower[k]
      upper[k], lower[k] = c * x - s * y, s * x + c * y
    end
  end
  p = -s * s2 * c3 * next_beside * e[first] / next_diagonal
  e[first], d[first] = s * p, c * p
end

-- Moves the spectrum so that the first entry is near an eigenvalue; gives by how much.
local function shift(d, e, first)
  local g = d[first]
  local p = (d[first + 1] - g) / (2 * e[first])
  local r = math.sqrt(p * p + 1)
  if p < 0 then r = -r end
  d[first], d[first + 1] = e[first] / (p + r), e[first] * (p + r)
  local by = g - d[first]
  for i = first + 2, #d do d[i] = d[i] - by end
  return by
end

-- All eigenvalues of a tridiagonal matrix, largest first, and the eigenvectors as lists.
local function solve_tridiagonal(diagonal, beside)
  local n, d, e = #diagonal, table.move(diagonal, 1, #diagonal, 1, {}), table.move(beside, 1, #diagonal - 1, 1, {})
  local vectors, moved, largest = identity(n), 0, 0
  e[n] = 0
  for l = 1, n do
    largest = math.max(largest, math.abs(d[l]) + math.abs(e[l]))
    local m = l
    while m < n and math.abs(e[m]) > EPSILON * largest do m = m + 1 end
    while m > l and math.abs(e[l]) > EPSILON * largest do
      moved = moved + shift(d, e, l)
      sweep(d, e, vectors, l, m, d[l + 1], e[l + 1])
    end
    d[l], e[l] = d[l] + moved, 0
  end
  local order, values, lists = {}, {}, {}
  for i = 1, n do order[i] = i end
  table.sort(order, function(i, j)
    if d[i] ~= d[j] then return d[i] > d[j] end
    return i < j
  end)
  for rank, i in ipairs(order) do values[rank], lists[rank] = d[i], vectors[i] end
  return values, lists
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

--- The largest eigenvalues of a symmetric positive semidefinite matrix.
-- @tparam {{number,...},...} matrix rows
-- @int count how many are wanted, at most as many as it has rows
-- @treturn {number,...} values, largest first
-- @treturn {{number,...},...} vectors of length 1, orthogonal to each other
function symmetric_eigen.largest(matrix, count)
  local n, basis, diagonal, beside = #matrix, {}, {}, {}
  grow(basis, start(n, 0), n)
  while true do
    for _ = 1, math.max(STEPS, 2 * count) do
      local at = #diagonal + 1
      if at > n then break end
      local x = product(matrix, basis[at])
      diagonal[at] = dot(basis[at], x)
      beside[at] = at < n and grow(basis, x, n) or 0
    end
    local values, small = solve_tridiagonal(diagonal, beside)
    local left, worst = beside[#diagonal], 0
    for k = 1, math.min(count, #values) do worst = math.max(worst, math.abs(left * small[k][#diagonal])) end
    if #diagonal == n or #values >= count and left > 0 and worst <= ACCURATE * values[1] then
      return table.move(values, 1, count, 1, {}), lift(basis, small, count)
    end
  end
end

return symmetric_eigen
