--- The images that the rows of a store are of: kept when it is begun, and held against what they are when it goes on.
-- @module secateur.experiments.sweep_images
local errors = require "secateur.util.errors"
local image_files = require "secateur.data.image_files"
local json = require "secateur.util.json"
local options = require "secateur.util.options"
local sweep_settings = require "secateur.experiments.sweep_settings"

local sweep_images = {}

local KIND = "images" -- of what a store keeps
local WAY_OUT = "; give the data set another name, or name another store"

-- What is known of images as texts, a line each, and back.
local function pack(known)
  local packed = {}
  for name, rows in pairs(known) do
    local lines = {}
    for i, row in ipairs(rows) do lines[i] = ("%d %d %d"):format(row[1], row[2], row[3]) end
    packed[name] = table.concat(lines, "\n")
  end
  return packed
end

local function unpack_text(text)
  local rows = {}
  for line in (text == "" and "" or text .. "\n"):gmatch "([^\n]*)\n" do
    local row = {}
    for word in line:gmatch "%S+" do row[#row + 1] = word:find "^%-?%d+$" and tonumber(word) or nil end
    if #row ~= 3 or math.type(row[1] + row[2] + row[3]) ~= "integer" then return nil end
    rows[#rows + 1] = row
  end
  return rows
end

local function read_kept(job, key)
  local kept, known = job.store:get(KIND, key), {}
  if kept == nil then return nil end
  for _, name in ipairs { "train", "test" } do
    local text = type(kept) == "table" and kept[name]
    if text then known[name] = type(text) == "string" and unpack_text(text) end
    if text and not known[name] or type(kept) ~= "table" then
      errors.raise("the store is damaged: images of %s: expected size, time and checksum of each, got %s", name,
        options.describe(text))
    end
  end
  return known
end

-- Whether the store has measured anything of a data set.
local function has_begun(job, dataset)
  for _, pair in ipairs(job.pairs) do
    if pair.dataset == dataset.name and job.store:get("baseline", sweep_settings.key(job, "baseline", pair)) then
      return true
    end
  end
  return false
end

local function first_pair(job, dataset)
  for _, pair in ipairs(job.pairs) do
    if pair.dataset == dataset.name then return pair end
  end
end

local function say(job, dataset, note)
  errors.warn("sweep: store '%s': datasets.%s: %s", job.options.store, dataset.name, note)
end

--- Raises where the images of a data set are others than those that the store's rows are of; a new store gets to know
-- them. Without a store nothing is looked at.
-- @tab job
function sweep_images.verify(job)
  if not job.options.store then return end
  for _, dataset in ipairs(job.datasets) do
    job.where = "datasets." .. dataset.name
    local key = sweep_settings.key(job, KIND, first_pair(job, dataset))
    local known = read_kept(job, key)
    local good, now, notes = errors.try(image_files.verify,
      { train = dataset.value.train, test = dataset.value.test }, known or {}, job.options.verify)
    if not good then errors.raise("%s%s", now, now:find(" are others than before", 1, true) and WAY_OUT or "") end
    for _, note in ipairs(notes) do say(job, dataset, note) end
    if not known and next(now) and has_begun(job, dataset) then
      say(job, dataset, "it does not say what the images were: they are taken for the same")
    end
    local packed = pack(now)
    if next(now) and (not known or json.encode(packed) ~= json.encode(pack(known))) then
      job.store:put(KIND, key, packed)
    end
  end
  job.where = nil
end

return sweep_images
