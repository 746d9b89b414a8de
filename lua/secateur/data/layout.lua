--- What the readers of data set layouts share: folders of classes, and what lies in them.
--
-- A reader turns a folder into a *listing*: `classes` (list of names), `places` (for each class, where it is from: a
-- folder or a line of a table), `samples` (list of `{name=, path=, label=, split=, group=, stratum=}`, and of those
-- that were found in folders `inside`, the path in the folder of the class, `identity` and `linked`, as `files.walk`
-- tells), `again` (what links led to a second time, see `secateur.data.same_files`), `skipped` (list of
-- `{path=, message=}`: entries that are no files), `notes` (list of sentences: what was left out or assumed), `listed`
-- (whether a table names the files), and `divide`: "all" (assign all samples to train, val and test), "train" (split
-- val off of the official train) or nil (every sample has its split). With `multi_label`, each sample's label is a list
-- of a number per class (see `Split`).
-- @module secateur.data.layout
local core = require "secateur.core"
local errors = require "secateur.util.errors"
local files = require "secateur.util.files"

local layout = {}

local split_names = {
  train = "train", training = "train",
  val = "val", valid = "val", validation = "val",
  test = "test", testing = "test",
}

-- What systems and archivers leave behind, in lower case. Nobody misses it.
local LITTER = { ["thumbs.db"] = true, ["ehthumbs.db"] = true, ["desktop.ini"] = true, ["__macosx"] = true,
  ["@eadir"] = true, ["$recycle.bin"] = true, ["system volume information"] = true, ["lost+found"] = true }

-- Endings that promise an image, whether or not it can be read here.
local PICTURES = {}
for ending in ("png jpg jpeg jpe jfif bmp dib tif tiff webp gif dcm dicom pgm ppm pnm jp2 heic avif"):gmatch "%w+" do
  PICTURES[ending] = true
end

--- The split that a word stands for ("Training", "valid", …), or nil.
-- @string word
-- @treturn string "train", "val" or "test"
function layout.split_name(word)
  return split_names[word:lower()]
end

--- Whether a name is one that systems and archivers leave behind: dot files, Thumbs.db, desktop.ini, `__MACOSX`,
-- `@eaDir`, `$RECYCLE.BIN`.
-- @string name
-- @treturn boolean
function layout.is_litter(name)
  return name:sub(1, 1) == "." or LITTER[name:lower()] == true
end

--- Whether a file's name promises an image by its ending, whether or not it can be read.
-- @string name
-- @treturn boolean
function layout.is_picture(name)
  return PICTURES[files.extension(name)] == true
end

-- No system has longer paths; a table that was taken apart wrongly has.
local MAX_NAME = 4096

--- Checks what a table has for a file's name.
-- @string place where it stands, for the message
-- @string name
function layout.check_name(place, name)
  if name == "" then errors.raise("%s: expected a file's name, got ''", place) end
  if #name > MAX_NAME then errors.raise("%s: expected a file's name, got a text of %d bytes", place, #name) end
end

--- A listing of nothing yet.
-- @tab classes list of names
-- @string[opt] divide
-- @treturn table
function layout.listing(classes, divide)
  return { classes = classes, places = {}, samples = {}, skipped = {}, notes = {}, divide = divide,
    again = { file = {}, folder = {} } }
end

-- What an entry is, as `files.mode` says; what cannot be told is no entry to pass over.
local function mode_of(path)
  local mode, message = files.mode(path)
  if message then errors.raise("%s", message) end
  return mode
end

--- Whether a file of this name exists. Raises what keeps the system from telling: it would read as "no".
-- @string path
-- @treturn boolean
function layout.has_file(path) return mode_of(path) == "file" end

--- The folders in a folder, in natural order ("2" before "10"); litter is left out.
-- @string root
-- @treturn table list of names
function layout.folders(root)
  local found = {}
  for _, name in ipairs(errors.check(files.list(root))) do
    if not layout.is_litter(name) and mode_of(files.join(root, name)) == "directory" then found[#found + 1] = name end
  end
  return files.sort_natural(found)
end

--- Adds the files of a class to a listing, all of them: what is an image is for their content to say. Broken links and
-- the like are noted as skipped, litter is passed over.
-- @tab listing
-- @string root the data set's folder
-- @string folder where the images are, relative to it
-- @int label
-- @string[opt] split
function layout.add_class(listing, root, folder, label, split)
  local top = files.join(root, folder)
  listing.places[label] = listing.places[label] or top
  local function other(path, message)
    table.insert(listing.skipped, { path = files.join(top, path), name = files.join(folder, path), message = message,
      label = label })
  end
  local function again(path, first, kind)
    table.insert(listing.again[kind], { name = files.join(folder, path), first = files.join(folder, first) })
  end
  local found, about = files.walk(top, { leave = layout.is_litter, other = other, again = again })
  local top_is_link = files.is_link(top)
  for _, path in ipairs(errors.check(found, about)) do
    local name = files.join(folder, path)
    table.insert(listing.samples, { name = name, path = files.join(root, name), label = label, split = split,
      inside = path, identity = about[path].identity, linked = about[path].linked or top_is_link })
  end
end

--- Notes the images that lie beside class folders, and so in no class, as skipped. Other files there are none of ours.
-- @tab listing
-- @string root the data set's folder
-- @string[opt] folder the one whose folders are the classes, relative to it; the root by default
function layout.add_loose(listing, root, folder)
  for _, name in ipairs(errors.check(files.list(files.join(root, folder or "")))) do
    local relative = files.join(folder or "", name)
    local path, message = files.join(root, relative), nil
    local mode = mode_of(path)
    if layout.is_litter(name) or mode == "directory" then
      message = nil
    elseif mode ~= "file" then
      message = files.describe(path)
    elseif layout.is_picture(name) or core.image_info(path) then
      message = "lies beside the folders of the classes, in none of them"
    end
    if message then table.insert(listing.skipped, { path = path, name = relative, message = message }) end
  end
end

--- The folder that a test accepts: the root, else the one below it, level by level. Links are followed, but each folder
-- is looked at once, whatever links there are between them.
-- @string root
-- @int depth how many levels to look into
-- @func accept gets a folder and the list of the folders in it
-- @treturn string the folder relative to the root ("" for itself), or nil
-- @raise where the test accepts several of a level: none of them is the whole
function layout.find(root, depth, accept)
  local level, seen = { "" }, {}
  local function is_new(folder)
    local identity = files.identity(files.join(root, folder)) or folder
    local new = not seen[identity]
    seen[identity] = true
    return new
  end
  for _ = 0, depth do
    local below, found = {}, {}
    for _, folder in ipairs(level) do
      if is_new(folder) then
        local whole = files.join(root, folder)
        local names = layout.folders(whole)
        if accept(whole, names) then found[#found + 1] = folder end
        for _, name in ipairs(names) do below[#below + 1] = files.join(folder, name) end
      end
    end
    if #found > 1 then
      errors.raise("%s: expected one folder that holds the set, found '%s' and '%s'; give one of them (sc.data.folder "
        .. "reads folders train, val and test)", root, found[1], found[2])
    elseif found[1] then
      return found[1]
    end
    level = below
  end
  return nil
end

return layout
