--- Learning rate schedules: a factor for every step of the optimiser.
-- @module secateur.training.schedule
local core = require "secateur.core"

local schedule = {}

local shapes = {}

function shapes.constant() return 1 end

-- The epochs count, not the steps.
function shapes.step(at)
  return at.decay and core.math.pow(at.decay.factor, (at.epoch - 1) // at.decay.every) or 1
end

-- Loshchilov and Hutter (2017), equation 5, one period: from 1 to the least over what warm-up leaves of the training.
function shapes.cosine(at)
  local past = at.step - at.warmup -- not above 0 throughout where warm-up takes the whole training
  local share = past > 0 and math.min(past / (at.total - at.warmup), 1) or 0
  return at.least + (1 - at.least) * (1 + core.math.cos(math.pi * share)) / 2
end

--- The factor of a step, by which all learning rates are multiplied. Steps count from 0 over the whole training; in
-- an epoch `steps` are expected (more share the last one's place).
--
-- In the first W = warmup · steps steps the factor below is multiplied by (t + 1) / (W + 1), as torch's LinearLR(1 /
-- (W + 1), total_iters = W) does.
--
-- @tab opts `schedule` ("step", "cosine", "constant" or a function(progress in [0, 1), epoch) -> factor), `decay`
-- (false or {every, factor}), `least` (of cosine), `warmup` (epochs), `epochs`
-- @int epoch from 1
-- @int step from 1, in the epoch
-- @int steps in an epoch
-- @return the factor: what the function gave, unchecked, where warm-up is over
function schedule.factor(opts, epoch, step, steps)
  local at = { epoch = epoch, step = (epoch - 1) * steps + math.min(step, steps) - 1, total = opts.epochs * steps,
    warmup = opts.warmup * steps, decay = opts.decay, least = opts.least }
  local factor
  if type(opts.schedule) == "function" then
    factor = opts.schedule(at.step / at.total, epoch)
  else
    factor = shapes[opts.schedule](at)
  end
  if at.step < at.warmup and math.type(factor) then factor = factor * (at.step + 1) / (at.warmup + 1) end
  return factor
end

return schedule
