--- Trains a classifier; the paper's Appendix A as defaults.
-- @module secateur.train
local checkpoint = require "secateur.checkpoint"
local core = require "secateur.core"
local criterion = require "secateur.training.criterion"
local fault = require "secateur.data.fault"
local files = require "secateur.util.files"
local history = require "secateur.history"
local options = require "secateur.util.options"
local parameters = require "secateur.training.parameters"
local predict = require "secateur.predict"
local progress = require "secateur.util.progress"
local recipe = require "secateur.training.recipe"
local schedule = require "secateur.training.schedule"

local function check_data(model, data)
  if type(data) ~= "table" or not data.train then
    options.fail("train", "data: expected a dataset with train and val, got " .. options.describe(data), 2)
  end
  predict.check("train", model, data.train, "data.train", 2)
  local has_val = data.val and data.val:count() > 0
  if has_val then predict.check("train", model, data.val, "data.val", 2) end
  return { train = data.train, val = has_val and data.val or nil }
end

-- Which parameters are trained and how, and what a batch norm asks for.
local function choose_parameters(job)
  local model, opts = job.model, job.opts
  local frozen, fixed = parameters.frozen(model, opts.freeze, 2)
  job.frozen, job.fixed = options.sorted_keys(frozen), fixed
  job.settings, job.group_scales = parameters.settings(model, frozen, opts, 2)
  job.skip_single = opts.batch > 1 and parameters.has_batch_norm(model, frozen)
  if job.skip_single and opts.micro_batch == 1 then
    options.fail("train", "micro_batch: expected at least 2 with batch norm, whose statistics are those of a piece", 2)
  end
end

-- Everything that a training needs, checked.
local function prepare(model, data, given)
  local used = check_data(model, data)
  local opts = recipe.check(given, 1)
  local job = { model = model, data = used, opts = opts, rows = {}, select = used.val and opts.select or "last",
    criterion = criterion.new(used.train, model.classes, opts, 1) }
  choose_parameters(job)
  local numbers = recipe.numbers(opts)
  numbers.class_weights, numbers.frozen, numbers.zeros = job.criterion.list, job.frozen, model.plan
  numbers.parameters = opts.groups and job.settings
  job.description = checkpoint.describe(model, used, numbers)
  -- The batches of an epoch, each of which is a step.
  local count, batch = used.train:count(), opts.batch
  job.steps = (count + batch - 1) // batch
  if job.skip_single and count > batch and count % batch == 1 then job.steps = job.steps - 1 end
  return job
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

local function stop_if_not_finite(job, what, value, epoch, place)
  if value - value == 0 then return end
  fault.raise("%s is %s in epoch %d, %s, at lr %g; %s", what, value == value and "infinite" or "not a number", epoch,
    place, job.lr, what_is_kept(job))
end

-- Sums over samples, from which means are made.
local function new_sums()
  return { loss = 0, weight = 0, right = 0, count = 0 }
end

local function add(job, sums, loss, logits, labels)
  local predictions, actual, weight = logits:argmax(2):totable(), labels:totable(), 0
  for i, label in ipairs(actual) do
    weight = weight + (job.criterion.list and job.criterion.list[label] or 1)
    if predictions[i] == label then sums.right = sums.right + 1 end
  end
  sums.loss, sums.weight, sums.count = sums.loss + loss * weight, sums.weight + weight, sums.count + #actual
end

-- The learning rate of a step, before the groups' own.
local function set_rate(job, epoch, step)
  local factor = schedule.factor(job.opts, epoch, step, job.steps)
  if not math.type(factor) or not (factor >= 0 and factor < math.huge) then
    fault.raise("schedule: expected a finite number of at least 0 from the function, got %s", options.describe(factor))
  end
  job.lr = job.opts.lr * factor
end

-- Way there and back of a batch, in pieces if so wanted; leaves the gradient of the batch's loss in the plan.
local function accumulate(job, plan, x, y, seed, sums)
  local most = job.opts.micro_batch or #y
  if #y <= most then
    local logits = plan:forward(x, seed)
    local loss, dlogits = criterion.loss(job.criterion, logits, y)
    if loss - loss == 0 then plan:backward(dlogits) end
    add(job, sums, loss, logits, y)
    return loss
  end
  local total, whole = criterion.weight(job.criterion, y), 0
  for i, piece in ipairs(criterion.pieces(#y, most)) do
    local labels = y:view(table.unpack(piece))
    local logits = plan:forward(x:view(table.unpack(piece)), core.mix(seed, i))
    local loss, dlogits = criterion.loss(job.criterion, logits, labels, total)
    whole = whole + loss
    if whole - whole ~= 0 then return whole end
    plan:backward(dlogits, i > 1)
    add(job, sums, loss * total / criterion.weight(job.criterion, labels), logits, labels)
  end
  return whole
end

-- As torchvision's references do, the average starts where warm-up ends; until then it is a copy.
local function average_decay(job, epoch, step)
  local warmup = job.opts.warmup
  local copies = epoch - 1 < warmup or step == 1 and epoch - 2 < warmup
  return copies and 0 or job.opts.ema
end

-- One step of the optimiser along the gradient in the plan.
local function take_step(job, plan, epoch, step)
  local scale = 1
  if job.opts.clip then
    local norm = job.optimiser:gradient_norm(plan)
    stop_if_not_finite(job, "norm of the gradient", norm, epoch, "step " .. step)
    scale = math.min(1, job.opts.clip / (norm + 1e-6))
  end
  job.optimiser:step(plan, job.lr, scale)
  if job.average then job.average:update(average_decay(job, epoch, step)) end
end

local function learn(job, epoch)
  local model, train, opts = job.model, job.data.train, job.opts
  local plan = model:execution(math.min(opts.micro_batch or opts.batch, opts.batch, train:count()),
    { training = true, backward = true, params = true, frozen = job.frozen })
  local sums, step, seed = new_sums(), 0, core.mix(opts.seed, epoch)
  for x, y in train:batches { batch = opts.batch, shuffle = true, seed = opts.seed, epoch = epoch,
    augment = opts.augment or nil, workers = opts.workers } do
    -- The statistics of one sample would say nothing about the class.
    if not (job.skip_single and #y == 1 and train:count() > 1) then
      step = step + 1
      set_rate(job, epoch, step)
      local loss = accumulate(job, plan, x, y, core.mix(seed, step), sums)
      stop_if_not_finite(job, "loss", loss, epoch, "step " .. step)
      take_step(job, plan, epoch, step)
      job.line:step(#y, ("loss %.4f  accuracy %.3f"):format(sums.loss / sums.weight, sums.right / sums.count))
    end
  end
  if step == 0 then fault.raise("data.train: expected images, but none could be decoded") end
  return sums
end

local function validate(job, epoch, row)
  if not job.data.val then return end
  local run = predict.run(job.model, job.data.val, job.opts)
  local sums, loss = new_sums(), criterion.loss(job.criterion, run.logits, run.labels)
  stop_if_not_finite(job, "loss", loss, epoch, "validation")
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

-- `state`: the weights that are trained; where an average is kept, the model has that one now.
local function save(job, epoch, state)
  if not job.opts.checkpoint then return end
  checkpoint.save(job.opts.checkpoint, { model = state, optimiser = job.optimiser:state(),
    average = job.average and job.average:state(), best = job.kept.epoch ~= epoch and job.kept.state or nil,
    record = { epoch = epoch, best_epoch = job.kept.epoch, rows = job.rows } }, job.description)
  job.saved = epoch
end

local function report(job, row)
  local val = row.val_loss and ("  val loss %.4f  accuracy %.4f"):format(row.val_loss, row.val_accuracy) or ""
  local done, left = row.epoch - job.first + 1, job.opts.epochs - row.epoch
  local time = left > 0 and progress.duration((core.clock() - job.started) / done * left) .. " left" or "done"
  say(job, "epoch %d/%d  loss %.4f  accuracy %.4f%s  lr %s  %.1f images/s  %s", row.epoch, job.opts.epochs,
    row.train_loss, row.train_accuracy, val, history.rates(row), row.images_per_second, time)
end

local function group_rates(job)
  if #job.group_scales == 0 then return nil end
  local rates = {}
  for i, scale in ipairs(job.group_scales) do rates[i] = job.lr * scale end
  return rates
end

local function set_state(model, state)
  for name, tensor in pairs(state) do model.graph:set_parameter(name, tensor) end
end

-- What comes after the steps of an epoch, with the weights that may be kept.
local function judge(job, row, state)
  local epoch = row.epoch
  validate(job, epoch, row)
  row.seconds = core.clock() - job.epoch_started
  if is_better(job, row) then job.kept = { epoch = epoch, state = job.model:state() } end
  job.rows[epoch] = row
  save(job, epoch, state)
  report(job, row)
  if job.opts.on_epoch then job.opts.on_epoch(row) end
end

local function run_epoch(job, epoch)
  job.epoch_started = core.clock()
  job.line.label = ("epoch %d/%d"):format(epoch, job.opts.epochs)
  collectgarbage() -- ends the tensors that share the weights, which would have to be copied for them
  job.model.graph:own_parameters { except = job.fixed }
  local sums = learn(job, epoch)
  local row = { epoch = epoch, lr = job.lr, group_lrs = group_rates(job), train_loss = sums.loss / sums.weight,
    train_accuracy = sums.right / sums.count, images_per_second = sums.count / (core.clock() - job.epoch_started) }
  local state = job.model:state()
  if job.average then set_state(job.model, job.average:state()) end
  judge(job, row, state)
  if job.average then set_state(job.model, state) end
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
  local ok, problem = pcall(job.optimiser.load, job.optimiser, state.optimiser)
  if ok and job.average then ok, problem = pcall(job.average.load, job.average, state.average) end
  if ok then ok, problem = pcall(job.model.load_state, job.model, state.model or {}) end
  if not ok then fault.raise("checkpoint '%s': is damaged: %s", path, problem) end
  job.rows, job.saved = record.rows, record.epoch
  job.kept = { epoch = record.best_epoch, state = state.best or state.average or state.model }
  return record.epoch
end

-- The model ends with the best weights so far, whatever ends the training.
local function restore(job)
  set_state(job.model, job.kept.state)
  job.model:release()
end

local function new_optimiser(job)
  local opts = job.opts
  local betas = opts.betas or {}
  return core.optimiser(job.model.graph, { kind = opts.optimiser, beta1 = betas[1], beta2 = betas[2], eps = opts.eps,
    momentum = opts.momentum, nesterov = opts.nesterov, parameters = job.settings, frozen = job.frozen,
    zeros = job.model.plan })
end

local function run(job)
  local opts, model = job.opts, job.model
  job.optimiser = new_optimiser(job)
  if opts.ema then job.average = core.average(model.graph, { fixed = job.fixed }) end
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
