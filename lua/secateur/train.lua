--- Trains a classifier; the paper's Appendix A as defaults.
-- @module secateur.train
local checkpoint = require "secateur.checkpoint"
local core = require "secateur.core"
local fault = require "secateur.data.fault"
local files = require "secateur.util.files"
local history = require "secateur.history"
local options = require "secateur.util.options"
local predict = require "secateur.predict"
local progress = require "secateur.util.progress"

local augmentation = { scale = { 0.7, 1 }, ratio = { 0.75, 1.33 }, hflip = 0.5, vflip = 0.5, rotation = 30,
  brightness = 0.2, contrast = 0.2, saturation = 0.2 }

local rules = {
  epochs = { type = "integer", min = 1, default = 20 },
  batch = { type = "integer", min = 1, default = 32 },
  lr = { type = "number", above = 0, below = math.huge, default = 1e-3 },
  decay = { one_of = { false }, type = "table", default = {} },
  weight_decay = { type = "number", min = 0, below = math.huge, default = 0 },
  class_weights = { one_of = { "balanced", false }, type = "table", default = "balanced" },
  augment = { type = { "table", "boolean" }, default = true },
  select = { one_of = { "accuracy", "loss", "last" }, default = "accuracy" },
  seed = { type = "integer", default = 0 },
  checkpoint = { type = "string" },
  resume = { type = "boolean", default = false },
  on_epoch = { type = "function" },
  workers = { type = "integer", min = 1, max = 64, default = 1 },
  quiet = { type = "boolean", default = false },
}

local decay_rules = {
  every = { type = "integer", min = 1, default = 10 },
  factor = { type = "number", above = 0, max = 1, default = 0.1 },
}

-- n / (classes * n_c), so that all classes together weigh the same; or the list given.
local function class_weights(wanted, split, classes)
  local list = wanted
  if wanted == false then return nil end
  if wanted == "balanced" then
    list = {}
    local counts = split:class_counts()
    for class = 1, classes do
      if counts[class] == 0 then
        options.fail("train", ("class_weights: expected samples of every class, found none of class %d"):format(class),
          2)
      end
      list[class] = split:count() / (classes * counts[class])
    end
  elseif #list ~= classes then
    options.fail("train", ("class_weights: expected %d numbers, one per class, got %d"):format(classes, #list), 2)
  end
  for _, weight in ipairs(list) do
    if not math.type(weight) or not (weight > 0 and weight < math.huge) then
      options.fail("train", ("class_weights: expected numbers above 0, got %s"):format(options.describe(weight)), 2)
    end
  end
  return list
end

local function check_data(model, data)
  if type(data) ~= "table" or not data.train then
    options.fail("train", "data: expected a dataset with train and val, got " .. options.describe(data), 2)
  end
  predict.check("train", model, data.train, "data.train", 2)
  local has_val = data.val and data.val:count() > 0
  if has_val then predict.check("train", model, data.val, "data.val", 2) end
  return { train = data.train, val = has_val and data.val or nil }
end

local function has_batch_norm(model)
  for _, node in ipairs(model.graph:nodes()) do
    if node.op == "batch_norm2d" then return true end
  end
  return false
end

-- Everything that a training needs, checked.
local function prepare(model, data, given)
  local used = check_data(model, data)
  local opts = options.check("train", given, rules, 1)
  if opts.decay then opts.decay = options.check("train: decay", opts.decay, decay_rules, 1) end
  if opts.augment == true then opts.augment = augmentation end
  if opts.resume and not opts.checkpoint then options.fail("train", "resume: expected a path in checkpoint", 1) end
  local weights = class_weights(opts.class_weights, used.train, model.classes)
  -- Not in here: epochs, because a finished training may go on; workers, which change no number.
  local numbers = { batch = opts.batch, lr = opts.lr, decay = opts.decay, weight_decay = opts.weight_decay,
    class_weights = weights or false, augment = opts.augment, select = opts.select, seed = opts.seed }
  return { model = model, data = used, opts = opts, weight_list = weights, rows = {},
    weights = weights and core.tensor(weights), description = checkpoint.describe(model, used, numbers),
    select = used.val and opts.select or "last", skip_single = opts.batch > 1 and has_batch_norm(model) }
end

local function say(job, format, ...)
  if job.opts.quiet then return end
  job.line:clear()
  io.stderr:write(format:format(...), "\n")
end

-- ---- one epoch ----

-- What is left when a training stops early.
local function what_is_kept(job)
  local kept = job.kept.epoch > 0 and "those of epoch " .. job.kept.epoch or "those that it had before"
  local saved = job.saved and ("the last good checkpoint is '%s' (epoch %d)"):format(job.opts.checkpoint, job.saved)
    or "no checkpoint was written"
  return ("the model's weights are %s; %s"):format(kept, saved)
end

local function stop_if_not_finite(job, loss, epoch, place)
  if loss - loss == 0 then return end
  fault.raise("loss is %s in epoch %d, %s, at lr %g; %s", loss == loss and "infinite" or "not a number", epoch, place,
    job.lr, what_is_kept(job))
end

-- Sums over samples, from which means are made.
local function new_sums()
  return { loss = 0, weight = 0, right = 0, count = 0 }
end

local function add(job, sums, loss, logits, labels)
  local predictions, actual, weight = logits:argmax(2):totable(), labels:totable(), 0
  for i, label in ipairs(actual) do
    weight = weight + (job.weight_list and job.weight_list[label] or 1)
    if predictions[i] == label then sums.right = sums.right + 1 end
  end
  sums.loss, sums.weight, sums.count = sums.loss + loss * weight, sums.weight + weight, sums.count + #actual
end

local function learn(job, epoch)
  local model, train, opts = job.model, job.data.train, job.opts
  local plan = model:execution(math.min(opts.batch, train:count()), { training = true, backward = true, params = true })
  local sums, step, seed = new_sums(), 0, core.mix(opts.seed, epoch)
  for x, y in train:batches { batch = opts.batch, shuffle = true, seed = opts.seed, epoch = epoch,
    augment = opts.augment or nil, workers = opts.workers } do
    -- The statistics of one sample would say nothing about the class.
    if not (job.skip_single and #y == 1 and train:count() > 1) then
      step = step + 1
      local logits = plan:forward(x, core.mix(seed, step))
      local loss, dlogits = core.cross_entropy(logits, y, job.weights)
      stop_if_not_finite(job, loss, epoch, "step " .. step)
      plan:backward(dlogits)
      job.adam:step(plan, job.lr)
      add(job, sums, loss, logits, y)
      job.line:step(#y, ("loss %.4f  accuracy %.3f"):format(sums.loss / sums.weight, sums.right / sums.count))
    end
  end
  if step == 0 then fault.raise("data.train: expected images, but none could be decoded") end
  return sums
end

local function validate(job, epoch, row)
  if not job.data.val then return end
  local run = predict.run(job.model, job.data.val, job.opts)
  local sums, loss = new_sums(), core.cross_entropy(run.logits, run.labels, job.weights)
  stop_if_not_finite(job, loss, epoch, "validation")
  add(job, sums, loss, run.logits, run.labels)
  row.val_loss, row.val_accuracy = loss, sums.right / sums.count
end

-- Whether the weights of this epoch are to be kept rather than those of an earlier one.
local function is_better(job, row)
  local best = job.rows[job.kept.epoch]
  if job.select == "last" or not best then return true end
  if job.select == "accuracy" and row.val_accuracy ~= best.val_accuracy then
    return row.val_accuracy > best.val_accuracy
  end
  return row.val_loss < best.val_loss
end

local function save(job, epoch)
  if not job.opts.checkpoint then return end
  checkpoint.save(job.opts.checkpoint, { model = job.model:state(), adam = job.adam:state(),
    best = job.kept.epoch ~= epoch and job.kept.state or nil,
    record = { epoch = epoch, best_epoch = job.kept.epoch, rows = job.rows } }, job.description)
  job.saved = epoch
end

local function report(job, row)
  local val = row.val_loss and ("  val loss %.4f  accuracy %.4f"):format(row.val_loss, row.val_accuracy) or ""
  local done, left = row.epoch - job.first + 1, job.opts.epochs - row.epoch
  local time = left > 0 and progress.duration((core.clock() - job.started) / done * left) .. " left" or "done"
  say(job, "epoch %d/%d  loss %.4f  accuracy %.4f%s  lr %.3g  %.1f images/s  %s", row.epoch, job.opts.epochs,
    row.train_loss, row.train_accuracy, val, row.lr, row.images_per_second, time)
end

local function run_epoch(job, epoch)
  local started, decay = core.clock(), job.opts.decay
  job.lr = job.opts.lr * (decay and decay.factor ^ ((epoch - 1) // decay.every) or 1)
  job.line.label = ("epoch %d/%d"):format(epoch, job.opts.epochs)
  collectgarbage() -- ends the tensors that share the weights, which would have to be copied for them
  job.model.graph:own_parameters()
  local sums = learn(job, epoch)
  local row = { epoch = epoch, lr = job.lr, train_loss = sums.loss / sums.weight,
    train_accuracy = sums.right / sums.count, images_per_second = sums.count / (core.clock() - started) }
  validate(job, epoch, row)
  row.seconds = core.clock() - started
  if is_better(job, row) then job.kept = { epoch = epoch, state = job.model:state() } end
  job.rows[epoch] = row
  save(job, epoch)
  report(job, row)
  if job.opts.on_epoch then job.opts.on_epoch(row) end
end

-- ---- the whole ----

-- Goes to where the checkpoint was written; gives the number of epochs done.
local function resume(job)
  local path = job.opts.checkpoint
  if not files.is_file(path) then
    say(job, "train: there is no checkpoint '%s' yet: starting from the beginning", path)
    return 0
  end
  local state = checkpoint.load(path, job.description)
  local record = state.record
  if record.epoch > job.opts.epochs then
    fault.raise("checkpoint '%s': is of epoch %d, expected one of at most %d epochs", path, record.epoch,
      job.opts.epochs)
  end
  -- Called by pcall itself, their errors carry no position in this file.
  local ok, problem = pcall(job.adam.load, job.adam, state.adam)
  if ok then ok, problem = pcall(job.model.load_state, job.model, state.model or {}) end
  if not ok then fault.raise("checkpoint '%s': is damaged: %s", path, problem) end
  job.rows, job.saved = record.rows, record.epoch
  job.kept = { epoch = record.best_epoch, state = state.best or state.model }
  return record.epoch
end

-- The model ends with the best weights so far, whatever ends the training.
local function restore(job)
  for name, tensor in pairs(job.kept.state) do job.model.graph:set_parameter(name, tensor) end
  job.model:release()
end

local function run(job)
  local opts, model = job.opts, job.model
  job.adam = core.adam(model.graph, { weight_decay = opts.weight_decay })
  job.line = progress.new { terminal = core.is_terminal() and not opts.quiet, unit = "images", clock = core.clock }
  local line <close> = job.line
  if not job.data.val then say(job, "train: there is no validation split: the weights of the last epoch are kept") end
  job.first = (opts.resume and resume(job) or 0) + 1
  line.total = (opts.epochs - job.first + 1) * job.data.train:count()
  job.started = core.clock()
  for epoch = job.first, opts.epochs do run_epoch(job, epoch) end
end

-- Ctrl-C ends native work with "interrupted", and Lua code, by its own signal handler, with "interrupted!".
local function explain(job, problem)
  if type(problem) ~= "string" or not problem:find("interrupted!?$") then return problem end
  return ("train: interrupted; %s"):format(what_is_kept(job))
end

--- Trains a model in place; models that shared its weights (clones) keep theirs.
--
-- The criterion is cross entropy weighted by class, the optimiser Adam, and the weights kept in the end are those of
-- the epoch of best validation, also when the training is stopped by Ctrl-C or an error. Order, augmentation and
-- dropout depend on `seed`, epoch and step alone: the same call gives the same weights to the bit (with the same number
-- of threads), and so does a training that was interrupted and resumed. In a model with batch norm a last batch of one
-- sample is left out.
--
-- @tparam Model model
-- @tparam Dataset data its `train` is learned, its `val` (may be missing) decides which weights are kept
-- @tab[opt] opts `epochs` (20), `batch` (32), `lr` (1e-3), `decay` ({every = 10, factor = 0.1}: lr is multiplied by
-- factor after every so many epochs; or false), `weight_decay` (0), `class_weights` ("balanced": n / (classes · n_c);
-- a list; or false), `augment` (true: random resized crop of scale 0.7-1 and ratio 0.75-1.33, flips, rotation up to
-- 30°, brightness, contrast and saturation ± 0.2; false; or a table of these, see `split:batches`), `select`
-- ("accuracy" of validation, ties by loss; "loss"; "last"), `seed` (0), `checkpoint` (a path, overwritten after each
-- epoch), `resume` (false; go on from the checkpoint if it is there), `on_epoch` (function(row), called after each
-- epoch), `workers` (threads that decode, 1), `quiet` (false; say nothing on stderr)
-- @treturn table history: list of rows `{epoch=, lr=, train_loss=, train_accuracy=, val_loss=, val_accuracy=, seconds=,
-- images_per_second=}`; losses are weighted by class, train's are means over the epoch; also `best_epoch`, `tostring`,
-- and `draw(path)`, see `secateur.history`
-- @treturn Model the model
-- @raise when model, data and options do not fit; when the loss is not finite; when the checkpoint cannot be written,
-- or is of another training
local function train(model, data, opts)
  local job = prepare(model, data, opts)
  local shared = data.train.shared -- says what black is, for the baseline of Integrated Gradients
  if shared then model.info.normalisation = { mean = shared.mean, std = shared.std } end
  job.kept = { epoch = 0, state = model:state() }
  local ok, problem = pcall(run, job)
  restore(job)
  if not ok then fault.guard("train", error, explain(job, problem), 0) end
  return history.new(job.rows, job.kept.epoch), model
end

return train
