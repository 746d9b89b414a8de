local core = require "secateur.core"
local criterion = require "secateur.training.criterion"
local errors = require "support.errors"
local evaluate = require "secateur.evaluation.evaluate"
local files = require "secateur.util.files"
local metrics = require "secateur.evaluation.metrics"
local models = require "secateur.models"
local phantom = require "secateur.data".phantom
local predict = require "secateur.evaluation.predict"
local prune = require "secateur.pruning.prune"
local single = require "support.single"
local temporary = require "support.temporary"
local toy = require "support.toy"
local train = require "secateur.training.train"

local function quietly(changes) return toy.quietly(2, changes) end

local function message_of(...) return errors.inside(function(...) train(...) end, ...) end

-- A small VGG for grey phantoms of 16 x 16.
local function model_of(changes)
  local opts = { config = { 6, "M", 8, "M" }, hidden = { 12 }, pool = 2, size = 16, channels = 1, dropout = 0, seed = 3,
    batch_norm = false, head = "sigmoid", classes = 3 }
  for key, value in pairs(changes or {}) do opts[key] = value end
  return models.vgg(opts)
end

local function findings(count, changes)
  local opts = { multi_label = true, count = count or 60, size = 16, channels = 1,
    splits = { train = 0.6, val = 0.2, test = 0.2 } }
  for key, value in pairs(changes or {}) do opts[key] = value end
  return phantom(opts)
end

local function two_classes(count)
  return phantom { count = count or 60, size = 16, channels = 1, classes = { "normal", "effusion" } }
end

local threads
setup(function() threads = core.threads() core.threads(1) end)
teardown(function() core.threads(threads) end)

describe("train with one logit", function()
  it("is softmax training over the logits 0 and z: the same losses, gradients and steps", function()
    local data = two_classes()
    for _, opts in ipairs { {}, { class_weights = { 3, 0.5 }, label_smoothing = 0.2 }, { loss = "focal" },
      { class_weights = false, loss = "focal", focal_gamma = 0.7, micro_batch = 3 } } do
      -- Logits (0, z) come of a head whose first row is zero and frozen: SGD steps of the second row are those of z.
      local one, two = model_of { classes = 1 }, model_of { classes = 2, head = "softmax" }
      local state = one:state()
      local weight, bias = state["classifier.3.weight"], state["classifier.3.bias"]
      for name, tensor in pairs(state) do
        if not name:find "classifier%.3" then two.graph:set_parameter(name, tensor) end
      end
      two.graph:set_parameter("classifier.3.weight", core.tensor { core.zeros(12):totable(), weight:totable()[1] })
      two.graph:set_parameter("classifier.3.bias", core.tensor { 0, bias:get(1) })
      local x, y = data.train:batch { 1, 2, 3, 4, 5, 6, 7 }
      local given = require "secateur.training.options".check(opts)
      local single_logit, both = criterion.new(data.train, one, given), criterion.new(data.train, two, given)
      local loss, slope = criterion.loss(single_logit, one:forward(x), y)
      local same, slopes = criterion.loss(both, two:forward(x), y)
      assert.is_true(math.abs(loss - same) < 1e-6)
      for i = 1, 7 do assert.is_true(math.abs(slope:get(i, 1) - slopes:get(i, 2)) < 1e-7) end
      assert.same({ criterion.score(both, two:forward(x), y) }, { criterion.score(single_logit, one:forward(x), y) })
    end
  end)

  it("learns, and validates as it is measured elsewhere", function()
    local data, model = two_classes(240), model_of { config = { 8, "M", 16, "M" }, hidden = {}, batch_norm = true,
      classes = 1 }
    local history = train(model, data, quietly { epochs = 8, lr = 5e-3, batch = 16, select = "auroc" })
    local best = history[history.best_epoch]
    assert.is_true(best.val_auroc > 0.85, tostring(history))
    local run, scores, positive, right = predict.run(model, data.val, { batch = 16 }), {}, {}, 0
    for i, row in ipairs(run.logits:totable()) do
      scores[i], positive[i] = row[1], run.labels:get(i) == 2
      if (row[1] > 0) == positive[i] then right = right + 1 end
    end
    assert.equal(metrics.auroc(scores, positive), best.val_auroc)
    assert.equal(right / #scores, best.val_accuracy)
    for i, row in ipairs(history) do assert.is_true(row.val_auroc <= best.val_auroc, "epoch " .. i) end
    assert.same({ "normal", "effusion" }, model.info.classes)
    assert.truthy(tostring(history):find "AUROC")
  end)

  it("takes pos_weight as BCEWithLogitsLoss does, instead of class weights", function()
    local data, model = two_classes(), model_of { classes = 1 }
    local x, y = data.train:batch { 1, 2, 3, 4 }
    local targets = {}
    for i, label in ipairs(y:totable()) do targets[i] = { label - 1 } end
    for _, weight in ipairs { 4, { 4 } } do
      local opts = require "secateur.training.options".check { pos_weight = weight }
      assert.equal((core.binary_cross_entropy(model:forward(x), core.tensor(targets), core.tensor { 4 })),
        (criterion.loss(criterion.new(data.train, model, opts), model:forward(x), y)))
    end
  end)
end)

describe("train with several findings", function()
  it("learns phantoms with several findings, and keeps the epoch of the best AUROC", function()
    local data = findings(240, { size = 24, prevalence = { 0.5, 0.4, 0.5 } })
    local model = model_of { config = { 8, "M", 16, "M" }, hidden = {}, batch_norm = true, size = 24 }
    local history = train(model, data, quietly { epochs = 8, lr = 1e-2, batch = 16, pos_weight = "balanced" })
    local best = history[history.best_epoch]
    assert.is_true(history[8].train_loss < 0.9 * history[1].train_loss, tostring(history))
    for _, row in ipairs(history) do assert.is_true(row.val_auroc <= best.val_auroc) end
    assert.is_true(best.val_auroc > 0.7, tostring(history))
    assert.same({ "nodule", "effusion", "opacity" }, model.info.classes)
    -- The same numbers by hand.
    local run, sum, right = predict.run(model, data.val, { batch = 64 }), 0, 0
    assert.same({ #data.val.labels, 3 }, run.labels:shape())
    for k = 1, 3 do
      local scores, positive = {}, {}
      for i, row in ipairs(run.logits:totable()) do
        scores[i], positive[i] = row[k], data.val.labels[i][k] == 1
        if (row[k] > 0) == positive[i] then right = right + 1 end
      end
      sum = sum + metrics.auroc(scores, positive)
    end
    assert.is_true(math.abs(best.val_auroc - sum / 3) < 1e-12)
    assert.is_true(math.abs(best.val_accuracy - right / (3 * data.val:count())) < 1e-12)
  end)

  it("has neither loss nor accuracy of what is unknown, in pieces as whole", function()
    local data = findings()
    for i, label in ipairs(data.train.labels) do
      for k = 1, 3 do
        if (i + k) % 3 == 0 or i <= 9 then label[k] = -1 end -- whole batches too
      end
    end
    local whole, pieces = model_of(), model_of()
    local opts = quietly { batch = 8, optimiser = "sgd", lr = 0.1, pos_weight = { 1, 2, 3 }, label_smoothing = 0.1 }
    local one = train(whole, data, opts)
    opts.micro_batch = 3
    local two = train(pieces, data, opts)
    for name, tensor in pairs(whole:state()) do
      single.compare(name, single.flat(tensor), single.flat(pieces:state()[name]), 2e-6)
    end
    for i, row in ipairs(one) do
      assert.is_true(math.abs(row.train_loss - two[i].train_loss) < 1e-6)
      assert.equal(row.train_accuracy, two[i].train_accuracy)
    end
    for _, label in ipairs(data.train.labels) do
      for k = 1, 3 do label[k] = -1 end
    end
    assert.equal("train: data.train: expected findings that are known, got none",
      message_of(model_of(), data, quietly {}))
  end)

  it("weighs presence by absence over presence of what is known", function()
    local data = findings(100)
    for i = 1, 20 do data.train.labels[i][2] = -1 end
    local opts = require "secateur.training.options".check { pos_weight = "balanced" }
    local made = criterion.new(data.train, model_of(), opts)
    for k = 1, 3 do
      local present, absent = 0, 0
      for _, label in ipairs(data.train.labels) do
        if label[k] == 1 then present = present + 1 elseif label[k] == 0 then absent = absent + 1 end
      end
      assert.equal(absent / present, made.positive[k])
    end
  end)

  it("says what does not fit", function()
    local data = findings()
    for message, opts in pairs {
      ["train: class_weights: expected none where an image may have several findings; pos_weight weighs the presence "
        .. "of each"] = { class_weights = "balanced" },
      ["train: pos_weight: expected 3 numbers, one per finding, got 2"] = { pos_weight = { 1, 2 } },
      ["train: pos_weight: expected numbers above 0, got 0"] = { pos_weight = { 1, 2, 0 } },
      ["train: focal_gamma: expected loss to be 'focal', got 'cross_entropy'"] = { focal_gamma = 1 },
      ["train: select: expected one of 'accuracy', 'auroc', 'loss', 'last', got 'f1'"] = { select = "f1" },
    } do
      assert.equal(message, message_of(model_of(), data, quietly(opts)))
    end
    assert.equal("train: pos_weight: expected a model with a sigmoid head; class_weights weigh the classes of this one",
      message_of(toy.model(), toy.data(12, 6), quietly { pos_weight = "balanced" }))
    assert.equal("train: pos_weight: expected none beside class_weights",
      message_of(model_of { classes = 1 }, two_classes(), quietly { pos_weight = 2, class_weights = "balanced" }))
    for _, label in ipairs(data.val.labels) do label[1], label[2], label[3] = 0, 1, -1 end
    assert.equal("train: select: expected images with and without some finding in data.val for 'auroc', found none",
      message_of(model_of(), data, quietly { select = "auroc" }))
    for _, label in ipairs(data.train.labels) do label[2] = 1 end
    assert.equal("train: pos_weight: expected samples with and without 'effusion', found none without",
      message_of(model_of(), data, quietly { pos_weight = "balanced" }))
  end)

  it("names findings that training images cannot teach, and refuses validation of which nothing is known", function()
    local data = findings()
    for i, label in ipairs(data.train.labels) do label[2], label[3] = 1, i % 2 - 1 end
    local text = require "support.stderr".text(function()
      train(model_of(), data, quietly { epochs = 1, quiet = false })
    end)
    assert.truthy(text:find("train: data.train cannot teach 'effusion' (never absent), 'opacity' (never present)", 1,
      true), text)
    for _, label in ipairs(data.val.labels) do label[1], label[2], label[3] = -1, -1, -1 end
    assert.equal("train: data.val: expected findings that are known, got none",
      message_of(model_of(), data, quietly {}))
  end)

  it("goes by the loss where validation has no AUROC, and says so", function()
    local data = findings()
    for _, label in ipairs(data.val.labels) do label[1], label[2], label[3] = 0, 1, -1 end
    local history
    local text = require "support.stderr".text(function()
      history = train(model_of(), data, quietly { quiet = false })
    end)
    assert.truthy(text:find("no finding is both present and absent in data.val: its loss decides", 1, true), text)
    assert.is_nil(history[1].val_auroc)
  end)
end)

describe("a training of another head", function()
  local folder
  before_each(function() folder = temporary.folder() end)
  after_each(function() files.remove(folder) end)

  it("is resumed to the same bits, of pruned models too, and kept apart from other heads", function()
    local data = findings()
    local opts = quietly { epochs = 4, sampler = "balanced", loss = "focal", pos_weight = "balanced",
      augment = true }
    local function start()
      return prune(model_of { batch_norm = true, dropout = 0.3 }, { ["features.4"] = { 2, 5 } })
    end
    local whole = start()
    local history = train(whole, data, opts)
    opts.checkpoint = folder .. "/run.safetensors"
    opts.on_epoch = function(row) if row.epoch == 2 then error("stopped", 0) end end
    assert.same({ false, "stopped" }, { pcall(train, start(), data, opts) })
    opts.resume, opts.on_epoch = true, nil
    local resumed = start()
    local again = train(resumed, data, opts)
    assert.same(toy.weights(whole), toy.weights(resumed))
    for i, row in ipairs(history) do assert.equal(row.val_auroc, again[i].val_auroc) end
    opts.pos_weight, opts.loss, opts.sampler = nil, nil, nil
    local message = message_of(start(), data, opts)
    for _, name in ipairs { "focal_gamma", "pos_weight", "sampler" } do
      assert.truthy(message:find("options." .. name .. ": ", 1, true), message)
    end
  end)

  it("is saved with its head", function()
    local data, model, path = findings(), model_of(), folder .. "/m.safetensors"
    train(model, data, quietly { epochs = 1 })
    model:save(path)
    local loaded = require "secateur.models.load"(path)
    assert.equal("sigmoid", loaded.head)
    local x = data.test:batch { 1, 2 }
    assert.same(model:forward(x):totable(), loaded:forward(x):totable())
    assert.equal(2, train(loaded, data, quietly {})[2].epoch)
  end)
end)

describe("train's patience", function()
  it("ends a training that gets no better, says why, and counts on when it is resumed", function()
    local folder = temporary.folder()
    local data, path = toy.data(), folder .. "/run.safetensors"
    local opts = quietly { epochs = 40, lr = 0.05, select = "loss", decay = false }
    local long = train(toy.model(), data, opts)
    opts.patience = 3
    local model = toy.model()
    local history = train(model, data, opts)
    local best, wait = 1, nil
    for _, row in ipairs(long) do
      if row.val_loss < long[best].val_loss then best = row.epoch end
      if row.epoch - best >= 3 then wait = row.epoch break end
    end
    assert.is_true(wait and wait < 40, tostring(long))
    assert.equal(wait, #history)
    assert.equal(best, history.best_epoch)
    assert.equal(("stopped after epoch %d: no better loss of validation in 3 epochs"):format(wait), history.stopped)
    assert.truthy(tostring(history):find(history.stopped, 1, true))
    -- Resumed after it stopped it does nothing; with more patience it goes on as if nothing had been.
    opts.checkpoint = path
    train(toy.model(), data, opts)
    opts.resume = true
    local asked = #data.train.asked
    local again = train(toy.model(), data, opts)
    assert.same({ wait, asked }, { #again, #data.train.asked })
    assert.equal(history.stopped, again.stopped)
    opts.patience, opts.epochs = nil, wait + 2
    local further, straight = toy.model(), toy.model()
    assert.is_nil(train(further, data, opts).stopped)
    train(straight, data, quietly { epochs = wait + 2, lr = 0.05, select = "loss", decay = false })
    assert.same(toy.weights(straight), toy.weights(further))
    files.remove(folder)
  end)

  it("needs something to be patient about", function()
    assert.equal("train: patience: expected a data.val to be patient about",
      message_of(toy.model(), { train = toy.split(12, 1) }, quietly { patience = 2 }))
    assert.equal("train: patience: expected select to be 'accuracy', 'auroc' or 'loss', got 'last'",
      message_of(toy.model(), toy.data(12, 6), quietly { patience = 2, select = "last" }))
  end)
end)

describe("train's select = 'auroc'", function()
  it("is the mean of classes against the rest for softmax, as evaluate has it", function()
    local data, model = toy.data(), toy.model()
    local history = train(model, data, quietly { epochs = 5, select = "auroc" })
    assert.equal(evaluate(model, data.val).auroc, history[history.best_epoch].val_auroc)
    for _, row in ipairs(history) do assert.is_true(row.val_auroc <= history[history.best_epoch].val_auroc) end
  end)
end)

describe("train on splits of one's own", function()
  -- No names, no labels beside the batches: three findings, of which the second is unknown.
  local function own(count, seed)
    return { count = function() return count end, batches = function(_, opts)
      local done = 0
      return function()
        if done >= count then return nil end
        local rows = {}
        for i = 1, math.min(opts.batch, count - done) do rows[i] = { i % 2, -1, 1 } end
        done = done + #rows
        return core.randn(#rows, 1, 16, 16, { seed = seed + done }), core.tensor(rows)
      end
    end }
  end

  it("takes a head of several logits for findings, and says what it cannot do without names", function()
    local data = { train = own(20, 1), val = own(12, 9) }
    local history = train(model_of(), data, quietly {})
    assert.is_true(history[2].val_auroc >= 0 and history[2].val_auroc <= 1)
    for message, opts in pairs {
      ["train: pos_weight: expected a split that knows its labels and classes for 'balanced'"] =
        { pos_weight = "balanced" },
      ["train: sampler: expected a split that knows its labels and classes"] = { sampler = "balanced" },
    } do
      assert.equal(message, message_of(model_of(), data, quietly(opts)))
    end
    assert.equal("train: class_weights: expected a split with class_counts() for 'balanced', its default (false does "
      .. "without)", message_of(model_of { head = "softmax" }, data, quietly {}))
  end)
end)
