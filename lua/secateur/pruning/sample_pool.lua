--- The samples that a strategy chooses from. What the model says of them is computed when it is first looked at, for
-- the whole pool at once, and kept as long as the pool is.
-- @module secateur.pruning.sample_pool
local core = require "secateur.core"
local errors = require "secateur.util.errors"
local heads = require "secateur.models.heads"
local options = require "secateur.util.options"
local readable = require "secateur.data.readable"
local sample_measures = require "secateur.pruning.sample_measures"
local shared_images = require "secateur.evaluation.shared_images"
local shares = require "secateur.mpi.shares"
local skipped = require "secateur.data.skipped"

local sample_pool = {}

--- What is raised where a matrix is asked for that would have rows without an image: the strategy is to be called again
-- with a pool of what can be read.
sample_pool.again = setmetatable({}, { __name = "SamplingAgain", __tostring = function()
  return "sample: a strategy has to be called again, without images that cannot be read"
end })

local Pool = {}
Pool.__index = Pool

-- The node whose value the output layer reads.
local function penultimate(model)
  local node = model.graph:node(model.graph:output())
  while node.channels ~= "produce" and node.inputs[1] do node = model.graph:node(node.inputs[1]) end
  return node.inputs[1] or node.name
end

-- The indices of entries that have not turned out to be unreadable, each once.
local function indices_of(self)
  local indices, seen = {}, {}
  for _, entry in ipairs(self.entries) do
    local index = rawget(entry, "index")
    if not seen[index] and self.job.readable[index] ~= false then
      seen[index], indices[#indices + 1] = true, index
    end
  end
  return indices
end

-- A node's values [N x ...] as [N x D]: means over positions of [C x H x W], over tokens of [T x D].
local function pooled(value)
  local shape = value:shape()
  if #shape == 4 then return value:reshape(shape[1], shape[2], -1):mean(3) end
  if #shape == 3 then return value:mean(2) end
  return value:reshape(shape[1], -1)
end

-- Runs the model on samples of the split: index -> `logits`, `features`, `row`, as far as they are wanted.
local function run_model(job, indices, wanted)
  local plan, found = job.model:execution_plan(job.batch, { keep = wanted.nodes }), {}
  for x, _, positions in job.split:subset(indices):batches { batch = job.batch } do
    local output = plan:forward(x)
    local logits = wanted.first and output:totable()
    local features = wanted.first and plan:value(job.node)
    local rows = wanted.layer ~= nil and pooled(plan:value(wanted.layer))
    for i, position in ipairs(positions) do
      found[indices[position]] = { logits = logits and logits[i], features = features and features[i]:reshape(-1),
        row = rows and rows[i] }
    end
  end
  return found
end

-- The same, each rank a part.
local function run_shared(job, indices, wanted)
  local first, last = shares.range(job.group, #indices)
  local mine, known = table.move(indices, first, last, 1, {}), skipped.known(job.split)
  local found, all = #mine > 0 and run_model(job, mine, wanted) or {}, {}
  for _, said in pairs(found) do
    for _, key in ipairs { "features", "row" } do said[key] = said[key] and said[key]:totable() end
  end
  for _, part in ipairs(shares.all_gather(job.group, found)) do
    for index, said in pairs(part) do
      for _, key in ipairs { "features", "row" } do said[key] = said[key] and core.tensor(said[key]) or nil end
      all[index] = said
    end
  end
  shared_images.join_skipped(job.group, job.split, known)
  return all
end

-- Runs the model over the pool and keeps rows of nodes; the logits as well, when it is the first time.
local function run(self, layer)
  local job, first = self.job, not self.logits
  job.node = job.node or penultimate(job.model)
  local nodes, indices = {}, indices_of(self)
  if first then nodes[1] = job.node end
  if layer ~= nil and layer ~= nodes[1] then nodes[#nodes + 1] = layer end
  self.logits = self.logits or {}
  if layer ~= nil then self.layers[layer] = {} end
  local run_all = shares.are(job.group) and run_shared or run_model
  local found = run_all(job, indices, { nodes = nodes, first = first, layer = layer })
  for _, index in ipairs(indices) do
    local said = found[index]
    job.readable[index] = said ~= nil
    if said and first then self.logits[index], self.features[index] = said.logits, said.features end
    if said and layer ~= nil then self.layers[layer][index] = said.row end
  end
end

-- What the model says of an entry goes into its fields.
local function measure(self, entry)
  if not self.logits then run(self) end
  local logits, found = self.logits[entry.index], sample_measures.unknown
  if logits then
    found = sample_measures.of(heads.kind(self.job.model), logits, entry.label)
    if found.confidence ~= found.confidence then
      errors.refuse("sample", "model: expected finite logits, got others for sample %d", entry.index)
    end
  end
  for key, value in pairs(found) do rawset(entry, key, value) end
end

-- Each reads one field of an entry, when it is first looked at.
local readers = {}

for _, key in ipairs { "probabilities", "confidence", "margin", "entropy", "loss" } do
  readers[key] = function(self, entry)
    if rawget(entry, "confidence") == nil then measure(self, entry) end
    return rawget(entry, key)
  end
end

function readers.features(self, entry)
  if not self.logits then run(self) end
  measure(self, entry) -- of logits that are no numbers, features are no help
  rawset(entry, "features", self.features[entry.index])
  return rawget(entry, "features")
end

-- The image as the model sees it; held as long as the strategy holds it.
function readers.image(self, entry)
  local image = self.images[entry.index]
  if image then return image end
  local x = self.job.readable[entry.index] ~= false and readable.batch(self.job.split, { entry.index })
  self.job.readable[entry.index] = x and true or false
  if not x then return nil end
  self.images[entry.index] = x[1]
  return self.images[entry.index]
end

for key, list in pairs { path = "paths", name = "names", group = "groups" } do
  readers[key] = function(self, entry)
    local of_split = self.job.split[list]
    return of_split and of_split[entry.index] or nil
  end
end

--- What an entry has; `weight` is the strategy's to set.
sample_pool.fields = { "index", "label", "weight" }
for key in pairs(readers) do table.insert(sample_pool.fields, key) end
table.sort(sample_pool.fields)

local known = {}
for _, key in ipairs(sample_pool.fields) do known[key] = true end

local function refuse_typo(key)
  local hint = not known[key] and options.suggest(key, sample_pool.fields) or ""
  if hint ~= "" then errors.refuse("sample", "sampling: an entry of the pool has no field '%s'%s", key, hint) end
end

--- A pool.
-- @tab job of `sample`: `model`, `split`, `batch`, `readable` (index -> whether it can be read, where that is known)
-- @tparam {table,...} groups of the split, see secateur.data.label_groups
-- @treturn table `entries`, group after group in the order of the split
function sample_pool.new(job, groups)
  local self = setmetatable({ job = job, entries = {}, features = {}, layers = {},
    images = setmetatable({}, { __mode = "v" }) }, Pool)
  local meta = { __name = "PoolEntry", __index = function(entry, key)
    local read = readers[key]
    if read then return read(self, entry) end
    return refuse_typo(key)
  end }
  for _, group in ipairs(groups) do
    for _, index in ipairs(group.indices) do
      self.entries[#self.entries + 1] = setmetatable({ index = index, label = group.label }, meta)
    end
  end
  return self
end

local function check_layer(self, layer)
  local graph = self.job.model.graph
  if type(layer) == "string" and graph:node(layer) then return end
  local names = {}
  for _, node in ipairs(graph:nodes()) do names[#names + 1] = node.name end
  errors.refuse("sample", "sampling: ctx:features: layer: expected the name of a node of the model, got %s%s",
    options.describe(layer), options.suggest(layer, names))
end

--- Values of a node for some entries, a row each.
-- @tparam {table,...} entries of the pool
-- @string[opt] layer name of a node; what the output layer reads by default, as it is; others are averaged over
--   positions
-- @treturn Tensor [n x d]
function Pool:matrix(entries, layer)
  if layer ~= nil then check_layer(self, layer) end
  if layer == nil and not self.logits or layer ~= nil and not self.layers[layer] then run(self, layer) end
  local by_index, rows = layer == nil and self.features or self.layers[layer], {}
  for i, entry in ipairs(entries) do
    rows[i] = by_index[entry.index]
    if not rows[i] then errors.rethrow(sample_pool.again) end
    measure(self, entry)
  end
  if #rows == 0 then errors.refuse("sample", "sampling: ctx:features: expected at least one entry, got none") end
  local matrix = core.zeros(#rows, rows[1]:numel())
  for i, row in ipairs(rows) do matrix[i]:copy(row) end
  return matrix
end

return sample_pool
