local core = require "secateur.core"
local errors = require "support.errors"
local files = require "secateur.util.files"
local safetensors = require "secateur.formats.safetensors"
local temporary = require "support.temporary"
local toy = require "support.toy"
local train = require "secateur.training.train"

-- Options for the toy data: no augmentation, nothing on stderr.
local function quietly(changes) return toy.quietly(3, changes) end

-- A model with dropout and batch norm, so that all that is random or has a state takes part.
local function model_of(opts) return toy.model(opts or { batch_norm = true, seed = 3 }) end

-- The message of an error, which must point into this file.
local function message_of(...) return errors.inside(function(...) train(...) end, ...) end

local function without_times(history)
  local rows = {}
  for i, row in ipairs(history) do
    rows[i] = {}
    for key, value in pairs(row) do
      if key ~= "seconds" and key ~= "images_per_second" then rows[i][key] = value end
    end
  end
  return rows
end

-- One thread: these networks are so small that several would mostly wait for each other.
local threads
setup(function() threads = core.threads() core.threads(1) end)
teardown(function() core.threads(threads) end)

describe("train", function()
  it("learns phantoms, and ends with the weights of the best epoch", function()
    local data = require "secateur.data".phantom { count = 240, size = 24, channels = 1,
      classes = { "normal", "effusion" } }
    local model = toy.model { config = { 8, "M", 16, "M" }, hidden = {}, size = 24, classes = 2, batch_norm = true }
    local history, same = train(model, data, { epochs = 8, lr = 5e-3, batch = 16, quiet = true,
      augment = { hflip = 0.5, brightness = 0.2, scale = { 0.9, 1 } } })
    assert.equal(model, same)
    assert.equal(8, #history)
    assert.is_true(history[8].train_loss < 0.8 * history[1].train_loss, tostring(history))
    local best = history[history.best_epoch]
    assert.is_true(best.val_accuracy >= 0.75, tostring(history))
    assert.equal(best.val_accuracy, require "secateur.evaluation.evaluate"(model, data.val).accuracy)
    assert.same({ "normal", "effusion" }, model.info.classes) -- what the logits mean goes with the model
    assert.equal(1, #model.info.normalisation.mean)
  end)

  it("takes steps of the paper's recipe on each family", function()
    local models = require "secateur.models"
    local data = require "secateur.data".phantom { count = 40, size = 16 }
    for _, model in ipairs {
      models.vgg { config = { 4, "M" }, hidden = { 8 }, pool = 2, classes = 4, size = 16 },
      models.resnet { block = "basic", stem = 4, planes = { 4, 8 }, blocks = { 1, 1 }, classes = 4, size = 16 },
      models.vit { size = 16, patch = 8, layers = 1, heads = 2, dim = 8, mlp = 16, classes = 4 },
    } do
      local before = toy.weights(model)
      -- Two steps: a ViT's classifier starts at zero and passes nothing back in the first.
      local history = train(model, data, { epochs = 1, batch = 14, quiet = true })
      assert.is_true(history[1].train_loss > 0 and history[1].train_loss < 5)
      local after = toy.weights(model)
      for _, parameter in ipairs(model.graph:parameters()) do
        local name = parameter.name
        if parameter.trainable then assert.not_same(before[name], after[name], name) end
      end
    end
  end)

  it("takes the same way to the bit for the same seed, and another for another", function()
    local data, weights, rows = toy.data(), {}, {}
    for i, seed in ipairs { 5, 5, 6 } do
      local model = model_of()
      rows[i] = without_times((train(model, data, quietly { seed = seed, select = "last" })))
      weights[i] = toy.weights(model)
    end
    assert.same(weights[1], weights[2])
    assert.same(rows[1], rows[2])
    assert.not_same(weights[1], weights[3])
  end)

  it("asks for shuffled, augmented batches in training only", function()
    local data = toy.data()
    train(model_of(), data, quietly { epochs = 2, seed = 9, augment = true, workers = 2 })
    local first, second = table.unpack(data.train.asked)
    assert.same({ batch = 8, shuffle = true, seed = 9, epoch = 1, workers = 2, augment = { scale = { 0.7, 1 },
      ratio = { 0.75, 1.33 }, hflip = 0.5, vflip = 0.5, rotation = 30, brightness = 0.2, contrast = 0.2,
      saturation = 0.2 } }, first)
    assert.equal(2, second.epoch)
    assert.same({ batch = 8, workers = 2 }, data.val.asked[1])
  end)

  it("leaves clones alone", function()
    local model = model_of()
    local clone, before = model:clone(), toy.weights(model)
    train(model, toy.data(), quietly { epochs = 1 })
    assert.same(before, toy.weights(clone))
    assert.not_same(before, toy.weights(model))
    assert.is_nil(model.last_execution_plan)
  end)

  it("lowers the learning rate by steps, or not", function()
    local function rates(decay)
      local list = {}
      for i, row in ipairs((train(model_of(), toy.data(12, 6), quietly { epochs = 5, lr = 1, decay = decay }))) do
        list[i] = row.lr
      end
      return list
    end
    assert.same({ 1, 1, 0.5, 0.5, 0.25 }, rates { every = 2, factor = 0.5 })
    assert.same({ 1, 1, 1, 1, 1 }, rates(false))
  end)

  it("weighs classes by their rarity, or as told", function()
    local labels = { 1, 1, 1, 1, 1, 1, 2, 2, 2, 3 } -- 10 / (3 n_c)
    local data = { train = toy.split(10, 1, labels) }
    local function first_loss(weights)
      return train(toy.model(), data, quietly { epochs = 1, batch = 10, class_weights = weights })[1].train_loss
    end
    local logits
    do
      local model, x, y = toy.model(), data.train:batches { batch = 10 }()
      local plan = model:execution_plan(10, { training = true, backward = true, params = true })
      -- The order of an epoch and the seed of its first step, as train derives them.
      local order = core.permutation(10, core.mix(0, 1))
      local images, shuffled, all, ys = {}, {}, x:totable(), y:totable()
      for i, index in ipairs(order) do images[i], shuffled[i] = all[index], ys[index] end
      logits, labels = plan:forward(core.tensor(images), core.mix(core.mix(0, 1), 1)), core.tensor(shuffled, "int64")
    end
    assert.equal((core.cross_entropy(logits, labels, core.tensor { 10 / 18, 10 / 9, 10 / 3 })), first_loss "balanced")
    assert.equal((core.cross_entropy(logits, labels)), first_loss(false))
    assert.equal((core.cross_entropy(logits, labels, core.tensor { 1, 2, 5 })), first_loss { 1, 2, 5 })
  end)

  describe("selection", function()
    -- A learning rate that falls apart: later epochs are worse.
    local function run(select)
      local model, states = toy.model(), {}
      local history = train(model, toy.data(), quietly { epochs = 6, lr = 0.05, select = select, decay = false,
        on_epoch = function(row) states[row.epoch] = toy.weights(model) end })
      return history, states, toy.weights(model)
    end

    it("keeps the weights of the best validation accuracy, ties by loss", function()
      local history, states, final = run "accuracy"
      local best
      for _, row in ipairs(history) do
        if not best or row.val_accuracy > best.val_accuracy
          or row.val_accuracy == best.val_accuracy and row.val_loss < best.val_loss then best = row end
      end
      assert.equal(best.epoch, history.best_epoch)
      assert.same(states[best.epoch], final)
    end)

    it("keeps those of the lowest validation loss, or the last", function()
      local history, states, final = run "loss"
      for _, row in ipairs(history) do assert.is_true(row.val_loss >= history[history.best_epoch].val_loss) end
      assert.same(states[history.best_epoch], final)
      history, states, final = run "last"
      assert.equal(6, history.best_epoch)
      assert.same(states[6], final)
    end)

    it("keeps the last where there is no validation split", function()
      local history = train(toy.model(), { train = toy.split(12, 1) }, quietly())
      assert.equal(3, history.best_epoch)
      assert.is_nil(history[1].val_loss)
    end)
  end)

  it("leaves out a last batch of one sample when there is batch norm", function()
    local data, model = { train = toy.split(9, 1) }, model_of()
    train(model, data, quietly { epochs = 1, batch = 8 })
    assert.equal(1, model:state()["features.1.num_batches_tracked"]:totable())
    train(model, { train = toy.split(1, 1, { 1 }) }, quietly { epochs = 1, class_weights = false })
  end)

  it("prints and hands out what happened", function()
    local rows = {}
    local history = train(toy.model(), toy.data(12, 6), quietly { on_epoch = function(row) rows[#rows + 1] = row end })
    assert.same(rows, { table.unpack(history) })
    local text = tostring(history)
    assert.truthy(text:find("^epoch +lr +train loss +accuracy +val loss +accuracy +seconds +images/s\n"))
    local _, kept = text:gsub("kept", "")
    assert.equal(1, kept)
    assert.truthy(text:find(("\n +%d [^\n]*kept"):format(history.best_epoch)))
    for _, field in ipairs { "train_loss", "train_accuracy", "val_loss", "val_accuracy", "lr", "seconds",
      "images_per_second" } do assert.equal("number", type(history[2][field]), field) end
  end)

  it("says what is wrong with the options", function()
    local model, data = toy.model(), toy.data(12, 6)
    for message, opts in pairs {
      ["train: lr: expected a number in (0, inf), got 0"] = { lr = 0 },
      ["train: epochs: expected a whole number of at least 1, got 0.5"] = { epochs = 0.5 },
      ["train: unknown option 'epoch', expected one of: augment, batch, betas, checkpoint, class_weights, clip, "
        .. "decay, decay_norms, ema, epochs, eps, focal_gamma, freeze, group, groups, label_smoothing, loss, lr, "
        .. "micro_batch, min_lr, momentum, nesterov, on_epoch, optimiser, patience, pos_weight, quiet, resume, "
        .. "sampler, schedule, seed, select, verify, warmup, weight_decay, workers; did you mean 'epochs'?"]
        = { epoch = 1 },
      ["train: decay: every: expected a whole number of at least 1, got 0"] = { decay = { every = 0 } },
      ["train: select: expected one of 'accuracy', 'auroc', 'loss', 'last', got 'best'"] = { select = "best" },
      ["train: class_weights: expected one of 'balanced', false or a table, got 'even'"] = { class_weights = "even" },
      ["train: class_weights: expected 3 numbers, one per class, got 2"] = { class_weights = { 1, 2 } },
      ["train: class_weights: expected numbers above 0, got 0"] = { class_weights = { 1, 0, 2 } },
      ["train: resume: expected a path in checkpoint"] = { resume = true },
    } do
      assert.equal(message, message_of(model, data, opts))
    end
    assert.equal("train: model: expected a Model, got nil", message_of(nil, data))
    assert.equal("train: data: expected a dataset with train and val, got nil", message_of(model))
    assert.equal("train: data.train: expected 4 classes, as many as the model has, got 3",
      message_of(toy.model { classes = 4 }, data))
    assert.equal("train: data.val: expected images of 1 x 8 x 8, as the model takes, got 1 x 16 x 16",
      message_of(model, { train = data.train, val = setmetatable({ size = 16 }, { __index = data.val }) }))
    assert.equal("train: class_weights: expected samples of every class, found none of class 3, 'plain' (false does "
      .. "without weights)",
      message_of(model, { train = toy.split(2, 1) }))
  end)
end)

describe("what a training takes", function()
  it("goes with it, whatever its end", function()
    local real, made = { optimiser = core.optimiser, ema = core.ema }, {}
    for name, make in pairs(real) do
      core[name] = function(...)
        made[#made + 1] = make(...)
        return made[#made]
      end
    end
    local data = toy.data(12, 6)
    train(toy.model(), data, quietly { epochs = 1, ema = 0.5 })
    local ok = pcall(train, toy.model(), data, quietly { ema = 0.5, on_epoch = function() error "stopped here" end })
    for name, make in pairs(real) do core[name] = make end
    assert.is_false(ok)
    for i, kind in ipairs { "Optimiser", "Ema", "Optimiser", "Ema" } do
      assert.equal(kind .. " (closed)", tostring(made[i]))
    end
  end)
end)

describe("a training's checkpoint", function()
  local folder, path
  before_each(function()
    folder = temporary.folder()
    path = folder .. "/run.safetensors"
  end)
  after_each(function() files.remove(folder) end)

  it("lets an interrupted training go on to the same bits", function()
    local data = toy.data()
    local whole = model_of()
    local opts = quietly { epochs = 5, select = "accuracy", lr = 0.02, decay = { every = 2 } }
    local history = train(whole, data, opts)
    for stop = 1, 4 do
      opts.checkpoint, opts.resume = path, false
      opts.on_epoch = function(row) if row.epoch == stop then error("stopped here", 0) end end
      local ok, message = pcall(train, model_of(), data, opts)
      assert.same({ false, "stopped here" }, { ok, message })
      opts.resume, opts.on_epoch = true, nil
      local resumed = model_of { batch_norm = true, seed = 77 } -- its own weights do not matter
      local again = train(resumed, data, opts)
      assert.same(toy.weights(whole), toy.weights(resumed))
      assert.same(without_times(history), without_times(again))
      assert.equal(history.best_epoch, again.best_epoch)
    end
    assert.same({ "run.safetensors" }, files.list(folder))
  end)

  it("lets a finished training go on to more epochs, and does nothing when there are none", function()
    local data, short, long = toy.data(), model_of(), model_of()
    train(short, data, quietly { epochs = 2, checkpoint = path })
    local asked = #data.train.asked
    local again = model_of()
    assert.equal(2, #train(again, data, quietly { epochs = 2, checkpoint = path, resume = true }))
    assert.equal(asked, #data.train.asked)
    assert.same(toy.weights(short), toy.weights(again))
    train(again, data, quietly { epochs = 4, checkpoint = path, resume = true })
    train(long, data, quietly { epochs = 4 })
    assert.same(toy.weights(long), toy.weights(again))
    assert.equal(("train: checkpoint '%s': is of epoch 4, expected one of at most 3 epochs"):format(path),
      message_of(again, data, quietly { epochs = 3, checkpoint = path, resume = true }))
  end)

  it("starts from the beginning when there is none", function()
    local one, two = model_of(), model_of()
    train(one, toy.data(), quietly { checkpoint = path, resume = true })
    train(two, toy.data(), quietly())
    assert.same(toy.weights(two), toy.weights(one))
  end)

  it("is refused when it is of another training, and says what differs", function()
    local data = toy.data()
    train(model_of(), data, quietly { epochs = 1, checkpoint = path })
    local function refusal(model, set, changes)
      local opts = quietly { epochs = 2, checkpoint = path, resume = true }
      for key, value in pairs(changes or {}) do opts[key] = value end
      local before = toy.weights(model)
      local message = message_of(model, set, opts)
      assert.same(before, toy.weights(model))
      local prefix = ("train: checkpoint '%s': is of another training: "):format(path)
      assert.equal(prefix, message:sub(1, #prefix))
      return message:sub(#prefix + 1)
    end
    assert.equal("options.lr: 0.005 there, 0.01 now; options.seed: 0 there, 4 now",
      refusal(model_of(), data, { lr = 0.01, seed = 4 }))
    assert.truthy(refusal(model_of(), data, { augment = true }):find("^options%.augment: false there, {"))
    local message = refusal(model_of(), data, { groups = { { match = ".", lr_scale = 2 } } })
    assert.truthy(message:find '^options%.parameters: nothing there, {"classifier%.0%.bias":{.*%.%.%. now$')
    assert.is_true(#message < 250)
    assert.truthy(refusal(toy.model(), data):find('^model%.graph: "%x+" there, "%x+" now; model%.parameters: %d+'))
    assert.truthy(refusal(model_of(), toy.data(51)):find("train.count: 48 there, 51 now", 1, true))
  end)

  it("is refused when it is damaged or something else", function()
    local data, model = toy.data(12, 6), toy.model()
    local opts = quietly { checkpoint = path, resume = true }
    model:save(path)
    assert.equal(("train: checkpoint '%s': expected a file written by train, got another safetensors file")
      :format(path), message_of(model, data, opts))
    train(model, data, quietly { epochs = 1, checkpoint = path })
    local content = files.read_all(path)
    assert(files.write_all(path, content:sub(1, #content - 10)))
    assert.truthy(message_of(model, data, opts):find(("train: checkpoint '%s': "):format(path), 1, true))
    assert(files.write_all(path, content))
    local tensors, meta = safetensors.load(path)
    tensors["optimiser/steps"] = nil
    safetensors.save(path, tensors, meta)
    assert.equal(("train: checkpoint '%s': is damaged: tensor 'optimiser/steps': missing"):format(path),
      message_of(model, data, opts))
  end)

  it("is named when the training is interrupted", function()
    local opts = quietly { checkpoint = path, on_epoch = function(row)
      if row.epoch == 2 then error "interrupted!" end -- as Lua's handler of Ctrl-C does
    end, select = "last" }
    local ok, message = pcall(train, toy.model(), toy.data(12, 6), opts)
    assert.same({ false, ("train: interrupted; the model's weights are those of epoch 2; the last good checkpoint is "
      .. "'%s' (epoch 2)"):format(path) }, { ok, message })
  end)

  it("that cannot be written stops the training before it begins", function()
    assert(files.write_all(folder .. "/file", "not a folder"))
    local data, path_in_file = toy.data(12, 6), folder .. "/file/x"
    local message = message_of(toy.model(), data, quietly { checkpoint = path_in_file })
    assert.truthy(message:find("^train: checkpoint: ") and message:find(folder .. "/file", 1, true), message)
    assert.equal(0, #data.train.asked)
  end)

  it("is named when the loss stops being a number, and the model keeps good weights", function()
    local data, model = toy.data(), model_of()
    local before = toy.weights(model)
    local place = "train: loss is not a number in epoch %d, %s, at lr %s; the model's weights are %s; %s"
    assert.equal(place:format(1, "step 2", "1e+30", "those that it had before", "no checkpoint was written"),
      message_of(model, data, quietly { lr = 1e30 }))
    assert.same(before, toy.weights(model))
    local good
    local poison = quietly { checkpoint = path, on_epoch = function(row)
      good = good or toy.weights(model)
      if row.epoch == 2 then data.train.images[1][1][1][1] = 0 / 0 end
    end, select = "loss", lr = 1e-3 }
    local message = message_of(model, data, poison)
    assert.truthy(message:find("^train: loss is not a number in epoch 3, step %d, at lr 0%.001; "))
    assert.truthy(message:find(("the last good checkpoint is '%s' (epoch 2)"):format(path), 1, true))
    for _, values in pairs(toy.weights(model)) do
      for _, value in ipairs(type(values) == "table" and core.tensor(values):reshape(-1):totable() or {}) do
        assert.equal(value, value)
      end
    end
  end)
end)
