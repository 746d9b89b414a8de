--- In which order, and how often, a training sees its images.
-- @module secateur.training.sampler
local core = require "secateur.core"
local errors = require "secateur.util.errors"
local label_groups = require "secateur.data.label_groups"

local sampler = {}

local STREAM = 0x73616d70 -- apart from the seeds of shuffling, augmentation and dropout

--- What a balanced sampler draws from: a list of sample numbers per class; of multi-label splits one per finding (of
-- the images where it is present), and one of the images that are known to have none, where there are any.
-- @tparam Split split
-- @treturn {table,...}
function sampler.pools(split)
  if not split.labels or not split.classes then
    errors.refuse("train", "sampler: expected a split that knows its labels and classes")
  end
  local pools = {}
  for _, group in ipairs(label_groups.list(split)) do
    if #group.indices > 0 then
      pools[#pools + 1] = group.indices
    elseif group.label > 0 then
      errors.refuse("train", "sampler: expected samples of every class, found none of '%s'", group.name)
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
