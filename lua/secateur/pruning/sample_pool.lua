--- The samples that a strategy chooses from. What the model says of them is computed when it is first looked at, for
-- the whole pool at once (in a composition, for all that the part at work was given), and kept as long as the pool is,
-- or as the caller's table of what is known.
-- @module secateur.pruning.sample_pool
local core = require "secateur.core"
local errors = require "secateur.util.errors"
local heads = require "secateur.models.heads"
local options = require "secateur.util.options"
local readable = require "secateur.data.readable"
local sample_measures = require "secateur.pruning.sample_measures"
local sample_memory = require "secateur.pruning.sample_memory"
local shared_images = require "secateur.evaluation.shared_images"
local shares = require "secateur.mpi.shares"
local skipped = require "secateur.data.skipped"

local sample_pool = {}

--- What is raised where a strategy looks at what an image that cannot be read does not have: it is to be called again
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

-- The indices of entries of which a node's values are not known yet, each once; none that turned out to be unreadable.
local function unknown_indices(self, entries, known)
  local indices, seen = {}, {}
  for _, entry in ipairs(entries) do
    local index = self.identities[entry].index
    if not seen[index] and known[index] == nil and self.job.readable[index] ~= false then
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

-- Keeps what the model said of a sample. The logits last: who has these has features, wherever memory runs out.
local function keep(kept, index, said, layer)
  for _, key in ipairs { "features", "row" } do
    if said[key] then kept.bytes = kept.bytes + 4 * said[key]:numel() end
  end
  if layer ~= nil then kept.layers[layer][index] = said.row end
  if said.logits then kept.features[index] = said.features end
  kept.logits[index] = said.logits or kept.logits[index]
end

-- Runs the model over entries and keeps rows of nodes; the logits as well, when it is the first time.
local function run(self, entries, layer)
  local job, nodes, first = self.job, {}, false
  local indices = unknown_indices(self, entries, layer == nil and self.said.logits or self.said.layers[layer])
  if #indices == 0 then return end
  for _, index in ipairs(indices) do first = first or not self.said.logits[index] end
  job.node = job.node or penultimate(job.model)
  if first then nodes[1] = job.node end
  if layer ~= nil and layer ~= nodes[1] then nodes[#nodes + 1] = layer end
  local run_all = shares.are(job.group) and run_shared or run_model
  local found = run_all(job, indices, { nodes = nodes, first = first, layer = layer })
  for _, index in ipairs(indices) do
    local said = found[index]
    job.readable[index] = said ~= nil
    if said then keep(self.said, index, said, layer) end
  end
end

-- What the model says of an entry; nil where it cannot be read. Runs the model over what the part at work was given,
-- and where the entry is none of these, over the whole pool.
local function look_up(self, entry, values, layer)
  local index = self.identities[entry].index
  for _, entries in ipairs { self.scope, self.entries } do
    if values[index] ~= nil or self.job.readable[index] == false then break end
    run(self, entries, layer)
  end
  return values[index]
end

-- What the model says of an entry goes into its fields, unless the strategy wrote something there.
local function measure(self, entry)
  local identity = self.identities[entry]
  if identity.measured then return end
  local logits, found = look_up(self, entry, self.said.logits), sample_measures.unknown
  if logits then
    found = sample_measures.of(heads.kind(self.job.model), logits, identity.label)
    if found.confidence ~= found.confidence then
      errors.refuse("sample", "model: expected finite logits, got others for sample %d", identity.index)
    end
  end
  identity.measured = true
  for key, value in pairs(found) do
    if rawget(entry, key) == nil then rawset(entry, key, value) end
  end
end

-- Each reads one field of an entry, when it is first looked at.
local readers = {}

for _, key in ipairs { "confidence", "margin", "entropy", "loss", "probabilities" } do
  readers[key] = function(self, entry)
    measure(self, entry)
    local value = rawget(entry, key)
    if value == nil and key == "probabilities" and self.job.readable[self.identities[entry].index] == false then
      errors.rethrow(sample_pool.again)
    end
    return value
  end
end

function readers.features(self, entry)
  measure(self, entry) -- of logits that are no numbers, features are no help
  local features = self.said.features[self.identities[entry].index]
  if not features then errors.rethrow(sample_pool.again) end
  rawset(entry, "features", self.job.known and features:clone() or features) -- others' are not the strategy's to write
  return rawget(entry, "features")
end

-- The image as the model sees it; held as long as the strategy holds it. Where one cannot be read, all are tried before
-- the strategy is called again, so that it is not called for each of them.
function readers.image(self, entry)
  local index, job = self.identities[entry].index, self.job
  local image = self.images[index]
  if image then return image end
  local x = job.readable[index] ~= false and readable.batch(job.split, { index })
  job.readable[index] = x and true or false
  if not x then
    local all = {}
    for i, other in ipairs(self.scope) do all[i] = self.identities[other].index end
    readable.first(job.split, all, #all, job.batch, job.readable)
    errors.rethrow(sample_pool.again)
  end
  self.images[index] = x[1]
  return self.images[index]
end

for key, list in pairs { path = "paths", name = "names", group = "groups" } do
  readers[key] = function(self, entry)
    local of_split = self.job.split[list]
    return of_split and of_split[self.identities[entry].index] or nil
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
-- @tab job of `sample`: `model`, `split`, `batch`, `readable` (index -> whether it can be read, where that is known),
--   `known` (see secateur.pruning.sample_memory)
-- @tparam {table,...} groups of the split, see secateur.data.label_groups
-- @treturn table `entries`, group after group in the order of the split; `scope`, to be set: those that a strategy is
--   given, which the model is run on when it looks at one
function sample_pool.new(job, groups)
  local self = setmetatable({ job = job, entries = {}, identities = {}, by_index = {},
    said = sample_memory.tables(job.known), images = setmetatable({}, { __mode = "v" }) }, Pool)
  self.scope = self.entries
  local meta = { __name = "PoolEntry", __index = function(entry, key)
    local read = readers[key]
    if read then return read(self, entry) end
    return refuse_typo(key)
  end }
  for _, group in ipairs(groups) do
    for _, index in ipairs(group.indices) do
      local entry = setmetatable({ index = index, label = group.label }, meta)
      self.entries[#self.entries + 1], self.identities[entry] = entry, { index = index, label = group.label }
      self.by_index[index] = self.by_index[index] or entry
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

-- The entry that an item of a list stands for: it itself, or its index.
local function find_entry(self, item, name, position)
  if self.identities[item] then return item end
  if self.by_index[item] then return self.by_index[item] end
  errors.refuse("sample", "sampling: ctx:%s: entries: expected entries or indices of the pool, got %s at %d", name,
    options.describe(item), position)
end

--- Values of a node for some entries, a row each.
-- @tparam {table,...} entries of the pool, or indices
-- @string[opt] layer name of a node; what the output layer reads by default, as it is; others are averaged over
--   positions
-- @treturn Tensor [n x d]
function Pool:matrix(entries, layer)
  if layer ~= nil then
    check_layer(self, layer)
    self.said.layers[layer] = self.said.layers[layer] or {}
  end
  local name, rows = layer == nil and "features_matrix" or "features", {}
  for i, item in ipairs(entries) do
    local entry = find_entry(self, item, name, i)
    rows[i] = look_up(self, entry, layer == nil and self.said.features or self.said.layers[layer], layer)
    if not rows[i] then errors.rethrow(sample_pool.again) end
    measure(self, entry)
  end
  if #rows == 0 then errors.refuse("sample", "sampling: ctx:%s: expected at least one entry, got none", name) end
  local matrix = core.zeros(#rows, rows[1]:numel())
  for i, row in ipairs(rows) do matrix[i]:copy(row) end
  return matrix
end

--- Raises where a strategy wrote over what entries are known by: what it chose would be something else.
function Pool:check_identities()
  for _, entry in ipairs(self.entries) do
    for _, key in ipairs { "index", "label" } do
      local value, is = rawget(entry, key), self.identities[entry][key]
      if value ~= is then
        errors.refuse("sample", "sampling: expected the field '%s' of entries as it is, got %s in place of %d; fields "
          .. "of one's own need other names", key, options.describe(value), is)
      end
    end
  end
end

return sample_pool
