--- Pruning plans by chance, extreme ones among them, for models of any kind.
local draws = require "support.draws"

local random_plans = {}

local kinds = {
  function(_, share) return share < 30 end,
  function(_, share) return share < 60 end,
  function(_, share) return share < 90 end,
  function(layer, share) return layer.luck < 50 and share < 50 end, -- some layers alone
  function(layer) return layer.luck < 30 end, -- whole layers
  function(layer, _, unit) return unit ~= layer.last end, -- one unit left
  function(layer, share) return layer.luck < 25 or share < 40 end, -- whole layers, and some of the others
}

--- A plan for these layers.
-- @tparam {table,...} layers what `model:layers()` lists
-- @int seed
-- @treturn table layer name -> list of units
function random_plans.make(layers, seed)
  local draw = draws(seed)
  local kind, plan = kinds[draw(1, #kinds)], {}
  for _, layer in ipairs(layers) do
    local of = { luck = draw(0, 99), last = draw(1, layer.units) }
    plan[layer.name] = {}
    for unit = 1, layer.units do
      if kind(of, draw(0, 99), unit) then table.insert(plan[layer.name], unit) end
    end
  end
  return plan
end

return random_plans
