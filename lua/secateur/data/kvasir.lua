--- Kvasir (Pogorelov et al., MMSys 2017): 8 classes of gastrointestinal endoscopy, versions 1 and 2. Both hold a folder
-- per class; the root is that of the classes, or the one above.
-- @module secateur.data.kvasir
local errors = require "secateur.util.errors"
local files = require "secateur.util.files"
local layout = require "secateur.data.layout"

local kvasir = { rules = {} }

local CLASSES = { "dyed-lifted-polyps", "dyed-resection-margins", "esophagitis", "normal-cecum", "normal-pylorus",
  "normal-z-line", "polyps", "ulcerative-colitis" }

-- Class -> folder, and how many there are.
local function match_classes(names)
  local found, count = {}, 0
  for _, name in ipairs(names) do
    local plain = name:lower():gsub("[ _]", "-")
    for _, class in ipairs(CLASSES) do
      if plain == class then found[class], count = name, count + 1 end
    end
  end
  return found, count
end

--- Reads the layout.
-- @string root
-- @treturn table listing, see `secateur.data.layout`
function kvasir.read(root)
  local most, best = 0, nil
  local candidates = layout.folders(root)
  table.insert(candidates, 1, "")
  for _, candidate in ipairs(candidates) do
    local _, count = match_classes(layout.folders(files.join(root, candidate)))
    if count == #CLASSES and most == #CLASSES then
      errors.raise("%s: expected one version of Kvasir, found '%s' and '%s'; give the folder of one", root, best,
        candidate)
    end
    if count > most then most, best = count, candidate end
  end
  if not best then
    errors.raise("%s: expected Kvasir's class folders (%s), found none", root, table.concat(CLASSES, ", "))
  end
  local found = match_classes(layout.folders(files.join(root, best)))
  local listing = layout.listing(table.move(CLASSES, 1, #CLASSES, 1, {}), "all")
  for label, class in ipairs(CLASSES) do
    if not found[class] then errors.raise("%s: expected a folder '%s'", files.join(root, best), class) end
    layout.add_class(listing, root, files.join(best, found[class]), label)
  end
  layout.add_loose(listing, root, best)
  return listing
end

return kvasir
