--- How many images were left out because they could not be read: what every result says of the data that it is about.
-- @module secateur.data.skipped
local errors = require "secateur.util.errors"

local skipped = {}

-- Of a split of a data set: those of its own that could not be decoded.
local function count_known(split, seen)
  local shared, count = split.shared, 0
  if #shared.skipped == shared.skipped_before then return 0 end
  for _, path in ipairs(split.paths) do
    if shared.known[path] and not seen[path] then seen[path], count = true, count + 1 end
  end
  return count
end

local function is_ours(split)
  local shared = split.shared
  return type(shared) == "table" and shared.known and shared.skipped and split.paths and shared.skipped_before
end

--- Counts the images that were left out of some splits, as far as is known by now: those that their data sets left out
-- before there were splits, and those of the splits that could not be decoded since. Of splits of somebody's own, what
-- is in their list `skipped`.
-- @tparam Split ... any number of them
-- @treturn int
function skipped.count(...)
  local total, seen_of = 0, {}
  for _, split in ipairs { ... } do
    local ours = is_ours(split)
    local set = ours and split.shared or split.skipped
    if type(set) == "table" and not seen_of[set] then
      seen_of[set], total = {}, total + (ours and set.skipped_before or #set)
    end
    if ours then total = total + count_known(split, seen_of[set]) end
  end
  return total
end

-- The notes of a split's data set: a list that grows as images turn out to be unreadable; nil of splits of one's own,
-- whose lists are theirs.
local function notes_of(split) return type(split) == "table" and is_ours(split) and split.shared.skipped or nil end

--- Says that an image was left out, unless its data set is quiet.
-- @tab shared what the splits of the data set have in common
-- @tab note its `path` and `message`
function skipped.say(shared, note)
  if not shared.quiet then errors.warn("%s: skipped %s: %s", shared.name, note.path, note.message) end
end

--- Whether nothing is said of a split's images that cannot be read.
-- @tparam Split split
-- @bool quiet
-- @treturn ?boolean what it was before; nil of splits of one's own, of which nothing is said here
function skipped.set_quiet(split, quiet)
  if not notes_of(split) then return nil end
  local before = split.shared.quiet or false
  split.shared.quiet = quiet
  return before
end

--- How many images a split's data set has noted as unreadable by now: a mark for `since` and `join`.
-- @tparam Split split
-- @treturn int
function skipped.known(split)
  return #(notes_of(split) or {})
end

--- What was noted since a mark.
-- @tparam Split split
-- @int known the mark
-- @treturn {table,...} of `path` and `message`
function skipped.since(split, known)
  local found, notes = {}, notes_of(split) or {}
  for i = known + 1, #notes do found[#found + 1] = { path = notes[i].path, message = notes[i].message } end
  return found
end

--- Puts what several processes noted since a mark, one process after the other, in the place of what this one did,
-- and says what this one did not know.
-- @tparam Split split
-- @int known the mark
-- @tparam {table,...} found what all of them had `since` it
function skipped.join(split, known, found)
  local notes, own = notes_of(split), {}
  if not notes then return end
  local messages = split.shared.known
  for i = #notes, known + 1, -1 do
    own[notes[i].path], messages[notes[i].path], notes[i] = true, nil, nil
  end
  for _, note in ipairs(found) do
    if not messages[note.path] then
      messages[note.path], notes[#notes + 1] = note.message, note
      if not own[note.path] then skipped.say(split.shared, note) end
    end
  end
end

return skipped
