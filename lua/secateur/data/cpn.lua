--- "Covid19-Pneumonia-Normal Chest X-Ray Images" (S. Kumar, Mendeley Data 2022): a folder per class, whose spelling
-- differs from one copy to the next.
-- @module secateur.data.cpn
local errors = require "secateur.util.errors"
local files = require "secateur.util.files"
local layout = require "secateur.data.layout"
local outside = require "secateur.data.outside"
local split_csv = require "secateur.data.split_csv"

local cpn = { rules = { outside = outside.rule } }

local CLASSES = { "COVID", "NORMAL", "PNEUMONIA" }

-- Copies come wrapped in folders named after the archive.
local DEPTH = 3

-- The class that a folder's name or a label stands for. A name with several in it is that of the whole set.
local function class_of(name)
  local letters = name:lower():gsub("%A", "")
  local covid = letters:find("covid", 1, true)
  local pneumonia = letters:find("pneumonia", 1, true)
  local normal = letters:find("^normal") or letters:find("nofinding", 1, true)
  if covid and not pneumonia and not letters:find("normal", 1, true) then return "COVID" end
  if pneumonia and not covid and not letters:find("normal", 1, true) then return "PNEUMONIA" end
  if normal and not covid and not pneumonia then return "NORMAL" end
  return nil
end

-- Class -> list of folder names.
local function match_classes(names)
  local found = {}
  for _, name in ipairs(names) do
    local class = class_of(name)
    if class then
      found[class] = found[class] or {}
      table.insert(found[class], name)
    end
  end
  return found
end

local function holds_classes(_, names)
  local found = match_classes(names)
  for _, class in ipairs(CLASSES) do
    if not found[class] then return false end
  end
  return true
end

-- Says which folders beside those of the classes are not read.
local function note_others(listing, base, found)
  local used, others = {}, {}
  for _, names in pairs(found) do used[names[1]] = true end
  for _, name in ipairs(layout.folders(base)) do
    if not used[name] then others[#others + 1] = ("'%s'"):format(name) end
  end
  if #others > 0 then
    table.insert(listing.notes, ("left out: %s, no class of this set (sc.data.folder takes all folders as classes)")
      :format(table.concat(others, ", ")))
  end
end

--- Reads the layout; a `split.csv` beside the classes is honoured, else the samples are assigned to splits.
-- @string root
-- @tab opts as `sc.data.folder` takes them
-- @treturn table listing, see `secateur.data.layout`
function cpn.read(root, opts)
  local top = layout.find(root, DEPTH, holds_classes)
  if not top then
    errors.raise("%s: expected folders for the classes COVID, PNEUMONIA and NORMAL, at most %d levels down", root,
      DEPTH)
  end
  local classes = table.move(CLASSES, 1, #CLASSES, 1, {})
  local base = files.join(root, top)
  local listing = split_csv.read(base, opts, class_of, classes)
  if listing then return listing end
  listing = layout.listing(classes, "all")
  local found = match_classes(layout.folders(base))
  for label, class in ipairs(CLASSES) do
    if #found[class] > 1 then
      errors.raise("%s: expected one folder for the class %s, found '%s' and '%s'", base, class, found[class][1],
        found[class][2])
    end
    layout.add_class(listing, base, found[class][1], label)
  end
  layout.add_loose(listing, base)
  note_others(listing, base, found)
  return listing
end

return cpn
