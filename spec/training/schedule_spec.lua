local safetensors = require "secateur.formats.safetensors"
local schedule = require "secateur.training.schedule"

-- The factors of all steps of a training.
local function factors(opts, steps)
  local given, list = { warmup = 0, decay = false, least = 0 }, {}
  for key, value in pairs(opts) do given[key] = value end
  for epoch = 1, given.epochs do
    for step = 1, steps do list[#list + 1] = schedule.factor(given, epoch, step, steps) end
  end
  return list
end

describe("a schedule", function()
  it("warms up and falls along a cosine as torch's LinearLR and CosineAnnealingLR do", function()
    local wanted = safetensors.load "spec/fixtures/training.safetensors"["schedule/cosine"]:totable()
    local got = factors({ schedule = "cosine", epochs = 4, warmup = 4 / 6, least = 0.1 }, 6)
    assert.equal(#wanted, #got)
    for i, factor in ipairs(got) do assert.is_true(math.abs(0.1 * factor - wanted[i]) < 1e-8, i) end
  end)

  it("ends near the least, which it never passes", function()
    local got = factors({ schedule = "cosine", epochs = 2, least = 0.25 }, 50)
    assert.equal(1, got[1])
    for i = 2, #got do assert.is_true(got[i] < got[i - 1] and got[i] >= 0.25) end
    assert.is_true(got[100] - 0.25 < 1e-3)
    -- Warm-up that takes all of the training leaves no cosine.
    assert.same({ 1 / 9, 2 / 9, 3 / 9, 4 / 9 }, factors({ schedule = "cosine", epochs = 1, warmup = 2 }, 4))
    assert.same({ 1 / 4, 2 / 4, 3 / 4 }, factors({ schedule = "cosine", epochs = 3, warmup = 3 }, 1))
  end)

  it("falls by steps that count epochs, or not at all", function()
    local decay = { every = 2, factor = 0.5 }
    assert.same({ 1, 1, 0.5, 0.5, 0.25 }, factors({ schedule = "step", epochs = 5, decay = decay }, 1))
    assert.same({ 1, 1, 1, 1 }, factors({ schedule = "step", epochs = 4 }, 1))
    assert.same({ 1, 1, 1, 1 }, factors({ schedule = "constant", epochs = 2 }, 2))
  end)

  it("multiplies what is below it while it warms up, over a part of an epoch too", function()
    assert.same({ 0.25, 0.5, 0.75, 1, 1, 1 }, factors({ schedule = "constant", epochs = 3, warmup = 1.5 }, 2))
    assert.same({ 1 / 2, 1, 0.5, 0.5 }, factors({ schedule = "step", epochs = 2, warmup = 0.5,
      decay = { every = 1, factor = 0.5 } }, 2))
  end)

  it("is a function of progress and epoch", function()
    local asked = {}
    local got = factors({ schedule = function(progress, epoch)
      asked[#asked + 1] = { progress, epoch }
      return 1 - progress
    end, epochs = 2 }, 2)
    assert.same({ { 0, 1 }, { 0.25, 1 }, { 0.5, 2 }, { 0.75, 2 } }, asked)
    assert.same({ 1, 0.75, 0.5, 0.25 }, got)
  end)

  it("keeps its place where an epoch has more steps than expected", function()
    local opts = { schedule = "cosine", epochs = 2, warmup = 0, least = 0 }
    assert.equal(schedule.factor(opts, 1, 3, 3), schedule.factor(opts, 1, 5, 3))
  end)
end)
