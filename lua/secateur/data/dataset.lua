--- Puts data sets together: options, splits, the printed summary.
-- @module secateur.data.dataset
local errors = require "secateur.util.errors"
local filter = require "secateur.data.filter"
local image_options = require "secateur.data.image_options"
local imagenet = require "secateur.util.imagenet"
local options = require "secateur.util.options"
local selection = require "secateur.data.selection"
local split = require "secateur.data.split"
local stratification = require "secateur.data.stratification"
local value_extent = require "secateur.data.value_extent"
local visible = require "secateur.util.visible"

local dataset = {}

local function is_shares(value)
  local sum, expected = 0, "shares of train, val and test, none below 0, that add up to 1"
  for key, share in pairs(value) do
    if (key ~= "train" and key ~= "val" and key ~= "test") or not math.type(share) or share ~= share or share < 0 then
      return false, expected
    end
    sum = sum + share
  end
  return math.abs(sum - 1) < 1e-6, expected
end

local function is_numbers(value)
  if type(value) == "number" then return true end
  for i = 1, #value do
    if not math.type(value[i]) or value[i] ~= value[i] then return false, "a number, or a list of one per channel" end
  end
  return #value > 0, "a number, or a list of one per channel"
end

local function is_model(value)
  return type(value.preparation) == "function" and type(value.input_shape) == "table", "a Model"
end

-- What is dealt to whom where nobody says.
local SHARES = { train = 0.7, val = 0.1, test = 0.2 }

local common_rules = {
  size = { type = "integer", min = 1, max = 8192, default = 224 },
  channels = { one_of = { 1, 3 }, default = 3 },
  seed = { type = "integer", default = 0 },
  splits = { type = "table", check = is_shares, default = SHARES },
  on_error = { one_of = { "skip", "stop" }, default = "skip" },
  classes = { type = "table", check = selection.is_classes },
  only = { type = { "string", "table" }, check = filter.are_patterns },
  skip = { type = { "string", "table" }, check = filter.are_patterns },
  group = { type = { "function", "string" } },
  on_duplicate = { one_of = { "warn", "error", "drop", "ignore" } },
  encoding = { one_of = { "latin1" } },
  max_pixels = { type = "integer", min = 1 },
  max_bytes = { type = "integer", min = 1 },
  cache_bytes = { type = "integer", min = 0 },
  mean = { type = { "number", "table" }, check = is_numbers },
  std = { type = { "number", "table" }, check = is_numbers },
  like = { type = "table", check = is_model },
  quiet = { type = "boolean", default = false },
}

--- The rules of the options that all data sets have, with some added or replaced.
-- @tab[opt] extra option name -> rule
-- @treturn table
function dataset.rules(extra)
  local rules = {}
  for key, rule in pairs(common_rules) do rules[key] = rule end
  for key, rule in pairs(image_options.rules) do rules[key] = rule end
  for key, rule in pairs(extra or {}) do rules[key] = rule end
  return rules
end

local function per_channel(name, argument, value, channels)
  if value == nil then return imagenet[channels][argument] end
  local list = type(value) == "number" and {} or value
  if type(value) == "number" then
    for channel = 1, channels do list[channel] = value end
  end
  if #list ~= channels then
    errors.refuse(name, "%s: expected %d numbers, one per channel, got %d", argument, channels, #list)
  end
  for _, number in ipairs(list) do
    if argument == "std" and number <= 0 then
      errors.refuse(name, "std: expected numbers above 0, got %s", number)
    end
  end
  return list
end

-- The options given, and those that say how the images of a model were prepared and what its classes are.
local function complete(name, given, rules)
  local like = type(given) == "table" and given.like
  if type(like) ~= "table" or not is_model(like) then return given end
  if like.classes and #like.classes ~= like.class_count then -- a program's own list
    errors.refuse(name, "like: expected %d names in info.classes, as many as the model has classes, got %d",
      like.class_count, #like.classes)
  end
  local known, filled = like:preparation(), {}
  known.classes = like.classes
  for key, value in pairs(known) do
    if type(rules[key]) == "table" then filled[key] = value end
  end
  for key, value in pairs(given) do filled[key] = value end
  return filled
end

--- Checks the options of a data set's constructor.
-- @string name the public function
-- @tab[opt] given
-- @tab rules as `dataset.rules` gives
-- @treturn table checked; `mean` and `std` are lists; those of the model `like` are filled in
function dataset.options(name, given, rules)
  local wanted = complete(name, given, rules)
  local opts = options.check(name, wanted, rules)
  image_options.complete(name, opts, wanted)
  opts.mean = per_channel(name, "mean", opts.mean, opts.channels)
  opts.std = per_channel(name, "std", opts.std, opts.channels)
  return opts
end

--- A data set. Fields: `name`, `classes` (list of names), `channels`, `size`, `train`, `val`, `test` (each a Split),
-- `skipped` (list of `{path=, message=}`: files left out because they could not be read), `notes` (list of sentences:
-- what else was left out or assumed), `duplicates` (list of sets of equal images that lie in more than one split, each
-- a list of `{split=, name=}`), `test_is_val` (true where there is no test: it is val), `multi_label` (whether images
-- may have several findings, see `Split`).
-- @type Dataset
local Dataset = { __name = "Dataset" }
Dataset.__index = Dataset

-- The classes that nobody in a part has, or the findings, as quoted names.
local function find_absent(part, shared)
  local present, absent = {}, {}
  for _, label in ipairs(part.labels) do
    if not shared.multi_label then present[label] = true end
    for finding, value in ipairs(shared.multi_label and label or {}) do
      present[finding] = present[finding] or value > 0
    end
  end
  for label, class in ipairs(shared.classes) do
    if not present[label] then absent[#absent + 1] = ("'%s'"):format(visible(class)) end
  end
  return absent
end

-- The splits must be usable: someone in each that has a share, and every class in train. What was left out may be why.
local function check_parts(shared, parts, shares, notes)
  for _, name in ipairs(stratification.names) do
    if #parts[name].rows == 0 and not (shares and (shares[name] or 0) == 0) then
      errors.raise("%s: expected images in the %s split, found none%s", shared.title, name,
        #notes > 0 and (" (%s)"):format(table.concat(notes, "; ")) or "")
    end
  end
  local absent = #parts.train.rows > 0 and find_absent(parts.train, shared) or {}
  if #absent > 0 then
    errors.raise("%s: %s %s: expected images%s in the train split, found none", shared.title,
      shared.multi_label and "finding" or "class", absent[1], shared.multi_label and " that have it" or "")
  end
end

-- How many classes a note names.
local NAMED = 5

-- Says which classes nobody in val or test has: averages over classes leave their sensitivity and AUROC out there.
local function note_absent(parts, shared, same)
  local where = {}
  for _, name in ipairs { "val", "test" } do
    local absent = #parts[name].rows > 0 and not (same and name == "test") and find_absent(parts[name], shared) or {}
    local more = #absent > NAMED and (" and %d more"):format(#absent - NAMED) or ""
    if #absent > 0 then
      where[#where + 1] = ("%s (%s%s)"):format(name, table.concat(absent, ", ", 1, math.min(#absent, NAMED)), more)
    end
  end
  if #where == 0 then return nil end
  return ("%s without images in %s: their sensitivity and AUROC are not known there"):format(
    shared.multi_label and "findings" or "classes", table.concat(where, " or "))
end

local function is_multi_label(parts)
  for _, name in ipairs(stratification.names) do
    if type(parts[name].labels[1]) == "table" then return true end
  end
  return false
end

--- Makes a data set of its parts.
-- @string name the public function
-- @string title what to call the set in summaries
-- @tab classes list of names
-- @tab opts as `dataset.options` gives
-- @tab parts train, val, test -> `{source=, rows=, labels=, names=, paths=, groups=}`
-- @tab[opt] found `skipped` (images already found to be unreadable), `notes` (sentences about what was left out or
-- assumed, said on stderr), `duplicates` (see Dataset), `same` (whether test is val), `files` (whether the parts' paths
-- are files of an image each)
-- @treturn Dataset
function dataset.new(name, title, classes, opts, parts, found)
  found = found or {}
  if found.same then parts.test = parts.val end
  local preparation = image_options.preparation(opts)
  local shared = { name = name, title = title, preparation = preparation, classes = classes, size = opts.size,
    channels = opts.channels, mean = opts.mean, std = opts.std, stop = opts.on_error == "stop", quiet = opts.quiet,
    skipped = found.skipped or {}, known = {}, multi_label = is_multi_label(parts) or nil, files = found.files }
  shared.skipped_before = #shared.skipped
  for _, failure in ipairs(shared.skipped) do shared.known[failure.path] = failure.message end
  found.notes = found.notes or {}
  check_parts(shared, parts, opts.splits, found.notes)
  table.insert(found.notes, note_absent(parts, shared, found.same))
  table.insert(found.notes, value_extent.note(parts, opts))
  for _, note in ipairs(not opts.quiet and found.notes or {}) do
    errors.warn("%s: %s: %s", name, title, note)
  end
  local self = { name = name, title = title, classes = classes, size = opts.size, channels = opts.channels,
    skipped = shared.skipped, multi_label = shared.multi_label, notes = found.notes,
    duplicates = found.duplicates or {}, test_is_val = found.same }
  for _, part in ipairs(stratification.names) do self[part] = split.new(shared, part, parts[part]) end
  return setmetatable(self, Dataset)
end

--- Whether shares are those that a user gave.
-- @tab shares
-- @treturn boolean
function dataset.are_given(shares)
  return shares ~= SHARES
end

--- Gives every sample its split: assigns one to those that have none, in place.
-- @tab samples list of samples, see `secateur.data.layout`
-- @tab divide "all": over train, val and test; "train": those of train over train and val; nil: as they are
-- @tab opts `splits` (shares), `seed`
function dataset.divide(samples, divide, opts)
  if not divide then return end
  local shares, pool = opts.splits, samples
  local list = { shares.train or 0, shares.val or 0, shares.test or 0 }
  if divide == "train" then
    pool = {}
    for _, sample in ipairs(samples) do
      if sample.split == "train" then pool[#pool + 1] = sample end
    end
    local sum = list[1] + list[2]
    list = { sum > 0 and list[1] / sum or 1, sum > 0 and list[2] / sum or 0 }
  end
  for i, part in ipairs(stratification.assign(pool, list, opts.seed)) do pool[i].split = stratification.names[part] end
end

--- Sorts samples into parts by their split.
-- @tab samples list of samples with `row` and `split`
-- @param[opt] source the native source they come from
-- @treturn table train, val, test -> part, as `dataset.new` takes
function dataset.parts(samples, source)
  local parts, has_groups = {}, false
  for _, sample in ipairs(samples) do has_groups = has_groups or sample.group ~= nil end
  for _, name in ipairs(stratification.names) do
    parts[name] = { source = source, rows = {}, labels = {}, names = {}, groups = has_groups and {} or nil,
      paths = samples[1] and samples[1].path and {} or nil }
  end
  for _, sample in ipairs(samples) do
    local part = parts[sample.split]
    local i = #part.rows + 1
    part.rows[i], part.labels[i], part.names[i] = sample.row, sample.label, sample.name
    if part.paths then part.paths[i] = sample.path end
    if has_groups then part.groups[i] = sample.group or false end
  end
  return parts
end

-- Lines of text from rows of cells: the first column flush left, the others flush right.
local function align(rows)
  local widths, lines = {}, {}
  for _, row in ipairs(rows) do
    for i, cell in ipairs(row) do widths[i] = math.max(widths[i] or 0, utf8.len(cell) or #cell) end
  end
  for r, row in ipairs(rows) do
    local cells = {}
    for i, cell in ipairs(row) do
      local gap = (" "):rep(widths[i] - (utf8.len(cell) or #cell))
      cells[i] = i == 1 and cell .. gap or gap .. cell
    end
    lines[r] = table.concat(cells, "  ")
  end
  return lines
end

--- A summary: images per class and split, and how many were skipped.
-- @treturn string
function Dataset:__tostring()
  local rows = { { self.multi_label and "finding" or "class", "train", "val", "test", "all" } }
  local counts, total = {}, { 0, 0, 0, 0 }
  for i, part in ipairs(stratification.names) do
    counts[i], total[i] = self[part]:class_counts(), self[part]:count()
    total[4] = i == 3 and self.test_is_val and total[4] or total[4] + total[i]
  end
  for label, class in ipairs(self.classes) do
    local numbers = { counts[1][label], counts[2][label], counts[3][label] }
    numbers[4] = numbers[1] + numbers[2] + (self.test_is_val and 0 or numbers[3])
    rows[#rows + 1] = { visible(class) }
    for i, number in ipairs(numbers) do rows[#rows][i + 1] = tostring(number) end
  end
  rows[#rows + 1] = { self.multi_label and "images" or "all", table.unpack(total) }
  for i = 2, 5 do rows[#rows][i] = tostring(rows[#rows][i]) end
  local lines = align(rows)
  table.insert(lines, 1, ("%s %s: %d images, %d %s, %d x %d x %d"):format(self.name, visible(self.title), total[4],
    #self.classes, self.multi_label and "findings" or "classes", self.channels, self.size, self.size))
  if #self.skipped > 0 then
    lines[#lines + 1] = ("skipped files: %d (see .skipped)"):format(#self.skipped)
  end
  for _, note in ipairs(self.notes) do lines[#lines + 1] = visible(note) end
  return table.concat(lines, "\n")
end

return dataset
