--- FETAL_PLANES_DB (Burgos-Artizzu et al., Scientific Reports 2020): maternal-fetal ultrasound, 6 planes. The column
-- Train is the official split; validation is split off its training part by patient.
-- @module secateur.data.fetal
local csv = require "secateur.util.csv"
local errors = require "secateur.util.errors"
local files = require "secateur.util.files"
local layout = require "secateur.data.layout"

local fetal = { rules = {} }

local TABLE = "FETAL_PLANES_DB_data.csv"
local CLASSES = { "Fetal abdomen", "Fetal brain", "Fetal femur", "Fetal thorax", "Maternal cervix", "Other" }

local label_of = {}
for label, class in ipairs(CLASSES) do label_of[class:lower()] = label end

local split_of = { ["1"] = "train", ["0"] = "test" }

local function read_record(base, path, record)
  local label, split = label_of[record.Plane:lower():gsub("%s+", " ")], split_of[record.Train]
  if record.Image_name == "" or record.Patient_num == "" then
    errors.raise("%s:%d: expected an Image_name and a Patient_num", path, record.line)
  end
  if not label then
    errors.raise("%s:%d: Plane: expected one of %s, got '%s'", path, record.line, table.concat(CLASSES, ", "),
      record.Plane)
  end
  if not split then errors.raise("%s:%d: Train: expected 1 or 0, got '%s'", path, record.line, record.Train) end
  local name = record.Image_name
  if files.extension(name) ~= "png" then name = name .. ".png" end
  local leaves
  name, leaves = files.normal(files.join("Images", name))
  if leaves then
    errors.raise("%s:%d: Image_name: expected a file in the folder 'Images', got '%s'", path, record.line,
      record.Image_name)
  end
  return { name = name, path = files.join(base, name), label = label, split = split, group = record.Patient_num }
end

--- Reads the layout.
-- @string root the folder of FETAL_PLANES_DB_data.csv, or the one above it
-- @treturn table listing, see `secateur.data.layout`
function fetal.read(root)
  local top = layout.find(root, 1, function(folder) return files.is_file(files.join(folder, TABLE)) end)
  if not top then errors.raise("%s: expected %s there or in a folder of it", root, TABLE) end
  local base = files.join(root, top)
  local path = files.join(base, TABLE)
  if not files.is_dir(files.join(base, "Images")) then
    errors.raise("%s: expected the images in a folder 'Images' beside %s", base, TABLE)
  end
  local columns = { "Image_name", "Patient_num", "Plane", "Train" }
  local samples = {}
  for i, record in ipairs(errors.check(csv.records(path, columns, { separator = ";" }))) do
    samples[i] = read_record(base, path, record)
  end
  local listing = layout.listing(table.move(CLASSES, 1, #CLASSES, 1, {}), "train")
  listing.samples, listing.listed, listing.grouped = samples, true, "patient"
  return listing
end

return fetal
