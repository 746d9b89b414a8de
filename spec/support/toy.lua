--- A data set without files or the image decoder: stripes that run across, down or nowhere, in noise. Its splits have
-- what training and evaluation ask of a split.
local core = require "secateur.core"

local toy = {}

local SIZE, CLASSES = 8, { "across", "down", "plain" }

local Split = {}
Split.__index = Split

function Split:count() return #self.labels end

function Split:class_counts()
  local counts = {}
  for class in ipairs(self.classes) do counts[class] = 0 end
  for _, label in ipairs(self.labels) do counts[label] = counts[label] + 1 end
  return counts
end

--- As the real one; `asked` keeps what was asked for, for specs to look at.
function Split:batches(opts)
  local order, first, count = nil, 1, #self.labels
  table.insert(self.asked, opts)
  if opts.shuffle then order = core.permutation(count, core.mix(opts.seed, opts.epoch)) end
  return function()
    if first > count then return nil end
    local images, labels, indices = {}, {}, {}
    for i = first, math.min(first + opts.batch - 1, count) do
      local index = order and order[i] or i
      local n = #labels + 1
      images[n], labels[n], indices[n] = self.images[index], self.labels[index], index
    end
    first = first + opts.batch
    return core.tensor(images), core.tensor(labels, "int64"), indices
  end
end

local function image(label, noise)
  local rows = {}
  for y = 1, SIZE do
    rows[y] = {}
    for x = 1, SIZE do
      local stripe = label == 1 and y % 2 or label == 2 and x % 2 or 0.5
      rows[y][x] = stripe - 0.5 + noise()
    end
  end
  return { rows }
end

--- A split of `count` images, the classes in turn.
-- @int count
-- @int seed
-- @tparam[opt] table labels instead of the classes in turn
function toy.split(count, seed, labels)
  local random = core.randn(count * SIZE * SIZE, { seed = seed }):totable()
  local drawn = 0
  local function noise()
    drawn = drawn + 1
    return 0.3 * random[drawn]
  end
  local split = setmetatable({ name = "toy", classes = CLASSES, labels = {}, images = {}, size = SIZE, channels = 1,
    asked = {} }, Split)
  for i = 1, count do
    split.labels[i] = labels and labels[i] or (i - 1) % #CLASSES + 1
    split.images[i] = image(split.labels[i], noise)
  end
  return split
end

--- A data set; `counts` are the sizes of train and val (48 and 24).
function toy.data(train, val)
  return { classes = CLASSES, train = toy.split(train or 48, 1), val = toy.split(val or 24, 2) }
end

--- A small VGG that takes these images.
function toy.model(opts)
  local models = require "secateur.models"
  local given = { config = { 6, "M", 8, "M" }, hidden = { 12 }, pool = 2, classes = #CLASSES, size = SIZE, channels = 1,
    batch_norm = false }
  for key, value in pairs(opts or {}) do given[key] = value end
  return models.vgg(given)
end

--- Options of a training on these images: no augmentation, nothing on stderr.
function toy.quietly(epochs, changes)
  local opts = { quiet = true, augment = false, epochs = epochs, batch = 8, lr = 5e-3 }
  for key, value in pairs(changes or {}) do opts[key] = value end
  return opts
end

--- The weights of a model as plain numbers.
function toy.weights(model)
  local state = {}
  for name, tensor in pairs(model:state()) do state[name] = tensor:totable() end
  return state
end

return toy
