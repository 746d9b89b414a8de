--- Sampling strategies made of others.
-- @module secateur.pruning.sampling.composition
local errors = require "secateur.util.errors"
local sample_choice = require "secateur.pruning.sample_choice"
local sample_context = require "secateur.pruning.sample_context"

local composition = {}

local function choose(part, number, entries, ctx, label)
  local inner = sample_context.narrow(ctx, number, entries, label)
  local pool = table.move(entries, 1, #entries, 1, {})
  local whose = inner.class and ("class '%s'"):format(inner.class_name) or "the pool"
  return sample_choice.read(entries, errors.call(part.choose, pool, inner), whose)
end

-- Entries by label, of the labels in their order.
local function by_class(entries, ctx)
  local groups, list = {}, {}
  for i, label in ipairs(sample_context.labels(ctx)) do
    list[i] = { label = label, entries = {} }
    groups[label] = list[i]
  end
  for _, entry in ipairs(entries) do table.insert(groups[entry.label].entries, entry) end
  return list
end

--- Has a strategy choose from some entries: at once, or class by class where it is one of a class and they are of all.
-- @tab part see secateur.pruning.strategy
-- @int number which part of the composition it is
-- @tparam {table,...} entries
-- @tparam SamplingContext ctx of the composition
-- @int[opt] most how many are taken of each choice of the part
-- @treturn {table,...} entries
function composition.run(part, number, entries, ctx, most)
  local groups = { { entries = entries } }
  if ctx.class == nil and part.scope == "class" then groups = by_class(entries, ctx) end
  local all = {}
  for _, group in ipairs(groups) do
    if #group.entries > 0 then
      local chosen = choose(part, number, group.entries, ctx, group.label)
      local wanted = most and math.min(#chosen, group.label and most.per_class or most.count) or #chosen
      table.move(chosen, 1, wanted, #all + 1, all)
    end
  end
  return all
end

return composition
