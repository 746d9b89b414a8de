--- Images that nobody has labelled, as a split: of files, or of a tensor that is prepared already. `labels` is empty
-- and the second value of `batch` and `batches` is nil; all else is as in splits of data sets.
-- @module secateur.data.unlabelled
local core = require "secateur.core"
local dataset = require "secateur.data.dataset"
local errors = require "secateur.util.errors"
local methods = require "secateur.util.methods"
local files = require "secateur.util.files"
local image_options = require "secateur.data.image_options"
local layout = require "secateur.data.layout"
local split = require "secateur.data.split"

local unlabelled = {}

-- Options of data sets that say how an image becomes a tensor.
local pixel_options = { "size", "channels", "mean", "std", "resize", "crop", "interpolation", "range", "window",
  "max_pixels", "max_bytes", "cache_bytes" }

--- The rules of those options of data sets that say how an image becomes a tensor.
-- @treturn table option name -> rule
function unlabelled.rules()
  local rules, all = {}, dataset.rules()
  for _, key in ipairs(pixel_options) do rules[key] = all[key] end
  return rules
end

--- All files below a folder, what systems leave behind aside, in byte order.
-- @string root
-- @treturn {string,...} paths that begin with the root
-- @treturn {table,...} `{path=, message=}` of what is no file, such as broken links, or was met before
function unlabelled.list(root)
  local others, paths = {}, {}
  local function other(path, message) others[#others + 1] = { path = files.join(root, path), message = message } end
  local function again(path, first, kind) other(path, ("the same %s as '%s'"):format(kind, first)) end
  for i, path in ipairs(errors.check(files.walk(root, { leave = layout.is_litter, other = other, again = again }))) do
    paths[i] = files.join(root, path)
  end
  return paths, others
end

--- A split of files. Those whose headers cannot be read are found at once and are no part of it.
-- @string name the public function
-- @tab paths list of files
-- @tab about `classes` (list of names), `multi_label`: as splits have them
-- @tab opts options as `unlabelled.rules` has them
-- @treturn Split with `positions` (list: which of the paths each sample is)
-- @treturn table position -> why it cannot be read
function unlabelled.files(name, paths, about, opts)
  opts = dataset.options(name, opts, unlabelled.rules())
  local source = core.image_source { kind = "files", paths = paths, max_pixels = opts.max_pixels,
    max_bytes = opts.max_bytes, window = opts.window, cache_bytes = opts.cache_bytes }
  local bad, positions, part = {}, {}, { source = source, rows = {}, names = {}, labels = {} }
  for _, failure in ipairs(source:check()) do
    bad[failure.index] = files.without_path(failure.message, paths[failure.index])
  end
  for row, path in ipairs(paths) do
    if not bad[row] then
      local i = #positions + 1
      positions[i], part.rows[i], part.names[i] = row, row, path
    end
  end
  local shared = { name = name, title = ("%d files"):format(#paths), classes = about.classes, quiet = true,
    multi_label = about.multi_label or nil, skipped = {}, known = {}, unlabelled = true,
    size = opts.size, channels = opts.channels, mean = opts.mean, std = opts.std,
    preparation = image_options.preparation(opts) }
  local made = split.new(shared, "unlabelled", part)
  made.positions = positions
  return made, bad
end

local TensorSplit = { __name = "Split" }
TensorSplit.__index = TensorSplit

-- How many images there are.
function TensorSplit:count() return self.images:size(1) end

-- x, no labels, and the indices again.
function TensorSplit:batch(indices)
  local shape = self.images:shape()
  shape[1] = #indices
  local x = core.zeros(table.unpack(shape))
  for i, index in ipairs(indices) do x[i]:copy(self.images[index]) end
  return x, nil, indices
end

-- Iterator over what `batch` gives, `opts.batch` images at a time, in their order.
function TensorSplit:batches(opts)
  local first, count = 1, self:count()
  return function()
    if first > count then return nil end
    local indices = {}
    for index = first, math.min(first + opts.batch - 1, count) do indices[#indices + 1] = index end
    first = first + #indices
    return self:batch(indices)
  end
end

-- For drawing: the normalisation is taken back where it is known, else the values are spread over [0, 1].
function TensorSplit:image(index)
  local image = self.images[index]:clone()
  local normalisation = self.normalisation
  if normalisation then
    for channel = 1, image:size(1) do
      image[channel]:copy(image[channel] * normalisation.std[channel] + normalisation.mean[channel])
    end
    return image:clamp(0, 1)
  end
  local low, high = -(-image):max(), image:max()
  return (image - low) * (1 / math.max(high - low, 1e-12))
end

--- A split of a tensor that a model can take as it is.
-- @tparam Tensor images [N x C x H x W]
-- @tab about `classes` (list of names), `multi_label`: as splits have them
-- @tab[opt] normalisation `mean` and `std`, lists, by which the images were normalised
-- @treturn table a split
function unlabelled.tensor(images, about, normalisation)
  local names, shape = {}, images:shape()
  for i = 1, shape[1] do names[i] = "image " .. i end
  return setmetatable({ name = "unlabelled", images = images, classes = about.classes, names = names, labels = {},
    multi_label = about.multi_label or nil, channels = shape[2], size = shape[3],
    normalisation = normalisation }, TensorSplit)
end

methods.guard(TensorSplit)

return unlabelled
