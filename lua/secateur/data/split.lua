--- One part of a data set (train, val, test or a subset): labels and names in memory, images decoded when asked for.
-- @module secateur.data.split
local batches = require "secateur.data.batches"
local core = require "secateur.core"
local errors = require "secateur.util.errors"
local files = require "secateur.util.files"
local image_options = require "secateur.data.image_options"
local methods = require "secateur.util.methods"
local options = require "secateur.util.options"
local skipped = require "secateur.data.skipped"
local visible = require "secateur.util.visible"

local split = {}

--- A part of a data set. Fields: `name`, `classes` (list of names), `labels` (list, from 1), `names` (list of file
-- names), `size`, `channels`, `preparation` (how images are made ready: `size`, `channels`, `mean`, `std`, …),
-- `skipped` (list of `{path=, message=}` shared by the whole data set). Where an image may have several findings,
-- `multi_label` is true, `classes` names the findings, and each of `labels` is a list of a number per finding: 1
-- (present), 0 (absent) or -1 (unknown). Where samples have groups (patients), `groups` is a list of their names (false
-- for a sample without).
-- @type Split
local Split = {}
Split.__index = Split
Split.__name = "Split"

--- Makes a split. `shared` holds what the splits of a data set have in common: name, title, classes, size, channels,
-- mean, std, multi_label, unlabelled (no sample has
-- a label), stop (whether a bad image is an error), quiet, skipped, known (path -> message of what is in
-- skipped), skipped_before (how many of these are of no split, since they were left out before splits were made), files
-- (whether paths are files of an image each).
-- @tab shared
-- @string name
-- @tab part `source` (native), `rows` (list of the source's samples), `labels`, `names`, `paths`, `groups` (or nil)
-- @treturn Split
function split.new(shared, name, part)
  return setmetatable({
    name = name, classes = shared.classes, labels = part.labels, names = part.names, size = shared.size,
    channels = shared.channels, preparation = shared.preparation, multi_label = shared.multi_label,
    skipped = shared.skipped, shared = shared, source = part.source, rows = part.rows,
    paths = part.paths or part.names, groups = part.groups,
  }, Split)
end

--- How many samples there are.
-- @treturn int
function Split:count()
  return #self.rows
end

Split.__len = Split.count

--- How many samples of each class there are; of multi-label splits, in how many each finding is present.
-- @treturn table list, a number per class
function Split:class_counts()
  local counts = {}
  for label in ipairs(self.classes) do counts[label] = 0 end
  for _, label in ipairs(self.labels) do
    if self.multi_label then
      for finding, value in ipairs(label) do
        if value > 0 then counts[finding] = counts[finding] + 1 end
      end
    else
      counts[label] = counts[label] + 1
    end
  end
  return counts
end

local function check_indices(name, self, indices, argument)
  argument = argument or "indices"
  if type(indices) ~= "table" then
    errors.refuse(name, "%s: expected a list, got %s", argument, options.describe(indices))
  end
  local checked = {}
  for i = 1, #indices do
    local index = math.type(indices[i]) and math.tointeger(indices[i])
    if not index or index < 1 or index > #self.rows then
      errors.refuse(name, "%s[%d]: expected a whole number in [1, %d], got %s", argument, i, #self.rows,
        options.describe(indices[i]))
    end
    checked[i] = index
  end
  if #checked == 0 then errors.refuse(name, "%s: expected at least one, got none", argument) end
  return checked
end

-- Takes note of images that could not be decoded. Each is recorded and named once, or an error where bad images stop.
local function note_failures(self, failures)
  if #failures == 0 then return end
  local shared, path_of = self.shared, {}
  for i, row in ipairs(self.rows) do path_of[row] = self.paths[i] end
  for _, failure in ipairs(failures) do
    local path = path_of[failure.index]
    local message = files.without_path(failure.message, path)
    if shared.stop then errors.raise("%s: %s", path, message) end
    if not shared.known[path] then
      shared.known[path] = message
      table.insert(shared.skipped, { path = path, message = message })
      skipped.say(shared, { path = path, message = message })
    end
  end
end

-- Labels and indices of those positions that were decoded.
local function collect(self, indices, positions)
  local labels, kept = {}, {}
  for i, position in ipairs(positions) do
    kept[i] = indices[position]
    labels[i] = self.labels[kept[i]]
  end
  if self.shared.unlabelled then return nil, kept end
  return core.tensor(labels, not self.multi_label and "int64" or nil), kept
end

--- Turns what the native source or loader gives for a list of indices into a batch, and takes note of failures.
-- @tab indices
-- @tparam Tensor x
-- @tab positions of the images that were read, in indices
-- @tab failures list of `{index=, message=}`, index as the source counts
-- @treturn[1] Tensor x
-- @treturn[1] Tensor y
-- @treturn[1] table kept
-- @return[2] nil where no image was left
function Split:assemble(indices, x, positions, failures)
  note_failures(self, failures)
  if #positions == 0 then return nil end
  return x, collect(self, indices, positions)
end

local function decode(self, indices, opts)
  local rows = {}
  for i, index in ipairs(indices) do rows[i] = self.rows[index] end
  return self:assemble(indices, self.source:batch(rows, opts))
end

local function decode_some(self, indices, opts)
  local x, y, kept = decode(self, indices, opts)
  if not x then
    local path = self.paths[indices[1]]
    errors.raise("none of the %d images could be decoded: %s: %s", #indices, path, self.shared.known[path])
  end
  return x, y, kept
end

--- Decodes samples, at the data set's size and normalised.
-- @tab indices list of sample numbers
-- @treturn Tensor images [N x C x S x S]
-- @treturn Tensor labels [N], int64, from 1; of multi-label splits [N x findings], 1, 0 or -1
-- @treturn table the indices that were decoded; others than those asked for only where images are damaged
-- @raise where none of the images could be decoded; where something else than an image's bytes is wrong: memory or
-- descriptors ran out, a file is gone
function Split:batch(indices)
  indices = check_indices("batch", self, indices)
  local x, y, kept = errors.within("batch", decode_some, self, indices, image_options.native(self.shared.preparation))
  return x, y, kept
end

--- As `batch`, but nil where none of the images could be decoded: for who has others to go on with.
-- @tab indices list of sample numbers
-- @treturn[1] Tensor images [N x C x S x S]
-- @treturn[1] Tensor labels
-- @treturn[1] table the indices that were decoded
-- @treturn[2] nil
function Split:read(indices)
  indices = check_indices("read", self, indices)
  local x, y, kept = errors.within("read", decode, self, indices, image_options.native(self.shared.preparation))
  return x, y, kept
end

--- Decodes one image for drawing: at the data set's size, values in [0, 1], not normalised.
-- @int index
-- @treturn Tensor [C x S x S]
function Split:image(index)
  local shared, zeros, ones = self.shared, {}, {}
  for channel = 1, shared.channels do zeros[channel], ones[channel] = 0, 1 end
  local rule = { type = "integer", min = 1, max = #self.rows, required = true }
  local indices = { options.value("image", "index", index, rule) }
  local pixels = image_options.native(shared.preparation, { mean = zeros, std = ones })
  local x = errors.within("image", decode_some, self, indices, pixels)
  return x:reshape(shared.channels, shared.size, shared.size)
end

--- Where a whole image lies in the square that `image` and `batch` give, where images are padded.
-- @int index
-- @treturn ?table `left` and `top` (from 0), `width`, `height`: outside of it is border; nil where nothing is
function Split:content(index)
  local preparation = self.shared.preparation
  if preparation.resize ~= "pad" then return nil end
  local rule = { type = "integer", min = 1, max = #self.rows, required = true }
  local row = self.rows[options.value("content", "index", index, rule)]
  local left, top, width, height = self.source:content(row, image_options.native(preparation))
  if not left then errors.refuse("content", top) end
  if width == preparation.size and height == preparation.size then return nil end
  return { left = left, top = top, width = width, height = height }
end

local function is_range(most)
  return function(value)
    local low, high = value[1], value[2]
    local good = #value == 2 and math.type(low) and math.type(high) and low > 0 and low <= high and high <= most
    return good, ("two growing numbers above 0 and at most %d"):format(most)
  end
end

local probability = { type = "number", min = 0, max = 1 }
local jitter = { type = "number", min = 0, max = 1000 }
local augment_rules = {
  scale = { type = "table", check = is_range(1) },
  ratio = { type = "table", check = is_range(1000) },
  hflip = probability, vflip = probability,
  rotation = { type = "number", min = 0, max = 180 },
  brightness = jitter, contrast = jitter, saturation = jitter,
}

local batch_rules = {
  batch = { type = "integer", min = 1, default = 32 },
  shuffle = { type = "boolean", default = false },
  order = { type = "table" },
  places = { type = "list", least = 1 },
  seed = { type = "integer", default = 0 },
  epoch = { type = "integer", min = 0, default = 1 },
  augment = { type = "table" },
  workers = { type = "integer", min = 1, max = 64, default = 1 },
  prefetch = { type = "integer", min = 1, max = 64, default = 4 },
  ahead = "prefetch",
}

-- Places in an order, list by list.
local function check_places(lists, count)
  for i, list in ipairs(lists) do
    if type(list) ~= "table" or #list == 0 then
      errors.refuse("batches", "places: %d: expected a list of places in the order, got %s", i, options.describe(list))
    end
    for k, place in ipairs(list) do
      if math.type(place) ~= "integer" or place < 1 or place > count then
        errors.refuse("batches", "places: %d: %d: expected a whole number in [1, %d], got %s", i, k, count,
          options.describe(place))
      end
    end
  end
end

--- Goes through all samples once, or through those in `order`, in batches that are decoded in the background, ahead of
-- the consumer: `for x, y, indices in split:batches { batch = 32 } do … end`. Order and augmentation depend on seed
-- and epoch alone, not on the number of workers. Leaving the loop early stops the background work; outside a generic
-- for, call `:close()` on the iterator or keep it in a `<close>` variable.
-- @tab[opt] opts `batch` (32), `shuffle` (false), `order` (none: all samples; a list of sample numbers, each as often
-- as it is to come, every time augmented otherwise), `places` (none; a list of lists of places in that order, from 1:
-- these are the batches, and each image is what it is in the whole order: for several who share one), `seed` (0),
-- `epoch` (1), `workers` (1), `prefetch` (4 batches), `augment` (none): a table of random changes with torchvision's
-- meanings, those left out being off: `scale` and `ratio` of a crop (pairs: least, most), `hflip` and `vflip`
-- (probabilities), `rotation` (degrees to either side), `brightness`, `contrast`, `saturation` (v: a factor in 1 - v ..
-- 1 + v)
-- @treturn function iterator over x [N x C x S x S], y as `split:batch` gives it, list of indices; with `places`, list
-- of places
function Split:batches(opts)
  opts = options.check("batches", opts, batch_rules)
  if opts.order then
    if opts.shuffle then errors.refuse("batches", "order: expected none beside shuffle") end
    opts.order = check_indices("batches", self, opts.order, "order")
  end
  if opts.places then check_places(opts.places, opts.order and #opts.order or #self.rows) end
  if opts.augment then opts.augment = options.check("batches: augment", opts.augment, augment_rules) end
  local iterator = batches.new(self, opts, image_options.native(self.shared.preparation))
  return iterator, nil, nil, iterator
end

--- Some of the samples as a split of their own, counting from 1 again; images are shared.
-- @tab indices list of sample numbers
-- @treturn Split
function Split:subset(indices)
  indices = check_indices("subset", self, indices)
  local part, lists = { source = self.source }, { "rows", "labels", "names", "paths", self.groups and "groups" }
  for _, list in ipairs(lists) do part[list] = {} end
  for i, index in ipairs(indices) do
    for _, list in ipairs(lists) do part[list][i] = self[list][index] end
  end
  return split.new(self.shared, self.name, part)
end

--- A summary: name, number of images, and how many of each class.
-- @treturn string
function Split:__tostring()
  local parts = {}
  for label, count in ipairs(self:class_counts()) do
    parts[label] = ("%s %d"):format(visible(self.classes[label]), count)
  end
  return ("%s split of %s %s: %d images (%s), %d x %d x %d"):format(self.name, self.shared.name,
    visible(self.shared.title), #self.rows, table.concat(parts, ", "), self.channels, self.size, self.size)
end

methods.guard(Split)

return split
