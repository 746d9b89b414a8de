--- A split whose images are a Tensor, with what the verbs use of a real one. Counts the images that it hands out.
local core = require "secateur.core"

local MemorySplit = {}
MemorySplit.__index = MemorySplit

--- x [N x C x S x S]; labels a list, for several findings of lists; opts: classes (names), unreadable (set of
-- indices), counter (shared by subsets).
local function new(x, labels, opts)
  local counter = opts.counter or { images = 0 }
  return setmetatable({ x = x, labels = labels, classes = opts.classes, channels = x:size(2), size = x:size(3),
    multi_label = type(labels[1]) == "table" or nil, unreadable = opts.unreadable or {}, counter = counter,
    name = "memory" }, MemorySplit)
end

function MemorySplit:count()
  return #self.labels
end

local function gather(x, indices) return x:take(1, indices) end

function MemorySplit:subset(indices)
  local labels, unreadable = {}, {}
  for i, index in ipairs(indices) do labels[i], unreadable[i] = self.labels[index], self.unreadable[index] end
  return new(gather(self.x, indices), labels, { classes = self.classes, unreadable = unreadable,
    counter = self.counter })
end

function MemorySplit:batch(indices)
  local kept, labels = {}, {}
  for _, index in ipairs(indices) do
    if not self.unreadable[index] then kept[#kept + 1], labels[#labels + 1] = index, self.labels[index] end
  end
  self.counter.images = self.counter.images + #kept
  if #kept == 0 then return nil end
  return gather(self.x, kept), core.tensor(labels, not self.multi_label and "int64" or nil), kept
end

function MemorySplit:batches(opts)
  local first = 1
  return function()
    while first <= #self.labels do
      local indices = {}
      for i = first, math.min(first + opts.batch - 1, #self.labels) do indices[#indices + 1] = i end
      first = first + opts.batch
      local x, y, kept = self:batch(indices)
      if x then return x, y, kept end
    end
  end
end

return new
