--- MedMNIST (Yang et al., Scientific Data 2023): any of its 2-D sets, in its own splits; those with several
-- findings per image (ChestMNIST) are multi-label sets.
-- @module secateur.data.medmnist
local core = require "secateur.core"
local dataset = require "secateur.data.dataset"
local duplicates = require "secateur.data.duplicates"
local errors = require "secateur.util.errors"
local files = require "secateur.util.files"
local layout = require "secateur.data.layout"
local names = require "secateur.data.names"
local options = require "secateur.util.options"
local selection = require "secateur.data.selection"
local split_csv = require "secateur.data.split_csv"
local stratification = require "secateur.data.stratification"

local function are_names(classes)
  if #classes == 0 then return selection.is_classes(classes) end
  for i = 1, #classes do
    if type(classes[i]) ~= "string" then return false, "a list of names" end
  end
  return true
end

local rules = dataset.rules {
  size = { type = "integer", min = 1, max = 8192 },
  classes = { type = "table", check = are_names },
}
-- The set brings its own splits, and its images decoded.
for _, key in ipairs { "splits", "max_pixels", "cache_bytes", "on_error", "only", "skip", "group",
  "encoding", "window" } do
  rules[key] = nil
end

-- Where there is no val, this is its share of train.
local SHARES = { train = 0.7, val = 0.1, test = 0.2 }

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

-- The labels of a split as a list, still from 0; of a multi-label set a list of lists of 0 and 1.
local function read_labels(path, key, labels, count)
  local shape = labels:shape()
  local several = #shape == 2 and shape[2] > 1
  if #shape > 2 or shape[1] ~= count then
    errors.raise("%s: %s: expected [%d x 1], one label per image, or [%d x findings], got %s", path, key, count, count,
      shape_text(shape))
  end
  if labels:dtype() ~= "int64" and labels:dtype() ~= "uint8" then
    errors.raise("%s: %s: expected int64 or uint8, got %s", path, key, labels:dtype())
  end
  local list = several and labels:totable() or labels:reshape(count):totable()
  for i, label in ipairs(list) do
    if not several and label < 0 then
      errors.raise("%s: %s: expected whole numbers of at least 0, got %d", path, key, label)
    end
    for _, value in ipairs(several and label or {}) do
      if value ~= 0 and value ~= 1 then
        errors.raise("%s: %s: expected 0 or 1 for each finding, got %d for image %d", path, key, value, i)
      end
    end
  end
  return list, several and shape[2] or nil
end

-- The arrays of images and labels that the file has, and no others.
local function read_arrays(path, opts)
  local wanted = {}
  for _, name in ipairs(core.npz_names(path)) do
    local split, kind = name:match "^(%a+)_(%a+)$"
    if SHARES[split] and (kind == "images" or kind == "labels") then wanted[#wanted + 1] = name end
  end
  return core.npz_load(path, wanted, opts.max_bytes)
end

local function load_arrays(path, opts)
  local mode, why = files.mode(path)
  if why then errors.raise("path: %s", why) end
  if mode ~= "file" then
    errors.raise("path: expected an npz file, got '%s' (%s)", path,
      mode == "directory" and "a folder" or "there is none")
  end
  local arrays, present = read_arrays(path, opts), {}
  for _, split in ipairs(stratification.names) do
    local images, labels = arrays[split .. "_images"], arrays[split .. "_labels"]
    if images and labels then
      present[#present + 1] = split
    elseif images or labels then
      errors.raise("%s: expected an array '%s_%s', found none", path, split, images and "labels" or "images")
    end
  end
  if not arrays.test_images and #present < 2 then
    errors.raise("%s: expected arrays train_images and train_labels, and the same of val or test; or of test alone, "
      .. "found %s", path, present[1] and "only " .. present[1] or "none")
  end
  return arrays, present
end

-- The highest label of all splits, and the split that has it.
local function highest_label(parts)
  local highest, where = 0, nil
  for _, split in ipairs(stratification.names) do
    for _, label in ipairs(parts[split] and parts[split].labels or {}) do
      if label > highest then highest, where = label, split end
    end
  end
  return highest, where
end

-- The names of the classes: those listed, by position; else "0", "1", … up to the highest label.
local function name_classes(path, given, parts, findings)
  local highest, where = (findings or 0) - 1, "train"
  if not findings then highest, where = highest_label(parts) end
  local listed = given and #given > 0
  if listed and findings and #given ~= findings then
    errors.raise("classes: expected %d names, one per finding of %s, got %d", findings, path, #given)
  elseif listed and highest >= #given then
    errors.raise("%s: %s_labels: expected labels in [0, %d] for %d classes, got %d", path, where, #given - 1, #given,
      highest)
  elseif listed and not findings and #given < 2 then
    errors.raise("classes: expected at least 2 names, got %d", #given)
  end
  local classes = {}
  if listed then return table.move(given, 1, #given, 1, classes) end
  -- A label of a million would be a mistake, and a table of names as long.
  if highest > 65535 then errors.raise("%s: %s_labels: expected labels up to 65535, got %d", path, where, highest) end
  for label = 0, highest do classes[label + 1] = tostring(label) end
  return classes
end

-- A listing of all splits; `row` of a sample counts within its split.
local function list_samples(title, path, arrays, present, opts)
  local parts, findings = {}, nil
  for _, split in ipairs(present) do
    local key = split .. "_labels"
    local count = arrays[split .. "_images"]:shape()[1]
    local labels, several = read_labels(path, key, arrays[key], count)
    if split ~= present[1] and several ~= findings then
      errors.raise("%s: %s: expected labels as wide as those of %s, got %s", path, key, present[1],
        shape_text(arrays[key]:shape()))
    end
    parts[split], findings = { labels = labels }, several
  end
  local listing = layout.listing(name_classes(path, opts.classes, parts, findings))
  listing.multi_label = findings ~= nil
  for _, split in ipairs(present) do
    for i, label in ipairs(parts[split].labels) do
      table.insert(listing.samples, { name = ("%s %s %d"):format(title, split, i), row = i, split = split,
        label = findings and label or label + 1 })
    end
  end
  return listing
end

-- A source per split; where there is no val, that of train, which val is split off of. Finds the size, too.
local function make_sources(path, arrays, present, opts)
  local sources = {}
  for _, split in ipairs(present) do
    local images = arrays[split .. "_images"]
    local shape = check_images(path, split .. "_images", images)
    if not opts.size then
      if shape[2] ~= shape[3] then
        errors.raise("%s: expected square images where no size is given, got %s", path, shape_text(shape))
      end
      opts.size = shape[2]
    end
    sources[split] = core.image_source { kind = "pixels", pixels = images }
  end
  sources.train = sources.train or sources.test
  sources.val = sources.val or sources.train
  sources.test = sources.test or sources.val
  return sources
end

-- Labels of the file are numbers: that the classes of a model are meant by them, in its order, is assumed.
local function note_like(listing, opts)
  local like, pairs_of = opts.like and opts.like.classes, {}
  if not like or opts.classes ~= like then return end
  for i, class in ipairs(listing.classes) do
    if class ~= tostring(i - 1) then pairs_of[#pairs_of + 1] = ("%d = '%s'"):format(i - 1, class) end
  end
  if #pairs_of > 0 then
    table.insert(listing.notes, ("labels are numbers here, taken as the model's classes by their position: %s "
      .. "(classes = { … } names them otherwise)"):format(table.concat(pairs_of, ", ")))
  end
end

-- Says that findings may be classes in columns, of which each image has one.
local function note_single(listing)
  if not listing.multi_label then return end
  for _, sample in ipairs(listing.samples) do
    local sum = 0
    for _, value in ipairs(sample.label) do sum = sum + value end
    if sum ~= 1 then return end
  end
  table.insert(listing.notes, "each image has exactly one of these findings: for classes, labels must be [N x 1]")
end

local function build(path, opts)
  local arrays, present = load_arrays(path, opts)
  local title = names.from_latin1(files.base(path):gsub("%.npz$", ""))
  local sources = make_sources(path, arrays, present, opts)
  local listing = list_samples(title, path, arrays, present, opts)
  note_single(listing)
  if opts.classes and #opts.classes == 0 then selection.apply_classes(listing, opts) end
  listing.title = title
  note_like(listing, opts)
  selection.make_binary(listing)
  names.check(listing)
  if not listing.multi_label and #listing.classes < 2 then
    errors.raise("%s: expected at least 2 classes, got %d", path, #listing.classes)
  end
  split_csv.complete(listing, title)
  dataset.divide(listing.samples, listing.divide, { splits = SHARES, seed = opts.seed })
  local parts = dataset.parts(listing.samples)
  for split, part in pairs(parts) do part.source = sources[split] end
  if #present == 1 then opts.splits = { test = 1 } end
  local found = { notes = listing.notes, same = listing.same }
  found.duplicates = duplicates.check(parts, opts, found.notes)
  return dataset.new("medmnist", title, listing.classes, opts, parts, found)
end

--- Reads a MedMNIST file, or one made like it: arrays `{train,val,test}_{images,labels}`. Without val, an eighth of
-- train becomes val; without test, test is val; test may be alone. `sc.data.medmnist`.
-- @string path the .npz file
-- @tab[opt] opts `classes` (list of names, for the labels 0, 1, …, which are called "0", "1", … by default; or a table
-- of new name = old name or { old names }: selection, merging), `size` (that of the images by default), and those of
-- `sc.data.folder` that make sense here: `channels`, `mean`, `std`, `seed` (decides what becomes val, where there is
-- none), `on_duplicate`, `quiet`, `like`; `max_bytes`: what its arrays may take in memory, as for `sc.npz`
-- @treturn Dataset
-- @usage
-- local data = sc.data.medmnist("pneumoniamnist.npz")
return function(path, opts)
  options.value("medmnist", "path", path, { type = "string", required = true })
  opts = dataset.options("medmnist", opts, rules)
  local result = errors.within("medmnist", build, path, opts)
  return result
end
