--- The iterator behind `split:batches`: an order, a background loader, and the mapping from positions to samples.
-- @module secateur.data.batches
local core = require "secateur.core"
local errors = require "secateur.util.errors"

local batches = {}

local Batches = { __name = "Batches" }
Batches.__index = Batches

local function make_order(count, opts)
  if opts.order then return opts.order end
  if opts.shuffle then return core.permutation(count, core.mix(opts.seed, opts.epoch)) end
  local order = {}
  for i = 1, count do order[i] = i end
  return order
end

-- What the loader is told of those places in the order that are wanted: batch after batch, and how often each sample
-- has come before, which is counted in the whole order.
local function choose_places(order, lists)
  local seen, before = {}, {}
  for place, index in ipairs(order) do
    before[place] = seen[index] or 0
    seen[index] = before[place] + 1
  end
  local chosen = { order = {}, places = {}, repeats = {}, sizes = {} }
  for i, list in ipairs(lists) do
    chosen.sizes[i] = #list
    for _, place in ipairs(list) do
      local n = #chosen.order + 1
      chosen.order[n], chosen.places[n], chosen.repeats[n] = order[place], place, before[place]
    end
  end
  return chosen
end

--- Starts loading.
-- @tparam Split split
-- @tab opts as `split:batches` takes them, complete
-- @tab pixels size, channels, mean, std
-- @treturn table callable; `:close()` stops the loading
function batches.new(split, opts, pixels)
  local order, rows, chosen = make_order(split:count(), opts), {}, {}
  if opts.places then
    chosen = choose_places(order, opts.places)
    order = chosen.order
  end
  for i, index in ipairs(order) do rows[i] = split.rows[index] end
  local wanted = { indices = rows, batch = opts.batch, augment = opts.augment, seed = opts.seed, epoch = opts.epoch,
    workers = opts.workers, prefetch = opts.prefetch, repeats = chosen.repeats, sizes = chosen.sizes }
  for key, value in pairs(pixels) do wanted[key] = value end
  return setmetatable({ split = split, order = order, places = chosen.places,
    loader = core.image_loader(split.source, wanted) }, Batches)
end

local function places_of(self, positions)
  local list = {}
  for i, position in ipairs(positions) do list[i] = self.places[position] end
  return list
end

-- The next batch with anything in it.
local function advance(self)
  while self.loader do
    local x, positions, failures = self.loader:next()
    if not x then break end
    local images, labels, kept = self.split:assemble(self.order, x, positions, failures)
    if images then return images, labels, kept, self.places and places_of(self, positions) end
  end
  self:close()
  return nil
end

function Batches:__call()
  local x, y, kept, places = errors.within("batches", advance, self)
  return x, y, kept, places
end

--- Stops the background work; the iterator gives nothing more. Calling it again does nothing.
function Batches:close()
  local loader = self.loader
  self.loader = nil
  if loader then loader:close() end
end

Batches.__close = Batches.close

return batches
