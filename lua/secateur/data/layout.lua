--- What the readers of data set layouts share: images below a folder, class folders, split.csv.
--
-- A reader turns a folder into a *listing*: `classes` (list of names), `samples` (list of `{name=, path=, label=,
-- split=, group=, stratum=}`) and `divide`: "all" (assign all samples to train, val and test), "train" (split val off
-- of the official train) or nil (every sample has its split).
-- @module secateur.data.layout
local csv = require "secateur.util.csv"
local errors = require "secateur.util.errors"
local files = require "secateur.util.files"

local layout = {}

local EXTENSIONS = { png = true, jpg = true, jpeg = true, bmp = true }

local split_names = {
  train = "train", training = "train",
  val = "val", valid = "val", validation = "val",
  test = "test", testing = "test",
}

--- The split that a word stands for ("Training", "valid", …), or nil.
-- @string word
-- @treturn string "train", "val" or "test"
function layout.split_name(word)
  return split_names[word:lower()]
end

--- The folders in a folder, in byte order; hidden ones and those that archivers leave behind are left out.
-- @string root
-- @treturn table list of names
function layout.folders(root)
  local found = {}
  for _, name in ipairs(errors.check(files.list(root))) do
    if name ~= "__MACOSX" and files.is_dir(files.join(root, name)) then found[#found + 1] = name end
  end
  return found
end

--- The images anywhere below a folder, in byte order, as paths relative to it. None at all is an error.
-- @string root
-- @treturn table list of paths
function layout.images(root)
  local found = errors.check(files.walk(root, { extensions = EXTENSIONS }))
  if #found == 0 then errors.raise("%s: expected images (png, jpg, jpeg or bmp), found none", root) end
  return found
end

--- Adds the images of a class to a listing's samples.
-- @tab samples list to add to
-- @string root the data set's folder
-- @string folder where the images are, relative to it
-- @int label
-- @string[opt] split
function layout.add_class(samples, root, folder, label, split)
  for _, path in ipairs(layout.images(files.join(root, folder))) do
    local name = files.join(folder, path)
    samples[#samples + 1] = { name = name, path = files.join(root, name), label = label, split = split }
  end
end

--- The first folder that a test accepts: the root, else those below it, level by level.
-- @string root
-- @int depth how many levels to look into
-- @func accept gets a folder and the list of the folders in it
-- @treturn string the folder relative to the root ("" for itself), or nil
function layout.find(root, depth, accept)
  local level = { "" }
  for _ = 0, depth do
    local below = {}
    for _, folder in ipairs(level) do
      local whole = files.join(root, folder)
      local names = layout.folders(whole)
      if accept(whole, names) then return folder end
      for _, name in ipairs(names) do below[#below + 1] = files.join(folder, name) end
    end
    level = below
  end
  return nil
end

-- Numbers in numerical order where all labels are numbers (of equal ones, as 1 and 01, the shorter first: table.sort
-- leaves the order of equals open), else byte order.
local function sort_labels(labels)
  for _, label in ipairs(labels) do
    if not label:find("^%d+$") then return files.sort(labels) end
  end
  table.sort(labels, function(a, b)
    local x, y = tonumber(a), tonumber(b)
    if x ~= y then return x < y end
    if #a ~= #b then return #a < #b end
    return a < b
  end)
  return labels
end

--- Reads `split.csv` (columns file, label, split; files relative to the root).
-- @string root
-- @func[opt] canonical turns a label as written into the class's name, or nil for one that is no class
-- @tab[opt] classes the class names, if they are fixed; else they are the labels that occur
-- @treturn table listing, or nil where there is no such file
function layout.split_csv(root, canonical, classes)
  local path = files.join(root, "split.csv")
  if not files.is_file(path) then return nil end
  local samples, seen, present, names = {}, {}, {}, {}
  for _, record in ipairs(errors.check(csv.records(path, { "file", "label", "split" }))) do
    local split = layout.split_name(record.split)
    local class = record.label ~= "" and record.label or nil
    if class and canonical then class = canonical(class) end
    if record.file == "" then errors.raise("%s:%d: file: expected a file's name, got ''", path, record.line) end
    if not class then
      errors.raise("%s:%d: label: expected %s, got '%s'", path, record.line,
        classes and "one of " .. table.concat(classes, ", ") or "a class", record.label)
    end
    if not split then
      errors.raise("%s:%d: split: expected train, val or test, got '%s'", path, record.line, record.split)
    end
    if seen[record.file] then
      errors.raise("%s:%d: file '%s' is already in line %d", path, record.line, record.file, seen[record.file])
    end
    seen[record.file] = record.line
    if not present[class] then
      present[class], names[#names + 1] = true, class
    end
    samples[#samples + 1] = { name = record.file, path = files.join(root, record.file), label = class, split = split }
  end
  classes = classes or sort_labels(names)
  local number = {}
  for i, class in ipairs(classes) do number[class] = i end
  for _, sample in ipairs(samples) do sample.label = number[sample.label] end
  return { classes = classes, samples = samples }
end

return layout
