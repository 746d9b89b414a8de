--- What the images of a data set are, in a few numbers each: those who go on with what others began notice by them that
-- images were replaced, or cut short. A guard against mistakes, not against forgery.
--
-- Of a file: its size, the time of its last change, and of some (or all) the CRC-32 of its bytes. Images without files
-- have a digest of their pixels in its place. Of splits of somebody's own nothing is known.
-- @module secateur.data.image_files
local core = require "secateur.core"
local errors = require "secateur.util.errors"
local options = require "secateur.util.options"

local image_files = {}

local SAMPLE = 64 -- files of a split whose bytes are looked at where not all are
local UNKNOWN = -1 -- in place of a checksum

--- The rule of the option `verify`.
image_files.rule = { one_of = { "quick", "full" }, default = "quick" }

-- Which of `count` files are read: all, or some, evenly spread, first and last among them.
local function choose(count, verify)
  local chosen, wanted = {}, math.min(count, SAMPLE)
  for i = 1, verify == "full" and count or wanted do
    local full = verify == "full" or wanted == 1
    chosen[full and i or 1 + (i - 1) * (count - 1) // (wanted - 1)] = true
  end
  return chosen
end

-- Size, time and checksum of a file, the last only on demand.
local function look_at(path, reads)
  local file <close> = core.file_open(path)
  local size = file:size()
  return { size, file:modified(), reads and file:crc32(0, size) or UNKNOWN }
end

-- Digests of the images of a source, as whole numbers, in its order.
local function digests_of(source)
  local numbers = {}
  for row, digest in ipairs(source:digests()) do
    numbers[row] = digest and tonumber(digest:sub(1, 15), 16) or UNKNOWN
  end
  return numbers
end

local function is_ours(split)
  return type(split) == "table" and split.shared and split.source and split.source.digests and split.rows and true
end

-- What is known of the images of a split, in its order: `reads[i]` says whether the i-th file is read.
local function describe(split, reads, by_source)
  local rows = {}
  if split.shared.files then
    for i, path in ipairs(split.paths) do rows[i] = look_at(path, reads[i]) end
    return rows
  end
  by_source[split.source] = by_source[split.source] or digests_of(split.source)
  for i, row in ipairs(split.rows) do rows[i] = { 0, 0, by_source[split.source][row] } end
  return rows
end

-- What tells a file from what it was: a text, or nil; and whether that is not known for certain.
local function compare(old, new)
  if old[1] ~= new[1] then return ("%d bytes, %d before"):format(new[1], old[1]) end
  if old[3] ~= UNKNOWN and new[3] ~= UNKNOWN then return old[3] ~= new[3] and "other content than before" or nil end
  if old[2] ~= new[2] then return "changed since, as its time says", true end
  return nil
end

-- Holds a split against what was known: lists of {path=, difference=}, certain and uncertain; of how many files the
-- content was not known; and how many have other times.
local function hold_against(split, old, new)
  local changed, doubtful, unread, retimed = {}, {}, 0, 0
  for i, row in ipairs(new) do
    local difference, uncertain = compare(old[i], row)
    if old[i][3] == UNKNOWN then unread = unread + 1 end
    if old[i][2] ~= row[2] then retimed = retimed + 1 end
    if difference then
      local list = uncertain and doubtful or changed
      list[#list + 1] = { path = split.paths[i], difference = difference }
    end
  end
  return changed, doubtful, unread, retimed
end

local function refuse(name, split, list, way_out)
  errors.raise("the images of %s are others than before: %d of %d, such as '%s' (%s)%s", name, #list, split:count(),
    list[1].path, list[1].difference, way_out or "")
end

local function verify_split(name, split, old, verify, by_source)
  local count, reads = split:count(), {}
  if #old ~= count then errors.raise("the images of %s are others than before: %d, not %d", name, count, #old) end
  for i, row in ipairs(old) do reads[i] = verify == "full" or row[3] ~= UNKNOWN end
  local new = describe(split, reads, by_source)
  local changed, doubtful, unread, retimed = hold_against(split, old, new)
  if #changed > 0 then refuse(name, split, changed) end
  -- One file that was written anew may be another image; if all were, those too whose content is known and the same,
  -- the data set was copied.
  local copied = #doubtful > 0 and retimed == count and unread < count
  if #doubtful > 0 and not copied then
    refuse(name, split, doubtful, "; what was in it is not known, since not all files were read (verify = 'full')")
  end
  local note = copied and ("all files of %s have other times than before; their sizes, and the content of %d of %d, "
    .. "are the same: taken for a copy"):format(name, count - unread, count) or nil
  return new, note
end

--- Holds the images of splits against what was known of them.
-- @tab splits name -> Split
-- @tab known name -> list, as this gave before; where a split is not in it, nothing is compared
-- @string verify "quick" reads the files whose content was read before (of a new split 64), "full" all
-- @treturn {[string]=table} name -> list of {size in bytes, time of the last change in ns, checksum, or -1}, as they
-- are now; splits of somebody's own are passed over
-- @treturn {string,...} sentences about what was assumed
-- @raise where images are others than before, or cannot be read
function image_files.verify(splits, known, verify)
  local now, notes, by_source = {}, {}, {}
  for _, name in ipairs(options.sorted_keys(splits)) do
    local split = splits[name]
    if is_ours(split) and known[name] then
      now[name], notes[#notes + 1] = verify_split(name, split, known[name], verify, by_source)
    elseif is_ours(split) then
      now[name] = describe(split, choose(split:count(), verify), by_source)
    end
  end
  return now, notes
end

return image_files
