--- Results of a batch, put together from those of its parts.
-- @module secateur.attribution.merge_batches
local core = require "secateur.core"

local merge_batches = {}

-- Rows of the whole Tensor, made when its first part comes.
local function take_tensor(whole, part, first, total)
  local shape = part:shape()
  if not whole then
    shape[1] = total
    whole = core.zeros(table.unpack(shape))
  end
  whole:view(first, first + part:size(1) - 1):copy(part)
  return whole
end

--- Adds the part that starts with sample `first`: Tensors by rows, lists by entries, tables of these by key; anything
-- else is the same for all samples.
-- @tab whole so far, empty at first
-- @tab part
-- @int first from 1
-- @int total number of samples in all
-- @treturn table whole
function merge_batches.add(whole, part, first, total)
  for key, value in pairs(part) do
    if type(value) == "userdata" then
      whole[key] = take_tensor(whole[key], value, first, total)
    elseif type(value) == "table" and #value > 0 then
      whole[key] = table.move(value, 1, #value, first, whole[key] or {})
    elseif type(value) == "table" then
      whole[key] = merge_batches.add(whole[key] or {}, value, first, total)
    else
      whole[key] = value
    end
  end
  return whole
end

--- Frees the tensors of a part that has been added, without waiting for the collector.
-- @tab part
function merge_batches.release(part)
  for _, value in pairs(part) do
    if type(value) == "userdata" then
      value:close()
    elseif type(value) == "table" then
      merge_batches.release(value)
    end
  end
end

return merge_batches
