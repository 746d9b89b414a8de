--- Deals samples out to the parts of a data set, seeded: each part gets its share of every class, and samples of one
-- group (a patient) stay together.
-- @module secateur.data.stratification
local core = require "secateur.core"
local shares_of = require "secateur.util.shares"

local stratification = {}

--- The parts of a data set, in the order in which ties are broken.
stratification.names = { "train", "val", "test" }

--- Divides a number by shares, to whole numbers that add up to it (largest remainder). Where there are enough, no part
-- goes empty.
-- @int count
-- @tab shares list of numbers that add up to 1
-- @treturn table list of whole numbers
function stratification.quota(count, shares)
  local parts, order, left = {}, {}, count
  local remainder = {}
  for i, share in ipairs(shares) do
    parts[i] = shares_of.floor(share, count)
    remainder[i] = count * share - parts[i]
    order[i], left = i, left - parts[i]
  end
  table.sort(order, function(a, b)
    if math.abs(remainder[a] - remainder[b]) > 1e-9 then return remainder[a] > remainder[b] end
    return a < b
  end)
  for i = 1, left do parts[order[i]] = parts[order[i]] + 1 end
  for i = 1, count >= #shares and #shares or 0 do
    if parts[i] == 0 then
      local largest = 1
      for j = 2, #parts do
        if parts[j] > parts[largest] then largest = j end
      end
      parts[i], parts[largest] = 1, parts[largest] - 1
    end
  end
  return parts
end

-- Sets of findings that fewer samples have are no strata of their own: shares of a few samples mean nothing.
local RARE = 10

local function tally(keys)
  local sizes = {}
  for _, key in ipairs(keys) do sizes[key] = (sizes[key] or 0) + 1 end
  return sizes
end

-- Of the findings of a sample the one that fewest samples have; 0 where none is present.
local function rarest(label, counts)
  local found = 0
  for k, value in ipairs(label) do
    if value > 0 and (found == 0 or counts[k] < counts[found]) then found = k end
  end
  return found
end

-- What samples are counted with: a stratum of their own, the label, or as text the set of findings; of sets that are
-- rare, the rarest finding, so that each is dealt out by shares too.
local function strata_keys(samples)
  local keys, counts = {}, {}
  for i, sample in ipairs(samples) do
    local label = sample.label
    local is_set = not sample.stratum and type(label) == "table"
    keys[i] = sample.stratum or is_set and table.concat(label, " ") or label
    for k, value in ipairs(is_set and label or {}) do counts[k] = (counts[k] or 0) + (value > 0 and 1 or 0) end
  end
  local sizes = tally(keys)
  for i, sample in ipairs(samples) do
    if not sample.stratum and type(sample.label) == "table" and sizes[keys[i]] < RARE then
      keys[i] = "rare " .. rarest(sample.label, counts)
    end
  end
  return keys
end

-- Numbers the strata of the samples in order of appearance: list of stratum numbers, how many of each.
local function number_strata(samples)
  local number, sizes, strata = {}, {}, {}
  for i, key in ipairs(strata_keys(samples)) do
    if not number[key] then
      sizes[#sizes + 1] = 0
      number[key] = #sizes
    end
    strata[i] = number[key]
    sizes[strata[i]] = sizes[strata[i]] + 1
  end
  return strata, sizes
end

local function assign_samples(samples, shares, seed)
  local strata, sizes = number_strata(samples)
  local members, part = {}, {}
  for k in ipairs(sizes) do members[k] = {} end
  for i, k in ipairs(strata) do table.insert(members[k], i) end
  for k, list in ipairs(members) do
    local order, position = core.permutation(#list, core.mix(seed, k)), 0
    for p, quota in ipairs(stratification.quota(#list, shares)) do
      for _ = 1, quota do
        position = position + 1
        part[list[order[position]]] = p
      end
    end
  end
  return part
end

-- Groups of samples in order of appearance: `members`, `counts` per stratum, and `strata`, those that it has, in
-- ascending order (of thousands, most groups have one). A sample without a group is its own.
local function collect_groups(samples, strata)
  local groups, by_key = {}, {}
  for i, sample in ipairs(samples) do
    local group = sample.group and by_key[sample.group]
    if not group then
      group = { members = {}, counts = {}, strata = {} }
      groups[#groups + 1] = group
      if sample.group then by_key[sample.group] = group end
    end
    table.insert(group.members, i)
    if not group.counts[strata[i]] then table.insert(group.strata, strata[i]) end
    group.counts[strata[i]] = (group.counts[strata[i]] or 0) + 1
  end
  for _, group in ipairs(groups) do table.sort(group.strata) end
  return groups
end

-- Large groups first, since small ones can still even things out; those of a size in random order.
local function order_groups(groups, seed)
  local rank, order = core.permutation(#groups, seed), {}
  for i, group in ipairs(groups) do group.rank, order[i] = rank[i], group end
  table.sort(order, function(a, b)
    if #a.members ~= #b.members then return #a.members > #b.members end
    return a.rank < b.rank
  end)
  return order
end

-- What giving the group to the part adds to the squared distance from its fair share of each stratum.
local function cost(group, part, sizes)
  local sum = 0
  for _, k in ipairs(group.strata) do
    local count, size = group.counts[k], sizes[k]
    sum = sum + count * (2 * (part.has[k] - part.share * size) + count) / (size * size)
  end
  return sum
end

-- Parts left without any group take the smallest one of the part that has most groups.
local function fill_empty(parts)
  for _, part in ipairs(parts) do
    if #part.groups == 0 then
      local richest = parts[1]
      for _, other in ipairs(parts) do
        if #other.groups > #richest.groups then richest = other end
      end
      -- Dealt in order of size: the last is the smallest.
      if #richest.groups > 1 then table.insert(part.groups, table.remove(richest.groups)) end
    end
  end
end

local function assign_groups(samples, shares, seed)
  local strata, sizes = number_strata(samples)
  local parts = {}
  for p, share in ipairs(shares) do
    parts[p] = { share = share, has = {}, groups = {} }
    for k in ipairs(sizes) do parts[p].has[k] = 0 end
  end
  for _, group in ipairs(order_groups(collect_groups(samples, strata), seed)) do
    local best, lowest
    for _, part in ipairs(parts) do
      local value = cost(group, part, sizes)
      if not lowest or value < lowest - 1e-12 then best, lowest = part, value end
    end
    table.insert(best.groups, group)
    for k, count in pairs(group.counts) do best.has[k] = best.has[k] + count end
  end
  fill_empty(parts)
  local result = {}
  for p, part in ipairs(parts) do
    for _, group in ipairs(part.groups) do
      for _, i in ipairs(group.members) do result[i] = p end
    end
  end
  return result
end

--- Deals samples out to parts. The same samples, shares and seed always give the same parts.
-- @tab samples list of `{label=, stratum=, group=}`: shares are kept per stratum (the label, unless given, or the set
-- of findings, where sets that are rare count by their rarest finding); samples of
-- the same group, if given, go to the same part, and shares are kept as well as that allows
-- @tab shares list of numbers that add up to 1; a part whose share is 0 gets none
-- @int seed
-- @treturn table list: for each sample, the number of its part
function stratification.assign(samples, shares, seed)
  local positive, number, assign = {}, {}, assign_samples
  for part, share in ipairs(shares) do
    if share > 0 then positive[#positive + 1], number[#number + 1] = share, part end
  end
  for _, sample in ipairs(samples) do
    if sample.group then assign = assign_groups end
  end
  local parts = assign(samples, positive, seed)
  for i, part in ipairs(parts) do parts[i] = number[part] end
  return parts
end

return stratification
