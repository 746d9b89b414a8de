--- Position embeddings of a ViT for another number of patches.
-- @module secateur.pretrained.position_embedding
local core = require "secateur.core"

local position_embedding = {}

-- Cubic convolution with a = -1/2 (Keys 1981).
local function cubic(x)
  x = math.abs(x)
  if x < 1 then return (1.5 * x - 2.5) * x * x + 1 end
  if x < 2 then return ((-0.5 * x + 2.5) * x - 4) * x + 2 end
  return 0
end

-- [new x old]: what each old point gives to each new one. Where there are fewer new points, the kernel is stretched by
-- the ratio, so that every old one counts (antialiasing); at the border it is cut, and scaled to a sum of one.
local function resampling(old, new)
  local scale = old / new
  local stretch = math.max(scale, 1)
  local rows = {}
  for i = 1, new do
    local center = scale * (i - 0.5)
    local first = math.max(math.floor(center - 2 * stretch + 0.5), 0)
    local last = math.min(math.floor(center + 2 * stretch + 0.5), old) - 1
    local row, sum = {}, 0
    for j = 0, old - 1 do
      row[j + 1] = j >= first and j <= last and cubic((j + 0.5 - center) / stretch) or 0
      sum = sum + row[j + 1]
    end
    for j = 1, old do row[j] = row[j] / sum end
    rows[i] = row
  end
  return core.tensor(rows)
end

--- Interpolates the embeddings of a square grid bicubically, with antialiasing, as timm's `resample_abs_pos_embed`
-- does; that of the class token stays.
-- @tparam Tensor embedding [1 x (1 + old * old) x dim]
-- @int old patches on a side
-- @int new
-- @treturn Tensor [1 x (1 + new * new) x dim]
function position_embedding.resize(embedding, old, new)
  local dim = embedding:size(3)
  local tokens = embedding:reshape(1 + old * old, dim)
  local resized = core.zeros(1 + new * new, dim)
  resized:view(1, 1):copy(tokens:view(1, 1))
  local matrix = resampling(old, new)
  local columns = matrix:matmul(tokens:view(2, 1 + old * old):reshape(old, old * dim))
  for row = 1, new do
    local line = matrix:matmul(columns:view(row, row):reshape(old, dim))
    resized:view(2 + (row - 1) * new, 1 + row * new):copy(line)
  end
  return resized:reshape(1, 1 + new * new, dim)
end

return position_embedding
