--- Runs a network over all calibration images part by part: what has been computed up to a layer is kept, within a
-- limit of bytes, and the next run begins there. So going through a network layer by layer costs little more than one
-- run.
-- @module secateur.pruning.repair.network_runner
local core = require "secateur.core"
local tensors = require "secateur.util.tensors"

local network_runner = {}

--- A network that is run part by part.
-- @type NetworkRunner
-- @field graph whose parameters may change between runs, behind what is kept
local NetworkRunner = {}
NetworkRunner.__index = NetworkRunner

local BYTES = 4 -- of a number

--- Begins at the images.
-- @tparam Graph graph
-- @tparam Images images see secateur.pruning.calibration
-- @int limit bytes that values kept between runs may take
-- @treturn NetworkRunner
function network_runner.new(graph, images, limit)
  local self = setmetatable({ graph = graph, images = images, limit = limit, nodes = graph:nodes(), index = {},
    last_reader = {} }, NetworkRunner)
  for i, node in ipairs(self.nodes) do
    self.index[node.name], self.last_reader[i] = i, 0
    for _, input in ipairs(node.inputs) do self.last_reader[self.index[input]] = i end
    if node.op == "input" then self.input = node.name end
  end
  self.last_reader[self.index[graph:output()]] = math.huge
  self.first, self.given = 0, { self.input } -- nodes below `first` are there, as far as later ones read them
  return self
end

-- The nodes before number `at` that it or later ones read, but those that come from parameters alone.
local function cut_at(self, at)
  local names, numbers = {}, 0
  for i = 1, at - 1 do
    local node = self.nodes[i]
    if self.last_reader[i] >= at and (#node.inputs > 0 or node.op == "input") then
      names[#names + 1], numbers = node.name, numbers + tensors.numel(node.shape)
    end
  end
  return names, numbers * BYTES
end

-- A plan of what lies between what is given and the nodes wanted.
local function make_plan(self, wanted)
  local graph, last = self.graph:copy(), 0
  for _, name in ipairs(wanted) do last = math.max(last, self.index[name]) end
  graph:output(self.nodes[last].name)
  return core.plan(graph, { batch = self.images.batch, given = self.given, keep = wanted })
end

-- Frees values that no later run begins with, but for images: those may be somebody else's.
local function close_values(self, values)
  for name, tensor in pairs(values) do
    if name ~= self.input then tensor:close() end
  end
end

-- What one batch leaves for the next run; tensors that it began with are taken over or closed.
local function keep_batch(self, plan, values, names)
  local kept = {}
  for _, name in ipairs(names) do
    kept[name] = values[name] or plan:value(name)
    values[name] = nil
  end
  close_values(self, values)
  return kept
end

-- Batches of the values that runs begin with.
local function each_batch(self)
  if self.batches then
    local i = 0
    return function()
      i = i + 1
      return self.batches[i]
    end
  end
  local step, _, _, closer = self.images:batches()
  return function()
    local x = step()
    return x and { [self.input] = x }
  end, nil, nil, closer
end

--- Runs all calibration images up to the nodes wanted. What nodes from number `at` on will read is kept for the next
-- run where it fits the limit; their values must not change any more.
-- @tparam {string,...} wanted names of nodes behind those that are kept
-- @int at number of a node of the graph, not below that of an earlier run
-- @func visit called for each batch with the plan that has run, and how many images there were before
-- @treturn int how many images there are
function NetworkRunner:run(wanted, at, visit)
  local names, bytes = cut_at(self, at)
  local keeps = at > self.first and bytes * self.images:count() <= self.limit
  local all, seen, kept = { table.unpack(wanted) }, 0, {}
  if keeps then table.move(names, 1, #names, #all + 1, all) end
  local plan <close> = make_plan(self, all)
  local batch = 0
  for values in each_batch(self) do
    batch = batch + 1
    local count = select(2, next(values)):size(1)
    plan:forward_from(values)
    visit(plan, seen)
    seen = seen + count
    if keeps then
      kept[batch] = keep_batch(self, plan, values, names)
      if self.batches then self.batches[batch] = {} end
    end
  end
  if keeps then self.batches, self.given, self.first = kept, names, at end
  return seen
end

--- Gives back what is kept.
function NetworkRunner:close()
  for _, values in ipairs(self.batches or {}) do close_values(self, values) end
  self.batches = {}
end

NetworkRunner.__close = NetworkRunner.close

return network_runner
