local core = require "secateur.core"
local custom = require "secateur.models.custom"
local errors = require "support.errors"
local files = require "secateur.util.files"
local prune = require "secateur.pruning.prune"
local single = require "support.single"
local temporary = require "support.temporary"
local toy = require "support.toy"
local train = require "secateur.training.train"

local function quietly(changes) return toy.quietly(2, changes) end

-- Without dropout and norms, so that a batch in pieces is the whole batch.
local function plain() return toy.model { dropout = 0, seed = 3 } end

local function with_norm() return toy.model { batch_norm = true, seed = 3 } end

local function message_of(...) return errors.inside(function(...) train(...) end, ...) end

-- Names of the parameters whose values differ between two states of toy.weights.
local function changed(before, after)
  local names = {}
  for name, value in pairs(before) do
    if not pcall(assert.same, value, after[name]) then names[#names + 1] = name end
  end
  table.sort(names)
  return names
end

local function close(a, b, tolerance)
  for name, value in pairs(a) do
    if type(value) == "table" then
      single.compare(name, single.flat(core.tensor(value)), single.flat(core.tensor(b[name])), tolerance)
    end
  end
end

local threads
setup(function() threads = core.threads() core.threads(1) end)
teardown(function() core.threads(threads) end)

describe("train's freeze", function()
  it("leaves what a pattern, a list or a function names, and the statistics of frozen norms", function()
    for _, freeze in ipairs { "^features", { "^features%.[0-4]%.", "^features" },
      function(name) return name:find "features" ~= nil end } do
      local model = with_norm()
      local before = toy.weights(model)
      train(model, toy.data(), quietly { freeze = freeze, select = "last" })
      assert.same({ "classifier.0.bias", "classifier.0.weight", "classifier.3.bias", "classifier.3.weight" },
        changed(before, toy.weights(model)))
    end
    local model = with_norm()
    local before = toy.weights(model)
    train(model, toy.data(), quietly { freeze = { "^features%.1%.weight" }, select = "last" })
    for _, name in ipairs(changed(before, toy.weights(model))) do
      assert.is_nil(name:find "^features%.1%.weight" or name:find "^features%.1%.running" or name:find "1%.num")
    end
    assert.equal(0, toy.weights(model)["features.1.num_batches_tracked"])
    assert.equal(12, toy.weights(model)["features.5.num_batches_tracked"])
  end)

  it("still learns through what is frozen", function()
    local model = plain()
    local before = toy.weights(model)
    train(model, toy.data(), quietly { freeze = { "^classifier" }, select = "last" })
    assert.same({ "features.0.bias", "features.0.weight", "features.3.bias", "features.3.weight" },
      changed(before, toy.weights(model)))
  end)

  it("keeps a last batch of one sample where every norm is frozen", function()
    local model, rows = with_norm(), {}
    train(model, { train = toy.split(9, 1) }, quietly { epochs = 1, freeze = "^features",
      on_epoch = function(row) rows[1] = row end })
    assert.is_number(rows[1].train_loss)
    local norm = with_norm()
    train(norm, { train = toy.split(9, 1) }, quietly { epochs = 1 })
    assert.equal(1, toy.weights(norm)["features.1.num_batches_tracked"])
  end)

  it("says what fits nothing, or too much", function()
    local model, data = plain(), toy.data()
    for message, freeze in pairs {
      ["train: freeze: expected a pattern that fits a parameter to train, got '^layer'; known parameters: "
        .. "'features.0.weight', ..."] = "^layer",
      ["train: freeze: expected something left to train, got all 8 parameters"] = ".",
      ["train: freeze: expected a Lua pattern, got '[': malformed pattern (missing ']')"] = "[",
      ["train: freeze: expected at least one pattern, got an empty list"] = {},
      ["train: freeze: 2: expected a pattern or a function, got 7"] = { "^features", 7 },
      ["train: freeze: expected a string or a table or a function, got true"] = true,
    } do
      assert.equal(message, message_of(model, data, quietly { freeze = freeze }))
    end
    local message = message_of(model, data, quietly { freeze = function() return false end })
    assert.equal("train: freeze: expected a function that is true for a parameter to train, got one that is for "
      .. "none; known parameters: 'features.0.weight', ...", message)
    local ok, own = pcall(train, model, data, quietly { freeze = function() error("mine", 0) end })
    assert.same({ false, "mine" }, { ok, own })
  end)
end)

describe("train's groups", function()
  it("have rates and decays of their own; the first that fits counts", function()
    local parameters = require "secateur.training.parameters"
    local settings, scales = parameters.settings(plain(), { ["features.0.bias"] = true }, { lr = 0.01,
      weight_decay = 0.1, decay_norms = false, groups = { { match = "^classifier%.3", lr = 0.1, weight_decay = 0.5 },
        { match = { "^classifier", "features%.3%.weight" }, lr_scale = 0.5 } } }, 0)
    assert.same({ 10, 0.5 }, scales)
    assert.same({
      ["features.0.weight"] = { lr_scale = 1, weight_decay = 0.1 },
      ["features.3.weight"] = { lr_scale = 0.5, weight_decay = 0.1 },
      ["features.3.bias"] = { lr_scale = 1, weight_decay = 0 },
      ["classifier.0.weight"] = { lr_scale = 0.5, weight_decay = 0.1 },
      ["classifier.0.bias"] = { lr_scale = 0.5, weight_decay = 0 },
      ["classifier.3.weight"] = { lr_scale = 10, weight_decay = 0.5 },
      ["classifier.3.bias"] = { lr_scale = 10, weight_decay = 0.5 },
    }, settings)
  end)

  it("are obeyed, and shown", function()
    local model = plain()
    local before = toy.weights(model)
    local history = train(model, toy.data(), quietly { select = "last", schedule = "constant",
      groups = { { match = "^classifier", lr = 0 }, { match = "^features%.3", lr = 1e-3 } } })
    assert.same({ "features.0.bias", "features.0.weight", "features.3.bias", "features.3.weight" },
      changed(before, toy.weights(model)))
    assert.same({ 0, 1e-3 }, history[1].group_lrs)
    assert.truthy(tostring(history):find("0.005, 0, 0.001", 1, true))
  end)

  it("say what is wrong with them", function()
    for message, groups in pairs {
      ["train: groups: 1: match: missing"] = { { lr = 1 } },
      ["train: groups: 2: lr_scale: expected none beside lr"] =
        { { match = "." }, { match = ".", lr = 1, lr_scale = 1 } },
      ["train: groups: 1: match: expected a pattern that fits a parameter to train, got 'fc'; known parameters: "
        .. "'features.0.weight', ..."] = { { match = "fc" } },
      ["train: groups: 1: unknown option 'rate', expected one of: lr, lr_scale, match, weight_decay"] =
        { { match = ".", rate = 1 } },
      ["train: groups: 1: options: expected a table, got '.'"] = { "." },
      ["train: groups: 2: match: expected a parameter that no earlier group has"] =
        { { match = "^classifier", lr = 1 }, { match = "^classifier%.3", lr = 1 } },
      ["train: groups: expected a list of at least 1, got a table"] = {},
    } do
      assert.equal(message, message_of(plain(), toy.data(12, 6), quietly { groups = groups }))
    end
  end)
end)

describe("train in pieces", function()
  it("takes the steps of the whole batch, whatever the weights and the smoothing", function()
    local labels = { 1, 1, 1, 1, 1, 2, 2, 2, 2, 3, 1, 2, 3, 1, 1, 2, 1 }
    local data = { train = toy.split(17, 1, labels) }
    for _, most in ipairs { 1, 3, 5, 7, 8, 100 } do
      local whole, pieces = plain(), plain()
      local opts = quietly { batch = 8, optimiser = "sgd", lr = 0.1, clip = 2e-3, label_smoothing = 0.1 }
      local one = train(whole, data, opts)
      opts.micro_batch = most
      local two = train(pieces, data, opts)
      close(toy.weights(whole), toy.weights(pieces), 2e-6)
      for i, row in ipairs(one) do
        assert.is_true(math.abs(row.train_loss - two[i].train_loss) < 1e-6)
        assert.equal(row.train_accuracy, two[i].train_accuracy)
      end
    end
  end)

  it("cuts batches evenly", function()
    local criterion = require "secateur.training.criterion"
    assert.same({ { 1, 4 }, { 5, 9 } }, criterion.pieces(9, 8))
    assert.same({ { 1, 8 } }, criterion.pieces(8, 8))
    assert.same({ { 1, 2 }, { 3, 4 }, { 5, 7 } }, criterion.pieces(7, 3))
  end)

  it("needs the memory of a piece", function()
    local function arena(micro_batch)
      local model, most = plain(), 0
      local execution = model.execution_plan
      model.execution_plan = function(...)
        local plan = execution(...)
        most = math.max(most, (plan:memory()))
        return plan
      end
      train(model, toy.data(48, 3), quietly { batch = 48, micro_batch = micro_batch, epochs = 1 })
      return most
    end
    assert.is_true(arena(8) < arena() / 5)
  end)

  it("does not take single samples for the statistics of a norm", function()
    assert.equal("train: micro_batch: expected at least 2 with batch norm, whose statistics are those of a piece",
      message_of(with_norm(), toy.data(), quietly { micro_batch = 1 }))
    train(with_norm(), toy.data(), quietly { epochs = 1, micro_batch = 1, freeze = "^features" })
  end)
end)

describe("train's clip", function()
  it("limits the norm of the gradient of a step, and leaves smaller ones", function()
    local function moved(clip)
      local model = plain()
      local before, sum = model:state(), 0
      train(model, { train = toy.split(8, 1) }, quietly { epochs = 1, optimiser = "sgd", momentum = 0, lr = 1,
        clip = clip })
      for name, tensor in pairs(model:state()) do
        local difference = tensor - before[name]
        sum = sum + (difference * difference):sum()
      end
      return math.sqrt(sum)
    end
    local whole = moved()
    assert.is_true(whole > 2e-3)
    assert.equal(whole, moved(1))
    assert.is_true(math.abs(moved(1e-3) - 1e-3 * whole / (whole + 1e-6)) < 1e-8)
  end)

  it("stops where the norm is not finite though the loss is", function()
    local model = custom { input = { 1, 8, 8 }, build = function(net, x)
      return net:linear("head", net:tanh("tanh", net:linear("one", net:flatten("flat", x), { out = 2 })), { out = 3 })
    end }
    model.graph:set_parameter("one.weight", core.zeros(2, 64))
    model.graph:set_parameter("head.weight", core.tensor { { -3.4e38, 0 }, { 3.4e38, 0 }, { 3.4e38, 0 } })
    local before = toy.weights(model)
    local message = message_of(model, { train = toy.split(1, 1, { 1 }) }, quietly { clip = 1, class_weights = false })
    assert.truthy(message:find("^train: norm of the gradient is [%a ]+ in epoch 1, step 1, at lr 0.005; "), message)
    assert.same(before, toy.weights(model))
  end)
end)

describe("train's ema", function()
  it("validates, keeps and gives back the average, which starts when warm-up ends", function()
    for _, warmup in ipairs { 0, 2 } do
      local data, raw, averages = toy.data(), {}, {}
      local opts = quietly { epochs = 5, batch = 48, warmup = warmup, select = "last", seed = 4 }
      opts.on_epoch = function(row) raw[row.epoch] = raw.model:state() end
      raw.model = with_norm()
      train(raw.model, data, opts)
      local model = with_norm()
      opts.ema, opts.select = 0.7, "accuracy"
      opts.on_epoch = function(row) averages[row.epoch] = toy.weights(model) end
      local history = train(model, data, opts)
      local expected = {}
      for epoch, state in ipairs(raw) do
        for name, tensor in pairs(state) do
          local counter = tensor:dtype() == "int64"
          local copies = counter or epoch == 1 or epoch <= warmup + 1
          expected[name] = copies and tensor or expected[name] * 0.7 + tensor * 0.3
        end
        for name, tensor in pairs(expected) do
          local got = averages[epoch][name]
          if type(got) == "number" then
            assert.equal(tensor:totable(), got)
          else
            single.compare(name, single.flat(core.tensor(got)), single.flat(tensor), 1e-6)
          end
        end
      end
      assert.same(averages[history.best_epoch], toy.weights(model))
      local row = history[history.best_epoch]
      assert.equal(row.val_accuracy, require "secateur.evaluation.evaluate"(model, data.val).accuracy)
    end
  end)
end)

describe("train's schedule", function()
  it("sets the rate of every step, and its rows have that of the last", function()
    local rates = {}
    for i, row in ipairs((train(plain(), toy.data(16, 3), quietly { epochs = 4, lr = 1, schedule = "cosine",
      min_lr = 0.1, warmup = 1 }))) do rates[i] = row.lr end
    assert.is_true(math.abs(rates[1] - 2 / 3) < 1e-12)
    for i, t in ipairs { 1, 3, 5 } do
      assert.is_true(math.abs(rates[i + 1] - (0.1 + 0.9 * (1 + math.cos(math.pi * t / 6)) / 2)) < 1e-12)
    end
  end)

  it("may be a function, whose values are judged", function()
    local history = train(plain(), toy.data(16, 3), quietly { epochs = 2, lr = 1e-2,
      schedule = function(progress) return 1 - progress end })
    assert.same({ 0.75e-2, 0.25e-2 }, { history[1].lr, history[2].lr })
    for _, bad in ipairs { -1, 0 / 0, math.huge, "fast" } do
      assert.equal("train: schedule: expected a finite number of at least 0 from the function, got "
        .. require "secateur.util.options".describe(bad),
        message_of(plain(), toy.data(16, 3), quietly { schedule = function() return bad end }))
    end
  end)
end)

describe("train's options", function()
  it("are judged one by one and together", function()
    for message, opts in pairs {
      ["train: optimiser: expected one of 'adam', 'adamw', 'sgd', got 'lion'"] = { optimiser = "lion" },
      ["train: momentum: expected optimiser to be 'sgd', got 'adam'"] = { momentum = 0.9 },
      ["train: betas: expected optimiser to be 'adam' or 'adamw', got 'sgd'"] = { optimiser = "sgd", betas = { 0, 0 } },
      ["train: betas: expected two numbers in [0, 1), got { 0.9, 1 }"] = { betas = { 0.9, 1 } },
      ["train: nesterov: expected a momentum above 0"] = { optimiser = "sgd", momentum = 0, nesterov = true },
      ["train: decay: expected schedule to be 'step', got 'cosine'"] = { schedule = "cosine", decay = {} },
      ["train: min_lr: expected schedule to be 'cosine', got 'step'"] = { min_lr = 0 },
      ["train: min_lr: expected at most lr, 0.005, got 1"] = { schedule = "cosine", min_lr = 1 },
      ["train: schedule: expected one of 'step', 'cosine', 'constant' or a function, got 'linear'"] =
        { schedule = "linear" },
      ["train: warmup: expected a number in [0, inf), got -1"] = { warmup = -1 },
      ["train: label_smoothing: expected a number in [0, 1], got 1.5"] = { label_smoothing = 1.5 },
      ["train: clip: expected one of false or a number in (0, inf), got 0"] = { clip = 0 },
      ["train: micro_batch: expected a whole number of at least 1, got 0"] = { micro_batch = 0 },
      ["train: ema: expected one of false or a number in (0, 1), got 1"] = { ema = 1 },
      ["train: weight_decay: expected a number in [0, inf), got -1"] = { weight_decay = -1 },
    } do
      local ok, got = pcall(message_of, plain(), toy.data(12, 6), quietly(opts))
      assert.same({ true, message }, { ok, got })
    end
  end)
end)

describe("a training with everything", function()
  local folder
  before_each(function() folder = temporary.folder() end)
  after_each(function() files.remove(folder) end)

  local recipes = {
    { optimiser = "adamw", weight_decay = 0.05, decay_norms = false },
    { optimiser = "sgd", nesterov = true, weight_decay = 0.01, lr = 0.05 },
  }

  it("is resumed to the same bits", function()
    local data = toy.data(50, 12)
    for _, given in ipairs(recipes) do
      local opts = quietly { epochs = 4, schedule = "cosine", min_lr = 1e-4, warmup = 1.5, freeze = "^features%.[01]%.",
        groups = { { match = "^classifier", lr_scale = 2 } }, label_smoothing = 0.1, clip = 1, micro_batch = 3,
        ema = 0.8 }
      for key, value in pairs(given) do opts[key] = value end
      local function start() return prune(with_norm(), { ["features.4"] = { 2, 5 }, ["classifier.0"] = { 1, 12 } }) end
      local whole = start()
      local history = train(whole, data, opts)
      for stop = 1, 3 do
        opts.checkpoint, opts.resume = folder .. "/run.safetensors", false
        opts.on_epoch = function(row) if row.epoch == stop then error("stopped", 0) end end
        assert.same({ false, "stopped" }, { pcall(train, start(), data, opts) })
        opts.resume, opts.on_epoch = true, nil
        local resumed = start()
        local again = train(resumed, data, opts)
        assert.same(toy.weights(whole), toy.weights(resumed))
        assert.equal(history.best_epoch, again.best_epoch)
        for i, row in ipairs(history) do
          for _, key in ipairs { "lr", "train_loss", "val_loss", "val_accuracy" } do
            assert.equal(row[key], again[i][key])
          end
          assert.same(row.group_lrs, again[i].group_lrs)
        end
      end
    end
  end)

  it("is not resumed with other parameters frozen, zeroed or grouped", function()
    local data, path = toy.data(24, 6), folder .. "/run.safetensors"
    train(plain(), data, quietly { epochs = 1, checkpoint = path, schedule = "cosine" })
    for expected, changes in pairs {
      ["options.frozen: [] there, [\"features.0.weight\"] now"] = { freeze = "features.0.weight" },
      ["options.optimiser: \"adam\" there, \"adamw\" now"] = { optimiser = "adamw" },
      ["options.epochs: 1 there, 2 now"] = { epochs = 2 },
      ["options.parameters: nothing there, {"] = { groups = { { match = "^classifier", lr = 1 } } },
    } do
      local opts = quietly { epochs = 1, checkpoint = path, resume = true, schedule = "cosine" }
      for key, value in pairs(changes) do opts[key] = value end
      local message = message_of(plain(), data, opts)
      assert.truthy(message:find(expected, 1, true), message)
    end
    local message = message_of(prune(plain(), { ["features.0"] = { 2 } }), data,
      quietly { epochs = 1, checkpoint = path, resume = true, schedule = "cosine" })
    assert.truthy(message:find("options.zeros", 1, true), message)
  end)
end)
