--- The option `sampling`, which samples of each class neurons are scored on; and strategies as values, to be composed.
--
-- A strategy is a name (`sample` lists them), what this table holds or makes, a function of one's own `f(pool, ctx)`,
-- called once per class, that gives a list of entries of the pool or of indices, of which the first `per_class` are
-- taken; or a table `{ choose = f, scope = "class" | "all", version =, name = }`. With scope "all" the function is
-- called once, with the samples of all classes, and the first `ctx.count` of its list are taken, whatever class they
-- are of; what the model says of all images is then in memory at once. `version` says that a sweep's stored rows are
-- of this strategy, in place of its source and what it refers to.
--
-- `pool`: a list, in the order of the split, that may be sorted in place. Each entry has
--
-- * `index`, `label`: the sample's number in the split and its class; `path`, `name`, `group` of its file, as the split
--   has them
-- * `probabilities`: of all classes or findings, a list; `confidence`: that of its class
-- * `margin`: the largest less the second probability (of a finding |2p - 1|)
-- * `entropy`: of the probabilities, in nats
-- * `loss`: cross entropy of its class, in nats
-- * `features`: what the output layer reads, a Tensor [D]
-- * `image`: a Tensor [C x H x W] as the model gets it
-- * `weight`: to be set, where some samples are to count more than others in the means of `importance`; 1 if it is not
--
-- What the model says is computed when some of it is first looked at, in one pass over the pool (of a composition,
-- over what its part was given); who looks at none of it runs no model, and who looks at no image reads none. A field
-- that is misspelt is an error; fields of one's own may be written, all but `index` and `label`. An image that cannot
-- be read has confidence, margin and entropy 0 and an infinite loss, so that it can be ordered. Where one is chosen,
-- the next of the list takes its place; where the list has no other, or its image, features or probabilities were
-- looked at, the function is called again with a pool without it.
--
-- Of images with several findings, a pool holds those that have one: its entries tell of that finding alone. Of the
-- pool "no finding" (label 0) `confidence` is the probability that all are absent, `margin` the smallest of any,
-- `entropy` and `loss` are sums.
--
-- `ctx`:
--
-- * `class`, `class_name`: whose pool it is (nil with scope "all"); `classes`: all names
-- * `per_class`, `seed`, `split`, `model`: as they were given; `count`: how many are taken at most
-- * `ctx:features_matrix(entries)`: what the output layer reads, a Tensor [n x d], a row per entry of the pool as it
--   was given (or of some entries, or indices); `ctx:features(layer, entries)`: the same of any node, averaged over
--   positions. See `cluster` for what can be done with them
-- * `ctx.random`: a generator of its own for each class: `:uniform()`, `:integer(n)`, `:normal()`, `:shuffle(list)`
-- * `ctx.shuffle(list)`: a new list in a random order, the same each time
-- * `ctx.kmeans(entries, k)`: the entry of each cluster that is nearest to its centroid, and the clusters as lists
-- @module secateur.pruning.sampling
-- @usage
-- local function hardest(pool)
--   table.sort(pool, function(a, b) return a.confidence < b.confidence end)
--   return pool
-- end
-- sc.importance(model, data.train, { sampling = hardest, per_class = 10 })
--
-- local function spread(pool, ctx)
--   local chosen = {}
--   for i, row in ipairs(sc.cluster.k_centre(ctx:features_matrix(), math.min(#pool, ctx.count))) do
--     chosen[i] = pool[row]
--   end
--   return chosen
-- end
-- sc.sample(model, data.train, { sampling = sc.sampling.chain(sc.sampling.take(0.25, "margin"), spread) })
local composition = require "secateur.pruning.sampling.composition"
local decimal = require "secateur.util.decimal"
local errors = require "secateur.util.errors"
local methods = require "secateur.util.methods"
local options = require "secateur.util.options"
local shares = require "secateur.util.shares"
local strategy = require "secateur.pruning.strategy"

local sampling = {}

local function compose(name, detail, parts, scope, choose)
  local names = {}
  for i, part in ipairs(parts) do names[i] = part.name end
  local text = ("%s(%s%s)"):format(name, detail and decimal("%g", detail) .. ", " or "", table.concat(names, ", "))
  return strategy.new { name = text, choose = choose, scope = scope, parts = parts, detail = { name, detail } }
end

--- One strategy after another: the second chooses from what the first chose, in the order in which it was chosen, and
-- so on. Between them nothing is cut: a strategy that gives its whole pool in another order leaves all of it, and
-- `take` says how much is to be left.
--
-- Where one of them sees all classes at once (scope "all"), the whole does, and is called once; those of scope "class"
-- then choose class by class, and where the last is one of these, at most `per_class` of each are taken. Weights stay
-- with the samples; what a later strategy sets stands. `ctx:features_matrix()` has the rows of what the strategy is
-- given.
-- @param ... names, functions or tables, as the option `sampling`
-- @treturn SamplingStrategy
-- @usage
-- local function one_per_group(pool)
--   local chosen, seen = {}, {}
--   for _, entry in ipairs(pool) do
--     local group = entry.group or entry.name
--     if not seen[group] then seen[group], chosen[#chosen + 1] = true, entry end
--   end
--   return chosen
-- end
-- sc.sample(model, data.train, { sampling = sc.sampling.chain("margin", one_per_group) })
function sampling.chain(...)
  local parts, scope = {}, "class"
  local given = table.pack(...)
  if given.n == 0 then errors.refuse("sampling.chain", "expected at least one strategy, got none") end
  for i = 1, given.n do
    parts[i] = strategy.read("sampling.chain", ("strategy %d"):format(i), given[i])
    if parts[i].scope == "all" then scope = "all" end
  end
  return compose("chain", nil, parts, scope, function(pool, ctx)
    for i, part in ipairs(parts) do
      pool = composition.run(part, i, pool, ctx, i == #parts and i > 1 and ctx.class == nil and
        { per_class = ctx.per_class, count = ctx.count } or nil)
    end
    return pool
  end)
end

local count_rule = { type = "number", above = 0, required = true, check = function(count)
  return count < 1 or math.tointeger(count) ~= nil, "a whole number, or a share below 1"
end }

--- The first samples that a strategy chooses: to leave fewer to the next one of a chain.
-- @number count how many of each class (of all together, where the strategy sees all); below 1, which share of the
-- pool, rounded up
-- @param of a name, function or table, as the option `sampling`
-- @treturn SamplingStrategy
-- @usage
-- sc.sampling.chain(sc.sampling.take(0.25, "margin"), "coverage")
function sampling.take(count, of)
  count = options.value("sampling.take", "count", count, count_rule)
  local part = strategy.read("sampling.take", "of", of)
  return compose("take", count, { part }, part.scope, function(pool, ctx)
    local wanted = count < 1 and shares.ceil(count, #pool) or math.tointeger(count)
    local chosen = composition.run(part, 1, pool, ctx)
    return table.move(chosen, 1, math.min(#chosen, wanted), 1, {})
  end)
end

--- Has a strategy see the samples of all classes at once, in place of one class after another: `ctx.count` is then
-- `per_class` times the number of classes, and so many are taken of all together.
-- @param of a name or function, or a table, as the option `sampling`
-- @treturn SamplingStrategy
-- @usage
-- sc.sample(model, data.train, { sampling = sc.sampling.over_all "coverage" })
function sampling.over_all(of)
  local part = strategy.read("sampling.over_all", "of", of)
  if part.scope == "all" then return part end
  if part.parts then
    errors.refuse("sampling.over_all", "of: expected no composition, got %s; give over_all to what it is made of",
      part.name)
  end
  local choose = part.choose
  return compose("over_all", nil, { part }, "all", function(pool, ctx) return choose(pool, ctx) end)
end

for _, name in ipairs(strategy.names()) do sampling[name] = strategy.read("sampling", name, name) end

methods.suggest("sampling", sampling)

return sampling
