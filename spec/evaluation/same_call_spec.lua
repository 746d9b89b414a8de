local data_sets = require "secateur.data"
local evaluate = require "secateur.evaluation.evaluate"
local faithfulness = require "secateur.explanations.faithfulness"
local importance = require "secateur.pruning.importance"
local coroutine_group = require "support.coroutine_group"
local toy = require "support.toy"
local train = require "secateur.training.train"

local SAME = "group: expected the same call with the same model, data and options on all ranks: "

-- What each rank raises.
local function problems(size, call)
  local texts = {}
  for i, result in ipairs(coroutine_group.run(size, call)) do texts[i] = tostring(result.problem or "nothing") end
  return texts
end

local function phantoms(opts)
  local given = { count = 40, size = 16, channels = 1, classes = { "normal", "effusion", "nodule" } }
  for key, value in pairs(opts or {}) do given[key] = value end
  return data_sets.phantom(given)
end

local verbs = {
  evaluate = function(model, split, opts) return evaluate(model, split, opts) end,
  importance = function(model, split, opts) return importance(model, split, opts) end,
  faithfulness = function(model, split, opts)
    opts.measures, opts.resamples = { "sparseness" }, 10
    return faithfulness(model, split, opts)
  end,
}

describe("a call of all ranks", function()
  it("has the same model, split and options", function()
    for name, verb in pairs(verbs) do
      for expected, change in pairs {
        ["model: other weights on rank 1 than on rank 0"] = function(call)
          call.model = toy.model { size = 16, seed = 9 }
        end,
        ["options.batch: 4 on rank 0, 5 on rank 1"] = function(call) call.opts.batch = 5 end,
        ["count: "] = function(call) call.split = call.split:subset { 1, 2, 3, 4 } end,
        ["preparation.mean.1: 0 on rank 0, 0.5 on rank 1"] = function(call)
          call.split = phantoms { mean = { 0.5 } }.train
        end,
      } do
        local texts = problems(2, function(group)
          local call = { model = toy.model { size = 16, seed = 3 }, split = phantoms { mean = { 0 } }.train,
            opts = { batch = 4, group = group } }
          if group.rank == 1 then change(call) end
          return verb(call.model, call.split, call.opts)
        end)
        for _, text in ipairs(texts) do
          assert.truthy(text:find(name .. ": " .. SAME, 1, true) and text:find(expected, 1, true), text)
        end
      end
    end
  end)

  it("may report on one rank alone", function()
    local results = coroutine_group.values(2, function(group)
      return importance(toy.model { size = 16 }, phantoms().train, { method = "lrp", group = group,
        on_batch = group.rank == 0 and function() end or nil })["features.0"]:totable()
    end)
    assert.same(results[1], results[2])
  end)

  it("is of one verb", function()
    local texts = problems(2, function(group)
      local model, data = toy.model { size = 16 }, phantoms()
      if group.rank == 1 then return evaluate(model, data.val, { group = group }) end
      return train(model, data, { batch = 4, micro_batch = 2, group = group, quiet = true })
    end)
    assert.truthy(texts[1]:find("train: group: expected the same call on all ranks: rank 1 has called evaluate, rank 0 "
      .. "train", 1, true), texts[1])
    assert.truthy(texts[2]:find("evaluate: group: expected the same call on all ranks: rank 0 has called train, rank 1 "
      .. "evaluate", 1, true), texts[2])
    texts = problems(2, function(group)
      if group.rank == 1 then return group:all_gather "mine" end
      return evaluate(toy.model { size = 16 }, phantoms().val, { group = group })
    end)
    assert.truthy(texts[1]:find("rank 1 has called something else, rank 0 evaluate", 1, true), texts[1])
  end)
end)
