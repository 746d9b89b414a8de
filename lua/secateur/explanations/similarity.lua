--- How alike two explanations are, sample by sample.
-- Explanations come as Tensors [N x D], a row per sample. Results are tables from the number of a sample to a number;
-- where a measure is undefined (a map that is zero or constant everywhere has no direction and no order) there is no
-- entry, so that means can leave it out.
-- @module secateur.explanations.similarity
local shares = require "secateur.util.shares"

local similarity = {}

-- Rows divided by their largest magnitude, so that products of tiny numbers do not vanish; NaN where a row is zero.
local function scaled(rows)
  return rows / rows:abs():max(2):reshape(-1, 1)
end

-- Numbers of a Tensor [N] by sample, without those that are not numbers.
local function defined(tensor)
  local values = {}
  for i, value in ipairs(tensor:totable()) do
    if value == value then values[i] = value end
  end
  return values
end

--- Cosine of the angle between rows. Undefined where either row is zero.
-- @tparam Tensor a [N x D]
-- @tparam Tensor b [N x D]
-- @treturn table sample -> number in [-1, 1]
function similarity.cosine(a, b)
  a, b = scaled(a), scaled(b)
  local lengths = ((a * a):sum(2) * (b * b):sum(2)):sqrt()
  return defined(((a * b):sum(2) / lengths):clamp(-1, 1))
end

--- Spearman's rank correlation between rows; equal numbers share their mean rank. Undefined where either row is
-- constant.
-- @tparam Tensor a [N x D]
-- @tparam Tensor b [N x D]
-- @treturn table sample -> number in [-1, 1]
function similarity.spearman(a, b)
  local middle = (a:size(2) + 1) / 2
  return similarity.cosine(a:rank(2) - middle, b:rank(2) - middle)
end

-- One at the k largest of each row, zero elsewhere, NaN in rows that are constant.
local function largest(rows, k)
  local spread = rows:max(2) + (-rows):max(2)
  local members = (k + 1 - (-rows):rank(2, "first")):clamp(0, 1)
  return members * (spread / spread):reshape(-1, 1)
end

--- How many of the k largest of a row are among the k largest of the other, as a share of k (the "feature agreement" of
-- Krishna et al. 2022, on signed values). Among equal numbers the first count as larger. Undefined where either row is
-- constant.
-- @tparam Tensor a [N x D]
-- @tparam Tensor b [N x D]
-- @number share k = share * D, rounded up
-- @treturn table sample -> number in [0, 1]
function similarity.overlap(a, b, share)
  local k = math.max(1, shares.ceil(share, a:size(2)))
  return defined((largest(a, k) * largest(b, k)):sum(2) / k)
end

return similarity
