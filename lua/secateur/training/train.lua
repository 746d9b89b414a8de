--- Trains a classifier; the paper's Appendix A as defaults.
-- @module secateur.training.train
local checkpoint = require "secateur.training.checkpoint"
local core = require "secateur.core"
local criterion = require "secateur.training.criterion"
local errors = require "secateur.util.errors"
local files = require "secateur.util.files"
local groups = require "secateur.mpi.group"
local history = require "secateur.training.history"
local image_files = require "secateur.data.image_files"
local lfs = require "lfs"
local options = require "secateur.util.options"
local output = require "secateur.util.output"
local parameters = require "secateur.training.parameters"
local predict = require "secateur.evaluation.predict"
local preparation = require "secateur.models.preparation"
local progress = require "secateur.util.progress"
local ranks = require "secateur.training.ranks"
local sampler = require "secateur.training.sampler"
local shared_images = require "secateur.evaluation.shared_images"
local skipped = require "secateur.data.skipped"
local selection = require "secateur.training.selection"
local training_options = require "secateur.training.options"
local train_epoch = require "secateur.training.train_epoch"

local ENOENT = 2 -- the system's number for "no such file"

local function check_data(model, data)
  if type(data) ~= "table" or not data.train then
    errors.refuse("train", "data: expected a dataset with train and val, got " .. options.describe(data))
  end
  predict.check("train", model, data.train, "data.train", true)
  local has_val = data.val and data.val:count() > 0
  if has_val then predict.check("train", model, data.val, "data.val", true) end
  return { train = data.train, val = has_val and data.val or nil }
end

-- Which parameters are trained and how, and what a batch norm asks for.
local function choose_parameters(job)
  local model, opts = job.model, job.opts
  local frozen, fixed = parameters.frozen(model, opts.freeze)
  job.frozen, job.fixed = options.sorted_keys(frozen), fixed
  job.settings, job.group_scales = parameters.settings(model, frozen, opts)
  job.skip_single = opts.batch > 1 and parameters.has_batch_norm(model, frozen)
  if job.skip_single and opts.micro_batch == 1 then
    errors.refuse("train", "micro_batch: expected at least 2 with batch norm, whose statistics are those of a piece")
  end
end

-- Of several ranks, the first speaks and writes.
local function choose_group(job)
  local opts = job.opts
  job.group = opts.group and opts.group.size > 1 and opts.group or nil
  job.is_first = not job.group or job.group.rank == 0
  if not job.group then return end
  if not opts.micro_batch or opts.micro_batch >= opts.batch then
    errors.refuse("train", "micro_batch: expected fewer images than a batch has (%d), with %d ranks, got %s: ranks "
      .. "share the pieces of each batch; %d would be a piece for each. Weights depend on the size of pieces, not on "
      .. "the number of ranks", opts.batch, job.group.size, options.describe(opts.micro_batch),
      math.max(1, opts.batch // job.group.size))
  end
  if not job.is_first then opts.quiet = true end
end

-- What has to be said of the ranks.
local function note_on_ranks(job)
  if not job.group then return nil end
  local opts, size = job.opts, job.group.size
  local pieces = (math.min(opts.batch, job.data.train:count()) + opts.micro_batch - 1) // opts.micro_batch
  if pieces >= size then return nil end
  return ("train: a batch of %d in pieces of %d is %d pieces: %d of the %d ranks have none of them")
    :format(opts.batch, opts.micro_batch, pieces, size - pieces, size)
end

-- What is minimised, on which samples, and what is best.
local function choose_aims(job)
  local opts, train, val = job.opts, job.data.train, job.data.val
  selection.check_known(job.data)
  job.criterion = criterion.new(train, job.model, opts)
  job.pools = opts.sampler == "balanced" and sampler.pools(train) or nil
  if opts.patience and not val then errors.refuse("train", "patience: expected a data.val to be patient about") end
  local note
  opts.select, note = selection.choose(job.criterion.kind, opts.select, val)
  job.notes = { note, criterion.one_sided(train), note_on_ranks(job) }
  job.select = val and opts.select or "last"
end

-- Everything that a training needs, checked.
local function prepare(model, data, given)
  local used = check_data(model, data)
  local opts = training_options.check(given)
  local job = { model = model, data = used, opts = opts, rows = {} }
  choose_group(job)
  if opts.checkpoint and job.is_first then -- it is written after the first epoch, which may take an hour
    local good, message = output.prepare_file(opts.checkpoint)
    if not good then errors.refuse("train", "checkpoint: " .. message) end
  end
  choose_aims(job)
  choose_parameters(job)
  local numbers = training_options.numbers(opts)
  numbers.class_weights, numbers.frozen, numbers.zeros = job.criterion.list, job.frozen, model.pruning_plan
  numbers.parameters = opts.groups and job.settings
  numbers.pos_weight = job.criterion.positive or nil
  if job.criterion.kind ~= "classes" then numbers.head = "sigmoid" end
  job.description = checkpoint.describe(model, used, numbers)
  -- The batches of an epoch, each of which is a step.
  local count, batch = used.train:count(), opts.batch
  job.steps = (count + batch - 1) // batch
  if job.skip_single and count > batch and count % batch == 1 then job.steps = job.steps - 1 end
  return job
end

local function say(job, format, ...)
  if job.opts.quiet then return end
  if job.line then job.line:clear() end
  errors.warn(format, ...)
end

-- The model learns of its images: how they are prepared, which says what black is too, and their classes. What it knew
-- of others is said.
local function take_knowledge(job, data)
  local info, prepared = job.model.info, data.train.preparation
  if job.criterion.kind == "binary" and data.classes and not info.classes then
    say(job, "train: the one logit speaks for '%s', the second class (classes = { … } of sc.data gives the order)",
      data.classes[2])
  end
  if info.classes and data.classes and table.concat(info.classes, "\0") ~= table.concat(data.classes, "\0") then
    say(job, "train: the model's classes were %s; they are %s now", table.concat(info.classes, ", "),
      table.concat(data.classes, ", "))
  end
  info.classes = data.classes and table.move(data.classes, 1, #data.classes, 1, {})
  if not prepared then return end
  local changes = preparation.differences(job.model:preparation(), prepared, ", now ")
  if #changes > 0 then
    say(job, "train: the model's images were prepared with %s", table.concat(changes, "; with "))
  end
  info.preparation = preparation.from(prepared)
  info.normalisation = { mean = info.preparation.mean, std = info.preparation.std }
end

-- ---- one epoch ----

local function validate(job, epoch, row)
  if not job.data.val then return end
  local val, opts = job.data.val, job.opts
  local run = predict.run(job.model, val, { batch = opts.batch, workers = opts.workers,
    group = val.subset and job.group or nil }) -- a split of somebody's own may have no parts: each rank runs it all
  local sums, loss = train_epoch.new_sums(), criterion.loss(job.criterion, run.logits, run.labels)
  train_epoch.check_finite(job, "loss", loss, epoch, "validation")
  train_epoch.add(job, sums, loss, run.logits, run.labels)
  row.val_loss, row.val_accuracy = loss, select(2, train_epoch.means(sums))
  if job.select == "auroc" or job.criterion.kind ~= "classes" then
    row.val_auroc = selection.auroc(job.criterion.kind, run.logits, run.labels)
  end
  if job.select == "auroc" and not row.val_auroc then
    errors.raise("select: expected positives and negatives among the images of data.val that could be read")
  end
end

-- How many images were left out, of both splits, before the training was resumed too.
local function count_skipped(job)
  return math.max(job.skipped or 0, skipped.count(job.data.train, job.data.val))
end

-- `state`: the weights that are trained; where an average is kept, the model has that one now.
local function write_checkpoint(job, epoch, state)
  checkpoint.save(job.opts.checkpoint, { model = state, optimiser = job.optimiser:state(),
    average = job.average and job.average:state(), best = job.kept.epoch ~= epoch and job.kept.state or nil,
    images = job.images, record = { epoch = epoch, best_epoch = job.kept.epoch, rows = job.rows,
      skipped = count_skipped(job) } }, job.description)
end

local function save(job, epoch, state)
  if not job.opts.checkpoint then return end
  if job.is_first then write_checkpoint(job, epoch, state) end
  if job.group then job.group:barrier() end -- nobody says that there is a checkpoint before there is
  job.saved = epoch
end

local function report(job, row)
  local val = row.val_loss and ("  val loss %.4f  accuracy %.4f"):format(row.val_loss, row.val_accuracy) or ""
  if row.val_auroc then val = val .. ("  AUROC %.4f"):format(row.val_auroc) end
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
  ranks.agree(job, row)
  if selection.is_better(job.select, row, job.rows[job.kept.epoch]) then
    job.kept = { epoch = epoch, state = job.model:state() }
  end
  job.rows[epoch] = row
  save(job, epoch, state)
  report(job, row)
  if job.opts.on_epoch then errors.call(job.opts.on_epoch, row) end
end

local function run_epoch(job, epoch)
  job.epoch_started = core.clock()
  job.line.label = ("epoch %d/%d"):format(epoch, job.opts.epochs)
  collectgarbage() -- ends the tensors that share the weights, which would have to be copied for them
  job.model.graph:own_parameters { except = job.fixed }
  local train = job.data.train
  local known = skipped.known(train)
  local sums = train_epoch.run(job, epoch)
  shared_images.join_skipped(job.group, train, known)
  if sums.images == 0 then errors.raise("data.train: expected images, but none could be decoded") end
  local loss, accuracy = train_epoch.means(sums)
  local row = { epoch = epoch, lr = job.lr, group_lrs = group_rates(job), train_loss = loss, train_accuracy = accuracy,
    images_per_second = sums.images / (core.clock() - job.epoch_started) }
  local state = job.model:state()
  if job.average then set_state(job.model, job.average:state()) end
  judge(job, row, state)
  if job.average then set_state(job.model, state) end
end

-- ---- the whole ----

-- Takes note of what the images are now, for those who go on, and holds them against what they were.
local function verify_images(job, before)
  local splits, known, verify = { train = job.data.train, val = job.data.val }, {}, job.opts.verify
  for name, tensor in pairs(before or {}) do known[name] = tensor:totable() end
  local now, notes = image_files.verify(splits, known, verify)
  for _, note in ipairs(notes) do say(job, "train: checkpoint '%s': %s", job.opts.checkpoint, note) end
  job.images = {}
  for name, rows in pairs(now) do job.images[name] = core.tensor(rows, "int64") end
  if job.resumed and not before and next(now) then
    say(job, "train: checkpoint '%s' does not say what its images were: they are taken for the same",
      job.opts.checkpoint)
  end
end

-- What a checkpoint is held against.
local function expected_state(job)
  local val = job.data.val
  return { select = job.select, validates = val ~= nil, groups = #job.group_scales,
    steps = job.data.train.shared and job.steps or job.steps + job.data.train:count(),
    counts = { train = job.data.train:count(), val = val and val:count() }, model = job.model:state(),
    optimiser = job.optimiser:state(), average = job.average and job.average:state() }
end

-- Whether there is a checkpoint. One that cannot be looked at is not taken for none: it would be written over.
local function is_there(path)
  local mode, problem, code = lfs.attributes(path, "mode")
  if mode then return true end
  if lfs.symlinkattributes(path, "mode") then errors.raise("checkpoint '%s': is %s", path, files.describe(path)) end
  if code ~= ENOENT then errors.raise("checkpoint '%s': %s", path, problem) end
  return false
end

-- What the checkpoint holds, checked; nil where there is none.
local function read_checkpoint(job)
  local path = job.opts.checkpoint
  if not is_there(path) then
    say(job, "train: there is no checkpoint '%s' yet: starting from the beginning", path)
    return nil
  end
  local state = checkpoint.load(path, job.description, expected_state(job))
  local record = state.record
  if record.epoch > job.opts.epochs then
    errors.raise("checkpoint '%s': is of epoch %d, expected one of at most %d epochs", path, record.epoch,
      job.opts.epochs)
  end
  job.resumed = true
  local good, problem = errors.try(verify_images, job, state.images)
  if not good then errors.raise("checkpoint '%s': %s", path, problem) end
  return state
end

-- Goes to where the checkpoint was written; gives the number of epochs done.
local function resume(job)
  local state = ranks.broadcast_state(job, job.is_first and read_checkpoint(job) or nil)
  if not state then return 0 end
  local record = state.record
  job.resumed = true
  job.optimiser:load(state.optimiser)
  if job.average then job.average:load(state.average) end
  job.model:load_state(state.model)
  job.rows, job.saved, job.skipped = record.rows, record.epoch, record.skipped
  job.kept = { epoch = record.best_epoch, state = state.best or state.average or state.model }
  return record.epoch
end

-- The model ends with the best weights so far, whatever ends the training; what the training took goes at once, for the
-- collector does not see how much that is.
local function restore(job)
  set_state(job.model, job.kept.state)
  job.model:release()
  if job.optimiser then job.optimiser:close() end
  if job.average then job.average:close() end
end

local function new_optimiser(job)
  local opts = job.opts
  local betas = opts.betas or {}
  return core.optimiser(job.model.graph, { kind = opts.optimiser, beta1 = betas[1], beta2 = betas[2], eps = opts.eps,
    momentum = opts.momentum, nesterov = opts.nesterov, parameters = job.settings, frozen = job.frozen,
    masked = job.model.pruning_plan })
end

local function run(job)
  local opts, model = job.opts, job.model
  ranks.check_same(job)
  job.optimiser = new_optimiser(job)
  if opts.ema then job.average = core.ema(model.graph, { fixed = job.fixed }) end
  job.line = progress.new { terminal = core.is_terminal() and not opts.quiet, log = not opts.quiet,
    unit = "images", clock = core.clock }
  local line <close> = job.line
  if not job.data.val then say(job, "train: there is no validation split: the weights of the last epoch are kept") end
  for _, note in pairs(job.notes) do say(job, "%s", note) end
  job.first = (opts.resume and resume(job) or 0) + 1
  if opts.checkpoint and not job.resumed and job.is_first then verify_images(job) end
  line.total = (opts.epochs - job.first + 1) * job.data.train:count()
  job.started = core.clock()
  for epoch = job.first, opts.epochs do
    job.stopped = selection.reason_to_stop(opts.patience, epoch, job.kept.epoch, job.select)
    if job.stopped then
      say(job, "train: %s; the weights kept are those of epoch %d", job.stopped, job.kept.epoch)
      break
    end
    run_epoch(job, epoch)
  end
end

-- Ctrl-C ends native work with "interrupted", and Lua code, by its own signal handler, with "interrupted!".
local function explain(job, problem)
  if type(problem) ~= "string" or not problem:find("interrupted!?$") then return problem end
  return ("train: interrupted; %s"):format(train_epoch.checkpoint_contents(job))
end

-- What each rank does.
local function train_alone(model, data, opts)
  local job = prepare(model, data, opts)
  take_knowledge(job, data)
  job.kept = { epoch = 0, state = model:state() }
  local ok, problem = errors.catch(run, job)
  restore(job)
  if not ok then errors.rethrow(explain(job, problem), "train") end
  return history.new(job.rows, job.kept.epoch, job.stopped, count_skipped(job)), model
end

--- Trains a model in place; models that shared its weights (clones) keep theirs.
--
-- The criterion is that of the model's head: softmax, cross entropy weighted by class; a sigmoid of one logit, the same
-- of two classes, of which the second is the positive one; of more logits and a split with several findings per image,
-- binary cross entropy, mean over what is known. The weights kept in the end are those of the epoch of best validation,
-- also when the training is stopped by Ctrl-C or an error. Order, augmentation and dropout depend on `seed`, epoch and
-- step alone: the same call gives the same weights to the bit, and so does a training that was interrupted and resumed.
-- In a model with batch norm a last batch of one sample is left out.
--
-- Frozen parameters get no gradient and no state, and the backward pass ends at the first parameter that is trained: a
-- head alone costs little more than its forward passes. A batch norm whose scale is frozen runs as in inference and
-- keeps its running statistics; dropout goes on.
--
-- In a model that `prune` made (with its `plan`), the pruned weights, and scale and shift of the norms behind them, are
-- exactly zero after every step, whatever the optimiser. A model without a plan has no such weights, whatever its
-- zeros.
--
-- A batch cut by `micro_batch` gives the gradient of the whole batch, but for dropout, which is drawn for each piece,
-- and for batch norm, which normalises a piece by its own mean and variance; running statistics are updated piece after
-- piece, in their order. Gradients of pieces are summed in a binary tree over them (pairwise summation; Higham 2002,
-- section 4.2), whose form depends on their number alone.
--
-- Over several ranks (`group`), each reads and runs a run of neighbouring pieces of every batch; sums travel where a
-- branch of the tree has two owners, and batch statistics so that all update the running ones alike. So 1, 2, 4 or 8
-- ranks give the same weights to the bit as one process with the same `micro_batch`, and the same history. All ranks
-- make the same call; rank 0 reports and writes the checkpoint, which goes on with any number of ranks. An error or
-- Ctrl-C on one rank ends the training on all. Of a split that is not of `sc.data`, each rank reads all images. Ranks
-- compare model, options, files and some images as they are prepared before they begin; weights, and what all have
-- read, after each epoch.
--
-- @tparam Model model
-- @tparam Dataset data its `train` is learned, its `val` (may be missing) decides which weights are kept
-- @tab[opt] opts The course: `epochs` (20), `batch` (32; samples of a step), `micro_batch` (none: run batches in
-- pieces of at most so many, as equal as can be, to save memory, and to share them), `seed` (0), `select` (what of
-- validation decides which epoch is kept: "accuracy", of findings that of all known ones at a probability of 0.5;
-- "auroc", as `evaluate` has it, of sigmoid heads by their logits, which differ where probabilities near 1 are equal;
-- both with ties by loss; "loss"; "last"; by default "accuracy", of findings "auroc"), `patience` (none: after so many
-- epochs without a better one the training ends), `sampler` ("shuffle": every image once per epoch; "balanced": as
-- many as there are, drawn with replacement, each time first a class, all alike, then an image of it; of findings one
-- of these or none, then an image where it is present, or where all are absent), `augment` (true: random resized crop
-- of scale 0.7-1 and ratio 0.75-1.33, flips, rotation up to 30°, brightness, contrast and saturation ± 0.2; false; or
-- a table of these, see `split:batches`).
--
-- The optimiser, as torch.optim has them: `optimiser` ("adam", "adamw", "sgd"), `betas` ({0.9, 0.999}) and `eps` (1e-8)
-- of the first two, `momentum` (0.9) and `nesterov` (false) of sgd, `weight_decay` (0; adamw: 0.01; decoupled in adamw
-- alone), `decay_norms` (true; false: no weight decay on what has one dimension, biases, scales and shifts), `clip`
-- (false; the largest L2 norm of all gradients together, as clip_grad_norm_).
--
-- The learning rate: `lr` (1e-3), times the factor of `schedule`: "step" (multiplied by `decay.factor` after every
-- `decay.every` epochs; `decay` = {every = 10, factor = 0.1} or false), "cosine" (falls with every step to `min_lr`,
-- 0), "constant", or a function(progress in [0, 1), epoch) -> factor, called for every step; `warmup` (0; epochs, or
-- parts of one, over which the rate rises linearly with every step; a cosine begins when it ends).
--
-- What is trained: `freeze` (a Lua pattern for parameter names, a function(name) -> boolean, or a list of these),
-- `groups` (list of {match = as freeze, lr = or lr_scale =, weight_decay =}; the first that fits a parameter counts,
-- the schedule multiplies all rates alike).
--
-- The criterion: `class_weights` ("balanced": n / (classes · n_c); a list; or false; by default "balanced" where there
-- are classes and neither `pos_weight` nor `sampler` balances them), `pos_weight` (of sigmoid heads, as
-- BCEWithLogitsLoss: what the presence of a finding weighs against its absence; "balanced": images without it / images
-- with it; a number; a list of one per finding; none), `label_smoothing` (0; as CrossEntropyLoss; of findings (1 - s) y
-- + s/2), `loss` ("cross_entropy", or "focal": times (1 - p)^gamma, Lin et al. 2017), `focal_gamma` (2).
--
-- Averaging: `ema` (false; d: after every step a += (1 - d) (w - a); the average is what is validated, kept and given
-- back; until warm-up ends it is a copy; running statistics of batch norms are averaged too, as torchvision's
-- references do).
--
-- Besides: `checkpoint` (a path, overwritten after each epoch), `resume` (false; go on from the checkpoint if it is
-- there, with the same images), `verify` ("quick": a checkpoint knows the images by the size and time of all files,
-- and by the bytes of 64 of a split; "full": by the bytes of all; ranks compare files, but for times), `on_epoch`
-- (function(row), called after each epoch, on all ranks, when the model has what was validated), `group` (none;
-- `sc.mpi.group()`: the processes that train together, with a `micro_batch` below `batch`; of one process it changes
-- nothing), `workers` (threads that decode, 1), `quiet` (false; say nothing on stderr)
-- @treturn table history: list of rows `{epoch=, lr=, group_lrs=, train_loss=, train_accuracy=, val_loss=,
-- val_accuracy=, val_auroc=, seconds=, images_per_second=}`; rates are those of the epoch's last step; losses are
-- weighted (and smoothed), train's are means over the epoch; `val_auroc` is there for sigmoid heads, and where it is
-- selected by; also `best_epoch`, `stopped` (why it ended early, or nil), `skipped` (how many images were left out
-- because they could not be read), `tostring`, and `draw(path)`, see `secateur.training.history`
-- @treturn Model the model
-- @raise when model, data and options do not fit, a pattern fits nothing or nothing is left to train; when the loss or
-- the norm of its gradient (with clip) is not finite; when the checkpoint cannot be written, is damaged, of
-- another training or of other images; where the ranks of a group have not the same model, data and options, or one of
-- them failed
-- @usage
-- sc.train(model, data, { epochs = 20, lr = 1e-3 })
local function train(model, data, opts)
  local group = type(opts) == "table" and opts.group
  if not groups.is(group) or group.size == 1 then return train_alone(model, data, opts) end
  local splits = type(data) == "table" and { data.train or nil, data.val } or {}
  return shared_images.together(group, splits, train_alone, model, data, opts)
end

return train
