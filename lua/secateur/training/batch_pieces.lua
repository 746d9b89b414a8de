--- The batches of an epoch, cut into pieces: those that are run at once, and that processes share.
--
-- Of a data set, batches are cut by places in the epoch's order, so that the cut is known before an image is read: each
-- process reads its own pieces alone, and what cannot be read is missing in its piece, for one process as for many. Of
-- a split of somebody's own, whatever comes as a batch is cut; every process goes through all of it.
-- @module secateur.training.batch_pieces
local core = require "secateur.core"
local criterion = require "secateur.training.criterion"
local errors = require "secateur.util.errors"
local fingerprint = require "secateur.util.fingerprint"
local gradient_tree = require "secateur.training.gradient_tree"
local json = require "secateur.util.json"
local sampler = require "secateur.training.sampler"

local batch_pieces = {}

-- Which batches an epoch has.
local function batch_options(job, epoch)
  local opts = job.opts
  local wanted = { batch = opts.batch, seed = opts.seed, epoch = epoch, augment = opts.augment or nil,
    workers = opts.workers }
  if job.pools then
    wanted.order = sampler.draw(job.pools, job.data.train:count(), opts.seed, epoch)
  else
    wanted.shuffle = true
  end
  return wanted
end

-- A split of somebody's own might not know of `order`, and pass over it. Gives the place in it behind these samples, of
-- which some may be missing between: those that could not be decoded.
local function follow(order, place, kept)
  for _, index in ipairs(order and kept or {}) do
    repeat
      place = place + 1
    until order[place] == index or place > #order
  end
  if order and place > #order then
    errors.raise("data.train: expected samples in the order that was asked for, as sampler needs it")
  end
  return place
end

-- Pieces first..last of a batch that was read whole.
local function cut_whole(x, y, cuts, first, last)
  local own = {}
  for i = first, last do
    local from, to = cuts[i][1], cuts[i][2]
    own[i] = #cuts == 1 and { x = x, y = y } or { x = x:view(from, to), y = y:view(from, to) }
  end
  return own
end

-- Takes note of a batch that every rank has read, for the end of the epoch, when they compare what it was.
local function note_read(job, x, y)
  job.read_by_all = fingerprint.text(("%s %.17g %s"):format(job.read_by_all or "", x:sum(), json.encode(y:totable())))
end

local function whole_batches(job, wanted, most, rank, size)
  local place = 0
  local next_batch, state, control, closing = job.data.train:batches(wanted)
  return function()
    local x, y, kept = next_batch(state, control)
    control = x
    if not x then return nil end
    place = follow(wanted.order, place, kept)
    if size > 1 then note_read(job, x, y) end
    local cuts = criterion.pieces(#y, most)
    local first, last = gradient_tree.share(#cuts, rank, size)
    return { count = #cuts, first = first, last = last, own = cut_whole(x, y, cuts, first, last) }
  end, nil, nil, closing
end

-- Where the pieces of each batch are in the order, and the places that this rank reads, batch by batch.
local function cut_places(job, most, rank, size)
  local count, batch, batches, lists = job.data.train:count(), job.opts.batch, {}, {}
  for start = 0, count - 1, batch do
    local cuts = criterion.pieces(math.min(batch, count - start), most)
    local first, last = gradient_tree.share(#cuts, rank, size)
    local list = {}
    for place = first <= last and cuts[first][1] or 1, first <= last and cuts[last][2] or 0 do
      list[#list + 1] = start + place
    end
    if #list > 0 then lists[#lists + 1] = list end
    batches[#batches + 1] = { start = start, cuts = cuts, first = first, last = last }
  end
  return batches, lists
end

-- Of what was read of this rank's part of a batch, each piece; one that nothing could be read of is empty.
local function take_pieces(batch, read)
  local own, row = {}, 0
  for i = batch.first, batch.last do
    local from = row + 1
    while read and row < #read.places and read.places[row + 1] <= batch.start + batch.cuts[i][2] do row = row + 1 end
    own[i] = row >= from and { x = read.x:view(from, row), y = read.y:view(from, row) } or {}
  end
  return own
end

local function placed_batches(job, wanted, most, rank, size)
  local batches, lists = cut_places(job, most, rank, size)
  local train, number, ahead = job.data.train, 0, nil
  wanted.order = wanted.order or core.permutation(train:count(), core.mix(wanted.seed, wanted.epoch))
  wanted.shuffle, wanted.places = nil, lists
  local next_batch, closing
  if #lists > 0 then
    next_batch = train:batches(wanted)
    closing = next_batch -- stops the loading where the epoch ends early
  end
  local function read()
    local x, y, _, places = next_batch()
    return x and { x = x, y = y, places = places }
  end
  return function()
    number = number + 1
    local batch = batches[number]
    if not batch then return nil end
    if next_batch and not ahead then ahead = read() end
    local is_here = ahead and ahead.places[1] <= batch.start + batch.cuts[#batch.cuts][2]
    local found = { count = #batch.cuts, first = batch.first, last = batch.last,
      own = take_pieces(batch, is_here and ahead or nil) }
    if is_here then ahead = nil end
    return found
  end, nil, nil, closing
end

--- An epoch's batches, for a generic for.
-- @tab job
-- @int epoch
-- @treturn function iterator over batches: `count` pieces, of which this rank has `first`..`last` in `own`, by number:
--   `x` and `y`, both nil where none of its images could be read
function batch_pieces.batches(job, epoch)
  local opts, group = job.opts, job.group
  local wanted, most = batch_options(job, epoch), opts.micro_batch or opts.batch
  local rank, size = group and group.rank or 0, group and group.size or 1
  if job.data.train.shared and most < opts.batch then return placed_batches(job, wanted, most, rank, size) end
  return whole_batches(job, wanted, most, rank, size)
end

return batch_pieces
