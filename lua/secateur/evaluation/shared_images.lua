--- Verbs whose images ranks share out: what could not be read is known to all ranks, and is said once, by rank 0.
-- @module secateur.evaluation.shared_images
local errors = require "secateur.util.errors"
local shares = require "secateur.mpi.shares"
local skipped = require "secateur.data.skipped"

local shared_images = {}

-- What pcall gave, once things are as they were.
local function finish(quiet, ok, ...)
  for split, before in pairs(quiet) do skipped.set_quiet(split, before) end
  if not ok then errors.rethrow((...)) end
  return ...
end

-- Calls a function while nothing is said of images of these splits.
local function call_quietly(splits, f, ...)
  local quiet = {}
  for _, split in ipairs(splits) do
    local before = skipped.set_quiet(split, true)
    if before ~= nil and quiet[split] == nil then quiet[split] = before end
  end
  return finish(quiet, errors.catch(f, ...))
end

--- Calls a function in which ranks wait for each other, see `mpi.together`, and in which rank 0 alone says which images
-- cannot be read. Without a group it is just called.
-- @tparam ?Group group
-- @tparam {Split,...} splits that are read
-- @func f
-- @param ... its arguments
-- @return what it gives
function shared_images.together(group, splits, f, ...)
  if not shares.are(group) or group.rank == 0 then return shares.together(group, f, ...) end
  return shares.together(group, call_quietly, splits, f, ...)
end

--- Has every rank know of the images that any of them could not read. All ranks call it.
-- @tparam ?Group group
-- @tparam Split split
-- @int known what `skipped.known` gave before they were read
function shared_images.join_skipped(group, split, known)
  if not shares.are(group) then return end
  skipped.join(split, known, shares.join(group, skipped.since(split, known)))
end

return shared_images
