--- Sampling strategies as values, to be composed; see `sample`.
-- @module secateur.pruning.sampling
local composition = require "secateur.pruning.sampling.composition"
local errors = require "secateur.util.errors"
local methods = require "secateur.util.methods"
local options = require "secateur.util.options"
local strategy = require "secateur.pruning.strategy"

--- Strategies as values: `sc.sampling.margin`, `sc.sampling.coverage`, ... are those of `sample` that have a name, and
-- the functions below make new ones of them, of functions and of tables. All of them are given as the option `sampling`
-- of `sample`, `importance` and `sweep`.
-- @usage
-- local sampling = sc.sampling.chain(sc.sampling.take(50, "margin"), "coverage")
-- sc.importance(model, data.train, { sampling = sampling })
local sampling = {}

local function compose(name, detail, parts, scope, choose)
  local names = {}
  for i, part in ipairs(parts) do names[i] = part.name end
  local text = ("%s(%s%s)"):format(name, detail and detail .. ", " or "", table.concat(names, ", "))
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
--     if not seen[entry.group] then seen[entry.group], chosen[#chosen + 1] = true, entry end
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
  return compose("take", ("%g"):format(count), { part }, part.scope, function(pool, ctx)
    local wanted = count < 1 and math.ceil(count * #pool) or math.tointeger(count)
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

return methods.suggest("sampling", sampling)
