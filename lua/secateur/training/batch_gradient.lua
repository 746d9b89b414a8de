--- Forward and backward pass of a batch, piece by piece; several processes have some of its pieces each.
-- @module secateur.training.batch_gradient
local core = require "secateur.core"
local criterion = require "secateur.training.criterion"
local gradient_tree = require "secateur.training.gradient_tree"

local batch_gradient = {}

local KNOWN, RESULT = "<jd", "<ddjj" -- images and their weight; share of the loss, then what criterion.score gives

-- The texts of all ranks as one: in the order of ranks, which is that of pieces.
local function join(group, text)
  return group and table.concat(group:all_gather(text)) or text
end

local function unpack_all(format, text)
  local list, place = {}, 1
  while place <= #text do
    local values = table.pack(string.unpack(format, text, place))
    place = values[values.n]
    list[#list + 1] = values
  end
  return list
end

--- What is needed for the batches of an epoch.
-- @tab job
-- @tparam ExecutionPlan execution_plan
-- @treturn table
function batch_gradient.new(job, execution_plan)
  local self = { job = job, execution_plan = execution_plan, group = job.group }
  local statistics = execution_plan:statistics()
  self.statistics = statistics and { last = statistics, width = statistics:numel() }
  return self
end

--- Counts a batch, over all ranks: how many images could be read, in all and piece by piece, and what they weigh.
-- @tab self
-- @tab batch
-- @treturn int
function batch_gradient.count(self, batch)
  local parts, images, weight = {}, 0, 0
  for i = batch.first, batch.last do
    local y = batch.own[i].y
    parts[#parts + 1] = KNOWN:pack(y and #y or 0, y and criterion.weight(self.job.criterion, y) or 0)
  end
  batch.sizes, batch.weights = {}, {}
  for i, known in ipairs(unpack_all(KNOWN, join(self.group, table.concat(parts)))) do
    batch.sizes[i], batch.weights[i] = known[1], known[2]
    images, weight = images + known[1], weight + known[2]
  end
  batch.total = weight
  return images
end

-- The batch statistics of pieces, a row each.
local function statistics_rows(self, batch)
  local kept = self.statistics
  if not kept.rows or kept.rows:size(1) < batch.count then kept.rows = core.zeros(batch.count, kept.width) end
  return kept.rows
end

local function statistics_row(self, batch, i)
  return statistics_rows(self, batch):view(i):reshape(self.statistics.width)
end

-- Runs a piece: its gradient is in the plan then. Gives what it adds to sums over samples.
local function run_piece(self, batch, i, seed)
  local piece, job, plan = batch.own[i], self.job, self.execution_plan
  if not piece.x then
    plan:clear_gradients()
    return RESULT:pack(0, 0, 0, 0)
  end
  local logits = plan:forward(piece.x, seed)
  local loss, dlogits = criterion.loss(job.criterion, logits, piece.y, batch.total)
  if loss - loss == 0 then plan:backward(dlogits) end
  if self.statistics then statistics_row(self, batch, i):copy(self.statistics.last) end
  return RESULT:pack(loss, criterion.score(job.criterion, logits, piece.y))
end

-- The rows of all ranks in those of each.
local function share_statistics(self, batch)
  local group, rows = self.group, statistics_rows(self, batch)
  for rank = 1, group.size - 1 do
    local first, last = gradient_tree.share(batch.count, rank, group.size)
    if first <= last and group.rank == rank then group:send_tensor(0, rows:view(first, last)) end
    if first <= last and group.rank == 0 then group:receive_tensor(rank, rows:view(first, last)) end
  end
  group:broadcast_tensor(rows:view(1, batch.count), 0)
end

-- Running averages change as one process would have changed them, piece after piece.
local function apply_statistics(self, batch)
  if not self.statistics then return end
  share_statistics(self, batch)
  for i = 1, batch.count do
    if batch.sizes[i] > 0 then
      self.execution_plan:update_statistics(statistics_row(self, batch, i), batch.sizes[i])
    end
  end
end

-- Adds what the pieces gave, in their order. Gives the loss of the batch.
local function add_results(batch, text, sums)
  local whole = 0
  for i, result in ipairs(unpack_all(RESULT, text)) do
    local loss, weight, right, count = table.unpack(result)
    whole = whole + loss
    -- The mean over the piece's samples, of which its share of the batch's loss is known.
    local mean = batch.count == 1 and loss or batch.weights[i] > 0 and loss * batch.total / batch.weights[i] or 0
    sums.loss = sums.loss + mean * weight
    sums.weight, sums.right, sums.count = sums.weight + weight, sums.right + right, sums.count + count
    sums.images = sums.images + batch.sizes[i]
  end
  return whole
end

--- The gradient of the batch's loss, which stays in the execution plan, of all ranks alike; nothing is said of it where
-- the loss is not finite.
-- @tab self
-- @tab batch counted
-- @int seed of dropout
-- @tab sums over the samples; the batch is added
-- @treturn number the loss
function batch_gradient.run(self, batch, seed, sums)
  local results = {}
  local function compute(i)
    results[#results + 1] = run_piece(self, batch, i, batch.count == 1 and seed or core.mix(seed, i))
  end
  if batch.count == 1 and not self.group then
    compute(1)
  else
    self.tree = self.tree or gradient_tree.new(self.execution_plan, self.group)
    self.tree:sum(batch.count, compute)
  end
  local loss = add_results(batch, join(self.group, table.concat(results)), sums)
  if loss - loss == 0 and self.group then
    apply_statistics(self, batch)
    self.tree:share_total()
  end
  return loss
end

return batch_gradient
