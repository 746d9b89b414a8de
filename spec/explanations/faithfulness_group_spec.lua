-- Faithfulness over ranks: what all of them get is what one process gets, to the bit.
local memory_split = require "support.memory_split"
local coroutine_group = require "support.coroutine_group"
local sc = require "secateur"

local images = sc.rand(11, 1, 8, 8, { seed = 5 })
local labels = { 1, 2, 3, 1, 2, 3, 1, 2, 3, 1, 2 }

local function split_of(unreadable)
  return memory_split(images, labels, { classes = { "a", "b", "c" }, unreadable = unreadable })
end

local function model_of()
  return sc.models.vgg { config = { 4, "M" }, hidden = { 6 }, pool = 2, classes = 3, size = 8, channels = 1, seed = 3 }
end

local function measure(split, opts, group)
  local given = { steps = 4, draws = 2, resamples = 20, stages = 2, per_class = 3, group = group, progress = false }
  for key, value in pairs(opts) do given[key] = value end
  local result, plain = sc.faithfulness(model_of(), split, given), {}
  for key, value in pairs(result) do
    if type(value) ~= "function" and key ~= "options" then plain[key] = value end
  end
  return plain
end

describe("faithfulness with a group", function()
  for what, opts in pairs {
    ["methods of ours"] = { methods = { "lrp", "ig", "gradient" } },
    ["small batches"] = { methods = { "lrp" }, batch = 2 },
    ["noise that goes by the place in a batch"] = { methods = { "smoothgrad" }, batch = 4,
      measures = { "faithfulness", "sensitivity" } },
    ["a function of one's own"] = { batch = 3, measures = { "deletion", "randomisation", "sparseness" },
      methods = { mine = function(_, x) return x - x:mean() end } },
    ["a method that cannot explain the model"] = { methods = "all", measures = { "morf" }, batch = 5 },
    ["an image that is asked for twice"] = { methods = { "lrp" }, indices = { 4, 1, 4, 9 }, measures = { "lerf" } },
    ["a few samples"] = { samples = 2, methods = { "dlb" }, target = "label" },
  } do
    it("gives every rank what one process gets: " .. what, function()
      local expected = measure(split_of { [2] = true }, opts)
      for _, size in ipairs { 2, 3, 5 } do
        for _, found in ipairs(coroutine_group.values(size, function(group)
          return measure(split_of { [2] = true }, opts, group)
        end)) do
          assert.same(expected, found)
        end
      end
    end)
  end

  it("has on every rank the options that were given", function()
    local given = coroutine_group.values(2, function(group)
      return sc.faithfulness(model_of(), images, { methods = { "lrp" }, measures = { "sparseness" },
        group = group }).options
    end)
    assert.is_nil(given[1].progress)
    assert.is_nil(given[2].progress)
  end)

  it("shares out a Tensor, and its samples once", function()
    local asked = {}
    local function mine(_, x)
      asked[#asked + 1] = x:size(1)
      return x
    end
    local function run(group)
      return sc.faithfulness(model_of(), images, { methods = { mine = mine }, measures = { "sparseness" }, batch = 4,
        group = group, progress = false }).values
    end
    local expected = run()
    assert.same({ 4, 4, 3 }, asked)
    asked = {}
    for _, found in ipairs(coroutine_group.values(2, run)) do assert.same(expected, found) end
    table.sort(asked)
    assert.same({ 3, 4, 4 }, asked)
  end)
end)
