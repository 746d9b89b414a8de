--- In which order, and how often, a training sees its images.
-- @module secateur.training.sampler
local core = require "secateur.core"
local errors = require "secateur.util.errors"

local sampler = {}

local STREAM = 0x73616d70 -- apart from the seeds of shuffling, augmentation and dropout

-- Sample numbers of each class; of findings, of each and of images with none.
local function pools_of(split)
  local pools = {}
  for k = 1, #split.classes + (split.multi_label and 1 or 0) do pools[k] = {} end
  for i, label in ipairs(split.labels) do
    if not split.multi_label then
      table.insert(pools[label], i)
    else
      local none = true
      for k, value in ipairs(label) do
        if value > 0 then table.insert(pools[k], i) end
        none = none and value == 0
      end
      if none then table.insert(pools[#pools], i) end
    end
  end
  return pools
end

--- What a balanced sampler draws from: a list of sample numbers per class; of multi-label splits one per finding (of
-- the images where it is present), and one of the images that are known to have none, where there are any.
-- @tparam Split split
-- @treturn {table,...}
function sampler.pools(split)
  if not split.labels or not split.classes then
    errors.refuse("train", "sampler: expected a split that knows its labels and classes")
  end
  local pools = pools_of(split)
  if split.multi_label and #pools[#pools] == 0 then pools[#pools] = nil end
  for k, pool in ipairs(pools) do
    if #pool == 0 then
      errors.refuse("train", "sampler: expected samples of every class, found none of '%s'", split.classes[k])
    end
  end
  return pools
end

--- The sample numbers of an epoch, as many as there are samples: each time a pool is drawn, all alike, then a sample of
-- it, with replacement. Over classes that is torch's WeightedRandomSampler with weights of 1 / n_c.
-- @tab pools as above
-- @int count
-- @int seed
-- @int epoch
-- @treturn {int,...}
function sampler.draw(pools, count, seed, epoch)
  local order = {}
  for i, chance in ipairs(core.rand(count, 2, { seed = core.mix(core.mix(seed, epoch), STREAM) }):totable()) do
    local pool = pools[math.min(math.floor(chance[1] * #pools) + 1, #pools)]
    order[i] = pool[math.min(math.floor(chance[2] * #pool) + 1, #pool)]
  end
  return order
end

return sampler
