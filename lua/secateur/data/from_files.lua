--- Data sets of files: from a listing to splits, by way of what of it is used and what can be read.
-- @module secateur.data.from_files
local core = require "secateur.core"
local dataset = require "secateur.data.dataset"
local duplicates = require "secateur.data.duplicates"
local errors = require "secateur.util.errors"
local files = require "secateur.util.files"
local filter = require "secateur.data.filter"
local groups = require "secateur.data.groups"
local names = require "secateur.data.names"
local options = require "secateur.util.options"
local same_files = require "secateur.data.same_files"
local selection = require "secateur.data.selection"

-- How many skipped files a warning names.
local NAMED = 3

local from_files = {}

-- Says on stderr what is left out, naming the first few.
local function warn_skipped(name, title, skipped, total)
  local lines = { ("%s: %s: skipped %d of %d files:"):format(name, title, #skipped, total) }
  for i = 1, math.min(#skipped, NAMED) do
    lines[i + 1] = ("  %s: %s"):format(skipped[i].path, skipped[i].message)
  end
  if #skipped > NAMED then lines[#lines + 1] = ("  and %d more"):format(#skipped - NAMED) end
  errors.warn_lines(lines)
end

-- Reads all headers; gives the samples that are left (with `row`, their number in the source) and those skipped.
local function scan(name, source, listing, opts)
  local bad, kept, skipped = {}, {}, {}
  for _, entry in ipairs(listing.skipped) do
    if opts.on_error == "stop" and entry.label then errors.raise("%s: %s", entry.path, entry.message) end
    skipped[#skipped + 1] = { path = entry.path, message = entry.message }
  end
  for _, failure in ipairs(source:check()) do
    bad[failure.index] = files.without_path(failure.message, listing.samples[failure.index].path)
  end
  for row, sample in ipairs(listing.samples) do
    sample.row = row
    if not bad[row] then
      kept[#kept + 1] = sample
    elseif opts.on_error == "stop" then
      errors.raise("%s: %s", sample.path, bad[row])
    else
      skipped[#skipped + 1] = { path = sample.path, message = bad[row] }
    end
  end
  if #skipped > 0 and not opts.quiet then
    warn_skipped(name, listing.title, skipped, #listing.samples + #listing.skipped)
  end
  return kept, skipped
end

-- A class must have someone in it, before and after the scan.
local function check_listed(listing)
  if listing.multi_label then return end
  local count, other = {}, {}
  for _, entry in ipairs(listing.skipped) do
    if entry.label then other[entry.label] = other[entry.label] or entry end
  end
  for _, sample in ipairs(listing.samples) do count[sample.label] = (count[sample.label] or 0) + 1 end
  for label, class in ipairs(listing.classes) do
    local filtered, same = listing.filtered[label], listing.same_files[label]
    if not count[label] and filtered then
      errors.raise("%s: class '%s': its %d files are all left out (only, skip, or masks)", listing.title, class,
        filtered)
    elseif not count[label] and same then
      errors.raise("%s: class '%s': its files are those of other classes, by links ('%s' is '%s')", listing.title,
        class, same.name, same.first)
    elseif not count[label] and files.is_dir(listing.places[label] or "") then
      errors.raise("%s: expected images, found none%s", listing.places[label], other[label]
        and (" ('%s': %s)"):format(other[label].name, other[label].message)
        or #listing.classes > 2 and " (classes = { … }, a list of those to use, leaves it out)" or "")
    elseif not count[label] then
      errors.raise("%s: class '%s' has no image", listing.title, class)
    end
  end
end

local function check_readable(listing, kept)
  local before, after = {}, {}
  if listing.multi_label then
    if #kept == 0 then
      errors.raise("%s: none of its %d images can be read", listing.title, #listing.samples)
    end
    return
  end
  for _, sample in ipairs(listing.samples) do before[sample.label] = (before[sample.label] or 0) + 1 end
  for _, sample in ipairs(kept) do after[sample.label] = true end
  for label, class in ipairs(listing.classes) do
    if not after[label] then
      errors.raise("%s: class '%s': none of its %d images can be read", listing.title, class, before[label])
    end
  end
end

-- What of the listing is used, and how it is called.
local function select_samples(listing, opts)
  names.convert(listing, opts.encoding)
  selection.apply_classes(listing, opts)
  selection.make_binary(listing)
  filter.apply(listing, opts)
  same_files.settle(listing)
  if #listing.samples == 0 then
    errors.raise("%s: expected images, found none%s", listing.title,
      #listing.notes > 0 and (" (%s)"):format(table.concat(listing.notes, "; ")) or "")
  end
  check_listed(listing)
  names.check(listing)
  table.insert(listing.notes, names.note_alike(listing.classes))
  if not listing.multi_label and #listing.classes < 2 then
    errors.raise("classes: expected at least 2 classes, got %d", #listing.classes)
  end
end

-- Says that shares are not used, or not all; not where an external test set is all that there is.
local function note_own_splits(listing, samples, opts)
  if listing.divide == "all" or not dataset.are_given(opts.splits) then return end
  if listing.divide == "train" then
    table.insert(listing.notes, "of splits, val and train say how train is divided: the set brings its own test")
    return
  end
  for _, sample in ipairs(samples) do
    if sample.split == "train" then
      table.insert(listing.notes, "splits has no part: the set brings its own")
      return
    end
  end
end

--- Makes a data set of a listing.
-- @string name the public function
-- @tab listing see `secateur.data.layout`; with `title`
-- @tab opts as `dataset.options` gives
-- @treturn Dataset
function from_files.build(name, listing, opts)
  select_samples(listing, opts)
  local paths = {}
  for row, sample in ipairs(listing.samples) do paths[row] = sample.path end
  local source = core.image_source { kind = "files", paths = paths, max_pixels = opts.max_pixels,
    max_bytes = opts.max_bytes, window = opts.window, cache_bytes = opts.cache_bytes }
  local kept, skipped = scan(name, source, listing, opts)
  check_readable(listing, kept)
  groups.assign(listing, kept, opts.group)
  dataset.divide(kept, listing.divide, opts)
  note_own_splits(listing, kept, opts)
  if listing.divide ~= "all" then
    local note
    kept, note = groups.check(kept, opts.on_duplicate or "warn")
    table.insert(listing.notes, note)
  end
  local parts = dataset.parts(kept, source)
  local found = { skipped = skipped, notes = listing.notes, same = listing.same, files = true }
  found.duplicates = duplicates.check(parts, opts, found.notes)
  return dataset.new(name, listing.title, listing.classes, opts, parts, found)
end

local function read(name, reader, root, opts)
  if not files.is_dir(root) then
    errors.raise("root: expected a folder, got '%s' (%s)", root, files.is_file(root) and "a file" or "there is none")
  end
  local listing = reader.read(root, opts)
  listing.title = root
  return from_files.build(name, listing, opts)
end

--- Makes the public function of a layout of files.
-- @string name the public function
-- @tab reader `read(root, opts)`, which gives a listing (see `secateur.data.layout`), and `rules` for its own options
-- @treturn function (root, opts) -> Dataset
function from_files.constructor(name, reader)
  local rules = dataset.rules(reader.rules)
  return function(root, given)
    options.value(name, "root", root, { type = "string", required = true })
    local opts = dataset.options(name, given, rules)
    local result = errors.within(name, read, name, reader, root, opts)
    return result
  end
end

return from_files
