--- A folder of images, a folder per class.
-- @module secateur.data.folder
local errors = require "secateur.util.errors"
local files = require "secateur.util.files"
local filter = require "secateur.data.filter"
local layout = require "secateur.data.layout"
local outside = require "secateur.data.outside"
local selection = require "secateur.data.selection"
local split_csv = require "secateur.data.split_csv"

local folder = { rules = { outside = outside.rule } }

-- The folders that stand for splits: split -> name. Without a train folder and another, they are classes; but val and
-- test alone are none.
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
  if not by_split.train and count >= 2 and count == #names then
    errors.raise("%s: expected a folder 'train' beside '%s' and '%s' (as an external test set, give one of them, with "
      .. "splits = { test = 1 })", root, by_split.val, by_split.test)
  end
  return by_split.train and count >= 2 and by_split or nil
end

-- Folders in words, for a note.
local function name_all(names)
  local quoted = {}
  for i, name in ipairs(names) do quoted[i] = ("'%s'"):format(name) end
  return table.concat(quoted, ", ")
end

-- A folder "masks" beside those of classes is none, nor are "mask" and "lung masks" beside "images"; unless `classes`
-- names them.
local function class_folders(listing, root, top, opts)
  local classes, masks, chosen, has_images = {}, {}, {}, false
  local all = layout.folders(files.join(root, top))
  for _, entry in ipairs(selection.wanted(opts.classes or {})) do
    for _, name in ipairs(entry.from) do chosen[name] = true end
  end
  for _, name in ipairs(all) do has_images = has_images or name:lower():find "^images?$" ~= nil end
  for _, name in ipairs(all) do
    local lower = name:lower()
    local is_mask = not chosen[name] and (lower == "masks" or has_images and filter.is_mask_folder(name))
    local list = is_mask and masks or classes
    list[#list + 1] = name
  end
  if #masks > 0 then
    table.insert(listing.notes, ("left out: %s in %s, masks and no class"):format(name_all(masks),
      files.join(root, top)))
  end
  return classes
end

-- Folders beside those of the splits, and images there.
local function note_others(listing, root, by_split)
  local used, others = {}, {}
  for _, name in pairs(by_split) do used[name] = true end
  for _, name in ipairs(layout.folders(root)) do
    if not used[name] then others[#others + 1] = name end
  end
  if #others > 0 then
    table.insert(listing.notes, ("left out: %s, beside the folders of the splits"):format(name_all(others)))
  end
  layout.add_loose(listing, root)
end

local function read_split_folders(root, by_split, opts)
  local listing, number = layout.listing {}, {}
  local classes = class_folders(listing, root, by_split.train, opts)
  for i, class in ipairs(classes) do number[class] = i end
  for _, split in ipairs { "train", "val", "test" } do
    local top = by_split[split]
    for _, class in ipairs(not top and {} or split == "train" and classes or class_folders(listing, root, top, opts)) do
      if not number[class] and not opts.classes then
        errors.raise("%s: a class that '%s' does not have", files.join(root, top, class), by_split.train)
      elseif not number[class] then
        classes[#classes + 1], number[class] = class, #classes + 1
      end
      layout.add_class(listing, root, files.join(top, class), number[class], split)
    end
    if top then layout.add_loose(listing, root, top) end
  end
  note_others(listing, root, by_split)
  listing.classes = classes
  split_csv.complete(listing, root)
  return listing
end

local function read_class_folders(root, opts)
  local listing = layout.listing({}, "all")
  listing.classes = class_folders(listing, root, "", opts)
  if #listing.classes >= 2 then
    for label, class in ipairs(listing.classes) do layout.add_class(listing, root, class, label) end
    layout.add_loose(listing, root)
  end
  return listing
end

-- A hint at folders in the only folder: archives often wrap a set in one of its own name.
local function within(root, only)
  local inside = files.join(root, only)
  local inner = files.is_dir(inside) and layout.folders(inside) or {}
  if #inner == 0 then return "" end
  return ("; folders are in it (%s): is that the root?"):format(name_all(table.move(inner, 1, math.min(#inner, 3), 1,
    {})))
end

--- Reads the layout: `split.csv` if there is one, else train, val and test folders, else a folder per class.
-- @string root
-- @tab opts as `sc.data.folder` takes them
-- @treturn table listing, see `secateur.data.layout`
function folder.read(root, opts)
  local listing = split_csv.read(root, opts)
  if not listing then
    local by_split = split_folders(root, layout.folders(root))
    listing = by_split and read_split_folders(root, by_split, opts) or read_class_folders(root, opts)
  end
  if #listing.classes < 2 then
    local only = listing.classes[1]
    errors.raise("%s: expected at least 2 classes, a folder each (or a split.csv), found %s%s", root,
      only and ("only '%s'"):format(only) or "none", only and not listing.listed and within(root, only) or "")
  end
  return listing
end

return folder
