--- Where the path of Integrated Gradients starts.
-- @module secateur.attribution.baselines
local core = require "secateur.core"
local errors = require "secateur.util.errors"
local imagenet = require "secateur.util.imagenet"
local options = require "secateur.util.options"
local preparation = require "secateur.models.preparation"
local tensors = require "secateur.util.tensors"

local baselines = {}

local makers = {}

function makers.zero(_, x) return core.zeros(table.unpack(x:shape())) end

-- Raises unless x are images.
local function check_images(name, x, kind)
  local shape = x:shape()
  if #shape == 4 then return end
  errors.refuse(name, "baseline: expected images [N x C x H x W] for \"%s\", got [%s]; give a Tensor or \"zero\"", kind,
    table.concat(shape, " x "))
end

function makers.black(name, x, opts)
  check_images(name, x, "black")
  local shape, norm = x:shape(), opts.normalisation
  local channels = shape[2]
  norm = norm or imagenet[channels]
  if not norm or #norm.mean ~= channels then
    errors.refuse(name, "baseline: expected a normalisation of %d channels for \"black\"; give a Tensor or \"zero\"",
      channels)
  end
  local one = core.zeros(channels, 1, 1)
  for c = 1, channels do one:set(-norm.mean[c] / norm.std[c], c, 1, 1) end
  return core.zeros(table.unpack(shape)) + one
end

function makers.blurred(name, x, opts)
  check_images(name, x, "blurred")
  local shape = x:shape()
  return core.gaussian_blur(x, opts.sigma or math.min(shape[3], shape[4]) / 15)
end

local function is_split(value) return type(value) == "table" and type(value.batches) == "function" end
local function is_list(value) return type(value) == "table" and not is_split(value) end

-- Split -> its mean image: it takes a pass over all images, and splits do not change.
local means = setmetatable({}, { __mode = "k" })

local function mean_image(split)
  local sum, count = nil, 0
  for x in split:batches { batch = 32 } do
    local part = x:sum(1)
    sum, count = sum and sum + part or part, count + x:size(1)
  end
  return sum and sum / count
end

local function mean_of(name, split)
  means[split] = means[split] or mean_image(split)
  if not means[split] then errors.refuse(name, "baseline: expected a split with images that can be read") end
  return means[split]
end

local function fit(name, tensor, x, what, whole_images)
  local shape = x:shape()
  local ok, whole = errors.try(function() return core.zeros(table.unpack(shape)) + tensor end)
  local stretched = whole_images and tensor:numel() * shape[1] ~= x:numel()
  if ok and not stretched and table.concat(whole:shape(), "x") == table.concat(shape, "x") then return whole end
  errors.refuse(name, "baseline: expected %s that fits [%s], got [%s]", what, table.concat(shape, " x "),
    table.concat(tensor:shape(), " x "))
end

--- Whether a value can be a baseline, or a list of them; whether it fits shows when it is made.
-- @param value
-- @treturn boolean
-- @treturn string what was expected
function baselines.check(value)
  local list = is_list(value) and value or { value }
  local good = #list > 0
  for i = 1, #list do
    local one = list[i]
    good = good and (makers[one] ~= nil or tensors.is(one) or is_split(one))
  end
  return good, '"black", "zero", "blurred", a Tensor, a split, or a list of these'
end

--- The baselines meant, as a list.
-- @param value one, or a list
-- @treturn table
function baselines.list(value) return is_list(value) and value or { value } end

--- The baseline for a batch.
-- @string name the public function, for messages
-- @param kind "black" (a black image after the model's normalisation), "zero", "blurred" (each image itself, under a
--   Gaussian), a Tensor of one sample or the batch, or a split (its mean image)
-- @tparam Tensor x [N x C x H x W]
-- @tab[opt] opts `normalisation` ({mean = {...}, std = {...}}; by default ImageNet's, or its mean for one channel),
--   `model` (whose preparation a split's images must have), `sigma` (pixels of the Gaussian; by default a fifteenth of
--   the shorter side, as Sturmfels et al. 2020 blur)
-- @treturn Tensor like x
function baselines.make(name, kind, x, opts)
  if makers[kind] then return makers[kind](name, x, opts or {}) end
  if tensors.is(kind) then return fit(name, kind, x, "a Tensor") end
  if is_split(kind) then
    if opts and opts.model then preparation.check_split(name, opts.model, kind, "baseline") end
    return fit(name, mean_of(name, kind), x, "a split", true)
  end
  local _, expected = baselines.check(nil)
  errors.refuse(name, "baseline: expected %s, got %s", expected, options.describe(kind))
end

--- The part of a baseline that belongs to samples first .. last, where it is a Tensor with a row per sample.
-- @param kind as in `make`
-- @int first
-- @int last
-- @int total how many samples there are in all
-- @int dims of a batch of them
function baselines.slice(kind, first, last, total, dims)
  if tensors.is(kind) and #kind:shape() == dims and kind:size(1) == total and total > 1 then
    return kind:view(first, last)
  end
  return kind
end

return baselines
