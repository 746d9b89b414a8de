--- The steps of one epoch. A `job` is what `secateur.training.train` prepares: model, data, options and what came of
-- them.
-- @module secateur.training.train_epoch
local batch_gradient = require "secateur.training.batch_gradient"
local batch_pieces = require "secateur.training.batch_pieces"
local core = require "secateur.core"
local criterion = require "secateur.training.criterion"
local errors = require "secateur.util.errors"
local options = require "secateur.util.options"
local schedule = require "secateur.training.schedule"

local train_epoch = {}

--- What is left when a training stops early.
-- @tab job
-- @treturn string
function train_epoch.checkpoint_contents(job)
  local kept = job.kept.epoch > 0 and "those of epoch " .. job.kept.epoch or "those that it had before"
  local saved = job.saved and ("the last good checkpoint is '%s' (epoch %d)"):format(job.opts.checkpoint, job.saved)
    or "no checkpoint was written"
  return ("the model's weights are %s; %s"):format(kept, saved)
end

--- Stops the training with a message where a number is not finite.
-- @tab job
-- @string what it is
-- @number value
-- @int epoch
-- @string place in the epoch
function train_epoch.check_finite(job, what, value, epoch, place)
  if value - value == 0 then return end
  errors.raise("%s is %s in epoch %d, %s, at lr %g; %s", what, value == value and "infinite" or "not a number", epoch,
    place, job.lr, train_epoch.checkpoint_contents(job))
end

--- Sums over samples, from which means are made.
-- @treturn table
function train_epoch.new_sums()
  return { loss = 0, weight = 0, right = 0, count = 0, images = 0 }
end

--- Loss and accuracy from sums; 0 where nothing was known.
-- @tab sums
-- @treturn number
-- @treturn number
function train_epoch.means(sums)
  return sums.weight > 0 and sums.loss / sums.weight or 0, sums.count > 0 and sums.right / sums.count or 0
end

--- Adds a batch to such sums.
-- @tab job
-- @tab sums
-- @number loss mean over the batch, weighted as the criterion does
-- @tparam Tensor logits
-- @tparam Tensor labels
function train_epoch.add(job, sums, loss, logits, labels)
  local weight, right, count = criterion.score(job.criterion, logits, labels)
  sums.loss, sums.weight = sums.loss + loss * weight, sums.weight + weight
  sums.right, sums.count, sums.images = sums.right + right, sums.count + count, sums.images + #labels
end

-- The learning rate of a step, before the groups' own.
local function set_rate(job, epoch, step)
  local factor = schedule.factor(job.opts, epoch, step, job.steps)
  if not math.type(factor) or not (factor >= 0 and factor < math.huge) then
    errors.raise("schedule: expected a finite number of at least 0 from the function, got %s", options.describe(factor))
  end
  job.lr = job.opts.lr * factor
end

-- As torchvision's references do, the average starts where warm-up ends; until then it is a copy.
local function average_decay(job, epoch, step)
  local warmup = job.opts.warmup
  local copies = epoch - 1 < warmup or step == 1 and epoch - 2 < warmup
  return copies and 0 or job.opts.ema
end

-- One step of the optimiser along the gradient in the execution plan.
local function take_step(job, execution_plan, epoch, step)
  local scale = 1
  if job.opts.clip then
    local norm = job.optimiser:gradient_norm(execution_plan)
    train_epoch.check_finite(job, "norm of the gradient", norm, epoch, "step " .. step)
    scale = math.min(1, job.opts.clip / (norm + 1e-6))
  end
  job.optimiser:step(execution_plan, job.lr, scale)
  if job.average then job.average:update(average_decay(job, epoch, step)) end
end

--- Goes through the training images once; with a balanced sampler, through as many as there are.
-- @tab job
-- @int epoch
-- @treturn table sums over the samples; no `images` where none could be decoded
function train_epoch.run(job, epoch)
  local model, opts, count = job.model, job.opts, job.data.train:count()
  local execution_plan = model:execution_plan(math.min(opts.micro_batch or opts.batch, opts.batch, count),
    { training = true, backward = true, params = true, frozen = job.frozen,
      collect_statistics = job.group ~= nil or nil })
  local sums, step, seed = train_epoch.new_sums(), 0, core.mix(opts.seed, epoch)
  local gradient = batch_gradient.new(job, execution_plan)
  for batch in batch_pieces.batches(job, epoch) do
    local images = batch_gradient.count(gradient, batch)
    -- The statistics of one sample would say nothing about the class.
    if images > 0 and not (job.skip_single and images == 1 and count > 1) then
      step = step + 1
      set_rate(job, epoch, step)
      local loss = batch_gradient.run(gradient, batch, core.mix(seed, step), sums)
      train_epoch.check_finite(job, "loss", loss, epoch, "step " .. step)
      take_step(job, execution_plan, epoch, step)
      job.line:step(images, ("loss %.4f  accuracy %.3f"):format(train_epoch.means(sums)))
    end
  end
  return sums
end

return train_epoch
