--- A folder of images, a folder per class.
-- @module secateur.data.folder
local errors = require "secateur.util.errors"
local files = require "secateur.util.files"
local layout = require "secateur.data.layout"

local folder = { rules = {} }

-- The folders that stand for splits: split -> name. Without a train folder and another, they are classes.
local function split_folders(root, names)
  local by_split, count = {}, 0
  for _, name in ipairs(names) do
    local split = layout.split_name(name)
    if split then
      if by_split[split] then
        errors.raise("%s: expected one folder for the %s split, got '%s' and '%s'", root, split, by_split[split], name)
      end
      by_split[split], count = name, count + 1
    end
  end
  if not by_split.train or count < 2 then return nil end
  if not by_split.test then errors.raise("%s: expected a 'test' folder beside '%s'", root, by_split.train) end
  return by_split
end

local function read_split_folders(root, by_split)
  local classes = layout.folders(files.join(root, by_split.train))
  local number, samples = {}, {}
  for i, class in ipairs(classes) do number[class] = i end
  for _, split in ipairs { "train", "val", "test" } do
    local top = by_split[split]
    for _, class in ipairs(top and layout.folders(files.join(root, top)) or {}) do
      if not number[class] then
        errors.raise("%s: a class that '%s' does not have", files.join(root, top, class), by_split.train)
      end
      layout.add_class(samples, root, files.join(top, class), number[class], split)
    end
  end
  return { classes = classes, samples = samples, divide = not by_split.val and "train" or nil }
end

--- Reads the layout: `split.csv` if there is one, else train, val and test folders, else a folder per class.
-- @string root
-- @treturn table listing, see `secateur.data.layout`
function folder.read(root)
  local listing = layout.split_csv(root)
  if not listing then
    local names = layout.folders(root)
    local by_split = split_folders(root, names)
    if by_split then
      listing = read_split_folders(root, by_split)
    else
      listing = { classes = names, samples = {}, divide = "all" }
      if #names >= 2 then
        for label, class in ipairs(names) do layout.add_class(listing.samples, root, class, label) end
      end
    end
  end
  if #listing.classes < 2 then
    errors.raise("%s: expected at least 2 classes, a folder each (or a split.csv), found %s", root,
      #listing.classes == 0 and "none" or ("only '%s'"):format(listing.classes[1]))
  end
  return listing
end

return folder
