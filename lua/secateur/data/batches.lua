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

--- Starts loading.
-- @tparam Split split
-- @tab opts as `split:batches` takes them, complete
-- @tab pixels size, channels, mean, std
-- @treturn table callable; `:close()` stops the loading
function batches.new(split, opts, pixels)
  local order, rows = make_order(split:count(), opts), {}
  for i, index in ipairs(order) do rows[i] = split.rows[index] end
  local wanted = { indices = rows, batch = opts.batch, augment = opts.augment, seed = opts.seed, epoch = opts.epoch,
    workers = opts.workers, prefetch = opts.prefetch }
  for key, value in pairs(pixels) do wanted[key] = value end
  return setmetatable({ split = split, order = order, loader = core.image_loader(split.source, wanted) }, Batches)
end

-- The next batch with anything in it.
local function advance(self)
  while self.loader do
    local x, positions, failures = self.loader:next()
    if not x then break end
    local images, labels, kept = self.split:assemble(self.order, x, positions, failures)
    if images then return images, labels, kept end
  end
  self:close()
  return nil
end

function Batches:__call()
  local x, y, kept = errors.within("batches", advance, self)
  return x, y, kept
end

--- Stops the background work; the iterator gives nothing more. Calling it again does nothing.
function Batches:close()
  local loader = self.loader
  self.loader = nil
  if loader then loader:close() end
end

Batches.__close = Batches.close

return batches
