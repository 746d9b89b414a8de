local splits = require "secateur.data.stratification"

local SHARES = { 0.7, 0.1, 0.2 }

-- How many samples of each label fall into each part.
local function tally(samples, parts)
  local counts = {}
  for i, part in ipairs(parts) do
    counts[part] = counts[part] or {}
    local label = samples[i].label
    counts[part][label] = (counts[part][label] or 0) + 1
  end
  return counts
end

local function of_labels(...)
  local samples = {}
  for label, count in ipairs { ... } do
    for _ = 1, count do samples[#samples + 1] = { label = label } end
  end
  return samples
end

describe("data.splits", function()
  it("divides numbers by shares, to the last one", function()
    assert.same({ 7, 1, 2 }, splits.quota(10, SHARES))
    assert.same({ 70, 10, 20 }, splits.quota(100, SHARES))
    assert.same({ 0, 0, 0 }, splits.quota(0, SHARES))
    assert.same({ 1, 0, 0 }, splits.quota(1, SHARES))
    assert.same({ 2, 0, 0 }, splits.quota(2, SHARES))
    assert.same({ 1, 1, 1 }, splits.quota(3, SHARES))
    assert.same({ 2, 1, 1 }, splits.quota(4, SHARES))
    assert.same({ 2, 1 }, splits.quota(3, { 0.5, 0.5 }))
    for count = 0, 200 do
      local sum = 0
      for i, part in ipairs(splits.quota(count, SHARES)) do
        sum = sum + part
        assert.is_true(math.abs(part - count * SHARES[i]) < (count >= 10 and 1 or 2))
      end
      assert.equal(count, sum)
    end
  end)

  it("keeps the share of every class", function()
    local samples = of_labels(100, 40, 10)
    assert.same({ { 70, 28, 7 }, { 10, 4, 1 }, { 20, 8, 2 } }, tally(samples, splits.assign(samples, SHARES, 0)))
  end)

  it("depends on the seed alone", function()
    local samples = of_labels(60, 40)
    assert.same(splits.assign(samples, SHARES, 3), splits.assign(samples, SHARES, 3))
    assert.not_same(splits.assign(samples, SHARES, 3), splits.assign(samples, SHARES, 4))
  end)

  it("splits classes independently of each other", function()
    local parts = splits.assign(of_labels(50, 50), SHARES, 0)
    assert.not_same(table.move(parts, 1, 50, 1, {}), table.move(parts, 51, 100, 1, {}))
  end)

  it("keeps shares per stratum where one is given", function()
    local samples = {}
    for i = 1, 40 do samples[i] = { label = 1 + i % 2, stratum = i <= 20 and "a" or "b" } end
    local counts = {}
    for i, part in ipairs(splits.assign(samples, SHARES, 0)) do
      local key = samples[i].stratum .. part
      counts[key] = (counts[key] or 0) + 1
    end
    assert.same({ a1 = 14, a2 = 2, a3 = 4, b1 = 14, b2 = 2, b3 = 4 }, counts)
  end)

  it("deals sets of findings out by set, and rare ones by their rarest finding", function()
    -- 50 images with each set of two findings; 10 with a third as well, no more than 3 with each set.
    local samples = {}
    for i = 1, 200 do samples[i] = { label = { i & 1, i >> 1 & 1, 0 } } end
    for i = 1, 10 do samples[200 + i] = { label = { i & 1, i >> 1 & 1, 1 } } end
    local parts = splits.assign(samples, { 0.7, 0.1, 0.2 }, 3)
    local counts = { { 0, 0, 0 }, { 0, 0, 0 } }
    for i, part in ipairs(parts) do
      if i <= 200 and i % 4 == 1 then counts[1][part] = counts[1][part] + 1 end
      if i > 200 then counts[2][part] = counts[2][part] + 1 end
    end
    assert.same({ { 35, 5, 10 }, { 7, 1, 2 } }, counts)
  end)

  describe("with groups", function()
    -- Patients with 1 to 5 images each, mostly of one class.
    local function patients(count)
      local samples = {}
      for patient = 1, count do
        for image = 1, 1 + patient % 5 do
          local label = (patient % 3 == 0 and image ~= 2) and 2 or 1
          samples[#samples + 1] = { label = label, group = "p" .. patient }
        end
      end
      return samples
    end

    it("never divides one", function()
      local samples = patients(100)
      local part_of = {}
      for i, part in ipairs(splits.assign(samples, SHARES, 0)) do
        local group = samples[i].group
        assert.equal(part_of[group] or part, part)
        part_of[group] = part
      end
    end)

    it("still keeps the share of every class, to a few samples", function()
      local samples = patients(100)
      local all = tally(samples, splits.assign(samples, { 1 }, 0))[1]
      for seed = 1, 5 do
        local counts = tally(samples, splits.assign(samples, SHARES, seed))
        for part, share in ipairs(SHARES) do
          for label, total in ipairs(all) do
            assert.is_true(math.abs(counts[part][label] - share * total) <= 3)
          end
        end
      end
    end)

    it("depends on the seed alone", function()
      local samples = patients(50)
      assert.same(splits.assign(samples, SHARES, 3), splits.assign(samples, SHARES, 3))
      assert.not_same(splits.assign(samples, SHARES, 3), splits.assign(samples, SHARES, 4))
    end)

    it("leaves no part empty where there are enough groups", function()
      for count = 3, 12 do
        local samples = {}
        for i = 1, count do samples[i] = { label = 1, group = "p" .. i } end
        local counts = tally(samples, splits.assign(samples, SHARES, 0))
        assert.is_true(counts[1] ~= nil and counts[2] ~= nil and counts[3] ~= nil)
      end
    end)

    it("takes samples without one as groups of their own", function()
      local samples = of_labels(20)
      samples[1].group, samples[2].group = "p", "p"
      local parts = splits.assign(samples, SHARES, 0)
      assert.equal(parts[1], parts[2])
      assert.same({ { 14 }, { 2 }, { 4 } }, tally(samples, parts))
    end)
  end)

  it("takes steps in proportion to the samples, however many classes they have", function()
    local function steps(classes)
      local samples, count = {}, 0
      for i = 1, 4 * classes do samples[i] = { label = i % classes, group = "g" .. i // 2 } end
      debug.sethook(function() count = count + 1 end, "", 1000)
      local ok, message = pcall(splits.assign, samples, { 0.6, 0.2, 0.2 }, 1)
      debug.sethook()
      assert(ok, message)
      return count
    end
    assert.is_true(steps(1600) < 6 * steps(400))
  end)
end)
