--- VGG: 3 x 3 convolutions with a pool after some of them.
-- @module secateur.pretrained.architectures.vgg
local errors = require "secateur.util.errors"
local families = require "secateur.models.families"
local shapes_of = require "secateur.pretrained.architectures.shapes"

local dims, square_root, weight = shapes_of.text, shapes_of.square_root, shapes_of.weight

-- Indices and shapes of the weights `<stem>.<index>.weight` with so many dimensions, in order.
local function indexed(shapes, stem, ndim)
  local found = {}
  for name, shape in pairs(shapes) do
    local index = #shape == ndim and name:match("^" .. stem .. "%.(%d+)%.weight$")
    if index then found[#found + 1] = { index = math.tointeger(index), shape = shape } end
  end
  table.sort(found, function(a, b) return a.index < b.index end)
  return found
end

local vgg = { family = families.of "vgg" }

-- Names of the classifier's tensors, without "classifier.".
local function classifier_names(shapes)
  local list = {}
  for name in pairs(shapes) do
    local rest = name:match "^classifier%.(.+)$"
    if rest then list[#list + 1] = rest end
  end
  return list
end

--- Whether the names could be those of a VGG.
-- @tab shapes torchvision's name -> shape
-- @treturn boolean
function vgg.fits(shapes)
  if not shapes["features.0.weight"] then return false end
  local names = classifier_names(shapes)
  for _, name in ipairs(names) do
    if #shapes["classifier." .. name] == 2 then return true end
  end
  return #names == 0
end

local function vgg_features(shapes)
  local convs, config, next_index = indexed(shapes, "features", 4), {}, 0
  local batch_norm = shapes["features.1.running_mean"] ~= nil
  for _, conv in ipairs(convs) do
    local shape, pools = conv.shape, conv.index - next_index
    if shape[3] ~= 3 or shape[4] ~= 3 then
      errors.raise("'features.%d.weight': expected the 3x3 kernel of a VGG, got %s", conv.index, dims(shape))
    elseif pools < 0 or pools > 1 or (pools == 1 and #config == 0) then
      errors.raise("'features.%d.weight': expected a VGG's convolutions, with a ReLU and at most one pool between them",
        conv.index)
    end
    if pools == 1 then config[#config + 1] = "M" end
    config[#config + 1] = shape[1]
    next_index = conv.index + (batch_norm and 3 or 2)
  end
  config[#config + 1] = "M"
  return config, batch_norm, convs[#convs].shape[1]
end

-- Whether the classifier has torchvision's layout: linear layers at 0, 3, ..., and at the last place perhaps layers of
-- its own.
local function is_torchvision(shapes, linear)
  local last = linear[#linear].index
  for i, layer in ipairs(linear) do
    if layer.index ~= 3 * (i - 1) then return false end
  end
  for _, name in ipairs(classifier_names(shapes)) do
    local index = math.tointeger(tonumber(name:match "^(%d+)%." or nil))
    local own = index and index % 3 == 0 and (index <= last and name:find "^%d+%.%l+$" or index == last + 3)
    if not own then return false end
  end
  return true
end

-- Of linear layers as torchvision has them: widths of the hidden ones, and of the last unless that is cut off, or has
-- layers of its own.
local function torchvision_layers(shapes, linear)
  local hidden = {}
  for i, layer in ipairs(linear) do hidden[i] = layer.shape[1] end
  -- torchvision's second hidden layer is the last where the head was cut off, and no head itself.
  local cut = #linear == 2 and linear[2].shape[1] == 4096 and linear[2].shape[2] == 4096
  local last = ("classifier.%d."):format(3 * #hidden)
  local own = true -- the last of these is the head, unless that is a Sequential, with layers of its own
  for name in pairs(shapes) do own = own and name:sub(1, #last) ~= last end
  return hidden, own and not cut and table.remove(hidden) or nil
end

-- The features that the first layer of a classifier of another layout reads, and its name.
local function features_read(shapes)
  local first, found = nil, nil
  for _, name in ipairs(classifier_names(shapes)) do
    local shape = shapes["classifier." .. name]
    local index = math.tointeger(tonumber(name:match "^(%d+)" or nil)) or 0
    if name:find "weight$" and #shape <= 2 and #shape > 0 and (not first or index < first) then
      first, found = index, { name = "classifier." .. name, shape = shape }
    end
  end
  return found.shape[#found.shape], found
end

-- The side of the map that so many features are of; both kinds of global pooling give twice the channels.
local function pool_side(read, width, name, shape)
  local side = square_root(read / width)
  if side and side > 0 then return side end
  if read == 2 * width then return 1 end
  return errors.raise("'%s': expected a VGG's first linear layer, on square maps of %d channels, got %s", name, width,
    dims(shape))
end

--- The options that a VGG of these shapes has. Raises where it is none.
-- @tab shapes torchvision's name -> shape
-- @param _ what the user says that shapes do not tell; nothing of it is needed
-- @tparam {string,...} notes gets a sentence on what was assumed
-- @treturn table options, as its family's graph is built from
-- @treturn string the name of the last layer
-- @treturn ?int features that the last layer gets, where that does not hang on the image
function vgg.read(shapes, _, notes)
  weight(shapes, "features.0.weight", 4)
  local config, batch_norm, width = vgg_features(shapes)
  local opts = { config = config, batch_norm = batch_norm, hidden = {}, dropout = 0.5,
    channels = shapes["features.0.weight"][2] }
  local linear = indexed(shapes, "classifier", 2)
  if linear[1] and is_torchvision(shapes, linear) then
    local first = linear[1].shape
    opts.pool = pool_side(first[2], width, "classifier.0.weight", first)
    opts.hidden, opts.classes = torchvision_layers(shapes, linear)
    if opts.pool ^ 2 * width == first[2] then return opts, "classifier." .. 3 * #opts.hidden end
    opts.hidden, opts.classes = {}, nil
  end
  opts.head_name = "classifier"
  if #classifier_names(shapes) == 0 then
    notes[#notes + 1] = "took the mean of each of the last maps, since there is no classifier that tells their size"
    opts.pool = 1
    return opts, "classifier", width
  end
  local read, first = features_read(shapes)
  opts.pool = pool_side(read, width, first.name, first.shape)
  opts.classes = shapes["classifier.weight"] and weight(shapes, "classifier.weight", 2)[1]
  return opts, "classifier", opts.pool == 1 and width or nil
end

return vgg
