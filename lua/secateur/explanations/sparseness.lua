--- How concentrated an explanation is. Rows of a Tensor [N x D] are explanations; see similarity for the results.
-- @module secateur.explanations.sparseness
local sparseness = {}

-- Magnitudes, the largest of each row 1; NaN where a row is zero.
local function magnitudes(rows)
  local sizes = rows:abs()
  return sizes / sizes:max(2):reshape(-1, 1)
end

local function defined(list)
  local values = {}
  for i, value in ipairs(list) do
    if value == value then values[i] = value end
  end
  return values
end

--- The Gini index of the magnitudes (Hurley and Rickard 2009, for explanations Chalasani et al. 2020):
-- 1 - 2 sum_k (|r|_(k) / sum |r|) (D - k + 1/2) / D with |r|_(k) in growing order. 0 where all are the same, 1 - 1/D
-- where one element has everything; undefined where all are zero.
-- @tparam Tensor rows [N x D]
-- @treturn table sample -> number
function sparseness.gini(rows)
  local count, sizes = rows:size(2), magnitudes(rows)
  local weights = (count + 0.5) - rows:abs():rank(2) -- equal magnitudes may share their mean rank: the sum is the same
  local shares = (sizes * weights):sum(2) / sizes:sum(2)
  return defined((1 - shares * (2 / count)):totable())
end

--- Complexity (Bhatt et al. 2020): the entropy, in nats, of the magnitudes as shares of their sum. 0 where one element
-- has everything, log D where all are the same; undefined where all are zero.
-- @tparam Tensor rows [N x D]
-- @treturn table sample -> number
function sparseness.entropy(rows)
  local sizes = magnitudes(rows)
  local shares = sizes / sizes:sum(2):reshape(-1, 1)
  local logs = shares:log():clamp(-1e30) -- 0 log 0 = 0
  return defined(((shares * logs):sum(2) * -1):totable())
end

return sparseness
