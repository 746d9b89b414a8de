--- Calibration images: unlabelled images that statistics of a network's values are estimated on, means and covariances
-- for redundancy and least squares for repair. Some hundred are enough, and labels are never looked at.
-- @module secateur.pruning.calibration
local core = require "secateur.core"
local errors = require "secateur.util.errors"
local options = require "secateur.util.options"
local predict = require "secateur.evaluation.predict"
local readable = require "secateur.data.readable"
local tensors = require "secateur.util.tensors"

local calibration = {}

--- How many views of an image there are at most, itself counted.
calibration.max_views = 16

-- Changes that views have: milder than those of training, since views stand for images as they come.
local augmentation = { scale = { 0.8, 1 }, ratio = { 0.9, 1.1 }, hflip = 0.5, rotation = 10, brightness = 0.1,
  contrast = 0.1 }

local STREAM = 0x63616c -- apart from what else is drawn from the same seed

local rules = {
  count = { type = "integer", min = 1, default = 256 },
  seed = { type = "integer", default = 0 },
  batch = { type = "integer", min = 1, default = 16 },
  indices = { type = "list", least = 1 },
  model = { type = "table" },
}

--- A set of calibration images that can be gone through again and again, the same each time.
-- @type Images
-- @field images how many different images there are among them
-- @field views of how many images there are augmented views, each view counted
local Images = { __name = "CalibrationImages" }
Images.__index = Images

--- How many rows all batches have together. Images that turn out to be unreadable are known after the first walk.
-- @treturn int
function Images:count()
  return self.rows
end

-- Batches of a Tensor's rows.
local function tensor_parts(self)
  local first = 1
  return function()
    if first > #self.indices then return nil end
    local chunk = table.move(self.indices, first, math.min(first + self.batch - 1, #self.indices), 1, {})
    first = first + #chunk
    return self.given:take(1, chunk)
  end
end

-- How many augmented views are added to some images, so that there are `wanted` in all.
local function count_views(wanted, images)
  return math.max(0, math.min(wanted, calibration.max_views * images) - images)
end

-- Batches of samples of a split: a function that gives x and the indices that were read, and one that ends it.
local function batches_of(self, indices, extra)
  if not self.augments then
    local first = 1
    return function()
      while first <= #indices do
        local chunk = table.move(indices, first, math.min(first + self.batch - 1, #indices), 1, {})
        first = first + #chunk
        local x, _, kept = readable.batch(self.given, chunk)
        if x then return x, kept end
      end
    end, function() end
  end
  local request = { batch = self.batch }
  for key, value in pairs(extra or {}) do request[key] = value end
  local iterator = self.given:subset(indices):batches(request)
  return function()
    local x, _, positions = iterator()
    if not x then return nil end
    local kept = {}
    for i, position in ipairs(positions) do kept[i] = indices[position] end
    return x, kept
  end, function() iterator:close() end
end

-- The images as they are, for the first time: whatever cannot be read is replaced by the next that the seed chooses.
-- What was used is known, and stands in `indices`, when all have been gone through.
local function settling_parts(self, stop)
  local used, tried = {}, 0
  local step
  step, stop.close = batches_of(self, self.indices)
  return function()
    while step do
      local x, kept = step()
      if x then
        table.move(kept, 1, #kept, #used + 1, used)
        return x
      end
      local short = #self.indices - #used
      local others = table.move(self.reserve, tried + 1, math.min(tried + short, #self.reserve), 1, {})
      tried, step = tried + #others, nil
      if #others > 0 then step, stop.close = batches_of(self, others) end
    end
    self.indices, self.reserve, self.settled = used, {}, true
    self.images, self.views = #used, self.augments and count_views(self.wanted, #used) or 0
    return nil
  end
end

-- Batches of a split: the images as they are, then one augmented view after another of as many as it takes.
local function split_parts(self)
  local stop = {}
  local closer = setmetatable({}, { __close = function() if stop.close then stop.close() end end })
  local view, left, step = 0, nil, nil
  if not self.settled then step, view = settling_parts(self, stop), 1 end
  return function()
    while true do
      local x = step and step()
      if x then return x end
      left = left or (view == 0 and #self.indices + self.views or self.views)
      if left <= 0 or #self.indices == 0 then return nil end
      local indices = self.indices
      if left < #indices then indices = table.move(indices, 1, left, 1, {}) end
      step, stop.close = batches_of(self, indices, { augment = view > 0 and augmentation or nil,
        seed = core.mix(self.seed, STREAM), epoch = view })
      view, left = view + 1, left - #indices
    end
  end, closer
end

--- Goes through all of them: `for x in images:batches() do ... end`, x [n x shape of an image], n at most `batch`.
-- @treturn function iterator
function Images:batches()
  local step, closer = (tensors.is(self.given) and tensor_parts or split_parts)(self)
  local seen = 0
  return function()
    local x = step()
    if x then
      seen = seen + x:size(1)
    else
      self.rows = seen
      if seen == 0 then errors.refuse(self.name, "calibration: expected at least one image that can be read") end
    end
    return x
  end, nil, nil, closer
end

function Images:__tostring()
  return ("%d calibration images (%d of them augmented views)"):format(self.rows, self.views)
end

-- `count` of 1..total that the seed chooses, in ascending order: files are read in order. And the others, in the order
-- in which they would be chosen next.
local function choose(total, opts)
  if opts.indices then return opts.indices, {} end
  local order = core.permutation(total, core.mix(opts.seed, STREAM))
  local chosen = table.move(order, 1, math.min(opts.count, total), 1, {})
  table.sort(chosen)
  return chosen, table.move(order, #chosen + 1, total, 1, {})
end

local function from_tensor(name, given, opts)
  local shape = given:shape()
  local expected = opts.model and opts.model.input_shape
  local good = #shape >= 2 and shape[1] > 0 and (not expected or #shape == #expected + 1)
  for d, size in ipairs(good and expected or {}) do good = good and shape[d + 1] == size end
  if not good then
    errors.refuse(name, "calibration: expected a Tensor [N x %s], got [%s]",
      expected and table.concat(expected, " x ") or "C x H x W", table.concat(shape, " x "))
  end
  local indices = choose(shape[1], opts)
  return { given = given, indices = indices, images = #indices, views = 0, rows = #indices }
end

local function from_split(name, given, opts)
  if type(given) ~= "table" or not given.batch or not (given.count or given.labels or opts.indices) then
    errors.refuse(name, "calibration: expected a split of a data set or a Tensor [N x C x H x W], got "
      .. options.describe(given))
  end
  if opts.model then predict.check_fit(name, opts.model, given, "calibration") end
  local total = given.count and given:count() or #(given.labels or opts.indices)
  if total == 0 then errors.refuse(name, "calibration: expected at least one image, found none") end
  local indices, reserve = choose(total, opts)
  local meta = getmetatable(given)
  local augments = type(meta) == "table" and meta.__name == "Split"
  local views = augments and count_views(opts.count, #indices) or 0
  return { given = given, indices = indices, reserve = reserve, images = #indices, views = views, wanted = opts.count,
    rows = #indices + views, augments = augments }
end

--- Calibration images from a split or a Tensor. Where there are more than `count`, the seed chooses; where a split has
-- fewer, augmented views of them are added until there are `count`, at most 16 of an image, itself counted. Tensors
-- and splits of one's own are taken as they are: what they hold is normalised already, and cannot be augmented.
-- Images that turn out to be unreadable in the first walk are replaced by others that the seed chooses, as long as
-- there are any, and reported as whoever reads the split reports them.
-- @string name the public function, for messages
-- @tparam Split|Tensor given
-- @tab[opt] opts `count` (256), `seed` (0), `batch` (16: the most images at a time), `indices` (images chosen already,
--   instead of a choice by the seed), `model` (checked against: classes and size of images)
-- @treturn Images
function calibration.images(name, given, opts)
  local checked = options.check(name, opts, rules)
  local self = (tensors.is(given) and from_tensor or from_split)(name, given, checked)
  self.name, self.batch, self.seed = name, checked.batch, checked.seed
  return setmetatable(self, Images)
end

return calibration
