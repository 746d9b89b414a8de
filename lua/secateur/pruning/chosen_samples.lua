--- The samples that units are scored on, as the split that a function of one's own gets. They are chosen when something
-- of them is first looked at, since that may run the model on the whole split.
-- @module secateur.pruning.chosen_samples
local readable = require "secateur.data.readable"

local chosen_samples = {}

local function pick(list, indices)
  local picked = {}
  for i, index in ipairs(indices) do picked[i] = list[index] end
  return picked
end

-- Some samples of a split of one's own that has no `subset`: what `batch` alone can give.
local View = {}
View.__index = View

local function view_of(split, indices)
  local self = { whole = split, indices = indices, classes = split.classes, multi_label = split.multi_label,
    name = split.name, size = split.size, channels = split.channels, preparation = split.preparation }
  for _, list in ipairs { "labels", "names", "paths", "groups" } do
    if type(split[list]) == "table" then self[list] = pick(split[list], indices) end
  end
  return setmetatable(self, View)
end

--- How many samples there are.
function View:count() return #self.indices end

View.__len = View.count

--- A batch as a split's `read` gives it, nil where none can be read.
-- @tab positions
function View:read(positions)
  local wanted = pick(self.indices, positions)
  local x, y, kept = readable.batch(self.whole, wanted)
  if not x then return nil end
  return x, y, pick(positions, readable.positions(wanted, kept))
end

View.batch = View.read

--- Some of them.
-- @tab positions
function View:subset(positions) return view_of(self.whole, pick(self.indices, positions)) end

--- All of them in order, `batch` (32) at a time.
-- @tab[opt] opts
function View:batches(opts)
  local first, batch = 1, opts and opts.batch or 32
  return function()
    while first <= #self.indices do
      local positions = {}
      for i = first, math.min(first + batch - 1, #self.indices) do positions[#positions + 1] = i end
      first = first + batch
      local x, y, kept = self:read(positions)
      if x then return x, y, kept end
    end
  end
end

--- A split of the samples that `choose` gives, which is called when something of it is first looked at.
-- @tparam Split split that they are of; of one's own it needs no more than `batch`
-- @func choose () -> indices
-- @treturn Split with what a split has: count, labels, names, batch, batches, subset, ...
function chosen_samples.new(split, choose)
  local part
  local function resolve()
    if not part then
      local indices = choose()
      local plain = table.move(indices, 1, #indices, 1, {})
      part = split.subset and split:subset(plain) or view_of(split, plain)
    end
    return part
  end
  local proxy, called = {}, {}
  local function look_up(_, key)
    local value = resolve()[key]
    if type(value) ~= "function" then return value end
    called[value] = called[value] or function(self, ...)
      return value(rawequal(self, proxy) and resolve() or self, ...)
    end
    return called[value]
  end
  return setmetatable(proxy, { __name = "Split", __index = look_up,
    __newindex = function(_, key, value) resolve()[key] = value end,
    __len = function() return resolve():count() end,
    __tostring = function() return tostring(resolve()) end,
    __pairs = function() return pairs(resolve()) end })
end

return chosen_samples
