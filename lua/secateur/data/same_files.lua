--- Files that a listing has under several names, by links of either kind: each is read once, and lies in one split.
-- @module secateur.data.same_files
local files = require "secateur.util.files"
local stratification = require "secateur.data.stratification"

local same_files = {}

-- The later a split stands here, the rather a file stays in it, as with `on_duplicate = 'drop'`.
local rank = {}
for i, split in ipairs(stratification.names) do rank[split] = i end

local function is_linked(sample)
  if sample.linked == nil then return files.is_link(sample.path) end
  return sample.linked
end

-- Whether a sample is rather to be kept than an earlier one of the same file: a file's own name goes before links, then
-- the last split counts.
local function goes_before(sample, earlier)
  local linked, other = is_linked(sample), is_linked(earlier)
  if linked ~= other then return other end
  return (rank[sample.split] or 0) > (rank[earlier.split] or 0)
end

local function same_label(a, b)
  if type(a) ~= "table" then return a == b end
  return table.concat(a, " ") == table.concat(b, " ")
end

-- Which file a sample is of; the sample itself where that cannot be told.
local function file_of(sample)
  sample.identity = sample.identity or files.identity(sample.path) or sample
  return sample.identity
end

local function note(listing, what, list)
  if #list == 0 then return end
  local other_labels = 0
  for _, entry in ipairs(list) do other_labels = other_labels + (entry.other_label and 1 or 0) end
  table.insert(listing.notes, ("%s: %d ('%s' is '%s')%s"):format(what, #list, list[1].name, list[1].first,
    other_labels > 0 and ("; with another label: %d"):format(other_labels) or ""))
end

--- Leaves each file of a listing in it once, and says which were met again.
-- @tab listing its samples may have `identity` (of the file, else it is looked up) and `linked` (whether the path goes
-- through a link), and it may have `again`: lists "file" and "folder" of `{name=, first=}` that a walk has met again.
-- Changed in place; `same_files` gets for a label that lost samples to others one of them, `{name=, first=}`
function same_files.settle(listing)
  local keeper, kept, again = {}, {}, listing.again or { file = {}, folder = {} }
  for _, sample in ipairs(listing.samples) do
    local file = file_of(sample)
    if not keeper[file] or goes_before(sample, keeper[file]) then keeper[file] = sample end
  end
  listing.same_files = {}
  for _, sample in ipairs(listing.samples) do
    local first = keeper[sample.identity]
    if first == sample then
      kept[#kept + 1] = sample
    else
      local entry = { name = sample.name, first = first.name, other_label = not same_label(sample.label, first.label) }
      table.insert(again.file, entry)
      if entry.other_label and not listing.multi_label then
        listing.same_files[sample.label] = listing.same_files[sample.label] or entry
      end
    end
  end
  for _, sample in ipairs(kept) do sample.identity = nil end
  listing.samples = kept
  note(listing, "links to folders that are read under another name", again.folder)
  note(listing, "names of files that are read under another name", again.file)
end

return same_files
