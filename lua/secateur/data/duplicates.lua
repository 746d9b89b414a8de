--- Images that lie in more than one split: equal files, or files that decode to equal pixels.
-- @module secateur.data.duplicates
local errors = require "secateur.util.errors"
local stratification = require "secateur.data.stratification"

local duplicates = {}

-- How many pairs a message names.
local NAMED = 3

-- Digest of each image of a source, in its order; false where it cannot be read.
local function digests_of(source)
  return source.digests and source:digests() or {}
end

-- Above so many images, looking takes long enough to be said.
local MANY = 20000

local function announce(parts, opts)
  local count = #parts.train.rows + #parts.val.rows + #parts.test.rows
  if count >= MANY and not opts.quiet then
    io.stderr:write(("looking for equal images among %d (on_duplicate = 'ignore' does not)\n"):format(count))
  end
end

-- Sets of equal images that are not all in one split: lists of `{split=, index=, name=, label=}`, in order of the
-- splits, then of the samples.
local function find(parts)
  local by_source, by_digest, found = {}, {}, {}
  for _, split in ipairs(stratification.names) do
    local part = parts[split]
    local digests = by_source[part.source] or digests_of(part.source)
    by_source[part.source] = digests
    for i, row in ipairs(part.rows) do
      local digest = digests[row]
      local set = digest and by_digest[digest]
      local entry = { split = split, index = i, name = part.names[i], label = part.labels[i] }
      if digest and not set then
        by_digest[digest] = { split = split, entry }
      elseif set then
        set[#set + 1] = entry
        if set.split ~= split and not set.found then
          set.found, found[#found + 1] = true, set
        end
      end
    end
  end
  return found
end

local function same_label(a, b)
  if type(a) ~= "table" then return a == b end
  return table.concat(a, " ") == table.concat(b, " ")
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

--- Looks for images that lie in more than one split, and does what `on_duplicate` says.
-- @tab parts as `dataset.new` takes; changed by "drop"
-- @tab opts `on_duplicate`: "warn", "error", "drop" or "ignore" (do not look)
-- @tab notes where to add what there is to say
-- @treturn table list of sets of equal images, each a list of `{split=, name=}`
function duplicates.check(parts, opts, notes)
  if opts.on_duplicate == "ignore" then return {} end
  announce(parts, opts)
  local found = find(parts)
  if #found == 0 then return found end
  local described = {}
  for i = 1, math.min(#found, NAMED) do described[i] = describe(found[i]) end
  if #found > NAMED then described[#described + 1] = ("and %d more (see .duplicates)"):format(#found - NAMED) end
  local text = ("equal images in more than one split (%d): %s"):format(#found, table.concat(described, "; "))
  if opts.on_duplicate == "error" then errors.raise("%s", text) end
  if opts.on_duplicate == "warn" then
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
