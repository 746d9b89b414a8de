--- The gradient of a batch from those of its pieces, and which process has which piece.
--
-- Rounding makes the order of a sum part of its result. So the sum over n pieces has one form: a binary tree over the
-- pieces in their order, split at the largest power of two below n (pairwise summation; Higham 2002, section 4.2), the
-- same whoever computes its leaves: 1 process or 8 give the same bits. A process computes a run of neighbouring pieces,
-- and partial sums travel only where a branch of the tree has two owners.
-- @module secateur.training.gradient_tree
local gradient_tree = {}

local Tree = {}
Tree.__index = Tree

--- Which of `count` pieces a rank has: as equal shares as can be, in order; where there are fewer pieces than ranks,
-- some have none.
-- @int count
-- @int rank from 0
-- @int size how many ranks
-- @treturn int the first
-- @treturn int the last, first - 1 where there is none
function gradient_tree.share(count, rank, size)
  return (count * rank + size - 1) // size + 1, (count * (rank + 1) + size - 1) // size
end

--- A tree over the gradients of an execution plan; it keeps the buffers, at most one per level.
-- @tparam ExecutionPlan execution_plan with params
-- @tparam ?Group group several ranks, or nil
-- @treturn table
function gradient_tree.new(execution_plan, group)
  return setmetatable({ execution_plan = execution_plan, gradients = execution_plan:gradients(), group = group,
    rank = group and group.rank or 0, size = group and group.size or 1, free = {} }, Tree)
end

-- The rank that has each piece.
local function owners(count, size)
  local list = {}
  for rank = 0, size - 1 do
    local first, last = gradient_tree.share(count, rank, size)
    for i = first, last do list[i] = rank end
  end
  return list
end

local function hold(self)
  local buffer = table.remove(self.free)
  if not buffer then return self.gradients:clone() end
  return buffer:copy(self.gradients)
end

local function add(self, held)
  self.execution_plan:add_gradients(held)
  self.free[#self.free + 1] = held
end

-- Brings the sum over pieces first..last into the plan of the rank that has the first of them.
local function reduce(self, first, last)
  local owner, me = self.owner, self.rank
  if me < owner[first] or me > owner[last] then return end
  if first == last then return self.compute(first) end
  local half = 1
  while 2 * half < last - first + 1 do half = 2 * half end
  local left, right = owner[first], owner[first + half]
  reduce(self, first, first + half - 1)
  local held = left == me and hold(self)
  reduce(self, first + half, last)
  if held and right ~= me then self.group:receive_tensor(right, self.gradients) end
  if held then add(self, held) end
  if right == me and left ~= me then self.group:send_tensor(left, self.gradients) end
end

--- Computes the pieces of this rank, in their order, and sums the gradients of all: the total is in the plan of
-- rank 0 then.
-- @int count of pieces
-- @tparam function compute function(i): leaves the gradient of piece i in the plan
function Tree:sum(count, compute)
  self.owner, self.compute = owners(count, self.size), compute
  reduce(self, 1, count)
end

--- Gives every rank the total.
function Tree:share_total()
  if self.group then self.group:broadcast_tensor(self.gradients, 0) end
end

return gradient_tree
