--- Images that lie in more than one split: equal files, or files that decode to equal pixels.
-- @module secateur.data.duplicates
local equal_files = require "secateur.data.equal_files"
local errors = require "secateur.util.errors"
local stratification = require "secateur.data.stratification"

local duplicates = {}

-- How many pairs a message names.
local NAMED = 3

-- For each source, row -> digest of that image, false where it cannot be read; of those rows that are in a part.
local function row_digests(parts)
  local rows, known = {}, {}
  for _, split in ipairs(stratification.names) do
    local source = parts[split].source
    rows[source], known[source] = rows[source] or {}, known[source] or {}
    for _, row in ipairs(parts[split].rows) do
      if known[source][row] == nil then
        known[source][row] = false
        table.insert(rows[source], row)
      end
    end
  end
  for source, list in pairs(rows) do
    local digests = source:digests(list)
    for i, row in ipairs(list) do known[source][row] = digests[i] end
  end
  return known
end

-- For each part, its samples' digests: of the pixels, or where `paths` are given the numbers of sets of equal files.
local function part_digests(parts, paths)
  local sets, by_source, result = paths and equal_files.sets(paths), not paths and row_digests(parts), {}
  for _, split in ipairs(stratification.names) do
    local part, list = parts[split], {}
    for i, row in ipairs(part.rows) do
      list[i] = sets and sets[part.paths[i]] or by_source and by_source[part.source][row] or false
    end
    result[split] = list
  end
  return result
end

-- Of more bytes than this the pixels are not looked at unless asked for: decoding takes minutes.
local MOST_BYTES = 1 << 30

-- The paths of a data set too large to decode for this, or nil.
local function too_many(parts, most)
  local paths = {}
  for _, split in ipairs(stratification.names) do
    for _, path in ipairs(parts[split].paths or {}) do paths[#paths + 1] = path end
  end
  return equal_files.total(paths) > most and paths or nil
end

local function same_label(a, b)
  if type(a) ~= "table" then return a == b end
  return table.concat(a, " ") == table.concat(b, " ")
end

-- Sets of equal images, lists of `{split=, index=, name=, label=}` in order of the splits, then of the samples: those
-- that are not all in one split, and of the others those whose labels differ.
local function find(parts, paths)
  local by_part, by_digest, found, all = part_digests(parts, paths), {}, {}, {}
  for _, split in ipairs(stratification.names) do
    local part = parts[split]
    for i, digest in ipairs(by_part[split]) do
      local set = digest and by_digest[digest]
      local entry = { split = split, index = i, name = part.names[i], label = part.labels[i] }
      if digest and not set then
        set = { split = split, entry }
        by_digest[digest], all[#all + 1] = set, set
      elseif set then
        set[#set + 1] = entry
        set.other = set.other or not same_label(set[1].label, entry.label) and entry or nil
        if set.split ~= split and not set.found then
          set.found, found[#found + 1] = true, set
        end
      end
    end
  end
  local contradicting = {}
  for _, set in ipairs(all) do
    if set.other and not set.found then contradicting[#contradicting + 1] = set end
  end
  return found, contradicting
end

-- Says which images of a split are there under two labels.
local function note_contradicting(sets)
  local described = {}
  for i = 1, math.min(#sets, NAMED) do
    described[i] = ("%s %s = %s"):format(sets[i].split, sets[i][1].name, sets[i].other.name)
  end
  if #sets > NAMED then described[#described + 1] = ("and %d more"):format(#sets - NAMED) end
  return #sets > 0 and ("equal images under different labels in one split (%d): %s"):format(#sets,
    table.concat(described, "; ")) or nil
end

-- "train a.png = test b.png"
local function describe(set)
  local first, other = set[1], nil
  for _, entry in ipairs(set) do
    if entry.split ~= first.split then other = other or entry end
  end
  return ("%s %s = %s %s%s"):format(first.split, first.name, other.split, other.name,
    same_label(first.label, other.label) and "" or " (under another label)")
end

-- Takes images out of all splits but the last that has them: test, else val.
local function drop(parts, found)
  local out, count = { train = {}, val = {}, test = {} }, 0
  for _, set in ipairs(found) do
    for _, entry in ipairs(set) do
      if entry.split ~= set[#set].split then out[entry.split][entry.index], count = true, count + 1 end
    end
  end
  for split, gone in pairs(out) do
    local part = parts[split]
    for key, list in pairs(part) do
      if key ~= "source" then
        local kept = {}
        for i, value in ipairs(list) do
          if not gone[i] then kept[#kept + 1] = value end
        end
        part[key] = kept
      end
    end
  end
  return count
end

--- Looks for images that lie in more than one split, and does what `on_duplicate` says. Those of one split that have
-- different labels are said.
-- @tab parts as `dataset.new` takes; changed by "drop"
-- @tab opts `on_duplicate`: "warn", "error", "drop" or "ignore" (do not look); nil: "warn", but in a set of many bytes
--   only files of equal bytes are found
-- @tab notes where to add what there is to say
-- @int[opt] most how many bytes are many (1 GiB)
-- @treturn table list of sets of equal images, each a list of `{split=, name=}`
function duplicates.check(parts, opts, notes, most)
  local wanted = opts.on_duplicate or "warn"
  if wanted == "ignore" then return {} end
  local paths = not opts.on_duplicate and too_many(parts, most or MOST_BYTES) or nil
  local found, contradicting = find(parts, paths)
  if paths then
    notes[#notes + 1] = "equal images were looked for by the bytes of files alone, as there are many; on_duplicate = "
      .. "'warn' compares pixels"
  end
  table.insert(notes, note_contradicting(contradicting))
  if #found == 0 then return found end
  local described = {}
  for i = 1, math.min(#found, NAMED) do described[i] = describe(found[i]) end
  if #found > NAMED then described[#described + 1] = ("and %d more (see .duplicates)"):format(#found - NAMED) end
  local text = ("equal images in more than one split (%d): %s"):format(#found, table.concat(described, "; "))
  if wanted == "error" then errors.raise("%s", text) end
  if wanted == "warn" then
    notes[#notes + 1] = text .. "; on_duplicate = 'drop' keeps each in the last split: test, else val"
  else
    notes[#notes + 1] = ("%s; images left out of the earlier split: %d"):format(text, drop(parts, found))
  end
  local plain = {}
  for i, set in ipairs(found) do
    plain[i] = {}
    for k, entry in ipairs(set) do plain[i][k] = { split = entry.split, name = entry.name } end
  end
  return plain
end

return duplicates
