-- The strategies that have a name, each beside a slow replica; those of the paper stand in sample_spec.
local core = require "secateur.core"
local head_models = require "support.head_models"
local memory_split = require "support.memory_split"
local sample = require "secateur.pruning.sample"

local model = head_models.identity(3, "softmax")

local COUNT = 40

-- Two classes of random points; of each index its four features.
local function draw(seed)
  local x = core.randn(COUNT, 4, { seed = seed })
  local labels = {}
  for i = 1, COUNT do labels[i] = 1 + (i * i + seed) % 2 end
  return memory_split(x:reshape(COUNT, 1, 2, 2), labels, { classes = { "a", "b", "c" } }), x:totable(), labels
end

local function members(labels, class)
  local list = {}
  for i, label in ipairs(labels) do
    if label == class then list[#list + 1] = i end
  end
  return list
end

local function squared(a, b)
  local sum = 0
  for d = 1, 4 do sum = sum + (a[d] - b[d]) ^ 2 end
  return sum
end

local function mean_of(rows, list)
  local mean = { 0, 0, 0, 0 }
  for _, i in ipairs(list) do
    for d = 1, 4 do mean[d] = mean[d] + rows[i][d] / #list end
  end
  return mean
end

-- The index in a list with the smallest cost that is not taken.
local function argmin(list, taken, cost)
  local best
  for _, i in ipairs(list) do
    if not taken[i] and (not best or cost(i) < cost(best)) then best = i end
  end
  return best
end

local function probabilities(row)
  local sum, list = 0, {}
  for c = 1, 3 do sum = sum + math.exp(row[c]) end
  for c = 1, 3 do list[c] = math.exp(row[c]) / sum end
  return list
end

local function by_cost(cost)
  return function(rows, list, wanted)
    local chosen, taken = {}, {}
    for t = 1, wanted do
      chosen[t] = argmin(list, taken, function(i) return cost(rows[i], rows, list) end)
      taken[chosen[t]] = true
    end
    return chosen
  end
end

local replicas = {
  margin = by_cost(function(row)
    local p = probabilities(row)
    table.sort(p)
    return p[3] - p[2]
  end),
  entropy = by_cost(function(row)
    local sum = 0
    for _, p in ipairs(probabilities(row)) do sum = sum + p * math.log(p) end
    return sum
  end),
  prototypes = by_cost(function(row, rows, list) return squared(row, mean_of(rows, list)) end),
}

function replicas.coverage(rows, list, wanted)
  local mean, taken = mean_of(rows, list), {}
  local chosen = { argmin(list, {}, function(i) return squared(rows[i], mean) end) }
  taken[chosen[1]] = true
  while #chosen < wanted do
    chosen[#chosen + 1] = argmin(list, taken, function(i)
      local nearest = math.huge
      for _, j in ipairs(chosen) do nearest = math.min(nearest, squared(rows[i], rows[j])) end
      return -nearest
    end)
    taken[chosen[#chosen]] = true
  end
  return chosen
end

-- As iCaRL has it: the mean of those chosen, with the next, is to be nearest to the mean of all.
function replicas.herding(rows, list, wanted)
  local mean, chosen, taken = mean_of(rows, list), {}, {}
  for t = 1, wanted do
    chosen[t] = argmin(list, taken, function(i)
      local with = table.move(chosen, 1, #chosen, 1, {})
      with[t] = i
      return squared(mean_of(rows, with), mean)
    end)
    taken[chosen[t]] = true
  end
  return chosen
end

describe("sampling by", function()
  for name, replica in pairs(replicas) do
    it(name .. " is what its paper says", function()
      for seed = 1, 5 do
        local split, rows, labels = draw(seed)
        local wanted = replica(rows, members(labels, 1), 6)
        table.move(replica(rows, members(labels, 2), 6), 1, 6, 7, wanted)
        assert.same(wanted, sample(model, split, { sampling = name, per_class = 6 }))
      end
    end)

    it(name .. " goes by no seed, batch or number of threads", function()
      local split, before = draw(7), core.threads()
      local wanted = sample(model, split, { sampling = name, per_class = 5 })
      for _, threads in ipairs { 1, 2 } do
        core.threads(threads)
        for _, batch in ipairs { 1, 16 } do
          assert.same(wanted, sample(model, split, { sampling = name, per_class = 5, batch = batch, seed = 3 }))
        end
      end
      core.threads(before)
    end)

    it(name .. " gives all of a class that is small, and passes over what cannot be read", function()
      local split, _, labels = draw(2)
      local whole = sample(model, split, { sampling = name, per_class = COUNT })
      table.sort(whole)
      assert.equal(COUNT, #whole)
      for i = 1, COUNT, 3 do split.unreadable[i] = true end
      local chosen, counts = sample(model, split, { sampling = name, per_class = 4 }), { 0, 0 }
      for _, index in ipairs(chosen) do
        assert.is_nil(split.unreadable[index])
        counts[labels[index]] = counts[labels[index]] + 1
      end
      assert.same({ 4, 4 }, counts)
    end)

    it(name .. " draws for each finding, and for none", function()
      local x, labels = core.randn(COUNT, 4, { seed = 9 }), {}
      for i = 1, COUNT do labels[i] = { i % 2, i % 3 == 0 and 1 or 0 } end
      local split = memory_split(x:reshape(COUNT, 1, 2, 2), labels, { classes = { "nodule", "effusion" } })
      local chosen = sample(head_models.identity(2, "sigmoid"), split, { sampling = name, per_class = 3 })
      assert.same({ 1, 1, 1, 2, 2, 2, 0, 0, 0 }, chosen.findings)
      for i, index in ipairs(chosen) do
        local of, row = chosen.findings[i], labels[index]
        assert.is_true(of == 0 and row[1] + row[2] == 0 or row[of] == 1)
      end
    end)
  end

  it("margin and entropy takes equal ones as they stand in the split", function()
    local rows = {}
    for i = 1, 6 do rows[i] = { 1, 0, 0, i } end
    local split = memory_split(core.tensor(rows):reshape(6, 1, 2, 2), { 1, 1, 1, 1, 1, 1 },
      { classes = { "a", "b", "c" } })
    for _, name in ipairs { "margin", "entropy" } do
      assert.same({ 1, 2, 3 }, sample(model, split, { sampling = name, per_class = 3 }))
    end
  end)
end)
