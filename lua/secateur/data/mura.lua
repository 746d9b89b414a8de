--- MURA v1.1 (Rajpurkar et al., MIDL 2018): bone X-rays, normal or abnormal, labelled per study. The official
-- validation set serves as test; validation is split off the official training set by patient, since patients have
-- several studies.
-- @module secateur.data.mura
local csv = require "secateur.util.csv"
local errors = require "secateur.util.errors"
local files = require "secateur.util.files"
local layout = require "secateur.data.layout"

local mura = { rules = { study = { type = { "string", "table" } } } }

local CLASSES = { "negative", "positive" }
local label_of = { negative = 1, positive = 2 }

local EXAMPLE = "MURA-v1.1/train/XR_ELBOW/patient00011/study1_negative/image1.png"

-- The folder with the lists: the root, or MURA-v1.1 in it.
local function find_base(root)
  for _, base in ipairs { root, files.join(root, "MURA-v1.1") } do
    if files.is_file(files.join(base, "train_image_paths.csv")) then return base end
  end
  errors.raise("%s: expected train_image_paths.csv there or in its folder MURA-v1.1", root)
end

-- Adds the images of one list. Its paths start with the name of the folder as it was packed.
local function read_list(samples, base, official, split)
  local list = files.join(base, official .. "_image_paths.csv")
  for _, row in ipairs(errors.check(csv.read(list))) do
    local name = row[1]:match("^.*%f[%w](" .. official .. "/XR_%u+/.+)$")
    local study, patient, verdict = (name or ""):match("^%l+/(XR_%u+)/(patient%w+)/study%d+_(%l+)/[^/]+$")
    if not label_of[verdict] then
      errors.raise("%s:%d: expected a path such as %s, got '%s'", list, row.line, EXAMPLE, row[1])
    end
    samples[#samples + 1] = { name = name, path = files.join(base, name), label = label_of[verdict], split = split,
      group = patient, study = study, stratum = study .. verdict }
  end
end

-- The set of studies asked for, nil for all; a study that does not occur is an error.
local function wanted_studies(given, samples)
  if given == nil then return nil end
  local present, names, wanted = {}, {}, {}
  for _, sample in ipairs(samples) do
    if not present[sample.study] then
      present[sample.study], names[#names + 1] = true, sample.study
    end
  end
  if type(given) == "table" and #given == 0 then errors.raise("study: expected at least one, got an empty list") end
  for _, study in ipairs(type(given) == "table" and given or { given }) do
    if not present[study] then
      errors.raise("study: expected some of %s, got '%s'", table.concat(files.sort(names), ", "), tostring(study))
    end
    wanted[study] = true
  end
  return wanted
end

--- Reads the layout.
-- @string root the folder MURA-v1.1, or the one above it
-- @tab opts `study`: a name such as "XR_WRIST", a list of these, or nil for all
-- @treturn table listing, see `secateur.data.layout`
function mura.read(root, opts)
  local base, all = find_base(root), {}
  read_list(all, base, "train", "train")
  read_list(all, base, "valid", "test")
  local wanted, samples = wanted_studies(opts.study, all), {}
  for _, sample in ipairs(all) do
    if not wanted or wanted[sample.study] then samples[#samples + 1] = sample end
  end
  local listing = layout.listing(table.move(CLASSES, 1, #CLASSES, 1, {}), "train")
  listing.samples, listing.listed, listing.grouped = samples, true, "patient"
  return listing
end

return mura
