--- What a model said of the images of a split, kept from one call of `sample` to the next: whoever compares strategies
-- runs the model once.
-- @module secateur.pruning.sample_memory
local fingerprint = require "secateur.util.fingerprint"

local sample_memory = {}

-- As many bytes of values are kept; classes looked at later are run each time.
local LIMIT = 0x10000000

--- Makes a table of the caller's ready for a model and a split: what it has of others is dropped.
-- @tab[opt] known
-- @tparam Model model
-- @tparam Split split
-- @treturn ?table known
function sample_memory.open(known, model, split)
  if not known then return nil end
  local text = fingerprint.model(model)
  if known.model ~= text or known.split ~= split then
    for key in pairs(known) do known[key] = nil end
    known.model, known.split, known.bytes = text, split, 0
    known.logits, known.features, known.layers = {}, {}, {}
  end
  return known
end

--- The tables that a pool writes to: those kept while there is room, else its own.
-- @tab[opt] known
-- @treturn table `logits`, `features`, `layers`
function sample_memory.tables(known)
  if known and known.bytes < LIMIT then return known end
  return { bytes = 0, logits = {}, features = {}, layers = {} }
end

return sample_memory
