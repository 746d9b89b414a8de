local checkpoint = require "secateur.training.checkpoint"
local core = require "secateur.core"
local data_sets = require "secateur.data"
local errors = require "support.errors"
local coroutine_group = require "support.coroutine_group"
local files = require "secateur.util.files"
local json = require "secateur.util.json"
local pictures = require "support.pictures"
local stderr = require "support.stderr"
local temporary = require "support.temporary"
local toy = require "support.toy"
local train = require "secateur.training.train"

local threads
setup(function() threads = core.threads() core.threads(1) end)
teardown(function() core.threads(threads) end)

-- A model with dropout and batch norm, so that all that is random or has a state takes part.
local function model_of() return toy.model { batch_norm = true, seed = 3 } end

-- What a training by so many ranks gave, which must be the same on each rank: the history but for the clock's numbers,
-- as text, and the weights. `case`: `opts`, `data` and `model` (functions).
local function trained(size, case)
  local first
  local outcomes = coroutine_group.run(size, function(group)
    local model = (case.model or model_of)()
    local opts = toy.quietly(3, { batch = 12, micro_batch = 2, group = group })
    for key, value in pairs(case.opts or {}) do opts[key] = value end
    local data = (case.data or toy.data)()
    local history = train(model, data, opts)
    local seconds = {}
    for i, row in ipairs(history) do
      seconds[i] = { row.seconds, row.images_per_second }
      row.seconds, row.images_per_second = nil, nil
    end
    return { rows = json.encode { table.unpack(history) }, best = history.best_epoch, skipped = history.skipped,
      weights = toy.weights(model) }, seconds
  end)
  for rank, outcome in ipairs(outcomes) do
    if outcome.problem then error(("rank %d: %s"):format(rank - 1, tostring(outcome.problem)), 2) end
    first = first or outcome
    assert.same(first, outcome, "rank " .. rank - 1)
  end
  return first[1]
end

local function same_on(sizes, case)
  local alone = trained(1, case)
  for _, size in ipairs(sizes) do assert.same(alone, trained(size, case), size .. " ranks") end
  return alone
end

local function phantoms(opts)
  local given = { count = 60, size = 16, channels = 1, classes = { "normal", "effusion", "nodule" } }
  for key, value in pairs(opts or {}) do given[key] = value end
  return data_sets.phantom(given)
end

describe("train over ranks", function()
  it("takes the way of one process to the bit, whatever the number of ranks", function()
    local alone = same_on({ 2, 3, 4, 8 }, {})
    -- The size of a piece is part of what is computed.
    assert.not_same(alone.weights, trained(1, { opts = { micro_batch = 3 } }).weights)
  end)

  it("reads the images of a rank alone, augmented as they are for one process", function()
    for _, sampler in ipairs { "shuffle", "balanced" } do
      local read = {}
      same_on({ 2, 3 }, { opts = { augment = true, sampler = sampler, batch = 10, micro_batch = 3, workers = 2 },
        model = function() return toy.model { size = 16, batch_norm = true } end,
        data = function()
          local data = phantoms()
          local batches = data.train.batches
          data.train = setmetatable({ batches = function(_, opts)
            local count = 0
            for _, list in ipairs(opts.places) do count = count + #list end
            read[#read + 1] = count
            return batches(data.train.real, opts)
          end, real = data.train }, { __index = data.train })
          return data
        end })
      local count = phantoms().train:count()
      assert.same({ count, count, count }, { table.unpack(read, 1, 3) })
      for i = 4, #read do assert.is_true(read[i] < 0.7 * count) end
      assert.equal(3 * (1 + 2 + 3), #read)
    end
  end)

  it("does so with what training can do", function()
    local findings = { "nodule", "effusion", "opacity" }
    for name, case in pairs {
      average = { opts = { ema = 0.9, warmup = 1, clip = 0.01, schedule = "cosine" } },
      focal = { opts = { loss = "focal", class_weights = { 1, 2, 5 }, label_smoothing = 0.1, select = "loss" } },
      sgd = { opts = { optimiser = "sgd", nesterov = true, weight_decay = 0.01, decay_norms = false } },
      frozen = { opts = { freeze = "^features%.[01]%.", groups = { { match = "^classifier", lr_scale = 3 } } } },
      without_validation = { data = function() return { train = toy.split(31, 1) } end },
      binary = { opts = { pos_weight = 3 },
        data = function() return phantoms { classes = { "normal", "effusion" } } end,
        model = function() return toy.model { size = 16, classes = 1, head = "sigmoid", batch_norm = true } end },
      findings = { opts = { pos_weight = "balanced" }, data = function()
        local data = phantoms { classes = findings, multi_label = true }
        for i, label in ipairs(data.train.labels) do label[i % 3 + 1] = -1 end
        for i = 1, 40, 3 do data.train.labels[i] = { -1, -1, -1 } end -- whole pieces of which nothing is known
        return data
      end, model = function() return toy.model { size = 16, head = "sigmoid", batch_norm = true } end },
      pruned = { model = function()
        local model = model_of()
        return (require "secateur.pruning.prune"(model, { ["features.0"] = { 1, 4 } }))
      end },
    } do
      local ok, problem = pcall(same_on, { 2, 3 }, case)
      if not ok then error(("%s: %s"):format(name, tostring(problem))) end
    end
  end)

  it("knows on all ranks what could not be read on one", function()
    local root = temporary.folder()
    for _, part in ipairs { "train", "val" } do
      for _, class in ipairs { "a", "b", "c" } do pictures.fill(root, part .. "/" .. class, 7) end
    end
    for _, place in ipairs { "train/a/02.png", "train/a/03.png", "train/b/05.png", "train/c/01.png", "val/a/04.png" } do
      pictures.truncated(root, place)
    end
    local function check(case)
      local sizes, lines = { 1, 2, 3 }, {}
      local first
      for i, size in ipairs(sizes) do
        local outcome
        local said = stderr.text(function() outcome = trained(size, case) end)
        first = first or outcome
        assert.same(first, outcome, size .. " ranks")
        lines[i] = select(2, said:gsub(": skipped ", ""))
      end
      assert.equal(5, first.skipped)
      assert.same({ 5, 5, 5 }, lines) -- each is named once
    end
    local case = { opts = { batch = 4, augment = { hflip = 0.5 } }, data = function()
      return data_sets.folder(root, { size = 8, channels = 1, on_duplicate = "ignore" })
    end }
    check(case)
    case.opts = { batch = 3, freeze = "^features", micro_batch = 1 } -- pieces that nothing could be read of
    check(case)
    files.remove(root)
  end)

  it("names all images where none can be read", function()
    local root, counts = temporary.folder(), {}
    for _, part in ipairs { "train", "val" } do
      for _, class in ipairs { "a", "b", "c" } do pictures.fill(root, part .. "/" .. class, 4) end
    end
    for _, class in ipairs { "a", "b", "c" } do
      for i = 1, 4 do pictures.truncated(root, ("train/%s/%02d.png"):format(class, i)) end
    end
    for size = 1, 3 do
      local outcomes
      local said = stderr.text(function()
        outcomes = coroutine_group.run(size, function(group)
          local data = data_sets.folder(root, { size = 8, channels = 1, on_duplicate = "ignore" })
          return errors.raised(train, model_of(), data, toy.quietly(1, { batch = 6, micro_batch = 2, group = group }))
        end)
      end)
      for _, outcome in ipairs(outcomes) do
        assert.equal("train: data.train: expected images, but none could be decoded", outcome[1] or outcome.problem)
      end
      counts[size] = select(2, said:gsub(": skipped ", ""))
    end
    files.remove(root)
    assert.same({ 12, 12, 12 }, counts)
  end)

  it("goes on with another number of ranks", function()
    local root = temporary.folder()
    local case = { opts = { epochs = 4, ema = 0.8, checkpoint = root .. "/run.safetensors", resume = true,
      decay = { every = 2, factor = 0.5 } }, data = phantoms,
      model = function() return toy.model { size = 16, batch_norm = true } end }
    local whole = trained(3, case)
    os.remove(case.opts.checkpoint)
    for epochs, size in ipairs { 3, 1, 2, 4 } do
      case.opts.epochs = epochs
      if epochs < 4 then trained(size, case) else assert.same(whole, trained(size, case)) end
    end
    files.remove(root)
  end)

  it("goes on when the checkpoint is there", function()
    local root = temporary.folder()
    local path, save, seen = root .. "/run.safetensors", checkpoint.save, {}
    checkpoint.save = function(...)
      coroutine.yield() -- all others go as far as they can
      return save(...)
    end
    local ok, problem = pcall(trained, 3, { opts = { checkpoint = path, epochs = 1, on_epoch = function()
      seen[#seen + 1] = files.is_file(path)
    end } })
    checkpoint.save = save
    files.remove(root)
    assert(ok, problem)
    assert.same({ true, true, true }, seen)
  end)

  it("says what the ranks lack, or do not share", function()
    local function messages(size, change)
      local list = {}
      for rank, outcome in ipairs(coroutine_group.run(size, function(group)
        local opts, model, data = toy.quietly(1, { batch = 12, micro_batch = 2, group = group }), model_of(), toy.data()
        return change(opts, group, model, data) or errors.raised(train, model, data, opts)
      end)) do list[rank] = outcome[1] or outcome.problem end
      return list
    end
    local needs = "train: micro_batch: expected fewer images than a batch has (12), with 2 ranks, got %s: ranks share "
      .. "the pieces of each batch; 6 would be a piece for each. Weights depend on the size of pieces, not on the "
      .. "number of ranks"
    assert.same({ needs:format "nil", needs:format "nil" }, messages(2, function(opts) opts.micro_batch = nil end))
    assert.equal(needs:format "12", messages(2, function(opts) opts.micro_batch = 12 end)[1])
    local same = "train: group: expected the same call with the same model, data and options on all ranks: "
    assert.same({ same .. "of.options.lr: 0.005 on rank 0, 0.1 on rank 1", same
      .. "of.options.lr: 0.005 on rank 0, 0.1 on rank 1" }, messages(2, function(opts, group)
        if group.rank == 1 then opts.lr = 0.1 end
      end))
    assert.equal(same .. "model: other weights on rank 2 than on rank 0", messages(3, function(_, group, model)
      if group.rank == 2 then
        model.graph:own_parameters()
        model:state()["features.0.weight"]:set(9, 1, 1, 1, 1)
      end
    end)[1])
    local root = temporary.folder()
    for rank = 0, 1 do -- the folders of two machines, of which one has another image
      for _, part in ipairs { "train", "val" } do
        for _, class in ipairs { "a", "b", "c" } do
          for i = 1, 4 do
            local place = ("%s/%s/%d.png"):format(part, class, i)
            local bytes = assert(files.read_all(pictures.save(root .. "/0", place, i / 5)))
            temporary.write(root, rank .. "/" .. place, bytes)
          end
        end
      end
    end
    pictures.save(root .. "/1", "val/b/2.png", 0.9)
    local said = messages(2, function(opts, group, model)
      local data = data_sets.folder(("%s/%d"):format(root, group.rank), { size = 8, channels = 1, quiet = true,
        on_duplicate = "ignore" })
      return errors.raised(train, model, data, opts)
    end)[1]
    assert.truthy(said:find("^train: group: .*: images%.val: \"%x+\" on rank 0, \"%x+\" on rank 1$"), said)
    files.remove(root)
    assert.equal(same .. "epochs: 1 on rank 0, 2 on rank 1",
      messages(2, function(opts, group) opts.epochs = group.rank + 1 end)[2])
  end)

  it("ends on all ranks where one fails, with the best weights so far", function()
    local outcomes = coroutine_group.run(3, function(group)
      local model, states = model_of(), {}
      local message = errors.raised(train, model, toy.data(), toy.quietly(4, { batch = 12, micro_batch = 2,
        group = group, select = "last", on_epoch = function(row)
          states[row.epoch] = toy.weights(model)
          if row.epoch == 2 and group.rank == 1 then error("enough", 0) end
        end }))
      assert.same(states[2], toy.weights(model))
      return message
    end)
    for rank, message in ipairs { "train: rank 1: enough", "enough", "train: rank 1: enough" } do
      assert.equal(message, outcomes[rank][1] or outcomes[rank].problem)
    end
  end)

  it("notices weights that differ after an epoch", function()
    local outcomes = coroutine_group.run(2, function(group)
      local model = model_of()
      local receive = group.broadcast_tensor
      if group.rank == 1 then
        function group.broadcast_tensor(...)
          return receive(...):set(1, 1)
        end
      end
      return errors.raised(train, model, toy.data(), toy.quietly(1, { batch = 12, micro_batch = 2, group = group,
        freeze = "^features" }))
    end)
    for _, outcome in ipairs(outcomes) do
      assert.equal("train: group: the weights of rank 1 differ from those of rank 0 after epoch 1: expected the same "
        .. "data and the same version of secateur on all machines, and memory without faults", outcome[1])
    end
  end)

  it("notices images that differ, of splits that each rank reads for itself", function()
    for what, change in pairs {
      ["images of data.train"] = function(data) data.train = toy.split(48, 9) end,
      ["losses of validation"] = function(data) data.val = toy.split(24, 9) end,
    } do
      local outcomes = coroutine_group.run(3, function(group)
        local data = toy.data()
        if group.rank == 2 then change(data) end
        return errors.raised(train, model_of(), data, toy.quietly(2, { batch = 12, micro_batch = 2, group = group }))
      end)
      for _, outcome in ipairs(outcomes) do
        assert.equal(("train: group: the %s of rank 2 differ from those of rank 0 after epoch 1: expected the same "
          .. "data and the same version of secateur on all machines, and memory without faults"):format(what),
          outcome[1] or outcome.problem)
      end
    end
  end)

  it("takes a split whose images cannot be asked for by number", function()
    same_on({ 2 }, { data = function()
      local data = toy.data()
      function data.train.batch() error("there is no such thing", 0) end
      return data
    end })
  end)

  it("notices another preparation of the same images", function()
    local outcomes = coroutine_group.run(2, function(group)
      local data = phantoms { mean = { group.rank / 2 } }
      return errors.raised(train, toy.model { size = 16 }, data, toy.quietly(1, { batch = 12, micro_batch = 2,
        group = group }))
    end)
    for _, outcome in ipairs(outcomes) do
      local message = outcome[1] or outcome.problem
      assert.truthy(message:find ": prepared_images%.train: \"%x+\" on rank 0, \"%x+\" on rank 1", message)
    end
  end)

  it("stops on all ranks where a number is not finite, as one process does", function()
    for _, change in ipairs { { lr = 1e30, optimiser = "sgd", clip = false }, { lr = 1e30, clip = 1e30 } } do
      local told
      for size = 1, 3 do
        for _, outcome in ipairs(coroutine_group.run(size, function(group)
          local opts = toy.quietly(2, { batch = 12, micro_batch = 2, group = group })
          for key, value in pairs(change) do opts[key] = value end
          return errors.raised(train, toy.model { seed = 3 }, toy.data(), opts)
        end)) do
          local message = assert(outcome[1], outcome.problem)
          told = told or message
          assert.truthy(message:find("^train: .* is .* in epoch %d, step %d+, at lr "), message)
          assert.equal(told, message)
        end
      end
    end
  end)

  it("says once where ranks have nothing to do", function()
    local said = stderr.text(function()
      coroutine_group.run(4, function(group)
        return train(model_of(), { train = toy.split(24, 1) }, { epochs = 1, batch = 8, micro_batch = 3, group = group,
          augment = false })
      end)
    end)
    local _, count = said:gsub("train: a batch of 8 in pieces of 3 is 3 pieces: 1 of the 4 ranks have none of them", "")
    assert.equal(1, count)
    _, count = said:gsub("epoch 1/1 ", "")
    assert.equal(1, count) -- rank 0 alone speaks
  end)
end)
