--- The options of a training: what they may be, what they are by default, and which contradict each other.
-- @module secateur.training.options
local errors = require "secateur.util.errors"
local file_kind = require "secateur.util.file_kind"
local group_rule = require "secateur.mpi.group_rule"
local image_files = require "secateur.data.image_files"
local options = require "secateur.util.options"

local training_options = {}

local augmentation = { scale = { 0.7, 1 }, ratio = { 0.75, 1.33 }, hflip = 0.5, vflip = 0.5, rotation = 30,
  brightness = 0.2, contrast = 0.2, saturation = 0.2 }

local function is_betas(value)
  local good = #value == 2
  for _, beta in ipairs(value) do good = good and math.type(beta) and beta >= 0 and beta < 1 end
  return good, "two numbers in [0, 1)"
end

local amount = { type = "number", min = 0, below = math.huge }

local rules = {
  epochs = { type = "integer", min = 1, default = 20 },
  batch = { type = "integer", min = 1, default = 32 },
  micro_batch = { type = "integer", min = 1 },
  optimiser = { one_of = { "adam", "adamw", "sgd" }, default = "adam" },
  betas = { type = "list", check = is_betas },
  eps = amount,
  momentum = { type = "number", min = 0, below = 1 },
  nesterov = { type = "boolean" },
  weight_decay = amount,
  decay_norms = { type = "boolean", default = true },
  lr = { type = "number", above = 0, below = math.huge, default = 1e-3 },
  schedule = { one_of = { "step", "cosine", "constant" }, type = "function", default = "step" },
  decay = { one_of = { false }, type = "table" },
  min_lr = amount,
  warmup = { type = "number", min = 0, below = math.huge, default = 0 },
  freeze = { type = { "string", "table", "function" } },
  groups = { type = "list", least = 1 },
  loss = { one_of = { "cross_entropy", "focal" }, default = "cross_entropy" },
  focal_gamma = { type = "number", above = 0, below = math.huge },
  class_weights = { one_of = { "balanced", false }, type = "table" },
  pos_weight = { one_of = { "balanced" }, type = { "table", "number" } },
  sampler = { one_of = { "shuffle", "balanced" }, default = "shuffle" },
  label_smoothing = { type = "number", min = 0, max = 1, default = 0 },
  clip = { one_of = { false }, type = "number", above = 0, below = math.huge, default = false },
  ema = { one_of = { false }, type = "number", above = 0, below = 1, default = false },
  augment = { type = { "table", "boolean" }, default = true },
  select = { one_of = { "accuracy", "auroc", "loss", "last" } },
  patience = { type = "integer", min = 1 },
  seed = { type = "integer", default = 0 },
  checkpoint = { type = "string", check = file_kind.rule "safetensors" },
  resume = { type = "boolean", default = false },
  verify = image_files.rule,
  on_epoch = { type = "function" },
  group = group_rule,
  workers = { type = "integer", min = 1, max = 64, default = 1 },
  quiet = { type = "boolean", default = false },
}

local decay_rules = {
  every = { type = "integer", min = 1, default = 10 },
  factor = { type = "number", above = 0, max = 1, default = 0.1 },
}

-- Options that mean something only beside a value of another.
local only_with = {
  { "betas", "optimiser", { adam = true, adamw = true }, "'adam' or 'adamw'" },
  { "eps", "optimiser", { adam = true, adamw = true }, "'adam' or 'adamw'" },
  { "momentum", "optimiser", { sgd = true }, "'sgd'" },
  { "nesterov", "optimiser", { sgd = true }, "'sgd'" },
  { "decay", "schedule", { step = true }, "'step'" },
  { "min_lr", "schedule", { cosine = true }, "'cosine'" },
  { "focal_gamma", "loss", { focal = true }, "'focal'" },
}

local function check_together(opts)
  for _, entry in ipairs(only_with) do
    local name, other, values, expected = table.unpack(entry)
    if opts[name] and not values[opts[other]] then
      errors.refuse("train", "%s: expected %s to be %s, got %s", name, other, expected,
        options.describe(opts[other]))
    end
  end
  if opts.min_lr and opts.min_lr > opts.lr then
    errors.refuse("train", "min_lr: expected at most lr, %g, got %g", opts.lr, opts.min_lr)
  end
  if opts.nesterov and opts.momentum == 0 then
    errors.refuse("train", "nesterov: expected a momentum above 0")
  end
  if opts.patience and opts.select == "last" then
    errors.refuse("train", "patience: expected select to be 'accuracy', 'auroc' or 'loss', got 'last'")
  end
  if opts.resume and not opts.checkpoint then
    errors.refuse("train", "resume: expected a path in checkpoint")
  end
end

--- Checks the options of train and fills in what depends on others.
-- @tab[opt] given
-- @treturn table
function training_options.check(given)
  local opts = options.check("train", given, rules)
  check_together(opts)
  if opts.decay == nil then opts.decay = opts.schedule == "step" and {} end
  if opts.decay then opts.decay = options.check("train: decay", opts.decay, decay_rules) end
  opts.focal_gamma = opts.loss == "focal" and (opts.focal_gamma or 2) or nil
  if opts.augment == true then opts.augment = augmentation end
  if opts.optimiser == "sgd" then
    opts.momentum, opts.nesterov = opts.momentum or 0.9, opts.nesterov or false
  else
    opts.betas, opts.eps = opts.betas or { 0.9, 0.999 }, opts.eps or 1e-8
  end
  opts.weight_decay = opts.weight_decay or (opts.optimiser == "adamw" and 0.01 or 0)
  opts.least = (opts.min_lr or 0) / opts.lr
  return opts
end

--- What of the options the numbers depend on, as plain data. Not in it: epochs where no learning rate depends on them,
-- because a finished training may go on, and patience, for the same reason; workers, which change no number. An option
-- that is newer than the first checkpoints is there only where it is not at its default.
-- @tab opts as `check` gives them
-- @treturn table
function training_options.numbers(opts)
  local numbers = {}
  for _, name in ipairs { "batch", "micro_batch", "optimiser", "betas", "eps", "momentum", "nesterov", "weight_decay",
    "decay_norms", "lr", "schedule", "decay", "min_lr", "warmup", "label_smoothing", "clip", "ema", "augment", "select",
    "seed", "focal_gamma" } do
    numbers[name] = opts[name]
  end
  if opts.sampler ~= "shuffle" then numbers.sampler = opts.sampler end
  if type(opts.schedule) == "function" then numbers.schedule = "function" end
  if opts.schedule ~= "step" and opts.schedule ~= "constant" then numbers.epochs = opts.epochs end
  return numbers
end

return training_options
