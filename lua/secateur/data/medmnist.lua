--- MedMNIST (Yang et al., Scientific Data 2023): any of its 2-D sets with one label per image, in its own splits.
-- @module secateur.data.medmnist
local core = require "secateur.core"
local dataset = require "secateur.data.dataset"
local errors = require "secateur.util.errors"
local files = require "secateur.util.files"
local options = require "secateur.util.options"
local stratification = require "secateur.data.stratification"

local function are_names(classes)
  for i = 1, #classes do
    if type(classes[i]) ~= "string" then return false, "a list of names" end
  end
  return #classes >= 2, "at least 2 names"
end

local rules = dataset.rules {
  size = { type = "integer", min = 1, max = 8192 },
  classes = { type = "table", check = are_names },
}
-- The set brings its own splits, and its images decoded.
rules.splits, rules.seed, rules.max_pixels, rules.cache_bytes, rules.on_error = nil, nil, nil, nil, nil

local function shape_text(shape)
  return "[" .. table.concat(shape, "x") .. "]"
end

local function check_images(path, key, images)
  local shape = images:shape()
  if images:dtype() ~= "uint8" then
    errors.raise("%s: %s: expected uint8, got %s", path, key, images:dtype())
  end
  if #shape ~= 3 and not (#shape == 4 and shape[4] == 3) then
    errors.raise("%s: %s: expected [N x H x W] or [N x H x W x 3], got %s%s", path, key, shape_text(shape),
      #shape == 4 and " (3-D sets are not supported)" or "")
  end
  return shape
end

-- The labels of a split as a list, still from 0.
local function read_labels(path, key, labels, count)
  local shape = labels:shape()
  if #shape == 2 and shape[2] > 1 then
    errors.raise("%s: %s: expected one label per image, got %s (a multi-label set)", path, key, shape_text(shape))
  end
  if #shape > 2 or shape[1] ~= count then
    errors.raise("%s: %s: expected [%d x 1], one label per image, got %s", path, key, count, shape_text(shape))
  end
  if labels:dtype() ~= "int64" and labels:dtype() ~= "uint8" then
    errors.raise("%s: %s: expected int64 or uint8, got %s", path, key, labels:dtype())
  end
  local list = labels:reshape(count):totable()
  for _, label in ipairs(list) do
    if label < 0 then errors.raise("%s: %s: expected whole numbers of at least 0, got %d", path, key, label) end
  end
  return list
end

local function load_arrays(path)
  if not files.is_file(path) then
    errors.raise("path: expected an npz file, got '%s' (%s)", path,
      files.is_dir(path) and "a folder" or "there is none")
  end
  local arrays = core.npz_load(path)
  for _, split in ipairs(stratification.names) do
    for _, kind in ipairs { "images", "labels" } do
      local key = split .. "_" .. kind
      if not arrays[key] then errors.raise("%s: expected an array '%s', found none", path, key) end
    end
  end
  return arrays
end

-- The names of the classes: those given, else "0", "1", … up to the highest label.
local function name_classes(path, given, parts)
  local highest, where = 0, nil
  for _, split in ipairs(stratification.names) do
    for _, label in ipairs(parts[split].labels) do
      if label > highest then highest, where = label, split end
    end
  end
  if given and highest >= #given then
    errors.raise("%s: %s_labels: expected labels in [0, %d] for %d classes, got %d", path, where, #given - 1, #given,
      highest)
  end
  local classes = {}
  if given then return table.move(given, 1, #given, 1, classes) end
  -- A label of a million would be a mistake, and a table of names as long.
  if highest > 65535 then errors.raise("%s: %s_labels: expected labels up to 65535, got %d", path, where, highest) end
  for label = 0, highest do classes[label + 1] = tostring(label) end
  return classes
end

local function build(path, opts)
  local arrays, parts = load_arrays(path), {}
  local title = files.base(path):gsub("%.npz$", "")
  for _, split in ipairs(stratification.names) do
    local images = arrays[split .. "_images"]
    local shape = check_images(path, split .. "_images", images)
    if not opts.size then
      if shape[2] ~= shape[3] then
        errors.raise("%s: expected square images where no size is given, got %s", path, shape_text(shape))
      end
      opts.size = shape[2]
    end
    local part = { rows = {}, names = {},
      labels = read_labels(path, split .. "_labels", arrays[split .. "_labels"], shape[1]),
      source = core.image_source { kind = "pixels", pixels = images } }
    for i = 1, shape[1] do part.rows[i], part.names[i] = i, ("%s %s %d"):format(title, split, i) end
    parts[split] = part
  end
  local classes = name_classes(path, opts.classes, parts)
  for _, part in pairs(parts) do
    for i, label in ipairs(part.labels) do part.labels[i] = label + 1 end
  end
  return dataset.new("medmnist", title, classes, opts, parts)
end

--- Reads a MedMNIST file: arrays `{train,val,test}_{images,labels}`. `sc.data.medmnist`.
-- @string path the .npz file
-- @tab[opt] opts `classes` (list of names; "0", "1", … by default), `size` (that of the images by default), and those
-- of `sc.data.folder` that make sense here: `channels`, `mean`, `std`, `quiet`
-- @treturn Dataset
-- @usage
-- local data = sc.data.medmnist("pneumoniamnist.npz")
return function(path, opts)
  options.value("medmnist", "path", path, { type = "string", required = true })
  opts = dataset.options("medmnist", opts, rules)
  local result = errors.within("medmnist", build, path, opts)
  return result
end
