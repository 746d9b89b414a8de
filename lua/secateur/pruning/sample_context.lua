--- What a sampling strategy knows besides its pool: the `ctx` of `sample`.
-- @module secateur.pruning.sample_context
local core = require "secateur.core"
local errors = require "secateur.util.errors"
local methods = require "secateur.util.methods"
local options = require "secateur.util.options"
local random_numbers = require "secateur.util.random_numbers"

local sample_context = {}

local STREAM = 0x73616d -- of ctx.random, apart from what else is drawn from the same seed

--- The label that seeds go by where a strategy sees all classes at once.
sample_context.ALL = -1

-- Context -> what stands behind it: `job`, `source` (the pool), `entries`, `label`, `salt`.
local states = setmetatable({}, { __mode = "k" })

--- What a sampling strategy knows besides its pool. Fields: `model`, `split`; `classes` (names); `class`,
-- `class_name` (whose pool it is; nil where the strategy has scope "all"); `per_class`; `count` (how many are taken at
-- most: `per_class`, or of all classes as many times that as there are classes); `seed`; `random` (see Random).
-- @type SamplingContext
local Context = { __name = "SamplingContext" }

local fields = { "model", "split", "classes", "class", "class_name", "per_class", "count", "seed", "random", "shuffle",
  "kmeans", "features", "features_matrix" }

function Context.__index(_, key)
  local method = rawget(Context, key)
  if method then return method end
  for _, known in ipairs(fields) do
    if known == key then return nil end
  end
  local hint = options.suggest(key, fields)
  if hint ~= "" then errors.refuse("sample", "sampling: ctx has no field '%s'%s", tostring(key), hint) end
  return nil
end

local function check_entries(given, name)
  if type(given) == "table" then return given end
  errors.refuse("sample", "sampling: ctx:%s: entries: expected a list, got %s", name, options.describe(given))
end

--- What the output layer reads, of the whole pool: computed once, with what else the model says.
-- @tparam[opt] {table,...} entries of the pool, or indices; by default all, in the order in which the function was
--   given them
-- @treturn Tensor [n x d], a row per entry. Images that turn out to be unreadable have none: the strategy is called
--   again with a pool without them
-- @usage
-- local function spread(pool, ctx)
--   local chosen = {}
--   for i, row in ipairs(sc.cluster.k_centre(ctx:features_matrix(), math.min(#pool, ctx.count))) do
--     chosen[i] = pool[row]
--   end
--   return chosen
-- end
function Context:features_matrix(entries)
  local state = states[self]
  if entries == nil then
    state.matrix = state.matrix or state.source:matrix(state.entries)
    return state.matrix
  end
  return state.source:matrix(check_entries(entries, "features_matrix"))
end

--- Values of any node of the model, averaged over positions ([C x H x W] to [C], tokens [T x D] to [D]).
-- @string layer name of a node, as `print(model.graph)` lists them
-- @tparam[opt] {table,...} entries as in `features_matrix`
-- @treturn Tensor [n x d], a row per entry
-- @usage
-- local early = ctx:features "features.3"
function Context:features(layer, entries)
  local state = states[self]
  if layer == nil then
    errors.refuse("sample", "sampling: ctx:features: layer: missing; what the output layer reads is "
      .. "ctx:features_matrix()")
  end
  return state.source:matrix(entries == nil and state.entries or check_entries(entries, "features"), layer)
end

methods.guard(Context, nil, "ctx")

-- The list that a function is called with by a dot.
local function check_list(list, name)
  if type(list) == "table" and getmetatable(list) ~= Context then return list end
  errors.refuse("sample", "sampling: ctx.%s: expected a list, got %s%s", name, options.describe(list),
    type(list) == "table" and "; is there a colon in place of a dot?" or "")
end

local count_rule = { type = "integer", min = 1, required = true }

-- Functions that are called with a dot.
local function add_functions(ctx, seed)
  function ctx.shuffle(list)
    local shuffled = {}
    for i, from in ipairs(core.permutation(#check_list(list, "shuffle"), seed)) do shuffled[i] = list[from] end
    return shuffled
  end

  function ctx.kmeans(entries, k)
    local features = {}
    for i, entry in ipairs(check_list(entries, "kmeans")) do
      features[i] = type(entry) == "table" and entry.features
      if not features[i] then
        errors.refuse("sample", "sampling: ctx.kmeans: expected entries of the pool, got %s at %d",
          options.describe(entry), i)
      end
    end
    k = options.value("sample", "sampling: ctx.kmeans: k", k, count_rule)
    if #features == 0 then return {}, {} end
    local _, assignment, nearest = core.kmeans(features, math.min(k, #features), { seed = seed })
    local clusters = {}
    for cluster, position in ipairs(nearest) do nearest[cluster], clusters[cluster] = entries[position], {} end
    for position, cluster in ipairs(assignment:totable()) do table.insert(clusters[cluster], entries[position]) end
    return nearest, clusters
  end
end

local function count_labels(entries)
  local seen, count = {}, 0
  for _, entry in ipairs(entries) do
    if not seen[entry.label] then seen[entry.label], count = true, count + 1 end
  end
  return count
end

--- A context for a call of a strategy.
-- @tab job of `sample`
-- @tab source the pool, see secateur.pruning.sample_pool
-- @tparam {table,...} entries that the strategy is given
-- @int label of the class, or `sample_context.ALL`
-- @int[opt=0] salt what random choices depend on besides seed and class
-- @treturn SamplingContext
function sample_context.new(job, source, entries, label, salt)
  local all = label == sample_context.ALL
  local seed = core.mix(job.seed, label)
  if salt and salt ~= 0 then seed = core.mix(seed, salt) end
  local ctx = setmetatable({ model = job.model, split = job.split, classes = job.split.classes,
    per_class = job.per_class, class = not all and label or nil,
    class_name = not all and job.names[label] or nil, seed = job.seed,
    count = all and job.per_class * count_labels(source.entries) or job.per_class,
    random = random_numbers.new(core.mix(seed, STREAM)) }, Context)
  add_functions(ctx, seed)
  source.scope = table.move(entries, 1, #entries, 1, {})
  states[ctx] = { job = job, source = source, entries = source.scope, label = label, salt = salt or 0 }
  return ctx
end

--- A context for a part of a composition.
-- @tparam SamplingContext ctx of the composition
-- @int number of the part: the first draws as if it were alone
-- @tparam {table,...} entries that the part is given
-- @int[opt] label of the class, where the composition sees all
-- @treturn SamplingContext
function sample_context.narrow(ctx, number, entries, label)
  local state = states[ctx]
  local salt = number > 1 and core.mix(state.salt, number) or state.salt
  return sample_context.new(state.job, state.source, entries, label or state.label, salt)
end

--- The labels of the classes, in the order in which they are gone through.
-- @tparam SamplingContext ctx
-- @treturn {int,...}
function sample_context.labels(ctx) return states[ctx].job.order end

return sample_context
